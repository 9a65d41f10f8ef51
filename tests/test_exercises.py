"""The answers to the exercises, run where the reader stands: after the last cell."""

import inspect

from conftest import QUICK, explainer_of, run_notebook

ANSWERS = (
    inspect.getsource(explainer_of)
    + """
explain(test_images[0], explainer, class_weights, class_index=2)  # exercise 1

too_early = keras.Model(model.input, model.get_layer("feature_maps").input)  # 2
early = run(too_early, test_images[:1_000])
for some in (early, early[:, ::2, ::2]):
    found = logits_from_maps(class_activation_maps(some, class_weights), bias)
    assert np.abs(found - logits).max() > 0.1

a = 3.0  # 3
plain, moved = shifted[0], class_activation_maps(features + a, weights)
moved_bias = bias - a * class_weights.sum(axis=0)
same = logits_from_maps(moved, moved_bias) - logits_from_maps(plain, bias)
assert np.abs(same).max() < 1e-4
rise = (moved - plain)[..., 3] - (moved - plain)[..., 5]
assert np.allclose(rise, a * (weights[:, 3] - weights[:, 5]).sum())

v = -class_weights.max(axis=1) - 1  # 4
assert class_activation_maps(features, weights + v[:, None]).max() <= 0

orders["map"] = resize(pick(test_maps[: len(inked)], best_two[:, :1])[:, 0])  # 5
assert delete_ink(inked, orders["map"], 0.3, SEED).shape == inked.shape

import inspect

source = inspect.getsource(build_model)
pooling = "MaxPooling2D(2, name=name)"
finer = "MaxPooling2D(2 if name == 'block_1' else 1, name=name)"  # 6
assert pooling in source
exec(source.replace(pooling, finer))
model, _ = train(train_images, train_labels, held_out, *recipe)
fine_features, fine_logits = run(explainer_of(model), test_images[:50])
assert fine_features.shape == (50, 14, 14, 128)
fine_weights, fine_bias = model.get_layer("logits").get_weights()
fine_maps = class_activation_maps(fine_features, fine_weights)
assert np.abs(logits_from_maps(fine_maps, fine_bias) - fine_logits).max() < 1e-3

flattened = source.replace("None, None, 1)", "28, 28, 1)", 1)  # 7
pooling = "GlobalAveragePooling2D()"
exec(flattened.replace(pooling, "Reshape((7 * 7 * 128,))"))
model, _ = train(train_images, train_labels, held_out, *recipe)
flat_features, flat_logits = run(explainer_of(model), test_images[:50])
flat_weights, flat_bias = model.get_layer("logits").get_weights()
places = flat_weights.reshape(7, 7, 128, 10)
flat_maps = np.einsum("nyxk,yxkc->nyxc", flat_features, places)
assert np.abs(flat_maps.sum(axis=(1, 2)) + flat_bias - flat_logits).max() < 1e-3

train(255 - train_images, train_labels, held_out, *recipe)  # 8: other arrays
"""
)


def test_the_answers_that_need_no_network_work_as_written(tmp_path):
    run = run_notebook(tmp_path, QUICK, probe=ANSWERS)
    assert run.process.returncode == 0, run.process.stderr[-3000:]
