"""The README's tables, made of what was measured: python tests/tables.py

What the benchmark has left in tests/measured/, and what the notebook's stored outputs
say, goes between the README's marks, <!-- NAME --> and <!-- end -->. No figure there is
typed by hand; a test holds them together.
"""

import re
import statistics

from benchmark import PASSES, VARIANTS, measured
from conftest import ROOT, read_notebook, reported, shares_of

README = ROOT / "README.md"

# what a group of figures is -> what the README calls each -> what the notebook does
FIGURES = {
    "Part 1: share of the 10,000 test digits that are read right": {
        "test accuracy": "test accuracy",
    },
    "Part 6: 1,000 fours and nines with a bar in a corner; share of digits whose map "
    "is highest at the bar": {
        "network trained with telling bars": "telling bars, right bar, map at the bar",
        "trained with random bars, the control": "random bars, right bar, map at the "
        "bar",
        "the control, shown the other class's bar": "random bars, wrong bar, map at "
        "the bar",
    },
    "Part 6: 30 % of the inked pixels deleted; share of digits whose class changes, by "
    "what is deleted first": {
        "highest contrast": "changed at 30%, contrast",
        "gradient × input": "changed at 30%, gradient × input",
        "contrast × input": "changed at 30%, contrast × input",
        "plain map": "changed at 30%, plain map",
        "top rows": "changed at 30%, top rows",
        "contrast of two other classes": "changed at 30%, two other classes",
        "random patches": "changed at 30%, random patches",
        "brightest pixels": "changed at 30%, brightest",
        "random pixels": "changed at 30%, random pixels",
    },
    "The same, digit by digit: lead in percentage points": {
        "contrast over plain map": "contrast ahead of plain map",
        "the same, mean over all shares deleted": "contrast ahead of plain map, in "
        "area",
        "contrast over two other classes": "contrast ahead of two other classes",
        "contrast over random patches": "contrast ahead of random patches",
        "contrast over top rows": "contrast ahead of top rows",
        "contrast over brightest pixels": "contrast ahead of brightest",
        "contrast over gradient × input": "contrast ahead of gradient × input",
        "gradient × input over contrast × input": "gradient × input ahead of contrast "
        "× input",
    },
    "Part 6: 16×16 patches blanked; mean correlation of a forecast with the fall of "
    "the margin": {
        "contrast, summed over the patch": "agreement, summed contrast",
        "gradient × input, summed": "agreement, gradient × input",
        "ink, summed": "agreement, ink",
        "mean fall at this place in other digits": "agreement, position alone",
        "contrast of the one cell": "agreement, single cell",
        "lead of summed contrast over ink": "summed contrast ahead, ink",
        "over position alone": "summed contrast ahead, position alone",
    },
    "Part 7, pointing: 1,000 canvases with two digits on black; share of digits in "
    "whose box the highest place lies": {
        "evidence for the digit's class": "evidence of the class",
        "raw map of its class": "raw map of the class",
        "brightest pixel": "brightest pixel",
        "evidence for a class that is not there": "evidence of an absent class",
    },
    "Part 7, naming: share of canvases whose two digits are both named": {
        "by windows, probability × evidence": "named by windows",
        "by windows, probability alone": "named by probability alone",
        "lead of the first over the second": "score ahead of probability alone",
        "by the two highest logits of the canvas": "named by plain logits",
    },
    "Part 7, boxes: share of digits whose box has an IoU of one half or more": {
        "outline of the map": "map alone",
        "square around the highest place": "square around the peak",
        "ink in the best window": "ink in best window",
        "lead of the square over the outline": "square ahead of the map",
    },
    "The same with pieces of other digits around, the clutter": {
        "pointing, evidence": "in clutter, evidence of the class",
        "naming, by windows": "in clutter, named by windows",
        "naming, by probability alone": "in clutter, named by probability alone",
        "boxes, outline": "in clutter, map alone",
        "boxes, square": "in clutter, square around the peak",
        "boxes, ink": "in clutter, ink in best window",
    },
    "What clutter costs, in percentage points": {
        "pointing": "black ahead of clutter, evidence of the class",
        "naming": "black ahead of clutter, named by windows",
        "boxes, outline": "black ahead of clutter, map alone",
        "boxes, square": "black ahead of clutter, square around the peak",
        "boxes, ink": "black ahead of clutter, ink in best window",
    },
}


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
    on = "; ".join(sorted({p["machine"] for p in pieces}))
    packages = "; ".join(sorted({p["packages"] for p in pieces}))
    codes = "; ".join(sorted({p["code"] for p in pieces}))
    return f"Measured {when}. {on}. {packages}. Notebook's code: {codes}."


