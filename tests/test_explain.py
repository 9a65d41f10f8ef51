"""A person's own picture: read, prepared, explained, or refused."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from conftest import ROOT

SIDE = 200  # pixels a side of most pages


@pytest.fixture(scope="session")
def model(functions, full_run):
    """The network that the notebook's own run has trained."""
    return functions.keras.models.load_model(full_run.folder / "model.keras")


def share_right(functions, model, pictures, labels):
    """The share whose class is right; every picture must get one."""
    digits = [functions.to_digit(functions.read_picture(p)) for p in pictures]
    logits = functions.run(model, np.stack(digits))
    return np.mean(logits.argmax(axis=1) == labels)


# Conditions: what paper, pens, light and cameras do to a digit.


def written(digit, tall=120, pen=0, page=(SIDE, SIDE), middle=None):
    """The ink, 0 to 1, of an MNIST digit; tall is its new height."""
    sheet = Image.fromarray(digit).resize((round(tall * 1.4),) * 2, Image.LANCZOS)
    sheet = sheet.point(lambda v: 255 * (v > 110))
    if pen:
        widen = ImageFilter.MaxFilter if pen > 0 else ImageFilter.MinFilter
        sheet = sheet.filter(widen(2 * abs(pen) + 1))
    sheet = sheet.filter(ImageFilter.GaussianBlur(0.8))
    ink = Image.new("L", page[::-1])
    y, x = middle or (page[0] / 2, page[1] / 2)
    corner = int(x - sheet.width / 2), int(y - sheet.height / 2)
    ink.paste(sheet, corner)
    return np.array(ink) / 255


def paper(ink, dark=0.15, white=0.9):
    return white + (dark - white) * ink


def lit(shape, least, random):
    """Light from a lamp on a random side: 1 there, least opposite."""
    along = np.linspace(1, least, shape[0])[:, None] * np.ones(shape[1])
    return np.rot90(along, random.integers(4)) if shape[0] == shape[1] else along


def bits(values):
    return np.uint8(np.clip(255 * values, 0, 255))


def grainy(values, random, much):
    return values + much * random.standard_normal(values.shape)


def dim_corners(digit, random):
    away = np.linspace(-1, 1, SIDE) ** 2
    return bits(paper(written(digit)) * (1 - 0.2 * away - 0.2 * away[:, None]))


def half_in_shadow(digit, random):
    soft = 1 / (1 + np.exp(-np.linspace(-30, 30, SIDE)))
    return bits(paper(written(digit)) * (1 - 0.4 * soft))


def on_lines(digit, random):
    values = paper(written(digit))
    values[random.integers(25) :: 25] -= 0.12
    return bits(values)


def with_blue_ink(digit, random):
    ink = written(digit)[..., None]
    return bits(ink * [0.1, 0.2, 0.6] + (1 - ink) * [0.95, 0.9, 0.6])


def in_pencil(digit, random):
    values = paper(written(digit, pen=-1), 0.65, 0.85)
    return bits(grainy(values * lit(values.shape, 0.8, random), random, 0.01))


def far_away(digit, random):
    middle = random.integers(150, 300), random.integers(150, 700)
    ink = written(digit, 80, page=(800, 1100), middle=middle)
    return bits(paper(ink) * lit(ink.shape, 0.7, random))


def out_of_focus(digit, random):
    sharp = Image.fromarray(bits(paper(written(digit))))
    return sharp.filter(ImageFilter.GaussianBlur(5))


def squeezed(digit, random):
    file = io.BytesIO()
    Image.fromarray(bits(paper(written(digit)))).save(file, "JPEG", quality=8)
    return file


def dusty(digit, random):
    values = paper(written(digit, 100))
    for y, x in random.integers(5, SIDE - 8, (6, 2)):
        values[y : y + 3, x : x + 3] = 0.1
    return bits(values)


def held_by_a_thumb(digit, random):
    image = Image.fromarray(bits(paper(written(digit, 90))))
    x, y = random.choice([0, SIDE], 2)
    ImageDraw.Draw(image).ellipse((x - 45, y - 45, x + 45, y + 45), fill=110)
    return image


def beside_the_table(digit, random):
    values = paper(written(digit, 100))
    sides = values[:, :22], values[:, -22:], values[:22], values[-22:]
    sides[random.integers(4)][:] = 0.3
    return bits(values)


