"""MNIST is MNIST, and what is not is refused before anything is trained."""

import hashlib
import io
import re
import struct
import zipfile

import numpy as np
import pytest

from conftest import NOTEBOOK, ROOT

# SHA-256 of the original, unpacked IDX files.
ORIGINALS = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture
def load(functions):
    return functions.load_mnist


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_bundled_arrays_are_the_original_idx_files(mnist, name):
    array = mnist[name]
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    assert hashlib.sha256(header + array.tobytes()).hexdigest() == ORIGINALS[name]


def test_the_bundled_file_is_used_where_it_is(load, mnist, functions, monkeypatch):
    monkeypatch.delattr(functions.keras.datasets.mnist, "load_data")
    for array, name in zip(load(ROOT / "tests/data/mnist.npz"), ORIGINALS):
        assert np.array_equal(array, mnist[name])


def test_without_the_file_keras_downloads(
    load, mnist, functions, monkeypatch, tmp_path
):
    served = (mnist["x_train"], mnist["y_train"]), (mnist["x_test"], mnist["y_test"])
    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", lambda: served)
    for array, name in zip(load(tmp_path / "mnist.npz"), ORIGINALS):
        assert np.array_equal(array, mnist[name])


def test_without_file_and_network_both_cures_are_named(
    load, functions, monkeypatch, tmp_path
):
    def offline():
        raise OSError("no route to host")

    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", offline)
    with pytest.raises(RuntimeError, match="(?s)no route to host.*Copy.*go online"):
        load(tmp_path / "mnist.npz")
    assert not list(tmp_path.iterdir())


def damaged(path, kind, mnist):
    whole = (ROOT / "tests/data/mnist.npz").read_bytes()
    small = {name: array[:100] for name, array in mnist.items()}
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "one byte flipped":
        path.write_bytes(
            whole[:5_000_000] + bytes([whole[5_000_000] ^ 1]) + whole[5_000_001:]
        )
    elif kind == "empty":
        path.touch()
    elif kind == "a folder":
        path.mkdir()
    elif kind == "not a zip":
        path.write_text("<html>404</html>")
    elif kind == "an npy file":
        np.save(path.open("wb"), np.zeros(3))
    elif kind == "a missing array":
        np.savez(path, x_train=small["x_train"])
    elif kind == "other shapes":
        np.savez(path, **small)
    elif kind == "flattened":
        flat = {
            n: a.reshape(len(a), -1) if a.ndim == 3 else a for n, a in mnist.items()
        }
        np.savez(path, **flat)
    elif kind == "other dtype":
        np.savez(path, **{n: a.astype(np.int16) for n, a in small.items()})
    elif kind == "a label of 10":
        np.savez(path, **{**mnist, "y_test": mnist["y_test"] + (mnist["y_test"] == 9)})
    elif kind == "labels of other images":
        np.savez(path, **{**mnist, "y_train": mnist["y_train"][:-1]})
    elif kind == "one class only":
        np.savez(path, **{**mnist, "y_test": mnist["y_test"] * 0})


KINDS = [
    "truncated",
    "one byte flipped",
    "empty",
    "a folder",
    "not a zip",
    "an npy file",
    "a missing array",
    "other shapes",
    "flattened",
    "other dtype",
    "a label of 10",
    "labels of other images",
    "one class only",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_mnist_is_refused_with_its_name_and_the_cure(
    load, mnist, tmp_path, kind
):
    path = tmp_path / "mnist.npz"
    damaged(path, kind, mnist)
    with pytest.raises(
        RuntimeError, match=re.escape(str(path)) + "(?s:.*)Copy.*remove it"
    ):
        load(path)


def test_nothing_is_unpickled(load, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path, content = tmp_path / "mnist.npz", io.BytesIO()
    np.save(content, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x_train.npy", content.getvalue())
    with pytest.raises(RuntimeError, match="remove it, go online"):
        load(path)
    assert not (tmp_path / "sprung").exists()


def test_the_notebook_imports_nothing_from_the_project():
    assert "import tests" not in NOTEBOOK.read_text(encoding="utf-8")
