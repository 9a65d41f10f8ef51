"""Part 6: the planted shortcut, deletion, cells and patches."""

import numpy as np
import pytest
from scipy import stats

from conftest import reported, shares_of

NO_CLASS = "random patches", "top rows", "brightest", "random pixels"


@pytest.fixture(scope="module")
def fresh(functions):
    """A network as it is before training: all its biases are zero."""
    functions.keras.utils.set_random_seed(5)
    return functions.build_model(0.3)


@pytest.fixture(scope="module")
def digits(mnist):
    return mnist["x_test"][:40]


def test_a_bar_is_four_pixels_and_its_direction_says_what_it_means(functions, digits):
    lying = functions.draw_bar(digits[0], 4, 2, 22)
    standing = functions.draw_bar(digits[0], 9, 2, 22)
    before = digits[0].copy()
    rows, columns = np.nonzero(lying != digits[0])
    assert (len(set(rows)), len(set(columns))) == (1, 4)
    rows, columns = np.nonzero(standing != digits[0])
    assert (len(set(rows)), len(set(columns))) == (4, 1)
    assert np.array_equal(digits[0], before)


def test_bars_stand_in_all_corners_where_their_middles_say(functions):
    blank = np.zeros((200, 28, 28), np.uint8)
    meanings = np.array([4, 9] * 100)
    marked, middles = functions.plant_bars(blank, meanings, 7)
    for image, meaning, middle in zip(marked, meanings, middles):
        rows, columns = np.nonzero(image)
        assert len(rows) == 4 and image.max() == 255
        assert (np.ptp(rows) == 0) == (meaning == 4)
        assert np.hypot(rows.mean() - middle[0], columns.mean() - middle[1]) <= 0.5
    corners = {tuple(middle > 14) for middle in middles}
    assert len(corners) == 4
    counts = np.sum(middles > 14, axis=0)
    assert np.all((counts > 60) & (counts < 140))  # chance: 100, sd 7
    again, _ = functions.plant_bars(blank, meanings, 7)
    other, _ = functions.plant_bars(blank, meanings, 8)
    assert np.array_equal(again, marked) and not np.array_equal(other, marked)
    assert blank.max() == 0


def test_where_a_bar_stands_says_nothing_about_its_class(functions):
    """Only the direction may tell, or the answer is not known."""
    blank = np.zeros((4000, 28, 28), np.uint8)
    meanings = np.random.default_rng(1).choice([4, 9], 4000)
    _, middles = functions.plant_bars(blank, meanings, 7)
    for side in range(2):
        assert abs(np.corrcoef(middles[:, side], meanings)[0, 1]) < 0.06


def test_fours_and_nines_are_the_first_of_their_kind(functions, mnist):
    images, labels = mnist["x_test"], mnist["y_test"]
    some, some_labels = functions.fours_and_nines(images, labels, 30)
    expected = [i for i, label in enumerate(labels) if label in (4, 9)][:30]
    assert np.array_equal(some, images[expected])
    assert np.array_equal(some_labels, labels[expected])
    assert np.array_equal(functions.other_of(np.array([4, 9, 9])), [9, 4, 4])


def test_the_contrast_above_blank_accounts_for_the_margin(functions, fresh, digits):
    """Its mean is the answer's margin, less that of a blank image."""
    dense = fresh.get_layer("logits")
    weights, _ = dense.get_weights()
    dense.set_weights([weights, np.linspace(-3, 3, 10)])
    for name in "conv2d", "conv2d_1":
        for layer in fresh.layers:
            if layer.name.startswith(name) and layer.get_weights():
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, np.linspace(0, 0.3, len(bias))])
    network = functions.with_features(fresh)
    features, logits = functions.run(network, digits)
    answers = functions.four_or_nine(logits)
    blank_features, (blank, *_) = functions.run(network, np.zeros((1, 28, 28)))
    contrasts = functions.contrasts_above_blank(
        features, blank_features[0], weights, answers
    )
    for answer, one_map, some in zip(answers, contrasts, logits):
        other = 13 - answer
        assert answer in (4, 9) and some[answer] >= some[other]
        expected = (some[answer] - some[other]) - (blank[answer] - blank[other])
        assert one_map.mean() == pytest.approx(expected, abs=1e-4)
    assert contrasts.shape == (len(digits), 7, 7)


def test_cells_near_a_bar_have_their_centre_within_five_pixels(
    functions,
):
    for middle in [(4, 4), (24, 4), (13, 20)]:
        near = functions.cells_near(middle, 7, 4)
        for y, x in np.ndindex(7, 7):
            rows, columns = (
                np.arange(4 * y, 4 * y + 4),
                np.arange(4 * x, 4 * x + 4),
            )
            squares = (rows.mean() - middle[0]) ** 2 + (columns.mean() - middle[1]) ** 2
            assert near[y, x] == (squares <= 25)
    assert functions.cells_near((4, 24), 7, 4).sum() == 4


