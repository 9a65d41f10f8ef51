"""The live page in a real browser: network, drawing, neighbours."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import tensorflow as tf

import browser as web
from browser import bars, choose, click, draw, ink, numbers, run_in, settle, text
from conftest import cell_named

pytestmark = pytest.mark.skipif(not web.CHROMIUM, reason="no chromium on this machine")
TURN = np.linspace(0, 2 * np.pi, 121)
CIRCLE = np.stack([14 + 9 * np.cos(TURN), 14 + 9 * np.sin(TURN)], axis=1)
PAGE_CELLS = "live-page-style", "live-page-network", "live-page-drawing", "live-page"
STILL = "img[alt^='The live page']"


@pytest.fixture(scope="module")
def html(stored):
    return web.live_html(stored)


@pytest.fixture(scope="module")
def told(html):
    return web.told_by(html)


@pytest.fixture(scope="module")
def browser():
    with web.open_browser() as one:
        yield one


@pytest.fixture(scope="module")
def context(browser):
    with web.offline(browser, viewport={"width": 1280, "height": 1000}) as one:
        yield one


@pytest.fixture
def open_page(context, tmp_path):
    """Opens HTML in a page of its own; whatever happens there must leave no error."""
    context.errors.clear()
    yield lambda html: web.open_live(context, web.write_page(html, tmp_path))[1]
    assert context.errors == [] and context.asked == []
    for page in context.pages:
        page.close()


@pytest.fixture
def live(open_page, html):
    """The stored page, alone in a document: it opens with an example."""
    return open_page(html)


@pytest.fixture
def empty(live):
    click(live, "#clear")
    return live


@pytest.fixture(scope="module")
def keras_run(told, functions):
    """Run images through the notebook's network with the page's weights."""
    network, weights = functions.build_model(0), []
    for layer in told["layers"]:
        if "weights" in layer:
            integers = np.frombuffer(base64.b64decode(layer["weights"]), "<i2")
            both, outputs = integers * np.float32(layer["unit"]), layer["shape"][-1]
            weights += [both[:-outputs].reshape(layer["shape"]), both[-outputs:]]
    network.set_weights(weights)
    explainer = functions.with_features(network)

    def run(images):
        features, logits = functions.run(explainer, images)
        return logits, features @ weights[-2]

    return run


@pytest.fixture
def first(told, keras_run, mnist):
    """Logits (10) and maps (7, 7, 10) of the digit that the page opens with."""
    logits, maps = keras_run(mnist["x_test"][told["digits"][0][0]][None])
    return logits[0], maps[0]


# ---- the same network as Keras'


@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (30, 45)])
def test_logits_and_maps_are_keras(live, keras_run, mnist, shape):
    """Each image after another one and after itself with a piece erased."""
    images = np.zeros((60, *shape), np.uint8)
    images[:, :28, :28] = np.repeat(mnist["x_train"][:30], 2, axis=0)
    images[1::2, 10:16, 8:20] = 0
    (logits, maps), (keras_logits, keras_maps) = run_in(live, images), keras_run(images)
    assert maps.shape == keras_maps.shape
    assert np.abs(logits - keras_logits).max() < 1e-3
    assert np.abs(maps - keras_maps).max() < 1e-2
    for call in (
        "run([], 0, 0)",
        "run([0], 28, 28)",
        "run([], 28)",
        "find([0], 64, 64)",
    ):
        with pytest.raises(Exception, match="pixels"):
            live.evaluate(f"(root) => root.{call}")


def test_stored_digits_get_the_notebook_s_answers(live, told, mnist):
    numbers, labels, guesses, texts = map(list, zip(*told["digits"]))
    pixels = [np.frombuffer(base64.b64decode(text), np.uint8) for text in texts]
    images = np.reshape(pixels, (-1, 28, 28))
    assert len(images) > 90 and (images == mnist["x_test"][numbers]).all()
    assert (mnist["y_test"][numbers] == labels).all()
    assert 20 < np.not_equal(labels, guesses).sum() <= 40  # four mistakes a class
    logits, _ = run_in(live, images)
    assert logits.argmax(axis=1).tolist() == guesses
    # 16-bit weights: Keras computed these with 32-bit ones
    assert np.abs(logits[0] - told["logits"]).max() < 1e-2


@pytest.mark.parametrize(
    "known, other", [("relu", "tanh"), ("MaxPooling2D", "Pooling")]
)
def test_a_network_that_the_script_cannot_compute_gets_a_sentence(
    context, html, tmp_path, known, other
):
    page = context.new_page()
    html = html.replace(f'"{known}"', f'"{other}"', 1)
    page.goto(web.write_page(html, tmp_path).as_uri())
    assert "There is no live page for this network: " in page.inner_text("body")
    assert page.locator("#board").count() == 0


# ---- several digits


def held_out_board(mnist, random, count):
    """A board 64×64 of held-out digits, ink 4 pixels apart; name, middle of each."""
    board, truth = np.zeros((64, 64), np.uint8), []
    numbers = random.integers(55_000, 60_000, count)
    for number, quarter in zip(numbers, random.permutation(4)):
        image = mnist["x_train"][number]
        rows, columns = (np.flatnonzero(image.any(axis=i)) for i in (1, 0))
        digit = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        corner = 32 * np.array(divmod(quarter, 2))
        top, left = corner + random.integers(2, 31 - np.array(digit.shape))
        board[top:, left:][: len(digit), : len(digit.T)] = digit
        middle = np.array([top, left]) + np.array(digit.shape) / 2
        truth.append((int(mnist["y_train"][number]), middle))
    return board, truth


def test_one_to_three_held_out_digits_are_found(live, told, keras_run, mnist):
    random, right, windows = np.random.default_rng(28), [], []

    def is_it(one, name, middle):  # by name, within 9 pixels of its place
        off = np.array([one["row"] + 14, one["column"] + 14]) - middle
        return one["class"] == name and np.abs(off).max() <= 9

    for count in [1, 2, 3] * 50:
        board, truth = held_out_board(mnist, random, count)
        found = web.find_in(live, board)
        each = all(any(is_it(one, *digit) for one in found) for digit in truth)
        right.append(each and len(found) == count)
        windows += [(one["probability"], len(windows), one, board) for one in found]
    assert np.mean(right) >= 0.75
    # a window's score is its probability times its mean evidence: the least sure one
    _, _, one, board = min(windows)
    maps, blank = keras_run(np.stack([board, 0 * board]))[1]
    row, column = (one[name] // told["stride"] for name in ("row", "column"))
    window = np.s_[row : row + told["side"], column : column + told["side"]]
    logits, empty = keras_run(np.zeros((1, 28, 28)))  # they tell the biases
    logits = maps[window].mean(axis=(0, 1)) + (logits - empty.mean(axis=(1, 2)))[0]
    chance = np.exp(logits)[one["class"]] / np.exp(logits).sum()
    evidence = (maps - blank)[window].mean(axis=(0, 1))
    score = chance * (evidence - evidence.mean())[one["class"]]
    assert abs(one["probability"] - chance) < 1e-3 and chance < 0.9
    assert abs(one["score"] - score) < 1e-2


def test_several_digits_get_boxes_names_and_evidence(live):
    web.board_size(live, 64)
    for kind in "702":
        choose(live, "#kind", kind)
        click(live, "#thumbs label")
    left, found = ink(live), web.find_in(live, ink(live))
    assert sorted(one["class"] for one in found) == [0, 2, 7]
    unit = live.locator("#board").bounding_box()["width"] / 64
    for one, box in zip(found, live.locator("#found b").all(), strict=True):
        assert box.inner_text() == str(one["class"])
        assert f"{one['class']} (" in text(live, "#said")
        window = left[one["row"] :, one["column"] :][:28, :28]
        height = np.ptp(np.flatnonzero(window.any(axis=1))) + 1
        assert abs(box.bounding_box()["height"] / unit - height) < 0.3
        window[:] = 0  # the next one's box goes around other ink
    choose(live, "#class", "2")
    assert "favours 2 over" in text(live, "#map-sum")
    live.locator("#map").hover()
    assert len(numbers(live, "#map-sum")) == 1  # what this cell adds
    scribble = [[(4, y), (60, y - 3), (4, y + 6)] for y in range(8, 56, 6)]
    for lines in ([], [[(30, 30), (30.5, 30.5)]], scribble):
        click(live, "#clear")
        draw(live, lines, side=64)
        assert live.locator("#found b").count() == 0
        assert ("Nothing found" if lines else "is empty") in text(live, "#said")


# ---- the hand


def test_ten_drawn_digits_are_recognised(live):
    right = []
    for digit, lines in web.POLYLINES.items():
        click(live, "#clear")
        draw(live, lines)
        right.append(text(live, "#said").startswith(f"The network says {digit} "))
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
        kinds = ["mousePressed", *["mouseMoved"] * 120, "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*CIRCLE, CIRCLE[-1]], strict=True):
            event = {"x": box["x"] + x * unit, "y": box["y"] + y * unit, "type": kind}
            event |= {"button": "left", "buttons": 1, "clickCount": 1}
            send = session.send("Input.dispatchMouseEvent", event)
            waiting.append(asyncio.ensure_future(send))
        await asyncio.gather(*waiting)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        await page.wait_for_timeout(500)
        address = await page.locator("#board").evaluate("(board) => board.toDataURL()")
        await one.close()
    return 255 - web.picture_of(address)[..., 0]


def test_a_circle_stays_a_circle_on_a_slow_machine(html, tmp_path):
    task = circle_on_a_slow_machine(web.write_page(html, tmp_path))
    with ThreadPoolExecutor() as pool:  # the fixtures' browser has its own loop
        drawn = pool.submit(asyncio.run, task).result()
    y, x = np.indices((28, 28)) + 0.5
    off = np.abs(np.hypot(x - 14, y - 14) - 9)
    assert (drawn[off < 0.5] > 128).all() and (drawn[off > 2.5] == 0).all()


def test_one_pointer_draws_from_down_to_up(empty):
    """The right button draws nothing, nor a second finger; a pen's end erases."""
    spots = web.spots(empty, [(6, 6), (6, 20), (20, 6), (20, 20)])
    place = dict(zip("abcd", spots))
    send = """(board, [kind, x, y, pointerId, button, type]) => {
      board.setPointerCapture = () => {}; // a made-up pointer has none
      const said = board.getRootNode().querySelector("#said");
      const before = said.textContent;
      board.dispatchEvent(new PointerEvent(`pointer${kind}`, { clientX: x,
        clientY: y, pointerId, button, pointerType: type, bubbles: true }));
      return said.textContent === before; }"""

    def act(hand):  # kind, place, pointer, button, device
        for kind, letter, pointer, button, device in map(str.split, hand.split(",")):
            event = kind, *place[letter], int(pointer), int(button), device
            unchanged = empty.locator("#board").evaluate(send, event)
            assert kind != "down" or unchanged  # nothing is computed yet
        settle(empty.page)
        return ink(empty)

    assert act("down c 1 2 mouse, move d 1 -1 mouse, up c 1 2 mouse").max() == 0
    drawn = act("down a 7 0 touch, down c 8 0 touch, move d 8 -1 touch, up d 8 0 touch,"
                "move b 7 -1 touch, up b 7 0 touch, move c 7 -1 touch")  # fmt: skip
    assert (drawn[7:19, 5:7] > 128).all() and drawn[:, 9:].max() == 0
    assert act("down a 9 5 pen, move b 9 -1 pen, up b 9 5 pen").max() == 0


