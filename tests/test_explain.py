"""A person's own picture: read, prepared, explained, doubted or refused."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.datasets import load_digits

SIDE = 200  # pixels a side of most pages


@pytest.fixture(scope="session")
def model(functions, full_run):
    """The network that the notebook's own run has trained."""
    return functions.keras.models.load_model(full_run.folder / "model.keras")


@pytest.fixture
def explain(functions, model, capsys):
    """What `explain` prints of a picture, with the notebook's network."""
    head = model.get_layer("logits").get_weights()

    def printed(picture, **choice):
        explainer = functions.with_features(model)
        functions.explain(picture, explainer, *head, **choice)
        return capsys.readouterr().out

    return printed


def prepared(functions, picture):
    return functions.to_digit(functions.read_picture(picture))


def share_right(functions, model, pictures, labels):
    digits = np.stack([prepared(functions, picture) for picture in pictures])
    return np.mean(functions.run(model, digits).argmax(axis=1) == labels)


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


# Made-up photographs: what paper, pens, light, cameras and files do to a digit.


def written(digit, tall=120, pen=1, page=(SIDE, SIDE), middle=None):
    """The ink, 0 to 1, of an MNIST digit; tall is its new height."""
    sheet = Image.fromarray(digit).resize((round(tall * 1.4),) * 2, Image.LANCZOS)
    sheet = sheet.point(lambda v: 255 * (v > 110)).filter(ImageFilter.MaxFilter(pen))
    ink = Image.new("L", page[::-1])
    y, x = middle or (page[0] / 2, page[1] / 2)
    ink.paste(sheet, (int(x - sheet.width / 2), int(y - sheet.height / 2)))
    return np.array(ink.filter(ImageFilter.GaussianBlur(0.8))) / 255


def paper(ink, dark=0.15, white=0.9):
    return white + (dark - white) * ink


def bits(values):
    return np.uint8(np.clip(255 * values, 0, 255))


def lamp(shape, least):
    return np.linspace(1, least, shape[1]) * np.ones(shape)


def far_away(digit, random):
    """A pencil, in a corner of a large sheet, in falling light."""
    middle = random.integers(150, 300), random.integers(150, 700)
    ink = written(digit, 80, page=(800, 1100), middle=middle)
    grain = random.normal(0, 0.01, ink.shape)
    return bits(paper(ink, 0.6) * lamp(ink.shape, 0.7) + grain)


def blue_ink(digit, random):
    ink = written(digit)[..., None]
    return bits(ink * [0.1, 0.2, 0.6] + (1 - ink) * [0.95, 0.9, 0.6])


def held_by_a_thumb(digit, random):
    image = Image.fromarray(bits(paper(written(digit, 90))))
    x, y = random.choice([0, SIDE], 2)
    ImageDraw.Draw(image).ellipse((x - 45, y - 45, x + 45, y + 45), fill=110)
    return image


def framed(digit, random):
    share = random.uniform(0.55, 0.95)
    image = Image.fromarray(bits(paper(written(digit, int(110 * share)))))
    far = SIDE * (1 + share) / 2
    square = (SIDE - far, SIDE - far, far, far)
    ImageDraw.Draw(image).rectangle(square, outline=20, width=3)
    return image.rotate(random.uniform(-2, 2), Image.BICUBIC, fillcolor=229)


def of_one_bit(digit, random):
    ink = written(digit, 360, page=(600, 600))
    return Image.fromarray(bits(paper(ink, 40 / 255, 240 / 255))).convert("1")


def letterboxed(digit, random):
    bars = random.integers(10, 60) * random.permutation([random.integers(2), 1])
    page = bits(paper(written(digit)) * lamp((SIDE, SIDE), 0.8))
    return np.pad(page, [(bar, bar) for bar in bars])


def on_lines(digit, random):
    values = paper(written(digit))
    values[random.integers(25) :: 25] = 0.4
    return bits(values)


