"""The identities of the lesson, on shapes and weights that no network here has.

Every function is held against an oracle that is written another way. The checks stand
apart from the tests, because test_broken_code.py runs them on code with a fault in it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# images, height, width, feature maps, classes, seed, magnitude of the features
shapes = st.tuples(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 9),
    st.integers(2, 12),
    st.integers(0, 10_000),
    st.sampled_from([1e-6, 1.0, 1e6]),
)
quick = settings(max_examples=40, deadline=None)


def drawn(shape):
    """Random non-negative feature maps, weights of both signs and a bias, float64."""
    n, h, w, k, c, seed, size = shape
    generator = np.random.default_rng(seed)
    features = np.maximum(generator.normal(size=(n, h, w, k)), 0) * size
    return features, generator.normal(size=(k, c)), generator.normal(size=c)


def loops(features, weights):
    """The formula as three nested loops and a sum."""
    n, h, w, k = features.shape
    maps = np.zeros((n, h, w, weights.shape[1]))
    for place in np.ndindex(n, h, w):
        for c in range(weights.shape[1]):
            of_class = [features[place][j] * weights[j, c] for j in range(k)]
            maps[(*place, c)] = sum(of_class)
    return maps


def pooled_logits(features, weights, bias):
    """Pool first, then the dense layer: as the network does it, in loops."""
    n, h, w, k = features.shape
    pooled = [[f[..., j].sum() / (h * w) for j in range(k)] for f in features]
    return np.array(
        [[np.dot(p, weights[:, c]) + bias[c] for c in range(len(bias))] for p in pooled]
    )


def terms(features, weights):
    """The size of what is summed: rounding errors grow with it."""
    return (features @ np.abs(weights)).max() + 1e-300


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def check_formula(functions, shape):
    features, weights, _ = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    error = np.abs(maps - loops(features, weights)).max()
    assert error <= 1e-12 * terms(features, weights)


def check_one_image_is_as_good_as_many(functions, shape):
    features, weights, bias = drawn(shape)
    many = functions.class_activation_maps(features, weights)
    one = functions.class_activation_maps(features[0], weights)
    assert one.shape == many.shape[1:]
    assert np.abs(one - many[0]).max() <= 1e-12 * terms(features, weights)
    logits = functions.logits_from_maps(one, bias)
    scale = terms(features, weights) + np.abs(bias).max()
    expected = functions.logits_from_maps(many, bias)[0]
    assert np.abs(logits - expected).max() <= 1e-12 * scale


def check_account(functions, shape):
    features, weights, bias = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    logits = pooled_logits(features, weights, bias)
    scale = terms(features, weights) + np.abs(bias).max()
    found = functions.logits_from_maps(maps, bias)
    assert found.shape == logits.shape
    assert np.abs(found - logits).max() <= 1e-12 * scale


def check_contributions(functions, shape):
    """Weight times mean for each feature map; with the bias they make the logit."""
    features, weights, bias = drawn(shape)
    logits = pooled_logits(features, weights, bias)
    scale = terms(features, weights) + np.abs(bias).max()
    for c in range(weights.shape[1]):
        added = functions.contributions(features[0], weights, c)
        assert added.shape == (weights.shape[0],)
        assert abs(added.sum() + bias[c] - logits[0, c]) <= 1e-12 * scale
        k = np.argmax(np.abs(added))
        expected = weights[k, c] * features[0, ..., k].sum() / features[0, ..., k].size
        assert np.isclose(added[k], expected, rtol=1e-12)


def check_order_of_resizing(functions, shape):
    features, weights, _ = drawn(shape)
    features, weights = features.astype(np.float32), weights.astype(np.float32)
    size = (4 * features.shape[1], 4 * features.shape[2])
    fast = functions.resize(functions.class_activation_maps(features, weights), size)
    for c in range(weights.shape[1]):
        slow = functions.class_activation_map(features[0], weights, c, size)
        assert slow.shape == size == fast.shape[1:3]
        assert np.abs(slow - fast[0, ..., c]).max() <= 1e-5 * terms(features, weights)


def check_resizing_keeps_the_mean(functions, shape):
    features, weights, _ = drawn(shape)
    maps = loops(features, weights).astype(np.float32)
    size = (4 * maps.shape[1], 4 * maps.shape[2])
    resized = functions.resize(maps, size).mean(axis=(1, 2))
    error = np.abs(resized - maps.mean(axis=(1, 2))).max()
    assert error <= 1e-5 * terms(features, weights)


def check_resizing_is_bilinear(functions, shape):
    """SciPy's linear interpolation at the half-pixel centres says the same."""
    from scipy.ndimage import map_coordinates

    maps = np.random.default_rng(shape[5]).normal(size=(1, 5, 7, 2)).astype(np.float32)
    found = functions.resize(maps, (20, 28))
    places = np.mgrid[0:20, 0:28] / 4 + 0.125 - 0.5
    for c in range(2):
        expected = map_coordinates(maps[0, ..., c], places, order=1, mode="nearest")
        assert np.abs(found[0, ..., c] - expected).max() <= 1e-5