def framed(digit, random):
    image = Image.fromarray(bits(paper(written(digit, 100))))
    box = (10, 10, SIDE - 11, SIDE - 11)
    ImageDraw.Draw(image).rectangle(box, outline=20, width=3)
    return image


def on_a_screen(digit, random):
    values = paper(written(digit, 110, middle=(115, 100)), 0.9, 0.1)
    values[:20] = 0.2
    values[7:13, 10:60] = 0.7
    return bits(values)


CONDITIONS = {
    "clean": lambda d, r: bits(paper(written(d))),
    "light ink on dark paper": lambda d, r: bits(paper(written(d), 0.9, 0.1)),
    "lamp at one side": lambda d, r: bits(
        paper(written(d)) * lit((SIDE, SIDE), 0.4, r)
    ),
    "dim corners": dim_corners,
    "half in shadow": half_in_shadow,
    "grain": lambda d, r: bits(grainy(paper(written(d)), r, 0.08)),
    "lined paper": on_lines,
    "blue ink": with_blue_ink,
    "pencil": in_pencil,
    "felt pen": lambda d, r: bits(paper(written(d, pen=5))),
    "hairline": lambda d, r: bits(paper(written(d, pen=-3))),
    "far away": far_away,
    "out of focus": out_of_focus,
    "JPEG of low quality": squeezed,
    "dust": dusty,
    "thumb in a corner": held_by_a_thumb,
    "table beside the sheet": beside_the_table,
    "frame drawn around it": framed,
    "on a screen, with a bar above": on_a_screen,
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_digit_is_read_right_under_each_condition(functions, model, mnist, name):
    random, make = np.random.default_rng(11), CONDITIONS[name]
    pictures = [make(digit, random) for digit in mnist["x_test"][:50]]
    right = share_right(functions, model, pictures, mnist["y_test"][:50])
    assert right >= (0.85 if name == "hairline" else 0.93), right


def test_the_test_set_s_own_digits_stay_as_good_as_they_are(functions, model, mnist):
    digits, labels = mnist["x_test"][:2_000], mnist["y_test"][:2_000]
    plain = np.mean(functions.run(model, digits).argmax(axis=1) == labels)
    assert share_right(functions, model, digits, labels) >= plain - 0.005


def test_other_writers_digits_of_8_by_8_pixels_are_read(functions, model):
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = digits.images / digits.images.max()
    assert share_right(functions, model, pictures, digits.target) >= 0.9


def test_a_digit_that_touches_the_edge_is_not_left_out(functions, model, mnist):
    pictures = []
    for digit in mnist["x_test"][:50]:
        rows = np.flatnonzero(digit.any(axis=1))
        cut = Image.fromarray(255 - digit[rows[0] + 1 :])
        page = cut.resize((112, 4 * cut.height))
        ImageDraw.Draw(page).rectangle((5, 60, 7, 62), fill=0)  # a speck
        pictures.append(page)
    labels = mnist["y_test"][:50]
    assert share_right(functions, model, pictures, labels) >= 0.9


# Kinds of input.


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def prepared(functions, picture):
    return functions.to_digit(functions.read_picture(picture))


def saved(image, form, **how):
    file = io.BytesIO()
    image.save(file, form, **how)
    return file


def tiff_of_12_bits(pixels):
    """A TIFF, two pixels in three bytes, of pixels (H, W) up to 4095."""
    height, width = pixels.shape
    first, second = pixels[:, ::2].astype(int), pixels[:, 1::2].astype(int)
    three = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    body = np.stack(three, axis=-1).astype(np.uint8).tobytes()
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(body))]
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return head + body + struct.pack("<H", len(tags)) + table + bytes(4)


