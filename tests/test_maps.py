"""Parts 1 to 5: functions held against oracles that are written another way.

A check takes the functions, so that test_faults.py can give it broken ones.
"""

import re

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import softmax
from scipy.stats import norm

from lesson import cell_named

# images, height, width, feature maps, classes, magnitude of the features
SHAPES = [
    (2, 3, 4, 5, 3, 1.0),
    (1, 1, 1, 1, 2, 1.0),
    (3, 6, 1, 9, 12, 1e6),
    (1, 2, 5, 3, 4, 1e-6),
]


def drawn(shape):
    """Random non-negative feature maps, weights of both signs and a bias, float64."""
    n, h, w, k, c, size = shape
    generator = np.random.default_rng(0)
    features = np.abs(generator.normal(size=(n, h, w, k))) * size
    return features, generator.normal(size=(k, c)), generator.normal(size=c)


def loops(features, weights):
    """The formula as loops over places and classes."""
    maps = np.zeros((*features.shape[:3], weights.shape[1]))
    for place in np.ndindex(*maps.shape):
        terms = zip(features[place[:3]], weights[:, place[3]])
        maps[place] = sum(float(f) * float(w) for f, w in terms)
    return maps


def pooled_logits(features, weights, bias):
    """Pool first, then the dense layer: as a network does it."""
    return features.mean(axis=(1, 2)) @ weights + bias


def terms(features, weights, bias=0):
    """The size of what is summed: rounding errors grow with it."""
    return (features @ np.abs(weights)).max() + np.abs(bias).max()


def head_of(functions, weights, bias):
    return lambda features: (
        functions.tf.reduce_mean(features, axis=(1, 2)) @ weights + bias
    )


def check_account(functions, shape=SHAPES[0]):
    """Maps by the formula, for one image as for many; their means + bias."""
    features, weights, bias = drawn(shape)
    expected, rounding = loops(features, weights), 1e-12 * terms(features, weights)
    for found in (
        functions.class_activation_maps(features, weights),
        [functions.class_activation_maps(one, weights) for one in features],
    ):
        assert np.abs(found - expected).max() <= rounding
    logits = functions.logits_from_maps(expected, bias)
    rounding = 1e-12 * terms(features, weights, bias)
    assert np.abs(logits - pooled_logits(features, weights, bias)).max() <= rounding


def check_order_of_resizing(functions, shape=SHAPES[0]):
    """Resize, multiply, sum; or sum, then resize; and SciPy's interpolation."""
    features, weights = (values.astype("float32") for values in drawn(shape)[:2])
    size, rounding = 4 * np.array(shape[1:3]), 1e-5 * terms(features, weights)
    fast = functions.resize(functions.class_activation_maps(features, weights), size)
    places = np.mgrid[: size[0], : size[1]] / 4 + 0.125 - 0.5  # half-pixel centres
    for c in range(weights.shape[1]):
        slow = functions.class_activation_map(features[0], weights, c, size)
        small = loops(features[:1], weights)[0, ..., c]
        expected = map_coordinates(small, places, order=1, mode="nearest")
        for found in (slow, fast[0, ..., c]):
            assert np.abs(found - expected).max() <= rounding
        assert abs(slow.mean() - small.mean()) <= rounding


def check_shift(functions, shape=SHAPES[0]):
    """The same vector added to all weights: contrast and softmax stay."""
    features, weights, bias = drawn(shape)
    v = np.random.default_rng(1).normal(size=(len(weights), 1))
    scale = terms(features, np.abs(weights) + np.abs(v), bias)
    before, after = loops(features, weights), loops(features, weights + v)
    contrasts = [functions.contrast(maps, 0, 1) for maps in (before, after)]
    assert np.abs(contrasts[0] - contrasts[1]).max() <= 1e-12 * scale
    assert np.array_equal(contrasts[0], before[..., 0] - before[..., 1])
    logits = [functions.logits_from_maps(maps, bias) for maps in (before, after)]
    found = [functions.probabilities(values) for values in logits]
    assert np.abs(found[0] - found[1]).max() <= 1e-10 * (1 + scale)
    assert np.abs(found[0] - softmax(logits[0], axis=-1)).max() <= 1e-10


