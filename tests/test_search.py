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
    """SciPy's labels, corners included, up to the order of the numbers."""
    generator = np.random.default_rng(0)
    pictures = [
        generator.random((h, w)) < p
        for h, w, p in [(1, 1, 1), (5, 9, 0.4), (30, 40, 0.3), (40, 30, 0.6), (8, 8, 0)]
    ]
    snake = np.zeros((21, 21), bool)
    snake[::2] = snake[1::4, -1] = snake[3::4, 0] = True
    for kept in [*pictures, snake]:
        found = functions.connected_parts(kept)
        expected, count = ndimage.label(kept, np.ones((3, 3)))
        assert found.shape == kept.shape and ((found > 0) == kept).all()
        pairs = set(zip(found[kept].tolist(), expected[kept].tolist()))
        assert len(pairs) == count == len({a for a, _ in pairs}) == found.max()


def check_canvas(functions, mnist):
    """Digits of different classes whose tiles do not overlap, each in its box."""
    images, labels = mnist["x_test"][:500], mnist["y_test"][:500]
    generator = np.random.default_rng(0)
    for side, count in [(64, 1), (64, 2), (100, 5)] * 10:
        canvas, classes, boxes = functions.make_canvas(
            images, labels, side, count, generator
        )
        assert canvas.shape == (side, side) and canvas.dtype == np.uint8
        assert len(set(classes.tolist())) == count
        left = canvas.copy()
        for c, (top, leftmost, bottom, right) in zip(classes, boxes):
            ink = canvas[top:bottom, leftmost:right]
            for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
                assert edge.any()
            same = [i for i in images[labels == c] if cropped(i).shape == ink.shape]
            assert any(np.array_equal(cropped(i), ink) for i in same)
            left[top:bottom, leftmost:right] = 0
        assert not left.any()  # nothing lies outside of the boxes


def cropped(image):
    return (
        image[ndimage.find_objects(image > 0)[0]]
        if (image > 0).all()
        else image[np.ix_(image.any(axis=1), image.any(axis=0))]
    )


def check_windows(functions):
    maps = np.random.default_rng(0).normal(size=(2, 9, 11, 3)).astype("float32")
    for width in (1, 2, 7):
        found = functions.window_means(maps, width)
        assert found.shape == (2, 10 - width, 12 - width, 3)
        for y, x in np.ndindex(found.shape[1:3]):
            window = maps[:, y : y + width, x : x + width]
            assert np.allclose(found[:, y, x], window.mean(axis=(1, 2)), atol=1e-5)


def check_search(functions):
    """Maps, evidence in a loop over cells, and SciPy's mean with zeros around."""
    keras = functions.keras
    keras.utils.set_random_seed(4)
    model = functions.build_model(0)
    explainer, last_layer = functions.with_features(model), model.get_layer("logits")
    bias = np.random.default_rng(0).normal(size=10)
    last_layer.set_weights([last_layer.get_weights()[0], bias])
    cells = last_layer(model.get_layer("pooling").input)
    without_pooling = functions.keras.Model(model.inputs, cells)
    canvases = np.random.default_rng(1).integers(0, 256, (2, 32, 40), np.uint8)
    blank = np.random.default_rng(2).integers(0, 32, (32, 40), np.uint8)
    found = functions.search(without_pooling, canvases, blank, 1)
    features, _ = functions.run(explainer, np.stack([*canvases, blank]))
    maps = functions.class_activation_maps(features, last_layer.get_weights()[0])
    scale = np.abs(maps).max()
    assert np.allclose(found[0], maps[:2] + bias, atol=1e-4 * scale)
    for n, y, x in np.ndindex(2, 8, 10):
        above = maps[n, y, x] - maps[2, y, x]
        expected = above - sum(above) / 10
        assert np.abs(found[1][n, y, x] - expected).max() <= 1e-4 * scale
    smooth = ndimage.uniform_filter(found[1], (1, 3, 3, 1), mode="constant")
    assert np.abs(found[2] - smooth).max() <= 1e-4 * scale


def check_pointing(functions):
    """Cell (1, 2) has its centre at pixel (6, 10); the last row is outside of a box."""
    maps = np.zeros((2, 6, 8, 10))
    maps[0, 1, 2, 7] = maps[0, 4, 6, 3] = maps[1, 0, 0, 5] = maps[1, 0, 0, 1] = 1
    classes = np.array([[7, 3], [5, 1]])
    boxes = [[(6, 10, 7, 11), (0, 0, 18, 40)], [(0, 0, 9, 9), (0, 0, 3, 3)]]
    found = functions.pointing(maps, classes, np.array(boxes), 4)
    assert found.tolist() == [0.5, 1]
    found = functions.pointing(maps, classes, np.array(boxes), 2)  # other centres
    assert found.tolist() == [0.5, 1] or found[1] == 1


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
    generator = np.random.default_rng(0)
    for _ in range(50):
        boxes = []
        for _ in range(2):
            ends = np.sort(generator.integers(0, 9, (2, 2)), axis=0)
            boxes.append(ends.ravel())
        inked = np.zeros((2, 9, 9), bool)
        for one, (top, left, bottom, right) in zip(inked, boxes):
            one[top:bottom, left:right] = True
        union = inked.any(axis=0).sum()
        expected = inked.all(axis=0).sum() / union if union else 0
        assert np.isclose(functions.overlap(*boxes), expected)


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


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_part_7_does_what_it_says_of(functions, check):
    check(functions)


def test_canvases_hold_what_they_say(functions, mnist):
    check_canvas(functions, mnist)


@pytest.mark.parametrize("side, count", [(40, 5), (27, 1), (64, 0), (200, 11)])
def test_a_canvas_without_room_is_refused(functions, mnist, side, count):
    arguments = mnist["x_test"], mnist["y_test"], side, count, np.random.default_rng(0)
    with pytest.raises(ValueError, match=f"no room for {count} digits"):
        functions.make_canvas(*arguments)


def test_pieces_are_put_over_a_canvas_and_hide_no_ink(functions, mnist):
    canvas = np.zeros((64, 64), np.uint8)
    canvas[20:40, 20:40] = 250
    images = np.full((3, 28, 28), 90, np.uint8)
    generator = np.random.default_rng(0)
    found = functions.add_pieces(canvas, images, 4, generator)
    assert (found >= canvas).all() and set(np.unique(found)) == {0, 90, 250}
    assert not (canvas == 90).any()
    assert 64 < (found == 90).sum() <= 4 * 64
