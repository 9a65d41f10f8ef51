"""The whole notebook, executed headless through nbconvert on all of MNIST.

Floors speak of the default run. They lie below what five trainings would give, not at
what one gave; identities are asserted inside the notebook and hold for any parameters.
"""

import re

import pytest

from conftest import cell_named, code_cells, reported, text_of

GRID = "Nine test digits, each beside the map of its predicted class."
MISTAKES = "Nine mistakes, each digit beside its contrast, wrong minus true."


def test_every_cell_ran_once_and_none_failed_or_warned(full_run):
    cells = code_cells(full_run.notebook)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    assert "WARNING" not in text_of(full_run.notebook)


def test_training_leaves_one_line_of_accuracies(full_run):
    (output,) = cell_named(full_run.notebook, "run-training").outputs
    line, accuracy = output.text.splitlines()
    assert re.fullmatch(r"(?:\d+\.\d% ){10}", line), line
    assert re.fullmatch(r"test digits: \d+\.\d\d% right", accuracy), accuracy


@pytest.fixture(scope="module")
def grid(full_run):
    return full_run.left["figures"][GRID]


def test_the_grid_has_nine_titled_digits_beside_nine_maps(grid):
    digits, maps = grid["titles"][0:18:2], grid["titles"][1:18:2]
    assert all(re.fullmatch(r"true \d", title) for title in digits)
    assert all(re.fullmatch(r"predicted \d\n\d+\.\d%", title) for title in maps)
    assert len(digits) == len(maps) == 9


def test_the_maps_of_the_grid_share_one_zero_centred_scale_and_palette(grid):
    limits = {tuple(limit) for (limit,) in grid["limits"][1:18:2]}
    assert len(limits) == 1, "more than one scale in the figure"
    ((low, high),) = limits
    assert low == -high
    assert grid["palettes"][1:18:2] == [["RdBu_r"]] * 9
    assert any("map value" in label for label in grid["labels"])


def test_nine_mistakes_are_shown_and_each_is_one(full_run):
    titles = full_run.left["figures"][MISTAKES]["titles"]
    for digit, contrast in zip(titles[0:18:2], titles[1:18:2]):
        true = re.fullmatch(r"true (\d)", digit).group(1)
        first, second = re.fullmatch(r"(\d) − (\d)\n.*% sure", contrast).groups()
        assert second == true and first != true  # predicted minus true
    assert len(titles[:18]) == 18


def test_every_map_is_drawn_on_a_scale_whose_white_is_zero(full_run):
    """In all figures: what is drawn in red and blue has zero in its middle."""
    drawn = 0
    for figure in full_run.left["figures"].values():
        for palettes, limits in zip(figure["palettes"], figure["limits"]):
            for palette, (low, high) in zip(palettes, limits):
                if palette == "RdBu_r":
                    assert low == -high
                    drawn += 1
    assert drawn > 60


def test_maps_add_up_to_the_logits_within_a_ten_thousandth(full_run):
    printed = text_of(full_run.notebook)
    for what in ("100,000 logits", "from resized maps"):
        found = re.search(rf"{what}: largest difference (\S+)", printed)
        assert float(found.group(1)) <= 1e-4


def test_the_numbers_of_the_sum_add_up_as_they_are_printed(full_run):
    figure = full_run.left["figures"][
        "The digit, six weighted feature maps, the others, and their sum."
    ]
    *terms, total = figure["titles"][1:]
    assert len(terms) == 8 and total.startswith("= ")
    cents = [round(100 * float(term)) for term in terms]
    assert sum(cents) == round(100 * float(total[2:]))


@pytest.fixture(scope="module")
def means(full_run):
    """All that was measured: name -> mean."""
    found = reported(full_run.notebook)
    return {name: mean for name, (mean, _) in found.items()}


def test_accuracy_on_the_test_set_of_ten_thousand(means):
    assert means["test accuracy"] >= 0.985
    assert means["held-out accuracy"] >= 0.985


def test_all_processes_of_the_run_together_stay_under_two_gigabytes(full_run):
    assert full_run.peak < 2e9
