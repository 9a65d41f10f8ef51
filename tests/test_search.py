"""Part 7, and the parts of an image: cases with known answers, and SciPy's."""

import numpy as np
import pytest
from scipy import ndimage


def check_tight_box(functions):
    kept = np.zeros((9, 12), bool)
    assert functions.tight_box(kept).tolist() == [0, 0, 0, 0]
    kept[2, 3] = kept[6, 10] = True
    assert functions.tight_box(kept).tolist() == [2, 3, 7, 11]


def check_connected_parts(functions):
    """SciPy's labels: pixels belong together where they share a side."""
    random = np.random.default_rng(0).random
    shapes = [(1, 1, 1), (5, 9, 0.4), (30, 40, 0.3), (40, 30, 0.6), (8, 8, 0)]
    pictures = [random((h, w)) < p for h, w, p in shapes]
    snake = np.zeros((99, 99), bool)
    snake[::2] = snake[1::4, -1] = snake[3::4, 0] = True
    for kept in [*pictures, snake]:
        found = functions.connected_parts(kept)
        assert np.array_equal(found, ndimage.label(kept)[0])


def check_windows(functions):
    maps = np.random.default_rng(0).normal(size=(2, 9, 11, 3)).astype("float32")
    for width in (1, 2, 7):
        found = functions.window_means(maps, width)
        assert found.shape == (2, 10 - width, 12 - width, 3)
        for y, x in np.ndindex(found.shape[1:3]):
            window = maps[:, y : y + width, x : x + width]
            assert np.allclose(found[:, y, x], window.mean(axis=(1, 2)), atol=1e-5)


def check_search(functions):
    """Maps, evidence above the mean class, and SciPy's mean with zeros around."""
    keras = functions.keras
    keras.utils.set_random_seed(4)
    model = functions.build_model(0)
    explainer, last_layer = functions.with_features(model), model.get_layer("logits")
    bias = np.random.default_rng(0).normal(size=10)
    last_layer.set_weights([last_layer.get_weights()[0], bias])
    cells = last_layer(model.get_layer("pooling").input)
    without_pooling = keras.Model(model.inputs, cells)
    canvases = np.random.default_rng(1).integers(0, 256, (2, 32, 40), np.uint8)
    blank = np.random.default_rng(2).integers(0, 32, (32, 40), np.uint8)
    found = functions.search(without_pooling, canvases, blank, 1)
    features, _ = functions.run(explainer, np.stack([*canvases, blank]))
    *maps, blank_maps = features @ last_layer.get_weights()[0]
    above = maps - blank_maps
    smooth = ndimage.uniform_filter(found[1], (1, 3, 3, 1), mode="constant")
    expected = maps + bias, above - above.mean(axis=-1, keepdims=True), smooth
    for one, other in zip(found, expected):
        assert np.abs(one - other).max() <= 1e-4 * np.abs(maps).max()


def check_pointing(functions):
    """Of stride 4, cell (1, 2) has its centre at (6, 10); a box's last row is outside.

    Of stride 2, at (3, 5).
    """
    maps = np.zeros((2, 6, 8, 10))
    maps[0, 1, 2, 7] = maps[0, 4, 6, 3] = maps[1, 0, 0, 5] = maps[1, 0, 0, 1] = 1
    classes = np.array([[7, 3], [5, 1]])
    boxes = np.array([[(6, 10, 7, 11), (0, 0, 18, 40)], [(0, 0, 9, 9), (0, 0, 3, 3)]])
    assert functions.pointing(maps, classes, boxes, 4).tolist() == [0.5, 1]
    boxes[0] = [(3, 5, 4, 6), (0, 0, 9, 40)]
    assert functions.pointing(maps, classes, boxes, 2).tolist() == [0.5, 1]


def check_find_digits(functions):
    """The best window, then the best that is far enough away, both ways or one."""
    scores = np.zeros((10, 10, 4))
    scores[2, 3, 1], scores[4, 5, 2], scores[2, 6, 3], scores[9, 9, 0] = 9, 8, 7, 6
    before = scores.copy()
    assert functions.find_digits(scores, 3, 3) == [(1, 2, 3), (3, 2, 6), (0, 9, 9)]
    assert functions.find_digits(scores, 2, 2) == [(1, 2, 3), (2, 4, 5)]
    assert np.array_equal(scores, before)


