"""Part 7: canvases, pointing, names, boxes: cases with known answers."""

import numpy as np
import pytest
from scipy import ndimage

from conftest import reported


def check_tight_box(functions):
    image = np.zeros((9, 12), np.uint8)
    assert functions.tight_box(image).tolist() == [0, 0, 0, 0]
    image[2, 3] = image[6, 10] = 1
    assert functions.tight_box(image).tolist() == [2, 3, 7, 11]


def check_is_clear(functions):
    """Tiles may touch, but not overlap; each of the others counts."""
    others = np.array([[0, 0], [28, 0]])
    assert functions.is_clear(np.array([3, 28]), others)
    assert functions.is_clear(np.array([3, 3]), [])
    for corner in [(0, 27), (27, 0), (1, 1), (30, 9), (55, 27)]:
        assert not functions.is_clear(np.array(corner), others)
        assert not functions.is_clear(np.array(corner), others[::-1])
    assert functions.is_clear(np.array([0, 5]), others[:1], 5)


def check_evidence(functions):
    """Above blank, minus the mean over the classes: in a loop."""
    generator = np.random.default_rng(0)
    maps, blank = generator.normal(size=(2, 3, 4, 5, 10))
    found = functions.evidence_maps(maps, blank)
    for n, y, x in np.ndindex(3, 4, 5):
        above = maps[n, y, x] - blank[n, y, x]
        assert np.allclose(found[n, y, x], above - sum(above) / 10)
    assert np.allclose(functions.evidence_maps(blank, blank), 0)


def check_window_means(functions):
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(2, 9, 11, 3)).astype(np.float32)
    for width in (1, 2, 7):
        found = functions.window_means(maps, width)
        assert found.shape == (2, 10 - width, 12 - width, 3)
        for y, x in np.ndindex(found.shape[1:3]):
            window = maps[:, y : y + width, x : x + width]
            assert np.allclose(found[:, y, x], window.mean(axis=(1, 2)), atol=1e-5)


def check_smooth_maps(functions):
    """As SciPy's uniform filter with zeros around; of five cells."""
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(2, 9, 11, 3)).astype(np.float32)
    for width, found in [
        (5, functions.smooth_maps(maps)),
        (3, functions.smooth_maps(maps, 3)),
        (1, functions.smooth_maps(maps, 1)),
    ]:
        filtered = ndimage.uniform_filter(maps, (1, width, width, 1), mode="constant")
        assert np.allclose(found, filtered, atol=1e-5)


def check_highest_place(functions):
    for shape in ((4, 9), (9, 4), (6, 6)):
        one_map = np.random.default_rng(3).permutation(np.prod(shape)).reshape(shape)
        found = functions.highest_place(one_map)
        assert [*found] == np.argwhere(one_map == one_map.max())[0].tolist()
    one_map[1, 4] = one_map[3, 2] = 99  # the first of equal ones, row by row
    assert functions.highest_place(one_map) == (1, 4)


def check_inside(functions):
    """A box has its first row and column, not those after its last."""
    places = {
        (2, 3): 1,
        (5, 4): 0,
        (4, 4): 1,
        (4, 5): 0,
        (1, 3): 0,
        (2, 2): 0,
    }
    for place, expected in places.items():
        assert functions.inside(place, [2, 3, 5, 5]) == expected


