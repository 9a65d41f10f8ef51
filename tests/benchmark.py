"""Measure speed, memory and accuracy: python tests/benchmark.py [--anew] [SECTION …]

The sections, with what they take on two cores:

  maps      maps of all test images, two ways, beside the forward pass (a minute)
  training  the notebook's training beside the article's steps (ten minutes)
  notebook  the headless run: its time, its memory (five)
  page      the live page: its size, its time a stroke (a minute)
  pictures  one's own picture under many conditions (five)
  sweeps    what part 7 chose, on held-out canvases (ten)
  seeds     the default run for five seeds (half an hour)
  recipes   accuracy and maps: the recipe and variants (an hour or more)
  article   the article's 10,000 steps in full, with both heads (an hour or more)

All run if none is named. Each piece that is done stands at once in tests/measured/,
with machine and date, so an interruption costs one piece: run the section again, and
what the same code has measured already is kept, unless --anew is given. tables.py makes
the README's tables of it. The test images are read by `seeds` and `pictures` alone;
every other accuracy is on the 5,000 images held out.
"""

import datetime
import json
import platform
import re
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from conftest import (
    digest_of_code,
    load_functions,
    load_mnist,
    read_notebook,
    reported,
    run_notebook,
    shares_of,
)
from sweep_search import sweep

MEASURED = Path(__file__).resolve().parent / "measured"
SEEDS = (1, 2, 3, 4, 5)  # fixed before any of them was run
TRIALS = SEEDS[:3]  # of each recipe

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
    "the notebook's: two passes, cells hidden, Adam": [],
    "no cells hidden while it trains": [(DROPOUT, "pass")],
    "label smoothing 0.1": [(LOSS, SMOOTH)],
    "batch normalisation": NORMALISED,
    "weights start from N(0, 1)": [
        ('"he_normal"', "keras.initializers.RandomNormal(stddev=1)")
    ],
    "Adam's beta_2 at 0.999, not 0.98": [(", beta_2=0.98", "")],
    "constant learning rate, 0.001": [
        ("keras.optimizers.Adam(rate,", "keras.optimizers.Adam(1e-3,")
    ],
    "Flatten in place of GAP; maps not measured": FLATTEN,
}
# the same recipe with other passes over the images
PASSES = {"one pass over the images": 1, "three passes": 3}


def tell(text):
    """Show progress on the terminal."""
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


def machine():
    """What the figures were measured on, in words."""
    gigabytes = round(psutil.virtual_memory().total / 2**30)
    name, listed = platform.machine(), Path("/proc/cpuinfo")
    if listed.exists():  # Linux tells the processor's name
        told = re.search(r"model name\s*: (.+)", listed.read_text())
        name = told.group(1).strip() if told else name
    return f"{psutil.cpu_count()} CPUs, {name}, {gigabytes} GB, {platform.system()}"


def packages():
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}
    found = [f"{words} {version(name)}" for name, words in names.items()]
    return ", ".join([f"Python {platform.python_version()}", *found])


def measured(section):
    """The pieces of a section that were measured: name -> piece."""
    path = MEASURED / f"{section}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def piece(section, name, measure):
    """Measure one piece and write it down, if the same code has not done so before."""
    pieces, code = measured(section), digest_of_code(read_notebook())[:12]
    if "--anew" not in sys.argv and pieces.get(name, {}).get("code") == code:
        tell(f"{section}, {name}: kept")
        return
    tell(f"{section}, {name}")
    begin = time.perf_counter()
    found = measure()
    pieces[name] = {
        "date": str(datetime.date.today()),
        "machine": machine(),
        "packages": packages(),
        "code": code,  # the notebook's digest of code
        "seconds": round(time.perf_counter() - begin),
        "found": found,
    }
    MEASURED.mkdir(exist_ok=True)
    text = json.dumps(pieces, indent=1, ensure_ascii=False)
    (MEASURED / f"{section}.json").write_text(text + "\n", encoding="utf-8")
    tell(json.dumps(found)[:300])


def measure_maps():
    """Maps of all ten classes of all test images, two ways, and the forward pass."""
    functions, images = load_functions(), load_mnist()["x_test"]
    tf, model = functions.tf, functions.build_model(parameters()["DROPOUT"])
    explainer = functions.with_features(model)
    features, _ = functions.run(explainer, images)
    weights = model.get_layer("logits").get_weights()[0]
    parts = [features[i : i + 250] for i in range(0, len(features), 250)]

    def weight_first():
        for part in parts:
            tf.image.resize(functions.class_activation_maps(part, weights), (28, 28))

    def resize_first():
        for part in parts:
            tf.tensordot(tf.image.resize(part, (28, 28)), weights, axes=1)

    def both():
        return {
            "forward": seconds(lambda: functions.run(explainer, images)),
            "7×7": seconds(lambda: functions.class_activation_maps(features, weights)),
            "weight first": seconds(weight_first),
            "resize first": seconds(resize_first),
        }

    piece("maps", "seconds", both)


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
    history = functions.train(model, *training, held_out, epochs, *recipe, seed)
    return model, history["val_accuracy"]


def measure_training(rounds=3):
    """The notebook's training against the article's 10,000 steps, side by side."""
    functions = load_functions()

    def one_round():
        before = article_seconds(functions)
        start = time.perf_counter()
        train(functions, watched=500)
        training = time.perf_counter() - start
        return {"training": training, "steps": [before, article_seconds(functions)]}

    for number in range(1, rounds + 1):
        piece("training", f"round {number}", one_round)


