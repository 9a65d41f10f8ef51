"""Parts 1 to 5: functions held against oracles that are written another way.

The checks of IDENTITIES take any shapes; test_faults.py runs them on broken code, too.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax
from scipy.stats import norm

from conftest import cell_named

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
quick = settings(max_examples=25, deadline=None)


def drawn(shape):
    """Random non-negative feature maps, weights of both signs and a bias, float64."""
    n, h, w, k, c, seed, size = shape
    generator = np.random.default_rng(seed)
    features = np.maximum(generator.normal(size=(n, h, w, k)), 0) * size
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
    n, h, w, k = features.shape
    pooled = features.reshape(n, h * w, k).sum(axis=1) / (h * w)
    return np.array(
        [[p @ weights[:, c] + b for c, b in enumerate(bias)] for p in pooled]
    )


def terms(features, weights, bias=0):
    """The size of what is summed: rounding errors grow with it."""
    return (features @ np.abs(weights)).max() + np.abs(bias).max() + 1e-300


def head_of(functions, weights, bias):
    def head(features):
        return functions.tf.reduce_mean(features, axis=(1, 2)) @ weights + bias

    return head


def check_formula(functions, shape):
    features, weights, _ = drawn(shape)
    maps = functions.class_activation_maps(features, weights)
    error = np.abs(maps - loops(features, weights)).max()
    assert error <= 1e-12 * terms(features, weights)
    one = functions.class_activation_maps(features[0], weights)  # as good as many
    assert np.abs(one - maps[0]).max() <= 1e-12 * terms(features, weights)


def check_account(functions, shape):
    features, weights, bias = drawn(shape)
    found = functions.logits_from_maps(loops(features, weights), bias)
    error = np.abs(found - pooled_logits(features, weights, bias)).max()
    assert error <= 1e-12 * terms(features, weights, bias)


def check_order_of_resizing(functions, shape):
    """Resize, multiply, sum; or sum, then resize; and SciPy's interpolation."""
    features, weights, _ = drawn((*shape[:6], 1.0))
    features, weights = features.astype("float32"), weights.astype("float32")
    height, width = features.shape[1:3]
    size = 4 * height, 4 * width
    fast = functions.resize(functions.class_activation_maps(features, weights), size)
    places = np.mgrid[: size[0], : size[1]] / 4 + 0.125 - 0.5  # half-pixel centres
    for c in range(weights.shape[1]):
        slow = functions.class_activation_map(features[0], weights, c, size)
        assert slow.shape == size == fast.shape[1:3]
        small = loops(features[:1], weights)[0, ..., c]
        expected = map_coordinates(small, places, order=1, mode="nearest")
        for found in (slow, fast[0, ..., c]):
            assert np.abs(found - expected).max() <= 1e-5 * terms(features, weights)
        assert abs(slow.mean() - small.mean()) <= 1e-5 * terms(features, weights)


def check_shift(functions, shape):
    """The same vector added to all weights: contrast and softmax stay."""
    features, weights, bias = drawn(shape)
    v = np.random.default_rng(shape[5] + 1).normal(size=(len(weights), 1))
    scale = terms(features, np.abs(weights) + np.abs(v), bias)
    before, after = loops(features, weights), loops(features, weights + v)
    contrasts = [functions.contrast(maps, 0, 1) for maps in (before, after)]
    assert np.abs(contrasts[0] - contrasts[1]).max() <= 1e-12 * scale
    assert np.array_equal(contrasts[0], before[..., 0] - before[..., 1])
    logits = [functions.logits_from_maps(maps, bias) for maps in (before, after)]
    found = [functions.probabilities(values) for values in logits]
    assert np.abs(found[0] - found[1]).max() <= 1e-10 * (1 + scale)
    assert np.abs(found[0] - softmax(logits[0], axis=-1)).max() <= 1e-10


