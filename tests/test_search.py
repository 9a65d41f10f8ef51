"""Deletion, canvases, pointing, boxes: against hand-made cases with known answers."""

import numpy as np
import pytest
from conftest import explainer_of
from scipy import ndimage


def check_tight_box(functions):
    image = np.zeros((9, 12), np.uint8)
    assert functions.tight_box(image).tolist() == [0, 0, 0, 0]
    image[2, 3] = image[6, 10] = 1
    assert functions.tight_box(image).tolist() == [2, 3, 7, 11]


def check_right_boxes(functions):
    """Each drawn box against its own: IoU by counting pixels, one half is enough."""
    truth = [[0, 0, 4, 4], [0, 1, 4, 5], [0, 0, 4, 4], [0, 0, 4, 4], [3, 3, 9, 9]]
    drawn = [[0, 0, 4, 4], [0, 2, 4, 6], [0, 0, 2, 4], [0, 0, 4, 8], [0, 0, 0, 0]]
    filled = np.zeros((2, 5, 12, 12), bool)
    for kind, boxes in enumerate((drawn, truth)):
        for one, (top, left, bottom, right) in zip(filled[kind], boxes):
            one[top:bottom, left:right] = True
    a, b = filled
    expected = 2 * (a & b).sum(axis=(1, 2)) >= (a | b).sum(axis=(1, 2))
    found = functions.right_boxes(np.array([drawn]), np.array([truth]))
    assert found.tolist() == [expected.tolist()]
    assert expected.tolist() == [True, True, True, True, False]


def check_hits(functions):
    """A box has its first row and column, and not the ones after its last."""
    maps = np.zeros((1, 4, 8, 8))
    for d, place in enumerate([(2, 3), (5, 4), (4, 4), (4, 5)]):
        maps[0, d][place] = 1
    boxes = np.array([[[2, 3, 5, 5]] * 4])
    found = functions.hits(functions.peaks(maps), boxes)
    assert found.tolist() == [[True, False, True, False]]
    assert functions.hits(np.array([2, 3]), boxes).all()
    assert not functions.hits(np.array([2, 5]), boxes).any()


def check_map_boxes(functions):
    """The largest component, as SciPy finds it; where two are largest, either."""
    generator = np.random.default_rng(0)
    maps = ndimage.gaussian_filter(generator.random((5, 4, 24, 20)), (0, 0, 2, 2))
    maps -= maps.min()
    for threshold in (0.3, 0.6, 0.9):
        found = functions.map_boxes(maps, threshold)
        for n, d in np.ndindex(5, 4):
            kept = maps[n, d] > threshold * maps[n, d].max()
            labels, _ = ndimage.label(kept, np.ones((3, 3)))
            sizes, slices = (
                np.bincount(labels.ravel())[1:],
                ndimage.find_objects(labels),
            )
            largest = [slices[i] for i in np.flatnonzero(sizes == sizes.max())]
            boxes = [[y.start, x.start, y.stop, x.stop] for y, x in largest]
            assert found[n, d].tolist() in boxes


def check_windows(functions):
    generator = np.random.default_rng(0)
    maps, bias = generator.normal(size=(2, 9, 11, 3)).astype(np.float32), np.arange(3)
    found = functions.windows(maps, bias)
    assert found.shape == (2, 3, 5, 3)
    for y, x in np.ndindex(3, 5):
        expected = maps[:, y : y + 7, x : x + 7].mean(axis=(1, 2)) + bias
        assert np.allclose(found[:, y, x], expected, atol=1e-5)


def test_a_window_is_the_mean_over_the_inner_cells_of_the_crop_around_it(functions):
    """Cut out with 8 pixels more on each side, 44×44, its 7×7 cells see all they need.

    Of the bare tile, 28×28, they see less: there the network pads its own border.
    """
    functions.keras.utils.set_random_seed(1)
    explainer = explainer_of(functions.build_model())
    weights, bias = explainer.get_layer("logits").get_weights()
    canvas = np.random.default_rng(1).integers(0, 256, (1, 64, 64), np.uint8)

    def maps(images):
        features, _ = functions.run(explainer, images)
        return functions.class_activation_maps(features, weights)

    window = functions.windows(maps(canvas), bias)[:, 5, 5]  # from pixel (20, 20)
    inner = maps(canvas[:, 12:56, 12:56])[:, 2:9, 2:9]
    bare = maps(canvas[:, 20:48, 20:48])
    assert np.allclose(window, functions.logits_from_maps(inner, bias), atol=1e-4)
    gap = np.abs(window - functions.logits_from_maps(bare, bias)).max()
    assert gap > 100 * 1e-4


