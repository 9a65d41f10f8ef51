"""What stands in the repository: stored outputs, pictures, links, references, style."""

import ast
import base64
import json
import re
import subprocess
import symtable
import sys

import nbformat
import pytest

import tables
from lesson import (
    NOTEBOOK,
    ROOT,
    cell_named,
    code_cells,
    digest_of_code,
    pictures_of,
    tags_of,
)


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def test_outputs_come_from_one_clean_run_of_the_code_as_it_stands(stored):
    """After a change of code: python tests/tools/store_outputs.py"""
    assert stored.metadata["outputs_of_code"] == digest_of_code(stored)
    cells = code_cells(stored)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    kinds = {(o.output_type, o.get("name")) for o in outputs}
    assert kinds <= {("stream", "stdout"), ("display_data", None)}
    text = json.dumps([dict(o) for o in outputs])
    assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|Users)/", text)
    assert "WARNING" not in text and "\\r" not in text


def test_the_file_is_valid_small_without_widgets_and_says_that_it_is_python(stored):
    """`nbconvert --to script` writes a .py only if the file says so."""
    nbformat.validate(stored)
    assert NOTEBOOK.stat().st_size <= 4e6 and "widgets" not in stored.metadata
    assert stored.metadata["language_info"]["file_extension"] == ".py"
    assert stored.metadata["title"].startswith("Where does a CNN look?")


def test_every_picture_has_words_is_sharp_and_stands_there_once(stored):
    shown = [p for cell in code_cells(stored) for p in pictures_of(cell)]
    assert len(shown) >= 20
    for picture, about in shown:
        assert len(about["alt"]) > 20
        width = int.from_bytes(base64.b64decode(picture)[16:20], "big")
        assert abs(width - 2 * about["width"]) <= 1  # twice that at which it is shown
    pictures = [picture for picture, _ in shown]
    for cell in stored.cells:
        attached = cell.get("attachments", {})
        pictures += [picture["image/png"] for picture in attached.values()]
        used = re.findall(r"!\[([^\]]*)\]\(attachment:([^)]+)\)", cell.source)
        assert {name for _, name in used} == set(attached)
        assert all(len(words) > 50 for words, _ in used)
    decoded = [base64.b64decode(picture) for picture in pictures]
    assert len(decoded) == len(set(decoded))


def test_links_within_the_notebook_lead_to_places_in_it(stored):
    """A place is an id that a cell's text begins with; outside of it, no address."""
    text = "\n".join(prose(stored))
    places = re.findall(r'<span id="([\w-]+)"></span>', text)
    assert len(places) == len(set(places))
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) >= 15 and set(links) <= set(places)


def test_what_is_cited_is_listed_and_what_is_listed_is_cited(stored):
    """A citation: names and a year, in text or in a comment."""
    text, listed = "\n".join(prose(stored)).split("## References")
    listed = re.findall(r"(?m)^- (.+\((?:19|20)\d\d\).*)$", listed)
    code = [c.source for c in code_cells(stored) if "live-page" not in tags_of(c)]
    name = r"[A-ZÀ-Ž][\w\-]+"
    chain = rf"({name}(?: et al\.|(?:,? (?:and )?{name})+)?)(?:'s)?,? "
    found = re.findall(rf"{chain}\(?((?:19|20)\d\d)\b", "\n".join([text, *code]))
    cites = [(re.findall(name, names), f"({year})") for names, year in found]

    def fits(cite, line):
        names, year = cite
        return year in line and any(one in line for one in names)

    assert len(listed) >= 20
    assert not [c for c in cites if not any(fits(c, line) for line in listed)]
    assert not [line for line in listed if not any(fits(c, line) for c in cites)]


def test_headings_are_in_order_with_one_title(stored):
    text = re.sub(r"```.*?```", "", "\n".join(prose(stored)), flags=re.S)
    levels = [len(mark) for mark in re.findall(r"(?m)^(#+) ", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_no_line_of_code_is_cut_off_in_print_or_on_a_phone(stored):
    """Nor in the text, where Ruff does not look."""
    sources = re.findall(r"```python\n(.*?)```", "\n".join(prose(stored)), re.S)
    sources += [c.source for c in code_cells(stored) if "live-page" not in tags_of(c)]
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
    command = [sys.executable, "-m", "ruff", *command, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_notebook_stands_alone_and_the_top_level_holds_four_things(stored):
    text = "\n".join(cell.source for cell in code_cells(stored))
    imported = set(re.findall(r"(?m)^\s*(?:import|from) (\w+)", text))
    modules = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {"tests"}
    assert imported and not imported & modules
    command = ["git", "ls-files"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    top = {path.split("/")[0] for path in done.stdout.split()}
    seen = {name for name in top if not name.startswith(".")}
    assert seen == {"cam_mnist.ipynb", "requirements.txt", "README.md", "tests"}


def test_the_live_page_takes_no_name_from_the_lesson(stored):
    """After all cells have run, any cell runs again, and exercises are checked."""
    taken, used = set(), set()
    for cell in code_cells(stored):
        if "live-page" in tags_of(cell):
            symbols = symtable.symtable(cell.source, cell.id, "exec").get_symbols()
            taken |= {name.get_name() for name in symbols if name.is_assigned()}
        else:
            nodes = ast.walk(ast.parse(cell.source))
            used |= {node.id for node in nodes if isinstance(node, ast.Name)}
    assert "told" in taken and not taken & used