def check_peaks(functions):
    """The highest place of each of a canvas's own classes, in pixels."""
    maps = np.zeros((2, 6, 8, 10), np.float32)
    corners = {
        (0, 7): (1, 2),
        (0, 3): (4, 6),
        (1, 0): (0, 0),
        (1, 9): (5, 7),
    }
    for (n, c), (y, x) in corners.items():
        maps[n, y, x, c] = 1
    found = functions.peaks(maps, np.array([[7, 3], [0, 9]]))
    assert found.shape == (2, 2, 2)
    for place, (y, x) in zip(found.reshape(4, 2), corners.values()):
        assert (place // 4).tolist() == [y, x]
    large = functions.resize(maps[0], (12, 16))[..., 7]
    row, column = functions.peaks(maps, np.array([[7, 3], [0, 9]]), 2)[0, 0]
    assert large[row, column] == large.max()


def check_share_of_hits(functions):
    boxes = np.array([[[0, 0, 4, 4], [6, 6, 9, 9]]] * 3)
    places = np.array([[[1, 1], [7, 7]], [[7, 7], [7, 7]], [[7, 7], [1, 1]]])
    assert functions.share_of_hits(places, boxes).tolist() == [1, 0.5, 0]


def check_absent_classes(functions):
    generator = np.random.default_rng(0)
    classes = np.array([generator.permutation(10)[:3] for _ in range(200)])
    absent = functions.absent_classes(classes, generator)
    assert absent.shape == classes.shape
    for some, others in zip(classes, absent):
        assert len({*some, *others}) == 6
    assert {*absent.flat} == {*range(10)}


def check_blind_places(functions):
    canvases = np.zeros((200, 8, 12), np.uint8)
    canvases[:, 2, 3] = canvases[:, 5, 10] = 200
    canvases[:, 4, 4] = 199
    generator = np.random.default_rng(0)
    brightest, anywhere = functions.blind_places(canvases, 2, generator)
    assert brightest.shape == anywhere.shape == (200, 2, 2)
    found, counts = np.unique(brightest.reshape(-1, 2), axis=0, return_counts=True)
    assert found.tolist() == [[2, 3], [5, 10]]
    assert counts.min() > 150  # equal ones at random
    assert anywhere.max(axis=(0, 1)).tolist() == [7, 11]
    assert anywhere.min() == 0


def check_window_scores(functions):
    """Softmax of the window's logits, times its mean evidence: in loops."""
    generator = np.random.default_rng(0)
    maps, evidence = generator.normal(size=(2, 2, 9, 11, 3)).astype(np.float32)
    bias = np.array([3, 0, -2], np.float32)
    chances = functions.window_probabilities(maps, bias)
    found = functions.window_scores(maps, evidence, bias)
    assert chances.shape == found.shape == (2, 3, 5, 3)
    for n, y, x in np.ndindex(2, 3, 5):
        seen = maps[n, y : y + 7, x : x + 7].mean(axis=(0, 1)) + bias
        shares = np.exp(seen) / np.exp(seen).sum()
        mean_evidence = evidence[n, y : y + 7, x : x + 7].mean(axis=(0, 1))
        assert np.allclose(chances[n, y, x], shares, atol=1e-5)
        assert np.allclose(found[n, y, x], shares * mean_evidence, atol=1e-5)


def greedy(scores, count):
    """The windows by their best score, unless they overlap one taken."""
    best = scores.max(axis=2)
    order = sorted(np.ndindex(best.shape), key=lambda place: -best[place])
    taken = []
    for y, x in order:  # sorted keeps equal ones row by row
        if all(abs(y - v) >= 6 or abs(x - u) >= 6 for _, v, u in taken):
            taken.append([int(scores[y, x].argmax()), y, x])
    return taken[:count]


def check_find_digits(functions):
    """The best window, the best of those that do not overlap it, and on."""
    scores = np.zeros((12, 12, 10))
    scores[2, 3, 7], scores[6, 7, 1], scores[9, 9, 4] = 3, 2, 1
    before = scores.copy()
    assert functions.find_digits(scores, 2).tolist() == [
        [7, 2, 3],
        [4, 9, 9],
    ]
    scores[2, 9, 0] = 2.5  # six cells beside the best: room for it
    assert functions.find_digits(scores, 2).tolist() == [
        [7, 2, 3],
        [0, 2, 9],
    ]
    scores[2, 9, 0] = 0
    assert np.array_equal(scores, before)  # nothing was struck out in them
    generator = np.random.default_rng(0)
    for shape in ((10, 10, 10), (19, 13, 10)):
        for levels in (5, 10**6):  # with ties and without; below zero, too
            scores = generator.integers(-levels, levels, shape) / levels
            for count in (1, 2, 5):
                found = functions.find_digits(scores, count)
                assert found.tolist() == greedy(scores, count)


def check_windows_as_before(functions):
    """TensorFlow's non-maximum suppression finds the same windows."""
    tf = functions.tf
    generator = np.random.default_rng(1)
    for _ in range(20):
        scores = generator.normal(size=(10, 14, 10)).astype(np.float32)
        best = scores.max(axis=2)
        corners = np.indices(best.shape).reshape(2, -1)
        frames = np.concatenate([corners, corners + 6]).T.astype(np.float32)
        kept = tf.image.non_max_suppression(frames, best.ravel(), 3, 0.0)
        places = np.stack(np.unravel_index(kept, best.shape), axis=1)
        found = functions.find_digits(scores, 3)
        assert found[:, 1:].tolist() == places.tolist()


def check_overlap(functions):
    """IoU by counting pixels, of boxes that overlap, touch or miss."""
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 9, (300, 2, 2))
    sides = generator.integers(1, 9, (300, 2, 2))
    for box, other in np.concatenate([corners, corners + sides], axis=2):
        filled = np.zeros((2, 20, 20), bool)
        for one, (top, left, bottom, right) in zip(filled, (box, other)):
            one[top:bottom, left:right] = True
        a, b = filled
        expected = (a & b).sum() / (a | b).sum()
        assert abs(functions.overlap(box, other) - expected) < 1e-12
        assert functions.overlap(box, box) == 1
    assert functions.overlap([0, 0, 0, 0], [3, 3, 9, 9]) == 0
    assert functions.overlap([0, 0, 4, 4], [0, 0, 2, 4]) == 0.5


