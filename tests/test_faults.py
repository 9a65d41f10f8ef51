"""What can go wrong for a user, made to happen on a short run."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest

from conftest import (
    QUICK,
    ROOT,
    cell_named,
    code_cells,
    read_notebook,
    run_notebook,
    set_parameters,
    text_of,
)

# Refuses every connection that leaves the machine; the kernel's own stay possible.
OFFLINE = """
import socket
_connect = socket.socket.connect
def connect(self, address):
    local = ("127.0.0.1", "::1", "localhost")
    if isinstance(address, tuple) and address[0] not in local:
        raise OSError("no network")
    return _connect(self, address)
socket.socket.connect = connect
def getaddrinfo(host, *rest, _real=socket.getaddrinfo, **more):
    if host not in ("127.0.0.1", "::1", "localhost", None, ""):
        raise OSError("no network")
    return _real(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture
def offline(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(OFFLINE)
    keras_home = tmp_path / "keras"
    return {"PYTHONPATH": str(folder), "KERAS_HOME": str(keras_home)}


def outputs(run):
    """What each cell printed and showed."""
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    kept = []
    for cell in code_cells(run.notebook):
        printed = "".join(o.get("text", "") for o in cell.outputs)
        shown = [o.get("data", {}).get("image/png") for o in cell.outputs]
        kept.append((printed, [s for s in shown if s]))
    return kept


def test_a_second_run_alone_offline_without_display_is_the_same_to_the_byte(
    quick_run, offline, tmp_path
):
    """Spaces and letters in the path, no network, no data, another backend asked for.

    The download is a stand-in: it hands out the bundled arrays.
    """

    def serve(notebook):
        imports = code_cells(notebook)[0]
        imports.source += f"""
def _served():
    with np.load({str(ROOT / "tests/data/mnist.npz")!r}) as file:
        a = [file[n] for n in ("x_train", "y_train", "x_test", "y_test")]
    return (a[0], a[1]), (a[2], a[3])
keras.datasets.mnist.load_data = _served
"""

    folder = tmp_path / "Übung 1 mit Ä"
    environment = {**offline, "MPLBACKEND": "svg", "DISPLAY": ""}
    again = run_notebook(
        folder, QUICK, data=False, environment=environment, change=serve
    )
    assert outputs(again) == outputs(quick_run)
    assert again.left == quick_run.left
    assert sum(len(shown) for _, shown in outputs(again)) >= 14
    assert not list(folder.rglob("*.npz"))


def test_alone_and_offline_it_stops_at_the_data_and_names_both_cures(offline, tmp_path):
    run = run_notebook(tmp_path / "alone", data=False, environment=offline)
    assert run.process.returncode != 0
    message = run.process.stderr
    assert re.search("No MNIST.*Copy the project's mnist.npz.*go online", message, re.S)
    assert "def build_model" not in message
    assert not list((tmp_path / "keras").rglob("mnist*"))


def test_a_read_only_project_runs_into_another_folder_and_nothing_is_written(tmp_path):
    """A copy of the project is mounted read-only, or made so for a user but root."""
    project, output = tmp_path / "Übung 1 mit Ä", tmp_path / "output"
    shutil.copytree(ROOT / "tests/data", project / "tests/data")
    notebook = read_notebook()
    set_parameters(notebook, QUICK)
    nbformat.write(notebook, project / "cam_mnist.ipynb")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook"]
    command += ["--execute", "--output-dir", output, project / "cam_mnist.ipynb"]
    lock = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    locked = ["unshare", "--mount", "sh", "-c", lock, project, *command]
    if os.getuid() == 0:
        try_out = [*locked[:5], project, "true"]
        if not shutil.which("unshare") or subprocess.run(try_out).returncode:
            pytest.skip("root here, and no mounting of its own: nothing is read-only")
        command = locked
    for path in [project, *project.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(command, capture_output=True, text=True)
    for path in [project, *project.rglob("*")]:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr[-3000:]
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    names = "cam_mnist.ipynb", "tests/data/mnist.npz", "tests/data/README.md"
    inside = {f"{project.name}/{name}" for name in names}
    assert left == {"output/cam_mnist.ipynb", *inside}


def test_every_cell_run_twice_in_a_row_gives_the_same_as_once(quick_run, tmp_path):
    def double(notebook):
        cells = []
        for cell in notebook.cells:
            copies = 2 if cell.cell_type == "code" else 1
            for n in range(copies):
                cells.append(nbformat.from_dict({**cell, "id": f"{cell.id}-{n}"}))
        notebook.cells = cells

    twice = run_notebook(tmp_path / "twice", QUICK, change=double)
    found, once = outputs(twice), outputs(quick_run)
    for i, expected in enumerate(once[:-1]):  # the last is the probe
        assert found[2 * i] == expected, code_cells(read_notebook())[i].source
        assert found[2 * i + 1] == expected, code_cells(read_notebook())[i].source
    assert twice.left == quick_run.left


def test_training_again_after_an_interrupt_gives_the_same_weights(
    functions, mnist, monkeypatch
):
    functions.tf.config.experimental.enable_op_determinism()
    images, labels = mnist["x_train"][:600], mnist["y_train"][:600]
    held_out = images[:100], labels[:100]

    def weights():
        functions.keras.utils.set_random_seed(7)
        model = functions.build_model(0.3)
        functions.train(model, images, labels, held_out, 1, 64, 0.02, 7)
        return model.get_weights()

    def interrupt(*text, **how):
        raise KeyboardInterrupt

    undisturbed = weights()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(functions.train.__globals__, "print", interrupt)
        weights()
    for before, after in zip(undisturbed, weights()):
        assert (before == after).all()


def test_a_tensorflow_that_is_too_old_is_refused():
    lines = code_cells(read_notebook())[0].source.splitlines()
    check = "\n".join(lines[-2:])
    for version in ("2.20.0", "2.21.0", "2.22.0-rc1", "3.0.0"):
        exec(check, {"tf": SimpleNamespace(__version__=version)})
    for version in ("1.15.5", "2.9.1", "2.19.1"):
        with pytest.raises(AssertionError, match="needs TensorFlow 2.20"):
            exec(check, {"tf": SimpleNamespace(__version__=version)})


def run_imports(tmp_path, more="", environment=None):
    """The first cell in a Python of its own, then more code."""
    program = tmp_path / "imports.py"
    program.write_text(code_cells(read_notebook())[0].source + "\n" + more)
    command = [sys.executable, str(program)]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_import_says_nothing_and_brings_the_error_stream_back(tmp_path):
    """A kernel that dies must be able to say why."""
    done = run_imports(tmp_path, "os.write(2, b'why it died')\nos._exit(3)")
    assert done.returncode == 3
    assert done.stderr == "why it died"


def test_an_import_that_fails_brings_the_error_stream_back_too(tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('no keras today')")
    done = run_imports(tmp_path)
    assert "no keras today" in done.stderr


def test_the_user_s_own_settings_of_keras_do_no_harm(tmp_path):
    """A keras.json that wants channels first, another number type and backend."""
    import json

    wanted = {"image_data_format": "channels_first", "floatx": "float16"}
    wanted |= {"backend": "torch", "epsilon": 1e-7}
    (tmp_path / "keras.json").write_text(json.dumps(wanted))
    source = code_cells(read_notebook())
    (build,) = (c.source for c in source if "def build_model(" in c.source)
    more = build + "\nmodel = build_model(0.3)"
    more += "\nprint(model(np.zeros((2, 28, 28, 1), np.uint8)).dtype)"
    more += "\nprint(model(np.zeros((2, 28, 28, 1), np.uint8)).shape)"
    done = run_imports(tmp_path, more, {"KERAS_HOME": str(tmp_path)})
    assert "float32" in done.stdout and "(2, 10)" in done.stdout, done.stderr


def test_a_network_that_has_not_learned_says_so(tmp_path):
    """A learning rate that kills it: the cell of the accuracy says what to do."""
    dead = {**QUICK, "PEAK_LEARNING_RATE": 1}
    run = run_notebook(tmp_path / "dead", dead, probe=None)
    outputs(run)
    assert "It has not learned. Try" in text_of(run.notebook)


@pytest.mark.parametrize(
    ("name", "value"),
    [("EPOCHS", 0), ("BATCH_SIZE", -1), ("TRAINING_IMAGES", 0), ("CANVASES", 1.5)]
    + [("PEAK_LEARNING_RATE", 0), ("PEAK_LEARNING_RATE", 2), ("SEED", -3)]
    + [("DROPOUT", 1), ("DROPOUT", -0.1), ("EPOCHS", True), ("SEED", 0.5)],
)
def test_parameters_that_cannot_work_are_refused_before_the_data_are_read(
    functions, name, value
):
    notebook = read_notebook()
    checks = cell_named(notebook, "load-mnist").source.split("\n\n\n")[-1]
    namespace = {}
    exec(cell_named(notebook, "parameters").source, namespace)
    exec(checks, namespace)  # the defaults are accepted
    exec(checks, {**namespace, "SEED": 0})  # 0 is a seed
    namespace[name] = value
    with pytest.raises(AssertionError, match=name):
        exec(checks, namespace)


@pytest.mark.parametrize(
    "edge",
    [
        {"BATCH_SIZE": 1, "TRAINING_IMAGES": 300, "SEED": 7},
        {"BATCH_SIZE": 100_000, "TRAINING_IMAGES": 2_000, "DROPOUT": 0},
        {"TRAINING_IMAGES": 10, "DELETION_DIGITS": 1, "CANVASES": 1},
    ],
    ids=["one image a batch, another seed", "one batch for all", "next to nothing"],
)
def test_parameters_at_their_edges_run_to_the_end(edge, tmp_path):
    outputs(run_notebook(tmp_path / "edge", {**QUICK, **edge}, probe=None))