def check_grad_cam(functions, shape=SHAPES[0]):
    """CAM over cells for the logit; an average contrast for the probability."""
    features, weights, bias = drawn((*shape[:5], 1.0))
    head, cells = head_of(functions, weights, bias), shape[1] * shape[2]
    maps = loops(features, weights)[0]
    p = softmax(pooled_logits(features, weights, bias)[0])
    for c in range(weights.shape[1]):
        for one_map, expected in (
            (functions.grad_cam(head, features[0], c), maps[..., c]),
            (functions.hires_cam(head, features[0], c), maps[..., c]),
            (
                functions.grad_cam(head, features[0], c, use_probability=True),
                p[c] * (maps[..., c] - maps @ p),
            ),
        ):
            assert np.abs(cells * one_map - expected).max() <= 1e-10


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "check", [check_account, check_order_of_resizing, check_shift, check_grad_cam]
)
def test_the_identity_holds_for_any_shape_and_magnitude(functions, check, shape):
    check(functions, shape)


def check_gradient(functions):
    """Finite differences, behind a head that treats each place in its own way."""
    features, _, _ = drawn((1, 3, 2, 4, 3, 1.0))
    weights = np.random.default_rng(1).normal(size=(24, 3))

    def head(values):
        flat = functions.tf.reshape(values, (-1, 24))
        return functions.tf.math.tanh(0.3 * flat @ weights)

    steps = 1e-5 * np.eye(24).reshape(24, 3, 2, 4)
    ends = [head(features + sign * steps).numpy()[:, 1] for sign in (1, -1)]
    slopes = ((ends[0] - ends[1]) / 2e-5).reshape(3, 2, 4)
    assert np.abs(functions.gradient(head, features[0], 1) - slopes).max() <= 1e-8
    by_cell = functions.hires_cam(head, features[0], 1)
    assert np.abs(by_cell - (slopes * features[0]).sum(axis=-1)).max() <= 1e-7
    by_mean = functions.grad_cam(head, features[0], 1)
    expected = (slopes.mean(axis=(0, 1)) * features[0]).sum(axis=-1)
    assert np.abs(by_mean - expected).max() <= 1e-7


def test_the_head_with_the_wall_does_not_see_the_lower_rows(functions, monkeypatch):
    features, *weights_and_bias = drawn((1, 7, 7, 5, 3, 1.0))
    walled = functions.walled_head
    head = head_of(functions, *weights_and_bias)
    monkeypatch.setitem(walled.__globals__, "head", head)
    lower, upper = features.copy(), features.copy()
    lower[:, 4:] += 1
    upper[:, 3] += 1
    assert np.array_equal(walled(features), walled(lower))
    assert not np.allclose(walled(features), walled(upper))
    assert not functions.hires_cam(walled, features[0], 0)[4:].any()
    assert functions.grad_cam(walled, features[0], 0)[4:].any()