def check_shift(functions, shape):
    """The same vector added to all weights: maps move, contrast and softmax do not."""
    features, weights, bias = drawn(shape)
    v = np.random.default_rng(shape[5] + 1).normal(size=(len(weights), 1))
    before = functions.class_activation_maps(features, weights)
    after = functions.class_activation_maps(features, weights + v)
    scale = terms(features, np.abs(weights) + np.abs(v)) + np.abs(bias).max()
    contrasts = [functions.contrast(maps, 0, 1) for maps in (before, after)]
    assert np.abs(contrasts[0] - contrasts[1]).max() <= 1e-12 * scale
    expected = before + features @ v
    assert np.abs(after - expected).max() <= 1e-12 * scale
    logits = [functions.logits_from_maps(maps, bias) for maps in (before, after)]
    assert np.abs(softmax(logits[0]) - softmax(logits[1])).max() <= 1e-10 * (1 + scale)
    gone = functions.class_activation_maps(features, weights - weights[:, [0]])
    assert np.abs(gone[..., 0]).max() <= 1e-12 * scale


def check_margin(functions, shape):
    """Mean of the contrast and difference of the biases make the margin."""
    features, weights, bias = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    logits = pooled_logits(features, weights, bias)
    means = functions.contrast(maps, 0, 1).mean(axis=(1, 2))
    margins = functions.contrast(logits, 0, 1)
    assert np.array_equal(margins, logits[:, 0] - logits[:, 1])
    scale = terms(features, weights) + np.abs(bias).max()
    biases = functions.contrast(bias, 0, 1)
    assert np.abs(means + biases - margins).max() <= 1e-12 * scale


def head_of(functions, weights, bias):
    """Pooling and dense layer: feature maps (N, h, w, K) -> logits (N, C)."""

    def head(features):
        pooled = functions.tf.reduce_mean(features, axis=(1, 2))
        return pooled @ weights + bias

    return head


def check_grad_cam_of_the_logit(functions, shape):
    features, weights, bias = drawn(shape)
    head, cells = head_of(functions, weights, bias), shape[1] * shape[2]
    for c in range(weights.shape[1]):
        found = functions.grad_cam(head, features[0], c)
        expected = loops(features, weights)[0, ..., c] / cells
        assert np.abs(found - expected).max() <= 1e-10 * terms(features, weights)


def check_grad_cam_of_the_probability(functions, shape):
    features, weights, bias = drawn((*shape[:6], 1.0))
    head, cells = head_of(functions, weights, bias), shape[1] * shape[2]
    p = softmax(pooled_logits(features, weights, bias))[0]
    maps = loops(features, weights)[0]
    found = functions.grad_cam(head, features[0], 1, use_probability=True)
    expected = p[1] * (maps[..., 1] - maps @ p) / cells
    assert np.abs(found - expected).max() <= 1e-10 * terms(features, weights)


