"""Draw the network as a row of pictures, for the notebook's part 1.

`draw(functions, model, image)` returns a PNG. All that it shows is the trained
network's own: the digit, some of its maps, means, logits, the class activation map.
"""

import io

WIDTH, HEIGHT = 9, 4.4  # inches
ROW = 0.60  # where the row of pictures stands; x, y and sizes are shares of the figure


def square(figure, image, left, bottom, size):
    """Add an image, or an empty place for one, as a square."""
    panel = figure.add_axes([left, bottom, size, size * WIDTH / HEIGHT])
    panel.set(xticks=[], yticks=[])
    if image is not None:
        panel.imshow(image, cmap="gray_r")
    return panel


def deck(figure, maps, left, bottom, size):
    """Draw maps (h, w, n) as a deck of cards, the first in front."""
    for place in reversed(range(maps.shape[-1])):
        right, up = place * 0.011, place * 0.011 * WIDTH / HEIGHT
        square(figure, maps[..., place], left + right, bottom + up, size)


def arrow(figure, start, end, words="", bend=0):
    """Draw an arrow between two points of the figure, with words above its middle."""
    from matplotlib.patches import FancyArrowPatch

    how = {"arrowstyle": "-|>", "mutation_scale": 14, "lw": 1.6, "color": "0.25"}
    how["connectionstyle"] = f"arc3,rad={bend}"
    figure.add_artist(FancyArrowPatch(start, end, **how))
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.025
    figure.text(x, y, words, ha="center", va="bottom", size=9.5)


def draw(functions, model, image):
    """Return the picture as a PNG; image (28, 28) is the digit that it follows."""
    import matplotlib.pyplot as plt
    import numpy as np

    pools = [layer for layer in model.layers if "Pooling2D" in type(layer).__name__]
    outputs = [pools[0].output, pools[1].output, model.outputs[0]]
    network = functions.keras.Model(model.inputs, outputs)
    first, maps, logits = (one[0] for one in functions.run(network, image[None]))
    weights, _ = model.get_layer("logits").get_weights()
    best = int(np.argmax(logits))
    means = maps.mean(axis=(0, 1))
    cam = functions.class_activation_maps(maps, weights)[..., best]

    figure = plt.figure(figsize=(WIDTH, HEIGHT), layout="none")
    square(figure, image, 0.012, ROW - 0.02, 0.13)
    strongest = np.argsort(-first.mean(axis=(0, 1)))[:4]
    deck(figure, first[..., strongest], 0.225, ROW, 0.085)
    order = np.argsort(-weights[:, best] * means)[:4]
    deck(figure, maps[..., order], 0.445, ROW + 0.02, 0.07)
    panel = figure.add_axes([0.665, ROW - 0.06, 0.028, 0.32])
    panel.imshow(means[:, None], cmap="gray_r", aspect="auto")
    panel.set(xticks=[], yticks=[])
    panel = figure.add_axes([0.845, ROW - 0.08, 0.14, 0.36], frameon=False)
    colours = ["#b2182b" if c == best else "0.6" for c in range(10)]
    panel.barh(range(10), logits, color=colours)
    panel.axvline(0, color="0.3", lw=0.8)
    panel.set(yticks=range(10), xticks=[])
    panel.invert_yaxis()
    panel.tick_params(labelsize=8, length=0)
    for x, words in (
        (0.077, "image\n28×28×1"),
        (0.285, "32 maps\n14×14×32"),
        (0.495, "feature maps F\n7×7×128"),
        (0.679, "means\n128"),
        (0.915, "logits\n10"),
    ):
        figure.text(x, 0.94, words, ha="center", va="center", size=10.5)

    level = ROW + 0.11
    arrow(figure, (0.147, level), (0.218, level), "convolve\nReLU, pool")
    arrow(figure, (0.352, level), (0.437, level), "convolve\nReLU, pool")
    arrow(figure, (0.56, level), (0.655, level), "average\n(GAP)")
    arrow(figure, (0.70, level), (0.825, level), "× W, + b\n(dense layer)")
    arrow(figure, (0.505, ROW - 0.01), (0.505, 0.385))
    arrow(figure, (0.59, 0.22), (0.965, ROW + 0.085), bend=0.42)  # to its bar

    panel = square(figure, None, 0.43, 0.07, 0.15)
    functions.draw_map(panel, image, cam, np.abs(cam).max())
    name = f"class activation map\nof the {best}: 7×7,\ndrawn at 28×28"
    figure.text(0.415, 0.22, name, ha="right", va="center", size=9.5)
    figure.text(0.515, 0.49, "× W, summed", ha="left", va="center", size=9.5)
    told = "its mean, + b:\nthe same logit"
    figure.text(0.78, 0.2, told, ha="center", va="top", size=9.5)

    file = io.BytesIO()
    figure.savefig(file, dpi=144, format="png")
    plt.close(figure)
    return file.getvalue()