def test_first_stroke_eraser_and_undo(live):
    """A stroke replaces the example, but not a digit that was picked."""
    assert "test digit" in text(live, "#said") and ink(live).any()
    draw(live, [[(5, 5), (5, 5)]])
    assert "test digit" not in text(live, "#said") and not ink(live)[8:].any()
    click(live, "#thumbs label")
    picked = ink(live)
    draw(live, [[(4, 4), (4, 9)]])
    assert (ink(live) >= picked).all() and ink(live)[4:9, 3:5].all()
    assert text(live, "#said").endswith("changed.")
    before, picture = bars(live), ink(live)
    live.locator("[value=eraser]").check(force=True)
    draw(live, [[(4, 14), (24, 14)]])
    assert bars(live) != before
    assert (ink(live) <= picture).all() and (ink(live) < picture).sum() > 10
    live.page.keyboard.press("Control+z")  # the board has the focus
    settle(live.page)
    assert bars(live) == before and (ink(live) == picture).all()
    click(live, "#clear")  # one begins afresh: the next stroke draws
    assert live.locator("[value=pen]").is_checked() and not ink(live).any()


def test_only_a_digit_of_another_size_is_offered_to_be_fitted(empty):
    draw(empty, web.POLYLINES[0])
    assert empty.locator("#fit").is_hidden() and "fit" not in text(empty, "#said")
    for points in ([(14, 2), (13, 26)], [(14, 11), (13.5, 17)]):
        click(empty, "#clear")
        draw(empty, [points])
        before = ink(empty)
        assert "pixels large" in text(empty, "#said")
        click(empty, "#fit")
        assert empty.locator("#fit").is_hidden() and "says 1" in text(empty, "#said")
        across = ink(empty).sum(axis=1, dtype=float)
        assert abs(np.ptp(np.flatnonzero(across)) + 1 - 20) <= 1
        assert abs(np.average(np.arange(28), weights=across) - 13.5) < 1
        click(empty, "#undo")
        assert (ink(empty) == before).all()  # it never fits by itself


