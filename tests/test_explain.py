"""`explain`: good pictures in several formats; bad ones are refused with a reason."""

import numpy as np
import pytest
from conftest import explainer_of
from PIL import Image, ImageDraw


@pytest.fixture(scope="session")
def trained(functions, full_run):
    """The network that the notebook's own run has trained."""
    keras = functions.keras
    model = keras.models.load_model(full_run.folder / "model.keras")
    weights = model.get_layer("logits").get_weights()[0]
    return explainer_of(model), weights


def logits_of(functions, trained, pictures):
    digits = np.stack([functions.to_digit(functions.read_picture(p)) for p in pictures])
    return functions.run(trained[0], digits)[1]


def variants(image, folder):
    """The same digit as a person might bring it."""
    dark = 255 - image
    big = Image.fromarray(dark).resize((301, 257), Image.BICUBIC)
    wide = Image.new("L", (200, 90), 240)
    wide.paste(Image.fromarray(dark).resize((60, 60)), (120, 20))
    clear = np.zeros((28, 28, 4), np.uint8)
    clear[..., 3] = image  # black ink, its strength in the transparency
    paths = {
        name: folder / name for name in ("big.png", "big.jpg", "clear.png", "deep.png")
    }
    big.save(paths["big.png"])
    big.convert("RGB").save(paths["big.jpg"])
    Image.fromarray(clear).save(paths["clear.png"])
    Image.fromarray(image.astype(np.uint16) * 257).save(paths["deep.png"])
    color = np.stack([dark, dark, np.full_like(dark, 255)], axis=-1)
    arrays = [image, image / 255, image > 127, dark, color, np.array(wide)]
    return [*arrays, *paths.values(), str(paths["big.png"])]


def test_the_same_digit_in_many_formats_is_recognised(
    functions, trained, mnist, tmp_path
):
    right = []
    for image, label in zip(mnist["x_test"][:60], mnist["y_test"]):
        logits = logits_of(functions, trained, variants(image, tmp_path))
        right.append(logits.argmax(axis=1) == label)
    share = np.mean(right, axis=0)
    assert share.min() >= 0.9, share
    assert share.mean() >= 0.95, share


def test_a_digit_of_mnist_comes_back_almost_as_it_was(functions, mnist):
    for image in mnist["x_test"][:20]:
        digit = functions.to_digit(functions.read_picture(image))
        assert digit.shape == (28, 28) and digit.dtype == np.uint8
        assert np.corrcoef(digit.ravel(), image.ravel())[0, 1] > 0.9


def test_a_photograph_lying_on_its_side_is_set_upright(functions, mnist, tmp_path):
    image = Image.fromarray(255 - mnist["x_test"][0]).resize((80, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to see it upright
    image.transpose(Image.ROTATE_90).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    image.save(tmp_path / "upright.png")
    photo, upright = (
        functions.to_digit(functions.read_picture(tmp_path / n)).astype(float)
        for n in ("photo.jpg", "upright.png")
    )
    assert np.corrcoef(photo.ravel(), upright.ravel())[0, 1] > 0.95


def refused(functions, picture, reason, **choice):
    with pytest.raises(ValueError, match=reason):
        functions.explain(picture, None, None, **choice)


def test_files_that_cannot_be_read_are_refused_by_pillow_with_the_reason(
    functions, tmp_path
):
    def unreadable(path, reason):
        with pytest.raises(OSError, match=reason):
            functions.explain(path, None, None)

    broken = tmp_path / "broken.png"
    unreadable(tmp_path / "missing.png", "No such file.*missing.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    unreadable(broken, "cannot identify image file .*broken.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99), np.uint8)).save(
        broken
    )
    broken.write_bytes(broken.read_bytes()[:2_000])
    unreadable(broken, "truncated")
    unreadable(tmp_path, "Is a directory")


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros(784), r"\(784,\)"),
        (np.zeros((1, 28, 28, 1)), r"\(1, 28, 28, 1\)"),
        (np.zeros((28, 28, 2)), r"\(28, 28, 2\)"),
        (np.zeros((0, 28)), "8×8"),
        (np.zeros((7, 28)), "8×8"),
        (np.zeros((28, 28)), "blank"),
        (np.full((28, 28), 255, np.uint8), "blank"),
        (np.where(np.eye(28) > 0, np.nan, 0), "Pixels must be"),
        (np.where(np.eye(28) > 0, np.inf, 0), "Pixels must be"),
        (np.eye(28) * 1.5, "Pixels must be"),
        (np.eye(28) - 0.5, "Pixels must be"),
        (np.eye(28, dtype=int) * 300, "Pixels must be"),
        (np.array([["ink"] * 9] * 9), "Pixels must be"),
    ],
    ids=lambda x: None if isinstance(x, np.ndarray) else x,
)
def test_arrays_that_are_no_image_are_refused(functions, picture, reason):
    refused(functions, picture, reason)


def test_ink_may_be_dark_on_light_or_light_on_dark(functions, mnist):
    image = mnist["x_test"][3]
    light, dark = (
        functions.to_digit(functions.read_picture(p)) for p in (image, 255 - image)
    )
    assert np.array_equal(light, dark)


def test_the_ink_fills_20_pixels_and_its_mass_is_in_the_middle(functions):
    image = np.zeros((90, 60), np.uint8)
    image[10:80, 40:45] = 255  # a stroke near the right border
    digit = functions.to_digit(functions.read_picture(image))
    top, left, bottom, right = functions.tight_box(digit)
    assert bottom - top == 20 and right - left <= 3
    middle = (np.indices(digit.shape) * digit).sum(axis=(1, 2)) / digit.sum()
    assert np.abs(middle - 13.5).max() <= 1


def test_a_hairline_stays_a_stroke(functions):
    image = np.zeros((300, 60), np.uint8)
    image[20:280, 30] = 255
    digit = functions.to_digit(functions.read_picture(image))
    assert (digit > 100).any(axis=1).sum() == 20 and (digit > 0).any(axis=0).sum() == 1


def test_a_thin_pen_on_a_large_sheet_is_as_white_as_a_thick_one(functions):
    """Shrinking mixes thin strokes with the paper; the digit is stretched again."""
    image = Image.new("L", (200, 200), "white")
    ImageDraw.Draw(image).line([(50, 40), (150, 40), (80, 170)], fill=0, width=2)
    digit = functions.to_digit(functions.read_picture(np.array(image)))
    assert digit.max() == 255 and (digit > 100).sum() > 25


def test_explain_shows_the_class_and_the_rival_that_were_chosen(
    functions, trained, mnist
):
    def titles(**choice):
        functions.explain(mnist["x_test"][0], *trained, **choice)
        return [panel.get_title() for panel in functions.plt.gcf().axes]

    by_default, chosen = titles(), titles(class_index=2, rival=3)
    assert by_default[0] == "predicted 7" and by_default[1].startswith("map of 7 (")
    assert chosen[1].startswith("map of 2 (") and chosen[2] == "contrast 2 − 3"


@pytest.mark.parametrize("choice", [10, -1, 2.5, "3"])
def test_a_class_outside_0_to_9_is_refused(functions, mnist, choice):
    refused(functions, mnist["x_test"][0], "from 0 to 9", class_index=choice)
    refused(functions, mnist["x_test"][0], "from 0 to 9", rival=choice)
