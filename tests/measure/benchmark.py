"""Measure: python tests/measure/benchmark.py [--anew] [SECTION …]

  seeds     the notebook with five other seeds, and what else its text says (an hour)
  threads   two seeds on one thread: other networks, as on another machine (an hour)
  speed     the whole notebook, its training, the article's steps, memory (ten minutes)
  page      the live page: its size, its time a stroke (a minute)

All run if none is named. Each piece that is done stands at once in measured/, with its
machine and date, so an interruption costs one piece: run the section again; what the
same code has measured already is kept, unless --anew is given. tests/tools/tables.py
makes .github/MEASURED.md of it. `recipes`, `article`, `sweeps` there were measured by
the second edition's benchmark; its training had the same recipe.
"""

import datetime
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import nbformat
import psutil

import lesson

HERE = Path(__file__).resolve().parent
SEEDS = (1, 2, 3, 4, 5)  # fixed before any of them was run

# What the notebook prints without an interval: name -> the line, with the number.
LINES = {
    "mean's share of the squared weights, %": r"squared weights: ([\d.]+)%",
    "same sign in the cells, %": r"same sign in ([\d.]+)%",
    "same strongest cell, %": r"same strongest cell in ([\d.]+)%",
    "wide v that move the strongest cell, of 200": r"moves for (\d+) of 200 wide",
    "mistakes": r"(?m)^(\d+) mistakes in",
    "on black, both named, %": r"(?m)^on black +\S+ +([\d.]+)%",
    "in noise, pointing, %": r"(?m)^noise +([\d.]+)%",
    "in noise, both named, %": r"(?m)^noise +\S+ +([\d.]+)%",
    "in noise, ink box right, %": r"(?m)^noise +\S+ +\S+ +([\d.]+)%",
    "among pieces, both named, %": r"(?m)^pieces +\S+ +([\d.]+)%",
    "in both, both named, %": r"(?m)^both +\S+ +([\d.]+)%",
    "in noise, noisy blank, both named, %": r"noisy blank +\S+ +([\d.]+)%",
    "ink that the contrast takes at 30 %, %": r"contrast has taken ([\d.]+)%",
    "ink that gradient × input takes, %": r"gradient × input has taken ([\d.]+)%",
}


def tell(text):
    """Show progress on the terminal."""
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


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
    path = HERE / "measured" / f"{section}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def piece(section, name, measure):
    """Measure one piece and write it down, if the same code has not done so before."""
    pieces = measured(section)
    code = lesson.digest_of_code(lesson.read_notebook())[:12]
    if "--anew" not in sys.argv and pieces.get(name, {}).get("code") == code:
        tell(f"{section}, {name}: kept")
        return
    tell(f"{section}, {name}")
    begin, found = time.perf_counter(), measure()
    pieces[name] = {
        "date": str(datetime.date.today()),
        "machine": machine(),
        "packages": packages(),
        "code": code,  # the notebook's digest of code
        "seconds": round(time.perf_counter() - begin),
        "found": found,
    }
    text = json.dumps(pieces, indent=1, ensure_ascii=False)
    (HERE / "measured" / f"{section}.json").write_text(text + "\n", encoding="utf-8")
    tell(json.dumps(found, ensure_ascii=False)[:300])


def add_more(notebook):
    """Leave out exercises and the live page; at the end, measure what the text says."""
    left_out = {"exercise", "live-page"}
    kept = [c for c in notebook.cells if not lesson.tags_of(c) & left_out]
    more = (HERE / "more.py").read_text(encoding="utf-8").split("# %%\n")[1:]
    notebook.cells = kept + [nbformat.v4.new_code_cell(source) for source in more]


def run_with(seed, environment=None):
    """All that a run with this seed reports: name -> mean."""
    with tempfile.TemporaryDirectory() as folder:
        run = lesson.run_notebook(
            Path(folder), {"SEED": seed}, change=add_more, environment=environment
        )
    if run.process.returncode:
        sys.exit(run.process.stderr[-2000:])
    found = {name: mean for name, (mean, _) in lesson.reported(run.notebook).items()}
    for name, line in LINES.items():
        if told := re.search(line, lesson.text_of(run.notebook)):
            found[name] = float(told.group(1))
        else:
            tell(f"no line for {name}")
    return found