def test_a_finger_draws_on_a_phone_that_is_wide_enough(browser, html, tmp_path):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    with web.offline(browser, **options, is_mobile=True) as phone:
        page, live = web.open_live(phone, web.write_page(html, tmp_path))
        click(live, "#clear")
        session, kind = phone.new_cdp_session(page), "touchStart"
        scrolled = page.evaluate("scrollY")
        for x, y in web.spots(live, [(14, 4 + 2 * i) for i in range(11)]):
            touch = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            session.send("Input.dispatchTouchEvent", touch)
            kind = "touchMove"  # straight down: a page would scroll
        touch = {"type": "touchEnd", "touchPoints": []}
        session.send("Input.dispatchTouchEvent", touch)
        settle(page)
        assert page.evaluate("scrollY") == scrolled and "says 1" in text(live, "#said")
        for size in (28, 64):
            web.board_size(live, size)
            wide = """(root) => [...root.shadowRoot.querySelectorAll("*")]
              .filter((part) => !part.closest(".over, .unseen, #bars tr > th")
                && part.getBoundingClientRect().right > innerWidth)
              .map((part) => part.outerHTML)"""
            assert live.evaluate(wide) == []
        assert phone.errors == []


# ---- what it shows


def test_pictures_and_accounts_are_keras(live, told, first):
    """Class and rival as chosen; colours, the one scale and places as Matplotlib's."""
    (logits, maps), limit = first, told["limits"][0]
    *_, second, best = np.argsort(logits)
    assert f"+{limit}" in text(live, "#high")

    def check(chosen, rival):
        pair = maps[..., chosen], maps[..., chosen] - maps[..., rival]
        scores = logits[chosen], logits[chosen] - logits[rival]
        for name, one, score in zip(("map", "contrast"), pair, scores):
            drawn = web.canvas_pixels(live, name)
            large = tf.image.resize(one[..., None], drawn.shape[:2])[..., 0]
            share = np.clip(0.5 + large / limit / 2, 0, 1)
            wanted = plt.get_cmap("RdBu_r")(share, bytes=True)[..., :3]
            line = (drawn == 0).all(axis=-1)  # the black outline
            assert 0.01 < line.mean() < 0.1
            off = np.abs(drawn.astype(int) - wanted.astype(int))[~line]
            assert off.max() <= 6  # 256 colours there, 257 here
            mean, bias, total = numbers(live, f"#{name}-sum")
            assert abs(mean - one.mean()) < 0.006 and abs(total - score) < 0.016
            assert round(100 * (mean + bias)) == round(100 * total)

    check(best, second)
    choose(live, "#class", "9")
    check(9, best)  # the strongest other class
    choose(live, "#rival", "7")
    check(9, 7)
    choose(live, "#class", "7")  # is the rival: the page finds another
    check(7, best)
    for i, logit in enumerate(bars(live)[0]):  # above the line, or below it
        pole = live.locator(".pole").nth(i).bounding_box()
        bar = live.locator(".pole i").nth(i).bounding_box()
        share = (pole["y"] + pole["height"] / 2 - bar["y"]) / pole["height"] * 30
        assert abs(share - max(0, float(logit))) < 0.3  # 15 fills half a pole


