"""Cells that `benchmark.py seeds` runs behind the notebook's: what its text says, too.

They use the notebook's functions and names, print with its `report`, and stand here so
that the lesson need not show them. `# %%` begins a cell.
"""

# ruff: noqa: F821

# %%
# Bars anywhere, not in the corners only.
import numpy as np

generator = np.random.default_rng(SEED)
learned_middles = generator.integers(2, len(digit) - 1, (len(learned), 2))
middles = generator.integers(2, len(digit) - 1, (len(unmarked), 2))
for name, meanings in [("telling", learned_labels), ("random", shuffled)]:
    marked = plant_bars(learned, meanings, learned_middles)
    keras.utils.set_random_seed(SEED)
    network = build_model(DROPOUT)
    train(network, marked, learned_labels, 2, BATCH_SIZE, PEAK_LEARNING_RATE)
    bar_explainer = with_features(network)
    bar_weights, _ = network.get_layer("logits").get_weights()
    empty_features, _ = run(bar_explainer, np.zeros((1, *digit.shape)))
    anywhere = plant_bars(unmarked, truths, middles)
    for which_bar, images in [("right bar", anywhere), ("no bar", unmarked)]:
        bar_features, bar_logits = run(bar_explainer, images)
        answers = np.where(bar_logits[:, 4] > bar_logits[:, 9], 4, 9)
        bar_maps = class_activation_maps(bar_features - empty_features, bar_weights)
        at_bar = []
        for maps, answer, middle in zip(bar_maps, answers, middles):
            place = highest_place(contrast(maps, answer, 13 - answer))
            centre = stride * (np.array(place) + 0.5)
            at_bar.append(np.hypot(*(centre - middle)) <= 5)
        report(f"{name} bars anywhere, {which_bar}: at the bar", at_bar)

# %%
# Deletion: the plain map, too; equal ink, not equally many pixels; coarser gradients.


def delete_by_ink(image, priority, share, generator):
    """As delete_ink, until that share of the ink is gone."""
    inked_pixels = generator.permutation(np.argwhere(image > 0))
    rows, columns = inked_pixels.T
    order = np.argsort(-priority[rows, columns], kind="stable")
    amounts = np.cumsum(image[rows[order], columns[order]].astype(float))
    gone = order[: np.searchsorted(amounts, share * amounts[-1], side="right")]
    less = image.copy()
    less[rows[gone], columns[gone]] = 0
    return less


def answers_that_change(priority, delete):
    less = []
    for image, one_priority in zip(inked, priority):
        generator = np.random.default_rng(SEED)
        less.append(delete(image, one_priority, 0.3, generator))
    return (run(model, np.array(less)).argmax(axis=1) != first).astype(float)


equal = {name: answers_that_change(p, delete_by_ink) for name, p in orders.items()}
for name, hits in equal.items():
    report(f"30% of the ink gone, {name}", hits)
for name in list(orders)[1:]:
    report(
        f"the same, contrast ahead of {name}", equal["contrast"] - equal[name], "+.1%"
    )

plain_maps = np.array([maps[..., c] for maps, c in zip(test_maps, first)])
gradient_maps = orders["gradient × input"]
rows, columns = contrasts.shape[1:]
blocks = gradient_maps.reshape(len(inked), rows, stride, columns, stride)
in_patches = np.zeros(contrasts.shape)
for row, column in np.ndindex(rows, columns):
    top, left = stride * row - beyond, stride * column - beyond
    down, across = slice(max(0, top), top + patch), slice(max(0, left), left + patch)
    in_patches[:, row, column] = gradient_maps[:, down, across].sum(axis=(1, 2))
coarse = {
    "plain map": plain_maps,
    "gradient × input, averaged to cells": blocks.mean(axis=(2, 4)),
    "gradient × input, over patches": in_patches,
}
by_contrast = answers_that_change(orders["contrast"], delete_ink)
for name, maps in coarse.items():
    at_pixels = resize(maps[..., None], inked.shape[1:])[..., 0]
    hits = answers_that_change(at_pixels, delete_ink)
    report(f"{name}, 30% gone", hits)
    report(f"contrast ahead of {name}", by_contrast - hits, "+.1%")

# %%
# A fixed square around the highest place; pointing by single cells, and by raw maps.
black = np.zeros_like(canvases[0])
raw, single, smoothed = search(without_pooling, canvases, black, half)
squares, side = [], 17
for n, canvas in enumerate(canvases):
    for c, true_box in zip(classes[n], boxes[n]):
        place = highest_place(smoothed[n, ..., c])
        corner = np.rint(stride * (np.array(place) + 0.5) - side / 2).astype(int)
        box = np.clip([*corner, *(corner + side)], 0, len(canvas))
        squares.append(overlap(box, true_box, canvas.shape) >= 0.5)
report(
    "square around the highest place right", np.reshape(squares, (-1, 2)).mean(axis=1)
)
report("evidence points, not smoothed", pointing(single, classes, boxes, stride))
around = [(0, 0), (half, half), (half, half), (0, 0)]
raw_smoothed = window_means(np.pad(raw, around), 2 * half + 1)
report("raw map points", pointing(raw_smoothed, classes, boxes, stride))