def check_receptive_field(functions):
    """Which pixels have a gradient at the middle cell, and at its neighbour?"""
    tf, layers = functions.tf, functions.keras.layers
    ones = {"padding": "same", "kernel_initializer": "ones"}  # all pixels in view count

    def pool(size, step):
        return layers.AveragePooling2D(size, strides=step, padding="same")

    for stack in (
        [layers.Conv2D(1, 3, strides=2, **ones) for _ in range(2)],
        [layers.Conv2D(1, 3, dilation_rate=3, **ones), pool(2, 2), pool(3, 3)],
        [pool(3, 1), pool(3, 2), layers.Conv2D(1, 5, strides=3, **ones)],
        [layers.Conv2D(1, 5, **ones), pool(2, 2), layers.ReLU()],
    ):
        network = functions.keras.Sequential([layers.Input((61, 61, 1)), *stack])
        pixels = tf.Variable(tf.ones((1, 61, 61, 1)))
        seen = []
        for beside in (0, 1):
            with tf.GradientTape() as tape:
                out = network(pixels)
                cell = out[0, out.shape[1] // 2 + beside, out.shape[2] // 2, 0]
            seen.append(np.flatnonzero(np.any(tape.gradient(cell, pixels), (0, 2, 3))))
        _, step, view = functions.receptive_field(stack)[-1]
        assert (view, step) == (np.ptp(seen[0]) + 1, seen[1][0] - seen[0][0])


def check_interval(functions):
    """SciPy's normal interval, from the standard deviation of the values."""
    values = np.random.default_rng(0).normal(3, 1, 500)
    mean, half_width = functions.interval(values)
    low, high = norm.interval(0.95, loc=values.mean(), scale=values.std() / 500**0.5)
    assert np.allclose([mean - half_width, mean + half_width], [low, high], atol=1e-4)


def check_compare(functions):
    """It lets rounding pass, stops at more, and says what to do."""
    values = np.array([1.0, 2.0, 300.0])
    functions.compare("equal", values, values + 0.02, 300)
    for wrong in (values + 0.04, values - 0.04, values * np.nan):
        with pytest.raises(AssertionError, match="unequal.*Run all cells from the top"):
            functions.compare("unequal", values, wrong, 300)


@pytest.mark.parametrize(
    "check", [check_gradient, check_receptive_field, check_interval, check_compare]
)
def test_parts_1_to_5_do_what_they_say(functions, check):
    check(functions)


def test_an_interval_is_reported_with_signs_and_units(functions, capsys):
    functions.report("four", np.array([0, 1, 1, 1, 0, 1, 1, 1]))
    functions.report("down", np.array([-0.5, -0.25]), "+.2f")
    told = capsys.readouterr().out.splitlines()
    assert told == ["four: 75.0% ± 30.0%", "down: -0.38 ± 0.17"]


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda f, image: f.run(None, image), r"\(N, H, W\).*\(28, 28\)"),
        (lambda f, image: f.run(None, image[None, ..., None]), r"\(1, 28, 28, 1\)"),
        (lambda f, image: f.run(None, image[None] / 255), "0 to 255"),
        (lambda f, image: f.draw_image(None, image / 255), "0 to 255"),
        (lambda f, image: f.draw_map(None, image / 255, image, 1), "0 to 255"),
        (lambda f, image: f.draw_map(None, image[..., None], image, 1), r"\(H, W\)"),
    ],
)
def test_images_that_are_not_as_everywhere_here_get_a_clear_error(
    functions, mnist, call, told
):
    with pytest.raises(ValueError, match=told):
        call(functions, mnist["x_test"][4])


def test_digits_stand_beside_their_maps_on_one_scale(functions, monkeypatch):
    shown, maps = [], np.random.default_rng(0).normal(size=(9, 7, 7))
    images = np.zeros((9, 28, 28), np.uint8)
    monkeypatch.setitem(functions.run.__globals__, "show", lambda *it: shown.append(it))
    functions.show_pairs(images, "abcdefghi", maps, "ABCDEFGHI", "map value", "words")
    ((figure, words),) = shown
    assert "".join(panel.get_title() for panel in figure.axes) == "aAbBcCdDeEfFgGhHiI"
    for i, panel in enumerate(figure.axes[1:18:2]):
        (drawn,) = panel.images
        assert np.array_equal(drawn.get_array(), maps[i])
        assert drawn.get_clim() == (-np.abs(maps).max(), np.abs(maps).max())


def test_the_model_takes_blank_images_of_any_size_and_its_account_holds(functions):
    model = functions.build_model(0.3)
    explainer = functions.with_features(model)
    features, logits = functions.run(explainer, np.zeros((2, 64, 48)))
    assert features.shape == (2, 16, 12, 128) and np.isfinite(logits).all()
    assert functions.receptive_field(model.layers)[-1][1:] == (4, 16)
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    features, logits = functions.run(explainer, images)
    weights, bias = model.get_layer("logits").get_weights()
    for one, its_logits in zip(features, logits):
        for c, logit in enumerate(its_logits):
            one_map = functions.class_activation_map(one, weights, c, (28, 28))
            assert np.isclose(one_map.mean() + bias[c], logit, atol=1e-4)