def test_an_account_that_does_not_add_up_says_so(open_page, html):
    drawn = "const one = mapOf(maps, chosen)"
    assert drawn in html
    live = open_page(html.replace(drawn, f"{drawn}.map((x) => Math.max(x, 0))"))
    assert "≠ logit" in text(live, "#map-sum")  # a ReLU


def test_outlines_do_not_wrap_around_the_border(empty):
    draw(empty, [[(0.5, 0.5), (0.5, 27.5), (14, 27.5)]])
    black = (web.canvas_pixels(empty, "map") == 0).all(axis=-1)
    assert black[:, :100].any()
    assert not black[:, 200:].any() and not black[:100, 50:].any()


def test_the_slider_moves_maps_and_logits_and_no_probability(live):
    choose(live, "#kind", "wrong")
    click(live, "#thumbs label >> nth=3")

    def look():
        pictures = [web.canvas_pixels(live, name) for name in ("map", "contrast")]
        return *bars(live), *pictures, numbers(live, "#map-sum")[2]

    logits, chances, one_map, contrast, account = look()
    live.locator("#t").fill("2.5")
    settle(live.page)
    moved, still, another_map, same_contrast, another = look()
    assert still == chances and "100%" not in chances
    by = np.float64(moved) - np.float64(logits)
    assert np.ptp(by) < 0.21 and abs(by[0]) > 0.5
    assert (another_map != one_map).mean() > 0.3
    assert np.abs(same_contrast.astype(int) - contrast).max() <= 4
    assert abs(another - account - by[0]) < 0.2


