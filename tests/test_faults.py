"""What can go wrong, made to happen: settings, machines, edges, faults in the code."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

import test_doubt as doubt
import test_maps as maps
import test_search as search
from conftest import (
    PROBE,
    QUICK,
    ROOT,
    cell_named,
    code_cells,
    finished,
    load_functions,
    read_notebook,
    run_notebook,
    set_parameters,
)
from lesson import parts_of, text_of

# Refuses every connection that leaves the machine; the kernel's own stay possible.
OFFLINE = """
import socket
_connect, _look_up = socket.socket.connect, socket.getaddrinfo
def connect(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
        raise OSError("no network")
    return _connect(self, address)
def getaddrinfo(host, *rest, **more):
    if host not in ("127.0.0.1", "::1", "localhost", None, ""):
        raise OSError("no network")
    return _look_up(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""

# Somebody's own settings: of Keras, and of Matplotlib, dark and upside down.
KERAS = {"image_data_format": "channels_first", "floatx": "float16", "backend": "torch"}
MATPLOTLIB = """
image.origin: lower
axes.facecolor: black
figure.facecolor: black
text.color: white
lines.color: white
axes.prop_cycle: cycler(color=["black"])
figure.dpi: 40
"""


def strange(folder):
    """An environment without network and display, with settings of its user."""
    for name in ("site", "keras", "matplotlib"):
        (folder / name).mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(OFFLINE)
    (folder / "keras" / "keras.json").write_text(json.dumps(KERAS))
    (folder / "matplotlib" / "matplotlibrc").write_text(MATPLOTLIB)
    return {
        "PYTHONPATH": str(folder / "site"),
        "KERAS_HOME": str(folder / "keras"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MPLBACKEND": "svg",
        "DISPLAY": "",
    }


def outputs(cell):
    """What a cell printed and showed, but for the numbers that Keras gives layers."""
    text = "".join(o.get("text", "") for o in cell.outputs)
    text = re.sub(r"(_\d+)? +", " ", text)
    shown = [o.get("data", {}).get("image/png") for o in cell.outputs]
    return text, shown, [o.get("data", {}).get("text/html") for o in cell.outputs]


REMEMBER = "_kept = dict(globals())"
FORGET = """
for _name in set(globals()) - set(_kept) - {"_kept"}:
    if not _name.startswith("_"):
        del globals()[_name]
globals().update({k: v for k, v in _kept.items() if not k.startswith("_")})
"""


def twice_and_after_part_1_alone(notebook):
    """Double each cell. Before each later part, forget what others but part 1 made."""
    parts, new = parts_of(notebook), nbformat.v4.new_code_cell
    cells = [*parts[0], *parts[1], new(REMEMBER)]
    for number in sorted(set(parts) - {0, 1}):
        # the end stays with part 8, whose live page it carries
        cells += ([] if number == 9 else [new(FORGET)]) + parts[number]
    notebook.cells = []
    for cell in cells:
        again = nbformat.from_dict({**cell, "id": f"{cell.id}-again"})
        notebook.cells += [cell, again] if cell.cell_type == "code" else [cell]


def test_elsewhere_with_other_settings_cells_twice_parts_alone_it_gives_the_same_bytes(
    quick_run, tmp_path
):
    """A second run under all the trouble at once: a path with spaces and umlauts, no
    network, no display, dark and upside-down settings, every cell run twice in a row,
    each of the parts 2 to 8 after part 1 alone."""
    settings = strange(tmp_path / "settings")
    folder, change = tmp_path / "Übung 1 mit Ä", twice_and_after_part_1_alone
    again = finished(run_notebook(folder, QUICK, PROBE, change, settings))
    once = {cell.id: outputs(cell) for cell in code_cells(quick_run.notebook)}
    compared = 0
    for cell in code_cells(again.notebook):
        expected = once.get(cell.id.removesuffix("-again"))
        if expected:
            assert outputs(cell) == expected, f"cell {cell.id}"
            compared += 1
    assert compared == 2 * len(code_cells(read_notebook()))
    assert again.left["weights"] == quick_run.left["weights"]


def test_at_their_edges_read_only_with_finer_maps_and_a_dead_network_it_runs(tmp_path):
    """Least data, largest batch and seed, 14×14 cells, a rate that kills the network:
    all parts run, nothing is written, and the network says that it has not learned."""
    edges = {
        "SEED": 2**31,
        "TRAINING_IMAGES": 100,
        "EPOCHS": 1,
        "BATCH_SIZE": 55_000,
        "PEAK_LEARNING_RATE": 1,
        "DROPOUT": 0,
        "DIGIT": 9_999,
        "DELETION_DIGITS": 1,
        "CANVASES": 1,
    }
    notebook = read_notebook()
    set_parameters(notebook, edges)
    cell = cell_named(notebook, "build-model")
    coarse, fine = 'MaxPooling2D(2, name="feature', 'MaxPooling2D(1, name="feature'
    assert coarse in cell.source
    cell.source = cell.source.replace(coarse, fine)
    done = run_read_only(notebook, tmp_path)
    assert "It has not learned. Try" in text_of(done)


def run_read_only(notebook, tmp_path):
    """Execute a notebook in a folder that is mounted read-only; return it executed."""
    project, output = tmp_path / "project", tmp_path / "output"
    shutil.copytree(ROOT / "tests/data", project / "tests/data")
    nbformat.write(notebook, project / "it.ipynb")
    before = {path for path in project.rglob("*")}
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook"]
    command += ["--execute", "--output-dir", output, project / "it.ipynb"]
    lock = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    if os.getuid() == 0:  # whom permissions do not stop
        locked = ["unshare", "--mount", "sh", "-c", lock, project]
        if shutil.which("unshare") and not subprocess.run([*locked, "true"]).returncode:
            command = [*locked, *command]
    for path in [project, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(command, capture_output=True, text=True)
    for path in [project, *before]:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path for path in project.rglob("*")} == before
    return nbformat.read(output / "it.ipynb", 4)


def run_set_up(tmp_path, more="", environment=None):
    """The cells of parameters and set-up in a Python of their own, then more code."""
    cells = [cell_named(read_notebook(), id).source for id in ("parameters", "set-up")]
    program = tmp_path / "set_up.py"
    program.write_text("\n".join([*cells, more]))
    command = [sys.executable, str(program)]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path
    )


def test_the_set_up_is_silent_and_brings_the_error_stream_back(tmp_path):
    """A kernel that dies must be able to say why."""
    done = run_set_up(tmp_path, "os.write(2, b'why it died')\nos._exit(3)")
    assert (done.returncode, done.stderr) == (3, "why it died")
    (tmp_path / "keras.py").write_text("raise ImportError('no keras today')")
    assert "no keras today" in run_set_up(tmp_path).stderr


def test_without_data_and_network_it_stops_and_names_both_cures(tmp_path):
    environment = strange(tmp_path / "settings")
    done = run_set_up(tmp_path, "load_mnist('tests/data/mnist.npz')", environment)
    assert re.search(
        "(?s)No MNIST.*Copy the project's mnist.npz.*go online", done.stderr
    )


def test_a_tensorflow_that_is_too_old_is_refused():
    lines = cell_named(read_notebook(), "set-up").source.splitlines()
    (first,) = (i for i, line in enumerate(lines) if line.startswith("release ="))
    check = "\n".join(lines[first : first + 2])
    for version in ("2.20.0", "2.21.0", "2.22.0-rc1", "3.0.0"):
        exec(check, {"tf": SimpleNamespace(__version__=version)})
    for version in ("1.15.5", "2.9.1", "2.19.1"):
        with pytest.raises(AssertionError, match="needs TensorFlow 2.20"):
            exec(check, {"tf": SimpleNamespace(__version__=version)})


def test_the_first_figure_is_shown_where_image_knows_no_alt(functions, monkeypatch):
    """IPython 7.34, as on Colab."""
    import matplotlib.pyplot as plt
    from IPython.display import Image

    def image(data, format, retina, metadata):
        shown.append(Image(data, format=format, retina=retina, metadata=metadata))
        return shown[-1]

    shown = []
    monkeypatch.setitem(functions.show.__globals__, "Image", image)
    functions.show(plt.figure(), "some words")
    assert shown[0].metadata["alt"] == "some words"


@pytest.mark.parametrize(
    ("name", "value"),
    [("EPOCHS", 0), ("BATCH_SIZE", -1), ("TRAINING_IMAGES", 99), ("CANVASES", 1.5)]
    + [("PEAK_LEARNING_RATE", 0), ("PEAK_LEARNING_RATE", 2), ("SEED", -3)]
    + [("SEED", 2**32), ("DROPOUT", 1), ("DROPOUT", -0.1), ("EPOCHS", True)]
    + [("DIGIT", 10_000), ("DELETION_DIGITS", 0)],
)
def test_parameters_that_cannot_work_are_refused_by_name(name, value):
    notebook = read_notebook()
    set_parameters(notebook, {name: value})
    namespace = {}
    exec(cell_named(notebook, "parameters").source, namespace)
    with pytest.raises(AssertionError, match=name):
        exec(cell_named(notebook, "set-up").source, namespace)


# ---- checks that are not blind: broken code, and the check that must notice


class Flip(ast.NodeTransformer):
    """Replace an operator by another, in one function, where it first stands."""

    def __init__(self, function, old, new):
        self.function, self.old, self.new, self.count = function, old, new, 0

    def visit_FunctionDef(self, node):
        if node.name == self.function:
            for child in ast.walk(node):
                for field, value in ast.iter_fields(child):
                    if self.count == 0:
                        self.replace(child, field, value)
        return node

    def replace(self, node, field, value):
        if isinstance(value, list) and value and type(value[0]) is self.old:
            value[0], self.count = self.new(), 1  # a comparison's
        elif type(value) is self.old:
            setattr(node, field, self.new())
            self.count = 1


class Cut(ast.NodeTransformer):
    """In one function, replace the first call of a method by its first argument."""

    def __init__(self, function, method):
        self.function, self.method, self.inside, self.count = function, method, 0, 0

    def visit_FunctionDef(self, node):
        self.inside = node.name == self.function
        self.generic_visit(node)
        self.inside = False
        return node

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if self.inside and name == self.method and not self.count:
            self.count = 1
            return node.args[0]
        return self.generic_visit(node)


ANY = (2, 3, 4, 5, 3, 1, 1.0)  # a shape for the identities


def identity(check):
    return lambda functions: check(functions, ANY)


FAULTS = {
    "the bias taken away": (
        Flip("logits_from_maps", ast.Add, ast.Sub),
        identity(maps.check_account),
    ),
    "a contrast that adds": (
        Flip("contrast", ast.Sub, ast.Add),
        identity(maps.check_shift),
    ),
    "maps that are not weighted": (
        Flip("class_activation_map", ast.Mult, ast.Add),
        identity(maps.check_order_of_resizing),
    ),
    "Grad-CAM without its mean over the cells": (
        Cut("grad_cam", "mean"),
        identity(maps.check_grad_cam),
    ),
    "Grad-CAM of the logit for the probability": (
        Cut("gradient", "softmax"),
        identity(maps.check_grad_cam),
    ),
    "HiResCAM that adds": (Flip("hires_cam", ast.Mult, ast.Add), maps.check_gradient),
    "a view that grows by one pixel only": (
        Flip("receptive_field", ast.Mult, ast.Add),
        maps.check_receptive_field,
    ),
    "an interval that does not shrink": (Cut("interval", "sqrt"), maps.check_interval),
    "a comparison without a sign": (Cut("compare", "abs"), maps.check_compare),
    "bars that all lie flat": (Flip("plant_bars", ast.Eq, ast.GtE), doubt.check_bars),
    "the ink that matters least goes first": (
        Flip("delete_ink", ast.USub, ast.UAdd),
        doubt.check_deletion,
    ),
    "ink that goes from above": (Cut("delete_ink", "permutation"), doubt.check_ties),
    "a gradient of the sum of both": (
        Flip("gradient_times_input", ast.Sub, ast.Add),
        doubt.check_gradient,
    ),
    "no blank": (Flip("search", ast.Sub, ast.Add), search.check_search),
    "windows that are not struck out": (
        Flip("find_digits", ast.USub, ast.UAdd),
        search.check_find_digits,
    ),
    "an IoU that counts twice": (
        Flip("overlap", ast.Add, ast.Sub),
        search.check_overlap,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_checks_notice(name):
    fault, check = FAULTS[name]
    broken = load_functions(fault.visit)
    assert fault.count == 1, "nothing was broken"
    with (
        pytest.raises((AssertionError, ValueError, pytest.fail.Exception)),
        np.errstate(all="ignore"),
    ):
        check(broken)