# ---- your own network


def pooled(k, *between, count=5, **how):
    return k.GlobalAveragePooling2D(), *between, k.Dense(count, **how)


def base(keras):
    """Layers, (16, 16, 3) -> feature maps."""
    k = keras.layers
    convolution = k.Conv2D(6, 3, strides=2)
    return [keras.Input((16, 16, 3)), convolution, k.BatchNormalization(), k.ReLU()]


def ends(how):
    """A builder of networks: an inner network, then the layers that how gives."""

    def build(keras):
        inner = keras.Sequential(base(keras), name="inner")
        return keras.Sequential([keras.Input((16, 16, 3)), inner, *how(keras.layers)])

    return build


def functional(keras):
    """The recipe of transfer learning, with preprocessing in the graph."""
    k = keras.layers
    inputs, inner_inputs = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    x = k.Rescaling(1 / 127.5, offset=-1)(k.RandomFlip()(inputs))
    inner = keras.Model(inner_inputs, k.Conv2D(6, 3)(inner_inputs))
    x = k.GlobalAveragePooling2D()(inner(x, training=False))
    return keras.Model(inputs, k.Dense(5)(k.Dropout(0.2)(x)))


NETWORKS = {
    "plain": lambda keras: keras.Sequential(base(keras) + [*pooled(keras.layers)]),
    "functional, preprocessing in the graph": functional,
    "half precision": ends(lambda k: pooled(k, activation="softmax")),
    "an inner network as a base": ends(pooled),
    "softmax inside": ends(lambda k: pooled(k, activation="softmax")),
    "softmax as a layer": ends(lambda k: [*pooled(k), k.Softmax()]),
    "as another": ends(lambda k: [*pooled(k), k.Activation("softmax")]),
    "one sigmoid": ends(lambda k: pooled(k, count=1, activation="sigmoid")),
    "dropout": ends(lambda k: [k.Dropout(0.5), *pooled(k, k.Dropout(0.5))]),
    "no bias": ends(lambda k: pooled(k, use_bias=False)),
    "keepdims": ends(lambda k: [k.GlobalAveragePooling2D(keepdims=True), k.Dense(5)]),
    "saved, .keras": ends(lambda k: [*pooled(k), k.Softmax()]),
    "saved, .h5": ends(lambda k: [*pooled(k), k.Softmax()]),
}


def images_of(network):
    noise = np.random.default_rng(0).uniform(0, 1, (3, *network.input_shape[1:]))
    return noise.astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore")  # .h5 is called old
def test_your_own_network_gives_maps_and_logits_that_add_up(
    functions, name, tmp_path, capsys
):
    """Maps by loops from what pooling consumes; logits by pooling."""
    keras, is_half = functions.keras, name == "half precision"
    keras.utils.set_random_seed(2)
    keras.config.set_dtype_policy("mixed_float16" if is_half else "float32")
    network = NETWORKS[name](keras)
    keras.config.set_dtype_policy("float32")
    if name.startswith("saved"):
        path = tmp_path / f"it{name[7:]}"
        network.save(path)
        network = keras.models.load_model(path)
    images = images_of(network)
    maps, logits = functions.maps_of_network(network, images)
    told = capsys.readouterr().out
    kinds = keras.layers
    (pooling,) = (x for x in network.layers if type(x) is kinds.GlobalAveragePooling2D)
    (dense,) = (x for x in network.layers if type(x) is kinds.Dense)
    consumed = keras.Model(network.inputs, pooling.input)
    features = consumed.predict(images, verbose=0)
    weights, bias = [*dense.get_weights(), 0][:2]
    expected = loops(features, weights)
    rounding = (5e-3 if is_half else 1e-4) * np.abs(expected).max()
    assert np.abs(maps - expected).max() <= rounding
    expected = pooled_logits(features.astype(float), weights, bias)
    assert np.abs(logits - expected).max() <= rounding
    ending = {"one sigmoid": "sigmoid", "softmax inside": "softmax"}.get(name, "")
    assert ending in told  # what was left aside is named


