"""The live page in a real browser: network, drawing, neighbours."""

import asyncio
import base64
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
import pytest

import browser as web
from browser import POLYLINES, bars, draw, ink, numbers, run_in, said, settle, spots
from conftest import cell_named, read_notebook

pytestmark = pytest.mark.skipif(not web.CHROMIUM, reason="no chromium on this machine")
CIRCLE = [
    (14 + 9 * np.cos(angle), 14 + 9 * np.sin(angle))
    for angle in np.linspace(0, 2 * np.pi, 121)
]
PAGE_CELLS = "live-page-style", "live-page-network", "live-page-drawing", "live-page"


# ---- fixtures


@pytest.fixture(scope="module")
def html(stored):
    return web.live_html(stored)


@pytest.fixture(scope="module")
def told(html):
    return web.told_by(html)


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    """The stored page, alone in a document: it opens with an example."""
    return web.write_page(html, tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def browser():
    with web.open_browser() as one:
        yield one


@pytest.fixture(scope="module")
def context(browser):
    with web.offline(browser, viewport={"width": 1280, "height": 1000}) as one:
        yield one


@pytest.fixture
def live(context, file):
    """The page, fresh; whatever a test does there must leave no error."""
    context.errors.clear()
    page, live = web.open_live(context, file)
    yield live
    assert context.errors == []
    page.close()


@pytest.fixture
def empty(live):
    """The page with nothing on its board."""
    live.locator("#clear").click()
    settle(live.page)
    return live


@pytest.fixture(scope="module")
def keras_network(told):
    """The page's network, made anew of its own weights, in Keras."""
    import keras

    images = x = keras.Input((None, None, 1))
    for layer in told["layers"]:
        if layer["step"] == "rescale":
            x = keras.layers.Rescaling(layer["scale"], layer["offset"])(x)
        elif layer["step"] == "maxPool":
            x = keras.layers.MaxPooling2D(layer["size"])(x)
        else:
            *shape, outputs = layer["shape"]
            if len(shape) == 1:
                features, x = x, keras.layers.GlobalAveragePooling2D()(x)
                one = keras.layers.Dense(outputs)
            else:
                act = "relu" if layer["relu"] else None
                one = keras.layers.Conv2D(outputs, shape[:2], 1, "same", activation=act)
            x = one(x)
            integers = np.frombuffer(base64.b64decode(layer["weights"]), "<i2")
            weights = integers * np.float32(layer["unit"])
            one.set_weights(
                [weights[:-outputs].reshape(*shape, outputs), weights[-outputs:]]
            )
    head = one.get_weights()[0]
    network = keras.Model(images, [features, x])

    def run(images):
        features, logits = network.predict(images[..., None], verbose=0)
        return logits, features @ head

    return run


def fill(functions, model, images, stride=4, patch=16):
    """The page's HTML for another network, made by the notebook's own cells."""
    import keras

    pooling = next(x for x in model.layers if "GlobalAverage" in type(x).__name__)
    weights, bias = model.layers[-1].get_weights()[:2]
    logits = functions.run(model, images)
    shown = []
    world = {
        **vars(functions),
        "model": model,
        "explainer": keras.Model(model.inputs, [pooling.input, model.outputs[0]]),
        "class_weights": weights,
        "bias": bias,
        "stride": stride,
        "patch": patch,
        "test_images": images,
        "test_labels": np.arange(len(images)) % 10,
        "test_logits": logits,
        "predicted": logits.argmax(axis=1),
        "display": lambda data, **how: shown.append(data["text/html"]),
    }
    for name in PAGE_CELLS:
        exec(cell_named(read_notebook(), name).source, world)
    return shown[0]


# ---- the same network as Keras'


@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (30, 45), (28, 31)])
def test_logits_and_maps_are_keras(live, keras_network, mnist, shape):
    """Each image after another one and after itself with a piece erased."""
    images = np.zeros((60, *shape), np.uint8)
    images[:, :28, :28] = np.repeat(mnist["x_train"][:30], 2, axis=0)
    images[1::2, 10:16, 8:20] = 0
    logits, maps = run_in(live, images)
    keras_logits, keras_maps = keras_network(images)
    assert maps.shape == keras_maps.shape
    assert np.abs(logits - keras_logits).max() < 1e-3
    assert np.abs(maps - keras_maps).max() < 1e-2