def check_grad_cam(functions, shape):
    """CAM over cells for the logit; an average contrast for the probability."""
    features, weights, bias = drawn((*shape[:6], 1.0))
    head, cells = head_of(functions, weights, bias), shape[1] * shape[2]
    maps = loops(features, weights)[0]
    p = softmax(pooled_logits(features, weights, bias)[0])
    for c in range(weights.shape[1]):
        of_logit = functions.grad_cam(head, features[0], c)
        assert np.abs(cells * of_logit - maps[..., c]).max() <= 1e-10
        hires = functions.hires_cam(head, features[0], c)
        assert np.abs(cells * hires - maps[..., c]).max() <= 1e-10
        of_p = functions.grad_cam(head, features[0], c, use_probability=True)
        expected = p[c] * (maps[..., c] - maps @ p)
        assert np.abs(cells * of_p - expected).max() <= 1e-10


IDENTITIES = [
    check_formula,
    check_account,
    check_order_of_resizing,
    check_shift,
    check_grad_cam,
]


@pytest.mark.parametrize("check", IDENTITIES, ids=lambda check: check.__name__[6:])
def test_the_identity_holds_for_any_shape_and_magnitude_of(functions, check):
    @quick
    @given(shapes)
    def holds(shape):
        check(functions, shape)

    holds()


def check_gradient(functions):
    """Finite differences, behind a head that treats each place in its own way."""
    features, _, _ = drawn((1, 3, 2, 4, 3, 0, 1.0))
    weights = np.random.default_rng(1).normal(size=(24, 3))

    def head(values):
        flat = functions.tf.reshape(values, (-1, 24))
        return functions.tf.math.tanh(flat @ weights)

    slopes = np.zeros(features.shape[1:])
    for place in np.ndindex(slopes.shape):
        step = np.zeros_like(features)
        step[(0, *place)] = 1e-5
        ends = [np.tanh((features + s).reshape(1, 24) @ weights) for s in (step, -step)]
        slopes[place] = (ends[0] - ends[1])[0, 1] / 2e-5
    found = functions.gradient(head, features[0], 1)
    assert np.abs(found - slopes).max() <= 1e-8
    by_cell = functions.hires_cam(head, features[0], 1)
    assert np.abs(by_cell - (slopes * features[0]).sum(axis=-1)).max() <= 1e-7
    by_mean = functions.grad_cam(head, features[0], 1)
    expected = (slopes.mean(axis=(0, 1)) * features[0]).sum(axis=-1)
    assert np.abs(by_mean - expected).max() <= 1e-7


def test_gradients_are_those_of_finite_differences(functions):
    check_gradient(functions)


def test_the_head_with_the_wall_does_not_see_the_lower_rows(functions, monkeypatch):
    head = head_of(functions, *drawn((1, 7, 7, 5, 3, 0, 1.0))[1:])
    monkeypatch.setitem(functions.walled_head.__globals__, "head", head)
    features, _, _ = drawn((1, 7, 7, 5, 3, 0, 1.0))
    other = features.copy()
    other[:, 4:] += 1
    walled = functions.walled_head
    assert np.array_equal(walled(features), walled(other))
    other[:, 3] += 1
    assert not np.allclose(walled(features), walled(other))
    assert not functions.hires_cam(walled, features[0], 0)[4:].any()
    assert functions.grad_cam(walled, features[0], 0)[4:].any()


def stacks(layers):
    """Stacks of layers with strides, dilation and overlapping pooling."""
    ones = {"padding": "same", "kernel_initializer": "ones"}  # all pixels in view count

    def pool(size, step):
        return layers.AveragePooling2D(size, strides=step, padding="same")

    yield [layers.Conv2D(1, 3, strides=2, **ones) for _ in range(2)]
    yield [layers.Conv2D(1, 3, dilation_rate=3, **ones), pool(2, 2), pool(3, 3)]
    yield [pool(3, 1), pool(3, 2), layers.Conv2D(1, 5, strides=3, **ones)]
    yield [layers.Conv2D(1, 5, **ones), pool(2, 2)] + [layers.ReLU()]


