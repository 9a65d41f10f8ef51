"""The whole notebook, executed headless through nbconvert on all of MNIST.

Floors speak of the default run. They lie below what five trainings would give, not at
what one gave. A floor is a promise to readers: mend the run, not the floor.
"""

import re

import numpy as np
import pytest

from conftest import cell_named, code_cells
from lesson import reported, text_of


@pytest.fixture(scope="module")
def found(full_run):
    """All that `report` has printed: name -> mean and half-width."""
    return reported(full_run.notebook)


def test_every_cell_ran_once_and_none_failed_or_warned(full_run):
    cells = code_cells(full_run.notebook)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    assert "WARNING" not in text_of(full_run.notebook)


def test_training_tells_how_far_it_is_in_whole_lines(full_run):
    (output,) = cell_named(full_run.notebook, "train").outputs
    lines = output.text.splitlines()
    steps = [re.fullmatch(r"step +(\d+) of (\d+): .+ right", line) for line in lines]
    assert all(steps) and len(steps) >= 6
    assert max(int(step[1]) for step in steps) == int(steps[0][2])


def test_accuracy_on_the_test_set_of_ten_thousand(found):
    assert found["test accuracy"][0] >= 0.985
    assert found["held-out accuracy"][0] >= 0.985


def test_maps_add_up_to_the_logits_within_a_ten_thousandth(full_run):
    printed = text_of(full_run.notebook)
    for what in ("100,000 logits", "from resized maps"):
        largest = re.search(rf"{what}: largest difference (\S+)", printed)
        assert float(largest.group(1)) <= 1e-4


def test_the_sum_is_the_networks_logit(full_run):
    printed = "".join(
        o.get("text", "") for o in cell_named(full_run.notebook, "the-sum").outputs
    )
    total, logit = re.search(
        r"all together (\S+); the network's logit (\S+)", printed
    ).groups()
    assert abs(float(total) - float(logit)) < 0.011  # printed with two decimals


def figure_of(run, cell):
    (figure,) = run.left["figures"][cell]
    return figure


def test_the_grid_has_nine_titled_digits_beside_nine_maps_on_one_scale(full_run):
    grid = figure_of(full_run, "grid")
    digits, maps = grid["titles"][0:18:2], grid["titles"][1:18:2]
    assert all(re.fullmatch(r"true \d", title) for title in digits)
    assert all(re.fullmatch(r"predicted \d", title) for title in maps)
    assert len(digits) == len(maps) == 9
    assert grid["palettes"][1:18:2] == [["RdBu_r"]] * 9
    assert len({tuple(limit) for (limit,) in grid["limits"][1:18:2]}) == 1
    assert any("map value" in label for label in grid["labels"])


def test_nine_mistakes_are_shown_and_each_is_one(full_run):
    titles = figure_of(full_run, "nine-mistakes")["titles"][:18]
    for digit, contrast in zip(titles[::2], titles[1::2]):
        (true,) = re.fullmatch(r"true (\d)", digit).groups()
        first, second = re.match(r"(\d) − (\d)\n", contrast).groups()
        assert second == true != first  # predicted minus true
    assert len(titles) == 18


def test_every_map_is_drawn_on_a_scale_whose_white_is_zero(full_run):
    """In all figures: what is drawn in red and blue has zero in its middle."""
    drawn = 0
    for figure in sum(full_run.left["figures"].values(), []):
        for palettes, limits in zip(figure["palettes"], figure["limits"]):
            for palette, (low, high) in zip(palettes, limits):
                if palette == "RdBu_r":
                    assert low == -high
                    drawn += 1
    assert drawn > 60


def test_the_wall_is_red_for_grad_cam_alone(found):
    assert found["same answer as without a wall"][0] > 0.85
    mean, half = found["Grad-CAM: strongest cell behind the wall"]
    assert mean - half > 0.1
    assert found["Grad-CAM: share of the red behind the wall"][0] > 0.2
    assert found["HiResCAM: share of the red behind the wall"] == [0, 0]


def test_the_telling_bars_are_used_and_the_map_is_at_them(found):
    assert found["telling bars, right bar: at the bar"][0] >= 0.95
    assert found["telling bars, wrong bar: right"][0] <= 0.10
    assert found["random bars, right bar: right"][0] >= 0.90
    assert found["random bars, right bar: at the bar"][0] <= 0.20


def test_deletion_ranks_gradient_contrast_and_what_knows_no_class(found):
    for name in ("top rows", "random patches"):
        mean, half = found[f"contrast ahead of {name}"]
        assert mean - half > 0
    mean, half = found["contrast ahead of gradient × input"]
    assert mean + half < 0


def test_the_summed_contrast_forecasts_better_than_cell_and_ink(found):
    for name in ("single cell", "ink"):
        mean, half = found[f"summed contrast ahead of {name}"]
        assert mean - half > 0


def test_a_classifier_finds_digits(found):
    assert found["evidence points"][0] >= 0.93
    assert found["both named by score"][0] >= 0.90
    assert found["ink box right"][0] >= 0.93
    assert sum(found["an absent class"]) < found["evidence points"][0]


def test_a_noisy_blank_brings_naming_in_noise_back(found):
    mean, half = found["noise, noisy blank ahead of black: both named"]
    assert mean - half > 0


def test_all_processes_of_the_run_together_stay_under_two_gigabytes(full_run):
    assert full_run.peak < 2e9


def test_the_saved_network_is_the_one_that_was_reported(full_run, functions, mnist):
    """The same model, loaded and asked by Keras alone, is as good."""
    model = functions.keras.models.load_model(full_run.folder / "model.keras")
    logits = model.predict(mnist["x_test"][..., None], batch_size=250, verbose=0)
    right = np.mean(logits.argmax(axis=1) == mnist["y_test"])
    assert np.isclose(right, reported(full_run.notebook)["test accuracy"][0])