def test_stored_digits_get_the_notebook_s_answers(live, told, mnist):
    digits = [
        np.frombuffer(base64.b64decode(one[3]), np.uint8) for one in told["digits"]
    ]
    images = np.reshape(digits, (-1, 28, 28))
    logits, _ = run_in(live, images)
    assert len(images) > 90
    assert logits.argmax(axis=1).tolist() == [
        guess for _, _, guess, _ in told["digits"]
    ]
    # 16-bit weights: Keras computed these with 32-bit ones
    assert np.abs(logits[0] - told["logits"]).max() < 1e-2
    for (number, label, *_), image in zip(told["digits"], images):
        assert (image == mnist["x_test"][number]).all() and label == mnist["y_test"][
            number
        ]


@pytest.mark.parametrize("call", ["[], 0, 0", "[0, 0, 0], 28, 28", "[], 28"])
def test_run_and_find_refuse_pixels_that_do_not_fit_the_size(live, call):
    for name in ("run", "find"):
        with pytest.raises(Exception, match="pixels"):
            live.evaluate(f"(root) => root.{name}({call})")


# ---- several digits


def held_out_boards(mnist, count, seed):
    """Boards 64×64 of one to three held-out digits, ink 4 pixels apart at least."""
    random, boards = np.random.default_rng(seed), []
    while len(boards) < count:
        board, truth, free = np.zeros((64, 64), np.uint8), [], np.ones((64, 64), bool)
        for number in random.integers(55_000, 60_000, 1 + len(boards) % 3):
            image = mnist["x_train"][number]
            rows, columns = (np.flatnonzero(image.any(axis=i)) for i in (1, 0))
            digit = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            height, width = digit.shape
            for _ in range(100):
                top, left = random.integers(0, [65 - height, 65 - width])
                if free[top : top + height, left : left + width].all():
                    break
            else:
                break  # no room: another board
            board[top : top + height, left : left + width] = digit
            free[
                max(0, top - 4) : top + height + 4, max(0, left - 4) : left + width + 4
            ] = 0
            middle = top + height / 2, left + width / 2
            truth.append((int(mnist["y_train"][number]), *middle))
        else:
            boards.append((board, truth))
    return boards


def wholly_right(found, truth):
    """Each digit once, by name, within 9 pixels of its place; nothing else."""
    left = list(truth)
    for one in found:
        for digit in left:
            name, row, column = digit
            off = max(abs(one["row"] + 14 - row), abs(one["column"] + 14 - column))
            if name == one["class"] and off <= 9:
                left.remove(digit)
                break
        else:
            return False
    return left == []


def test_one_to_three_held_out_digits_are_found(live, mnist):
    boards = held_out_boards(mnist, 150, seed=28)
    found = [web.find_in(live, board) for board, _ in boards]
    right = [wholly_right(one, truth) for one, (_, truth) in zip(found, boards)]
    assert np.mean(right) >= 0.75