def one_figure(name, means, shares, seeds):
    """The stored run's figure, and other seeds' median and range, as text."""
    unit = 1 if "agreement" in name or "summed contrast" in name else 100
    places = 2 if unit == 1 or name == "test accuracy" else 1
    sign = "+" if "ahead" in name else ""
    end = "" if unit == 1 else "%"

    def told(value):
        return f"{unit * value:{sign}.{places}f}{end}"

    if name in means:
        mean, half = means[name]
        stored = f"{told(mean)} ± {unit * half:.{places}f}{end}"
    else:
        share, low, high = shares[name]
        stored = f"{told(share)} ({told(low)} to {told(high)})"
    found = [p["found"][name] for p in seeds if name in p["found"]]
    if not found:
        return stored, "–"
    middle = told(statistics.median(found))
    return stored, f"{middle} ({told(min(found))} to {told(max(found))})"


def figures():
    """What the stored run measured, beside other trainings."""
    notebook = read_notebook()
    means, shares = reported(notebook), shares_of(notebook)
    seeds = list(measured("seeds").values())
    count = f"{len(seeds)} other seeds: median (lowest to highest)"
    rows = [("on test images", "stored run, 95 % intervals", count)]
    for group, names in FIGURES.items():
        rows.append((f"**{group}**", "", ""))
        for words, name in names.items():
            rows.append((words, *one_figure(name, means, shares, seeds)))
    return table(*rows) + "\n\nOther seeds. " + where("seeds")


def speed():
    """Speed and memory, as ratios where two things ran side by side."""
    rows = [("speed and memory", "value")]
    for maps in (p["found"] for p in measured("maps").values()):
        small = percent(maps["7×7"] / maps["forward"])
        rows.append(("7×7 maps of all ten classes", f"{small} of the forward pass"))
        faster = f"{maps['resize first'] / maps['weight first']:.1f} times faster"
        rows.append(("28×28 maps: weight first, not resize first", faster))
    rounds = [p["found"] for p in measured("training").values()]
    if rounds:
        shares = [r["training"] / statistics.mean(r["steps"]) for r in rounds]
        middle = statistics.median(r["training"] for r in rounds)
        rows.append(("training, median of three rounds", f"{middle:.0f} s"))
        told = f"{percent(statistics.median(shares))} of the time"
        spread = f"({percent(min(shares))} to {percent(max(shares))})"
        rows.append(("the same, beside the article's steps", f"{told} {spread}"))
    for run in (p["found"] for p in measured("notebook").values()):
        share = percent(run["seconds"] / statistics.mean(run["steps"]), 0)
        told = f"{run['seconds']:.0f} s, {share} of the article's steps"
        rows.append(("whole notebook, without a window", told))
        rows.append(("its peak memory, all processes", f"{run['peak'] / 1e9:.2f} GB"))
    for page in (p["found"] for p in measured("page").values()):
        rows.append(("live page in the file", f"{page['bytes'] / 1000:.0f} kB"))
        for size in (28, 64):
            words = f"live page, from a stroke on {size}×{size} pixels to its map"
            rows.append((words, f"{page[str(size)]:.1f} ms"))
    return table(*rows) + "\n\n" + where("maps", "training", "notebook", "page")


