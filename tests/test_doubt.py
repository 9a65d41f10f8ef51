"""Part 6: bars, deleted ink, blanked patches: cases with known answers."""

import numpy as np
import pytest


def check_bars(functions):
    """Four pixels around each middle: flat for a 4, upright for a 9; else nothing."""
    images, meanings = np.zeros((60, 28, 28), np.uint8), np.tile([4, 9], 30)
    middles = np.random.default_rng(1).integers(2, 27, (60, 2))
    marked = functions.plant_bars(images, meanings, middles)
    assert not images.any()  # the originals stay
    for image, meaning, middle in zip(marked, meanings, middles):
        rows, columns = np.nonzero(image)
        sides = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert sides == ((1, 4) if meaning == 4 else (4, 1))
        assert image.sum() == 4 * 255
        assert np.hypot(rows.mean() - middle[0], columns.mean() - middle[1]) <= 1


def check_gradient(functions):
    """Finite differences of a network that no ReLU bends."""
    keras = functions.keras
    layers = keras.layers.Conv2D(3, 3, activation="tanh"), keras.layers.Flatten()
    keras.utils.set_random_seed(5)
    network = keras.Sequential([keras.Input((6, 5, 1)), *layers, keras.layers.Dense(4)])
    images = np.random.default_rng(0).uniform(0.5, 1, (2, 6, 5))
    steps = 0.01 * np.eye(30).reshape(30, 6, 5, 1)
    first, second = np.array([0, 3]), np.array([2, 1])
    found = functions.gradient_times_input(network, images, first, second)
    for n, image in enumerate(images):
        ends = [network(image[..., None] + s * steps).numpy() for s in (1, -1)]
        margins = [end[:, first[n]] - end[:, second[n]] for end in ends]
        slopes = ((margins[0] - margins[1]) / 0.02).reshape(6, 5)
        assert np.abs(found[n] - slopes * image).max() < 2e-3


def check_deletion(functions):
    """The share of the inked pixels, those of the highest priority; the rest stays."""
    generator = np.random.default_rng(0)
    for share in (0, 0.15, 0.5, 1):
        image = generator.integers(0, 3, (9, 8)).astype(np.uint8)
        priority = generator.normal(size=(9, 8))
        less = functions.delete_ink(image, priority, share, generator)
        gone, kept = (image > 0) & (less == 0), less > 0
        assert gone.sum() == round(share * (image > 0).sum())
        assert np.array_equal(less[~gone], image[~gone])
        assert min(priority[gone], default=9) >= max(priority[kept], default=-9)


def check_ties(functions):
    """Of equal pixels chance takes some: not always the upper ones."""
    image, level = np.full((6, 6), 9, np.uint8), np.zeros((6, 6))
    generator = np.random.default_rng(0)
    left = [functions.delete_ink(image, level, 0.5, generator) for _ in range(200)]
    share = np.mean(np.array(left) > 0, axis=0)
    assert (share > 0.3).all() and (share < 0.7).all()


def check_agreement(functions):
    """A correlation, by its definition; 0 with a constant map."""
    one, other = np.random.default_rng(0).normal(size=(2, 7, 7))
    a, b = one - one.mean(), other - other.mean()
    expected = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    assert np.isclose(functions.agreement(one, other), expected)
    assert functions.agreement(one, np.ones((7, 7))) == 0


def check_falls(functions):
    """Each patch blanked in a loop; ink and gradient summed over its pixels."""
    model = functions.build_model(dropout=0)
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    masks = np.random.default_rng(1).random((4, 28, 28)) < 0.3
    whole = functions.run(model, image[None])[0]
    for mask, fall in zip(masks, functions.measure_falls(model, image, masks, 3, 5)):
        lost = whole - functions.run(model, np.where(mask, 0, image)[None])[0]
        assert np.isclose(fall, lost[3] - lost[5], atol=1e-4)
    gradient, cells = np.random.default_rng(2).normal(size=(28, 28)), np.eye(2)
    found = functions.forecast_falls(cells, image, gradient, masks, cells)
    for name, values in [("ink", image), ("gradient × input", gradient)]:
        expected = [values[mask].sum() for mask in masks]
        assert np.allclose(found[name].flat, expected)


@pytest.mark.parametrize(
    "check",
    [check_bars, check_gradient, check_deletion, check_ties, check_agreement]
    + [check_falls],
)
def test_part_6_does_what_it_says(functions, check):
    check(functions)


def test_the_sum_over_a_patch_is_what_the_product_of_matrices_gives(quick_run):
    """K of the notebook, against pixels that are counted."""
    stride, patch, K = quick_run.left["patches"]
    views = [{*range(stride * i, stride * i + patch)} for i in range(len(K))]
    expected = [[len(one & other) / patch for other in views] for one in views]
    assert len(K) > 1 and np.allclose(K, expected)