@pytest.mark.parametrize("hits", [0, 1, 37, 99, 100])
def test_wilsons_interval_is_scipys(functions, hits):
    values = np.arange(100) < hits
    low, high = functions.wilson_interval(values)
    expected = stats.binomtest(hits, 100).proportion_ci(method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-4)
    assert high == pytest.approx(expected.high, abs=1e-4)
    assert high - low > 0.02


def test_a_share_is_printed_with_its_interval(functions, capsys):
    functions.report_share("hits", np.arange(100) < 99)
    printed = capsys.readouterr().out
    assert printed == "hits: 99.0% (95% interval 94.6% to 99.8%)\n"


@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.55, 1])
def test_deletion_takes_the_ink_with_the_highest_scores(functions, digits, share):
    generator = np.random.default_rng(3)
    for image in digits[:10]:
        before = image.copy()
        score = generator.normal(size=image.shape)
        less = functions.delete_ink(image, score, share)
        ink = [(score[place], place) for place in np.ndindex(28, 28) if image[place]]
        expected = image.copy()
        for _, place in sorted(ink, reverse=True)[: round(share * len(ink))]:
            expected[place] = 0
        assert np.array_equal(less, expected)
        assert np.array_equal(image, before)


def test_brightest_first_works_on_whole_numbers_from_0_to_255(functions, digits):
    """An image may be its own score, as it is."""
    for image in digits[:10]:
        left = functions.delete_ink(image, image, 0.5)
        assert left.max() <= np.median(image[image > 0])


def test_a_constant_score_removes_at_random(functions, digits):
    """Seeded, the same for all shares, and from top to bottom alike."""
    nothing = np.zeros(digits.shape)
    scores = functions.break_ties(nothing, 11)
    rows = np.arange(28)[:, None]
    shift = []
    for image, score in zip(digits, scores):
        less = functions.delete_ink(image, score, 0.3)
        half = functions.delete_ink(image, score, 0.5)
        assert not np.any(half[less == 0])  # what has gone stays away
        ink, gone = image > 0, (image > 0) & (less == 0)
        for weights in (rows, rows.T):
            middle = np.sum(weights * ink) / ink.sum()
            shift.append(np.sum(weights * gone) / gone.sum() - middle)
    # row by row, it would be several pixels
    assert abs(np.mean(shift)) < 0.5
    assert np.array_equal(scores, functions.break_ties(nothing, 11))
    assert not np.array_equal(scores, functions.break_ties(nothing, 12))


def test_breaking_ties_changes_no_other_order(functions, digits):
    scores = functions.break_ties(digits, 11)
    for image, score in zip(digits, scores):
        values = score[image > 0]
        assert len(np.unique(values)) == len(values)
        assert np.array_equal(np.round(score), image)


def test_gradient_times_input_adds_up_to_the_margin(functions, digits):
    """Without biases, ReLU and max pooling are linear along a ray."""
    functions.keras.utils.set_random_seed(6)
    network = functions.build_model(0.3)
    first, second = np.arange(40) % 10, np.arange(3, 43) % 10
    scores = functions.gradient_times_input(network, digits, first, second)
    assert scores.shape == digits.shape
    for score, some, a, b in zip(scores, functions.run(network, digits), first, second):
        assert score.sum() == pytest.approx(some[a] - some[b], abs=1e-4)


def test_gradient_times_input_is_what_a_pixel_does(functions, digits):
    """A step at one pixel moves the margin by gradient × step."""
    functions.keras.utils.set_random_seed(6)
    network = functions.build_model(0.3)
    image = digits[0].astype(np.float32)
    (score,) = functions.gradient_times_input(network, image[None], [2], [5])
    step = 0.005
    places = np.argwhere(image > 100)[::4]
    moved = []
    for row, column in places:
        for factor in (1 + step, 1 - step):
            moved.append(image.copy())
            moved[-1][row, column] *= factor
    logits = functions.run(network, np.stack(moved))
    margins = logits[:, 2] - logits[:, 5]
    slopes = (margins[::2] - margins[1::2]) / (2 * step)
    found = score[places[:, 0], places[:, 1]]
    # not equal: on its way a pixel may switch a ReLU or another maximum
    assert np.corrcoef(found, slopes)[0, 1] > 0.97
    assert np.polyfit(found, slopes, 1)[0] == pytest.approx(1, abs=0.1)


def test_small_orders_grow_to_pixels_one_by_one(functions):
    maps = np.random.default_rng(4).normal(size=(3, 7, 7)).astype(np.float32)
    large = functions.at_pixels(list(maps), (28, 28))
    assert large.shape == (3, 28, 28)
    for one_map, one_large in zip(maps, large):
        expected = functions.tf.image.resize(one_map[..., None], (28, 28))[..., 0]
        assert np.allclose(one_large, expected, atol=1e-6)


