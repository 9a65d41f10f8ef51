"""Measure speed, memory and accuracy: python tests/benchmark.py [SECTION …]

Sections: maps (about a minute), training (three), notebook (five), seeds (twenty). All
of them if none is named. Prints the rows of a Markdown table.
"""

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from conftest import load_functions, load_mnist, run_notebook

SEEDS = (1, 2, 3, 4, 5)  # fixed before any of them was run


def row(name, value):
    print(f"| {name} | {value} |", flush=True)


def seconds(action, repeats=3):
    """The median time of action, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def measure_maps():
    """Maps of all ten classes of all test images, two ways, and the forward pass."""
    functions, images = load_functions(), load_mnist()["x_test"]
    tf, keras = functions.tf, functions.keras
    model = functions.build_model()
    tapped = keras.Model(model.input, model.get_layer("feature_maps").output)
    features = functions.run(tapped, images)
    weights = model.get_layer("logits").get_weights()[0]
    parts = [features[i : i + 250] for i in range(0, len(features), 250)]

    def weight_first():
        for part in parts:
            tf.image.resize(functions.class_activation_maps(part, weights), (28, 28))

    def resize_first():
        for part in parts:
            tf.tensordot(tf.image.resize(part, (28, 28)), weights, axes=1)

    forward = seconds(lambda: functions.run(tapped, images))
    small = seconds(lambda: functions.class_activation_maps(features, weights))
    fast, slow = seconds(weight_first), seconds(resize_first)
    row("forward pass, 10,000 images", f"{forward:.2f} s")
    row("7×7 maps of all classes", f"{small:.3f} s, {small / forward:.1%} of that")
    row("28×28 maps, weight then resize", f"{fast:.2f} s")
    row("28×28 maps, resize then weight", f"{slow:.2f} s, {slow / fast:.1f} times that")


def article_step(functions, images, labels):
    """One training step of the article's network: its layers, start and optimiser."""
    tf, keras = functions.tf, functions.keras
    normal = keras.initializers.RandomNormal(stddev=1)
    start = {"kernel_initializer": normal, "bias_initializer": normal}
    conv = {"padding": "same", "activation": "relu", **start}
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 5, **conv),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(128, 5, **conv),
            keras.layers.MaxPooling2D(2),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, **start),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss)
    batch = tf.constant(images[:128, ..., None]), tf.constant(labels[:128])
    return lambda: model.train_on_batch(*batch)


def measure_training():
    """The notebook's training against the article's 10,000 steps, in one process."""
    functions, mnist = load_functions(), load_mnist()
    images, labels = mnist["x_train"][:55_000], mnist["y_train"][:55_000]
    step = article_step(functions, images, labels)
    before = seconds(step, repeats=60)
    held_out = mnist["x_train"][55_000:56_000], mnist["y_train"][55_000:56_000]
    progress = functions.Progress(*held_out)
    start = time.perf_counter()
    functions.train(images, labels, progress, 1, 2, 64, 0.02)
    ours = time.perf_counter() - start
    article = 10_000 * (before + seconds(step, repeats=60)) / 2
    row("article's 10,000 steps, projected", f"{article:.0f} s")
    row("notebook's training", f"{ours:.0f} s, {ours / article:.3f} of that")


def measure_notebook():
    """Wall clock and peak resident memory of a headless run, all processes together."""
    peak, done = [0], threading.Event()

    def watch():
        me = psutil.Process()
        while not done.wait(0.2):
            total = 0
            for child in me.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = run_notebook(Path(folder), probe=None)
    wall = time.perf_counter() - start
    done.set()
    watcher.join()
    if run.process.returncode:
        sys.exit(run.process.stderr[-2000:])
    row(
        "headless run of the notebook",
        f"{wall:.0f} s, {peak[0] / 1e9:.2f} GB at its peak",
    )


def measure_seeds():
    """The figures of the default run for five seeds."""
    found = {}
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            left = run_notebook(Path(folder), {"SEED": seed}).left
        found.setdefault("test accuracy", []).append(left["accuracy"])
        for part in ("deletion", "pointing", "naming", "boxes"):
            for name, value in left[part].items():
                middle = sum(value) / 2 if isinstance(value, list) else value
                found.setdefault(f"{part}: {name.replace('|', ', ')}", []).append(
                    middle
                )
        print(f"seed {seed} done: {left['accuracy']:.2%}", flush=True)
    for name, values in found.items():
        each = ", ".join(f"{value:.1%}" for value in values)
        row(
            f"{name}, seeds {SEEDS}",
            f"median {statistics.median(values):.2%} of {each}",
        )


if __name__ == "__main__":
    sections = ("maps", "training", "notebook", "seeds")
    chosen = sys.argv[1:] or sections
    if unknown := set(chosen) - set(sections):
        sys.exit(f"no section {', '.join(unknown)}: choose of {', '.join(sections)}")
    row("processors", psutil.cpu_count())
    for section in chosen:
        globals()[f"measure_{section}"]()