def check_receptive_field(functions):
    """Which pixels have a gradient at the middle cell, and at its neighbour?"""
    tf, keras = functions.tf, functions.keras
    for layers in stacks(keras.layers):
        network = keras.Sequential([keras.Input((61, 61, 1)), *layers])
        seen = []
        for beside in (0, 1):
            pixels = tf.ones((1, 61, 61, 1))
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                out = network(pixels)
                cell = out[0, out.shape[1] // 2 + beside, out.shape[2] // 2, 0]
            seen.append(np.flatnonzero(np.any(tape.gradient(cell, pixels), (0, 2, 3))))
        _, step, view = functions.receptive_field(layers)[-1]
        assert np.ptp(seen[0]) + 1 == view, layers
        assert seen[1][0] - seen[0][0] == step, layers


def test_a_cell_sees_the_pixels_that_the_table_says(functions):
    check_receptive_field(functions)
    found = functions.receptive_field(functions.build_model(0.3).layers)
    assert found[-1][1:] == (4, 16)


def check_interval(functions):
    """SciPy's normal interval, from the standard deviation of the values."""
    values = np.random.default_rng(0).normal(3, 1, 500)
    mean, half_width = functions.interval(values)
    low, high = norm.interval(0.95, loc=values.mean(), scale=values.std() / 500**0.5)
    assert np.allclose([mean - half_width, mean + half_width], [low, high], atol=1e-4)


def test_the_interval_is_the_normal_one_and_is_reported(functions, capsys):
    check_interval(functions)
    functions.report("four", np.array([0, 1, 1, 1, 0, 1, 1, 1]))
    functions.report("hits", [True, False])
    functions.report("down", np.array([-0.5, -0.25]), "+.2f")
    told = capsys.readouterr().out.splitlines()
    assert told == ["four: 75.0% ± 30.0%", "hits: 50.0% ± 69.3%", "down: -0.38 ± 0.17"]


def check_compare(functions):
    """It lets rounding pass, stops at more, and says what to do."""
    values = np.array([1.0, 2.0, 300.0])
    functions.compare("equal", values, values + 0.02, 300)
    for wrong in (values + 0.04, values - 0.04, values * np.nan):
        with pytest.raises(AssertionError, match="unequal.*Run all cells from the top"):
            functions.compare("unequal", values, wrong, 300)


def test_compare_stops_where_two_things_are_not_equal(functions, capsys):
    check_compare(functions)
    assert "equal: largest difference 0.02" in capsys.readouterr().out


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
    ids=["one image", "channels", "0 to 1", "drawn, 0 to 1", "map, 0 to 1", "map"],
)
def test_images_that_are_not_as_everywhere_here_get_a_clear_error(
    functions, mnist, call, told
):
    with pytest.raises(ValueError, match=told):
        call(functions, mnist["x_test"][4])


def test_the_model_takes_a_blank_image_and_any_size(functions):
    explainer = functions.with_features(functions.build_model(0.3))
    for size in ((28, 28), (64, 48)):
        features, logits = functions.run(explainer, np.zeros((2, *size)))
        assert features.shape == (2, size[0] // 4, size[1] // 4, 128)
        assert logits.shape == (2, 10) and np.isfinite(logits).all()


def test_weights_that_do_not_fit_are_refused_with_both_shapes(functions):
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 5\).*\(4, 10\)"):
        functions.class_activation_maps(np.zeros((2, 7, 7, 5)), np.zeros((4, 10)))


def test_the_model_s_maps_give_its_logits_by_the_article_s_formula(functions):
    """The article reshapes the resized maps to a matrix, times the weights."""
    tf, keras = functions.tf, functions.keras
    keras.utils.set_random_seed(1)
    model = functions.build_model(0.3)
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    features, logits = functions.run(functions.with_features(model), images)
    weights, bias = model.get_layer("logits").get_weights()
    matrix = tf.reshape(tf.image.resize(features, (28, 28)), (-1, 28 * 28, 128))
    labels = logits.argmax(axis=1)
    columns = tf.reshape(tf.gather(tf.transpose(weights), labels), (-1, 128, 1))
    article = tf.reshape(tf.matmul(matrix, columns), (-1, 28, 28)).numpy()
    for i, c in enumerate(labels):
        ours = functions.class_activation_map(features[i], weights, c, (28, 28))
        assert np.allclose(ours, article[i], atol=1e-4)
        assert np.isclose(article[i].mean() + bias[c], logits[i, c], atol=1e-4)


