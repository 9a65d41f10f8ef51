"""What the tests share: the notebook's functions, and one run of all of it."""

import sys
from pathlib import Path

import pytest

for folder in ("tools", "measure"):
    sys.path.insert(0, str(Path(__file__).resolve().parent / folder))

from lesson import (
    PROBE,
    QUICK,
    WHITE_IS_ZERO,
    cell_named,
    finished,
    load_functions,
    load_mnist,
    read_notebook,
    run_notebook,
)


def strict(notebook):
    cell_named(notebook, "set-up").source += WHITE_IS_ZERO


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """The whole notebook as committed, on all of MNIST."""
    folder = tmp_path_factory.mktemp("full")
    return finished(run_notebook(folder, probe=PROBE, change=strict))


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory):
    """The whole notebook with a short training and few digits."""
    return finished(run_notebook(tmp_path_factory.mktemp("quick"), QUICK, PROBE))


@pytest.fixture(scope="session")
def stored():
    """The notebook with the outputs that were committed."""
    return read_notebook()


@pytest.fixture(scope="session")
def functions():
    return load_functions()


@pytest.fixture(scope="session")
def mnist():
    return load_mnist()
