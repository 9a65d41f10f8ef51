"""MNIST is MNIST, and what is not is refused before anything is trained."""

import hashlib
import io
import re
import struct
import zipfile

import numpy as np
import pytest

from lesson import ROOT

BUNDLED = ROOT / "tests/data/mnist.npz"

# SHA-256 of the original, unpacked IDX files.
ORIGINALS = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def test_the_bundled_arrays_are_the_original_idx_files(mnist):
    for name, digest in ORIGINALS.items():
        array = mnist[name]
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        assert hashlib.sha256(header + array.tobytes()).hexdigest() == digest


def refuse():
    raise OSError("no route to host")


@pytest.mark.parametrize("bundled", [True, False])
def test_the_bundled_file_is_used_where_it_is_else_keras_downloads(
    functions, mnist, monkeypatch, tmp_path, bundled
):
    train, test = [(mnist[f"x_{s}"], mnist[f"y_{s}"]) for s in ("train", "test")]
    download = refuse if bundled else lambda: (train, test)
    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", download)
    found = functions.load_mnist(BUNDLED if bundled else tmp_path / "mnist.npz")
    for one, other in zip([*found[0], *found[1]], [*train, *test]):
        assert np.array_equal(one, other)


def flip(path, mnist):
    whole = bytearray(BUNDLED.read_bytes())
    whole[5_000_000] ^= 1
    path.write_bytes(whole)


def changed(change):
    """A file of arrays, some of which are changed."""
    return lambda path, mnist: np.savez(path, **{**mnist, **change(mnist)})


DAMAGED = {
    "truncated": lambda path, _: path.write_bytes(BUNDLED.read_bytes()[:5_000_000]),
    "one bit flipped": flip,
    "empty": lambda path, _: path.touch(),
    "a folder": lambda path, _: path.mkdir(),
    "not a zip": lambda path, _: path.write_text("<html>404</html>"),
    "an npy file": lambda path, _: np.save(path.open("wb"), np.zeros(3)),
    "a missing array": lambda path, m: np.savez(path, x_train=m["x_train"]),
    "fewer images": changed(lambda m: {"x_test": m["x_test"][:100]}),
    "flattened": changed(lambda m: {"x_test": m["x_test"].reshape(-1, 784)}),
    "other numbers": changed(lambda m: {"x_test": m["x_test"].astype(np.int16)}),
    "a label of 10": changed(lambda m: {"y_test": m["y_test"] + (m["y_test"] == 9)}),
    "labels of other images": changed(lambda m: {"y_test": m["y_train"][:-1]}),
    "one class only": changed(lambda m: {"y_test": m["y_test"] * 0}),
    "not there, no network": lambda path, _: None,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_not_mnist_is_refused_with_its_path_and_both_cures(
    functions, mnist, monkeypatch, tmp_path, kind
):
    monkeypatch.setattr(functions.keras.datasets.mnist, "load_data", refuse)
    path = tmp_path / "mnist.npz"
    DAMAGED[kind](path, mnist)
    told = re.escape(str(path)) + "(?s:.*)Copy.*remove it and go online"
    with pytest.raises(RuntimeError, match=told):
        functions.load_mnist(path)


def test_nothing_is_unpickled(functions, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path, content = tmp_path / "mnist.npz", io.BytesIO()
    np.save(content, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x_train.npy", content.getvalue())
    with pytest.raises(RuntimeError, match="remove it and go online"):
        functions.load_mnist(path)
    assert not (tmp_path / "sprung").exists()
