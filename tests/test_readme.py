"""The README's commands, and the pages that they make."""

import re
import shlex
import shutil
import subprocess
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

from lesson import ROOT, code_cells, pictures_of, tags_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONVERT = sorted(set(re.findall(r"nbconvert (--config [^`\n&]*?\.ipynb)", README)))
(RUN,) = (options for options in CONVERT if "--execute" in options)


def convert(folder, notebook, *commands):
    """Run conversions of the README in a folder; return the last, and its output."""
    shutil.copy(ROOT / ".nbconvert.py", folder)
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    for options in commands:
        command = [sys.executable, "-m", "jupyter", "nbconvert", *shlex.split(options)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert options == RUN or done.returncode == 0, done.stderr
    return done, folder / ".output"


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
    run, test = re.findall(r"```sh\n([^\n]*)\n```", README)
    assert "-r requirements.txt" in run and f"nbconvert {RUN}" in run
    assert "-r tests/requirements.txt" in test and "pytest tests" in test
    assert README.count("```") == 4


def test_a_run_says_how_far_it_is_and_keeps_the_words_under_pictures(tmp_path):
    done, output = convert(tmp_path, small("1 + 1"), RUN)
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^0:\d\d  cell 1 of 14, draws$", done.stderr)
    page = (output / "cam_mnist.html").read_text(encoding="utf-8")
    assert "alt='a \"figure\" &amp; its &lt;words&gt;'" in page and "the end" in page


def test_a_run_that_fails_names_the_cell_and_keeps_the_page_so_far(tmp_path):
    done, output = convert(tmp_path, small("raise ValueError('no ' + 'luck')"), RUN)
    assert done.returncode != 0
    *_, last = done.stderr.strip().splitlines()
    assert "cell 13 of 14, last-but-one" in last and "stopped.html" in last
    assert "ValueError" in done.stderr and "nbclient" not in done.stderr
    page = (output / "stopped.html").read_text(encoding="utf-8")
    assert "no luck" in page and "figure" in page and "the end" not in page


@pytest.fixture(scope="module")
def made(tmp_path_factory, stored):
    """The folder of what the README's commands make of the stored notebook."""
    others = [options for options in CONVERT if options != RUN]
    return convert(tmp_path_factory.mktemp("made"), stored, *others)[1]


def words_in(cells):
    return {p["alt"] for cell in cells for _, p in pictures_of(cell)}


def page_of(path):
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    return soup, {image["alt"] for image in soup.find_all("img")}


def test_the_page_for_reading_has_our_words_under_all_pictures(made, stored):
    _, found = page_of(made / "cam_mnist.html")
    assert words_in(code_cells(stored)) <= found
    assert min(map(len, found)) > 20 and "description" not in " ".join(found)


def test_slides_have_pictures_with_words_no_code_and_no_exercises(made, stored):
    slides, found = page_of(made / "cam_mnist.slides.html")
    lesson = [c for c in code_cells(stored) if "exercise" not in tags_of(c)]
    assert words_in(lesson) <= found
    headings = [heading.text for heading in slides.find_all("h3")]
    assert headings and not [h for h in headings if h.startswith("Exercise")]
    assert not slides.select(".jp-CodeCell .jp-InputArea")
    assert len(slides.select(".slides > section > section")) >= 40
    assert "overflow: auto" in str(slides)  # a slide that is too high scrolls


def test_the_handout_is_the_notebook_without_solutions(made, stored):
    handout = nbformat.read(made / "handout.ipynb", 4)
    kept = [cell.source for cell in handout.cells]
    asked = [cell.source for cell in stored.cells if "solution" not in tags_of(cell)]
    assert kept == asked and len(kept) < len(stored.cells)
    assert "Show the solution" not in "\n".join(kept)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_on_the_page_is_wider_than_the_screen(made, width):
    web = pytest.importorskip("browser")
    if not web.CHROMIUM:
        pytest.skip("no chromium on this machine")
    screen = {"width": width, "height": 844}
    with (
        web.open_browser() as browser,
        web.offline(browser, viewport=screen) as context,
    ):
        page = context.new_page()
        page.goto((made / "cam_mnist.html").as_uri())
        right_edges = page.evaluate(
            "[document.documentElement.scrollWidth, ...[...document.images].map("
            "image => image.getBoundingClientRect().right)]"
        )
    assert len(right_edges) > 20 and max(right_edges) <= width