def check_find_digits(functions):
    """The best window, then the best of those that do not overlap it, and so on."""
    scores = np.zeros((12, 12, 10))
    scores[2, 3, 7], scores[6, 7, 1], scores[9, 9, 4] = 3, 2, 1
    assert functions.find_digits(scores, 2).tolist() == [[7, 2, 3], [4, 9, 9]]
    scores[2, 9, 0] = 2.5  # six cells beside the best: room for it
    assert functions.find_digits(scores, 2).tolist() == [[7, 2, 3], [0, 2, 9]]


def check_ink_boxes(functions):
    """The ink of the window whose score is the highest for the class."""
    canvases = np.zeros((1, 64, 64), np.uint8)
    canvases[0, 10:20, 12:18] = 255
    canvases[0, 29:31, 20:22] = 255  # rows below the window, so not in its box
    scores = np.zeros((1, 10, 10, 10), np.float32)
    scores[0, 0, 2, 5] = 1  # the window from pixel (0, 8)
    found = functions.ink_boxes(canvases, scores, np.array([[5]]))
    assert found.tolist() == [[[10, 12, 20, 18]]]


def check_delete_ink(functions):
    """The highest scores go first; background is no ink and does not count."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5, 6, 7)) * (generator.random((5, 6, 7)) < 0.6)
    scores = generator.permutation(images.size).reshape(images.shape)
    for share in (0, 0.3, 1):
        less = functions.delete_ink(images, scores, share, 1)
        for image, score, left in zip(images, scores, less):
            ink = np.flatnonzero(image)
            amount = round(share * len(ink))
            gone = sorted(ink, key=lambda i: -score.flat[i])[:amount]
            expected = image.copy()
            expected.flat[gone] = 0
            assert np.array_equal(left, expected)


CHECKS = [
    check_tight_box,
    check_right_boxes,
    check_hits,
    check_map_boxes,
    check_windows,
    check_find_digits,
    check_ink_boxes,
    check_delete_ink,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_a_known_answer_of(functions, check):
    check(functions)


def check_canvases(functions, mnist):
    """Classes differ, tiles keep clear of each other, boxes hold all of the ink."""
    made = functions.make_canvases(mnist["x_test"], mnist["y_test"], 40, 7)
    canvases, classes, boxes = made
    assert canvases.shape == (40, 64, 64) and canvases.dtype == np.uint8
    for canvas, pair, two in zip(canvases, classes, boxes):
        assert pair[0] != pair[1]
        covered = np.zeros(canvas.shape, int)
        for top, left, bottom, right in two:
            covered[top:bottom, left:right] += 1
            ink = canvas[top:bottom, left:right]
            assert ink[0].any() and ink[-1].any() and ink[:, 0].any()
        assert covered.max() == 1 and not canvas[covered == 0].any()


def test_digits_of_a_canvas_differ_and_do_not_overlap(functions, mnist):
    check_canvases(functions, mnist)


def test_canvases_depend_on_the_seed_alone(functions, mnist):
    made = [
        functions.make_canvases(mnist["x_test"], mnist["y_test"], 5, seed, 100, 5)
        for seed in (1, 1, 2)
    ]
    first, again, other = made
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("side, digits", [(64, 3), (100, 6), (90, 2)])
def test_a_canvas_too_crowded_or_of_an_odd_side_is_refused(
    functions, mnist, side, digits
):
    """It would be laid out again and again, for ever, or not fit its maps' cells."""
    with pytest.raises(AssertionError, match="longer multiple of 4"):
        functions.make_canvases(mnist["x_test"], mnist["y_test"], 1, 1, side, digits)


def test_the_digits_named_first_are_not_placed_first(functions, mnist):
    """Every corner of a canvas is used: the layout gives no place away."""
    boxes = functions.make_canvases(mnist["x_test"], mnist["y_test"], 300, 1)[2]
    assert boxes[..., :2].min() < 8 and boxes[..., 2:].max() > 56
    assert 0.4 < (boxes[:, 0, 0] < boxes[:, 1, 0]).mean() < 0.6


def test_map_boxes_of_a_map_without_a_positive_place_is_empty(functions):
    found = functions.map_boxes(np.full((1, 1, 8, 8), -1.0), 0.5)
    assert found.tolist() == [[[0, 0, 0, 0]]]


def test_where_no_second_window_has_room_one_digit_is_found(functions):
    scores = np.zeros((10, 10, 10))
    scores[4, 5, 3] = 1
    assert functions.find_digits(scores, 2).tolist() == [[3, 4, 5]]
