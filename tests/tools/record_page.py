"""Record the live page at work: record_page.py ANIMATION.png STILL.png

The stored notebook gives the page. A 4 is drawn on it, its open ends are closed, so
that it becomes a 9, and a cell of the map is touched. README.md shows both pictures;
store_outputs.py calls this.
"""

import io
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

import browser as web
from lesson import read_notebook

WIDTH = 700  # pixels
FOUR = [
    [(9, 6), (8.5, 10), (8.5, 14.5), (13, 14.5), (19.5, 14.5)],
    [(19, 5.5), (18.5, 11), (18, 17), (17.5, 23)],
]
CLOSED = [(9, 6), (12, 4.8), (15.5, 4.6), (19, 5.5)]
WHOLE = 2000  # milliseconds that the finished 4 is shown


def record(html):
    """Return pictures of the page, and how long to show each, in ms."""
    pictures, times = [], []
    options = {"viewport": {"width": WIDTH, "height": 900}}
    with (
        tempfile.TemporaryDirectory() as folder,
        web.open_browser() as browser,
        web.offline(browser, **options) as context,
    ):
        style = "font: 14px sans-serif; margin: 0 10px; background: white"
        page, live = web.open_live(
            context, web.write_page(html, Path(folder), style=style)
        )
        top = live.locator("#squares").bounding_box()["y"]
        table = live.locator("table").bounding_box()
        clip = {"x": 0, "y": top, "width": WIDTH}
        clip["height"] = table["y"] + table["height"] + 6 - top

        def look(milliseconds):
            web.settle(page)
            picture = PIL.Image.open(io.BytesIO(page.screenshot(clip=clip)))
            pictures.append(picture.convert("RGB"))
            times.append(milliseconds)

        def move(line):
            (x, y), *others = web.spots(live, line)
            page.mouse.move(x, y)
            page.mouse.down()
            for to_x, to_y in others:
                page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
                look(110)
                page.mouse.move(to_x, to_y)
                look(110)
                x, y = to_x, to_y
            page.mouse.up()

        # No focus frame in the pictures.
        live.locator("#board").evaluate("(board) => { board.style.outline = 'none' }")
        live.locator("#clear").click()
        page.mouse.move(0, 0)
        look(700)
        for line in FOUR:
            move(line)
        look(WHOLE)
        move(CLOSED)
        look(WHOLE + 500)
        box = live.locator("#map").bounding_box()
        unit = box["width"] / 7
        page.mouse.move(box["x"] + 2.5 * unit, box["y"] + 2.5 * unit)
        look(3000)
    return pictures, times


def film(notebook, animation, still):
    """Write the animation, and the moment of the whole 4 as a still.

    All pictures share one palette: the maps' colours, the mark's, and greys.
    """
    pictures, times = record(web.live_html(notebook))
    maps = plt.get_cmap("RdBu_r")(np.linspace(0, 1, 71), bytes=True)[:, :3]
    mark = np.array([[224, 130, 20], [33, 102, 172]], np.uint8)
    greys = np.repeat(np.linspace(0, 255, 18).astype(np.uint8), 3)
    palette = PIL.Image.new("P", (1, 1))
    palette.putpalette(maps.tobytes() + mark.tobytes() + greys.tobytes())
    few = [
        one.quantize(palette=palette, dither=PIL.Image.Dither.NONE) for one in pictures
    ]
    rest = {"append_images": few[1:], "duration": times, "loop": 0}
    few[0].save(animation, save_all=True, optimize=True, **rest)
    few[times.index(WHOLE)].save(still, optimize=True)


if __name__ == "__main__":
    film(read_notebook(), *sys.argv[1:])
