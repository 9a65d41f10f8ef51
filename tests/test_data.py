"""MNIST is MNIST, and what is not is refused before anything is trained."""

import hashlib
import io
import re
import struct
import zipfile

import numpy as np
import pytest

from conftest import ROOT

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


def assert_same(sets, mnist):
    """Images and labels for training, then the same for testing."""
    for array, name in zip([array for pair in sets for array in pair], ORIGINALS):
        assert np.array_equal(array, mnist[name])


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_bundled_arrays_are_the_original_idx_files(mnist, name):
    array = mnist[name]
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    assert hashlib.sha256(header + array.tobytes()).hexdigest() == ORIGINALS[name]


def test_the_bundled_file_is_used_where_it_is(load, mnist, functions, monkeypatch):
    monkeypatch.delattr(functions.keras.datasets.mnist, "load_data")
    assert_same(load(ROOT / "tests/data/mnist.npz"), mnist)


def test_without_the_file_keras_downloads(
    load, mnist, functions, monkeypatch, tmp_path
):
    served = (mnist["x_train"], mnist["y_train"]), (mnist["x_test"], mnist["y_test"])
    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", lambda: served)
    assert_same(load(tmp_path / "mnist.npz"), mnist)


def test_without_file_and_network_both_cures_are_named(
    load, functions, monkeypatch, tmp_path
):
    def offline():
        raise OSError("no route to host")

    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", offline)
    with pytest.raises(RuntimeError, match="(?s)no route to host.*Copy.*go online"):
        load(tmp_path / "mnist.npz")
    assert not list(tmp_path.iterdir())


def flip(path, mnist):
    whole = bytearray((ROOT / "tests/data/mnist.npz").read_bytes())
    whole[5_000_000] ^= 1
    path.write_bytes(whole)


def saved(change):
    """A file of arrays, some of which are changed."""
    return lambda path, mnist: np.savez(path, **{**mnist, **change(mnist)})


DAMAGED = {
    "truncated": lambda path, _: path.write_bytes(
        (ROOT / "tests/data/mnist.npz").read_bytes()[:5_000_000]
    ),
    "one bit flipped": flip,
    "empty": lambda path, _: path.touch(),
    "a folder": lambda path, _: path.mkdir(),
    "not a zip": lambda path, _: path.write_text("<html>404</html>"),
    "an npy file": lambda path, _: np.save(path.open("wb"), np.zeros(3)),
    "a missing array": lambda path, m: np.savez(path, x_train=m["x_train"]),
    "fewer images": saved(lambda m: {"x_test": m["x_test"][:100]}),
    "flattened": saved(lambda m: {"x_test": m["x_test"].reshape(-1, 784)}),
    "other numbers": saved(lambda m: {"x_test": m["x_test"].astype(np.int16)}),
    "a label of 10": saved(lambda m: {"y_test": m["y_test"] + (m["y_test"] == 9)}),
    "labels of other images": saved(lambda m: {"y_test": m["y_train"][:-1]}),
    "one class only": saved(lambda m: {"y_test": m["y_test"] * 0}),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_is_not_mnist_is_refused_with_its_name_and_the_cure(
    load, mnist, tmp_path, kind
):
    path = tmp_path / "mnist.npz"
    DAMAGED[kind](path, mnist)
    told = re.escape(str(path)) + "(?s:.*)Copy.*remove it"
    with pytest.raises(RuntimeError, match=told):
        load(path)


def test_nothing_is_unpickled(load, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path, content = tmp_path / "mnist.npz", io.BytesIO()
    np.save(content, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x_train.npy", content.getvalue())
    with pytest.raises(RuntimeError, match="remove it and go online"):
        load(path)
    assert not (tmp_path / "sprung").exists()
