"""The notebook, its functions, its runs: what tests, tools and measurements share."""

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace

import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "cam_mnist.ipynb"

# A short run, for what does not depend on results.
QUICK = {"TRAINING_IMAGES": 2_000, "EPOCHS": 1, "DELETION_DIGITS": 50, "CANVASES": 20}

# Runs behind the set-up: what is drawn in red and blue has zero in its middle.
WHITE_IS_ZERO = """
_show = show
def show(figure, words):
    for image in (i for panel in figure.axes for i in panel.images):
        low, high = image.get_clim()
        assert image.cmap.name != "RdBu_r" or low == -high, words
    _show(figure, words)
"""

# Runs after the last cell: writes down what the tests ask for.
PROBE = """
import json as _json
_json.dump({
    "weights": [float(abs(w).sum()) for w in model.get_weights()],
    "patches": [int(stride), int(patch), globals().get("K", np.eye(0)).tolist()],
}, open("probe.json", "w"))
model.save("model.keras")
"""


def read_notebook(path=NOTEBOOK):
    return nbformat.read(path, 4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags_of(cell):
    return set(cell.metadata.get("tags", []))


def cell_named(notebook, name):
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def pictures_of(cell):
    """The PNG outputs of a code cell, in base64, with their metadata."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            yield output.data["image/png"], output.metadata.get("image/png", {})


def text_of(notebook):
    """All printed text of a notebook's outputs."""
    outputs = [o for cell in code_cells(notebook) for o in cell.outputs]
    return "\n".join(o.text for o in outputs if o.output_type == "stream")


def reported(notebook):
    """What `report` has printed: name -> mean and half-width, 1 for 100%."""
    pair = r"([+-]?\d+\.\d+)(%?) ± (\d+\.\d+)%?"
    lines = re.findall(rf"(?m)^(.+): {pair}$", text_of(notebook))
    return {
        name: [float(x) / (100 if percent else 1) for x in (mean, half)]
        for name, mean, percent, half in lines
    }


def digest_of_code(notebook):
    """A checksum of all code cells; stored outputs carry that of their code."""
    sources = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(sources.encode()).hexdigest()


def parts_of(notebook):
    """The cells of each part, by its number; 0 is what stands before part 1."""
    parts, number = {0: []}, 0
    for cell in notebook.cells:
        heading = re.search(r"(?m)^## (?:Part (\d)\.)?", cell.source)
        if heading and cell.cell_type == "markdown":
            number = int(heading[1] or 9)  # 9: the end, after the parts
        parts.setdefault(number, []).append(cell)
    return parts


def set_parameters(notebook, parameters):
    """Replace values in the notebook's parameters cell."""
    cell = cell_named(notebook, "parameters")
    for name, value in parameters.items():
        cell.source, count = re.subn(
            rf"(?m)^{name} = [^#\n]*", f"{name} = {value}  ", cell.source
        )
        assert count == 1, f"no parameter {name}"


def run_notebook(folder, parameters=None, probe=None, change=None, environment=None):
    """Execute a copy of the notebook in folder through nbconvert, headless.

    parameters replace values of the parameters cell; change may alter the copy; probe
    is code that runs at the end. Returns its exit code and errors, the executed
    notebook (None if it stopped), what the probe left, the seconds it took and the
    peak memory of all its processes.
    """
    notebook = read_notebook()
    set_parameters(notebook, parameters or {})
    if change:
        change(notebook)
    if probe:
        notebook.cells.append(nbformat.v4.new_code_cell(probe))
    shutil.copytree(ROOT / "tests/data", folder / "tests/data")
    nbformat.write(notebook, folder / "copy.ipynb")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook"]
    joined = "nbconvert.preprocessors.CoalesceStreamsPreprocessor"
    command += ["--execute", f"--Exporter.preprocessors={joined}"]
    command += ["--output-dir", folder / "output", folder / "copy.ipynb"]
    run = watched(command, {**os.environ, **(environment or {})})
    done, left = folder / "output" / "copy.ipynb", folder / "probe.json"
    run.folder = folder
    run.notebook = read_notebook(done) if done.exists() else None
    run.left = json.loads(left.read_text()) if left.exists() else None
    return run


def watched(command, environment):
    """Run a command; return its exit code, errors, seconds, processes' peak memory."""
    import psutil

    start, peak = time.perf_counter(), 0
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stderr=told, env=environment, **pipes)
        family = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):  # one of them has just ended
                all_of_them = [family, *family.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in all_of_them))
            time.sleep(0.1)
        told.seek(0)
        return SimpleNamespace(
            code=process.returncode,
            errors=told.read(),
            seconds=time.perf_counter() - start,
            peak=peak,
        )


def finished(run):
    assert run.code == 0, run.errors[-3000:]
    return run


def load_functions():
    """The notebook's own imports, functions and constants, without its runs."""
    import matplotlib

    matplotlib.use("Agg")
    namespace = {"__name__": "cam_mnist"}
    for cell in code_cells(read_notebook()):
        if {"exercise", "live-page"} & tags_of(cell):
            continue
        tree = ast.parse(cell.source)
        if cell.id not in ("parameters", "set-up"):  # of others, no runs
            tree.body = list(filter(is_definition, tree.body))
        with contextlib.redirect_stdout(io.StringIO()):  # it prints versions
            exec(compile(tree, "cam_mnist.ipynb", "exec"), namespace)
    namespace["display"] = lambda *content, **how: None  # nowhere to draw
    return SimpleNamespace(**namespace)


def is_definition(node):
    """Whether a statement imports, defines, or names a constant."""
    if isinstance(node, ast.Assign):
        name = isinstance(node.targets[0], ast.Name)
        return name and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)


def load_mnist():
    """The four bundled arrays."""
    import numpy as np

    with np.load(ROOT / "tests/data/mnist.npz", allow_pickle=False) as file:
        return dict(file)
