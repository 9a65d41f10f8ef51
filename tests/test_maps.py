"""The identities of the lesson, on shapes and weights that no network here has.

Every function is held against an oracle that is written another way.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
            maps[(*place, c)] = sum(
                features[place][j] * weights[j, c] for j in range(k)
            )
    return maps


def terms(features, weights):
    """The size of what is summed: rounding errors grow with it."""
    return (features @ np.abs(weights)).max() + 1e-300


@quick
@given(shapes)
def test_maps_of_all_classes_follow_the_formula(functions, shape):
    features, weights, _ = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    error = np.abs(maps - loops(features, weights)).max()
    assert error <= 1e-12 * terms(features, weights)


@quick
@given(shapes)
def test_mean_of_the_map_plus_bias_is_the_logit(functions, shape):
    features, weights, bias = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    n, h, w, _ = features.shape
    pooled = np.array(
        [[f[..., k].sum() / (h * w) for k in range(f.shape[-1])] for f in features]
    )
    logits = np.array(
        [[p @ weights[:, c] + bias[c] for c in range(len(bias))] for p in pooled]
    )
    scale = terms(features, weights) + np.abs(bias).max()
    assert functions.largest_error(maps, bias, logits) <= 1e-12 * scale
    assert (
        np.abs(functions.head(features, weights, bias) - logits).max() <= 1e-12 * scale
    )


def test_the_account_notices_a_missing_bias_a_relu_and_the_softmax(functions):
    features, weights, bias = drawn((2, 5, 3, 7, 4, 1, 1.0))
    maps = functions.class_activation_maps(features, weights)
    logits = features.mean(axis=(1, 2)) @ weights + bias
    assert functions.largest_error(maps, bias, logits) < 1e-12
    assert functions.largest_error(maps, 0 * bias, logits) > 0.1
    assert functions.largest_error(np.maximum(maps, 0), bias, logits) > 0.1
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert functions.largest_error(maps, bias, softmax) > 0.1


@quick
@given(shapes)
def test_resizing_then_weighting_equals_weighting_then_resizing(functions, shape):
    features, weights, bias = drawn(shape)
    features, weights = features.astype(np.float32), weights.astype(np.float32)
    logits = features.mean(axis=(1, 2)) @ weights + bias
    size = (4 * features.shape[1], 4 * features.shape[2])
    slow = functions.class_activation_map(features[0], logits[0], weights, size)
    maps = functions.class_activation_maps(features, weights)
    fast = functions.enlarge(maps[:1, ..., logits[0].argmax()], size)[0]
    assert slow.shape == size
    assert np.abs(slow - fast).max() <= 1e-5 * terms(features, weights)


def test_a_chosen_class_is_explained_instead_of_the_predicted_one(functions):
    features, weights, _ = drawn((1, 7, 7, 5, 3, 2, 1.0))
    logits = np.array([9.0, 0, 0])
    for c in range(3):
        chosen = functions.class_activation_map(features[0], logits, weights, (7, 7), c)
        assert np.allclose(chosen, loops(features, weights)[0, ..., c], atol=1e-5)
    default = functions.class_activation_map(features[0], logits, weights, (7, 7))
    assert np.allclose(default, loops(features, weights)[0, ..., 0], atol=1e-5)


def test_shapes_that_do_not_fit_are_refused_with_both_shapes(functions):
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 5\).*\(4, 10\)"):
        functions.class_activation_maps(np.zeros((2, 7, 7, 5)), np.zeros((4, 10)))


@quick
@given(shapes)
def test_grad_cam_of_the_logit_is_the_map_divided_by_the_number_of_cells(
    functions, shape
):
    features, weights, bias = drawn(shape)
    classes = np.zeros(len(features), int)
    found = functions.grad_cam(features, weights, bias, classes, functions.tf.identity)
    cells = features.shape[1] * features.shape[2]
    expected = loops(features, weights)[..., 0] / cells
    assert np.abs(found - expected).max() <= 1e-10 * terms(features, weights)


def test_grad_cam_of_the_probability_against_finite_differences(functions):
    features, weights, bias = drawn((1, 3, 2, 4, 3, 5, 1.0))

    def probability(f):
        logits = f.mean(axis=(1, 2)) @ weights + bias
        return (np.exp(logits) / np.exp(logits).sum())[0, 1]

    gradient = np.zeros_like(features)
    for place in np.ndindex(features.shape):
        step = np.zeros_like(features)
        step[place] = 1e-5
        rise = probability(features + step) - probability(features - step)
        gradient[place] = rise / 2e-5
    expected = (gradient.mean(axis=(1, 2)) * features).sum(axis=-1)
    softmax = functions.tf.nn.softmax
    found = functions.grad_cam(features, weights, bias, np.array([1]), softmax)
    assert np.allclose(found, expected, atol=1e-8)


@quick
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4 * 7), st.integers(0, 99))
def test_rank_correlation_with_ties_equals_scipys(functions, values, seed):
    from scipy.stats import spearmanr

    first = np.array(values[: len(values) // 2 * 2], float).reshape(1, 2, -1)
    second = np.random.default_rng(seed).integers(0, 4, first.shape).astype(float)
    found = functions.rank_correlations(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert len(found) == 0
    else:
        assert np.isclose(found[0], spearmanr(first.ravel(), second.ravel())[0])


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
    layer = model.get_layer("feature_maps").output
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    explainer = keras.Model(model.input, [layer, model.output])
    features, logits = functions.run(explainer, images)
    weights, bias = model.get_layer("logits").get_weights()
    matrix = tf.reshape(tf.image.resize(features, (28, 28)), (-1, 28 * 28, 128))
    labels = logits.argmax(axis=1)
    columns = tf.reshape(tf.gather(tf.transpose(weights), labels), (-1, 128, 1))
    original = tf.reshape(tf.matmul(matrix, columns), (-1, 28, 28)).numpy()
    maps = functions.pick(functions.class_activation_maps(features, weights), labels)
    assert np.allclose(functions.enlarge(maps), original, atol=1e-4)
    assert np.allclose(
        original.mean(axis=(1, 2)) + bias[labels], logits.max(axis=1), atol=1e-4
    )
