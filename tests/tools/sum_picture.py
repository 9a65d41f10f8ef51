"""Draw the opening's sum: digit, weighted feature maps, class activation map.

`draw(functions, model, image)` returns a PNG and its numbers, those of the trained
network: five feature maps that add most, one that takes most away, all the others, the
bias, the sum. The others get what remains, so that what is printed adds up.
"""

import io


def draw(functions, model, image):
    import matplotlib.pyplot as plt
    import numpy as np

    explainer = functions.with_features(model)
    features, logits = (output[0] for output in functions.run(explainer, image[None]))
    weights, bias = model.get_layer("logits").get_weights()
    best = int(logits.argmax())
    weighted = features * weights[:, best]
    added = weighted.mean(axis=(0, 1))
    order = np.argsort(-added)
    shown = [*order[:5], order[-1]]
    cam = weighted.sum(axis=-1)
    others = cam - weighted[..., shown].sum(axis=-1)

    score, no_place = round(float(logits[best]), 2), round(float(bias[best]), 2)
    numbers = [round(float(added[k]), 2) for k in shown]
    rest = round(score - no_place - sum(numbers), 2)
    terms = [weighted[..., k] for k in shown] + [others, np.zeros(cam.shape)]
    names = [""] * 6 + [f"the {len(added) - 6} others", "bias: no place"]
    numbers += [rest, no_place]

    figure, panels = plt.subplots(2, 5, figsize=(9, 4.2))
    panels = panels.flatten()
    limit = np.abs(cam).max()
    functions.draw_image(panels[0], image, "the digit")
    for panel, term, name, number in zip(panels[1:], terms, names, numbers):
        title = f"{number:+.2f}".replace("-", "−")
        functions.draw_map(panel, image, term, limit, title)
        panel.set_xlabel(name)
    drawn = functions.draw_map(panels[9], image, cam, limit, f"= {score:.2f}")
    panels[9].set_xlabel(f"map of the {best}")
    panels[0].set_xlabel(" ")
    figure.colorbar(drawn, ax=panels, label="map value", aspect=40)
    file = io.BytesIO()
    figure.savefig(file, dpi=144, format="png")
    plt.close(figure)
    return file.getvalue(), numbers + [score]
