"""Draw the network as a row of pictures, for the notebook's part 1.

`draw(functions, model, image)` returns a PNG. All that it shows is the trained
network's own: the digit, some of its maps, means, logits, the class activation map.
"""

import io


def deck(figure, images, left, bottom, size, step, aspect):
    """Draw images as a deck of cards, the first in front."""
    axes = []
    for place in reversed(range(len(images))):
        corner = left + place * step, bottom + place * step * aspect
        axis = figure.add_axes([*corner, size, size * aspect])
        axis.imshow(images[place], cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axes.append(axis)
    return axes[-1]


def arrow(figure, start, end, words, above=True, bend=0):
    """Draw an arrow between two points of the figure, with words at its middle."""
    from matplotlib.patches import FancyArrowPatch

    figure.add_artist(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=14,
            lw=1.6,
            color="0.25",
            connectionstyle=f"arc3,rad={bend}",
        )
    )
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    figure.text(
        middle[0],
        middle[1] + (0.025 if above else -0.025),
        words,
        ha="center",
        va="bottom" if above else "top",
        size=9.5,
    )


def draw(functions, model, image):
    """Return the picture as a PNG; image (28, 28) is the digit that it follows."""
    import matplotlib.pyplot as plt
    import numpy as np

    pools = [layer for layer in model.layers if "Pooling2D" in type(layer).__name__]
    outputs = [pools[0].output, pools[1].output, model.outputs[0]]
    first, maps, logits = functions.run(
        functions.keras.Model(model.inputs, outputs), image[None]
    )
    first, maps, logits = first[0], maps[0], logits[0]
    weights, bias = model.get_layer("logits").get_weights()
    best = int(np.argmax(logits))
    means = maps.mean(axis=(0, 1))
    cam = functions.class_activation_maps(maps, weights)[..., best]

    width, height = 9, 4.4
    aspect = width / height
    figure = plt.figure(figsize=(width, height), layout="none")
    row = 0.60

    def title(x, words, y=0.94):
        figure.text(x, y, words, ha="center", va="center", size=10.5)

    axis = deck(figure, [image], 0.012, row - 0.02, 0.13, 0, aspect)
    title(0.077, "image\n28×28×1")

    strongest = np.argsort(-first.mean(axis=(0, 1)))[:4]
    deck(figure, [first[..., k] for k in strongest], 0.225, row, 0.085, 0.011, aspect)
    title(0.285, "32 maps\n14×14×32")

    order = np.argsort(-weights[:, best] * means)[:4]
    deck(figure, [maps[..., k] for k in order], 0.445, row + 0.02, 0.07, 0.011, aspect)
    title(0.495, "feature maps F\n7×7×128")

    axis = figure.add_axes([0.665, row - 0.06, 0.028, 0.32])
    axis.imshow(means[:, None], cmap="gray_r", aspect="auto")
    axis.set(xticks=[], yticks=[])
    title(0.679, "means\n128")

    axis = figure.add_axes([0.845, row - 0.08, 0.14, 0.36])
    colours = ["#b2182b" if c == best else "0.6" for c in range(10)]
    axis.barh(range(10), logits, color=colours)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set(yticks=range(10), xticks=[])
    axis.invert_yaxis()
    axis.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "bottom", "left"):
        axis.spines[side].set_visible(False)
    title(0.915, "logits\n10")

    level = row + 0.11
    arrow(figure, (0.147, level), (0.218, level), "convolve\nReLU, pool")
    arrow(figure, (0.352, level), (0.437, level), "convolve\nReLU, pool")
    arrow(figure, (0.56, level), (0.655, level), "average\n(GAP)")
    arrow(figure, (0.70, level), (0.825, level), "× W, + b\n(dense layer)")

    axis = figure.add_axes([0.43, 0.07, 0.15, 0.15 * aspect])
    limit = np.abs(cam).max()
    functions.draw_map(axis, image, cam, limit)
    figure.text(
        0.415,
        0.22,
        f"class activation map\nof the {best}: 7×7,\ndrawn at 28×28",
        ha="right",
        va="center",
        size=9.5,
    )
    arrow(figure, (0.505, row - 0.01), (0.505, 0.385), "")
    figure.text(0.515, 0.49, "× W, summed", ha="left", va="center", size=9.5)
    arrow(figure, (0.59, 0.22), (0.965, row + 0.085), "", bend=0.42)  # to its bar
    figure.text(
        0.78, 0.2, "its mean, + b:\nthe same logit", ha="center", va="top", size=9.5
    )

    file = io.BytesIO()
    figure.savefig(file, dpi=144, format="png")
    plt.close(figure)
    return file.getvalue()