def check_largest_component(functions):
    """As SciPy labels them, corners touching; of equal ones, the first."""
    generator = np.random.default_rng(0)
    for share in (0.1, 0.3, 0.5, 0.9):
        kept = generator.random((14, 11)) < share
        before = kept.copy()
        labels, _ = ndimage.label(kept, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())[1:]
        first = {*map(tuple, np.argwhere(labels == sizes.argmax() + 1).tolist())}
        found = functions.largest_component(kept)
        assert len(found) == len(first) and {*found} == first
        assert np.array_equal(kept, before)
    assert functions.largest_component(np.zeros((3, 3), bool)) == []


def check_map_box(functions):
    """The box of the largest component, as SciPy finds it."""
    generator = np.random.default_rng(0)
    maps = ndimage.gaussian_filter(generator.random((20, 24, 20)), (0, 2, 2))
    maps -= maps.min()
    for threshold in (0.3, 0.6, 0.65, 0.9):
        for one_map in maps:
            labels, _ = ndimage.label(
                one_map > threshold * one_map.max(), np.ones((3, 3))
            )
            largest = np.bincount(labels.ravel())[1:].argmax()
            y, x = ndimage.find_objects(labels)[largest]
            box = [y.start, x.start, y.stop, x.stop]
            assert functions.map_box(one_map, threshold).tolist() == box
            if threshold == 0.65:
                assert functions.map_box(one_map).tolist() == box
    nothing = functions.map_box(np.full((8, 8), -1.0), 0.5)
    assert nothing.tolist() == [0, 0, 0, 0]


def check_square_box(functions):
    """The place is its middle; 17 pixels a side, if not told."""
    assert functions.square_box((20, 30)).tolist() == [12, 22, 29, 39]
    assert functions.square_box((20, 30), 3).tolist() == [19, 29, 22, 32]
    assert functions.square_box(np.array([1, 2]), 4).tolist() == [
        -1,
        0,
        3,
        4,
    ]


def check_ink_box(functions):
    """The ink of one window, in the pixels of the canvas; no faint ones."""
    canvas = np.zeros((64, 64), np.uint8)
    canvas[10:20, 12:18] = 255
    canvas[28:31, 20:22] = 255  # rows below the window, so not in its box
    canvas[0:28, 36] = 255  # the column right of it
    canvas[4, 8:12] = 31
    assert functions.window_box(0, 2) == (0, 8, 28, 36)
    assert functions.ink_box(canvas, 0, 2).tolist() == [4, 8, 20, 18]
    assert functions.ink_box(canvas, 0, 2, 31).tolist() == [10, 12, 20, 18]
    assert functions.ink_box(canvas, 0, 2, 30).tolist() == [4, 8, 20, 18]
    empty = functions.ink_box(canvas, 9, 9)
    assert functions.area(empty) == 0


def check_three_boxes(functions):
    """Each of the three from what it may know: map, peak, window."""
    canvas = np.zeros((40, 40), np.uint8)
    canvas[22:30, 20:26] = 200
    one_map = np.zeros((10, 10), np.float32)
    one_map[2:5, 1:7] = 4
    one_map[3, 5] = 5
    scores = np.zeros((4, 4))
    scores[2, 3] = 1
    by_map, square, ink = functions.three_boxes(canvas, one_map, scores)
    large = functions.resize(one_map[..., None], (40, 40))[..., 0]
    row, column = np.argwhere(large == large.max())[0]
    assert np.array_equal(by_map, functions.map_box(large))
    assert square.tolist() == [row - 8, column - 8, row + 9, column + 9]
    assert ink.tolist() == [22, 20, 30, 26]
    assert functions.three_boxes(canvas, one_map, scores, 200)[2, 2] == 8


