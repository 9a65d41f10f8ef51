"""Make .github/MEASURED.md of what was measured: python tests/tools/tables.py

What the benchmark has left in tests/measure/measured/, and what the notebook's stored
outputs say. No figure there is typed by hand; a test holds them together.
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "measure"))

import lesson
from benchmark import SEEDS, measured

PATH = lesson.ROOT / ".github" / "MEASURED.md"

HEAD = """# What was measured

Made by `tests/tools/tables.py` of the notebook's stored outputs and of what
`tests/measure/benchmark.py` has left in `tests/measure/measured/`. No figure is typed
by hand. One exception: the *other seeds* are not the benchmark's yet. They were read
from the prints of parts 1, 3, 5, 6 and 7 of a draft of 2026-11-30, with the same
training but other random canvases and, for single words, other names. A *code* is
the beginning of a digest of the code cells. Choices were made on images held out of the
training set, with exceptions that the notebook names under *Limits*; these figures are
of the test images.
"""


def table(*rows):
    """Markdown of rows, the first of which is the head."""
    head, *body = [[str(value) for value in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(value, places=1):
    return f"{100 * value:.{places}f}%"


def where(*sections):
    """A sentence that says when and on what the sections were measured."""
    pieces = [p for section in sections for p in measured(section).values()]
    if not pieces:
        return "Not measured yet."
    dates = sorted({p["date"] for p in pieces})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    told = [f"Measured {when}"]
    for key in ("machine", "packages", "code"):
        told.append("; ".join(sorted({p[key] for p in pieces})))
    return f"{told[0]}. {told[1]}. {told[2]}. Code: {told[3]}."


def number(name, value):
    """A mean as text: in percent, but for correlations and what has its own unit."""
    if "agreement" in name or name.startswith("summed contrast ahead"):
        return f"{value:.2f}"
    if name.endswith("accuracy"):
        return percent(value, 2)
    own_unit = name.endswith("%") or "of 200" in name or name == "mistakes"
    return f"{value:g}" if own_unit else percent(value)


def over(name, pieces):
    """Median, lowest and highest of a figure over trainings, as text."""
    values = [p["found"][name] for p in pieces if name in p["found"]]
    if not values:
        return "–"
    low, high = number(name, min(values)), number(name, max(values))
    return f"{number(name, statistics.median(values))} ({low} to {high})"


def figures():
    """What the stored run reports, part by part, beside other trainings."""
    notebook, pieces = lesson.read_notebook(), measured("seeds")
    five = [pieces[str(seed)] for seed in SEEDS if str(seed) in pieces]
    one_thread = list(measured("threads").values())
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
    ours = [p for seed, p in pieces.items() if int(seed) not in SEEDS]
    names = dict.fromkeys(name for p in [*ours, *five] for name in p["found"])
    more = [name for name in names if name not in told]
    if more:
        rows.append(("**What the text says beside**", "stored seed", "", ""))
    for name in more:
        rows.append((name, over(name, ours), over(name, five), over(name, one_thread)))
    return table(*rows) + "\n\nOther seeds: " + where("seeds", "threads")


def speed():
    """One run beside its main training and the article's steps: medians, ranges."""
    rows = [("two cores, no window", "median (lowest to highest)")]
    runs = [p["found"] for p in measured("speed").values()]

    def row(words, values, form):
        low, high = form.format(min(values)), form.format(max(values))
        rows.append(
            (words, f"{form.format(statistics.median(values))} ({low} to {high})")
        )

    if runs:
        article = [statistics.mean(r["article"]) for r in runs]
        row("main training", [r["training"] for r in runs], "{:.0f} s")
        row("whole notebook", [r["whole"] for r in runs], "{:.0f} s")
        in_trainings = [r["whole"] / r["training"] for r in runs]
        row("whole notebook, in main trainings", in_trainings, "{:.2f}")
        both = [(r["part 6"] + r["part 7"]) / r["training"] for r in runs]
        row("parts 6 and 7, in main trainings", both, "{:.2f}")
        shares = [r["training"] / a for r, a in zip(runs, article)]
        row("main training, of the article's 10,000 steps", shares, "{:.3f}")
        shares = [r["whole"] / a for r, a in zip(runs, article)]
        row("whole notebook, of the article's steps", shares, "{:.3f}")
        row("peak memory, all processes", [r["peak"] / 1e9 for r in runs], "{:.2f} GB")
    for page in (p["found"] for p in measured("page").values()):
        rows.append(("live page in the file", f"{page['bytes'] / 1000:.0f} kB"))
        for name, value in page.items():
            if name != "bytes":
                board = name.replace("at", "pixels, at")
                words = f"live page, network after a stroke, {board}"
                rows.append((words, f"{value:.1f} ms"))
    return table(*rows) + "\n\n" + where("speed", "page")


def recipes():
    """Held-out accuracy and what the maps are good for, over trainings."""
    found = {}
    for name, one in measured("recipes").items():
        found.setdefault(name.split(", seed ")[0], []).append(one["found"])
    rows = [("recipe", "trainings", "accuracy", "pointing", "both named", "boxes")]
    for name, some in found.items():
        columns = [[one["after each pass"][-1] for one in some]]
        columns += zip(*(one["maps"] for one in some if "maps" in one))
        told = [percent(statistics.mean(values), 2) for values in columns]
        rows.append((name, len(some), *told, *["–"] * (4 - len(told))))
    return table(*rows) + "\n\n" + where("recipes")


def article():
    """The article's recipe after all of its steps."""
    pieces = measured("article")
    stops = sorted({int(stop) for p in pieces.values() for stop in p["found"]})
    rows = [("right after steps", *(f"{stop:,}" for stop in stops))]
    for head, one in pieces.items():
        rows.append((head, *(percent(one["found"][str(stop)], 2) for stop in stops)))
    return table(*rows) + "\n\n" + where("article")


def sweeps():
    """What part 7 chose on held-out canvases: width of the mean, the threshold."""
    rows = [("evidence averaged over", "points", "outline right, best threshold")]
    for piece in measured("sweeps").values():
        for width, one in piece["found"]["widths"].items():
            best = max(one["thresholds"], key=lambda k: one["thresholds"][k][0])
            share = percent(one["thresholds"][best][0])
            cells = f"{width}×{width} cells"
            rows.append((cells, percent(one["pointing"]), f"{share} at {best}"))
    return table(*rows) + "\n\n" + where("sweeps")


SECTIONS = {
    "What the notebook reports": figures,
    "Speed, memory, live page": speed,
    "Recipes, on held-out images (second edition)": recipes,
    "The article's program, with pooling and with Flatten (second edition)": article,
    "Choices of part 7, on held-out canvases (second edition)": sweeps,
}


def make():
    """The text of MEASURED.md."""
    pieces = [f"## {title}\n\n{make_one()}\n" for title, make_one in SECTIONS.items()]
    return "\n".join([HEAD, *pieces])


if __name__ == "__main__":
    PATH.write_text(make(), encoding="utf-8")