def test_a_cell_s_patch_and_share_of_the_account(live, told, first):
    logits, maps = first
    *_, second, best = np.argsort(logits)
    pair = {"map": maps[..., best], "contrast": maps[..., best] - maps[..., second]}

    def check(row, column):
        for name, one in pair.items():
            *_, adds, total = numbers(live, f"#{name}-sum")
            assert abs(adds - one[row, column] / one.size) < 0.006
            assert abs(total - one.mean()) < 0.006
        (_, top), lead = web.spots(live, [(0, 0)])[0], told["patch"] - told["stride"]
        patch, unit = live.locator(".cell").first.bounding_box(), box["width"] / 28
        assert abs(patch["width"] / unit - told["patch"]) < 0.3
        assert abs(patch["y"] - top - (row * told["stride"] - lead / 2) * unit) < 2

    box = live.locator("#map").bounding_box()
    x, y = (box[k] + box["width"] * at / 7 for k, at in (("x", 4.5), ("y", 2.5)))
    live.page.mouse.move(x, y)
    check(2, 4)
    live.page.mouse.move(0, 0)
    assert live.locator(".cell").first.is_hidden()
    live.locator("#map").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown"):
        live.page.keyboard.press(key)
    check(3, 1)
    assert "Row 4, column 2." in text(live, "#heard")
    live.page.keyboard.press("Tab")
    assert live.locator(".cell").first.is_hidden()


# ---- everybody


def test_keyboard_alone_picks_a_digit_in_one_tab_stop(live):
    live.evaluate("(root) => root.before(document.createElement('button'))")
    live.evaluate("(root) => root.previousElementSibling.focus()")
    now, stops = "({ shadowRoot: { activeElement: x } }) => x && (x.id || x.name)", []
    while not stops or stops[-1]:
        live.page.keyboard.press("Tab")
        stops.append(live.evaluate(now))
    wanted = "size board tool undo clear class map rival contrast t kind digit"
    assert stops[:-1] == wanted.split()
    live.page.keyboard.press("Shift+Tab")
    live.page.keyboard.press("ArrowRight")
    settle(live.page)
    title = live.locator("#thumbs canvas").nth(1).get_attribute("title")
    assert title in text(live, "#said")