def small_scene(functions):
    """Two canvases whose maps and scores are laid out by hand."""
    canvases = np.zeros((2, 64, 64), np.uint8)
    canvases[:, 8:24, 8:20] = 255
    canvases[:, 40:56, 40:52] = 255
    boxes = np.array([[[8, 8, 24, 20], [40, 40, 56, 52]]] * 2)
    maps = np.zeros((2, 16, 16, 10), np.float32)
    maps[:, 2:6, 2:5, 3] = 9
    maps[:, 10:14, 10:13, 7] = 9
    maps[1, ..., 4] = 1  # a little everywhere: it wins the whole canvas's mean
    return {
        "canvases": canvases,
        "classes": np.array([[3, 7], [3, 7]]),
        "boxes": boxes,
        "maps": maps,
        "evidence": maps - maps.mean(axis=-1, keepdims=True),
        "faint": 0,
    }


def check_measures(functions):
    """Everything points, names and boxes right, but where it must not."""
    scene = small_scene(functions)
    bias = np.zeros(10, np.float32)
    scores = functions.window_scores(scene["maps"], scene["evidence"], bias)
    pointing = functions.measure_pointing(scene, 1)
    assert pointing["evidence of the class"].tolist() == [1, 1]
    assert pointing["raw map of the class"].tolist() == [1, 1]
    assert pointing["centre"].tolist() == [0, 0]
    naming = functions.measure_naming(scene, scores, bias)
    assert naming["named by windows"].tolist() == [True, True]
    assert naming["named by plain logits"].tolist() == [True, False]
    all_ways = functions.measure_naming(scene, -scores, bias)
    chances = functions.probabilities(functions.window_means(scene["maps"], 7))
    for n, two in enumerate(scene["classes"]):  # the two best windows, in a loop
        named = functions.find_digits(chances[n], 2)[:, 0]
        right = set(named.tolist()) == set(two.tolist())
        assert all_ways["named by probability alone"][n] == right
    other = {**scene, "classes": np.array([[3, 8], [3, 7]])}
    naming = functions.measure_naming(other, scores, bias)
    assert naming["named by windows"].tolist() == [False, True]
    assert naming["named by plain logits"].tolist() == [False, False]
    overlaps = functions.measure_boxes(scene, scores)
    assert overlaps.shape == (2, 2, 3)
    assert (overlaps[..., 2] == 1).all()
    assert (overlaps[..., :2] > 0.5).all() and (overlaps[..., :2] < 1).all()
    exchanged = {**scene, "classes": scene["classes"][:, ::-1]}
    wrong = functions.measure_boxes(exchanged, scores)
    assert (wrong[..., 2] == 0).all()
    assert functions.measure_pointing(exchanged, 1)["evidence of the class"].max() == 0
    blinded = {**scene, "faint": 255}
    assert (functions.measure_boxes(blinded, scores)[..., 2] == 0).all()
    for thing in functions.read_canvas(scene, scores, 0):
        assert thing["class"] in (3, 7) and thing["right"]
    for thing in functions.read_canvas(exchanged, scores, 0):
        assert thing["class"] in (3, 7) and not thing["right"]


def check_merits(functions):
    overlaps = np.array([[[0.5, 0.4, 1], [0.3, 0.4, 0.8]]])  # one canvas, two digits
    names = ["map", "square", "ink"]
    found = functions.merits({"p": 1}, {"n": 2}, overlaps, names)
    assert found["pointing"] == {"p": 1} and found["naming"] == {"n": 2}
    assert [found["right boxes"][n].tolist() for n in names] == [
        [0.5],
        [0],
        [1],
    ]
    assert np.allclose([found["mean IoU"][n] for n in names], [[0.4], [0.4], [0.9]])


def check_is_right(functions):
    """A name and its box have to be of the same digit."""
    classes, boxes = [3, 7], [[0, 0, 4, 4], [10, 10, 14, 14]]
    assert functions.is_right(3, [0, 0, 4, 4], classes, boxes)
    assert functions.is_right(7, [10, 10, 12, 14], classes, boxes)  # one half
    assert not functions.is_right(7, [0, 0, 4, 4], classes, boxes)
    assert not functions.is_right(3, [0, 0, 1, 4], classes, boxes)
    assert not functions.is_right(5, [0, 0, 4, 4], classes, boxes)