def test_a_window_s_score_is_its_probability_times_its_mean_evidence(
    live, told, keras_network, mnist
):
    boards = np.stack([board for board, _ in held_out_boards(mnist, 6, seed=3)])
    maps = keras_network(np.concatenate([boards, 0 * boards[:1]]))[1]
    *_, bias = told["layers"]
    outputs = bias["shape"][-1]
    integers = np.frombuffer(base64.b64decode(bias["weights"]), "<i2")
    bias = integers[-outputs:] * bias["unit"]
    for board, one_map in zip(boards, maps):
        for one in web.find_in(live, board):
            row, column = (one[k] // told["stride"] for k in ("row", "column"))
            window = np.s_[row : row + told["side"], column : column + told["side"]]
            powers = np.exp(one_map[window].mean(axis=(0, 1)) + bias)
            chance = powers[one["class"]] / powers.sum()
            evidence = (one_map - maps[-1])[window].mean(axis=(0, 1))
            score = chance * (evidence - evidence.mean())[one["class"]]
            assert abs(one["probability"] - chance) < 1e-3
            assert abs(one["score"] - score) < 1e-2


def test_nothing_is_found_where_there_is_no_digit(live):
    web.board_size(live, 64)
    assert web.find_in(live, np.zeros((64, 64), np.uint8)) == []
    for lines in (
        [[(30, 30), (30.5, 30.5)]],
        [[(4, 8 + 6 * i), (60, 5 + 6 * i), (4, 8 + 6 * (i + 1))] for i in range(8)],
    ):
        live.locator("#clear").click()
        draw(live, lines, side=64)
        assert said(live).startswith("Nothing found")
        assert live.locator("#found b").count() == 0


def test_several_digits_get_boxes_names_and_evidence(live):
    web.board_size(live, 64)
    for kind in ("7", "0", "2"):
        live.locator("#kind").select_option(kind)
        live.locator("#thumbs label").first.click()
    settle(live.page)
    pixels = ink(live)
    left, found = pixels.copy(), web.find_in(live, pixels)
    assert sorted(one["class"] for one in found) == [0, 2, 7]
    whole = live.locator("#found").bounding_box()
    unit = whole["width"] / 64
    for one, box in zip(found, live.locator("#found b").all(), strict=True):
        assert box.inner_text() == str(one["class"])
        assert f"{one['class']} (" in said(live)
        place = box.bounding_box()
        window = np.zeros((64, 64), bool)
        window[one["row"] :, one["column"] :][:28, :28] = True
        rows, columns = np.nonzero((left > 0) & window)
        left[window] = 0  # the next one's box goes around other ink
        for wanted, is_there in (
            (whole["y"] + rows.min() * unit, place["y"]),
            (whole["x"] + columns.min() * unit, place["x"]),
            ((np.ptp(rows) + 1) * unit, place["height"]),
            ((np.ptp(columns) + 1) * unit, place["width"]),
        ):
            assert abs(wanted - is_there) < 1
    before = web.canvas_pixels(live, "map")
    live.locator("#class").select_option("2")
    settle(live.page)
    assert "favours 2 over" in live.locator("#sum").inner_text()
    assert (web.canvas_pixels(live, "map") != before).any()


# ---- the hand


def test_ten_drawn_digits_are_recognised(live):
    right = []
    for digit, lines in POLYLINES.items():
        live.locator("#clear").click()
        draw(live, lines)
        right.append(said(live).startswith(f"The network says {digit} "))
    assert sum(right) >= 9, right


async def circle_on_a_slow_machine(path):
    """Draw a circle in 120 moves at once, on a page at a sixth of its speed."""
    from playwright.async_api import async_playwright

    async with async_playwright() as play:
        one = await play.chromium.launch(**web.LAUNCH)
        page = await one.new_page(viewport={"width": 1280, "height": 1000})
        await page.goto(path.as_uri())
        await page.wait_for_function("() => document.querySelector('.live-cam').run")
        await page.wait_for_timeout(300)
        session = await page.context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
        box = await page.locator("#board").bounding_box()
        unit, waiting = box["width"] / 28, []
        for number, (x, y) in enumerate(CIRCLE):
            event = {"x": box["x"] + x * unit, "y": box["y"] + y * unit}
            event |= {"button": "left", "buttons": 1, "clickCount": 1}
            event["type"] = "mouseMoved" if number else "mousePressed"
            send = session.send("Input.dispatchMouseEvent", event)
            waiting.append(asyncio.ensure_future(send))
        event["type"] = "mouseReleased"
        await asyncio.gather(*waiting, session.send("Input.dispatchMouseEvent", event))
        await session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        await page.wait_for_timeout(500)
        drawn = await page.evaluate(
            """() => {
              const canvas = document.querySelector(".live-cam").shadowRoot
                .querySelector("#board");
              const bytes = canvas.getContext("2d").getImageData(0, 0, 28, 28).data;
              return [...bytes].filter((_, i) => i % 4 === 0);
            }"""
        )
        await one.close()
    return 255 - np.reshape(drawn, (28, 28))


def test_a_circle_stays_a_circle_on_a_slow_machine(file):
    with ThreadPoolExecutor() as pool:  # the fixtures' browser has its own loop
        drawn = pool.submit(asyncio.run, circle_on_a_slow_machine(file)).result()
    y, x = np.indices((28, 28)) + 0.5
    off = np.abs(np.hypot(x - 14, y - 14) - 9)
    assert (drawn[off < 0.5] > 128).all()
    assert (drawn[off > 2.5] == 0).all()


def test_strokes_are_soft_and_about_two_pixels_wide(empty):
    draw(empty, [[(4, 14.5), (24, 14.5)]])
    across = ink(empty)[:, 8:20] / 255
    assert (np.abs(across.sum(axis=0) - 2.2) < 0.5).all()
    assert across.max() == 1  # black in the middle
    assert ((across > 0) & (across < 1)).any(axis=0).all()  # soft at the edge


def press(live, kind, spot, pointer=1, button=0, kind_of="mouse"):
    """Send one pointer event to the board; return what #said says at once."""
    return live.locator("#board").evaluate(
        """(board, [kind, x, y, pointerId, button, pointerType]) => {
          board.setPointerCapture = () => {}; // a made-up pointer has none
          board.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: y,
            pointerId, button, pointerType, bubbles: true, composed: true,
            isPrimary: pointerId === 1 }));
          return board.getRootNode().querySelector("#said").textContent;
        }""",
        [kind, *spot, pointer, button, kind_of],
    )


def test_one_pointer_draws_from_down_to_up(empty):
    a, b, c, d = spots(empty, [(6, 6), (6, 20), (20, 6), (20, 20)])
    press(empty, "pointerdown", c, button=2)  # the right button draws nothing
    press(empty, "pointerup", c, button=2)
    press(
        empty, "pointerdown", a, pointer=7, kind_of="touch"
    )  # a thumb rests elsewhere
    press(empty, "pointerdown", c, pointer=8, kind_of="touch")  # a second finger
    press(empty, "pointermove", d, pointer=8, button=-1, kind_of="touch")
    press(empty, "pointerup", d, pointer=8, kind_of="touch")
    press(empty, "pointermove", b, pointer=7, button=-1, kind_of="touch")
    press(empty, "pointerup", b, pointer=7, kind_of="touch")
    press(empty, "pointermove", c, pointer=7, button=-1, kind_of="touch")  # lifted
    settle(empty.page)
    drawn = ink(empty)
    assert (drawn[7:19, 5:7] > 128).all() and drawn[:, 9:].max() == 0
    # a pen's other end erases
    press(empty, "pointerdown", a, pointer=9, button=5, kind_of="pen")
    press(empty, "pointermove", b, pointer=9, button=-1, kind_of="pen")
    press(empty, "pointerup", b, pointer=9, button=5, kind_of="pen")
    settle(empty.page)
    assert ink(empty).max() == 0


def test_the_first_stroke_replaces_the_example_but_not_a_digit_that_was_picked(live):
    assert "test digit" in said(live) and ink(live).any()
    (spot,) = spots(live, [(5, 5)])
    before = said(live)
    assert press(live, "pointerdown", spot) == before  # nothing computed yet
    press(live, "pointerup", spot)
    settle(live.page)
    assert "test digit" not in said(live) and not ink(live)[8:].any()
    live.locator("#thumbs label").first.click()
    settle(live.page)
    picked = ink(live)
    draw(live, [[(4, 4), (4, 9)]])
    assert (ink(live) >= picked).all() and ink(live)[4:9, 3:5].all()
    assert said(live).endswith("changed.")


def test_erasing_changes_bars_and_undo_brings_them_back(empty):
    draw(empty, POLYLINES[4])
    before, picture = bars(empty), ink(empty)
    web.tool(empty, "eraser")
    draw(empty, [[(19, 14), (17.4, 17), (15.8, 24)]])
    assert bars(empty) != before
    assert (ink(empty) <= picture).all() and (ink(empty) < picture).sum() > 30
    empty.page.keyboard.press("Control+z")  # the board has the focus
    settle(empty.page)
    assert bars(empty) == before and (ink(empty) == picture).all()


def test_only_a_digit_of_another_size_is_offered_to_be_fitted(empty):
    fit = empty.locator("#fit")
    draw(empty, POLYLINES[0])
    assert fit.is_hidden() and "fit" not in said(empty)
    for points in ([(14, 2), (13, 26)], [(14, 11), (13.5, 17)]):
        empty.locator("#clear").click()
        draw(empty, [points])
        before = ink(empty)
        assert fit.is_visible() and "pixels large" in said(empty)
        fit.click()
        settle(empty.page)
        assert fit.is_hidden() and "says 1" in said(empty)
        rows, columns = np.nonzero(ink(empty))
        assert abs(np.ptp(rows) + 1 - 20) <= 1
        assert abs(np.average(rows, weights=ink(empty)[rows, columns]) - 13.5) < 1
        empty.locator("#undo").click()
        settle(empty.page)
        assert (ink(empty) == before).all()  # it never fits by itself


def test_a_finger_draws_on_a_phone_and_nothing_is_wider_than_it(browser, file):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    options |= {"is_mobile": True, "device_scale_factor": 2}
    with web.offline(browser, **options) as phone:
        page, live = web.open_live(phone, file)
        live.locator("#clear").click()
        places = spots(live, [(14, 4 + 2 * i) for i in range(11)])
        scrolled = page.evaluate("scrollY")
        session = phone.new_cdp_session(page)
        for step, (x, y) in enumerate(places):  # straight down: a page would scroll
            kind = "touchMove" if step else "touchStart"
            points = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            session.send("Input.dispatchTouchEvent", points)
        end = {"type": "touchEnd", "touchPoints": []}
        session.send("Input.dispatchTouchEvent", end)
        settle(page)
        assert page.evaluate("scrollY") == scrolled
        assert "says 1" in said(live)
        for size in (28, 64):
            web.board_size(live, size)
            wide = live.evaluate(
                """(root) => [...root.shadowRoot.querySelectorAll("*")]
                  .filter((part) => !part.closest(".over, .unseen, #bars tr > th")
                    && part.getBoundingClientRect().right > innerWidth)
                  .map((part) => part.outerHTML)"""
            )
            assert wide == []
        assert phone.errors == []


# ---- what it shows


def test_pictures_are_matplotlib_s_of_map_and_contrast(
    live, told, keras_network, mnist
):
    """Class and rival as chosen; colours, the one scale and places as there."""
    import matplotlib.pyplot as plt
    import tensorflow as tf

    number = told["digits"][0][0]
    logits, maps = (x[0] for x in keras_network(mnist["x_test"][number][None]))
    order, limit = np.argsort(logits), told["limits"][0]
    assert f"+{limit}" in live.locator("#high").inner_text()

    def check(chosen, rival):
        settle(live.page)
        pair = maps[..., chosen], maps[..., chosen] - maps[..., rival]
        for name, one in zip(("map", "contrast"), pair):
            drawn = web.canvas_pixels(live, name)
            large = tf.image.resize(one[..., None], drawn.shape[:2])[..., 0]
            share = np.clip(0.5 + large / limit / 2, 0, 1)
            wanted = plt.get_cmap("RdBu_r")(share, bytes=True)[..., :3]
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


def test_outlines_do_not_wrap_around_the_border(empty):
    draw(empty, [[(0.5, 0.5), (0.5, 27.5), (14, 27.5)]])
    black = (web.canvas_pixels(empty, "map") == 0).all(axis=-1)
    assert black[:, :100].any()
    assert not black[:, 200:].any() and not black[:100, 50:].any()


def test_the_slider_moves_maps_and_logits_and_no_probability(live):
    live.locator("#kind").select_option("wrong")
    live.locator("#thumbs label").nth(3).click()
    settle(live.page)

    def look():
        pictures = [web.canvas_pixels(live, name) for name in ("map", "contrast")]
        return *bars(live), *pictures, numbers(live.locator("#sum").inner_text())

    logits, chances, one_map, contrast, account = look()
    live.locator("#t").fill("2.5")
    settle(live.page)
    moved, still, another_map, same_contrast, another = look()
    assert still == chances and "100%" not in chances
    by = np.subtract([*map(float, moved)], [*map(float, logits)])
    assert np.ptp(by) < 0.21 and abs(by[0]) > 0.5
    assert (another_map != one_map).mean() > 0.3
    assert np.abs(same_contrast.astype(int) - contrast).max() <= 4
    assert abs(another[2] - account[2] - by[0]) < 0.2


def test_a_cell_s_patch_and_share_of_the_account(live, told, keras_network, mnist):
    logits, maps = (
        x[0] for x in keras_network(mnist["x_test"][told["digits"][0][0]][None])
    )
    best, second = np.argsort(-logits)[:2]
    pair = {"#sum": maps[..., best], "#difference": maps[..., best] - maps[..., second]}
    box, side = live.locator("#map").bounding_box(), len(maps)

    def check(row, column):
        for line, one in pair.items():
            *_, adds, total = numbers(live.locator(line).inner_text())
            assert abs(adds - one[row, column] / one.size) < 0.006
            assert abs(total - one.mean()) < 0.006
        whole = live.locator("#board").bounding_box()
        patch = live.locator(".cell").first.bounding_box()
        unit, lead = whole["width"] / 28, (told["patch"] - told["stride"]) / 2
        assert abs(patch["width"] / unit - told["patch"]) < 0.3
        top = whole["y"] + (row * told["stride"] - lead) * unit
        assert abs(patch["y"] - top) < 2

    spot = [box[k] + box["width"] * at / side for k, at in (("x", 4.5), ("y", 2.5))]
    live.page.mouse.move(*spot)
    check(2, 4)
    live.page.mouse.move(0, 0)
    assert live.locator(".cell").first.is_hidden()
    live.locator("#map").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown"):
        live.page.keyboard.press(key)
    check(3, 1)
    assert "Row 4, column 2." in live.get_by_role("status").inner_text()
    live.page.keyboard.press("Tab")
    assert live.locator(".cell").first.is_hidden()


def test_accounts_add_up_and_would_say_if_they_did_not(live, context, html, tmp_path):
    for number in range(11):
        live.locator("#thumbs label").nth(number).click()
        settle(live.page)
        best, second = sorted(map(float, bars(live)[0]))[::-1][:2]
        for name, wanted in (("#sum", best), ("#difference", best - second)):
            mean, bias, total = numbers(live.locator(name).inner_text())[:3]
            assert round(100 * (mean + bias)) == round(100 * total)
            assert abs(total - wanted) < 0.11  # bars have one decimal
    drawn = "const one = mapOf(maps, chosen)"
    assert drawn in html
    broken = html.replace(drawn, f"{drawn}.map((x) => Math.max(x, 0))")  # a ReLU
    page, other = web.open_live(context, web.write_page(broken, tmp_path))
    assert "≠ logit" in other.locator("#sum").inner_text()
    page.close()


def test_a_bar_stands_on_the_side_of_its_sign(live):
    for i, text in enumerate(bars(live)[0]):
        bar = live.locator("#bars i").nth(i).bounding_box()
        pole = live.locator("#bars .pole").nth(i).bounding_box()
        middle = pole["y"] + pole["height"] / 2
        assert (middle - bar["y"] > bar["height"] / 2) == (float(text) > 0)
        share = bar["height"] / pole["height"] * 30  # 15 fills half a pole
        assert abs(share - abs(float(text))) < 0.3


# ---- everybody


def test_keyboard_alone_picks_a_digit_in_one_tab_stop(live):
    live.evaluate("(root) => root.before(document.createElement('button'))")
    live.evaluate("(root) => root.previousElementSibling.focus()")
    stops = []
    while True:
        live.page.keyboard.press("Tab")
        now = live.evaluate(
            "({ shadowRoot: { activeElement: x } }) => x && (x.id || x.name)"
        )
        if not now:
            break
        stops.append(now)
    assert stops == ["size", "board", "tool", "undo", "clear", "class", "map", "rival",
                     "contrast", "t", "kind", "digit"]  # fmt: skip
    live.page.keyboard.press("Shift+Tab")
    live.page.keyboard.press("ArrowRight")
    settle(live.page)
    title = live.locator("#thumbs label").nth(1).get_attribute("title")
    assert title in said(live)


def test_a_screen_reader_hears_one_sentence_a_stroke(empty):
    empty.evaluate(
        """(root) => new MutationObserver((list) => { root.heard = (root.heard ?? 0)
          + list.length; }).observe(root.shadowRoot.querySelector("#heard"),
          { childList: true })"""
    )
    mouse = empty.page.mouse
    for number, spot in enumerate(spots(empty, CIRCLE[::40])):
        mouse.move(*spot, steps=9)
        if number == 0:
            mouse.down()
        empty.page.wait_for_timeout(250)  # the network has answered
        assert number == 0 or "The network says" in said(empty)
        assert empty.evaluate("(root) => root.heard") is None
    mouse.up()
    settle(empty.page)
    assert empty.evaluate("(root) => root.heard") == 1
    assert empty.get_by_role("status").inner_text() == said(empty)


@pytest.mark.parametrize("size", [28, 64])
def test_axe_finds_no_violation_on_our_page(live, size):
    """What stands around it is nbconvert's, and judged by others."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    web.board_size(live, size)
    found = axe.Axe().run(live.page, ".live-cam").response
    assert len(found["passes"]) > 5  # it has looked into the page
    small = live.evaluate(
        """(root) => [...root.shadowRoot.querySelectorAll("button, select, label")]
          .map((part) => [part.getBoundingClientRect(), part.outerHTML])
          .filter(([box]) => box.width && (box.width < 24 || box.height < 24))"""
    )
    wrong = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]]
    assert wrong == [] and small == []


def test_high_contrast_and_print_keep_bars_and_chosen_tools(live):
    page = live.page
    ground = "(part) => getComputedStyle(part).backgroundColor"

    def look():
        bar = live.locator("#bars .chosen").evaluate(ground)
        pen = live.locator("[value=pen] + span").evaluate(ground)
        return bar, pen, live.locator("[value=eraser] + span").evaluate(ground)

    bar, *_ = look()
    page.emulate_media(forced_colors="active")
    forced_bar, pen, eraser = look()
    assert forced_bar == bar and pen != eraser
    page.emulate_media(forced_colors="none", media="print")
    kept = "(part) => getComputedStyle(part).printColorAdjust"
    for part in ("#bars .chosen", "[value=pen] + span"):
        assert live.locator(part).evaluate(kept) == "exact"


def test_a_right_to_left_page_keeps_scale_and_labels_together(context, html, tmp_path):
    path = web.write_page(html, tmp_path, "<script>document.dir = 'rtl'</script>")
    page, live = web.open_live(context, path)
    low, high = (live.locator(f"#{name}").bounding_box() for name in ("low", "high"))
    assert low["x"] < high["x"]  # as blue is left of red
    page.close()


# ---- its neighbours


def test_it_asks_for_nothing_and_leaves_nothing_behind(context, html, tmp_path):
    """Two pages in one document, with ears for what a slide show listens to."""
    before = """<div class=reveal><p id=words style='color: rgb(1, 2, 3)'>Words.</p>
      <script>var heard = [], known;
      for (const kind of ["keydown", "pointerdown", "touchstart", "touchmove"])
        document.addEventListener(kind, (event) => heard.push(event.key ?? kind));
      known = new Set(Object.getOwnPropertyNames(window));</script>"""
    context.errors.clear()
    context.asked.clear()
    path = web.write_page(html + html, tmp_path, before)
    page, live = web.open_live(context, path)
    other = page.locator(".live-cam").nth(1)
    words = said(other)
    draw(live, POLYLINES[3])
    live.locator("#map").focus()
    for key in ("ArrowRight", "ArrowUp", "Space"):
        page.keyboard.press(key)
    assert page.evaluate("heard") == []
    assert "says 3" in said(live) and said(other) == words
    assert context.asked == [] and context.errors == []
    leaked = "Object.getOwnPropertyNames(window).filter((x) => !known.has(x))"
    assert page.evaluate(leaked) == []
    rules = """[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
      .map((rule) => rule.selectorText)"""
    assert set(page.evaluate(rules)) == {".live-cam-still"}
    page.close()


def small_network(**changes):
    """An untrained network with random weights, biases, too."""
    import keras

    told = {"kernel": 5, "pool": 2, "activation": "relu", "rounds": 2, "offset": 0}
    told |= {"padding": "same", "last": None, "extra": None, "stride": 1} | changes
    keras.utils.set_random_seed(3)
    images = keras.Input((None, None, 1))
    x = keras.layers.Rescaling(1 / 255, offset=told["offset"])(images)
    for _ in range(told["rounds"]):
        x = keras.layers.Conv2D(
            8, told["kernel"], told["stride"], told["padding"],
            activation=told["activation"], bias_initializer="random_normal",
        )(x)  # fmt: skip
        x = keras.layers.MaxPooling2D(told["pool"])(x)
    if told["extra"]:
        x = told["extra"]()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(10, told["last"], bias_initializer="random_normal")(x)
    return keras.Model(images, x)


@pytest.mark.parametrize(
    "changes", [{"kernel": (4, 2), "pool": 3}, {"rounds": 3, "offset": -0.5}]
)
def test_another_network_is_read_from_its_layers(
    context, functions, mnist, tmp_path, changes
):
    model, images = small_network(**changes), mnist["x_test"][:20]
    html = fill(functions, model, images)
    page, live = web.open_live(context, web.write_page(html, tmp_path))
    logits = functions.run(model, images)
    assert np.abs(run_in(live, images)[0] - logits).max() < 0.002 * np.ptp(logits)
    page.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"padding": "valid"},
        {"activation": "tanh"},
        {"stride": 2},
        {"last": "softmax"},
        {"extra": "BatchNormalization"},
        {"extra": "GlobalAveragePooling2D"},
    ],
)
def test_a_network_that_the_script_cannot_compute_gets_a_sentence(
    context, functions, mnist, tmp_path, changes
):
    import keras

    extra = changes.get("extra")
    if extra == "BatchNormalization":
        changes = {"extra": keras.layers.BatchNormalization}
    elif extra:  # the layers that it knows, in another order
        changes = {"extra": lambda: keras.layers.Dense(16)}
    html = fill(functions, small_network(**changes), mnist["x_test"][:20])
    page = context.new_page()
    page.goto(web.write_page(html, tmp_path).as_uri())
    assert "There is no live page for this network: " in page.inner_text("body")
    assert page.locator("#board").count() == 0
    if extra:
        assert "<script" not in html
    page.close()


# ---- a web page, a slide, JupyterLab


def small_notebook(stored, first=True):
    """The notebook's opening, the live page's text and its output."""
    notebook = nbformat.from_dict({**stored, "cells": []})
    opening = "# Where?\n\nFirst lines.\n\n" + "<div id='live-page-here'></div>" * first
    notebook.cells = [nbformat.v4.new_markdown_cell(f"{opening}\n\nMore.\n\n## Part 1")]
    notebook.cells += [
        cell_named(stored, name) for name in ("live-page-text", "live-page")
    ]
    return notebook


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("marked", [True, False])
def test_it_opens_the_web_page_empty(browser, stored, tmp_path, template, marked):
    notebook = small_notebook(stored, marked)
    path = web.save_as_html(notebook, tmp_path, "--to", "html", "--template", template)
    with web.offline(browser, viewport={"width": 1280, "height": 900}) as context:
        page, live = web.open_live(context, path)
        top = live.bounding_box()["y"]
        words = [page.get_by_text(text, exact=True).bounding_box()["y"]
                 for text in ("First lines.", "More.")]  # fmt: skip
        assert words[0] < top < words[1]
        assert not ink(live).any() and "empty" in said(live)
        assert page.locator("img[alt^='The live page']").is_hidden()
        ghost = live.locator(".ghost")
        assert float(ghost.evaluate("(x) => getComputedStyle(x).opacity")) > 0
        draw(live, POLYLINES[7])
        assert "says 7" in said(live) and ghost.count() == 0
        assert context.errors == []


def test_the_ghost_is_gone_after_five_seconds_and_with_reduced_motion(
    browser, stored, tmp_path
):
    path = web.save_as_html(small_notebook(stored), tmp_path, "--to", "html")
    seen = (
        "(x) => getComputedStyle(x).display !== 'none' && getComputedStyle(x).opacity"
    )
    for motion, wait in (("reduce", 300), ("no-preference", 5000)):
        with web.offline(browser, reduced_motion=motion) as context:
            page, live = web.open_live(context, path)
            page.wait_for_timeout(wait)
            assert live.locator(".ghost").evaluate(seen) in (False, "0")
            assert live.locator(".guide").is_visible()


def test_without_scripts_a_picture_stands_and_says_how_to_get_the_page(
    browser, stored, tmp_path
):
    path = web.save_as_html(small_notebook(stored), tmp_path, "--to", "html")
    with web.offline(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("img[alt^='The live page']").is_visible()
        text = page.inner_text("body")
        assert "run all cells" in text and "README" in text


def test_its_code_is_folded_and_left_out_and_the_page_is_small(stored, html):
    assert len(html.encode()) <= 450_000
    ids = [cell.id for cell in stored.cells]
    assert ids[-len(PAGE_CELLS) :] == list(PAGE_CELLS)
    assert "(attachment:live-page.png)" in cell_named(stored, "live-page-text").source
    for name in PAGE_CELLS:
        told = cell_named(stored, name).metadata
        assert told["jupyter"]["source_hidden"] and "live-page" in told["tags"]
        assert told["transient"]["remove_source"]


def test_it_stays_on_its_slide_and_can_be_reached(browser, stored, tmp_path):
    path = web.save_as_html(
        small_notebook(stored), tmp_path, "--to", "slides", "--no-input"
    )
    assert "live-page-here" in path.read_text(encoding="utf-8")
    with web.offline(browser) as context:  # Reveal.js itself comes from elsewhere
        _, live = web.open_live(context, path)
        assert live.evaluate("(x) => x.closest('section') !== null")
        assert "test digit" in said(live)


@pytest.fixture(scope="module")
def lab(html, stored, tmp_path_factory):
    """A JupyterLab with a page to run and a notebook that is not trusted."""
    house = tmp_path_factory.mktemp("lab")
    folder = house / "project"
    folder.mkdir()
    (folder / "page.html").write_text(html, encoding="utf-8")
    notebook = small_notebook(stored)
    nbformat.write(notebook, folder / "foreign.ipynb")
    notebook.cells[-1] = nbformat.v4.new_code_cell(
        "from pathlib import Path\n"
        "page = Path('page.html').read_text(encoding='utf-8')\n"
        "display({'text/html': page}, raw=True)"
    )
    nbformat.write(notebook, folder / "own.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {f"JUPYTER{name}": str(house) for name in ("_CONFIG_DIR", "_DATA_DIR")}
    places |= {f"JUPYTERLAB_{n}_DIR": str(house) for n in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, *["-m", "jupyterlab", "--no-browser", "--allow-root"]]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        [*command, f"--ServerApp.root_dir={folder}"],
        env={**os.environ, **places},
        **silent,
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


def test_in_jupyterlab_it_stays_takes_the_keys_and_needs_trust(lab, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    page.goto(lab + "own.ipynb?reset")
    page.get_by_text("| Idle").first.wait_for(timeout=90_000)  # the kernel is up
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function("() => document.querySelector('.live-cam')?.run")
    live = page.locator(".live-cam")
    live.scroll_into_view_if_needed()
    settle(page)
    assert live.evaluate("(x) => x.closest('.jp-OutputArea') !== null")
    assert page.locator("img[alt^='The live page']").is_hidden()
    cells = page.locator(".jp-Cell").count()
    draw(live, POLYLINES[3])
    assert "says 3" in said(live)
    drawn = ink(live)
    for key in ("d", "d", "a", "b", "x", "Control+z"):
        page.keyboard.press(key)
    settle(page)
    assert page.locator(".jp-Cell").count() == cells
    assert (ink(live) != drawn).any()  # that Control+z was the board's
    page.goto(lab + "foreign.ipynb?reset")
    picture = page.locator("img[alt^='The live page']")
    picture.wait_for(timeout=90_000)
    assert "run all cells" in page.locator(".live-cam-still").inner_text()
    built = "() => !!document.querySelector('.live-cam')?.shadowRoot"
    assert picture.is_visible() and not page.evaluate(built)
    context.close()
