"""Measure speed, memory and accuracy: python tests/benchmark.py [SECTION …]

Prints the rows of Markdown tables. The sections, with what they take on two cores:

  maps      maps of all test images, two ways, beside the forward pass (a minute)
  training  the notebook's training beside the article's steps (five minutes)
  notebook  the headless run: its time, its memory (five)
  page      the live page: its size, its time a stroke (a minute)
  recipes   accuracy and maps: the recipe, variants, the article's (fifteen minutes)
  article   the article's 10,000 steps in full, with both heads (half an hour)
  sweeps    what part 7 chose, on held-out canvases (ten)
  seeds     the default run for five seeds (a quarter of an hour)

All but `article` run if none is named. The test images are read by `seeds` alone; every
other accuracy is on the 5,000 images held out.
"""

import contextlib
import datetime
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from conftest import (
    explainer_of,
    load_functions,
    load_mnist,
    read_notebook,
    reported,
    run_notebook,
)
from sweep_search import sweep
from test_doubt import shares_of

SEEDS = (1, 2, 3, 4, 5)  # fixed before any of them was run
TRIALS = 1  # trainings of each recipe, of which the means are given

DROPOUT = "model.add(layers.Dropout(dropout, noise_shape=one_for_all_maps))"
NORMALISED = [
    (
        f"model.add(convolution({filters}))",
        f"""layer = convolution({filters})
    layer.activation, layer.use_bias = keras.activations.linear, False
    model.add(layer)
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.ReLU())""",
    )
    for filters in (32, 128)
]
LOSS = "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
SMOOTH = """loss=lambda labels, logits: keras.losses.categorical_crossentropy(
            keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), 10),
            logits,
            from_logits=True,
            label_smoothing=0.1,
        )"""
FLATTEN = [
    ("keras.Input((None, None, 1))", "keras.Input((28, 28, 1))"),
    (
        'layers.GlobalAveragePooling2D(name="pooling")',
        'layers.Flatten(name="pooling")',
    ),
]

# what differs from the notebook's recipe, and what stands in its code instead
VARIANTS = {
    "the notebook's recipe": [],
    "without dropout of cells": [(DROPOUT, "pass")],
    "with label smoothing 0.1": [(LOSS, SMOOTH)],
    "with batch normalisation": NORMALISED,
    "start: normal, deviation 1": [
        ('"he_normal"', "keras.initializers.RandomNormal(stddev=1)")
    ],
    "beta_2 at its default, 0.999": [(", beta_2=0.98", "")],
    "constant rate 0.001": [
        ("keras.optimizers.Adam(rate,", "keras.optimizers.Adam(1e-3,")
    ],
    "Flatten in place of GAP": FLATTEN,
}


def row(*values):
    print("| " + " | ".join(map(str, values)) + " |", flush=True)


def tell(text):
    """Show progress on the terminal, apart from the table."""
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def seconds(action, repeats=3):
    """The median time of action, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def parameters():
    """The values of the notebook's parameters cell."""
    tagged = [
        c for c in read_notebook().cells if "parameters" in c.metadata.get("tags", [])
    ]
    values = {}
    exec(tagged[0].source, values)
    return values


def split():
    """Training and held-out images with their labels, as in the notebook."""
    mnist = load_mnist()
    images, labels = mnist["x_train"], mnist["y_train"]
    return (images[:55_000], labels[:55_000]), (images[55_000:], labels[55_000:])


def measure_maps():
    """Maps of all ten classes of all test images, two ways, and the forward pass."""
    functions, images = load_functions(), load_mnist()["x_test"]
    tf, model = functions.tf, functions.build_model(parameters()["DROPOUT"])
    explainer = explainer_of(model)
    features, _ = functions.run(explainer, images)
    weights = model.get_layer("logits").get_weights()[0]
    parts = [features[i : i + 250] for i in range(0, len(features), 250)]

    def weight_first():
        for part in parts:
            tf.image.resize(functions.class_activation_maps(part, weights), (28, 28))

    def resize_first():
        for part in parts:
            tf.tensordot(tf.image.resize(part, (28, 28)), weights, axes=1)

    forward = seconds(lambda: functions.run(explainer, images))
    small = seconds(lambda: functions.class_activation_maps(features, weights))
    fast, slow = seconds(weight_first), seconds(resize_first)
    row("forward pass of 10,000 images", f"{forward:.2f} s")
    share = f"{small / forward:.1%} of the forward pass"
    row("their 7×7 maps, all classes", f"{small:.3f} s, {share}")
    row("28×28 maps, weight then resize", f"{fast:.2f} s")
    row("28×28 maps, resize then weight", f"{slow:.2f} s, {slow / fast:.1f} times that")