# ---- your own network


def built(keras, *behind):
    """An inner network, (16, 16, 3) -> feature maps, and layers behind it."""
    convolution = keras.layers.Conv2D(6, 3, strides=2)
    layers = [convolution, keras.layers.BatchNormalization(), keras.layers.ReLU()]
    if not behind:  # the pooling is inside, too
        layers.append(keras.layers.GlobalAveragePooling2D())
        behind = [keras.layers.Dense(5)]
    inner = keras.Sequential([keras.Input((16, 16, 3)), *layers], name="inner")
    return keras.Sequential([keras.Input((16, 16, 3)), inner, *behind])


def functional(keras):
    """The recipe of transfer learning, with preprocessing in the graph."""
    inputs, inner_inputs = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    x = keras.layers.RandomFlip()(inputs)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    inner = keras.Model(inner_inputs, keras.layers.Conv2D(6, 3)(inner_inputs))
    x = keras.layers.GlobalAveragePooling2D()(inner(x, training=False))
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(5)(x))


def plain(keras):
    layers = [keras.layers.Conv2D(6, 3, activation="relu"), *pooled(keras.layers)]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


def half(keras):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return built(keras, *pooled(keras.layers, activation="softmax"))
    finally:
        keras.config.set_dtype_policy(before)


def pooled(k, *between, count=5, **how):
    return k.GlobalAveragePooling2D(), *between, k.Dense(count, **how)


def softly(logits):
    return softmax(logits, axis=-1)


def ends(how):
    """A builder of networks that end in the layers that how gives."""
    return lambda keras: built(keras, *how(keras.layers))


# what the network is -> how it is built, what makes its answers of logits
NETWORKS = {
    "plain": (plain, np.array),
    "an inner network as a base": (ends(pooled), np.array),
    "functional, preprocessing in the graph": (functional, np.array),
    "softmax inside": (ends(lambda k: pooled(k, activation="softmax")), softly),
    "softmax as a layer": (ends(lambda k: [*pooled(k), k.Softmax()]), softly),
    "as another": (ends(lambda k: [*pooled(k), k.Activation("softmax")]), softly),
    "one sigmoid": (ends(lambda k: pooled(k, count=1, activation="sigmoid")), expit),
    "dropout": (ends(lambda k: [k.Dropout(0.5), *pooled(k, k.Dropout(0.5))]), np.array),
    "no bias": (ends(lambda k: pooled(k, use_bias=False)), np.array),
    "keepdims": (
        ends(lambda k: [k.GlobalAveragePooling2D(keepdims=True), k.Dense(5)]),
        np.array,
    ),
    "half precision": (half, softly),
}


def images_of(network):
    noise = np.random.default_rng(0).uniform(0, 1, (3, *network.input_shape[1:]))
    return noise.astype("float32")


