"""A real browser for the live page: open it, draw on it, look at it."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import numpy as np
import PIL.Image

from lesson import cell_named

names = "chromium", "chromium-browser", "google-chrome"
CHROMIUM = next(filter(None, map(shutil.which, names)), None)
LAUNCH = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}

# Ten digits as a hand might draw them: polylines on a board of side 28.
POLYLINES = {
    0: [[(14, 5), (9, 8), (8, 14), (10, 20), (14, 23), (18, 20), (20, 14), (18, 8),
         (14, 5)]],
    1: [[(15, 5), (14, 14), (13, 23)]],
    2: [[(8, 9), (11, 6), (16, 6), (18, 9), (16, 13), (8, 21), (9, 22), (20, 21)]],
    3: [[(9, 6), (16, 5), (18, 9), (13, 13), (18, 16), (17, 21), (12, 23), (8, 20)]],
    4: [[(9, 6), (8, 14), (19, 14)], [(19, 5), (18, 14), (16, 23)]],
    5: [[(19, 5), (11, 6), (10, 12), (15, 12), (18, 16), (16, 21), (9, 22)]],
    6: [[(17, 5), (11, 11), (9, 17), (12, 22), (17, 21), (18, 17), (14, 15), (10, 17)]],
    7: [[(8, 6), (19, 6), (16, 13), (13, 23)]],
    8: [[(18, 8), (14, 5), (10, 8), (14, 13), (18, 18), (14, 22), (9, 19), (13, 14),
         (18, 8)]],
    9: [[(18, 9), (13, 6), (10, 10), (13, 13), (18, 9), (17, 16), (15, 23)]],
}  # fmt: skip


def live_html(notebook):
    """The HTML that the notebook's last code cell left."""
    (output,) = cell_named(notebook, "live-page").outputs
    return output.data["text/html"]


def told_by(html):
    """What a page's script knows of its network, and its digits."""
    return json.loads(re.search(r"const TOLD = (.*);\n", html)[1])


def write_page(html, folder, before="", style="font: 14px sans-serif"):
    """Put a live page into a document of its own; return the file."""
    path = folder / "page.html"
    head = f"<!doctype html><meta charset=utf-8><body style='{style}'>"
    path.write_text(head + before + html, encoding="utf-8")
    return path


def save_as_html(notebook, folder, *options):
    """Make a web page of a notebook with nbconvert."""
    nbformat.write(notebook, folder / "page.ipynb")
    command = [sys.executable, "-m", "jupyter", "nbconvert", *options]
    command += ["--output-dir", str(folder), str(folder / "page.ipynb")]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.html")
    return path


@contextlib.contextmanager
def open_browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(**LAUNCH)
        yield browser
        browser.close()


@contextlib.contextmanager
def offline(browser, **options):
    """A browser's context without a network; it notes what goes wrong."""
    context = browser.new_context(**options)
    context.errors, context.asked = [], []

    def console(message):
        lost = "Failed to load resource" in message.text  # we cut the network
        if message.type == "error" and not lost:
            context.errors.append(message.text)

    def refuse(route):
        context.asked.append(route.request.url)
        route.abort()

    context.on("console", console)
    context.on("weberror", lambda error: context.errors.append(str(error.error)))
    context.route(re.compile(r"^(?!file:|data:|blob:)"), refuse)
    yield context
    context.close()


def open_live(context, path, timeout=30_000):
    """Open a file; return the browser's page and its first live page."""
    page = context.new_page()
    page.goto(path.as_uri())
    ready = "() => document.querySelector('.live-cam')?.run"
    page.wait_for_function(ready, timeout=timeout)
    live = page.locator(".live-cam").first
    live.scroll_into_view_if_needed()
    settle(page)
    return page, live


def settle(page):
    """Wait until the page has drawn and computed what was last done to it."""
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() =>"
        " requestAnimationFrame(() => setTimeout(done, 60))))"
    )


def click(live, part):
    live.locator(part).first.click()
    settle(live.page)


def choose(live, part, value):
    live.locator(part).select_option(value)
    settle(live.page)


def board_size(live, size):
    live.locator(f"[name=size][value='{size}']").check(force=True)
    settle(live.page)


def text(live, part):
    return live.locator(part).inner_text()


def spots(live, points, side=28):
    """Where places (x, y) of the board stand in the window."""
    live.locator("#board").scroll_into_view_if_needed()
    box = live.locator("#board").bounding_box()
    unit = box["width"] / side
    return [(box["x"] + x * unit, box["y"] + y * unit) for x, y in points]


def draw(live, lines, side=28, steps=4):
    """Draw polylines of (x, y) on the board with the mouse."""
    mouse = live.page.mouse
    for line in lines:
        first, *others = spots(live, line, side)
        mouse.move(*first)
        mouse.down()
        for spot in others:
            mouse.move(*spot, steps=steps)
        mouse.up()
    settle(live.page)


def run_in(live, images):
    """Run images (N, H, W): logits (N, C), maps (N, h, w, C)."""
    count, height, width = images.shape
    told = live.evaluate(
        """(root, [text, count, height, width]) => {
          const all = Uint8Array.from(atob(text), (x) => x.charCodeAt(0));
          const size = height * width;
          return Array.from({ length: count }, (_, i) => {
            const pixels = all.subarray(i * size, (i + 1) * size);
            const { logits, maps } = root.run(pixels, height, width);
            const { h, w, c, data } = maps;
            return { logits, shape: [h, w, c], data: [...data] };
          });
        }""",
        [base64.b64encode(images.tobytes()).decode(), count, height, width],
    )
    maps = [np.reshape(one["data"], one["shape"]) for one in told]
    return np.array([one["logits"] for one in told]), np.array(maps)


def find_in(live, image):
    """What the page finds on one image (H, W)."""
    call = "(root, [pixels, h, w]) => root.find(pixels, h, w)"
    return live.evaluate(call, [image.ravel().tolist(), *image.shape])


def picture_of(address):
    """Red, green, blue (H, W, 3) of a picture in a data: address."""
    file = io.BytesIO(base64.b64decode(address.partition(",")[2]))
    with PIL.Image.open(file) as picture:
        return np.array(picture.convert("RGB"))


def canvas_pixels(live, name="board"):
    """Red, green, blue of a canvas (H, W, 3)."""
    canvas = live.locator(f"#{name}")
    return picture_of(canvas.evaluate("(canvas) => canvas.toDataURL()"))


def ink(live):
    """The board's pixels (H, W), 0 to 255."""
    return 255 - canvas_pixels(live)[..., 0]


def bars(live):
    """What stands under the ten bars: logits, then probabilities."""
    texts = live.locator("#bars td").all_inner_texts()
    texts = [one.replace("−", "-") for one in texts]
    return texts[:10], texts[10:]


def numbers(live, part):
    """All numbers with two decimals in a part's text."""
    words = text(live, part).replace("−", "-")
    return [float(x) for x in re.findall(r"-?\d+\.\d\d", words)]


@contextlib.contextmanager
def jupyterlab(folder):
    """A JupyterLab with settings of its own; gives the address of the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"
    names += "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"
    places = {name: str(folder / ".settings") for name in names}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={folder}"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env={**os.environ, **places}, **silent)
    address = f"http://127.0.0.1:{port}/lab"
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            break
        except OSError:
            time.sleep(0.5)
    yield address + "/tree/"
    server.terminate()
    server.wait(30)
