"""Make .github/MEASURED.md of what was measured: python tests/tools/tables.py

What the benchmark has left in tests/measure/measured/, and what the notebook's stored
outputs say. No figure there is typed by hand; a test holds them together.
second-edition.md there holds tables that this tool made of the second edition's
benchmark, whose measurements were not repeated.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "measure"))

import numpy as np

import lesson
from benchmark import HERE, SEEDS, measured

PATH = lesson.ROOT / ".github" / "MEASURED.md"

HEAD = """# What was measured

Made by `tests/tools/tables.py` of the notebook's stored outputs and of what
`tests/measure/benchmark.py` has left in `tests/measure/measured/`. No figure is typed
by hand. A *code* is the beginning of a digest of the code that was measured. Choices
were made on images held out of the training set, with exceptions that the notebook
names under *Limits*; these figures are of the test images.
"""


def table(*rows):
    """Markdown of rows, the first of which is the head."""
    lines = [[str(value) for value in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(value, places=1):
    return f"{100 * value:.{places}f}%"


def spread(values, form):
    """Median, lowest and highest value as text; form makes text of one."""
    if len(values) == 0:
        return "–"
    middle, low, high = map(form, (statistics.median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def where(*sections):
    """A sentence that says when and on what the sections were measured."""
    pieces = [p for section in sections for p in measured(section).values()]
    if not pieces:
        return "Not measured yet."
    dates = sorted(p["date"] for p in pieces)
    told = ["Measured " + " to ".join(dict.fromkeys([dates[0], dates[-1]]))]
    for key in ("machine", "packages", "code"):
        told.append("; ".join(sorted({p[key] for p in pieces})))
    return f"{told[0]}. {told[1]}. {told[2]}. Code: {told[3]}."


def number(name, value):
    """A mean as text: in percent, but for correlations and what has its own unit."""
    if "agreement" in name or name.startswith("summed contrast ahead"):
        return f"{value:.2f}"
    if name.endswith("%") or "of 200" in name or name == "mistakes":
        return f"{value:g}"
    return percent(value, 2 if name.endswith("accuracy") else 1)


def over(name, pieces):
    """A figure over trainings, as text."""
    values = [p["found"][name] for p in pieces if name in p["found"]]
    return spread(values, lambda value: number(name, value))


def figures():
    """What the stored run reports, part by part, beside other trainings."""
    notebook, pieces = lesson.read_notebook(), measured("seeds")
    five = [pieces[str(seed)] for seed in SEEDS if str(seed) in pieces]
    one_thread = list(measured("threads").values())
    ours = [p for seed, p in pieces.items() if int(seed) not in SEEDS]
    heads = "five other seeds: median (lowest to highest)", "two seeds on one thread"
    rows, told = [("", "stored run, 95 % intervals", *heads)], set()
    for part, cells in lesson.parts_of(notebook).items():
        found = lesson.reported(lesson.nbformat.v4.new_notebook(cells=cells))
        if found:
            rows.append((f"**Part {part}**", "", "", ""))
        for name, (mean, half) in found.items():
            told.add(name)
            stored = f"{number(name, mean)} ± {number(name, half)}"
            rows.append((name, stored, over(name, five), over(name, one_thread)))
    names = dict.fromkeys(name for p in [*ours, *five] for name in p["found"])
    more = [name for name in names if name not in told]
    if more:
        rows.append(("**What the text says beside**", "stored seed", "", ""))
    for name in more:
        rows.append((name, over(name, ours), over(name, five), over(name, one_thread)))
    return table(*rows) + "\n\nOther seeds: " + where("seeds", "threads")


def speed():
    """One run beside its main training and the article's steps: medians, ranges."""
    runs = [p["found"] for p in measured("speed").values()]
    article = np.array([np.mean(run["article"]) for run in runs])
    names = "whole", "training", "part 6", "part 7", "peak"
    whole, training, *both, peak = np.array([[r[k] for r in runs] for k in names])
    rows = [("two cores, no window", "median (lowest to highest)")]
    for words, values, form in (
        ("main training", training, "{:.0f} s"),
        ("whole notebook", whole, "{:.0f} s"),
        ("whole notebook, in main trainings", whole / training, "{:.2f}"),
        ("parts 6 and 7, in main trainings", sum(both) / training, "{:.2f}"),
        ("main training, of the article's 10,000 steps", training / article, "{:.3f}"),
        ("whole notebook, of the article's steps", whole / article, "{:.3f}"),
        ("peak memory, all processes", peak / 1e9, "{:.2f} GB"),
    ):
        rows.append((words, spread(values, form.format)))
    for page in (p["found"] for p in measured("page").values()):
        rows.append(("live page in the file", f"{page.pop('bytes') / 1000:.0f} kB"))
        for name, value in page.items():
            board = name.replace("at", "pixels, at")
            words = f"live page, network after a stroke, {board}"
            rows.append((words, f"{value:.1f} ms"))
    return table(*rows) + "\n\n" + where("speed", "page")


def make():
    """The text of MEASURED.md."""
    first = f"## What the notebook reports\n\n{figures()}\n"
    second = f"## Speed, memory, live page\n\n{speed()}\n"
    older = HERE / "measured" / "second-edition.md"
    return "\n".join([HEAD, first, second, older.read_text(encoding="utf-8")])


if __name__ == "__main__":
    PATH.write_text(make(), encoding="utf-8")
