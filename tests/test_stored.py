"""What stands in the repository: stored outputs, prose, pictures, style."""

import ast
import base64
import builtins
import io
import json
import re
import subprocess
import sys

import nbformat
import PIL.Image
import pytest

from conftest import (
    ATTACHED,
    NOTEBOOK,
    ROOT,
    cell_named,
    code_cells,
    digest_of_code,
    pictures_of,
    reported,
    tags_of,
    text_of,
)
from record_page import name_of
from tables import README, filled
from test_live_page import live_html

LIVE = "live", "live-still"  # the README's pictures of the live page

# Figures of the literature and of the licence, and the lesson's own settings.
FACTS = {"0.3", "1.96", "42.9 %", "37.1 %", "26.7 %"}
FACTS |= {"30 %", "50 %", "75 %", "95 %", "100 %"}


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def lesson(notebook):
    """Prose without formulas, code, links, references, folded answers, exercises."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "exercise" not in tags_of(cell):
            text = cell.source.split("## References")[0]
            no_figures = r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<details>.*?</details>"
            text = re.sub(no_figures, "", text, flags=re.S)
            yield re.sub(r"\]\([^)]*\)|arXiv \S+", "", text)


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
    assert NOTEBOOK.stat().st_size <= 4e6


def test_every_picture_comes_with_words(stored):
    pictures = [p for cell in code_cells(stored) for p in pictures_of(cell)]
    assert len(pictures) >= 14
    for _, metadata in pictures:
        assert len(metadata["alt"]) > 20


def test_every_picture_is_sharp(stored):
    """Twice the pixels of the size at which it is shown."""
    for cell in code_cells(stored):
        for picture, metadata in pictures_of(cell):
            width = int.from_bytes(base64.b64decode(picture)[16:20], "big")
            assert abs(width - 2 * metadata["width"]) <= 1


@pytest.mark.parametrize("text, name, source", ATTACHED)
def test_pictures_that_open_a_part_are_those_of_the_stored_run(
    stored, text, name, source
):
    cell = cell_named(stored, text)
    alt = re.search(rf"!\[([^\]]+)\]\(attachment:{name}\)", cell.source)
    assert len(alt.group(1)) > 50
    ((picture, _),) = pictures_of(cell_named(stored, source))
    attached = cell.attachments[name]["image/png"]
    assert base64.b64decode(attached) == base64.b64decode(picture)


def test_the_pictures_of_the_live_page_are_of_the_stored_page(stored):
    """Each tells of which page it is: python tests/store_outputs.py films it anew."""
    cell = cell_named(stored, "live-page-text")
    pictures = [base64.b64decode(cell.attachments["live-page.png"]["image/png"])]
    pictures += [(ROOT / ".github" / f"{n}.png").read_bytes() for n in LIVE]
    name = name_of(live_html(stored))
    assert [PIL.Image.open(io.BytesIO(p)).info["page"] for p in pictures] == [name] * 3


def local_names(statement):
    """The names that comprehensions and lambdas keep for themselves."""
    for node in ast.walk(statement):
        own = {arg.arg for arg in node.args.args} if type(node) is ast.Lambda else set()
        for generator in getattr(node, "generators", []):
            own |= {n.id for n in ast.walk(generator.target) if type(n) is ast.Name}
        if own:
            names = [n for n in ast.walk(node) if type(n) is ast.Name]
            yield from (n for n in names if n.id in own)


def names_of(code):
    """Names that code binds outside of functions, and those that it reads before."""
    bound, read = set(), set()
    for statement in ast.parse(code).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            bound.add(statement.name)
            continue
        local = {id(name) for name in local_names(statement)}
        names = [n for n in ast.walk(statement) if type(n) is ast.Name]
        names = [n for n in names if id(n) not in local]
        binds = {n.id for n in names if type(n.ctx) is not ast.Load}
        reads = {n.id for n in names if type(n.ctx) is ast.Load}
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            binds |= {alias.asname or alias.name for alias in statement.names}
        # an assignment's right side comes first; a loop binds before it reads
        before = reads if type(statement) is ast.Assign else reads - binds
        read |= before - bound
        bound |= binds
    return bound, read - set(dir(builtins))


def test_no_part_spoils_a_name_that_another_part_reads(stored):
    """So that every part can be run again, after whichever other."""
    code, part = {}, 0
    for cell in stored.cells:
        heading = re.match(r"## Part (\d)", cell.source)
        part = int(heading[1]) if heading else part
        if cell.cell_type == "code":
            code[part] = code.get(part, "") + "\n" + cell.source
    names = {part: names_of(text) for part, text in code.items()}
    assert len(names) == 8
    for part, (_, read) in names.items():
        for name in read:
            binders = [p for p, (bound, _) in names.items() if name in bound]
            assert len(binders) <= 1, f"part {part} reads {name}, bound in {binders}"


def test_the_notebook_opens_with_a_picture(stored):
    assert list(stored.cells[0].attachments) == ["the-sum.png"]


def test_the_numbers_of_the_opening_are_those_of_the_sum(stored):
    """Each contribution that the opening names stands in the cell that prints them."""
    printed = "".join(
        o.get("text", "") for o in cell_named(stored, "contributions").outputs
    )
    named = re.findall(r"[+−]\d+\.\d\d", stored.cells[0].source)
    assert len(named) >= 5
    added = re.findall(r"= ([+-]\d+\.\d\d)", printed)
    told = [n.replace("−", "-") for n in named]
    assert told[:2] == added[:2] and told[2] == added[-1]
    rest = re.search(r"the others together: (\d+\.\d\d)", text_of(stored)).group(1)
    assert told[3] == f"+{rest}"
    score = re.search(r"score for it, (\d+\.\d\d)", stored.cells[0].source).group(1)
    logit = re.search(
        r"the network's logit (\d+\.\d\d)",
        "".join(o.get("text", "") for o in cell_named(stored, "account").outputs),
    )
    assert abs(float(score) - float(logit.group(1))) <= 0.011


def test_attachments_are_used_and_used_ones_are_there(stored):
    for cell in stored.cells:
        used = set(re.findall(r"\]\(attachment:([^)]+)\)", cell.source))
        assert used == set(cell.get("attachments", {}))


def test_the_contents_list_leads_to_headings(stored):
    """As JupyterLab and nbconvert name them: the heading with hyphens for spaces."""
    text = "\n".join(prose(stored))
    anchors = {h.replace(" ", "-") for h in re.findall(r"(?m)^#+ (.+)$", text)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) >= 8 and set(links) <= anchors


def plain(text):
    """The same text with every percentage written alike."""
    return re.sub(r"(\d) ?%", r"\1 %", text)


def test_every_measured_number_in_the_prose_stands_in_an_output_or_the_benchmark(
    stored,
):
    tables = README.read_text(encoding="utf-8").split("<!-- figures -->")
    printed = plain(text_of(stored) + tables[1])
    _, *later = lesson(stored)  # the opening's numbers have a test of their own
    for text in later:
        for number in re.findall(r"\d+(?:\.\d+)? %|\d+\.\d+", plain(text)):
            whole = rf"(?<![\d.]){re.escape(number)}(?![\d])"  # not 7.0 in 97.0
            assert number in FACTS or re.search(whole, printed), (number, text[:80])


def test_the_readme_s_tables_are_those_of_what_was_measured():
    """After a measurement, or after storing outputs: python tests/tables.py"""
    text = README.read_text(encoding="utf-8")
    assert filled(text) == text


def test_no_figure_of_the_readme_is_typed_by_hand():
    """Outside its tables it has no percentage but that of the intervals."""
    text = README.read_text(encoding="utf-8")
    outside = re.sub(r"<!-- \w+ -->.*?<!-- end -->", "", text, flags=re.S)
    assert set(re.findall(r"\d+(?:\.\d+)? ?%", outside)) == {"95 %"}


def test_the_findings_in_the_text_are_those_of_the_outputs(stored):
    """Not only somewhere: who beats whom, in the lines that say so."""
    values = reported(stored)
    means = {name: mean for name, (mean, _) in values.items()}
    ends = {name: mean - half for name, (mean, half) in values.items()}
    text = "\n".join(prose(stored))
    assert "the contrast beats all four orders that know no class, and gradient" in text
    for name in ("random patches", "top rows", "brightest", "random pixels"):
        assert ends[f"contrast ahead of {name}"] > 0
        assert ends[f"contrast ahead of {name}, in area"] > 0
    for where in ("", ", in area"):
        mean, half = values[f"contrast ahead of gradient × input{where}"]
        assert mean + half < 0
    assert "that beats the contrast, but not gradient × input" in text
    assert means["changed at 30%, contrast × input"] > means["changed at 30%, contrast"]
    assert ends["gradient × input ahead of contrast × input"] > 0
    assert "the contrast is ahead of ink and position, and behind gradient" in text
    for name in ("ink", "position alone"):
        assert ends[f"summed contrast ahead, {name}"] > 0
    mean, half = values["summed contrast ahead, gradient × input"]
    assert mean + half < 0
    assert "Two other classes are hardly ahead of random patches, if at all." in text
    mean, half = values["two other classes ahead of random patches"]
    assert mean - half < 0.02
    assert "In this run the square beats the outline" in text
    assert ends["square ahead of the map"] > 0
    assert "The ink box wins" in text
    for name in ("map alone", "square around the peak"):
        assert ends["ink in best window"] > sum(values[name])
    assert "Only the raw map comes close." in text
    assert means["raw map of the class"] > 0.9 > means["brightest pixel"]


def test_every_code_cell_has_prose_before_it(stored):
    for before, cell in zip(stored.cells, stored.cells[1:]):
        if cell.cell_type == "code" and "exercise" not in tags_of(cell):
            assert before.cell_type == "markdown", cell.source[:60]


def test_headings_are_in_order_with_one_title(stored):
    text = re.sub(r"```.*?```", "", "\n".join(prose(stored)), flags=re.S)
    levels = [len(mark) for mark in re.findall(r"(?m)^(#+) ", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_no_line_of_code_is_cut_off_in_print_or_on_a_phone(stored):
    cells = [c for c in code_cells(stored) if "live-page" not in tags_of(c)]
    lines = [line for cell in cells for line in cell.source.splitlines()]
    assert max(map(len, lines)) <= 76


def test_the_readme_s_picture_is_the_stored_grid(stored):
    grid = (ROOT / ".github" / "grid.png").read_bytes()
    ((picture, _),) = pictures_of(cell_named(stored, "grid"))
    assert base64.b64decode(picture) == grid


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


def test_other_tools_know_that_it_is_python(stored):
    """`nbconvert --to script` writes a .py only if the file says so."""
    assert stored.metadata["language_info"]["file_extension"] == ".py"
    assert stored.metadata["title"].startswith("Where does a CNN look?")


def test_the_top_level_holds_four_things():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {path.split("/")[0] for path in tracked}
    plain_names = {name for name in top if not name.startswith(".")}
    assert plain_names == {
        "cam_mnist.ipynb",
        "requirements.txt",
        "README.md",
        "tests",
    }