CONDITIONS = {
    "clean": lambda d, r: bits(paper(written(d))),
    "light on dark": lambda d, r: bits(paper(written(d), 0.9, 0.1)),
    "grain": lambda d, r: bits(paper(written(d)) + r.normal(0, 0.08, (SIDE, SIDE))),
    "felt pen": lambda d, r: bits(paper(written(d, pen=11))),
    "overshoot": lambda d, r: Image.fromarray(np.float32(d)).resize((SIDE, SIDE), 3),
    "times 262": lambda d, r: 262 * paper(written(d), white=1),
    "black border": lambda d, r: np.pad(bits(paper(written(d))), 3),
    "on a table": lambda d, r: np.pad(bits(paper(written(d))), 40, constant_values=70),
    "far away": far_away,
    "blue ink": blue_ink,
    "thumb": held_by_a_thumb,
    "printed square": framed,
    "one bit": of_one_bit,
    "letterbox": letterboxed,
    "ruled": on_lines,
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_digit_is_read_right_under_each_condition(functions, model, mnist, name):
    random = np.random.default_rng(11)
    pictures = [CONDITIONS[name](digit, random) for digit in mnist["x_test"][:50]]
    assert share_right(functions, model, pictures, mnist["y_test"][:50]) >= 0.93


def test_other_people_s_digits_are_read_too(functions, model, mnist):
    digits = load_digits()
    assert share_right(functions, model, digits.images / 16, digits.target) >= 0.9
    images, labels = mnist["x_test"][:2_000], mnist["y_test"][:2_000]
    plain = np.mean(functions.run(model, images).argmax(axis=1) == labels)
    assert share_right(functions, model, images, labels) >= plain - 0.005


# Kinds of input.


def saved(image, form="PNG", **how):
    file = io.BytesIO()
    image.save(file, form, **how)
    return file


def kinds(dark, folder):
    """One page of dark ink (uint8) in every kind that a person may bring."""
    image, share, wide = Image.fromarray(dark), dark / 255, dark.astype(np.uint16) * 257
    black, white = [
        Image.new("RGBA", image.size, color) for color in ("black", "white")
    ]
    for ink in (black, white):
        ink.putalpha(Image.fromarray(255 - dark))
    for ending in ("png", "jpg", "gif", "bmp", "webp"):
        image.save(folder / f"file.{ending}")
        yield ending, folder / f"file.{ending}"
    yield "path as text", str(folder / "file.png")
    yield "path with ~", "~/file.png"
    with open(folder / "file.png", "rb") as file:
        yield "open file", file
    for kind in (bytes, bytearray, memoryview, io.BytesIO):
        yield kind.__name__, kind((folder / "file.png").read_bytes())
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"):
        yield f"Pillow {mode}", image.convert("RGB").convert(mode)
    for kind in (np.uint8, np.int64, np.float32, list):
        yield kind.__name__, dark.tolist() if kind is list else dark.astype(kind)
    yield from {
        "16-bit PNG": saved(Image.fromarray(wide)),
        "float TIFF": saved(Image.fromarray(np.float32(share)), "TIFF"),
        "black ink on nothing": np.array(black),
        "white ink on nothing": saved(white),
        "uint16": wide,
        "bool": dark > 127,
        "float16": share.astype(np.float16),
        "1 channel": share[..., None],
        "3 channels": np.stack([share] * 3, axis=-1),
    }.items()


def test_every_kind_of_input_gives_the_same_digit(
    functions, mnist, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    dark = bits(paper(written(mnist["x_test"][0]), 0, 1))
    plain = prepared(functions, dark)
    for name, picture in kinds(dark, tmp_path):
        assert likeness(prepared(functions, picture), plain) >= 0.97, name


def test_a_photograph_lying_on_its_side_is_set_upright(functions, mnist):
    image = Image.fromarray(255 - mnist["x_test"][0]).resize((80, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to see it upright
    lying = saved(image.transpose(Image.ROTATE_90), "JPEG", exif=exif, quality=95)
    plain = prepared(functions, image)
    assert likeness(prepared(functions, lying), plain) > 0.95
    broken = lying.getvalue().replace(b"Exif\0\0MM\0*", b"Exif\0\0MM\0\0")
    broken = broken.replace(b"Exif\0\0II*\0", b"Exif\0\0II\0\0")
    assert broken != lying.getvalue() and prepared(functions, broken).any()


def test_grey_is_from_0_black_to_1_white_and_512_pixels_are_kept(functions):
    image = Image.new("L", (1200, 600))
    image.paste(255, (600, 0, 1200, 600))
    grey = functions.read_picture(image)
    assert grey.shape == (256, 512) and grey.dtype.kind == "f"
    assert grey[:, :200].max() == 0 and grey[:, 300:].min() == 1
    assert image.size == (1200, 600) and image.mode == "L"  # left as it was


def test_what_is_not_read_is_said(functions, mnist, capsys):
    digit = Image.fromarray(mnist["x_test"][0]).resize((SIDE, SIDE))
    frames = {"save_all": True, "append_images": [digit.rotate(90), digit]}
    functions.read_picture(saved(digit, "GIF", **frames))
    assert "3 frames" in capsys.readouterr().out
    jet = functions.plt.get_cmap("jet")(np.array(digit))
    functions.read_picture(jet)
    assert "alse colour" in capsys.readouterr().out
    functions.read_picture(blue_ink(mnist["x_test"][0], None))
    assert capsys.readouterr().out == ""


# The digit.


def test_a_digit_of_mnist_comes_back_almost_as_it_was(functions, mnist):
    for image in mnist["x_test"][:20]:
        digit, negative = prepared(functions, image), prepared(functions, 255 - image)
        assert digit.shape == (28, 28) and digit.dtype == np.uint8
        assert likeness(digit, image) > 0.9 and likeness(digit, negative) > 0.999


@pytest.mark.parametrize("width", [1, 12])
def test_a_stroke_fills_20_pixels_with_its_mass_in_the_middle(functions, width):
    image = np.zeros((300, 90), np.uint8)
    image[20:280, 60 : 60 + width] = 255
    digit = prepared(functions, image)
    rows, columns = np.nonzero(digit > 100)
    assert np.ptp(rows) + 1 == 20 and np.ptp(columns) + 1 <= 2
    middle = (np.indices(digit.shape) * digit).sum(axis=(1, 2)) / digit.sum()
    assert np.abs(middle - 14).max() <= 0.5 and digit.max() == 255


# Refusals and doubts.


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros(784) + 1, r"\(784,"),
        (np.ones((1, 28, 28, 1)), r"\(1, 28, 28, 1\)"),
        (np.ones((28, 28, 2)), "2"),
        (np.zeros((0, 28)), "zero-size"),
        (np.full((28, 28), 255, np.uint8), "nothing stands out"),
        (Image.new("RGBA", (60, 60)), "nothing stands out"),
        (np.where(np.eye(28) > 0, np.nan, 0), "nan"),
        (np.where(np.eye(28) > 0, np.inf, 0), "inf"),
        (np.eye(28) * 16, "not from 0.0 to 16.0"),
        (np.eye(28) - 0.5, "not from -0.5 to 0.5"),
        (np.eye(28) * 2.0**40, "not from"),
        (None, "neither a file nor an image"),
        ({"name": 1}, "neither a file nor an image"),
        (b"\x89PNG\r\n\x1a\n and then nothing", "Save it as JPEG or PNG"),
        (saved(Image.new("L", (99, 99))).getvalue()[:60], "Save it as JPEG or PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "Save it as JPEG or PNG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "Save it as JPEG or PNG"),
    ],
    ids=str,
)
def test_what_is_no_picture_is_refused(functions, picture, reason):
    with pytest.raises(ValueError, match=reason):
        prepared(functions, picture)


def test_a_missing_file_is_not_to_be_saved_as_jpeg(functions, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.png"):
        functions.read_picture(tmp_path / "missing.png")


def test_blank_paper_and_bare_lines_hold_no_digit(functions):
    grain = np.random.default_rng(1).normal(0, 0.03, (SIDE, SIDE))
    shadow = 1 - 0.4 / (1 + np.exp(-np.linspace(-12, 12, SIDE)))
    lines = np.full((SIDE, SIDE), 0.9)
    lines[7::25] = 0.3
    for page in (
        0.9 * lamp((SIDE, SIDE), 0.3),
        0.9 * shadow * np.ones_like(lines),
        0.9 + grain,
        lines,
    ):
        with pytest.raises(ValueError, match="No digit found"):
            prepared(functions, bits(page))


def test_explain_gives_the_network_s_answer_and_logit(functions, model, explain, mnist):
    image = mnist["x_test"][0]
    logits = functions.run(model, prepared(functions, image)[None])[0]
    chances = functions.probabilities(logits)
    lines = explain(image, class_index=np.int64(2)).splitlines()
    for c in (*np.argsort(-logits)[:2], 2):
        assert f"a {c}: probability {chances[c]:.1%}, logit {logits[c]:.2f}" in lines


def test_an_account_that_differs_and_a_network_without_maps_are_said(
    functions, model, mnist
):
    weights, bias = model.get_layer("logits").get_weights()
    explainer = functions.with_features(model)
    for network, error, told in (
        (explainer, AssertionError, "not equal"),
        (model, ValueError, "explainer"),
    ):
        with pytest.raises(error, match=told):
            functions.explain(mnist["x_test"][0], network, weights, bias + 1)


@pytest.mark.parametrize("choice", [10, -1, 2.5, 3.0, "3", True])
def test_a_class_outside_0_to_9_is_refused(explain, mnist, choice):
    with pytest.raises(ValueError, match="A class is in"):
        explain(mnist["x_test"][0], class_index=choice)


def test_it_doubts_words_numbers_and_most_mistakes(functions, model, explain, mnist):
    font = ImageFont.load_default(70)
    for text in ("hello", "2026", "65", "Ahoj"):
        page = Image.new("L", (400, 200), 235)
        ImageDraw.Draw(page).text((200, 100), text, 25, font, anchor="mm")
        assert explain(page).startswith("unsure"), text
    noise = np.random.default_rng(1).random((512, 512))
    assert explain(noise).startswith("unsure")
    images, labels = mnist["x_train"][55_000:], mnist["y_train"][55_000:]
    wrong = functions.run(model, images).argmax(axis=1) != labels
    for chosen, least, most in ((wrong, 0.6, 1), (~wrong, 0, 0.1)):
        printed = [explain(image) for image in images[chosen][:50]]
        assert least <= np.mean(["unsure" in text for text in printed]) <= most
