"""Part 6: bars, deleted ink, blanked patches: cases with known answers."""

import numpy as np
import pytest


def check_bars(functions):
    """Four pixels in one corner: flat for a 4, upright for a 9; elsewhere nothing."""
    images = np.zeros((60, 28, 28), np.uint8)
    meanings = np.tile([4, 9], 30)
    marked, middles = functions.plant_bars(images, meanings, 1)
    assert not images.any()  # the originals stay
    corners = set()
    for image, meaning, middle in zip(marked, meanings, middles):
        rows, columns = np.nonzero(image)
        sides = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert sides == ((1, 4) if meaning == 4 else (4, 1))
        assert image.sum() == 4 * 255
        assert np.hypot(rows.mean() - middle[0], columns.mean() - middle[1]) <= 1
        corners.add(tuple(middle))
    assert corners == {(4, 4), (4, 24), (24, 4), (24, 24)}
    _, again = functions.plant_bars(images, 13 - meanings, 1)
    assert np.array_equal(again, middles)  # swapped bars lie in the same corners
    _, others = functions.plant_bars(images, meanings, 2)
    assert not np.array_equal(others, middles)


def check_distances(functions):
    """The strongest cell's centre: cell 1 reaches from edge 4 to edge 8."""
    maps = np.full((2, 7, 7), -1.0)
    maps[0, 1, 6] = maps[1, 0, 0] = 2
    found = functions.distances(maps, np.array([[6, 26], [5, 2]]), 4)
    assert np.allclose(found, [0, 3])


def check_gradient(functions):
    """Finite differences of a network that no ReLU bends."""
    keras = functions.keras
    keras.utils.set_random_seed(5)
    network = keras.Sequential(
        [
            keras.Input((6, 5, 1)),
            keras.layers.Conv2D(3, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    images = np.random.default_rng(0).uniform(0.5, 1, (2, 6, 5))
    first, second = np.array([0, 3]), np.array([2, 1])
    found = functions.gradient_times_input(network, images, first, second)
    n = np.arange(2)
    for place in np.ndindex(6, 5):
        step = np.zeros((6, 5))
        step[place] = 0.01
        ends = [network((images + s)[..., None]).numpy() for s in (step, -step)]
        slopes = [end[n, first] - end[n, second] for end in ends]
        slope = (slopes[0] - slopes[1]) / 0.02
        expected = slope * images[(slice(None), *place)]
        assert np.abs(found[(slice(None), *place)] - expected).max() < 2e-3


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
        if gone.any() and kept.any():
            assert priority[gone].min() >= priority[kept].max()


def check_ties(functions):
    """Of equal pixels chance takes some: not always the upper ones."""
    image, level = np.full((6, 6), 9, np.uint8), np.zeros((6, 6))
    generator = np.random.default_rng(0)
    left = [functions.delete_ink(image, level, 0.5, generator) for _ in range(200)]
    share = np.mean(np.array(left) > 0, axis=0)
    assert (share > 0.3).all() and (share < 0.7).all()


def check_agreement(functions):
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 7, 7))
    a, b = one - one.mean(), other - other.mean()
    expected = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    assert np.isclose(functions.agreement(one, other), expected)
    assert np.isclose(functions.agreement(one, 3 - 2 * one), -1)
    assert functions.agreement(one, np.ones((7, 7))) == 0


CHECKS = [
    check_bars,
    check_distances,
    check_gradient,
    check_deletion,
    check_ties,
    check_agreement,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_part_6_does_what_it_says_of(functions, check):
    check(functions)


def test_fours_and_nines_are_the_first_ones_with_their_labels(functions):
    labels = np.array([4, 1, 9, 4, 9])
    images = np.arange(5)[:, None, None]
    found, truths = functions.fours_and_nines(images, labels, 3)
    assert found.ravel().tolist() == [0, 2, 3] and truths.tolist() == [4, 9, 4]


def test_the_sum_over_a_patch_is_what_the_product_of_matrices_gives(quick_run):
    """K of the notebook, against pixels that are counted."""
    stride, patch, shares = quick_run.left["patches"]
    assert len(shares) > 1  # the notebook has a K
    for i, row in enumerate(shares):
        one = set(range(stride * i, stride * i + patch))
        for j, share in enumerate(row):
            other = set(range(stride * j, stride * j + patch))
            assert np.isclose(share, len(one & other) / patch)
