"""The README's commands, and the pages that they make."""

import re
import shlex
import shutil
import subprocess
import sys

import nbformat
import pytest

from conftest import ROOT, code_cells
from lesson import pictures_of, tags_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONVERT = sorted(set(re.findall(r"nbconvert (--config [^`\n&]*?\.ipynb)", README)))


def convert(folder, options):
    """Run one of the README's conversions in a folder, as it stands there."""
    command = [sys.executable, "-m", "jupyter", "nbconvert", *shlex.split(options)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def project(folder, notebook):
    shutil.copy(ROOT / ".nbconvert.py", folder)
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    return folder


def small(last):
    """A notebook of a few cells, the last but one with that code."""
    figure = """
import io, matplotlib.pyplot as plt
from IPython.display import Image, display
file = io.BytesIO()
plt.figure(figsize=(1, 1)).savefig(file)
display(Image(file.getvalue(), metadata={"alt": 'a "figure" & its <words>'}))"""
    new = nbformat.v4.new_code_cell
    cells = [nbformat.v4.new_markdown_cell("# Title"), new(figure, id="draws")]
    cells += [new("pass") for _ in range(11)]
    cells += [new(last, id="last-but-one"), new("print('the ' + 'end')")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def test_the_readme_has_two_commands_of_one_line_that_ci_runs():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    assert len(blocks) == 2
    assert all(len(block.strip().splitlines()) == 1 for block in blocks)
    run, test = blocks
    assert "-r requirements.txt" in run and "--execute" in run
    assert "-r tests/requirements.txt" in test and "pytest tests" in test


def test_it_names_a_run_a_page_slides_and_a_handout():
    kinds = " ".join(CONVERT)
    for option in ("--execute --to html", "--to slides", "--output handout"):
        assert option in kinds
    assert any("--execute" not in c and "--to html" in c for c in CONVERT)


def the_run():
    return next(command for command in CONVERT if "--execute" in command)


def test_a_run_says_how_far_it_is_and_keeps_the_words_under_pictures(tmp_path):
    done = convert(project(tmp_path, small("1 + 1")), the_run())
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^0:\d\d  cell 1 of 14, draws$", done.stderr)
    page = (tmp_path / ".output" / "cam_mnist.html").read_text(encoding="utf-8")
    assert "alt='a \"figure\" &amp; its &lt;words&gt;'" in page and "the end" in page


def test_a_run_that_fails_names_the_cell_and_keeps_the_page_so_far(tmp_path):
    done = convert(
        project(tmp_path, small("raise ValueError('no ' + 'luck')")), the_run()
    )
    assert done.returncode != 0
    *_, last = done.stderr.strip().splitlines()
    assert "cell 13 of 14, last-but-one" in last and "stopped.html" in last
    assert "ValueError" in done.stderr and "nbclient" not in done.stderr
    page = (tmp_path / ".output" / "stopped.html").read_text(encoding="utf-8")
    assert "no luck" in page and "figure" in page and "the end" not in page


@pytest.fixture(scope="module")
def made(tmp_path_factory, stored):
    """The folder of what the README's commands make of the stored notebook."""
    folder = project(tmp_path_factory.mktemp("made"), stored)
    for options in CONVERT:
        if "--execute" not in options:
            done = convert(folder, options)
            assert done.returncode == 0, done.stderr
    return folder / ".output"


def words_in(notebook):
    return [p["alt"] for cell in code_cells(notebook) for _, p in pictures_of(cell)]


def test_the_page_for_reading_has_our_words_under_all_pictures(made, stored):
    from bs4 import BeautifulSoup

    soup = BeautifulSoup((made / "cam_mnist.html").read_text("utf-8"), "html.parser")
    found = [image["alt"] for image in soup.find_all("img")]
    assert set(words_in(stored)) <= set(found)
    assert not [words for words in found if len(words) <= 20]
    assert not [words for words in found if "description" in words]


def test_slides_have_pictures_with_words_no_code_and_no_exercises(made, stored):
    from bs4 import BeautifulSoup

    page = (made / "cam_mnist.slides.html").read_text("utf-8")
    soup = BeautifulSoup(page, "html.parser")
    lesson = [c for c in code_cells(stored) if "exercise" not in tags_of(c)]
    found = [image["alt"] for image in soup.find_all("img")]
    for cell in lesson:
        assert {p["alt"] for _, p in pictures_of(cell)} <= set(found)
    headings = [h.text for h in soup.find_all("h3")]
    assert headings and not [h for h in headings if h.startswith("Exercise")]
    assert not soup.select(".jp-CodeCell .jp-InputArea")
    assert len(soup.select(".slides > section > section")) >= 40
    assert "overflow: auto" in page  # a slide that is too high scrolls


def test_the_handout_is_the_notebook_without_solutions(made, stored):
    handout = nbformat.read(made / "handout.ipynb", 4)
    kept = [cell.source for cell in handout.cells]
    asked = [cell.source for cell in stored.cells if "solution" not in tags_of(cell)]
    assert kept == asked and len(kept) < len(stored.cells)
    assert "Show the solution" not in "\n".join(kept)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_on_the_page_is_wider_than_the_screen(made, width):
    browser_tools = pytest.importorskip("browser")
    if not browser_tools.CHROMIUM:
        pytest.skip("no chromium on this machine")
    with (
        browser_tools.open_browser() as browser,
        browser_tools.offline(
            browser, viewport={"width": width, "height": 844}
        ) as context,
    ):
        page = context.new_page()
        page.goto((made / "cam_mnist.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        pictures = page.evaluate(
            "[...document.images].map(i => i.getBoundingClientRect().right)"
        )
    assert wide <= width and max(pictures) <= width
