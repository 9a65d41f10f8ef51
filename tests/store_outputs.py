"""Run the notebook and store its outputs in it: python tests/store_outputs.py

For whoever changes the notebook. It stores what one clean run of the code as it stands
has left, puts the pictures that open parts in place, films the live page, and makes the
README's grid and tables. The pictures are packed more tightly, pixel by pixel the same,
so that the file stays small: this needs `pip install pyoxipng`, and the film needs the
tests' browser.
"""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import oxipng

import network_picture
from conftest import (
    ATTACHED,
    NOTEBOOK,
    ROOT,
    cell_named,
    code_cells,
    digest_of_code,
    load_functions,
    load_mnist,
    pictures_of,
    read_notebook,
    run_notebook,
)
from record_page import film
from tables import README, filled

SAVE = 'model.save("model.keras")'
KEPT = "kernelspec", "language_info", "title"


def packed(picture):
    """The same PNG in base64, packed more tightly."""
    smaller = oxipng.optimize_from_memory(base64.b64decode(picture), level=3)
    return base64.b64encode(smaller).decode()


def attach(cell, name, picture):
    """Attach a PNG in base64 to a Markdown cell."""
    cell.attachments = {name: {"image/png": picture.replace("\n", "")}}


with TemporaryDirectory() as folder:
    before = read_notebook().metadata
    run = run_notebook(Path(folder), probe=SAVE, watch_figures=False)
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    functions = load_functions()
    model = functions.keras.models.load_model(Path(folder) / "model.keras")

notebook = run.notebook
notebook.cells.pop()  # the one that saved the model
notebook.metadata = nbformat.from_dict({k: before[k] for k in KEPT if k in before})
notebook.metadata["outputs_of_code"] = digest_of_code(notebook)
for cell in code_cells(notebook):
    cell.metadata.pop("execution", None)
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = packed(output.data["image/png"])

for cell, name, source in ATTACHED:
    ((picture, _),) = pictures_of(cell_named(notebook, source))
    attach(cell_named(notebook, cell), name, picture)
network = network_picture.draw(functions, model, load_mnist()["x_test"][4])
network = packed(base64.b64encode(network))
attach(cell_named(notebook, "part-1"), "network.png", network)
((grid, _),) = pictures_of(cell_named(notebook, "grid"))
(ROOT / ".github" / "grid.png").write_bytes(base64.b64decode(grid))
still = ROOT / ".github" / "live-still.png"
film(notebook, ROOT / ".github" / "live.png", still)
page = base64.b64encode(still.read_bytes()).decode()
attach(cell_named(notebook, "live-page-text"), "live-page.png", page)
nbformat.write(notebook, NOTEBOOK)
README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
print(f"stored: {run.seconds:.0f} s, {run.peak / 1e9:.2f} GB at the peak")