def measure_seeds():
    """The stored seed once more, with what else the text says, and five others."""
    stored = re.search(
        r"SEED = (\d+)", lesson.cell_named(lesson.read_notebook(), "parameters").source
    )
    for seed in (int(stored.group(1)), *SEEDS):
        piece("seeds", str(seed), lambda seed=seed: run_with(seed))


def measure_threads():
    """One thread adds up in another order: the same seed trains another network."""
    one = {f"TF_NUM_{kind}_THREADS": "1" for kind in ("INTRAOP", "INTEROP")}
    for seed in SEEDS[:2]:
        piece("threads", f"{seed}, one thread", lambda seed=seed: run_with(seed, one))


def article_seconds(functions, steps=40):
    """The time of the article's 10,000 steps, projected from some of them."""
    keras, mnist = functions.keras, lesson.load_mnist()
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=1)}
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
    images = functions.tf.constant(mnist["x_train"][:128, ..., None])
    labels = functions.tf.constant(mnist["y_train"][:128])
    times = []
    for _ in range(steps + 3):
        begin = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(time.perf_counter() - begin)
    return 10_000 * statistics.median(times[3:])


def cell_seconds(cell):
    """How long a cell ran, as nbconvert has written down."""
    told = cell.metadata.get("execution", {})
    ends = [told.get(f"iopub.{name}") for name in ("execute_input", "status.idle")]
    if None in ends:
        return 0.0
    begin, end = (
        datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in ends
    )
    return (end - begin).total_seconds()


def measure_speed():
    """One run, its parts, and the article's steps before and after it."""

    def one_run():
        functions = lesson.load_functions()
        steps = [article_seconds(functions)]
        with tempfile.TemporaryDirectory() as folder:
            run = lesson.run_notebook(Path(folder))
        if run.process.returncode:
            sys.exit(run.process.stderr[-2000:])
        steps.append(article_seconds(functions))
        found = {"whole": run.seconds, "peak": run.peak, "article": steps}
        training = lesson.cell_named(run.notebook, "train")
        found["training"] = cell_seconds(training)
        for number, cells in lesson.parts_of(run.notebook).items():
            found[f"part {number}"] = sum(map(cell_seconds, cells))
        return found

    for number in (1, 2, 3):
        piece("speed", f"run {number}", one_run)


# On the page: the median time of run() after a few changed pixels, in milliseconds.
STROKES = """(live, side) => {
  const times = [];
  const pixels = new Uint8Array(side * side);
  for (let y = 5; y < 23; y++) pixels.fill(255, y * side + 10, y * side + 13);
  for (let i = 0; i < 25; i++) {
    for (let k = 0; k < 4; k++) pixels[(8 + k) * side + 14 + i % 6] = 90 + i;
    const begin = performance.now();
    live.run(pixels, side, side);
    times.push(performance.now() - begin);
  }
  return times.sort((a, b) => a - b)[12];
}"""


def measure_page():
    """The stored live page: its size, its time a stroke, at full and lower speed."""
    import browser as web

    def strokes():
        html = web.live_html(lesson.read_notebook())
        found = {"bytes": len(html.encode())}
        with tempfile.TemporaryDirectory() as folder, web.open_browser() as browser:
            path = web.write_page(html, Path(folder))
            with web.offline(browser) as context:
                page, live = web.open_live(context, path)
                session = context.new_cdp_session(page)
                for rate in (1, 4, 6):
                    session.send("Emulation.setCPUThrottlingRate", {"rate": rate})
                    for side in (28, 64):
                        found[f"{side} at {rate}×"] = live.evaluate(STROKES, side)
        return found

    piece("page", "stroke", strokes)


SECTIONS = {
    "seeds": measure_seeds,
    "threads": measure_threads,
    "speed": measure_speed,
    "page": measure_page,
}

if __name__ == "__main__":
    os.chdir(lesson.ROOT)
    chosen = [word for word in sys.argv[1:] if word != "--anew"] or SECTIONS
    if unknown := set(chosen) - set(SECTIONS):
        sys.exit(f"no section {', '.join(unknown)}: choose of {', '.join(SECTIONS)}")
    for section in chosen:
        SECTIONS[section]()
