"""Measure: python tests/measure/benchmark.py [--anew] [SECTION …]

  seeds     the notebook with five other seeds, and what else its text says (an hour)
  threads   two seeds on one thread: other networks, as on another machine (an hour)
  speed     the whole notebook, its training, the article's steps, memory (ten minutes)
  page      the live page: its size, its time a stroke (a minute)

All run if none is named. Each piece that is done stands at once in measured/, with its
machine and date, so an interruption costs one piece: run the section again; what the
same code has measured already is kept, unless --anew is given. tests/tools/tables.py
makes .github/MEASURED.md of it.
"""

import ast
import datetime
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from functools import partial
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
    "same sign in the cells, %": r"same sign in ([\d.]+)%",
    "same strongest cell, %": r"same strongest cell in ([\d.]+)%",
    "random v that move the strongest cell, of 200": r"moves for (\d+) of 200",
    "mistakes": r"(?m)^(\d+) mistakes in",
    "on black, both named, %": r"(?m)^on black +\S+ +([\d.]+)%",
    "in noise, pointing, %": r"(?m)^noise +([\d.]+)%",
    "in noise, both named, %": r"(?m)^noise +\S+ +([\d.]+)%",
    "among pieces, both named, %": r"(?m)^pieces +\S+ +([\d.]+)%",
    "in both, both named, %": r"(?m)^both +\S+ +([\d.]+)%",
    "in noise, noisy blank, both named, %": r"noisy blank +\S+ +([\d.]+)%",
    "ink that the contrast takes at 30 %, %": r"contrast, 30% .+\nit has taken (\d+)%",
    "ink that gradient × input takes, %": r"input, 30% .+\nit has taken (\d+)%",
}
for network in ("telling", "random"):
    for bar in ("right bar", "wrong bar", "no bar"):
        begin = f"{network} bars, {bar}"
        LINES[f"{begin}: right, %"] = rf"(?m)^{begin} +([\d.]+)%"
        LINES[f"{begin}: at the bar, %"] = rf"(?m)^{begin} +\S+ +([\d.]+)%"


def tell(text):
    """Show progress on the terminal."""
    print(f"[{datetime.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def machine():
    """What the figures were measured on, and with, in words."""
    gigabytes = round(psutil.virtual_memory().total / 2**30)
    name, listed = platform.machine(), Path("/proc/cpuinfo")
    if listed.exists():  # Linux tells the processor's name
        told = re.search(r"model name\s*: (.+)", listed.read_text())
        name = told[1].strip() if told else name
    names = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}
    packages = [f"Python {platform.python_version()}"]
    packages += [f"{words} {version(name)}" for name, words in names.items()]
    return {
        "machine": f"{psutil.cpu_count()} CPUs, {name}, {gigabytes} GB, "
        + platform.system(),
        "packages": ", ".join(packages),
    }


def measured(section):
    """The pieces of a section that were measured: name -> piece."""
    path = HERE / "measured" / f"{section}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def piece(section, name, measure):
    """Measure one piece and write it down, if the same code has not done so before."""
    pieces = measured(section)
    code = code_of(section)
    if "--anew" not in sys.argv and pieces.get(name, {}).get("code") == code:
        tell(f"{section}, {name}: kept")
        return
    tell(f"{section}, {name}")
    begin, found = time.perf_counter(), measure()
    pieces[name] = {
        "date": str(datetime.date.today()),
        **machine(),
        "code": code,
        "seconds": round(time.perf_counter() - begin),
        "found": found,
    }
    text = json.dumps(pieces, indent=1, ensure_ascii=False)
    (HERE / "measured" / f"{section}.json").write_text(text + "\n", encoding="utf-8")
    tell(json.dumps(found, ensure_ascii=False)[:300])


def code_of(section):
    """The beginning of a digest of what it measures; no comments, no docstrings."""
    notebook = lesson.read_notebook()
    if section in ("seeds", "threads"):
        measured_parts(notebook)
    for cell in lesson.code_cells(notebook):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
                node.body = node.body[1:]
        cell.source = ast.unparse(tree)
    return lesson.digest_of_code(notebook)[:12]


def measured_parts(notebook):
    """Leave out what no figure comes from: exercises, part 8 and the end."""
    parts = lesson.parts_of(notebook)
    cells = sum((parts[number] for number in range(8)), [])
    notebook.cells = [c for c in cells if "exercise" not in lesson.tags_of(c)]
    return notebook


def add_more(notebook):
    """Run parts 1 to 7 alone; at their end, measure what the text says."""
    more = (HERE / "more.py").read_text(encoding="utf-8").split("# %%\n")[1:]
    measured_parts(notebook).cells += map(nbformat.v4.new_code_cell, more)


def run_with(seed, environment=None):
    """All that a run with this seed reports: name -> mean."""
    with tempfile.TemporaryDirectory() as folder:
        run = lesson.finished(
            lesson.run_notebook(
                Path(folder), {"SEED": seed}, change=add_more, environment=environment
            )
        )
    found = {name: mean for name, (mean, _) in lesson.reported(run.notebook).items()}
    for name, line in LINES.items():
        if told := re.search(line, lesson.text_of(run.notebook)):
            found[name] = float(told[1])
        else:
            tell(f"no line for {name}")
    return found


def article_seconds(functions, steps=40):
    """The time of the article's 10,000 steps, projected from some of them.

    Its layers are the notebook's; other first weights take no other time.
    """
    keras, mnist = functions.keras, lesson.load_mnist()
    model = functions.build_model(dropout=0)
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
    """How long a cell ran, as nbconvert has written down; 0 if it does not run."""
    told = cell.metadata.get("execution", {})
    if "iopub.status.idle" not in told:
        return 0.0
    ends = [told[f"iopub.{name}"] for name in ("execute_input", "status.idle")]
    begin, end = (
        datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in ends
    )
    return (end - begin).total_seconds()


def one_run():
    """A run, its parts, and the article's steps before and after it."""
    functions = lesson.load_functions()
    before = article_seconds(functions)
    with tempfile.TemporaryDirectory() as folder:
        run = lesson.finished(lesson.run_notebook(Path(folder)))
    article = [before, article_seconds(functions)]
    found = {"whole": run.seconds, "peak": run.peak, "article": article}
    found["training"] = cell_seconds(lesson.cell_named(run.notebook, "train"))
    for number, cells in lesson.parts_of(run.notebook).items():
        found[f"part {number}"] = sum(map(cell_seconds, cells))
    return found


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


def strokes():
    """The stored live page: its size, its time a stroke, at full and lower speed."""
    import browser as web

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


def sections():
    """What there is to measure: section -> piece -> the function that measures it."""
    parameters = lesson.cell_named(lesson.read_notebook(), "parameters").source
    stored = int(re.search(r"SEED = (\d+)", parameters)[1])
    # one thread adds up in another order: the same seed trains another network
    one = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    return {
        "seeds": {str(seed): partial(run_with, seed) for seed in (stored, *SEEDS)},
        "threads": {f"{s}, one thread": partial(run_with, s, one) for s in SEEDS[:2]},
        "speed": {f"run {number}": one_run for number in (1, 2, 3)},
        "page": {"stroke": strokes},
    }


if __name__ == "__main__":
    os.chdir(lesson.ROOT)
    all_of_them = sections()
    chosen = [word for word in sys.argv[1:] if word != "--anew"] or all_of_them
    if unknown := set(chosen) - set(all_of_them):
        names = ", ".join(all_of_them)
        sys.exit(f"no section {', '.join(unknown)}: choose of {names}")
    for section in chosen:
        for name, measure in all_of_them[section].items():
            piece(section, name, measure)
