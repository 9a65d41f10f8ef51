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

# what the README calls a figure -> what the notebook calls it
FIGURES = {
    "test accuracy": "test accuracy",
    "planted shortcut: map at the bar": "telling bars, right bar, map at the bar",
    "the same, control": "random bars, right bar, map at the bar",
    "control, bars swapped": "random bars, wrong bar, map at the bar",
    "class changed, 30 % of inked pixels gone: contrast": "changed at 30%, contrast",
    "gradient × input": "changed at 30%, gradient × input",
    "contrast × input": "changed at 30%, contrast × input",
    "plain map": "changed at 30%, plain map",
    "top rows first": "changed at 30%, top rows",
    "two other classes": "changed at 30%, two other classes",
    "random patches": "changed at 30%, random patches",
    "brightest first": "changed at 30%, brightest",
    "random pixels": "changed at 30%, random pixels",
    "contrast ahead, digit by digit: of plain map": "contrast ahead of plain map",
    "of top rows": "contrast ahead of top rows",
    "of gradient × input": "contrast ahead of gradient × input",
    "× input: gradient over contrast": "gradient × input ahead of contrast × input",
    "agreement with blanked patches: summed contrast": "agreement, summed contrast",
    "gradient × input, summed": "agreement, gradient × input",
    "ink": "agreement, ink",
    "position alone": "agreement, position alone",
    "single cell": "agreement, single cell",
    "pointing, two digits on black: evidence": "evidence of the class",
    "raw map": "raw map of the class",
    "brightest pixel": "brightest pixel",
    "evidence of an absent class": "evidence of an absent class",
    "both digits named": "named by windows",
    "the same by windows, probability alone": "named by probability alone",
    "the same by the logits of the whole canvas": "named by plain logits",
    "box right: outline of the map": "map alone",
    "square around its highest place": "square around the peak",
    "ink in the best window": "ink in best window",
    "in clutter: pointing": "in clutter, evidence of the class",
    "both named": "in clutter, named by windows",
    "outline of the map": "in clutter, map alone",
    "square": "in clutter, square around the peak",
    "ink in the window": "in clutter, ink in best window",
    "what clutter costs pointing": "black ahead of clutter, evidence of the class",
    "and naming": "black ahead of clutter, named by windows",
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
    on = "; ".join(sorted({p["machine"] for p in pieces}))
    packages = "; ".join(sorted({p["packages"] for p in pieces}))
    return f"Measured {' and '.join(dates)}. {on}. {packages}."


def one_figure(name, means, shares, seeds):
    """The stored run's figure, and other seeds' median and range, as text."""
    unit = 1 if name.startswith("agreement") else 100
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
    count = f"{len(seeds)} other seeds: median (range)"
    rows = [("on test images", "stored run", count)]
    for words, name in FIGURES.items():
        rows.append((words, *one_figure(name, means, shares, seeds)))
    return table(*rows) + "\n\nOther seeds: " + where("seeds")


def speed():
    """Speed and memory, as ratios where two things ran side by side."""
    rows = [("speed and memory", "value")]
    for maps in (p["found"] for p in measured("maps").values()):
        small = percent(maps["7×7"] / maps["forward"])
        rows.append(("7×7 maps of all classes", f"{small} of the forward pass"))
        faster = f"{maps['resize first'] / maps['weight first']:.1f} times faster"
        rows.append(("28×28: weight, then resize, not the other way", faster))
    rounds = [p["found"] for p in measured("training").values()]
    if rounds:
        shares = [r["training"] / statistics.mean(r["steps"]) for r in rounds]
        middle = statistics.median(r["training"] for r in rounds)
        told = f"{middle:.0f} s, {statistics.median(shares):.3f} of that"
        spread = f"({min(shares):.3f} to {max(shares):.3f})"
        rows.append(
            ("training, against the article's 10,000 steps", f"{told} {spread}")
        )
    for run in (p["found"] for p in measured("notebook").values()):
        share = run["seconds"] / statistics.mean(run["steps"])
        told = f"{run['seconds']:.0f} s, {share:.2f} of that"
        rows.append(("headless run, against the article's 10,000 steps", told))
        rows.append(("its peak memory, all processes", f"{run['peak'] / 1e9:.2f} GB"))
    for page in (p["found"] for p in measured("page").values()):
        rows.append(("live page in the file", f"{page['bytes'] / 1000:.0f} kB"))
        for size in (28, 64):
            told = f"{page[str(size)]:.1f} ms"
            rows.append((f"live page, a stroke on {size}×{size} pixels", told))
    return table(*rows) + "\n\n" + where("maps", "training", "notebook", "page")


def recipes():
    """Held-out accuracy and what the maps are good for: means over trainings."""
    pieces = measured("recipes")
    head = "recipe", "trainings", "after each pass", "pointing", "both named", "boxes"
    rows = [head]
    for name in [*VARIANTS, *PASSES]:
        some = [p["found"] for n, p in pieces.items() if n.split(", seed ")[0] == name]
        if not some:
            continue
        passes = zip(*(one["after each pass"] for one in some))
        told = ", ".join(percent(statistics.mean(values), 2) for values in passes)
        maps = []
        for values in zip(*(one["maps"] for one in some if "maps" in one)):
            known = [value for value in values if value is not None]
            maps.append(percent(statistics.mean(known)) if known else "–")
        rows.append((name, len(some), told, *(maps or ["–"] * 3)))
    for name, one in measured("article").items():
        after = ", ".join(percent(one["found"][stop], 2) for stop in ("430", "860"))
        rows.append((f"the article's, {name}", 1, after, *["–"] * 3))
    return table(*rows) + "\n\n" + where("recipes", "article")


def article():
    """The article's recipe after all of its steps."""
    pieces = measured("article")
    stops = sorted({int(stop) for p in pieces.values() for stop in p["found"]})
    rows = [("the article's recipe, steps", *(f"{stop:,}" for stop in stops))]
    for head, one in pieces.items():
        found = [one["found"].get(str(stop)) for stop in stops]
        rows.append((head, *("–" if x is None else percent(x, 2) for x in found)))
    return table(*rows) + "\n\n" + where("article")


def sweeps():
    """What part 7 chose, and what else was tried."""
    texts = []
    for found in (p["found"] for p in measured("sweeps").values()):
        widths = found["widths"]
        rows = [("evidence averaged over", "pointing", "the same, raw map")]
        rows[0] += ("box of the map, best threshold", "square, best side")
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
        names = {"thresholds": "threshold, of the maximum", "sides": "side, pixels"}
        for kind, words in names.items():
            tried = widths["5"][kind]
            keys = [f"**{k}**" if k == chosen[kind] else k for k in tried]
            right = [percent(share) for share, _ in tried.values()]
            means = [f"{mean:.2f}" for _, mean in tried.values()]
            rows = (words, *keys), ("boxes right", *right), ("mean IoU", *means)
            texts.append(table(*rows))
        rows = [("score of a window", "both named", "ink in best window")]
        for name, one in found["scores"].items():
            name = f"**{name}**" if name == "probability × evidence" else name
            told = percent(one["both named"]), percent(one["ink in window"])
            rows.append((name, *told))
        texts.append(table(*rows))
    return "\n\n".join([*texts, where("sweeps")])


def pictures():
    """One's own picture under many conditions."""
    rows = [("200 test digits, each …", "read right")]
    for found in (p["found"] for p in measured("pictures").values()):
        for name, share in found.items():
            words = "all 10,000, as they are" if name == "as they are" else name
            rows.append((words, percent(share, 2 if share != round(share, 3) else 1)))
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