def over_trainings(values, places):
    """The mean, and the lowest and highest if there are several, as text."""
    mean = percent(statistics.mean(values), places)
    if len(values) == 1:
        return mean
    ends = percent(min(values), places), percent(max(values), places)
    return f"{mean} ({ends[0]} to {ends[1]})"


def recipes():
    """Held-out accuracy and what the maps are good for, over trainings."""
    pieces = measured("recipes")
    rows = [("recipe", "trainings", "accuracy", "pointing", "both named", "boxes")]
    for name in [*VARIANTS, *PASSES]:
        some = [p["found"] for n, p in pieces.items() if n.split(", seed ")[0] == name]
        if not some:
            continue
        last = [one["after each pass"][-1] for one in some]
        told = [over_trainings(last, 2)]
        with_maps = [one["maps"] for one in some if "maps" in one]
        told += [over_trainings(values, 1) for values in zip(*with_maps)]
        told += ["–"] * (4 - len(told))
        ours = VARIANTS.get(name) == []
        rows.append((f"**{name}**" if ours else name, len(some), *told))
    return table(*rows) + "\n\n" + where("recipes")


def article():
    """The article's recipe after all of its steps."""
    pieces = measured("article")
    stops = sorted({int(stop) for p in pieces.values() for stop in p["found"]})
    rows = [("right after steps", *(f"{stop:,}" for stop in stops))]
    for head, one in pieces.items():
        found = [one["found"].get(str(stop)) for stop in stops]
        rows.append((head, *("–" if x is None else percent(x, 2) for x in found)))
    return table(*rows) + "\n\n" + where("article")


def sweeps():
    """What part 7 chose, and what else was tried."""
    texts = []
    for found in (p["found"] for p in measured("sweeps").values()):
        widths = found["widths"]
        rows = [("evidence averaged over", "pointing", "pointing, raw map")]
        rows[0] += ("outline right, best threshold", "square right, best side")
        for width, one in widths.items():
            name = f"{width}×{width} cells"
            name = f"**{name}**" if width == "5" else name
            best = []
            for kind in ("thresholds", "sides"):
                key = max(one[kind], key=lambda k: one[kind][k][0])
                best.append(f"{percent(one[kind][key][0])} at {key}")
            told = percent(one["pointing"]), percent(one["raw map"])
            rows.append((name, *told, *best))
        texts.append(table(*rows))
        chosen = {"thresholds": "0.65", "sides": "17"}
        names = {
            "thresholds": "outline: share of the highest value",
            "sides": "square: side in pixels",
        }
        for kind, words in names.items():
            tried = widths["5"][kind]
            keys = [f"**{k}**" if k == chosen[kind] else k for k in tried]
            right = [percent(share) for share, _ in tried.values()]
            means = [f"{mean:.2f}" for _, mean in tried.values()]
            rows = (words, *keys), ("boxes right", *right), ("mean IoU", *means)
            texts.append(table(*rows))
        rows = [("score of a window", "both named", "ink box right")]
        for name, one in found["scores"].items():
            name = f"**{name}**" if name == "probability × evidence" else name
            told = percent(one["both named"]), percent(one["ink in window"])
            rows.append((name, *told))
        texts.append(table(*rows))
    return "\n\n".join([*texts, where("sweeps")])


def pictures():
    """One's own picture under many conditions."""
    rows = [("200 made-up photographs of test digits, each", "read right")]
    for found in (p["found"] for p in measured("pictures").values()):
        for name, share in found.items():
            rows.append((name, percent(share, 2 if share != round(share, 3) else 1)))
    return table(*rows) + "\n\n" + where("pictures")


TABLES = {
    "figures": figures,
    "speed": speed,
    "recipes": recipes,
    "article": article,
    "sweeps": sweeps,
    "pictures": pictures,
}


def filled(text):
    """Return the README's text with every table made anew."""
    for name, make in TABLES.items():
        block = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        assert len(re.findall(block, text, re.S)) == 1, f"README: one mark {name}"
        made = make()
        text = re.sub(
            block, lambda m, made=made: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.S
        )
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
