"""Record the live page at work: an animated PNG, and a still.

Usage: record_page.py ANIMATION.png STILL.png [WIDTH]

The stored notebook gives the page. A 4 is drawn on it, its open ends are
closed, so that it becomes a 9, and a cell of the map is touched. README.md
shows it: at most 450 kB. store_outputs.py calls this. Each picture tells of
which page it is, so that a test notices an old one.
"""

import io
import os
import re
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from browser import (
    live_html,
    offline,
    open_browser,
    open_live,
    settle,
    spots,
    write_page,
)
from lesson import read_notebook

FOUR = [
    [(9, 6), (8.5, 10), (8.5, 14.5), (13, 14.5), (19.5, 14.5)],
    [(19, 5.5), (18.5, 11), (18, 17), (17.5, 23)],
]
CLOSED = [(9, 6), (12, 4.8), (15.5, 4.6), (19, 5.5)]
WHOLE = 2000  # milliseconds that the finished 4 is shown


def record(html, width):
    """Return pictures of the page, and how long to show each, in ms."""
    pictures, times = [], []
    options = {"viewport": {"width": width, "height": 900}}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_browser() as browser,
        offline(browser, **options) as context,
    ):
        style = "font: 14px sans-serif; margin: 0 10px; background: white"
        path = write_page(html, Path(folder), style=style)
        page, live = open_live(context, path)
        top = live.locator("#squares").bounding_box()["y"]
        table = live.locator("table").bounding_box()
        clip = {"x": 0, "y": top, "width": width}
        clip["height"] = table["y"] + table["height"] + 6 - top

        def look(milliseconds):
            settle(page)
            picture = PIL.Image.open(io.BytesIO(page.screenshot(clip=clip)))
            pictures.append(picture.convert("RGB"))
            times.append(milliseconds)

        def move(line, between):
            first, *others = spots(live, line)
            page.mouse.move(*first)
            page.mouse.down()
            x, y = first
            for to_x, to_y in others:
                for share in np.arange(1, between + 1) / between:
                    page.mouse.move(x + share * (to_x - x), y + share * (to_y - y))
                    look(110)
                x, y = to_x, to_y
            page.mouse.up()

        # No focus frame in the pictures.
        live.locator("#board").evaluate("(board) => { board.style.outline = 'none' }")
        live.locator("#clear").click()
        page.mouse.move(0, 0)
        look(700)
        for line in FOUR:
            move(line, 2)
        look(WHOLE)
        move(CLOSED, 2)
        look(WHOLE + 500)
        box = live.locator("#map").bounding_box()
        unit = box["width"] / 7
        page.mouse.move(box["x"] + 2.5 * unit, box["y"] + 2.5 * unit)
        look(3000)
    return pictures, times


def name_of(html):
    """The name that a page bears, made of its script and its weights."""
    return re.search(r'id="(live-cam-[0-9a-f]+)"', html)[1]


def save(pictures, times, animation, still, name):
    """Write the animation, and the moment of the whole 4 as a still.

    All pictures share one palette: the maps' colours, the mark's, and greys.
    """
    maps = plt.get_cmap("RdBu_r")(np.linspace(0, 1, 71), bytes=True)[:, :3]
    mark = np.array([[224, 130, 20], [33, 102, 172]], np.uint8)
    greys = np.repeat(np.linspace(0, 255, 18).astype(np.uint8), 3)
    palette = PIL.Image.new("P", (1, 1))
    palette.putpalette(maps.tobytes() + mark.tobytes() + greys.tobytes())
    few = [
        one.quantize(palette=palette, dither=PIL.Image.Dither.NONE) for one in pictures
    ]
    told = PIL.PngImagePlugin.PngInfo()
    told.add_text("page", name)
    rest = {"append_images": few[1:], "duration": times, "loop": 0}
    few[0].save(animation, save_all=True, optimize=True, pnginfo=told, **rest)
    few[times.index(WHOLE)].save(still, optimize=True, pnginfo=told)


def film(notebook, animation, still, width=700):
    """Record the page of a notebook, and write both pictures."""
    html = live_html(notebook)
    save(*record(html, width), animation, still, name_of(html))


if __name__ == "__main__":
    animation, still = sys.argv[1:3]
    width = int(sys.argv[3]) if len(sys.argv) > 3 else 700
    film(read_notebook(), animation, still, width)
    for path in (animation, still):
        with PIL.Image.open(path) as picture:
            frames = getattr(picture, "n_frames", 1)
            size = os.path.getsize(path)
            print(path, picture.size, f"{frames} frames, {size:,} bytes")