def check_grad_cam_against_finite_differences(functions, shape):
    features, weights, bias = drawn((1, 3, 2, 4, 3, shape[5], 1.0))
    gradient = np.zeros_like(features)
    for place in np.ndindex(features.shape):
        step = np.zeros_like(features)
        step[place] = 1e-5
        ends = [pooled_logits(features + s, weights, bias) for s in (step, -step)]
        gradient[place] = (softmax(ends[0]) - softmax(ends[1]))[0, 1] / 2e-5
    expected = (gradient.mean(axis=(1, 2), keepdims=True) * features).sum(axis=-1)
    head = head_of(functions, weights, bias)
    found = functions.grad_cam(head, features[0], 1, use_probability=True)
    assert np.abs(found - expected[0]).max() <= 1e-8


def check_one_cell_set_to_zero(functions, shape):
    """The logits fall by the cell's map over the number of cells."""
    features, weights, bias = drawn(shape)
    zeroed = features.copy()
    zeroed[:, 0, -1] = 0
    fall = pooled_logits(features, weights, bias) - pooled_logits(zeroed, weights, bias)
    maps = functions.class_activation_maps(features, weights)
    error = np.abs(maps[:, 0, -1] / (shape[1] * shape[2]) - fall).max()
    assert error <= 1e-12 * (terms(features, weights) + np.abs(bias).max())


def check_share_of_the_mean(functions, shape):
    """1 if all classes have the same weights, 0 if they add up to nothing."""
    _, weights, _ = drawn(shape)
    same = np.repeat(weights[:, :1], weights.shape[1], axis=1)
    assert np.isclose(functions.share_of_mean(same), 1)
    centred = weights - weights.mean(axis=1, keepdims=True)
    assert functions.share_of_mean(centred) < 1e-12  # 1 - 1, rounded
    of_both = (same**2).sum() / ((same**2).sum() + (centred**2).sum())
    assert np.isclose(functions.share_of_mean(same + centred), of_both)


IDENTITIES = [
    check_formula,
    check_one_image_is_as_good_as_many,
    check_account,
    check_contributions,
    check_order_of_resizing,
    check_resizing_keeps_the_mean,
    check_resizing_is_bilinear,
    check_shift,
    check_margin,
    check_grad_cam_of_the_logit,
    check_grad_cam_of_the_probability,
    check_grad_cam_against_finite_differences,
    check_one_cell_set_to_zero,
    check_share_of_the_mean,
]


@pytest.mark.parametrize("check", IDENTITIES, ids=lambda check: check.__name__[6:])
def test_the_identity_holds_for_any_shape_and_magnitude_of(functions, check):
    @quick
    @given(shapes)
    def holds(shape):
        check(functions, shape)

    holds()


def test_shapes_that_do_not_fit_are_refused_with_both_shapes(functions):
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 5\).*\(4, 10\)"):
        functions.class_activation_maps(np.zeros((2, 7, 7, 5)), np.zeros((4, 10)))


def check_compare(functions):
    """It lets rounding pass, stops at more, and says what it found and what to do."""
    values = np.array([1.0, 2.0, 300.0])
    functions.compare("equal", values, values + 0.02, 300)
    with pytest.raises(AssertionError, match="unequal.*Run all cells from the top"):
        functions.compare("unequal", values, values + 0.04, 300)
    with pytest.raises(AssertionError):
        functions.compare("negative", values, values - 0.04, 300)
    with pytest.raises(AssertionError):
        functions.compare("no number", values, values * np.nan, 300)


def test_compare_stops_where_two_things_are_not_equal(functions, capsys):
    check_compare(functions)
    assert "equal: largest difference 0.02" in capsys.readouterr().out