def article_model(keras, head):
    """The article's network: its layers, its start, its optimiser."""
    normal = keras.initializers.RandomNormal(stddev=1)
    start = {"kernel_initializer": normal, "bias_initializer": normal}
    conv = {"padding": "same", "activation": "relu", **start}
    heads = {
        "GAP": keras.layers.GlobalAveragePooling2D,
        "Flatten": keras.layers.Flatten,
    }
    layers = [
        keras.Input((28, 28, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(32, 5, **conv),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(128, 5, **conv),
        keras.layers.MaxPooling2D(2),
        heads[head](),
        keras.layers.Dense(10, **start),
    ]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
    return model


def article_seconds(functions, steps=40):
    """The time of the article's 10,000 steps, projected from some of them."""
    (images, labels), _ = split()
    model = article_model(functions.keras, "GAP")
    batch = [functions.tf.constant(part[:128]) for part in (images[..., None], labels)]
    return 10_000 * seconds(lambda: model.train_on_batch(*batch), steps)


def train(functions, seed=1, epochs=None, watched=5_000):
    """Train as the notebook does; return the network and its held-out accuracies.

    watched: how many of the held-out images are looked at; the notebook's are 500.
    """
    chosen, (training, held_out) = parameters(), split()
    held_out = held_out[0][:watched], held_out[1][:watched]
    recipe = chosen["BATCH_SIZE"], chosen["PEAK_LEARNING_RATE"]
    epochs = epochs or chosen["EPOCHS"]
    functions.tf.config.experimental.enable_op_determinism()
    functions.keras.utils.set_random_seed(seed)
    model = functions.build_model(chosen["DROPOUT"])
    with contextlib.redirect_stdout(sys.stderr):  # its progress is no part of the table
        history = functions.train(model, *training, held_out, epochs, *recipe, seed)
    return model, history["val_accuracy"]


def measure_training(rounds=3):
    """The notebook's training against the article's 10,000 steps, side by side.

    The median of rounds: the training, unlike the steps, is slower at times.
    """
    functions, trainings, shares = load_functions(), [], []
    steps = [article_seconds(functions)]
    for _ in range(rounds):
        start = time.perf_counter()
        train(functions, watched=500)
        trainings.append(time.perf_counter() - start)
        steps.append(article_seconds(functions))
        shares.append(trainings[-1] / statistics.mean(steps[-2:]))
        tell(f"{trainings[-1]:.1f} s, {shares[-1]:.4f} of the article's")
    row("the article's 10,000 steps, projected", f"{statistics.median(steps):.0f} s")
    share = f"{statistics.median(shares):.3f} of that"
    row("the notebook's training", f"{statistics.median(trainings):.0f} s, {share}")


def measure_notebook():
    """Time and peak resident memory of a headless run."""
    article = article_seconds(load_functions())
    with tempfile.TemporaryDirectory() as folder:
        run = run_notebook(Path(folder), probe=None, watch_figures=False)
    if run.process.returncode:
        sys.exit(run.process.stderr[-2000:])
    share = (
        f"{run.seconds / article:.2f} of the article's 10,000 steps ({article:.0f} s)"
    )
    row("headless run of the notebook", f"{run.seconds:.0f} s, {share}")
    row("peak memory, all processes", f"{run.peak / 1e9:.2f} GB")


def measure_page():
    """The live page of the stored outputs: its size, its time a stroke."""
    import test_live_page as live_page

    html = live_page.live_html(read_notebook())
    row("the live page in the file", f"{len(html) / 1000:.0f} kB")
    with tempfile.TemporaryDirectory() as folder, live_page.open_browser() as browser:
        path = live_page.save_as_html(read_notebook(), Path(folder))
        with live_page.offline(browser) as context:
            _, live = live_page.open_live(context, path)
            for size in (28, 64):
                taken = live_page.milliseconds_a_stroke(live, size)
                row(f"the live page's time a stroke, {size}×{size}", f"{taken:.1f} ms")


def measure_sweeps():
    """What part 7 chose, on canvases of held-out digits."""
    functions = load_functions()
    model, _ = train(functions, parameters()["SEED"])
    weights, bias = model.get_layer("logits").get_weights()
    sweep(functions, explainer_of(model), weights, bias, *split()[1])


def map_figures(functions, model, seed):
    """Pointing, naming and the map's boxes on 300 canvases of held-out digits.

    The threshold is the notebook's, frozen.
    """
    np = functions.np
    canvases, classes, boxes = functions.make_canvases(*split()[1], 300, seed)
    weights, bias = model.get_layer("logits").get_weights()
    maps, evidence = functions.search(explainer_of(model), canvases, weights)
    scene = {"canvases": canvases, "classes": classes, "boxes": boxes, "faint": 0}
    scene |= {"maps": maps, "evidence": evidence}
    scores = functions.window_scores(maps, evidence, bias)
    pointed = functions.measure_pointing(scene, seed)["evidence of the class"]
    named = functions.measure_naming(scene, scores, bias)["named by windows"]
    boxed = functions.measure_boxes(scene, scores)[..., 0] >= 0.5
    return np.mean(pointed), np.mean(named), np.mean(boxed)


def measure_recipes():
    """Held-out accuracy against images seen, and what the maps are good for.

    The means of TRIALS trainings; the article's recipe is trained once.
    """
    row("recipe", "accuracy after each pass", "pointing", "both named", "boxes")
    row(*["---"] * 5)
    trials = [(name, changes, None) for name, changes in VARIANTS.items()]
    trials += [("one pass in all", [], 1), ("three passes in all", [], 3)]
    for name, changes, epochs in trials:
        tell(name)
        functions, accuracies, figures = load_functions(changes), [], []
        for seed in SEEDS[:TRIALS]:
            model, accuracy = train(functions, seed, epochs)
            accuracies.append(accuracy[4::5])  # there are five looks a pass
            if "Flatten" not in name:
                figures.append(map_figures(functions, model, seed))
            tell(f"seed {seed}: {accuracies[-1]} {figures[-1:]}")
        accuracies = ", ".join(f"{statistics.mean(x):.2%}" for x in zip(*accuracies))
        figures = [f"{statistics.mean(x):.1%}" for x in zip(*figures)] or ["–"] * 3
        row(name, accuracies, *figures)
    for head in ("GAP", "Flatten"):
        tell(f"article, {head}")
        passes = fit_article(head, [430, 860])
        passes = ", ".join(f"{x:.2%}" for x in passes)
        row(f"the article's recipe, {head}", passes, *["–"] * 3)


def fit_article(head, stops):
    """Held-out accuracies of the article's recipe after so many steps of 128 images."""
    functions, ((images, labels), held_out) = load_functions(), split()
    functions.keras.utils.set_random_seed(SEEDS[0])
    data = functions.tf.data.Dataset.from_tensor_slices((images[..., None], labels))
    data = (batch for batch in data.shuffle(len(images), SEEDS[0]).repeat().batch(128))
    model, done, accuracies = article_model(functions.keras, head), 0, []
    for stop in stops:
        model.fit(data, steps_per_epoch=stop - done, verbose=0, shuffle=False)
        done = stop
        right = functions.run(model, held_out[0]).argmax(axis=1) == held_out[1]
        accuracies.append(right.mean())
        tell(f"{head}, step {stop}: {right.mean():.2%}")
    return accuracies


def measure_article():
    """The article's training in full: does GAP make it slow and less accurate?"""
    stops = [430, 860, 2_000, 5_000, 10_000]
    row("the article's recipe, steps", *stops)
    row(*["---"] * 6)
    for head in ("GAP", "Flatten"):
        row(head, *(f"{x:.2%}" for x in fit_article(head, stops)))


def measure_seeds():
    """The figures of the default run for five seeds, on the test images."""
    found = {}
    for seed in SEEDS:
        tell(f"seed {seed}")
        with tempfile.TemporaryDirectory() as folder:
            run = run_notebook(Path(folder), {"SEED": seed}, probe=None)
        if run.process.returncode:
            sys.exit(run.process.stderr[-2000:])
        figures = {name: mean for name, (mean, _) in reported(run.notebook).items()}
        figures |= {name: s[0] for name, s in shares_of(run.notebook).items()}
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    row(f"seeds {', '.join(map(str, SEEDS))}", "median", "lowest", "highest", "each")
    row(*["---"] * 5)
    for name, values in found.items():
        middle = statistics.median(values), min(values), max(values)
        each = ", ".join(f"{value:.2%}" for value in values)
        row(name, *(f"{value:.2%}" for value in middle), each)


if __name__ == "__main__":
    sections = ("maps", "training", "notebook", "page", "recipes", "sweeps", "seeds")
    sections += ("article",)
    chosen = sys.argv[1:] or sections[:-1]
    if unknown := set(chosen) - set(sections):
        sys.exit(f"no section {', '.join(unknown)}: choose of {', '.join(sections)}")
    tell(f"{psutil.cpu_count()} processors, {datetime.date.today()}")
    for section in chosen:
        tell(section)
        globals()[f"measure_{section}"]()
