"""What the tests share: the notebook, its functions, and one run of all of it."""

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
import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "cam_mnist.ipynb"

# Pictures that a text shows before the code: text, name, the cell that draws it.
ATTACHED = [
    ("opening", "the-sum.png", "the-sum"),
    ("part-7", "gallery.png", "gallery-show"),
    ("own-picture", "photograph.png", "bad-photograph"),
]

# Goes behind the definition of `show` and notes what each figure holds.
KEEP_FIGURES = """
_figures, _show = {}, show
def show(figure, words):
    panels = [p for p in figure.axes if p.get_title() or p.images]
    _figures[words] = {
        "titles": [p.get_title() for p in panels],
        "limits": [[i.get_clim() for i in p.images] for p in panels],
        "palettes": [[i.cmap.name for i in p.images] for p in panels],
        "labels": [p.get_xlabel() + p.get_ylabel() for p in figure.axes],
    }
    _show(figure, words)
"""

# Runs after the notebook's last cell and writes down what the tests ask for.
PROBE = """
import json as _json
_json.dump({
    "figures": _figures,
    "weights": [float(abs(w).sum()) for w in model.get_weights()],
}, open("probe.json", "w"))
model.save("model.keras")
"""


def read_notebook(path=NOTEBOOK):
    return nbformat.read(path, 4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags_of(cell):
    return cell.metadata.get("tags", [])


def pictures_of(cell):
    """The PNG outputs of a code cell, in base64, with their metadata."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            yield output.data["image/png"], output.metadata.get("image/png", {})


def cell_named(notebook, name):
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def digest_of_code(notebook):
    """A checksum of all code cells; stored outputs carry that of their code."""
    sources = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(sources.encode()).hexdigest()


def set_parameters(notebook, parameters):
    """Replace values in the notebook's parameters cell.

    TEST_IMAGES is none of its parameters: it leaves that many of the test images.
    """
    parameters = dict(parameters)
    few = parameters.pop("TEST_IMAGES", None)
    if few:
        cell = cell_named(notebook, "split")
        cell.source += f"\ntest_images = test_images[:{few}]"
        cell.source += f"\ntest_labels = test_labels[:{few}]"
    (cell,) = (c for c in notebook.cells if "parameters" in tags_of(c))
    for name, value in parameters.items():
        cell.source, count = re.subn(
            rf"(?m)^{name} = [^#\n]*", f"{name} = {value}  ", cell.source
        )
        assert count == 1, f"no parameter {name}"


def run_notebook(
    folder,
    parameters=None,
    probe=PROBE,
    data=True,
    environment=None,
    change=None,
    watch_figures=True,
):
    """Execute a copy of the notebook in folder through nbconvert, headless.

    parameters replace values of the parameters cell; change may alter the copy.
    Returns the finished process, the executed notebook (None if it stopped), what the
    probe wrote, the seconds it took and the peak resident memory of all its processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notebook = read_notebook()
    set_parameters(notebook, parameters or {})
    if change:
        change(notebook)
    if watch_figures:
        for cell in notebook.cells:
            if cell.cell_type == "code" and "def show(" in cell.source:
                cell.source = after_definition(cell.source, "show", KEEP_FIGURES)
    if probe:
        notebook.cells.append(nbformat.v4.new_code_cell(probe))
    if data:
        (folder / "tests" / "data").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests/data/mnist.npz", folder / "tests/data/mnist.npz")
    nbformat.write(notebook, folder / "copy.ipynb")
    output = folder / "output"
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook"]
    joined = "nbconvert.preprocessors.CoalesceStreamsPreprocessor"
    command += ["--execute", f"--Exporter.preprocessors={joined}"]
    command += ["--output-dir", str(output), str(folder / "copy.ipynb")]
    process, seconds, peak = watched(command, {**os.environ, **(environment or {})})
    done, left = output / "copy.ipynb", folder / "probe.json"
    return SimpleNamespace(
        process=process,
        notebook=nbformat.read(done, 4) if done.exists() else None,
        left=json.loads(left.read_text()) if left.exists() else None,
        folder=folder,
        seconds=seconds,
        peak=peak,
    )


def after_definition(source, name, text):
    """Put text right behind the definition of a function in the code of a cell."""
    (node,) = (n for n in ast.parse(source).body if getattr(n, "name", "") == name)
    lines = source.splitlines()
    return "\n".join([*lines[: node.end_lineno], text, *lines[node.end_lineno :]])


def watched(command, environment):
    """Run a command; return it finished, its seconds, its processes' peak memory."""
    start, peak = time.perf_counter(), 0
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stderr=told, env=environment, **pipes)
        family = psutil.Process(process.pid)
        while process.poll() is None:
            resident = 0
            for one in [family, *children(family)]:
                with contextlib.suppress(psutil.Error):
                    resident += one.memory_info().rss
            peak = max(peak, resident)
            time.sleep(0.1)
        told.seek(0)
        process.stderr = told.read()
    return process, time.perf_counter() - start, peak