def check_naming(functions):
    scores = np.zeros((2, 9, 9, 10))
    scores[0, 1, 1, 5], scores[0, 7, 7, 3] = 2, 1
    scores[1, 1, 1, 5], scores[1, 7, 7, 4] = 2, 1
    right = functions.naming(scores, np.array([[3, 5], [3, 5]]), 3)
    assert right.tolist() == [True, False]


def check_outline(functions):
    """The largest part, not the highest; a threshold on the highest."""
    one_map = np.zeros((16, 16), np.float32)
    one_map[2:6, 3:8], one_map[12, 12], one_map[9, 0] = 0.8, 1, 0.5
    assert functions.outline_box(one_map, (16, 16)).tolist() == [2, 3, 6, 8]
    assert functions.outline_box(one_map, (16, 16), 0.9).tolist() == [12, 12, 13, 13]
    assert functions.outline_box(-one_map - 1, (16, 16)).tolist() == [0, 0, 0, 0]


def check_ink(functions):
    """All ink in a window, and nothing that is faint."""
    canvas, window = np.zeros((40, 40), np.uint8), (2, 3)  # from pixel (8, 12)
    canvas[9:14, 13:17], canvas[20, 20], canvas[1, 1] = 200, 31, 255
    assert functions.ink_box(canvas, window, 4, 7, 31).tolist() == [9, 13, 14, 17]
    assert functions.ink_box(canvas, window, 4, 7).tolist() == [9, 13, 21, 21]


def check_overlap(functions):
    """Pixels that are counted; two empty boxes share nothing."""
    for ends in np.random.default_rng(0).integers(0, 9, (50, 2, 2, 2)):
        boxes = np.sort(ends, axis=1).reshape(2, 4)
        one, other = (
            {(y, x) for y in range(top, bottom) for x in range(left, right)}
            for top, left, bottom, right in boxes
        )
        expected = len(one & other) / max(1, len(one | other))
        assert np.isclose(functions.overlap(*boxes, (9, 9)), expected)


CHECKS = [
    check_tight_box,
    check_connected_parts,
    check_windows,
    check_search,
    check_pointing,
    check_find_digits,
    check_naming,
    check_outline,
    check_ink,
    check_overlap,
]


@pytest.mark.parametrize("check", CHECKS)
def test_part_7_does_what_it_says(functions, check):
    check(functions)


def test_canvases_hold_different_digits_each_in_its_box(functions, mnist):
    images, labels = mnist["x_test"][:500], mnist["y_test"][:500]
    generator = np.random.default_rng(0)
    for side, count in [(64, 1), (64, 2), (100, 5)] * 10:
        canvas, classes, boxes = functions.make_canvas(
            images, labels, side, count, generator
        )
        assert canvas.shape == (side, side) and canvas.dtype == np.uint8
        assert len(set(classes.tolist())) == count
        for c, (top, left, bottom, right) in zip(classes, boxes):
            ink = canvas[top:bottom, left:right]
            assert any(np.array_equal(cropped(i), ink) for i in images[labels == c])
            canvas[top:bottom, left:right] = 0
        assert not canvas.any()  # nothing lies outside of the boxes


def cropped(image):
    return image[np.ix_(image.any(axis=1), image.any(axis=0))]


@pytest.mark.parametrize("side, count", [(40, 5), (27, 1), (64, 0), (200, 11)])
def test_a_canvas_without_room_is_refused(functions, mnist, side, count):
    arguments = mnist["x_test"], mnist["y_test"], side, count, np.random.default_rng(0)
    with pytest.raises(ValueError, match=f"no room for {count} digits"):
        functions.make_canvas(*arguments)


def test_pieces_are_put_over_a_canvas_and_hide_no_ink(functions):
    canvas = np.zeros((64, 64), np.uint8)
    canvas[20:40, 20:40] = 250
    images = np.full((3, 28, 28), 90, np.uint8)
    found = functions.add_pieces(canvas, images, 4, np.random.default_rng(0))
    assert (found >= canvas).all() and set(np.unique(found)) == {0, 90, 250}
    assert not (canvas == 90).any()
    assert 64 < (found == 90).sum() <= 4 * 64