# what stands behind the feature maps; the layer in the way is named "culprit"
REFUSED = {
    "two dense layers": lambda k: pooled(k, k.Dense(8, name="culprit")),
    "two of equal width": lambda k: pooled(k, k.Dense(6, name="culprit")),
    "Flatten": lambda k: [k.Flatten(name="culprit"), k.Dense(5)],
    "maximum pooling": lambda k: [k.GlobalMaxPooling2D(name="culprit"), k.Dense(5)],
    "an activation between": lambda k: pooled(k, k.ReLU(name="culprit")),
    "BatchNorm between": lambda k: pooled(k, k.BatchNormalization(name="culprit")),
    "1×1": lambda k: [k.Conv2D(5, 1), k.GlobalAveragePooling2D(name="culprit")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_without_a_cam_is_refused_by_the_layer_in_the_way(functions, name):
    network = ends(REFUSED[name])(functions.keras)
    with pytest.raises(ValueError, match=r"culprit\b.*HiResCAM"):
        functions.maps_of_network(network, images_of(network))


def test_a_network_whose_pooling_is_inside_is_to_be_joined(functions):
    keras = functions.keras
    layers = [*base(keras), keras.layers.GlobalAveragePooling2D()]
    inner = keras.Sequential(layers, name="culprit")
    network = keras.Sequential([layers[0], inner, keras.layers.Dense(5)])
    with pytest.raises(ValueError, match=r"culprit\b.*Join"):
        functions.maps_of_network(network, images_of(network))


def test_a_network_that_is_not_built_is_told_to_predict(functions):
    network = functions.keras.Sequential(pooled(functions.keras.layers))
    with pytest.raises(ValueError, match="predict"):
        functions.maps_of_network(network, np.zeros((1, 8, 8, 1)))


def test_maps_that_are_too_small_to_be_checked_say_so(functions, capsys):
    for factor, said in ((1, False), (1e-9, True)):
        network = ends(lambda k: pooled(k, activation="softmax"))(functions.keras)
        weights = network.get_weights()
        network.set_weights([*weights[:-2], factor * weights[-2], weights[-1]])
        functions.maps_of_network(network, images_of(network))
        assert ("too small" in capsys.readouterr().out) == said


def test_a_network_whose_account_fails_is_refused(functions):
    """A layer that looks like a dense one, and is not linear."""

    class Odd(functions.keras.layers.Dense):
        def call(self, inputs):
            return super().call(inputs) + 100 * inputs[:, :1] ** 2

    network = ends(lambda k: [k.GlobalAveragePooling2D(), Odd(5)])(functions.keras)
    with pytest.raises(ValueError, match="account"):
        functions.maps_of_network(network, images_of(network))


def test_the_lesson_s_head_behind_flatten_adds_up_exactly(functions, stored, mnist):
    """The lines in the text, run on a network with Flatten and one dense layer."""
    keras, source = functions.keras, cell_named(stored, "learned-5").source
    (lines,) = re.findall(r"```python\n(.*?)```", source, re.S)
    keras.utils.set_random_seed(3)
    *layers, _, _, _ = functions.build_model(0).layers  # without dropout, pooling
    dense = keras.layers.Dense(10, activation="softmax")
    layers = [
        keras.Input((28, 28, 1)),
        *layers,
        keras.layers.Flatten(name="flatten"),
        dense,
    ]
    images = mnist["x_test"][:2, ..., None]
    names = {**vars(functions), "network": keras.Sequential(layers)}
    names |= {"images": images, "class_index": 3}
    answers = names["network"].predict(images, verbose=0)
    exec(lines, names)
    logits = np.array(names["your_head"](names["features"]))
    assert np.allclose(softmax(logits, axis=-1), answers, atol=1e-5)
    total = names["one_map"].sum() + dense.bias.numpy()[3]
    assert names["one_map"].shape == (7, 7)
    assert abs(total - logits[0, 3]) <= 1e-4 * np.abs(names["features"]).max()