def check_network(functions, network, activation=np.array, rounding=1e-4):
    """Maps by loops from what pooling consumes; logits that give the answers."""
    images = images_of(network)
    maps, logits = functions.maps_of_network(network, images)
    kinds = functions.keras.layers
    pooling = [x for x in network.layers if isinstance(x, kinds.GlobalAveragePooling2D)]
    consumed = functions.keras.Model(network.inputs, pooling[-1].input)
    dense = [x for x in network.layers if isinstance(x, kinds.Dense)][-1]
    features = consumed.predict(images, verbose=0)
    expected = loops(features, dense.kernel.numpy())
    scale = np.abs(expected).max()
    assert np.abs(maps - expected).max() <= rounding * scale
    answers = network.predict(images, verbose=0).reshape(logits.shape)
    as_answers = activation(logits)
    assert np.abs(as_answers - answers).max() <= 10 * rounding * (scale + 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_your_own_network_gives_maps_and_logits_that_add_up(functions, name):
    functions.keras.utils.set_random_seed(2)
    build, activation = NETWORKS[name]
    rounding = 5e-3 if name == "half precision" else 1e-4
    check_network(functions, build(functions.keras), activation, rounding)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore")  # .h5 is called old
def test_a_saved_and_loaded_network_does_so_too(functions, tmp_path, ending):
    keras = functions.keras
    build, activation = NETWORKS["softmax as a layer"]
    build(keras).save(tmp_path / f"it.{ending}")
    loaded = keras.models.load_model(tmp_path / f"it.{ending}")
    check_network(functions, loaded, activation)


def test_an_activation_that_is_left_aside_is_named(functions, capsys):
    network = NETWORKS["one sigmoid"][0](functions.keras)
    functions.maps_of_network(network, images_of(network))
    assert "sigmoid" in capsys.readouterr().out


# what stands behind the feature maps; the layer in the way is named "culprit"
REFUSED = {
    "two dense layers": lambda k: pooled(k, k.Dense(8, name="culprit")),
    "two of equal width": lambda k: pooled(k, k.Dense(6, name="culprit")),
    "Flatten": lambda k: [k.Flatten(name="culprit"), k.Dense(5)],
    "maximum pooling": lambda k: [k.GlobalMaxPooling2D(name="culprit"), k.Dense(5)],
    "an activation between": lambda k: pooled(k, k.ReLU(name="culprit")),
    "BatchNorm between": lambda k: pooled(k, k.BatchNormalization(name="culprit")),
    "1×1 convolutions": lambda k: [
        k.Conv2D(5, 1),
        k.GlobalAveragePooling2D(name="culprit"),
    ],
}


@pytest.mark.parametrize("name", [*REFUSED, "pooling inside an inner network"])
def test_a_network_without_a_cam_is_refused_by_the_layer_in_the_way(functions, name):
    behind = REFUSED[name](functions.keras.layers) if name in REFUSED else []
    network = built(functions.keras, *behind)
    culprit = "culprit" if behind else "inner"
    with pytest.raises(ValueError, match=rf"{culprit}\b.*HiResCAM"):
        functions.maps_of_network(network, images_of(network))


def test_a_network_whose_account_fails_is_refused(functions):
    """A layer that looks like a dense one, and is not linear."""

    class Odd(functions.keras.layers.Dense):
        def call(self, inputs):
            return super().call(inputs) + 100 * inputs[:, :1] ** 2

    keras = functions.keras
    network = built(keras, keras.layers.GlobalAveragePooling2D(), Odd(5))
    with pytest.raises(ValueError, match="account"):
        functions.maps_of_network(network, images_of(network))


def test_the_lesson_s_head_behind_flatten_adds_up_exactly(functions, stored, mnist):
    """The lines in the text, run on a network with Flatten and one dense layer."""
    keras = functions.keras
    source = cell_named(stored, "learned-5").source
    (lines,) = re.findall(r"```python\n(.*?)```", source, re.S)
    keras.utils.set_random_seed(3)
    *layers, _, _ = functions.build_model(0).layers
    layers = [layer for layer in layers if "dropout" not in layer.name]
    dense = keras.layers.Dense(10, activation="softmax")
    parts = [keras.Input((28, 28, 1)), *layers, keras.layers.Flatten(), dense]
    names = {**vars(functions), "network": keras.Sequential(parts)}
    names |= {"images": mnist["x_test"][:2, ..., None], "class_index": 3}
    exec(lines, names)
    logits = names["network"].predict(names["images"], verbose=0)
    assert names["one_map"].shape == (7, 7)
    total = names["one_map"].sum() + dense.bias.numpy()[3]
    answers = softmax(names["your_head"].predict(names["features"], verbose=0), axis=-1)
    scale = np.abs(names["features"]).max()
    assert np.allclose(answers.sum(axis=1), 1) and np.isfinite(logits).all()
    head_logit = names["your_head"](names["features"])[0, 3]
    assert abs(total - float(head_logit)) <= 1e-4 * scale