def test_a_screen_reader_hears_one_sentence_a_stroke(empty):
    empty.evaluate(
        """(root) => new MutationObserver((list) => { root.heard = (root.heard ?? 0)
          + list.length; }).observe(root.shadowRoot.querySelector("#heard"),
          { childList: true })"""
    )
    for number, spot in enumerate(web.spots(empty, CIRCLE[::40])):
        empty.page.mouse.move(*spot, steps=9)
        if number == 0:
            empty.page.mouse.down()
        empty.page.wait_for_timeout(250)  # the network has answered
        assert number == 0 or "The network says" in text(empty, "#said")
        assert empty.evaluate("(root) => root.heard") is None
    empty.page.mouse.up()
    settle(empty.page)
    assert empty.evaluate("(root) => root.heard") == 1
    assert empty.get_by_role("status").inner_text() == text(empty, "#said")


@pytest.mark.parametrize("size", [28, 64])
def test_axe_finds_no_violation_on_our_page(live, size):
    """What stands around it is nbconvert's, and judged by others."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    web.board_size(live, size)
    found = axe.Axe().run(live.page, ".live-cam").response
    assert len(found["passes"]) > 5  # it has looked into the page
    small = """(root) => [...root.shadowRoot.querySelectorAll("button, select, label")]
      .map((part) => [part.getBoundingClientRect(), part.outerHTML])
      .filter(([box]) => box.width && (box.width < 24 || box.height < 24))"""
    assert found["violations"] == [] and live.evaluate(small) == []


def test_high_contrast_print_and_right_to_left(open_page, html):
    live = open_page("<script>document.dir = 'rtl'</script>" + html)
    low, high = (live.locator(f"#{name}").bounding_box() for name in ("low", "high"))
    assert low["x"] < high["x"]  # as blue is left of red

    def look(style):
        parts = "#bars .chosen", "[value=pen] + span", "[value=eraser] + span"
        call = f"(part) => getComputedStyle(part).{style}"
        return [live.locator(part).evaluate(call) for part in parts]

    bar, *_ = look("backgroundColor")
    live.page.emulate_media(forced_colors="active")
    forced_bar, pen, eraser = look("backgroundColor")
    assert forced_bar == bar and pen != eraser
    live.page.emulate_media(forced_colors="none", media="print")
    assert look("printColorAdjust") == ["exact"] * 3


# ---- its neighbours


def test_two_pages_leave_each_other_and_the_document_alone(open_page, html):
    before = """<div class=reveal><script>var heard = [], known;
      for (const kind of ["keydown", "pointerdown", "touchstart", "touchmove"])
        document.addEventListener(kind, (event) => heard.push(event.key ?? kind));
      known = new Set(Object.getOwnPropertyNames(window));</script>"""
    live = open_page(before + html + html)
    words = text(live.page.locator(".live-cam").nth(1), "#said")
    draw(live, web.POLYLINES[3])
    live.locator("#map").focus()
    for key in ("ArrowRight", "ArrowUp", "Space"):
        live.page.keyboard.press(key)
    assert live.page.evaluate("heard") == []  # a slide show would turn
    assert "says 3" in text(live, "#said")
    assert text(live.page.locator(".live-cam").nth(1), "#said") == words
    leaked = "Object.getOwnPropertyNames(window).filter((x) => !known.has(x))"
    assert live.page.evaluate(leaked) == []
    rules = """[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
      .map((rule) => rule.selectorText)"""
    assert set(live.page.evaluate(rules)) == {".live-cam-still"}


def small_notebook(stored, marked=True):
    """The notebook's opening, the live page's text and its output."""
    place = "<div id='live-page-here'></div>" if marked else ""
    opening = f"# Where?\n\nFirst lines.\n\n{place}\n\nMore.\n\n## Part 1"
    cells = [cell_named(stored, name) for name in ("live-page-text", "live-page")]
    cells.insert(0, nbformat.v4.new_markdown_cell(opening))
    return nbformat.from_dict({**stored, "cells": cells})


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("marked", [True, False])
def test_it_opens_the_web_page_empty(browser, stored, tmp_path, template, marked):
    notebook = small_notebook(stored, marked)
    path = web.save_as_html(notebook, tmp_path, "--to", "html", "--template", template)
    with web.offline(browser, viewport={"width": 1280, "height": 900}) as context:
        page, live = web.open_live(context, path)
        first, more = (page.get_by_text(words, exact=True).bounding_box()["y"]
                       for words in ("First lines.", "More."))  # fmt: skip
        assert first < live.bounding_box()["y"] < more
        assert not ink(live).any() and "empty" in text(live, "#said")
        assert page.locator(STILL).is_hidden()
        # a ghost draws a digit, five seconds long, until a hand does
        ghost, opacity = live.locator(".ghost"), "(x) => +getComputedStyle(x).opacity"
        assert ghost.evaluate(opacity) > 0 and live.locator(".guide").is_visible()
        ends = live.evaluate(
            """({ shadowRoot }) => shadowRoot.getAnimations().map((one) => {
              one.finish(); return one.effect.getComputedTiming().endTime; })"""
        )
        assert 0 < max(ends) <= 5000 and ghost.evaluate(opacity) == 0
        draw(live, web.POLYLINES[7])
        assert "says 7" in text(live, "#said") and ghost.count() == 0
        assert context.errors == []
    with web.offline(browser, reduced_motion="reduce") as context:
        assert web.open_live(context, path)[1].locator(".ghost").is_hidden()
    with web.offline(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator(STILL).is_visible()
        assert "run all cells" in page.inner_text("body")


def test_its_code_is_folded_and_left_out_and_its_slide_can_be_reached(
    browser, stored, html, tmp_path
):
    assert len(html.encode()) <= 450_000
    assert tuple(cell.id for cell in stored.cells[-4:]) == PAGE_CELLS
    assert "(attachment:live-page.png)" in cell_named(stored, "live-page-text").source
    for cell in stored.cells[-4:]:
        assert cell.metadata["jupyter"]["source_hidden"]
        assert cell.metadata["transient"]["remove_source"]
    options = "--to", "slides", "--no-input"
    path = web.save_as_html(small_notebook(stored), tmp_path, *options)
    with web.offline(browser) as context:  # Reveal.js itself comes from elsewhere
        _, live = web.open_live(context, path)
        assert live.evaluate("(x) => x.closest('section') !== null")
        assert "test digit" in text(live, "#said")


def test_in_jupyterlab_it_stays_takes_the_keys_and_needs_trust(
    browser, stored, html, tmp_path
):
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    notebook = small_notebook(stored)
    nbformat.write(notebook, tmp_path / "foreign.ipynb")
    code = "from IPython.display import HTML\nHTML(filename='page.html')"
    notebook.cells[-1] = nbformat.v4.new_code_cell(code)
    nbformat.write(notebook, tmp_path / "own.ipynb")
    size = {"width": 1280, "height": 1400}
    with web.jupyterlab(tmp_path) as lab, browser.new_context(viewport=size) as context:
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
        assert page.locator(STILL).is_hidden()
        draw(live, web.POLYLINES[3])
        assert "says 3" in text(live, "#said")
        drawn, cells = ink(live), page.locator(".jp-Cell").count()
        for key in ("d", "d", "a", "b", "x", "Control+z"):
            page.keyboard.press(key)
        settle(page)
        assert page.locator(".jp-Cell").count() == cells
        assert (ink(live) != drawn).any()  # that Control+z was the board's
        page.goto(lab + "foreign.ipynb?reset")  # not trusted
        page.locator(STILL).wait_for(timeout=90_000)
        assert "run all cells" in page.locator(".live-cam-still").inner_text()
        assert not page.evaluate("!!document.querySelector('.live-cam')?.shadowRoot")