def test_a_cell_sees_its_span_and_nothing_else(functions, fresh):
    network = functions.with_features(fresh)
    image = np.random.default_rng(2).integers(1, 256, (28, 28)).astype(np.float32)
    whole = functions.run(network, image[None])[0][0]
    for cell in range(7):
        start, end = functions.span(cell, 4, 16, 28)
        assert (start, end) == (
            max(0, 4 * cell - 6),
            min(28, 4 * cell + 10),
        )
        outside = np.zeros_like(image)
        outside[start:end, start:end] = image[start:end, start:end]
        seen = functions.run(network, outside[None])[0][0]
        assert np.allclose(seen[cell, cell], whole[cell, cell], atol=1e-3)
        narrower = outside.copy()
        if start > 0:
            narrower[start] = 0
        if end < 28:
            narrower[end - 1] = 0
        seen = functions.run(network, narrower[None])[0][0]
        assert not np.allclose(seen[cell, cell], whole[cell, cell], atol=1e-3)


def test_the_sum_over_a_patch_weighs_cells_by_their_shared_pixels(
    functions,
):
    one_map = np.random.default_rng(4).normal(size=(7, 6))
    summed = functions.sum_over_patches(one_map, 4, 16)
    for y, x in np.ndindex(7, 6):
        expected = 0
        for v, u in np.ndindex(7, 6):
            down = set(range(4 * y, 4 * y + 16)) & set(range(4 * v, 4 * v + 16))
            across = set(range(4 * x, 4 * x + 16)) & set(range(4 * u, 4 * u + 16))
            expected += one_map[v, u] * len(down) * len(across) / 16**2
        assert summed[y, x] == pytest.approx(expected)


def test_agreement_is_pearsons_correlation(functions):
    first, second = np.random.default_rng(4).normal(size=(2, 7, 7))
    expected = stats.pearsonr(first.ravel(), second.ravel()).statistic
    assert functions.agreement(first, second) == pytest.approx(expected)
    assert functions.agreement(first, np.ones((7, 7))) == 0
    assert functions.agreement(np.ones((7, 7)), first) == 0


def test_the_map_finds_the_planted_shortcut_and_not_the_control(full_run):
    shares = shares_of(full_run.notebook)
    telling, control = "telling bars", "random bars"
    assert shares[f"{telling}, right bar, answer right"][0] >= 0.98
    assert shares[f"{telling}, wrong bar, answer right"][0] <= 0.2
    assert shares[f"{telling}, right bar, map at the bar"][0] >= 0.95
    assert shares[f"{telling}, wrong bar, map at the bar"][0] >= 0.95
    assert shares[f"{control}, right bar, answer right"][0] >= 0.94
    assert shares[f"{control}, wrong bar, answer right"][0] >= 0.94
    assert shares[f"{control}, right bar, map at the bar"][0] <= 0.15


@pytest.mark.parametrize("measure", ["", ", in area"])
def test_the_contrast_is_ahead_of_all_that_know_no_class(full_run, measure):
    """By its paired interval, in the default run; no law."""
    values = reported(full_run.notebook)
    for rival in [*NO_CLASS, "two other classes", "reversed"]:
        mean, half_width = values[f"contrast ahead of {rival}{measure}"]
        assert mean - half_width > 0, rival


@pytest.mark.parametrize("measure", ["", ", in area"])
def test_what_spares_faint_pixels_is_ahead_of_the_contrast(full_run, measure):
    values = reported(full_run.notebook)
    for rival in "gradient × input", "contrast × input":
        mean, half_width = values[f"contrast ahead of {rival}{measure}"]
        assert mean + half_width < 0, rival


def test_the_summed_contrast_foretells_patches_best(full_run):
    values = reported(full_run.notebook)
    assert values["agreement, summed contrast"][0] >= 0.5
    for rival in "single cell", "ink", "position alone":
        mean, half_width = values[f"summed contrast ahead, {rival}"]
        assert mean - half_width > 0, rival


def test_paired_differences_are_those_of_the_printed_shares(full_run):
    values = reported(full_run.notebook)
    contrast, _ = values["changed at 30%, contrast"]
    for rival in NO_CLASS:
        share, _ = values[f"changed at 30%, {rival}"]
        difference, _ = values[f"contrast ahead of {rival}"]
        assert difference == pytest.approx(contrast - share, abs=0.0011)


def test_sums_over_patches_are_those_of_a_loop_cut_at_the_border(functions):
    images = np.random.default_rng(2).random((3, 28, 28))
    sums = functions.patch_sums(images, 7, 4, 16)
    for n, row, column in np.ndindex(3, 7, 7):
        total = 0
        for y in range(4 * row - 6, 4 * row + 10):
            for x in range(4 * column - 6, 4 * column + 10):
                if 0 <= y < 28 and 0 <= x < 28:
                    total += images[n, y, x]
        assert np.isclose(sums[n, row, column], total)
