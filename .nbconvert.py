"""Pages of the notebook: jupyter nbconvert --config .nbconvert.py …

… --execute --to html cam_mnist.ipynb   runs it: .output/cam_mnist.html
… --to html cam_mnist.ipynb             a page for reading, without a run
… --to slides cam_mnist.ipynb           pictures and text, no exercises
… --to notebook --output handout cam_mnist.ipynb      without solutions
"""

import html
import sys
import time
from pathlib import Path

from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import Preprocessor

c = get_config()  # noqa: F821
c.FilesWriter.build_directory = ".output"
c.KernelManager.transport_encryption = "auto"

# Lines that are short enough to read; wide things scroll by themselves.
PAGE = """
main { max-width: 1040px; margin: auto; }
.jp-OutputArea-output, .jp-RenderedMarkdown,
.jp-InputArea-editor .highlight { overflow-x: auto; }
.jp-OutputArea-output pre { white-space: pre; }
main img { max-width: 100%; height: auto; }
@media (max-width: 640px) {
  body.jp-Notebook { padding: 0 8px; }
  .jp-InputPrompt, .jp-OutputPrompt { display: none; }
}
"""
# A slide that is too high scrolls; figures fill its width or 420 pixels.
SLIDES = """
.reveal .slides section section { max-height: 540px; overflow: auto; }
.reveal .slides h1 { font-size: 44px !important; }
.reveal .jp-OutputArea-output img {
  width: 96%; height: auto; max-height: 420px; object-fit: contain;
}
"""


class OurWords(Preprocessor):
    """Put the words for each picture, and a style, into a page."""

    def preprocess(self, nb, resources):
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    output.data["text/html"] = picture(output)
        style = SLIDES if "reveal" in resources else PAGE
        nb.cells[0].source += f"\n\n<style>{style}</style>"
        return nb, resources


def picture(output):
    """The HTML of a picture, with the words that it came with."""
    about = output.metadata.get("image/png", {})
    width = f' width="{about["width"]}"' if "width" in about else ""
    words = html.escape(about.get("alt", "a picture without words"))
    data = output.data["image/png"].replace("\n", "")
    return f'<img{width} alt="{words}" src="data:image/png;base64,{data}">'


c.HTMLExporter.preprocessors = [OurWords]
slides, remove = c.SlidesExporter, "TagRemovePreprocessor"
slides.template_name = "reveal"
slides.exclude_input = True
slides.exclude_input_prompt = slides.exclude_output_prompt = True
slides.reveal_width, slides.reveal_height = "1024", "576"
slides[remove].update(enabled=True, remove_cell_tags={"exercise"})
handout = c.NotebookExporter
handout[remove].update(enabled=True, remove_cell_tags={"solution"})

run = {}  # what is being executed: notebook, ids of code cells, beginning


def start(notebook):
    code = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    run.update(notebook=notebook, code=code, began=time.monotonic())


def place(cell):
    number = run["code"].index(cell.id) + 1
    return f"cell {number} of {len(run['code'])}, {cell.id}"


def say(cell, cell_index):
    """A line that changes on a terminal; in a log, every tenth cell."""
    seconds = round(time.monotonic() - run["began"])
    line = f"{seconds // 60}:{seconds % 60:02d}  {place(cell)}"
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif run["code"].index(cell.id) % 10 == 0:
        print(line, file=sys.stderr, flush=True)


def end(notebook):
    if sys.stderr.isatty():
        print(file=sys.stderr)


def failed(cell, cell_index, execute_reply):
    """Keep the page of what ran; end with the cell's name and error."""
    exporter = HTMLExporter(preprocessors=[OurWords])  # executes nothing
    page, _ = exporter.from_notebook_node(run["notebook"])
    path = Path(c.FilesWriter.build_directory) / "stopped.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page, encoding="utf-8")
    words = "\n".join(execute_reply["content"]["traceback"])
    words += f"\nStopped at {place(cell)}. What ran so far: {path}"
    sys.excepthook = lambda *long: print(words, file=sys.stderr)


c.ExecutePreprocessor.on_notebook_start = start
c.ExecutePreprocessor.on_cell_execute = say
c.ExecutePreprocessor.on_notebook_complete = end
c.ExecutePreprocessor.on_cell_error = failed