def kinds(dark, folder):
    """One page, dark ink (uint8), in every kind that a person may bring."""
    image, share = Image.fromarray(dark), dark / 255
    for name in (
        "file.png",
        "file.jpg",
        "file.gif",
        "file.bmp",
        "file.webp",
    ):
        image.save(folder / name)
        yield name, folder / name
    yield "path as text", str(folder / "file.png")
    with open(folder / "file.png", "rb") as file:
        yield "open file", file
    yield "BytesIO", saved(image, "PNG")
    yield "bytes", (folder / "file.png").read_bytes()
    for mode in (
        "1",
        "L",
        "LA",
        "P",
        "RGB",
        "RGBA",
        "CMYK",
        "YCbCr",
        "HSV",
    ):
        yield f"Pillow {mode}", image.convert("RGB").convert(mode)
    yield "Pillow I", Image.fromarray(dark.astype(np.int32))
    yield "Pillow F", Image.fromarray(share.astype(np.float32))
    upside_down = Image.fromarray(255 - dark).convert("P")
    upside_down.putpalette([255 - n // 3 for n in range(768)])
    yield "reversed palette", upside_down
    deep = dark.astype(np.uint16)
    yield "16-bit PNG", saved(Image.fromarray(deep * 257), "PNG")
    yield "16-bit TIFF", saved(Image.fromarray(deep * 257), "TIFF")
    yield "12-bit TIFF", tiff_of_12_bits(deep * 16)
    wide = Image.fromarray(dark.astype(np.int32) * 8_000_000)
    yield "32-bit TIFF", saved(wide, "TIFF")
    yield "float TIFF", saved(Image.fromarray(np.float32(share)), "TIFF")
    yield (
        "float TIFF to 255",
        saved(Image.fromarray(np.float32(dark)), "TIFF"),
    )
    yield "uint8", dark
    yield "uint16", deep * 257
    yield "int64", dark.astype(int)
    yield "bool", dark > 127
    yield "float", share
    yield "float16", share.astype(np.float16)
    yield "float to 255", dark.astype(np.float32)
    yield "one channel", dark[..., None]
    yield "one channel, float to 255", dark[..., None].astype(np.float32)
    yield "three channels", np.stack([dark] * 3, axis=-1)
    yield (
        "four channels",
        np.stack([dark] * 3 + [np.full_like(dark, 255)], axis=-1),
    )
    yield "three channels, float", np.stack([share] * 3, axis=-1)
    yield "list of lists", dark.tolist()
    clear, ink = np.zeros((*dark.shape, 4), np.uint8), 255 - dark
    clear[..., 3] = ink
    yield "black ink on nothing", clear
    yield "the same, a file", saved(Image.fromarray(clear), "PNG")
    clear = clear.copy()
    clear[..., :3] = 255
    yield "white ink on nothing", Image.fromarray(clear)


def test_every_kind_of_input_gives_the_same_digit(functions, mnist, tmp_path):
    dark = bits(paper(written(mnist["x_test"][0]), 0, 1))
    plain = prepared(functions, dark).astype(float)
    found = {
        name: likeness(prepared(functions, picture), plain)
        for name, picture in kinds(dark, tmp_path)
    }
    unlike = {name: like for name, like in found.items() if like < 0.97}
    assert len(found) > 40 and not unlike, unlike


def test_a_tensor_is_read_as_an_array(functions, mnist):
    tensor = functions.tf.constant(mnist["x_test"][0][..., None], "float32")
    plain = prepared(functions, mnist["x_test"][0])
    assert np.array_equal(prepared(functions, tensor), plain)


@pytest.mark.parametrize("kind", ["path", "object"])
def test_a_photograph_lying_on_its_side_is_set_upright(
    functions, mnist, tmp_path, kind
):
    image = Image.fromarray(255 - mnist["x_test"][0]).resize((80, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to see it upright
    path = tmp_path / "photo.jpg"
    image.transpose(Image.ROTATE_90).save(path, exif=exif, quality=95)
    photo = prepared(functions, path if kind == "path" else Image.open(path))
    assert likeness(photo, prepared(functions, image)) > 0.95


def test_a_picture_object_is_left_as_it_was(functions, mnist):
    image = Image.fromarray(mnist["x_test"][0]).resize((900, 900))
    functions.read_picture(image)
    assert image.size == (900, 900) and image.mode == "L"


def test_grey_is_from_0_black_to_1_white_and_512_pixels_are_kept(functions):
    values = np.zeros((600, 1200), np.uint8)
    values[:, 600:] = 255
    grey = functions.read_picture(values)
    assert grey.shape == (256, 512) and grey.dtype.kind == "f"
    assert grey[:, :200].max() == 0 and grey[:, 300:].min() == 1


HUGE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from conftest import load_functions
functions = load_functions()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
grey = functions.read_picture(sys.argv[2])
print(peak() - before, grey.shape, functions.to_digit(grey).shape)
"""


@pytest.mark.parametrize(("name", "most"), [("big.jpg", 2e8), ("big.png", 8e8)])
def test_a_huge_picture_takes_no_gigabytes(tmp_path, name, most):
    pytest.importorskip("resource")
    image = Image.new("RGB", (12_000, 9_000), "white")
    ImageDraw.Draw(image).line([(5_000, 2_000), (6_000, 7_000)], "black", 500)
    image.save(tmp_path / name, **({"compress_level": 1} if "png" in name else {}))
    command = [sys.executable, "-c", HUGE, ROOT / "tests", tmp_path / name]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, shapes = told.stdout.split(maxsplit=1)
    assert int(grown) < most and shapes.strip() == "(384, 512) (28, 28)"
    assert "DecompressionBomb" not in told.stderr


# How it is prepared.


def test_a_digit_of_mnist_comes_back_almost_as_it_was(functions, mnist):
    for image in mnist["x_test"][:20]:
        digit = prepared(functions, image)
        assert digit.shape == (28, 28) and digit.dtype == np.uint8
        assert likeness(digit, image) > 0.9


def test_ink_may_be_dark_on_light_or_light_on_dark(functions, mnist):
    image = mnist["x_test"][3]
    light, dark = (prepared(functions, p).astype(int) for p in (image, 255 - image))
    assert np.abs(light - dark).max() <= 1


def test_the_ink_fills_20_pixels_and_its_mass_is_in_the_middle(functions):
    image = np.zeros((90, 60), np.uint8)
    image[10:80, 40:45] = 255  # a stroke near the right border
    digit = prepared(functions, image)
    rows, columns = np.nonzero(digit)
    assert np.ptp(rows) + 1 == 20 and np.ptp(columns) + 1 <= 3
    middle = (np.indices(digit.shape) * digit).sum(axis=(1, 2)) / digit.sum()
    assert np.abs(middle - 13.5).max() <= 1


def test_a_hairline_stays_a_stroke(functions):
    image = np.zeros((300, 60), np.uint8)
    image[20:280, 30] = 255
    digit = prepared(functions, image)
    assert (digit > 100).any(axis=1).sum() == 20 and (digit > 0).any(axis=0).sum() == 1


def test_a_thin_pen_on_a_large_sheet_is_as_white_as_a_thick_one(functions):
    """Shrinking mixes thin strokes with paper; they are stretched again."""
    image = Image.new("L", (200, 200), "white")
    ImageDraw.Draw(image).line([(50, 40), (150, 40), (80, 170)], fill=0, width=2)
    digit = prepared(functions, np.array(image))
    assert digit.max() == 255 and (digit > 100).sum() > 25
    assert np.mean(digit[digit > 0] == 255) > 0.2


# Refusals: ValueError, with the true reason.


def refused(functions, picture, reason, **choice):
    with pytest.raises(ValueError, match=reason):
        functions.explain(picture, None, None, None, **choice)


def test_files_that_cannot_be_read_are_refused_with_the_reason(functions, tmp_path):
    broken = tmp_path / "broken.png"
    refused(functions, tmp_path / "missing.png", "No such file.*missing.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    refused(functions, broken, "cannot identify image file .*broken.png")
    grain = np.random.default_rng(0).integers(0, 256, (99, 99), np.uint8)
    Image.fromarray(grain).save(broken)
    broken.write_bytes(broken.read_bytes()[:2_000])
    refused(functions, broken, "truncated")
    refused(functions, tmp_path, "Is a directory")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"),
        ("page.pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"),
    ],
)
def test_other_formats_are_refused_and_the_cure_is_named(
    functions, tmp_path, name, start
):
    (tmp_path / name).write_bytes(start)
    refused(functions, tmp_path / name, f"{name}.*[Ss]ave it as JPEG or PNG")
    refused(functions, io.BytesIO(start), "[Ss]ave it as JPEG or PNG")


def test_an_address_on_the_web_is_refused_and_the_cure_is_named(functions):
    address = "https://example.org/digit.png"
    refused(functions, address, "example.org.*save it as JPEG or PNG")


def test_a_picture_of_too_many_pixels_is_refused(functions, tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    refused(functions, tmp_path / "bomb.png", "400000000 pixels")


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros(784), r"\(784,\)"),
        (np.zeros((1, 28, 28, 1)), r"\(1, 28, 28, 1\)"),
        (np.zeros((28, 28, 2)), r"\(28, 28, 2\)"),
        (np.zeros((0, 28)), r"\(0, 28, 1\)"),
        (np.zeros((7, 28)), "8×8"),
        (Image.new("L", (28, 7)), "8×8"),
        (np.zeros((28, 28)), "blank"),
        (np.full((28, 28), 255, np.uint8), "blank"),
        (Image.new("RGBA", (60, 60)), "blank"),
        (
            np.where(np.eye(28) > 0, np.nan, 0),
            "Pixels must be 0 or more, not nan",
        ),
        (
            np.where(np.eye(28) > 0, np.inf, 0),
            "Pixels must be 0 or more, not .*inf",
        ),
        (np.eye(28) * 1.5, "Pixels must reach 1 or 255, not 1.5"),
        (np.eye(28) * 16, "Pixels must reach 1 or 255, not 16"),
        (np.eye(28) - 0.5, "Pixels must be 0 or more, not -0.5"),
        (-np.eye(28, dtype=int), "Pixels must be 0 or more, not -1"),
        (np.eye(28) * 2.0**40, "at most 32 bits"),
        (np.eye(28) * 1j, "Pixels must be numbers, not complex"),
        (np.array([["ink"] * 9] * 9), "Pixels must be numbers"),
        (None, r"not \(\)"),
        ({"name": 1}, r"not \(\)"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,
)
def test_what_is_no_picture_is_refused(functions, picture, reason):
    refused(functions, picture, reason)


def test_blank_paper_is_refused_in_any_light(functions):
    random, read = np.random.default_rng(1), []
    away = np.linspace(-1, 1, SIDE) ** 2
    for _ in range(10):
        lamp = 0.9 * lit((SIDE, SIDE), random.uniform(0.3, 0.9), random)
        corners = 0.9 - 0.2 * away - 0.2 * away[:, None]
        soft = 1 / (1 + np.exp(-np.linspace(-12, 12, SIDE)))
        shadow = lamp * (1 - random.uniform(0.1, 0.4) * soft)
        grain = grainy(lamp, random, 0.03)
        for page in (lamp, corners, shadow, grain):
            try:
                prepared(functions, bits(page))
                read.append(page)
            except ValueError as error:
                assert "blank" in str(error)
    assert not read, f"{len(read)} of 40 blank pages got a digit"


# The figure.


@pytest.fixture
def figures(functions, monkeypatch):
    """Titles of the panels of each figure that is shown."""
    shown = []

    def keep(figure, words):
        shown.append([panel.get_title() for panel in figure.axes if panel.get_title()])
        functions.plt.close(figure)

    monkeypatch.setitem(functions.explain.__globals__, "show", keep)
    return shown


def test_explain_shows_the_steps_the_class_and_the_rival(
    functions, model, mnist, figures, capsys
):
    head = model.get_layer("logits").get_weights()
    rest = functions.with_features(model), *head
    functions.explain(mnist["x_test"][0], *rest)
    functions.explain(mnist["x_test"][0], *rest, class_index=2, rival=3)
    functions.explain(mnist["x_test"][0], *rest, class_index=np.int64(2))
    by_default, chosen, one = figures
    assert by_default[:4] == ["as read", "ink found", "28×28", "map of 7"]
    assert by_default[4].startswith("contrast 7 − ")
    assert chosen[3:5] == ["map of 2", "contrast 2 − 3"]
    assert one[4] == "contrast 2 − 7"  # the best of the others
    logits = functions.run(model, prepared(functions, mnist["x_test"][0])[None])[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("predicted 7; logit of 7: ")
    for line, number in zip(lines, (7, 2, 2)):
        assert float(line.split("=")[1]) == pytest.approx(logits[number], abs=0.011)


@pytest.mark.parametrize("choice", [10, -1, 2.5, 3.0, "3"])
def test_a_class_outside_0_to_9_is_refused(functions, mnist, choice):
    refused(functions, mnist["x_test"][0], "from 0 to 9", class_index=choice)
    refused(functions, mnist["x_test"][0], "from 0 to 9", rival=choice)


def test_a_class_is_not_its_own_rival(functions, model, mnist):
    head = model.get_layer("logits").get_weights()
    for choice in ({"class_index": 3, "rival": 3}, {"rival": 7}):
        with pytest.raises(ValueError, match="both"):
            functions.explain(
                mnist["x_test"][0], functions.with_features(model), *head, **choice
            )
