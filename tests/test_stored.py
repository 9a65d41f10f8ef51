"""What stands in the repository: stored outputs, prose, pictures, style."""

import base64
import json
import re
import statistics
import subprocess
import sys

import nbformat
from conftest import NOTEBOOK, ROOT, code_cells, digest_of_code, text_of

# Figures of the literature, of the licence, and the lesson's own settings.
FACTS = {"37.1%", "34.2%", "20%", "95%", "30%", "3.0", "0.3", "0.7"}


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def test_outputs_come_from_one_clean_run(stored):
    cells = code_cells(stored)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    assert not [
        o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"
    ]
    text = json.dumps([dict(o) for o in outputs])
    assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|Users)/", text)
    assert "\\b\\b" not in text and text.count("\\r") == 0


def test_outputs_come_from_the_code_as_it_stands(stored):
    """After a change of code: python tests/store_outputs.py"""
    assert stored.metadata["outputs_of_code"] == digest_of_code(stored)


def test_no_widget_state_is_stored_and_the_file_is_small(stored):
    assert "widgets" not in stored.metadata
    assert "widget-view" not in NOTEBOOK.read_text(encoding="utf-8")
    assert NOTEBOOK.stat().st_size < 2e6


def test_every_picture_has_a_text_alternative(stored):
    pictures = [
        o
        for c in code_cells(stored)
        for o in c.outputs
        if "image/png" in o.get("data", {})
    ]
    assert len(pictures) >= 11
    for picture in pictures:
        assert len(picture.metadata["image/png"]["alt"]) > 20


def readme_section(title):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_measured_number_in_the_prose_stands_in_an_output_or_the_benchmark(
    stored,
):
    printed = text_of(stored) + readme_section("What the benchmark measured")
    no_figures = r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|```.*?```|arXiv \S+"
    for source in prose(stored):
        text = re.sub(no_figures, "", source, flags=re.S)
        for number in re.findall(r"\d+(?:\.\d+)?%|\d+\.\d+", text):
            assert number in FACTS or number in printed, (number, source[:80])


def test_every_figure_of_the_readme_s_table_stands_in_an_output(stored):
    table, printed = readme_section("What the stored run measured"), text_of(stored)
    numbers = re.findall(r"\d+(?:\.\d+)?%", table)
    assert len(numbers) > 15
    for number in numbers:
        assert number in FACTS or number in printed, number


def test_the_shares_of_the_prose_are_those_that_the_output_gives_their_names(stored):
    """Not only somewhere: the deletion's figures stand in the deletion's lines."""
    printed, text = text_of(stored), "\n".join(prose(stored))
    share = r"(\d+\.\d%)"
    told = re.search(rf"class has changed for {share} .*?reaches {share}", text, re.S)
    found = dict(re.findall(rf"(?m)^class changed by 30%, (.*): {share}", printed))
    assert len(found) == 6
    assert told.group(1) == found.pop("contrast")
    assert told.group(2) == max(found.values(), key=lambda x: float(x[:-1]))
    patches = re.search(r"contrast and patches: (\d\.\d\d)", printed).group(1)
    assert f"A rank correlation of {patches}" in text
    blurred = re.search(r"blurred ink: ([+-]\d\.\d\d)", printed).group(1)
    assert f"correlates with the map at {blurred}" in text


def test_the_notebook_keeps_to_its_size(stored):
    """Few cells, most of them short: if it does not fit, the lesson has too much."""
    cells = code_cells(stored)
    lines = [len(code_lines(cell)) for cell in cells]
    assert len(cells) <= 45
    assert statistics.median(lines) <= 8
    assert sum(lines) <= 440


def test_every_code_cell_has_prose_before_it_and_at_most_twenty_lines(stored):
    for before, cell in zip(stored.cells, stored.cells[1:]):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            lines = code_lines(cell)
            assert len(lines) <= 20, lines[0]


def test_headings_are_in_order_with_one_title(stored):
    text = re.sub(r"```.*?```", "", "\n".join(prose(stored)), flags=re.S)
    levels = [len(mark) for mark in re.findall(r"(?m)^(#+) ", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_no_line_of_code_is_wider_than_a_page(stored):
    lines = [line for cell in code_cells(stored) for line in cell.source.splitlines()]
    assert max(map(len, lines)) <= 88


def test_the_readme_s_picture_is_the_stored_grid(stored):
    grid = (ROOT / ".github" / "grid.png").read_bytes()
    pictures = [
        base64.b64decode(o.data["image/png"])
        for c in code_cells(stored)
        for o in c.outputs
        if "image/png" in o.get("data", {}) and "nine test digits" in str(o.metadata)
    ]
    assert pictures == [grid]


def test_ruff_has_nothing_to_say():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(ROOT)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_notebook_is_valid(stored):
    nbformat.validate(stored)


def test_the_top_level_holds_four_things():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {path.split("/")[0] for path in tracked}
    plain = {name for name in top if not name.startswith(".")}
    assert plain == {"cam_mnist.ipynb", "requirements.txt", "README.md", "tests"}