def check_interval(functions):
    """SciPy's normal interval, from the standard deviation of the values."""
    from scipy.stats import norm

    generator = np.random.default_rng(0)
    for count in (50, 5_000):
        values = generator.normal(3, 1, count)
        mean, half_width = functions.interval(values)
        deviation = values.std() / count**0.5
        low, high = norm.interval(0.95, loc=values.mean(), scale=deviation)
        assert np.isclose(mean - half_width, low, atol=1e-4)
        assert np.isclose(mean + half_width, high, atol=1e-4)


def test_the_interval_is_the_normal_one(functions):
    check_interval(functions)


def test_a_report_prints_mean_and_half_width(functions, capsys):
    functions.report("four", np.array([0, 1, 1, 1, 0, 1, 1, 1]))
    functions.report_difference("paired", np.array([0.5, -0.25, 0.5, 0.25]))
    functions.report_difference("down", np.array([-0.5, -0.25]), ".2f")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["four: 75.0% ± 30.0%", "paired: +25.0% ± 30.0%"]
    assert lines[2] == "down: -0.38 ± 0.17"


def check_receptive_field(functions):
    """Which pixels move the middle cell: asked by changing them, one by one."""
    keras = functions.keras
    keras.utils.set_random_seed(3)
    model = functions.build_model(0.3)
    stride, patch = functions.receptive_field(model)
    to_features = keras.Model(model.inputs, model.get_layer("feature_maps").output)
    noise = np.random.default_rng(0).integers(100, 156, (28, 28)).astype(float)
    lines = []
    for number in range(28):
        line = noise.copy()
        line[number] += 50
        lines.append(line)
    base = functions.run(to_features, noise[None])[0]
    moved = functions.run(to_features, np.stack(lines)) - base
    for row in range(base.shape[0]):
        rows = np.flatnonzero(np.abs(moved[:, row]).max(axis=(1, 2)) > 1e-6)
        first = max(0, stride * row - (patch - stride) // 2)
        last = min(27, stride * row + (patch + stride) // 2 - 1)
        assert (rows.min(), rows.max()) == (first, last), row


def test_a_cell_sees_the_patch_that_the_text_says(functions):
    check_receptive_field(functions)
    assert functions.receptive_field(functions.build_model(0.3)) == (4, 16)


def test_the_model_s_feature_maps_give_its_logits_by_the_original_s_formula(functions):
    """The original reshapes the resized maps to a matrix, times the weights."""
    tf, keras = functions.tf, functions.keras
    keras.utils.set_random_seed(1)
    model = functions.build_model(0.3)
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    features, logits = functions.run(functions.with_features(model), images)
    weights, bias = model.get_layer("logits").get_weights()
    matrix = tf.reshape(tf.image.resize(features, (28, 28)), (-1, 28 * 28, 128))
    labels = logits.argmax(axis=1)
    columns = tf.reshape(tf.gather(tf.transpose(weights), labels), (-1, 128, 1))
    original = tf.reshape(tf.matmul(matrix, columns), (-1, 28, 28)).numpy()
    for i in range(3):
        found = functions.class_activation_map(
            features[i], weights, labels[i], (28, 28)
        )
        assert np.allclose(found, original[i], atol=1e-4)
    means = original.mean(axis=(1, 2)) + bias[labels]
    assert np.allclose(means, logits.max(axis=1), atol=1e-4)


def test_the_dropout_of_cells_leaves_the_finished_network_alone(functions):
    model = functions.build_model(0.3)
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28), np.uint8)
    features, logits = functions.run(functions.with_features(model), images)
    weights, bias = model.get_layer("logits").get_weights()
    assert np.allclose(pooled_logits(features, weights, bias), logits, atol=1e-4)


def test_dropout_hides_whole_cells_while_it_trains(functions):
    layers = functions.build_model(0.5).layers
    (dropout,) = (
        one for one in layers if isinstance(one, functions.keras.layers.Dropout)
    )
    left = np.array(dropout(np.ones((2, 7, 7, 128), np.float32), training=True))
    assert set(np.unique(left)) == {0, 2}
    assert (left == left[..., :1]).all() and 20 < (left[..., 0] == 0).sum() < 80
