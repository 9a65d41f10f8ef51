"""The whole notebook, executed headless through nbconvert on all of MNIST.

Floors speak of the default run. They lie below what five trainings would give, not at
what one gave; identities are asserted inside the notebook and hold for any parameters.
"""

import re

import pytest
from conftest import code_cells, reported, text_of


def test_every_cell_ran_once_and_none_failed_or_warned(full_run):
    cells = code_cells(full_run.notebook)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for cell in cells for o in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    assert "WARNING" not in text_of(full_run.notebook)


def test_the_grid_has_nine_titled_maps_on_one_zero_centred_scale(full_run):
    panels = full_run.left["panels"]
    assert len(panels) == 9
    assert all(re.fullmatch(r"predicted \d \(\d+\.\d%\), true \d", t) for t in panels)
    assert full_run.left["panel_images"] == [1] * 9
    limits = {tuple(limit) for limit in full_run.left["limits"] if limit[0] < 0}
    assert len(limits) == 1, "more than one scale in the figure"
    ((low, high),) = limits
    assert low == -high
    assert any("map value" in label for label in full_run.left["grid_labels"])


def test_nine_mistakes_are_shown_and_each_is_one(full_run):
    panels = full_run.left["mistake_panels"]
    assert len(panels) == 9
    for title in panels:
        wrong, true = re.fullmatch(r"predicted (\d) .*, true (\d)", title).groups()
        assert wrong != true


def test_every_map_of_the_grid_is_drawn_in_the_diverging_palette(full_run):
    assert set(full_run.left["palettes"]) == {"RdBu_r"}


def test_maps_add_up_to_the_logits_within_a_ten_thousandth(full_run):
    printed = text_of(full_run.notebook)
    found = re.search(r"100,000 logits; largest errors \[(\S+) (\S+)\]", printed)
    assert all(float(error) <= 1e-4 for error in found.groups())


@pytest.fixture(scope="module")
def bands(full_run):
    """All that was measured: name -> mean, low and high end of its interval."""
    return reported(full_run.notebook)


@pytest.fixture(scope="module")
def means(bands):
    return {name: mean for name, (mean, _, _) in bands.items()}


def test_accuracy_on_the_test_set_of_ten_thousand(means):
    assert means["test accuracy"] >= 0.985
    assert means["held-out accuracy"] >= 0.985


def test_contrast_is_ahead_of_every_baseline_with_bands_apart(bands):
    start = "class changed by 30%, "
    found = {n.removeprefix(start): b for n, b in bands.items() if start in n}
    _, lowest, _ = found.pop("contrast")
    by_chance = {"random", "random patches"}
    assert set(found) == by_chance | {"other classes", "brightest", "reverse"}
    for name, (_, _, high) in found.items():
        assert lowest > high, name


def test_pointing_beats_its_target_and_its_baselines_do_not(means):
    assert means["evidence of the class"] >= 0.94
    baselines = "random pixel", "brightest pixel", "centre"
    for name in ("evidence of an absent class", *baselines):
        assert means[name] < 0.6, name


def test_naming_both_digits_of_a_canvas_beats_its_target(means):
    assert means["named by windows"] >= 0.93
    assert means["named by plain logits"] < 0.7


def test_boxes_by_the_map_alone_and_by_the_ink_that_it_chooses(means):
    assert means["map alone"] >= 0.60
    assert means["ink in best window"] >= 0.90
    assert means["20×20 around the peak"] < means["ink in best window"] - 0.1


def test_map_and_blanked_patches_agree_in_rank_but_not_fully(means):
    assert 0.3 < means["contrast and patches"] < 0.9


def test_random_heads_agree_with_nothing(means):
    heads = [mean for name, mean in means.items() if "random head" in name]
    assert len(heads) == 5 and max(map(abs, heads)) < 0.2


def test_all_processes_of_the_run_together_stay_under_two_gigabytes(full_run):
    assert full_run.peak < 2e9
