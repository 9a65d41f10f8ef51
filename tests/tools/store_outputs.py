"""Run the notebook and store its outputs in it: python tests/tools/store_outputs.py

For whoever changes the notebook. It stores what one clean run of the code as it stands
has left, attaches the pictures that no cell draws (the opening's sum, the network, the
live page), films the live page, and makes the README's grid and .github/MEASURED.md.
Pictures are packed more tightly, pixel by pixel the same: `pip install pyoxipng`; the
film needs the tests' browser.
"""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import oxipng

import lesson
import network_picture
import record_page
import sum_picture
import tables

GITHUB = lesson.ROOT / ".github"
SAVE = 'model.save("model.keras")'
KEPT = "kernelspec", "language_info", "title"


def packed(png):
    """The same PNG, in base64, packed more tightly."""
    return base64.b64encode(oxipng.optimize_from_memory(png, level=6)).decode()


def attach(cell, name, png):
    """Attach a PNG to a Markdown cell, which shows it already."""
    assert f"(attachment:{name})" in cell.source, f"{cell.id} shows no {name}"
    cell.attachments = {name: {"image/png": packed(png)}}


def run():
    """Return the executed notebook and the trained network's folder's model."""
    with TemporaryDirectory() as folder:
        before = lesson.read_notebook().metadata
        done = lesson.finished(lesson.run_notebook(Path(folder), probe=SAVE))
        functions = lesson.load_functions()
        model = functions.keras.models.load_model(Path(folder) / "model.keras")
    print(f"ran for {done.seconds:.0f} s, {done.peak / 1e9:.2f} GB at the peak")
    done.notebook.cells.pop()  # the one that saved the network
    done.notebook.metadata = nbformat.from_dict(
        {key: before[key] for key in KEPT if key in before}
    )
    return done.notebook, functions, model


def main():
    notebook, functions, model = run()
    for cell in lesson.code_cells(notebook):
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = packed(base64.b64decode(picture))
    notebook.metadata["outputs_of_code"] = lesson.digest_of_code(notebook)

    digit = lesson.load_mnist()["x_test"][4]
    picture, numbers = sum_picture.draw(functions, model, digit)
    print("the opening's numbers:", *(f"{number:+.2f}" for number in numbers))
    attach(lesson.cell_named(notebook, "opening"), "the-sum.png", picture)
    picture = network_picture.draw(functions, model, digit)
    attach(lesson.cell_named(notebook, "part-1"), "network.png", picture)
    ((grid, _),) = lesson.pictures_of(lesson.cell_named(notebook, "grid"))
    (GITHUB / "grid.png").write_bytes(base64.b64decode(grid))
    still = GITHUB / "live-still.png"
    record_page.film(notebook, GITHUB / "live.png", still)
    page = lesson.cell_named(notebook, "live-page-text")
    attach(page, "live-page.png", still.read_bytes())

    nbformat.write(notebook, lesson.NOTEBOOK)
    tables.PATH.write_text(tables.make(), encoding="utf-8")


if __name__ == "__main__":
    main()
