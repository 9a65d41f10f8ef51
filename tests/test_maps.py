"""The identities of the lesson, on shapes and weights that no network here has.

Every function is held against an oracle that is written another way. The checks stand
apart from the tests, because test_broken_code.py runs them on code with a fault in it.
"""

import numpy as np
import pytest
from conftest import explainer_of
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


def check_account(functions, shape):
    features, weights, bias = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    logits = pooled_logits(features, weights, bias)
    scale = terms(features, weights) + np.abs(bias).max()
    found = functions.logits_from_maps(maps, bias)
    assert found.shape == logits.shape
    assert np.abs(found - logits).max() <= 1e-12 * scale


def check_order_of_resizing(functions, shape):
    features, weights, bias = drawn(shape)
    features, weights = features.astype(np.float32), weights.astype(np.float32)
    logits = pooled_logits(features, weights, bias)[0]
    size = (4 * features.shape[1], 4 * features.shape[2])
    slow = functions.class_activation_map(features[0], logits, weights, size)
    maps = functions.class_activation_maps(features, weights)
    fast = functions.resize(maps[:1, ..., logits.argmax()], size)[0]
    assert slow.shape == fast.shape == size
    assert np.abs(slow - fast).max() <= 1e-5 * terms(features, weights)


def check_resizing_keeps_the_mean(functions, shape):
    features, weights, _ = drawn(shape)
    maps = loops(features, weights).astype(np.float32)
    size = (4 * maps.shape[1], 4 * maps.shape[2])
    resized = functions.resize(np.moveaxis(maps, -1, 1), size).mean(axis=(2, 3))
    error = np.abs(resized - maps.mean(axis=(1, 2))).max()
    assert error <= 1e-5 * terms(features, weights)


def check_shift(functions, shape):
    """The same vector added to all weights: maps move, contrast and softmax do not."""
    features, weights, bias = drawn(shape)
    v = np.random.default_rng(shape[5] + 1).normal(size=(len(weights), 1))
    before = functions.class_activation_maps(features, weights)
    after = functions.class_activation_maps(features, weights + v)
    scale = terms(features, np.abs(weights) + np.abs(v)) + np.abs(bias).max()
    contrasts = [maps[..., 0] - maps[..., 1] for maps in (before, after)]
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
    pairs = [[0, 1]] * len(maps)
    means = functions.contrast(maps, pairs).mean(axis=(1, 2))
    margins = functions.contrast(logits, pairs)
    assert np.array_equal(margins, logits[:, 0] - logits[:, 1])
    scale = terms(features, weights) + np.abs(bias).max()
    assert np.abs(means + bias[0] - bias[1] - margins).max() <= 1e-12 * scale


def check_grad_cam_of_the_logit(functions, shape):
    features, weights, bias = drawn(shape)
    classes, cells = np.zeros(len(features), int), shape[1] * shape[2]
    found = functions.grad_cam(features, weights, bias, classes, functions.tf.identity)
    expected = loops(features, weights)[..., 0] / cells
    assert np.abs(found - expected).max() <= 1e-10 * terms(features, weights)


def check_grad_cam_of_the_probability(functions, shape):
    features, weights, bias = drawn((*shape[:6], 1.0))
    classes, cells = np.ones(len(features), int), shape[1] * shape[2]
    arguments = features, weights, bias, classes
    found = functions.grad_cam(*arguments, functions.tf.nn.softmax)
    p = softmax(pooled_logits(features, weights, bias))
    maps = loops(features, weights)
    average = maps[..., 1] - np.einsum("nyxc,nc->nyx", maps, p)
    expected = p[:, 1, None, None] * average / cells
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
    classes, score = np.array([1]), functions.tf.nn.softmax
    found = functions.grad_cam(features, weights, bias, classes, score)
    assert np.abs(found - expected).max() <= 1e-8


def check_one_cell_set_to_zero(functions, shape):
    """The logits fall by the cell's map over the number of cells."""
    features, weights, bias = drawn(shape)
    zeroed = features.copy()
    zeroed[:, 0, -1] = 0
    fall = pooled_logits(features, weights, bias) - pooled_logits(zeroed, weights, bias)
    maps = functions.class_activation_maps(features, weights)
    error = np.abs(maps[:, 0, -1] / (shape[1] * shape[2]) - fall).max()
    assert error <= 1e-12 * (terms(features, weights) + np.abs(bias).max())


