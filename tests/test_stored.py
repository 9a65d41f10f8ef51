"""What stands in the repository: stored outputs, prose, pictures, style."""

import base64
import json
import re
import subprocess
import sys

import nbformat
from conftest import NOTEBOOK, ROOT, code_cells, text_of

# Figures that the lesson takes from the literature, or that are its own settings.
FACTS = {"37.1%", "34.2%", "20%", "95%", "30%", "2.18"}


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


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
    assert len(pictures) >= 12
    for picture in pictures:
        assert len(picture.metadata["image/png"]["alt"]) > 20


def test_every_measured_number_in_the_prose_stands_in_an_output(stored):
    printed = text_of(stored)
    for source in prose(stored):
        text = re.sub(
            r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|```.*?```|arXiv \S+", "", source, flags=re.S
        )
        for number in re.findall(r"\d+(?:\.\d+)?%|\d+\.\d+", text):
            assert number in FACTS or number in printed, (number, source[:80])


def test_every_figure_of_the_readme_s_table_stands_in_an_output(stored):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("## What the stored run measured")[1].split("## Licence")[0]
    for number in re.findall(r"\d+(?:\.\d+)?%", table):
        assert number in FACTS or number in text_of(stored), number


def test_every_code_cell_has_prose_before_it_and_at_most_twenty_lines(stored):
    for before, cell in zip(stored.cells, stored.cells[1:]):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 20, lines[0]


def test_headings_are_in_order_with_one_title(stored):
    text = re.sub(r"```.*?```", "", "\n".join(prose(stored)), flags=re.S)
    levels = [len(mark) for mark in re.findall(r"(?m)^(#+) ", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


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