def children(family):
    """All processes below one, none if it has just ended."""
    try:
        return family.children(recursive=True)
    except psutil.Error:
        return []


# A short run, for what does not depend on results.
QUICK = {
    "TRAINING_IMAGES": 2_000,
    "EPOCHS": 1,
    "DELETION_DIGITS": 50,
    "CANVASES": 20,
    "TEST_IMAGES": 2_000,
}


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """The whole notebook as committed, on all of MNIST."""
    run = run_notebook(tmp_path_factory.mktemp("full"))
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    return run


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory):
    """The whole notebook with a short training and few digits."""
    run = run_notebook(tmp_path_factory.mktemp("quick"), QUICK)
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    return run


@pytest.fixture(scope="session")
def stored():
    """The notebook with the outputs that were committed."""
    return read_notebook()


def load_functions(changes=()):
    """The notebook's own imports, functions and classes, without its runs.

    changes: pairs of texts, the first of which is replaced by the second: a test breaks
    the code with them and sees that the checks notice.
    """
    import matplotlib

    matplotlib.use("Agg")
    cells = code_cells(read_notebook())
    cells = [c for c in cells if not {"exercise", "live-page"} & set(tags_of(c))]
    sources = [cell.source for cell in cells]
    for old, new in changes:
        assert any(old in source for source in sources), f"the notebook has no {old}"
        sources = [source.replace(old, new) for source in sources]
    namespace = {"__name__": "cam_mnist"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(sources[0], namespace)  # the imports, which print their versions
    for source in sources[1:]:
        for node in ast.parse(source).body:
            kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
            constant = (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and isinstance(node.value, ast.Constant)
            )
            if constant or isinstance(node, kinds):
                code = compile(ast.Module([node], []), "cam_mnist.ipynb", "exec")
                exec(code, namespace)
    namespace["display"] = lambda *content, **how: None  # nowhere to draw
    return SimpleNamespace(**namespace)


def load_mnist():
    """The four bundled arrays."""
    import numpy as np

    with np.load(ROOT / "tests/data/mnist.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def functions():
    return load_functions()


@pytest.fixture(scope="session")
def mnist():
    return load_mnist()


def reported(notebook):
    """What was printed as NAME: A ± B: name -> mean and half-width; 1 for 100%.

    A second pair, in brackets, stands under the name with `in area` behind it.
    """
    found, pair = {}, r"([+-]?\d+\.\d+)(%?) ± (\d+\.\d+)(%?)"
    lines = rf"(?m)^(.+): {pair}(?: \(in area {pair}\))?$"
    for name, *values in re.findall(lines, text_of(notebook)):
        numbers = [
            float(x) / (100 if unit else 1)
            for x, unit in zip(values[::2], values[1::2])
            if x
        ]
        found[name] = numbers[:2]
        if len(numbers) > 2:
            found[f"{name}, in area"] = numbers[2:]
    return found


def shares_of(notebook):
    """What `report_share` has printed: name -> share, low, high."""
    number = r"(\d+\.\d)%"
    line = rf"(?m)^(.+): {number} \(95% interval {number} to {number}\)$"
    found = {}
    for name, *values in re.findall(line, text_of(notebook)):
        found[name] = [float(value) / 100 for value in values]
    return found


def text_of(notebook):
    """All printed text of a notebook's outputs."""
    outputs = [o for cell in code_cells(notebook) for o in cell.outputs]
    return "\n".join(o.text for o in outputs if o.output_type == "stream")