def measure_notebook():
    """Time and peak resident memory of a headless run."""

    def headless():
        functions = load_functions()
        before = article_seconds(functions)
        with tempfile.TemporaryDirectory() as folder:
            run = run_notebook(Path(folder), probe=None, watch_figures=False)
        if run.process.returncode:
            sys.exit(run.process.stderr[-2000:])
        steps = [before, article_seconds(functions)]
        return {"seconds": run.seconds, "steps": steps, "peak": run.peak}

    piece("notebook", "run", headless)


def measure_page(openings=5):
    """The live page of the stored outputs: its size, its time a stroke.

    The time is the median over pages opened anew: browsers are now fast, now slow.
    """
    import test_live_page as live_page

    def strokes():
        found = {"bytes": len(live_page.live_html(read_notebook()))}
        times = {28: [], 64: []}
        with tempfile.TemporaryDirectory() as folder, live_page.open_browser() as one:
            path = live_page.save_as_html(read_notebook(), Path(folder))
            for _ in range(openings):
                with live_page.offline(one) as context:
                    _, live = live_page.open_live(context, path)
                    for size, some in times.items():
                        some.append(live_page.milliseconds_a_stroke(live, size))
        tell(times)
        return found | {size: statistics.median(some) for size, some in times.items()}

    piece("page", "stroke", strokes)


def measure_pictures():
    """Own pictures, made of test digits: the share that is right."""
    import test_explain as own

    def conditions():
        functions, mnist = load_functions(), load_mnist()
        model, _ = train(functions, parameters()["SEED"], watched=500)
        images, labels = mnist["x_test"], mnist["y_test"]
        found = {}
        for name, make in own.CONDITIONS.items():
            random = np.random.default_rng(11)
            pictures = [make(digit, random) for digit in images[:200]]
            right = own.share_right(functions, model, pictures, labels[:200])
            found[name] = float(right)
        found["all 10,000, as they are"] = float(
            own.share_right(functions, model, images, labels)
        )
        return found

    piece("pictures", "conditions", conditions)


def measure_sweeps():
    """What part 7 chose, on canvases of held-out digits."""

    def all_sweeps():
        functions = load_functions()
        model, _ = train(functions, parameters()["SEED"], watched=500)
        weights, bias = model.get_layer("logits").get_weights()
        return sweep(
            functions, functions.with_features(model), weights, bias, *split()[1]
        )

    piece("sweeps", "held-out canvases", all_sweeps)


def map_figures(functions, model, seed):
    """Pointing, naming and the map's boxes on 300 canvases of held-out digits.

    The threshold is the notebook's, frozen.
    """
    canvases, classes, boxes = functions.make_canvases(*split()[1], 300, seed)
    weights, bias = model.get_layer("logits").get_weights()
    maps, evidence = functions.search(functions.with_features(model), canvases, weights)
    scene = {"canvases": canvases, "classes": classes, "boxes": boxes, "faint": 0}
    scene |= {"maps": maps, "evidence": evidence}
    scores = functions.window_scores(maps, evidence, bias)
    pointed = functions.measure_pointing(scene, seed)["evidence of the class"]
    named = functions.windows_name_all(scene, scores)
    boxed = functions.measure_boxes(scene, scores)[..., 0] >= 0.5
    return [float(np.mean(some)) for some in (pointed, named, boxed)]


def measure_recipes():
    """Held-out accuracy against images seen, and what the maps are good for."""
    trials = [(name, changes, None) for name, changes in VARIANTS.items()]
    trials += [(name, [], epochs) for name, epochs in PASSES.items()]
    for seed in TRIALS:
        for name, changes, epochs in trials:

            def one_training(name=name, changes=changes, epochs=epochs, seed=seed):
                functions = load_functions(changes)
                model, accuracy = train(functions, seed, epochs)
                found = {"after each pass": accuracy[4::5]}  # five looks a pass
                if "Flatten" not in name:
                    found["maps"] = map_figures(functions, model, seed)
                return found

            piece("recipes", f"{name}, seed {seed}", one_training)


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
    return [float(x) for x in accuracies]


def measure_article():
    """The article's training in full: does GAP make it slow and less accurate?"""
    stops = [430, 860, 2_000, 5_000, 10_000]  # the first two: after each pass
    for head in ("GAP", "Flatten"):
        piece(
            "article",
            head,
            lambda head=head: dict(zip(map(str, stops), fit_article(head, stops))),
        )


def measure_seeds():
    """The figures of the default run for five seeds, on the test images."""

    def default_run(seed):
        with tempfile.TemporaryDirectory() as folder:
            run = run_notebook(Path(folder), {"SEED": seed}, probe=None)
        if run.process.returncode:
            sys.exit(run.process.stderr[-2000:])
        found = {name: mean for name, (mean, _) in reported(run.notebook).items()}
        return found | {n: share for n, (share, *_) in shares_of(run.notebook).items()}

    for seed in SEEDS:
        piece("seeds", str(seed), lambda seed=seed: default_run(seed))


SECTIONS = {
    "maps": measure_maps,
    "training": measure_training,
    "notebook": measure_notebook,
    "page": measure_page,
    "pictures": measure_pictures,
    "sweeps": measure_sweeps,
    "seeds": measure_seeds,
    "recipes": measure_recipes,
    "article": measure_article,
}

if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:] if word != "--anew"] or SECTIONS
    if unknown := set(chosen) - set(SECTIONS):
        sys.exit(f"no section {', '.join(unknown)}: choose of {', '.join(SECTIONS)}")
    for section in chosen:
        SECTIONS[section]()
