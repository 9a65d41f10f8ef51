"""What part 7 chose, on what: sweeps on canvases of held-out digits.

For the benchmark: call sweep.
"""

import numpy as np

WIDTHS = (1, 3, 5, 7, 9)
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SIDES = (12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24)


def shares(functions, drawn, boxes):
    """Share of boxes (N, D, 4) with IoU ≥ 0.5, and the mean IoU."""
    ious = [
        functions.overlap(box, true_box)
        for box, true_box in zip(drawn.reshape(-1, 4), boxes.reshape(-1, 4))
    ]
    return float(np.mean(np.array(ious) >= 0.5)), float(np.mean(ious))


def best_boxes(functions, maps, classes, boxes, size):
    """Shares by threshold and by side: maps (N, h, w, C), smoothed."""
    by_threshold = {t: [] for t in THRESHOLDS}
    places = functions.peaks(maps, classes)
    for one, some in zip(maps, classes):
        large = functions.resize(one[..., some], size)
        for d in range(len(some)):
            for t in THRESHOLDS:
                by_threshold[t].append(functions.map_box(large[..., d], t))
    flat = places.reshape(-1, 2)
    squares = {s: [functions.square_box(p, s) for p in flat] for s in SIDES}
    found = []
    for drawn in (by_threshold, squares):
        found.append(
            {str(k): shares(functions, np.array(v), boxes) for k, v in drawn.items()}
        )
    return found


def sweep(
    functions,
    explainer,
    class_weights,
    bias,
    images,
    labels,
    count=1000,
    seed=1,
):
    """Return what each choice gives: tables by width and by score."""
    made = functions.make_canvases(images, labels, count, seed)
    canvases, classes, boxes = made
    maps, evidence = functions.search(explainer, canvases, class_weights)
    size = canvases.shape[1:]

    def pointing(some_maps, width):
        smoothed = functions.smooth_maps(some_maps, width)
        places = functions.peaks(smoothed, classes)
        return float(functions.share_of_hits(places, boxes).mean())

    widths = {}
    for width in WIDTHS:
        smoothed = functions.smooth_maps(evidence, width)
        tables = best_boxes(functions, smoothed, classes, boxes, size)
        widths[str(width)] = {
            "pointing": pointing(evidence, width),
            "raw map": pointing(maps, width),
            "thresholds": tables[0],
            "sides": tables[1],
        }
    logits = functions.window_means(maps, 7) + bias
    seen = functions.window_means(evidence, 7)
    chances = functions.probabilities(logits)
    scores = {
        "probability × evidence": chances * seen,
        "probability": chances,
        "logit": logits,
        "evidence": seen,
    }
    named = {}
    for name, some in scores.items():
        right = functions.windows_name_all({"classes": classes}, some)
        drawn = []
        for n, pair in enumerate(classes):
            for c in pair:
                place = functions.highest_place(some[n, ..., c])
                drawn.append(functions.ink_box(canvases[n], *place))
        boxed, _ = shares(functions, np.array(drawn), boxes)
        named[name] = {"both named": float(right.mean()), "ink in window": boxed}
    return {"widths": widths, "scores": named}
