"""Record the live page at work: an animated PNG, and a still.

Usage: record_page.py ANIMATION.png STILL.png [WIDTH]

The stored notebook gives the page. A 4 is drawn on it, then a piece of the
4 is erased. README.md shows it: at most 500 kB. store_outputs.py calls this.
Each picture tells of which page it is, so that a test notices an old one.
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

from conftest import read_notebook
from test_live_page import (
    live_html,
    offline,
    open_browser,
    open_live,
    settle,
    tool,
)

LEFT = [(8.5, 5.5), (8, 10), (8, 14.5), (13, 14.5), (19.5, 14.5)]
RIGHT = [(18.5, 5), (18, 11), (17, 18), (16.5, 23)]
ERASED = [(9, 4.5), (8.4, 8.5), (8, 12)]
WHOLE = 2000  # milliseconds that the whole digit is shown


def record(html, width):
    """Return pictures of the page, and how long to show each, in ms."""
    pictures, times = [], []
    options = {"viewport": {"width": width, "height": 900}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        style = "font: 14px sans-serif; margin: 10px; background: white"
        head = f"<!doctype html><meta charset=utf-8><body style='{style}'>"
        path.write_text(head + html, encoding="utf-8")
        with (
            open_browser() as browser,
            offline(browser, **options) as context,
        ):
            page, live = open_live(context, path)
            parts = [
                live.locator(part).bounding_box() for part in ("#squares", "table")
            ]
            top = parts[0]["y"]
            clip = {"x": 0, "y": top, "width": width}
            clip["height"] = parts[1]["y"] + parts[1]["height"] + 6 - top

            def look(milliseconds):
                settle(page)
                picture = PIL.Image.open(io.BytesIO(page.screenshot(clip=clip)))
                pictures.append(picture.convert("RGB"))
                times.append(milliseconds)

            def move(points, between):
                box = live.locator("#board").bounding_box()
                unit = box["width"] / 28
                spots = [(box["x"] + x * unit, box["y"] + y * unit) for x, y in points]
                page.mouse.move(*spots[0])
                page.mouse.down()
                for (x, y), (to_x, to_y) in zip(spots, spots[1:]):
                    for step in range(1, between + 1):
                        share = step / between
                        page.mouse.move(x + share * (to_x - x), y + share * (to_y - y))
                        look(110)
                page.mouse.up()

            live.get_by_role("button", name="clear").click()
            page.mouse.move(0, 0)
            look(700)
            move(LEFT, 2)
            move(RIGHT, 3)
            times[-1] = WHOLE
            tool(live, "eraser")
            move(ERASED, 2)
            times[-1] = 3000
    return pictures, times


def name_of(html):
    """The name that a page bears, made of its script and its weights."""
    return re.search(r'id="(live-cam-[0-9a-f]+)"', html)[1]


def save(pictures, times, animation, still, name):
    """Write the animation, and the moment of the whole digit as a still.

    All pictures share one palette: the maps' colours, and greys.
    """
    maps = plt.get_cmap("RdBu_r")(np.linspace(0, 1, 101), bytes=True)[:, :3]
    greys = np.repeat(np.linspace(0, 255, 18).astype(np.uint8), 3)
    palette = PIL.Image.new("P", (1, 1))
    palette.putpalette(maps.tobytes() + greys.tobytes())
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
