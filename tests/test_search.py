"""Canvases, pointing and boxes, against hand-made cases with known answers."""

import numpy as np
from scipy import ndimage


def test_tight_box_of_known_ink(functions):
    image = np.zeros((9, 12), np.uint8)
    assert functions.tight_box(image).tolist() == [0, 0, 0, 0]
    image[2, 3] = image[6, 10] = 1
    assert functions.tight_box(image).tolist() == [2, 3, 7, 11]


def test_iou_of_known_boxes(functions):
    a = np.array([[0, 0, 4, 4]] * 4)
    b = np.array([[0, 0, 4, 4], [0, 2, 4, 6], [4, 4, 8, 8], [0, 0, 0, 0]])
    assert np.allclose(functions.iou(a, b), [1, 8 / 24, 0, 0])


def test_hits_count_the_box_with_its_first_and_without_its_last_edge(functions):
    maps = np.zeros((1, 3, 8, 8))
    maps[0, 0, 2, 3] = maps[0, 1, 5, 5] = maps[0, 2, 1, 3] = 1
    boxes = np.array([[[2, 3, 5, 5]] * 3])
    assert functions.hits(maps, boxes).tolist() == [[True, False, False]]


def test_map_boxes_takes_the_largest_component_as_scipy_finds_it(functions):
    generator = np.random.default_rng(0)
    maps = ndimage.gaussian_filter(generator.random((20, 24, 24)), (0, 2, 2))
    maps -= maps.min()
    for threshold in (0.3, 0.6, 0.9):
        found = functions.map_boxes(maps, threshold)
        for one, box in zip(maps, found):
            labels, count = ndimage.label(one > threshold * one.max(), np.ones((3, 3)))
            sizes = np.bincount(labels.ravel())[1:]
            slices = ndimage.find_objects(labels)
            largest = [slices[i] for i in np.flatnonzero(sizes == sizes.max())]
            boxes = [[s[0].start, s[1].start, s[0].stop, s[1].stop] for s in largest]
            assert box.tolist() in boxes


def test_map_boxes_of_a_map_without_a_positive_place_is_empty(functions):
    assert functions.map_boxes(np.full((1, 8, 8), -1.0), 0.5).shape == (1, 4)


def test_digits_of_a_canvas_differ_and_their_tiles_do_not_overlap(functions, mnist):
    images, labels = mnist["x_test"], mnist["y_test"]
    generator = np.random.default_rng(0)
    canvases, classes, boxes = functions.make_canvases(
        images, labels, 30, 64, 2, generator
    )
    assert canvases.shape == (30, 64, 64) and canvases.dtype == np.uint8
    for canvas, pair, two in zip(canvases, classes, boxes):
        assert pair[0] != pair[1]
        covered = np.zeros(canvas.shape, bool)
        for top, left, bottom, right in two:
            assert not covered[top:bottom, left:right].any()
            covered[top:bottom, left:right] = True
        assert not canvas[~covered].any()


def test_windows_are_means_over_seven_by_seven_cells_plus_bias(functions):
    generator = np.random.default_rng(0)
    maps, bias = generator.normal(size=(2, 9, 11, 3)).astype(np.float32), np.arange(3)
    found = functions.windows(maps, bias)
    assert found.shape == (2, 3, 5, 3)
    for y, x in np.ndindex(3, 5):
        expected = maps[:, y : y + 7, x : x + 7].mean(axis=(1, 2)) + bias
        assert np.allclose(found[:, y, x], expected, atol=1e-5)


def test_find_digits_takes_the_best_and_then_the_best_that_does_not_overlap(functions):
    scores = np.zeros((12, 12, 10))
    scores[2, 3, 7], scores[4, 5, 1], scores[9, 9, 4] = 3, 2, 1
    assert functions.find_digits(scores, 2).tolist() == [[7, 2, 3], [4, 9, 9]]
    assert scores[2, 3, 7] == 3, "the scores given were changed"


def test_window_boxes_draw_the_ink_of_the_best_window(functions):
    canvases = np.zeros((1, 64, 64), np.uint8)
    canvases[0, 10:20, 12:18] = 255
    scores = np.zeros((1, 10, 10, 10))
    scores[0, 1, 2, 5] = 1  # the window from pixel (4, 8)
    found = functions.window_boxes(canvases, scores, np.array([[5]]))
    assert found.tolist() == [[[10, 12, 20, 18]]]


def test_delete_ink_removes_the_highest_scores_and_counts_only_ink(functions):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5, 6, 7)) * (generator.random((5, 6, 7)) < 0.6)
    scores = generator.permutation(images.size).reshape(images.shape)
    for share in (0, 0.3, 1):
        less = functions.delete_ink(images, scores, share, np.random.default_rng(1))
        for image, score, left in zip(images, scores, less):
            ink = np.flatnonzero(image)
            amount = round(share * len(ink))
            gone = sorted(ink, key=lambda i: -score.flat[i])[:amount]
            expected = image.copy()
            expected.flat[gone] = 0
            assert np.array_equal(left, expected)