CHECKS = [
    check_tight_box,
    check_is_clear,
    check_evidence,
    check_window_means,
    check_smooth_maps,
    check_highest_place,
    check_inside,
    check_peaks,
    check_share_of_hits,
    check_absent_classes,
    check_blind_places,
    check_window_scores,
    check_find_digits,
    check_windows_as_before,
    check_overlap,
    check_largest_component,
    check_map_box,
    check_square_box,
    check_ink_box,
    check_three_boxes,
    check_measures,
    check_merits,
    check_is_right,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_a_known_answer_of(functions, check):
    check(functions)


def check_search(functions):
    """Maps as the network gives them, in parts or not; less blank ones."""
    functions.keras.utils.set_random_seed(1)
    model = functions.build_model(0.3)
    explainer = functions.with_features(model)
    weights, _ = model.get_layer("logits").get_weights()
    canvases = np.random.default_rng(1).integers(0, 256, (253, 32, 32), np.uint8)
    canvases[250] = 0
    maps, evidence = functions.search(explainer, canvases, weights)
    features, _ = functions.run(explainer, canvases)
    assert np.allclose(maps, features @ weights, atol=1e-4)
    blank = maps[250]
    assert np.abs(evidence[250]).max() < 1e-4 < np.abs(evidence[0]).max()
    expected = functions.evidence_maps(maps, blank)
    assert np.allclose(evidence, expected, atol=1e-4)


def test_search_gives_maps_and_evidence_of_all_parts(functions):
    check_search(functions)


def test_a_window_is_the_mean_over_the_inner_cells_of_the_crop_around_it(
    functions,
):
    """Cut out with 8 pixels more on each side, its cells see all they need.

    Of the bare tile they see less: the network pads its border.
    """
    functions.keras.utils.set_random_seed(1)
    explainer = functions.with_features(functions.build_model(0.3))
    weights, _ = explainer.get_layer("logits").get_weights()
    canvas = np.random.default_rng(1).integers(0, 256, (1, 64, 64), np.uint8)

    def maps(images):
        features, _ = functions.run(explainer, images)
        return functions.class_activation_maps(features, weights)

    window = functions.window_means(maps(canvas), 7)[0, 5, 5]  # from pixel (20, 20)
    inner = maps(canvas[:, 12:56, 12:56])[0, 2:9, 2:9].mean(axis=(0, 1))
    bare = maps(canvas[:, 20:48, 20:48])[0].mean(axis=(0, 1))
    assert np.allclose(window, inner, atol=1e-4)
    assert np.abs(window - bare).max() > 100 * 1e-4


def check_canvases(functions, mnist):
    """Classes differ, tiles do not overlap, boxes hold all of the ink."""
    images, labels = mnist["x_test"], mnist["y_test"]
    made = functions.make_canvases(images, labels, 40, 7)
    canvases, classes, boxes = made
    assert canvases.shape == (40, 64, 64) and canvases.dtype == np.uint8
    for canvas, pair, two in zip(canvases, classes, boxes):
        assert pair[0] != pair[1]
        covered = np.zeros(canvas.shape, int)
        for c, (top, left, bottom, right) in zip(pair, two):
            covered[top:bottom, left:right] += 1
            ink = canvas[top:bottom, left:right]
            for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
                assert edge.any()
            assert is_a(c, ink, images, labels)
        assert covered.max() == 1 and not canvas[covered == 0].any()


def is_a(class_index, ink, images, labels):
    """Return whether some image of the class has exactly this ink."""
    total = int(ink.sum())
    candidates = images[labels == class_index]
    for image in candidates[candidates.sum(axis=(1, 2)) == total]:
        rows, columns = np.nonzero(image)
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        if np.array_equal(box, ink):
            return True
    return False


def check_clutter(functions, mnist):
    """Nothing gets darker; pieces as asked for, noise up to its grey."""
    images = mnist["x_test"]
    canvas = np.zeros((64, 64), np.uint8)
    canvas[10:20, 10:20] = 100
    before = canvas.copy()

    def clutter(seed, pieces, noise):
        generator = np.random.default_rng(seed)
        return functions.add_clutter(canvas, images, generator, pieces, noise)

    noisy = clutter(1, 0, 31)
    assert np.array_equal(canvas, before)
    assert (noisy[before == 100] == 100).all()
    grey = noisy[before == 0]
    assert grey.max() == 31 and grey.min() == 0 and 14 < grey.mean() < 17
    areas = []
    for seed in range(60):
        one = clutter(seed, 1, 0)
        assert one.dtype == np.uint8 and (one >= before).all()
        rows, columns = np.nonzero(one != before)
        if len(rows) > 0:
            assert np.ptp(rows) < 8 and np.ptp(columns) < 8
        areas.append(len(rows))
    many = [(clutter(seed, 6, 0) != before).sum() for seed in range(60)]
    assert np.mean(areas) > 8 and 4 < np.mean(many) / np.mean(areas) < 7


def check_crowded(functions, mnist):
    """Any number of digits fits the smallest canvas that is not refused."""
    for digits in range(1, 11):
        side = int(4 * np.ceil(28 * np.sqrt(2.5 * digits) / 4))
        for seed in range(3):
            generator = np.random.default_rng(seed)
            corners = functions.place_tiles(digits, side, generator)
            assert corners.shape == (digits, 2)
            assert corners.min() >= 0 and corners.max() <= side - 28
            gaps = np.abs(corners[:, None] - corners).max(axis=2)
            assert gaps[~np.eye(digits, dtype=bool)].min(initial=28) >= 28


CANVAS_CHECKS = [
    check_canvases,
    check_clutter,
    check_crowded,
]


@pytest.mark.parametrize("check", CANVAS_CHECKS, ids=lambda check: check.__name__[6:])
def test_canvases(functions, mnist, check):
    check(functions, mnist)


def test_canvases_depend_on_the_seed_alone(functions, mnist):
    made = [
        functions.make_canvases(mnist["x_test"], mnist["y_test"], 5, seed, 100, 5)
        for seed in (1, 1, 2)
    ]
    first, again, other = made
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("side, digits", [(64, 3), (100, 6), (90, 2), (400, 11)])
def test_a_canvas_too_crowded_or_of_an_odd_side_is_refused(
    functions, mnist, side, digits
):
    """It would be laid out for ever, or not fit its maps' cells."""
    with pytest.raises(ValueError, match="multiple of 4 that is .* or longer"):
        functions.make_canvases(mnist["x_test"], mnist["y_test"], 1, 1, side, digits)


def test_the_digits_named_first_are_not_placed_first(functions, mnist):
    """Every corner of a canvas is used: the layout gives no place away."""
    boxes = functions.make_canvases(mnist["x_test"], mnist["y_test"], 300, 1)[2]
    assert boxes[..., :2].min() < 8 and boxes[..., 2:].max() > 56
    assert 0.4 < (boxes[:, 0, 0] < boxes[:, 1, 0]).mean() < 0.6


def test_where_no_second_window_has_room_one_digit_is_found(functions):
    scores = np.zeros((10, 10, 10))
    scores[4, 5, 3] = 1
    assert functions.find_digits(scores, 2).tolist() == [[3, 4, 5]]


@pytest.fixture(scope="module")
def means(full_run):
    """All that was measured in the default run: name -> mean."""
    return {name: mean for name, (mean, *_) in reported(full_run.notebook).items()}


def test_pointing_beats_its_target_and_its_baselines_do_not(means):
    assert means["evidence of the class"] >= 0.94
    baselines = "random pixel", "brightest pixel", "centre"
    for name in ("evidence of an absent class", *baselines):
        assert means[name] < 0.6, name


def test_naming_both_digits_of_a_canvas_beats_its_target(means):
    assert means["named by windows"] >= 0.93
    assert means["named by plain logits"] < 0.7


def test_boxes_by_the_map_alone_and_by_the_ink_that_it_chooses(means):
    assert means["map alone"] >= 0.60
    assert means["ink in best window"] >= 0.90
    assert means["square around the peak"] < means["ink in best window"] - 0.1


def test_paired_differences_are_those_of_the_means(means):
    lead = means["evidence of the class"] - means["raw map of the class"]
    assert abs(means["evidence ahead of the raw map"] - lead) < 0.0011
    lead = means["square around the peak"] - means["map alone"]
    assert abs(means["square ahead of the map"] - lead) < 0.0011
    lead = means["named by windows"] - means["named by probability alone"]
    assert abs(means["score ahead of probability alone"] - lead) < 0.0011
    for name in ("evidence of the class", "named by windows", "map alone"):
        fall = means[name] - means[f"in clutter, {name}"]
        assert abs(means[f"black ahead of clutter, {name}"] - fall) < 0.0011


def test_clutter_is_harder_but_not_hopeless(means):
    """Floors of that set: far above the rivals that know no class."""
    assert means["in clutter, evidence of the class"] > 0.7
    assert means["in clutter, brightest pixel"] < 0.5
    assert means["in clutter, named by windows"] > 0.25
    assert means["in clutter, ink in best window"] > 0.55
    for name in (
        "evidence of the class",
        "named by windows",
        "ink in best window",
    ):
        assert means[f"in clutter, {name}"] < means[name], name
