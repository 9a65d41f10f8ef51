"""What stands in the repository: stored outputs, pictures, links, references, style."""

import base64
import json
import re
import subprocess
import sys

import nbformat
import pytest

import tables
from conftest import NOTEBOOK, ROOT, cell_named, code_cells
from lesson import digest_of_code, pictures_of, tags_of


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def test_outputs_come_from_one_clean_run(stored):
    cells = code_cells(stored)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    assert outputs
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    text = json.dumps([dict(o) for o in outputs])
    assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|Users)/", text)
    assert "WARNING" not in text and "\\r" not in text


def test_outputs_come_from_the_code_as_it_stands(stored):
    """After a change of code: python tests/tools/store_outputs.py"""
    assert stored.metadata["outputs_of_code"] == digest_of_code(stored)


def test_no_widget_state_is_stored_and_the_file_is_small(stored):
    assert "widgets" not in stored.metadata
    assert NOTEBOOK.stat().st_size <= 4e6


def test_every_picture_comes_with_words_and_is_sharp(stored):
    pictures = [p for cell in code_cells(stored) for p in pictures_of(cell)]
    assert len(pictures) >= 20
    for picture, about in pictures:
        assert len(about["alt"]) > 20
        width = int.from_bytes(base64.b64decode(picture)[16:20], "big")
        assert abs(width - 2 * about["width"]) <= 1  # twice that at which it is shown


def test_attached_pictures_are_there_used_and_described(stored):
    for cell in stored.cells:
        used = re.findall(r"!\[([^\]]*)\]\(attachment:([^)]+)\)", cell.source)
        assert {name for _, name in used} == set(cell.get("attachments", {}))
        assert all(len(words) > 50 for words, _ in used)


def test_no_picture_is_stored_twice(stored):
    pictures = [
        picture for cell in code_cells(stored) for picture, _ in pictures_of(cell)
    ]
    for cell in stored.cells:
        for attached in cell.get("attachments", {}).values():
            pictures.append(attached["image/png"])
    decoded = [base64.b64decode(picture) for picture in pictures]
    assert len(decoded) == len(set(decoded))


def test_links_within_the_notebook_lead_to_places_in_it(stored):
    """A place is an id that a cell's text begins with; outside of it, no address."""
    text = "\n".join(prose(stored))
    places = re.findall(r'<span id="([\w-]+)"></span>', text)
    assert len(places) == len(set(places))
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) >= 15 and set(links) <= set(places)


def references(notebook):
    (cell,) = (c for c in notebook.cells if "## References" in c.source)
    text, listed = cell.source.split("## References")
    lines = re.findall(r"(?m)^- (.+)$", listed)
    return text, [line for line in lines if re.search(r"\((?:19|20)\d\d\)", line)]


def cited(notebook):
    """Who is cited in text and comments, in which year: pairs of names and a year."""
    text, _ = references(notebook)
    sources = [text, *(t for t in prose(notebook) if "## References" not in t)]
    sources += [c.source for c in code_cells(notebook) if "live-page" not in tags_of(c)]
    name = r"[A-ZÀ-Ž][\w\-]+"
    chain = rf"{name}(?: et al\.|(?:,? (?:and )?{name})+)?"
    found = re.findall(rf"({chain})(?:'s)?,? \(?((?:19|20)\d\d)\b", "\n".join(sources))
    return [(re.findall(name, names), year) for names, year in found]


def test_what_is_cited_is_listed_and_what_is_listed_is_cited(stored):
    _, listed = references(stored)
    assert len(listed) >= 20

    def fits(names, year, line):
        return f"({year})" in line and any(name in line for name in names)

    cites = cited(stored)
    missing = [c for c in cites if not any(fits(*c, line) for line in listed)]
    unused = [line for line in listed if not any(fits(*c, line) for c in cites)]
    assert not missing, missing
    assert not unused, unused


def test_headings_are_in_order_with_one_title(stored):
    text = re.sub(r"```.*?```", "", "\n".join(prose(stored)), flags=re.S)
    levels = [len(mark) for mark in re.findall(r"(?m)^(#+) ", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_no_line_of_code_is_cut_off_in_print_or_on_a_phone(stored):
    sources = [c.source for c in code_cells(stored) if "live-page" not in tags_of(c)]
    for text in prose(stored):
        sources += re.findall(r"```python\n(.*?)```", text, re.S)
    assert max(len(line) for text in sources for line in text.splitlines()) <= 76


def test_the_readme_s_picture_is_the_stored_grid(stored):
    grid = (ROOT / ".github" / "grid.png").read_bytes()
    ((picture, _),) = pictures_of(cell_named(stored, "grid"))
    assert base64.b64decode(picture) == grid


def test_the_tables_are_those_of_what_was_measured():
    """After a measurement, or after storing outputs: python tests/tools/tables.py"""
    assert tables.PATH.read_text(encoding="utf-8") == tables.make()


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_notebook_is_valid_and_says_that_it_is_python(stored):
    """`nbconvert --to script` writes a .py only if the file says so."""
    nbformat.validate(stored)
    assert stored.metadata["language_info"]["file_extension"] == ".py"
    assert stored.metadata["title"].startswith("Where does a CNN look?")


def test_the_notebook_imports_nothing_from_the_project(stored):
    modules = [p.stem for p in (ROOT / "tests").rglob("*.py")] + ["tests"]
    text = "\n".join(cell.source for cell in code_cells(stored))
    imported = re.findall(r"(?m)^\s*(?:import|from) (\w+)", text)
    assert imported and not set(imported) & set(modules)


def test_the_top_level_holds_four_things():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {path.split("/")[0] for path in tracked}
    seen = {name for name in top if not name.startswith(".")}
    assert seen == {"cam_mnist.ipynb", "requirements.txt", "README.md", "tests"}
