"""The live page in a real browser: network, drawing, neighbours."""

import ast
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
from types import SimpleNamespace

import nbformat
import numpy as np
import PIL.Image
import pytest

from conftest import (
    QUICK,
    ROOT,
    cell_named,
    read_notebook,
    set_parameters,
)

names = "chromium", "chromium-browser", "google-chrome"
CHROMIUM = next(filter(None, map(shutil.which, names)), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")

# Ten digits as a hand might draw them: polylines on a board of side 28.
POLYLINES = {
    0: [[(14, 5), (9, 8), (8, 14), (10, 20), (14, 23), (18, 20), (20, 14),
         (18, 8), (14, 5)]],
    1: [[(15, 5), (14, 14), (13, 23)]],
    2: [[(8, 9), (11, 6), (16, 6), (18, 9), (16, 13), (8, 21), (9, 22),
         (20, 21)]],
    3: [[(9, 6), (16, 5), (18, 9), (13, 13), (18, 16), (17, 21), (12, 23),
         (8, 20)]],
    4: [[(9, 6), (8, 14), (19, 14)], [(19, 5), (18, 14), (16, 23)]],
    5: [[(19, 5), (11, 6), (10, 12), (15, 12), (18, 16), (16, 21),
         (9, 22)]],
    6: [[(17, 5), (11, 11), (9, 17), (12, 22), (17, 21), (18, 17),
         (14, 15), (10, 17)]],
    7: [[(8, 6), (19, 6), (16, 13), (13, 23)]],
    8: [[(18, 8), (14, 5), (10, 8), (14, 13), (18, 18), (14, 22), (9, 19),
         (13, 14), (18, 8)]],
    9: [[(18, 9), (13, 6), (10, 10), (13, 13), (18, 9), (17, 16),
         (15, 23)]],
}  # fmt: skip


# ---- the machinery, which record_page.py and the benchmark use, too


def save_as_html(notebook, folder, options=None):
    """Make a page of a notebook, as the README's first command does."""
    if options is None:
        readme = (ROOT / "README.md").read_text()
        commands = re.findall(r"```sh\n(.*?)```", readme, re.S)
        found = re.findall(r"nbconvert (--to html.*?) cam_mnist\.ipynb", commands[0])
        options = found[0].replace("--execute", "").replace("--output-dir .output", "")
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "nbconvert",
        *options.split(),
    ]
    command += [
        "--output-dir",
        str(folder),
        str(folder / "cam_mnist.ipynb"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cam_mnist.html"


def live_html(notebook):
    """The HTML that the notebook's last code cell left."""
    (output,) = cell_named(notebook, "live-page").outputs
    return output.data["text/html"]


@contextlib.contextmanager
def open_browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
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
    page.wait_for_function(
        "() => document.querySelector('.live-cam')?.run", timeout=timeout
    )
    live = page.locator(".live-cam").first
    live.scroll_into_view_if_needed()
    return page, live


def settle(page):
    """Wait until the page has drawn what was last done to it."""
    page.evaluate(
        "() => new Promise(done =>"
        " requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def tool(live, name):
    live.get_by_role("radio", name=name, exact=True).check(force=True)


def draw(page, live, lines, side=28, steps=4):
    """Draw polylines of (x, y) on the board with the mouse."""
    board = live.locator("#board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    unit = box["width"] / side

    def spot(point):
        return box["x"] + point[0] * unit, box["y"] + point[1] * unit

    for first, *others in lines:
        page.mouse.move(*spot(first))
        page.mouse.down()
        for point in others:
            page.mouse.move(*spot(point), steps=steps)
        page.mouse.up()
    settle(page)


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


def board_pixels(live, name="#board"):
    """Red, green, blue of a canvas (H, W, 3)."""
    address = live.locator(name).evaluate("(canvas) => canvas.toDataURL()")
    file = io.BytesIO(base64.b64decode(address.partition(",")[2]))
    with PIL.Image.open(file) as picture:
        return np.array(picture.convert("RGB"))


def text_of_page(live):
    return live.locator(".page").inner_text()


def bars(live):
    """What stands under the ten bars: logits, then probabilities."""
    rows = live.locator("#bars tr")
    return [
        [cell.replace("−", "-") for cell in rows.nth(i).locator("td").all_inner_texts()]
        for i in (1, 2)
    ]


def brightness(colour):
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return (red + green + blue) / 3


def milliseconds_a_stroke(live, size, times=40):
    """Median time to compute the board anew and to draw all of it."""
    live.locator(f"input[value='{size}']").check(force=True)
    live.locator("#kind").select_option("4")
    for number in range(4):
        live.locator("#thumbs button").nth(number).click()
    taken = live.evaluate(
        """(root, times) => Array.from({ length: times }, () => {
          const change = new Event("change", { bubbles: true });
          const begin = performance.now();
          root.shadowRoot.querySelector("#rival").dispatchEvent(change);
          return performance.now() - begin;
        })""",
        times,
    )
    return float(np.median(taken))


# ---- fixtures


@pytest.fixture(scope="module")
def saved(full_run, tmp_path_factory):
    """The page that the README's first command makes."""
    return save_as_html(full_run.notebook, tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def browser():
    with open_browser() as one:
        yield one


@pytest.fixture(scope="module")
def context(browser):
    with offline(browser, viewport={"width": 1280, "height": 1000}) as one:
        yield one


@pytest.fixture
def opened(context, saved):
    """The page, fresh; whatever a test does there must leave no error."""
    context.errors.clear()
    page, live = open_live(context, saved)
    yield SimpleNamespace(page=page, live=live)
    assert context.errors == []
    page.close()


@pytest.fixture(scope="module")
def network(full_run, functions):
    """The trained network: images -> feature maps, logits; its head."""
    import keras

    model = keras.models.load_model(full_run.folder / "model.keras")
    class_weights, bias = model.get_layer("logits").get_weights()
    explainer = functions.with_features(model)
    return SimpleNamespace(explainer=explainer, class_weights=class_weights, bias=bias)


@pytest.fixture(scope="module")
def maker(functions):
    """The functions and templates of the cell that makes the page."""
    world = dict(vars(functions))
    for node in ast.parse(cell_named(read_notebook(), "live-page").source).body:
        if isinstance(node, (ast.Import, ast.FunctionDef, ast.Assign)):
            if ast.unparse(node).startswith("stored_digits"):
                continue  # it runs; the others define
            exec(compile(ast.Module([node], []), "live-page", "exec"), world)
    return SimpleNamespace(**world)


def page_of(maker, model, image):
    """The page's HTML for another network, with one stored digit."""
    digit = [0, 7, 7, maker.in_base64(image)]
    steps = maker.steps_of_page(model)
    return maker.live_page(maker.PAGE, maker.SCRIPT, maker.MARKUP, steps, [digit])


# ---- the same network as Keras'


def test_five_hundred_digits_have_keras_logits_maps_and_classes(
    opened, network, functions, mnist
):
    images = mnist["x_test"][:500]
    feature_maps, logits = functions.run(network.explainer, images)
    maps = functions.class_activation_maps(feature_maps, network.class_weights)
    page_logits, page_maps = run_in(opened.live, images)
    assert np.abs(page_logits - logits).max() <= 0.01
    # A mean of 49 cells is right to 0.01; one cell, some 100, to 0.1.
    assert np.abs(page_maps - maps).max() <= 0.1
    ordered = np.sort(logits, axis=1)
    sure = ordered[:, -1] - ordered[:, -2] > 0.02
    assert sure.sum() > 490
    assert (page_logits.argmax(axis=1) == logits.argmax(axis=1))[sure].all()


@pytest.mark.parametrize("shape", [(64, 64), (30, 45), (28, 31)])
def test_images_of_other_sizes_have_keras_logits_and_maps(
    opened, network, functions, mnist, shape
):
    image = np.zeros((1, *shape), np.uint8)
    image[0, 2:30, 1:29] = mnist["x_test"][7][: shape[0] - 2, : shape[1] - 1]
    feature_maps, logits = functions.run(network.explainer, image)
    maps = functions.class_activation_maps(feature_maps, network.class_weights)
    page_logits, page_maps = run_in(opened.live, image)
    assert page_maps.shape == maps.shape
    assert np.abs(page_logits - logits).max() <= 0.01
    assert np.abs(page_maps - maps).max() <= 0.1


def test_run_refuses_pixels_that_do_not_fit_the_size(opened):
    with pytest.raises(Exception, match="height \\* width pixels"):
        opened.live.evaluate("(root) => root.run([0, 0, 0], 28, 28)")


def test_find_answers_as_part_7_on_a_hundred_canvases(
    opened, network, functions, mnist
):
    canvases, _, _ = functions.make_canvases(
        mnist["x_test"], mnist["y_test"].astype(int), 100, seed=7
    )
    maps, evidence = functions.search(
        network.explainer, canvases, network.class_weights
    )
    scores = functions.window_scores(maps, evidence, network.bias)
    wanted, answers = [], []
    for canvas, some in zip(canvases, scores):
        found = []
        for name, row, column in functions.find_digits(some, 3):
            top, left = 4 * row, 4 * column
            window = canvas[top : top + 28, left : left + 28]
            box = functions.tight_box(window) + [top, left, top, left]
            found.append([int(name), box.tolist() if window.any() else None])
        wanted.append(found)
        answer = opened.live.evaluate(
            "(root, pixels) => root.find(pixels, 64, 64, 3)",
            canvas.ravel().tolist(),
        )
        answers.append([[one["name"], one["box"]] for one in answer])
    assert answers == wanted


def test_find_returns_no_more_than_it_is_asked_for_and_nothing_far_apart(
    opened,
):
    blank = [0] * 64 * 64
    for count in (0, 1, 50):
        found = opened.live.evaluate(
            f"(root, pixels) => root.find(pixels, 64, 64, {count})", blank
        )
        assert len(found) <= count
        assert all(one["box"] is None for one in found)
    assert 1 < len(found) < 50  # windows six cells apart: there are not so many


# ---- what a reader does


def test_ten_drawn_digits_are_recognised(opened):
    right = []
    for digit, lines in POLYLINES.items():
        opened.live.get_by_role("button", name="clear").click()
        tool(opened.live, "pen")
        draw(opened.page, opened.live, lines)
        said = opened.live.get_by_role("status").inner_text()
        right.append(said.startswith(f"The network says {digit} "))
    assert sum(right) >= 9, right


def test_strokes_are_soft_and_about_two_pixels_wide(opened):
    opened.live.get_by_role("button", name="clear").click()
    draw(opened.page, opened.live, [[(4, 14.5), (24, 14.5)]])
    ink = 255 - board_pixels(opened.live)[..., 0]
    across = ink[:, 8:20] / 255
    assert (np.abs(across.sum(axis=0) - 2.2) < 0.5).all()
    assert across.max() == 1  # black in the middle
    assert ((across > 0) & (across < 1)).any(axis=0).all()  # soft at the edge


def test_erasing_half_a_stroke_changes_bars_and_undo_brings_them_back(
    opened,
):
    opened.live.get_by_role("button", name="clear").click()
    draw(opened.page, opened.live, POLYLINES[4])
    before, picture = bars(opened.live), board_pixels(opened.live)
    tool(opened.live, "eraser")
    draw(opened.page, opened.live, [[(19, 14), (17.4, 17), (15.8, 24)]])
    assert bars(opened.live) != before
    erased = board_pixels(opened.live)
    assert (erased >= picture).all() and (erased > picture).sum() > 30
    opened.live.get_by_role("button", name="undo").click()
    assert bars(opened.live) == before
    assert (board_pixels(opened.live) == picture).all()
    opened.live.get_by_role("button", name="clear").click()
    assert (board_pixels(opened.live) == 255).all()
    assert "empty" in opened.live.get_by_role("status").inner_text()


def test_stored_digits_are_test_digits_with_mistakes_by_class(opened, mnist):
    live, every, mistakes = opened.live, 0, 0
    for kind in [str(digit) for digit in range(10)]:
        live.locator("#kind").select_option(kind)
        buttons = live.locator("#thumbs button")
        every += buttons.count()
        for number in range(buttons.count()):
            words = buttons.nth(number).get_attribute("title")
            found = re.match(
                r"test digit (\d+), an? (\d)( taken for an? (\d))?$", words
            )
            index, label, taken = int(found[1]), found[2], found[4]
            assert label == kind == str(mnist["y_test"][index])
            if number in (0, buttons.count() - 1):
                buttons.nth(number).click()
                shown = 255 - board_pixels(live)[..., 0]
                assert (shown == mnist["x_test"][index]).all()
                said = live.get_by_role("status").inner_text()
                assert f"says {taken or label} " in said and words in said
        live.get_by_label("mistakes only").check()
        mistakes += buttons.count()
        for number in range(buttons.count()):
            assert "taken for" in buttons.nth(number).get_attribute("title")
        live.get_by_label("mistakes only").uncheck()
    assert 90 <= every <= 120 and mistakes >= 20
    live.locator("#kind").select_option("")
    assert live.locator("#thumbs button").count() == every


def test_pictures_are_matplotlib_s_of_map_and_contrast(
    opened, network, functions, mnist
):
    """Class and rival as chosen; colours, scale, places as there."""
    live = opened.live
    image = mnist["x_test"][4]
    feature_maps, logits = functions.run(network.explainer, image[None])
    maps = functions.class_activation_maps(feature_maps, network.class_weights)[0]
    order = np.argsort(logits[0])
    palette = functions.plt.get_cmap("RdBu_r")

    def check(chosen, rival):
        limit = int(live.locator("#high").inner_text())
        assert live.locator("#low").inner_text() == f"−{limit}"
        pair = maps[..., chosen], maps[..., chosen] - maps[..., rival]
        assert limit - 20 < np.abs(pair).max() <= limit
        for name, one in zip(("#map", "#contrast"), pair):
            drawn = board_pixels(live, name)
            large = functions.resize(one[..., None], drawn.shape[:2])[..., 0]
            wanted = palette(0.5 + large / limit / 2, bytes=True)[..., :3]
            line = (drawn == 0).all(axis=-1)  # the black outline
            assert 0.01 < line.mean() < 0.1
            off = np.abs(drawn.astype(int) - wanted.astype(int))[~line]
            assert off.max() <= 6  # 256 colours there, 257 here

    check(order[-1], order[-2])
    live.locator("#class").select_option("9")
    check(9, order[-1])  # the strongest other class
    live.locator("#rival").select_option("7")
    check(9, 7)
    live.locator("#class").select_option("7")  # is the rival: the page finds another
    check(7, order[-1])
    assert live.locator("#rival").input_value() == ""


def test_accounts_add_up_as_printed(opened, network):
    live = opened.live
    live.locator("#kind").select_option("")
    for number in range(0, 100, 9):
        live.locator("#thumbs button").nth(number).click()
        logits = [float(text) for text in bars(live)[0]]
        best, second = sorted(logits)[::-1][:2]
        for name, wanted in (
            ("#sum", best),
            ("#difference", best - second),
        ):
            words = live.locator(name).inner_text().replace("−", "-")
            mean, bias, total = map(float, re.findall(r"-?\d+\.\d\d", words))
            assert round(100 * (mean + bias)) == round(100 * total)
            assert abs(total - wanted) < 0.11  # bars have one decimal
        shares = [float(text.rstrip("%")) for text in bars(live)[1]]
        assert abs(sum(shares) - 100) < 0.6
        powers = np.exp(np.array(logits) - best)
        assert np.abs(100 * powers / powers.sum() - shares).max() < 4


def test_a_bar_stands_on_the_side_of_its_sign(opened):
    for i, text in enumerate(bars(opened.live)[0]):
        bar = opened.live.locator("#bars i").nth(i).bounding_box()
        pole = opened.live.locator("#bars .pole").nth(i).bounding_box()
        middle = pole["y"] + pole["height"] / 2
        above = middle - bar["y"] > bar["height"] / 2
        assert above == (float(text) > 0)
        share = bar["height"] / pole["height"] * 30  # 15 fills half a pole
        assert abs(share - abs(float(text))) < 0.2


def test_several_digits_get_boxes_names_and_evidence(opened):
    live = opened.live
    live.get_by_role("radio", name="several digits").check(force=True)
    live.get_by_role("button", name="clear").click()
    for kind in ("7", "0", "2"):
        live.locator("#kind").select_option(kind)
        live.locator("#thumbs button").first.click()
    live.locator("#count").select_option("3")
    pixels = (255 - board_pixels(live)[..., 0]).ravel().tolist()
    found = live.evaluate("(root, pixels) => root.find(pixels, 64, 64, 3)", pixels)
    assert sorted(one["name"] for one in found) == [0, 2, 7]
    for layer in live.locator(".boxes").all():
        whole = layer.bounding_box()
        for one, box in zip(found, layer.locator("b").all(), strict=True):
            assert box.inner_text() == str(one["name"])
            place = box.bounding_box()
            top, left, bottom, right = one["box"]
            unit = whole["width"] / 64
            for wanted, is_there in (
                (whole["y"] + top * unit, place["y"]),
                (whole["x"] + left * unit, place["x"]),
                ((bottom - top) * unit, place["height"]),
                ((right - left) * unit, place["width"]),
            ):
                assert abs(wanted - is_there) < 1
    before = board_pixels(live, "#map")
    live.locator("#class").select_option("2")
    assert "favours 2 over" in live.locator("#sum").inner_text()
    assert (board_pixels(live, "#map") != before).any()
    draw(opened.page, live, [[(15, 39), (15, 57)]], side=64)  # a fourth, a 1
    live.locator("#count").select_option("4")
    assert "1" in live.locator(".boxes").first.locator("b").all_inner_texts()


def test_keyboard_alone_picks_digit_class_and_rival(opened):
    page, live = opened.page, opened.live
    live.evaluate("(root) => root.before(document.createElement('button'))")
    live.evaluate("(root) => root.previousElementSibling.focus()")
    keyboard = page.keyboard

    def tab_to(name):
        for _ in range(40):
            keyboard.press("Tab")
            focused = live.evaluate(
                "(root) => [root.shadowRoot.activeElement]"
                ".map((x) => x && (x.id || x.value || x.title))[0]"
            )
            if focused and re.match(name, focused):
                return
        raise AssertionError(f"Tab does not come to {name}")

    tab_to("28")
    tab_to("pen")
    keyboard.press("ArrowRight")
    assert live.locator("[value=eraser]").is_checked()
    tab_to("clear")
    keyboard.press("Enter")
    assert (board_pixels(live) == 255).all()
    tab_to("class")
    keyboard.press("3")
    assert live.locator("#class").input_value() == "3"
    tab_to("rival")
    keyboard.press("5")
    assert "Redder places favour 3 more, bluer ones 5." in text_of_page(live)
    tab_to("kind")
    keyboard.press("8")
    tab_to("wrong")
    keyboard.press("Space")
    tab_to("test digit")
    keyboard.press("Enter")
    said = live.get_by_role("status").inner_text()
    assert "an 8 taken for a" in said
    assert "Redder places favour 3 more, bluer ones 5." in text_of_page(live)


def test_a_finger_draws_on_a_phone_and_nothing_is_wider_than_it(browser, saved):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    options |= {"is_mobile": True, "device_scale_factor": 2}
    with offline(browser, **options) as phone:
        page, live = open_live(phone, saved)
        live.get_by_role("button", name="clear").click()
        board = live.locator("#board")
        board.evaluate("(board) => board.scrollIntoView({ block: 'center' })")
        page.wait_for_timeout(300)
        box, scrolled = board.bounding_box(), page.evaluate("scrollY")
        session = phone.new_cdp_session(page)
        for step in range(11):  # straight down: a page would scroll
            touch = {"x": box["x"] + box["width"] / 2}
            touch["y"] = box["y"] + box["height"] * (0.15 + 0.07 * step)
            kind = "touchMove" if step else "touchStart"
            points = {"type": kind, "touchPoints": [touch]}
            session.send("Input.dispatchTouchEvent", points)
        session.send(
            "Input.dispatchTouchEvent",
            {"type": "touchEnd", "touchPoints": []},
        )
        settle(page)
        assert page.evaluate("scrollY") == scrolled
        ink = 255 - board_pixels(live)[..., 0]
        assert (ink.max(axis=1) > 0).sum() >= 18
        assert "says 1" in live.get_by_role("status").inner_text()
        for size in ("28", "64"):
            live.locator(f"[value='{size}']").check(force=True)
            frame = live.bounding_box()
            assert frame["x"] >= 0 and frame["x"] + frame["width"] <= 390
            wide = live.evaluate(
                """(root) => {
                  const right = (x) => x.getBoundingClientRect().right;
                  const what = "canvas, select, button, td, .words, #said";
                  return [...root.shadowRoot.querySelectorAll(what)]
                    .filter((part) => right(part) > right(root) + 1)
                    .map((part) => part.outerHTML);
                }"""
            )
            assert wide == []
        assert phone.errors == []


@pytest.mark.parametrize("size", ["28", "64"])
def test_axe_finds_no_violation_on_our_page(opened, size):
    """What stands around it is nbconvert's, and judged by others."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened.live.locator(f"[value='{size}']").check(force=True)
    found = axe.Axe().run(opened.page, ".live-cam")
    assert len(found.response["passes"]) > 5  # it has looked into the page
    violations = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found.response["violations"]
    ]
    assert violations == []


def test_a_phone_shows_outputs_in_full_width_and_numbers_whole(browser, saved):
    """Whatever nbconvert's own style wants."""
    with offline(browser, viewport={"width": 390, "height": 844}) as phone:
        page, live = open_live(phone, saved)
        widths = page.evaluate(
            """() => [...document.querySelectorAll(".output_subarea, .text_cell p")]
              .map((part) => [part.className, part.getBoundingClientRect().width])"""
        )
        text = max(width for name, width in widths if not name)
        outputs = [width for name, width in widths if name]
        assert len(outputs) > 50 and min(outputs) > 0.98 * text
        # a line is cut between words, or after a hyphen, and nowhere else
        cut = page.evaluate(
            """() => [...document.querySelectorAll(".output_text pre")].flatMap(
              (part) => {
                const text = part.firstChild, range = document.createRange();
                const top = (i) => {
                  range.setStart(text, i);
                  range.setEnd(text, i + 1);
                  return range.getBoundingClientRect().top;
                };
                const words = [...(text?.data ?? "").matchAll(/[^\\s-]+/g)];
                return words.filter((word) => word[0].length < 30
                  && top(word.index) !== top(word.index + word[0].length - 1))
                  .map((word) => word[0]);
              })"""
        )
        assert cut == []
        summary = page.locator("summary").first
        assert summary.evaluate("(e) => getComputedStyle(e).display") == "list-item"


# ---- neighbours, requests, other networks, other places


def test_the_page_makes_no_request_of_its_own(context, saved, full_run, tmp_path):
    without = nbformat.from_dict(json.loads(json.dumps(full_run.notebook)))
    without.cells = [cell for cell in without.cells if cell["id"] != "live-page"]
    other = save_as_html(without, tmp_path)
    asked = []
    for path in (saved, other):
        context.asked.clear()
        page = context.new_page()
        page.goto(path.as_uri())
        if path is saved:
            live = page.locator(".live-cam")
            draw(page, live, POLYLINES[3])
            live.locator("[value='64']").check(force=True)
            live.locator("#thumbs button").first.click()
        page.wait_for_timeout(500)
        asked.append(set(context.asked))
        page.close()
    assert asked[0] == asked[1]


def test_pages_in_one_document_do_not_meet(context, full_run, maker, tmp_path):
    """The same page twice, and one whose network has negative weights."""
    import keras

    html = live_html(full_run.notebook)
    other = keras.models.load_model(full_run.folder / "model.keras")
    last = other.get_layer("logits")
    last.set_weights([-one for one in last.get_weights()])
    second = page_of(maker, other, np.full((28, 28), 9, np.uint8))
    path = tmp_path / "three.html"
    look = "var before = new Set(Object.getOwnPropertyNames(window))"
    path.write_text(
        f"<!doctype html><meta charset=utf-8><script>{look}</script><p>"
        + html
        + second
        + html,
        encoding="utf-8",
    )
    context.errors.clear()
    page, _ = open_live(context, path)
    first, negative, again = page.locator(".live-cam").all()
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 5:23, 13:16] = 255
    one = run_in(first, image)[0]
    assert np.abs(run_in(again, image)[0] - one).max() == 0
    assert np.abs(run_in(negative, image)[0] + one).max() < 0.01
    words = [text_of_page(live) for live in (negative, again)]
    draw(page, first, POLYLINES[0])
    first.locator("#kind").select_option("3")
    tool(first, "eraser")
    assert "0" in first.get_by_role("status").inner_text()
    assert words == [text_of_page(live) for live in (negative, again)]
    assert again.locator("#kind").input_value() == "4"
    assert again.locator("[value=pen]").is_checked()
    leaked = "Object.getOwnPropertyNames(window).filter((x) => !before.has(x))"
    assert page.evaluate(leaked) == []
    # outside of itself it styles what nbconvert makes, and nothing else
    selectors = page.evaluate(
        """() => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
          .flatMap((rule) => rule.cssRules?.length ? [...rule.cssRules] : [rule])
          .flatMap((rule) => rule.selectorText.split(","))"""
    )
    known = r"\s*(div)?\.(rendered_html|input_area|output_area|output_subarea)\b"
    assert len(selectors) >= 3 and all(re.match(known, one) for one in selectors)
    assert context.errors == []


def small_network(**changes):
    """An untrained network with random weights, biases, too."""
    import keras

    told = {
        "kernel": 5,
        "pool": 2,
        "activation": "relu",
        "filters": 8,
        "offset": 0,
    }
    told |= {
        "rounds": 2,
        "padding": "same",
        "last": None,
        "extra": None,
    } | changes
    keras.utils.set_random_seed(3)
    images = keras.Input((None, None, 1))
    x = keras.layers.Rescaling(1 / 255, offset=told["offset"])(images)
    for _ in range(told["rounds"]):
        x = keras.layers.Conv2D(
            told["filters"],
            told["kernel"],
            padding=told["padding"],
            activation=told["activation"],
            bias_initializer="random_normal",
        )(x)
        if told["extra"] is not None:
            x = told["extra"]()(x)
        x = keras.layers.MaxPooling2D(told["pool"])(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(10, told["last"], bias_initializer="random_normal")(x)
    return keras.Model(images, x)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": 3},
        {"kernel": (4, 2)},
        {"pool": 3},
        {"rounds": 1, "filters": 16},
        {"rounds": 3},
        {"activation": None},
        {"offset": -0.5},
    ],
)
def test_another_network_is_read_from_its_layers(
    context, functions, maker, mnist, tmp_path, changes
):
    model = small_network(**changes)
    html = page_of(maker, model, mnist["x_test"][0])
    (tmp_path / "page.html").write_text(f"<meta charset=utf-8>{html}")
    page, live = open_live(context, tmp_path / "page.html")
    images = mnist["x_test"][:20]
    logits = functions.run(model, images)
    assert np.abs(run_in(live, images)[0] - logits).max() < 0.002 * np.ptp(logits)
    page.close()


@pytest.mark.parametrize("what", ["padding", "activation", "softmax", "norm", "twice"])
def test_a_network_that_the_script_cannot_compute_gets_a_sentence(maker, what):
    import keras

    if what == "padding":
        model = small_network(padding="valid")
    elif what == "activation":
        model = small_network(activation="tanh")
    elif what == "softmax":
        model = small_network(last="softmax")
    elif what == "norm":
        model = small_network(extra=keras.layers.BatchNormalization)
    else:  # layers that it knows, but one of them is used twice
        images = keras.Input((None, None, 1))
        pool = keras.layers.MaxPooling2D(2)
        x = pool(keras.layers.Conv2D(4, 3, padding="same")(images))
        x = pool(keras.layers.Conv2D(4, 3, padding="same")(x))
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(images, keras.layers.Dense(10)(x))
    with pytest.raises(ValueError, match="it "):
        maker.steps_of_page(model)
    # The cell itself: a sentence, no script.
    cell, shown = cell_named(read_notebook(), "live-page"), []
    world = vars(maker) | {"model": model}
    world |= {"display": lambda data, **how: shown.append(data)}
    world |= {"test_images": np.zeros((20, 28, 28), np.uint8)}
    world |= {
        "test_labels": np.arange(20) % 10,
        "predicted": np.arange(20) % 10,
    }
    world |= {"test_logits": np.eye(10)[np.arange(20) % 10]}
    exec(cell.source, world)
    (bundle,) = shown
    assert "There is no live page for this network" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]


def test_before_the_script_runs_stand_a_picture_and_one_sentence(full_run):
    html = live_html(full_run.notebook)
    assert len(html.encode()) <= 450_000
    before, script = html.split("<script>")
    assert script.rstrip().endswith("</script>")
    (words,) = re.findall(r"<p>(.*?)</p>", before, re.S)
    assert words.count(".") == 1 and "README" in words and "GitHub" in words
    cells = full_run.notebook.cells
    places = {cell["id"]: i for i, cell in enumerate(cells)}
    last = [cell["id"] for cell in cells if cell.cell_type == "code"]
    assert "live-page" in last[-1:] or "live-page" in last[-2:]
    picture = cells[places["live-page-text"]]
    assert places["live-page-text"] < places["live-page"]
    assert "(attachment:live-page.png)" in picture.source
    cell = cells[places["live-page"]]
    assert cell.metadata["jupyter"]["source_hidden"] is True
    assert "live-page" in cell.metadata["tags"]


def test_the_saved_page_leaves_the_cell_s_code_out(saved):
    text = saved.read_text(encoding="utf-8")
    assert "steps_of_page" not in text and "classActivationMaps" in text


@pytest.mark.parametrize("look", ["--template classic", "--theme dark"])
def test_it_works_in_other_looks_of_the_page(context, full_run, tmp_path, look):
    context.errors.clear()
    path = save_as_html(full_run.notebook, tmp_path, f"--to html {look}")
    assert "steps_of_page" not in path.read_text(encoding="utf-8")
    page, live = open_live(context, path)
    draw(page, live, POLYLINES[7])
    said = live.locator("#said")
    assert "changed" in said.inner_text()
    colours = said.evaluate(
        "(words) => [getComputedStyle(words).color,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    words, ground = map(brightness, colours)
    assert abs(words - ground) > 120
    assert context.errors == []
    page.close()


# ---- a person in JupyterLab


@pytest.fixture(scope="module")
def lab(full_run, tmp_path_factory):
    """A JupyterLab with a quick copy to run and one that is not trusted."""
    house = tmp_path_factory.mktemp("lab")
    folder = house / "project"
    shutil.copytree(ROOT / "tests" / "data", folder / "tests" / "data")
    notebook = read_notebook()
    set_parameters(notebook, QUICK)
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    nbformat.write(full_run.notebook, folder / "foreign.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {f"JUPYTER{name}": str(house) for name in ("_CONFIG_DIR", "_DATA_DIR")}
    places |= {f"JUPYTERLAB_{n}_DIR": str(house) for n in ("SETTINGS", "WORKSPACES")}
    for plugin, name, settings in (
        # Cells out of sight stay in the page, for the test to find.
        ("notebook-extension", "tracker", '{"windowingMode": "none"}'),
        ("apputils-extension", "themes", '{"theme": "JupyterLab Dark"}'),
    ):
        where = house / "@jupyterlab" / plugin
        where.mkdir(parents=True)
        (where / f"{name}.jupyterlab-settings").write_text(settings)
    command = "-m jupyterlab --no-browser --allow-root --ip=127.0.0.1"
    options = [
        f"--port={port}",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
    ]
    server = subprocess.Popen(
        [sys.executable, *command.split(), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **places},
    )
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


@pytest.fixture
def visitor(browser):
    """A page of a browser that may reach JupyterLab."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    yield context.new_page()
    context.close()


def wait_until_idle(page, limit=900):
    """Return when no cell has been running or waiting for five seconds."""
    prompts = """[...document.querySelectorAll(".jp-InputArea-prompt")]
      .map((prompt) => prompt.innerText)"""
    deadline, idle = time.time() + limit, 0
    while idle < 5:
        assert time.time() < deadline, "the notebook still runs"
        time.sleep(1)
        waiting = any("*" in prompt for prompt in page.evaluate(prompts))
        busy = waiting or page.locator("[data-status='busy']").count()
        idle = 0 if busy else idle + 1


def open_in_lab(page, address):
    page.goto(address + "?reset")  # what another test had open stays closed
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.get_by_text("| Idle").first.wait_for(timeout=90_000)  # the kernel is up
    time.sleep(2)


def test_in_jupyterlab_it_works_after_running_and_running_again(lab, visitor):
    page = visitor
    open_in_lab(page, lab + "cam_mnist.ipynb")
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    wait_until_idle(page)
    errors = "[data-mime-type='application/vnd.jupyter.error']"
    assert page.locator(errors).count() == 0
    live = page.locator(".live-cam")
    live.scroll_into_view_if_needed()
    draw(page, live, POLYLINES[3])
    assert "changed" in live.get_by_role("status").inner_text()
    cells = page.locator(".jp-Cell").count()
    live.locator("#class").focus()
    for key in "adbxz":  # in command mode: cells above and below, cut, undo
        page.keyboard.press(key)
    assert page.locator(".jp-Cell").count() == cells
    page.wait_for_timeout(2000)  # a list takes keys in quick succession for a word
    page.keyboard.press("3")
    assert live.locator("#class").input_value() == "3"
    # Words are light on JupyterLab's dark ground.
    colours = live.locator("#said").evaluate(
        """(words) => {
          const notebook = document.querySelector(".jp-Notebook");
          const style = [words, notebook].map((x) => getComputedStyle(x));
          return [style[0].color, style[1].backgroundColor];
        }"""
    )
    assert brightness(colours[0]) > 180 and brightness(colours[1]) < 60
    # Again: the new page stands in the old one's place.
    page.evaluate("document.querySelector('.live-cam').id = 'old'")
    page.locator("[data-command='notebook:run-cell-and-select-next']").first.click()
    page.wait_for_function("() => document.querySelector('.live-cam:not(#old)')?.run")
    assert page.locator(".live-cam").count() == 1
    assert page.locator(errors).count() == 0


def test_an_untrusted_notebook_shows_the_picture_and_the_sentence(lab, visitor):
    open_in_lab(visitor, lab + "foreign.ipynb")
    cells = visitor.locator(".jp-CodeCell")
    sentence = cells.filter(has_text="The live page comes here").last
    sentence.scroll_into_view_if_needed()
    shown = sentence.locator(".jp-OutputArea-output").inner_text()
    assert "README" in shown and "const" not in shown
    built = sentence.evaluate(
        """(cell) => [...cell.querySelectorAll("*")]
          .some((part) => part.shadowRoot)"""
    )
    assert not built
    texts = "xpath=preceding-sibling::*[contains(@class, 'jp-MarkdownCell')]"
    picture = sentence.locator(texts).locator("img[alt^='The live page']")
    assert picture.count() == 1
    assert picture.evaluate("(image) => image.naturalWidth") == 700
