"""What can go wrong, made to happen: settings, machines, edges, faults in the code."""

import json
import re
import subprocess
import sys
from functools import partial

import nbformat
import numpy as np
import pytest

import test_doubt as doubt
import test_maps as maps
import test_search as search
from lesson import (
    PROBE,
    QUICK,
    cell_named,
    code_cells,
    finished,
    parts_of,
    read_notebook,
    run_notebook,
    set_parameters,
    text_of,
)

# Refuses to look up any name but the machine's own.
OFFLINE = """
import socket
_look_up = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    if host not in ("127.0.0.1", "::1", "localhost", None, ""):
        raise OSError("no network")
    return _look_up(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
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
    for name, text in {
        "site/sitecustomize.py": OFFLINE,
        "keras/keras.json": json.dumps(KERAS),
        "matplotlib/matplotlibrc": MATPLOTLIB,
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
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
    data = [o.get("data", {}) for o in cell.outputs]
    shown = [(one.get("image/png"), one.get("text/html")) for one in data]
    return re.sub(r"(_\d+)? +", " ", text), shown


REMEMBER = "_kept = {n: v for n, v in globals().items() if n[0] != '_'}"
FORGET = """
for _name in [n for n in globals() if n[0] != "_"]:
    del globals()[_name]
globals().update(_kept)
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
    cells = [(c.id.removesuffix("-again"), c) for c in code_cells(again.notebook)]
    compared = [(name, cell) for name, cell in cells if name in once]
    for name, cell in compared:
        assert outputs(cell) == once[name], f"cell {name}"
    assert len(compared) == 2 * (len(once) - 1)  # all but the probe
    assert again.left["weights"] == quick_run.left["weights"]


def finer(notebook):
    """Maps of 14×14 cells."""
    cell = cell_named(notebook, "build-model")
    coarse, fine = 'MaxPooling2D(2, name="feature', 'MaxPooling2D(1, name="feature'
    assert coarse in cell.source
    cell.source = cell.source.replace(coarse, fine)


def test_at_their_edges_with_finer_maps_and_a_dead_network_it_runs(tmp_path):
    """Least data, largest batch and seed, 14×14 cells, a rate that kills the network:
    all parts run, nothing is written, and the network says that it has not learned."""
    edges = {"SEED": 2**31, "TRAINING_IMAGES": 100, "EPOCHS": 1, "BATCH_SIZE": 55_000}
    edges |= {"PEAK_LEARNING_RATE": 1, "DROPOUT": 0, "DIGIT": 9_999}
    edges |= {"DELETION_DIGITS": 1, "CANVASES": 1}
    run = finished(run_notebook(tmp_path / "edges", edges, change=finer))
    assert "It has not learned. Try" in text_of(run.notebook)
    names = {path.name for path in run.folder.rglob("*") if path.is_file()}
    assert names == {"README.md", "mnist.npz", "copy.ipynb"}  # where it ran, and done


def run_set_up(tmp_path, more=""):
    """The cells of parameters and set-up in a Python of their own, then more code."""
    cells = [cell_named(read_notebook(), id).source for id in ("parameters", "set-up")]
    program = tmp_path / "set_up.py"
    program.write_text("\n".join([*cells, more]))
    command = [sys.executable, str(program)]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)


def test_the_set_up_is_silent_and_brings_the_error_stream_back(tmp_path):
    """A kernel that dies must be able to say why."""
    done = run_set_up(tmp_path, "os.write(2, b'why it died')\nos._exit(3)")
    assert (done.returncode, done.stderr) == (3, "why it died")


def test_a_machine_without_keras_or_with_an_old_tensorflow_is_told(tmp_path):
    """Nearly empty modules stand in their place."""

    def told(keras, version):
        (tmp_path / "keras.py").write_text(keras)
        (tmp_path / "tensorflow.py").write_text(f"__version__ = {version!r}")
        return run_set_up(tmp_path).stderr

    assert "no keras today" in told("raise ImportError('no keras today')", "2.20.0")
    for version in ("1.15.5", "2.9.1", "2.19.1"):
        assert "needs TensorFlow 2.20" in told("", version)
    for version in ("2.20.0", "2.22.0-rc1", "3.0.0"):
        assert "AttributeError" in told("", version)  # later: the module is empty


def test_the_first_figure_is_shown_where_image_knows_no_alt(functions, monkeypatch):
    """IPython 7.34, as on Colab."""
    import matplotlib.pyplot as plt
    from IPython.display import Image

    def image(data, retina, metadata):
        shown.append(Image(data, retina=retina, metadata=metadata))
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


# ---- checks that are not blind: each must notice one function that does wrong

FAULTS = [  # the check, the function, what it does instead; f is the right one
    (maps.check_account, "logits_from_maps", lambda f, maps, bias: f(maps, -bias)),
    (maps.check_shift, "contrast", lambda f, maps, a, b: maps[..., a] + maps[..., b]),
    # maps that are not weighted
    (
        maps.check_order_of_resizing,
        "class_activation_map",
        lambda f, features, weights, *rest: f(features, weights**0, *rest),
    ),
    # Grad-CAM without its mean over the cells, and of the logit for the probability
    (maps.check_gradient, "grad_cam", lambda f, *all: f.__globals__["hires_cam"](*all)),
    (maps.check_grad_cam, "gradient", lambda f, head, maps, c, p=0: f(head, maps, c)),
    (
        maps.check_receptive_field,
        "receptive_field",
        lambda f, layers: [(*rest, view - 1) for *rest, view in f(layers)],
    ),
    (maps.check_interval, "interval", lambda f, x: (np.mean(x), 1.96 * np.std(x))),
    # a comparison that sees one side only
    (
        maps.check_compare,
        "compare",
        lambda f, w, a, b, size: f(w, np.fmax(a, b), b, size),
    ),
    # bars that all lie flat
    (
        doubt.check_bars,
        "plant_bars",
        lambda f, x, classes, *s: f(x, 0 * classes + 4, *s),
    ),
    (doubt.check_deletion, "delete_ink", lambda f, x, first, *how: f(x, -first, *how)),
    # a gradient over another rival
    (doubt.check_gradient, "gradient_times_input", lambda f, *x: f(*x[:3], 0 * x[3])),
    # a blank that is not looked at
    (
        search.check_search,
        "search",
        lambda f, net, x, blank, w: f(net, x, 0 * blank, w),
    ),
    (search.check_find_digits, "find_digits", lambda f, x, n, far: f(x, n, far + 1)),
    (
        search.check_overlap,
        "overlap",
        lambda f, box, other, *shape: f(box, box, *shape),
    ),
]


@pytest.mark.parametrize("check, name, wrong", FAULTS)
def test_it_notices(functions, monkeypatch, check, name, wrong):
    worse = partial(wrong, getattr(functions, name))
    monkeypatch.setitem(functions.run.__globals__, name, worse)
    monkeypatch.setattr(functions, name, worse)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(functions)
