"""What can go wrong for a user, made to happen on a short run."""

import re

import pytest
from conftest import QUICK, code_cells, read_notebook, run_notebook

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
    """What each cell printed and showed, without the live widgets."""
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    kept = []
    for cell in code_cells(run.notebook):
        printed = "".join(o.get("text", "") for o in cell.outputs)
        shown = [o.get("data", {}).get("image/png") for o in cell.outputs]
        told = [o.get("data", {}).get("text/markdown") for o in cell.outputs]
        kept.append((printed, [s for s in shown if s], [t for t in told if t]))
    return kept


def test_a_second_run_elsewhere_offline_without_display_is_the_same_to_the_byte(
    quick_run, offline, tmp_path
):
    """Spaces and letters in the path, no network, another backend asked for."""
    environment = {**offline, "MPLBACKEND": "svg", "DISPLAY": ""}
    again = run_notebook(tmp_path / "Übung 1 mit Ä", QUICK, environment=environment)
    assert outputs(again) == outputs(quick_run)
    assert again.left == quick_run.left


def test_alone_and_offline_it_stops_at_the_data_and_names_both_cures(offline, tmp_path):
    run = run_notebook(tmp_path / "alone", data=False, environment=offline)
    assert run.process.returncode != 0
    message = run.process.stderr
    assert re.search("No MNIST.*Copy the project's mnist.npz.*go online", message, re.S)
    assert "Training" not in message
    assert not list((tmp_path / "keras").rglob("mnist*"))


def test_it_writes_nothing_beside_itself(tmp_path):
    folder = tmp_path / "project"
    run = run_notebook(folder, QUICK, probe=None)
    assert run.process.returncode == 0
    left = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert left == {"copy.ipynb", "tests/data/mnist.npz", "output/copy.ipynb"}


def test_training_again_after_an_interrupt_gives_the_same_weights(functions, mnist):
    functions.tf.config.experimental.enable_op_determinism()
    images, labels = mnist["x_train"][:600], mnist["y_train"][:600]
    recipe = (7, 1, 64, 0.02)

    class Interrupt(functions.Progress):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    def weights():
        progress = functions.Progress(images[:100], labels[:100])
        return functions.train(images, labels, progress, *recipe).get_weights()

    undisturbed = weights()
    with pytest.raises(KeyboardInterrupt):
        progress = Interrupt(images[:100], labels[:100])
        functions.train(images, labels, progress, *recipe)
    for before, after in zip(undisturbed, weights()):
        assert (before == after).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("EPOCHS", 0), ("BATCH_SIZE", -1), ("TRAINING_IMAGES", 0), ("CANVASES", 1.5)]
    + [("PEAK_LEARNING_RATE", 0), ("PEAK_LEARNING_RATE", 2), ("SEED", -3)],
)
def test_parameters_that_cannot_work_are_refused_before_the_data_are_read(
    functions, name, value
):
    cells = code_cells(read_notebook())
    place = next(
        i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])
    )
    namespace = {"tf": functions.tf}
    exec(cells[place].source, namespace)
    exec(cells[place + 1].source, namespace)  # the defaults are accepted
    namespace[name] = value
    with pytest.raises(ValueError, match=name):
        exec(cells[place + 1].source, namespace)


@pytest.mark.parametrize("batch_size", [1, 10_000])
def test_one_image_a_batch_and_a_batch_larger_than_the_data_set_train(
    functions, mnist, batch_size
):
    images, labels = mnist["x_train"][:40], mnist["y_train"][:40]
    progress = functions.Progress(images, labels)
    model = functions.train(images, labels, progress, 1, 1, batch_size, 0.01)
    assert functions.np.isfinite(functions.run(model, images)).all()
    assert progress.curve