IDENTITIES = [
    check_formula,
    check_account,
    check_order_of_resizing,
    check_resizing_keeps_the_mean,
    check_shift,
    check_margin,
    check_grad_cam_of_the_logit,
    check_grad_cam_of_the_probability,
    check_grad_cam_against_finite_differences,
    check_one_cell_set_to_zero,
]


@pytest.mark.parametrize("check", IDENTITIES, ids=lambda check: check.__name__[6:])
def test_the_identity_holds_for_any_shape_and_magnitude_of(functions, check):
    @quick
    @given(shapes)
    def holds(shape):
        check(functions, shape)

    holds()


def test_a_chosen_class_is_explained_instead_of_the_predicted_one(functions):
    features, weights, _ = drawn((1, 7, 7, 5, 3, 2, 1.0))
    logits, expected = np.array([9.0, 0, 0]), loops(features, weights)[0]
    arguments = features[0], logits, weights, (7, 7)
    for c in range(3):
        chosen = functions.class_activation_map(*arguments, class_index=c)
        assert np.allclose(chosen, expected[..., c], atol=1e-5)
    default = functions.class_activation_map(*arguments)
    assert np.allclose(default, expected[..., 0], atol=1e-5)


def test_shapes_that_do_not_fit_are_refused_with_both_shapes(functions):
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 5\).*\(4, 10\)"):
        functions.class_activation_maps(np.zeros((2, 7, 7, 5)), np.zeros((4, 10)))


def test_pick_takes_each_image_s_own_classes_in_their_order(functions):
    maps = np.random.default_rng(0).normal(size=(3, 7, 7, 10)).astype(np.float32)
    classes = np.array([[1, 9], [4, 0], [2, 2]])
    found = functions.pick(maps, classes)
    logits = functions.pick(maps[:, 0, 0], classes)
    for n, d in np.ndindex(3, 2):
        assert np.array_equal(found[n, d], maps[n, :, :, classes[n, d]])
        assert logits[n, d] == maps[n, 0, 0, classes[n, d]]


def check_rank_correlation(functions, values, seed):
    from scipy.stats import spearmanr

    first = np.array(values[: len(values) // 2 * 2], float).reshape(1, 2, -1)
    second = np.random.default_rng(seed).integers(0, 4, first.shape).astype(float)
    found = functions.rank_correlations(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert found == [0]
    else:
        assert np.isclose(found[0], spearmanr(first.ravel(), second.ravel())[0])


@quick
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4 * 7), st.integers(0, 99))
def test_rank_correlation_with_ties_equals_scipys(functions, values, seed):
    check_rank_correlation(functions, values, seed)


def test_the_interval_holds_the_mean_and_narrows_with_more_values(functions):
    generator = np.random.default_rng(0)
    few, many = generator.normal(3, 1, 50), generator.normal(3, 1, 5_000)
    for values in (few, many):
        low, high = functions.interval(values)
        assert low < values.mean() < high
        expected = 2 * 1.96 * values.std() / len(values) ** 0.5
        assert 0.8 * expected < high - low < 1.2 * expected


def test_the_model_s_feature_maps_give_its_logits_by_the_original_s_formula(functions):
    """The original reshapes the resized maps to a matrix, times the weights."""
    tf, keras = functions.tf, functions.keras
    keras.utils.set_random_seed(1)
    model = functions.build_model()
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    features, logits = functions.run(explainer_of(model), images)
    weights, bias = model.get_layer("logits").get_weights()
    matrix = tf.reshape(tf.image.resize(features, (28, 28)), (-1, 28 * 28, 128))
    labels = logits.argmax(axis=1)
    columns = tf.reshape(tf.gather(tf.transpose(weights), labels), (-1, 128, 1))
    original = tf.reshape(tf.matmul(matrix, columns), (-1, 28, 28)).numpy()
    maps = functions.class_activation_maps(features, weights)
    found = functions.resize(maps[range(3), :, :, labels])
    assert np.allclose(found, original, atol=1e-4)
    means = original.mean(axis=(1, 2)) + bias[labels]
    assert np.allclose(means, logits.max(axis=1), atol=1e-4)


def test_the_dropout_of_cells_leaves_the_finished_network_alone(functions):
    model = functions.build_model()
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28), np.uint8)
    features, logits = functions.run(explainer_of(model), images)
    weights, bias = model.get_layer("logits").get_weights()
    assert np.allclose(pooled_logits(features, weights, bias), logits, atol=1e-4)
