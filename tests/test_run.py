"""The whole notebook, executed headless through nbconvert on all of MNIST.

In all figures the white of maps is zero, or the run stops (see conftest.py).
Floors speak of the default run. They lie below what five trainings would give, not at
what one gave. A floor is a promise to readers: mend the run, not the floor.
"""

import re

import numpy as np
import pytest

from benchmark import LINES
from lesson import cell_named, code_cells, reported, text_of


@pytest.fixture(scope="module")
def found(full_run):
    """All that `report` has printed: name -> mean and half-width."""
    return reported(full_run.notebook)


def test_every_cell_ran_once_and_none_failed_or_warned(full_run):
    cells = code_cells(full_run.notebook)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    kinds = {(o.output_type, o.get("name")) for cell in cells for o in cell.outputs}
    assert kinds <= {("stream", "stdout"), ("display_data", None)}
    assert "WARNING" not in text_of(full_run.notebook)


def test_all_processes_of_the_run_together_stay_under_two_gigabytes(full_run):
    assert full_run.peak < 2e9


def test_training_tells_how_far_it_is_in_whole_lines(full_run):
    (output,) = cell_named(full_run.notebook, "train").outputs
    lines = output.text.splitlines()
    steps = [re.fullmatch(r"step +(\d+) of (\d+): .+ right", line) for line in lines]
    assert all(steps) and len(steps) >= 6
    assert max(int(step[1]) for step in steps) == int(steps[0][2])


def test_maps_add_up_to_the_logits_within_a_ten_thousandth(full_run):
    printed = text_of(full_run.notebook)
    for what in ("100,000 logits", "from resized maps"):
        largest = re.search(rf"{what}: largest difference (\S+)", printed)
        assert float(largest[1]) <= 1e-4
    pair = r"all together (\S+); the network's logit (\S+)"
    total, logit = re.search(pair, printed).groups()
    assert abs(float(total) - float(logit)) < 0.011  # printed with two decimals


LEAST = {
    "test accuracy": 0.985,
    "held-out accuracy": 0.985,
    "same answer as without a wall": 0.85,
    "evidence points": 0.93,
    "both named by score": 0.90,
    "ink box right": 0.93,
}
# With its whole interval.
AHEAD = {
    "Grad-CAM: strongest cell behind the wall": 0.1,
    "contrast ahead of top rows": 0,
    "contrast ahead of random patches": 0,
    "summed contrast ahead of single cell": 0,
    "summed contrast ahead of ink": 0,
    "in noise, noisy blank ahead of black blank": 0,
}


@pytest.mark.parametrize("name, least", LEAST.items())
def test_at_least(found, name, least):
    assert found[name][0] >= least


@pytest.mark.parametrize("name, least", AHEAD.items())
def test_ahead(found, name, least):
    mean, half = found[name]
    assert mean - half > least


def test_a_map_tells_telling_bars_from_random_ones(full_run):
    """The table of part 6: how many are right, and at the bar, in percent."""
    table = cell_named(full_run.notebook, "bar-shares").outputs[0].text

    def share(name):
        return float(re.search(LINES[name], table)[1])

    assert share("telling bars, right bar: at the bar, %") >= 95
    assert share("telling bars, wrong bar: right, %") <= 10
    assert share("random bars, right bar: right, %") >= 90
    assert share("random bars, right bar: at the bar, %") <= 20


def test_hires_cam_is_never_behind_the_wall(found):
    assert found["HiResCAM: strongest cell behind the wall"] == [0, 0]


def test_gradients_delete_better_and_an_absent_class_points_worse(found):
    mean, half = found["contrast ahead of gradient × input"]
    assert mean + half < 0
    assert sum(found["an absent class"]) < found["evidence points"][0]


def test_the_saved_network_is_the_one_that_was_reported(full_run, functions, mnist):
    """The same model, loaded and asked by Keras alone, is as good."""
    model = functions.keras.models.load_model(full_run.folder / "model.keras")
    logits = model.predict(mnist["x_test"][..., None], batch_size=250, verbose=0)
    right = np.mean(logits.argmax(axis=1) == mnist["y_test"])
    assert np.isclose(right, reported(full_run.notebook)["test accuracy"][0])
