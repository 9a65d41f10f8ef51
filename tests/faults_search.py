"""Broken versions of part 7; the checks of test_search.py must notice."""

# what is wrong, the text of the notebook, what stands there instead
FAULTS_SEARCH = [
    (
        "one corner too few",
        "generator.integers(0, side - tile + 1, 2)",
        "generator.integers(0, side - tile + 2, 2)",
    ),
    (
        "a box without its last row",
        "rows[-1] + 1, columns[-1] + 1",
        "rows[-1], columns[-1] + 1",
    ),
    (
        "a box turned round",
        "[rows[0], columns[0], bottom, right]",
        "[columns[0], rows[0], right, bottom]",
    ),
    (
        "digits that overlap",
        "if down < tile and across < tile:",
        "if down < tile / 2 and across < tile / 2:",
    ),
    (
        "tiles clear in both directions",
        "if down < tile and across < tile:",
        "if down < tile or across < tile:",
    ),
    (
        "tiles that may not touch",
        "if down < tile and across < tile:",
        "if down <= tile and across <= tile:",
    ),
    (
        "only the first tile kept clear",
        "for other in others:",
        "for other in others[:1]:",
    ),
    (
        "another digit on the canvas",
        "np.flatnonzero(labels == class_index)",
        "np.flatnonzero(labels != class_index)",
    ),
    (
        "boxes at the tile's place",
        "tight_box(tile) + [top, left, top, left])",
        "tight_box(tile))",
    ),
    (
        "noise that hides ink",
        "cluttered = np.maximum(cluttered, canvas)",
        "cluttered = np.where(cluttered > 0, cluttered, canvas)",
    ),
    ("pieces that hide ink", "np.maximum(below, piece)", "piece"),
    (
        "noise beyond its grey",
        "generator.integers(0, noise + 1,",
        "generator.integers(0, 2 * noise + 2,",
    ),
    (
        "pieces of half the size",
        "image[y : y + 8, x : x + 8]\n",
        "image[y : y + 8, x : x + 8] * (np.arange(8) < 2)\n",
    ),
    (
        "no blank reference",
        "above_blank = maps - blank_maps",
        "above_blank = maps",
    ),
    (
        "no mean over the classes",
        "return above_blank - average_class",
        "return above_blank",
    ),
    (
        "the mean over places",
        "above_blank.mean(axis=-1, keepdims=True)",
        "above_blank.mean(axis=(-3, -2), keepdims=True)",
    ),
    (
        "a blank of noise",
        "run(explainer, np.zeros_like(canvases[:1]))",
        "run(explainer, canvases[:1])",
    ),
    (
        "the first part again and again",
        "canvases[start : start + 250]",
        "canvases[:250][: len(canvases) - start]",
    ),
    (
        "windows that skip cells",
        "ksize=width, strides=1",
        "ksize=width, strides=2",
    ),
    (
        "maxima for means",
        "tf.nn.avg_pool2d(maps",
        "tf.nn.max_pool2d(maps",
    ),
    (
        "smoothing off its cell",
        "[(0, 0), (half, half), (half, half), (0, 0)]",
        "[(0, 0), (2 * half, 0), (half, half), (0, 0)]",
    ),
    (
        "smoothing of other width",
        "def smooth_maps(maps, width=5)",
        "def smooth_maps(maps, width=3)",
    ),
    (
        "copies beyond the canvas",
        "(half, half), (half, half), (0, 0)])",
        '(half, half), (half, half), (0, 0)], "edge")',
    ),
    (
        "peaks of the lowest",
        "place = one_map.argmax()",
        "place = one_map.argmin()",
    ),
    (
        "rows by the height",
        "width = one_map.shape[1]",
        "width = one_map.shape[0]",
    ),
    (
        "hits below the box",
        "return top <= row < bottom",
        "return top <= row <= bottom",
    ),
    (
        "hits right of the box",
        "left <= column < right",
        "left <= column <= right",
    ),
    (
        "hits left of the box",
        "left <= column < right",
        "left - 1 <= column < right",
    ),
    (
        "other classes' peaks",
        "one_map = its_maps[..., c]",
        "one_map = its_maps[..., 9 - c]",
    ),
    (
        "peaks in cells",
        "size = (stride * height, stride * width)",
        "size = (height, width)",
    ),
    (
        "places of another digit",
        "in zip(its_places, its_boxes):",
        "in zip(its_places, its_boxes[::-1]):",
    ),
    (
        "an absent class that is there",
        "np.setdiff1d(np.arange(10), its_classes)",
        "np.arange(10)",
    ),
    (
        "always the same absent class",
        "generator.permutation(others)[: len(its_classes)]",
        "others[: len(its_classes)]",
    ),
    (
        "the first of the brightest",
        "highest_place(canvas + noise)",
        "highest_place(canvas)",
    ),
    (
        "anything for the brightest",
        "highest_place(canvas + noise)",
        "highest_place(canvas + 300 * noise)",
    ),
    (
        "windows of six cells",
        "def window_scores(maps, evidence, bias, width=7)",
        "def window_scores(maps, evidence, bias, width=6)",
    ),
    (
        "rivals' windows of six cells",
        "def window_probabilities(maps, bias, width=7)",
        "def window_probabilities(maps, bias, width=6)",
    ),
    (
        "windows without bias",
        "window_means(maps, width) + bias",
        "window_means(maps, width)",
    ),
    (
        "evidence without probability",
        "return chances * window_means(",
        "return window_means(",
    ),
    (
        "probability without evidence",
        "return chances * window_means(evidence, width)",
        "return chances",
    ),
    (
        "windows that overlap",
        "scores, count, apart=6)",
        "scores, count, apart=3)",
    ),
    (
        "windows struck out to the right only",
        "if abs(y - row) < apart and abs(x - column) < apart:",
        "if 0 <= y - row < apart and 0 <= x - column < apart:",
    ),
    (
        "one window too many struck out",
        "if abs(y - row) < apart and",
        "if abs(y - row) <= apart and",
    ),
    (
        "a window's worst class",
        "found.append([scores[row, column].argmax(),",
        "found.append([scores[row, column].argmin(),",
    ),
    (
        "scores that are spoilt",
        "best = scores.max(axis=2)\n    found = []",
        "best = scores[..., 7]\n    found = []",
    ),
    (
        "always as many as asked",
        "if best.max() == -np.inf:",
        "if False:",
    ),
    (
        "boxes that miss each other overlap",
        "return max(0, bottom - top) * max(0, right - left)",
        "return abs(bottom - top) * abs(right - left)",
    ),
    (
        "the shared area twice",
        "area(box) + area(other) - shared",
        "area(box) + area(other)",
    ),
    (
        "the smaller box for the union",
        "area(box) + area(other) - shared",
        "min(area(box), area(other))",
    ),
    (
        "neighbours at sides only",
        "if (y, x) in unseen:",
        "if (y, x) in unseen and (y == row or x == column):",
    ),
    (
        "the smallest component",
        "if len(group) > len(largest):",
        "if len(largest) == 0 or len(group) < len(largest):",
    ),
    (
        "the last of equal components",
        "if len(group) > len(largest):",
        "if len(group) >= len(largest):",
    ),
    (
        "a threshold by half",
        "one_map > threshold * max",
        "one_map > threshold / 2 * max",
    ),
    (
        "another threshold, if not told",
        "BOX_THRESHOLD = 0.65",
        "BOX_THRESHOLD = 0.4",
    ),
    (
        "all components",
        "in largest_component(kept):",
        "in np.argwhere(kept):",
    ),
    (
        "a map below zero has a box",
        "threshold * max(0, one_map.max())",
        "threshold * 2 * one_map.max()",
    ),
    (
        "a square off its peak",
        "place[0] - side // 2, place[1] - side // 2",
        "place[0], place[1] - side // 2",
    ),
    (
        "ink of the wrong window",
        "top, left = stride * row, stride * column",
        "top, left = stride * row + 4, stride * column",
    ),
    (
        "a window of another size",
        "def window_box(row, column, width=7",
        "def window_box(row, column, width=8",
    ),
    (
        "faint pixels are ink",
        "return tight_box(tile > faint) +",
        "return tight_box(tile) +",
    ),
    (
        "ink in the window's own pixels",
        "tight_box(tile > faint) + [top, left, top, left]",
        "tight_box(tile > faint)",
    ),
    (
        "the ink of the worst window",
        "row, column = highest_place(scores)\n    ink",
        "row, column = highest_place(-scores)\n    ink",
    ),
    (
        "boxes in another order",
        "return np.array([map_box(large), square, ink])",
        "return np.array([square, map_box(large), ink])",
    ),
    (
        "another digit's box",
        'zip(scene["classes"][n], scene["boxes"][n]):',
        'zip(scene["classes"][n], scene["boxes"][n][::-1]):',
    ),
    (
        "noise is told to nobody",
        'one_scores, scene["faint"])',
        "one_scores)",
    ),
    (
        "one digit named is enough",
        "set(named) == set(classes)",
        "bool(set(named) & set(classes))",
    ),
    (
        "evidence for probability alone",
        "windows_name_all(scene, chances)",
        "windows_name_all(scene, scores)",
    ),
    (
        "the smallest logits",
        "np.argsort(logits)[-len(classes) :]",
        "np.argsort(logits)[: len(classes)]",
    ),
    (
        "windows for plain logits",
        '"named by plain logits": logits_name_all(scene, bias)',
        '"named by plain logits": windows_name_all(scene, scores)',
    ),
    (
        "raw maps for evidence",
        'evidence = smooth_maps(scene["evidence"])',
        'evidence = smooth_maps(-scene["maps"])',
    ),
    (
        "the corner for the centre",
        "canvases.shape[1] // 2)",
        "canvases.shape[1] // 4)",
    ),
    (
        "an IoU of one half is too little",
        "(overlaps[..., kind] >= 0.5)",
        "(overlaps[..., kind] > 0.5)",
    ),
    (
        "one half is too little for the picture",
        "overlap(box, true_box) >= 0.5:",
        "overlap(box, true_box) > 0.5:",
    ),
    (
        "any digit's box will do",
        "if class_index == true_class and overlap",
        "if overlap",
    ),
]
