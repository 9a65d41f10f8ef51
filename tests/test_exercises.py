"""The exercises: a check says yes to its solution, not yet to a near miss.

One run of the lesson up to the last exercise, with a short training. Behind each check
come wrong answers and the folded solution, each with the check again.
"""

import re

import nbformat
import pytest

from lesson import QUICK, code_cells, finished, run_notebook, tags_of

# A network that has learned something in few steps.
LEARNED = {**QUICK, "TRAINING_IMAGES": 4_000, "EPOCHS": 2, "BATCH_SIZE": 32}

# What a learner may try first: an exercise's number, the answer's flaw, the answer.
ANSWERS = """
# 1 it takes away
my_k = int(np.argmin(added))
# 1 there is no such map
my_k = 128
# 2 a layer too late
my_early, _ = run(explainer, test_images[:100])
# 2 the shape alone
my_early = np.zeros((100, 14, 14, 128), np.float32)
# 3 all become a 9
my_bias = bias.copy(); my_bias[9] = 1_000
# 3 too little
my_bias = bias.copy(); my_bias[4] -= 1e-6
# 4 other probabilities
my_weights = -np.abs(class_weights)
# 4 nothing changed
my_weights = class_weights.copy()
# 5 no smile
my_weights = class_weights + 1
# 5 one class only
my_rows = feature_maps.reshape(-1, len(class_weights)).astype(float)
my_weights = class_weights.copy()
my_weights[:, best] = np.linalg.lstsq(my_rows, my_target.flatten(), rcond=1e-6)[0]
# 6 another digit
my_mended = test_images[test_labels == test_labels[my_number]][0].copy()
# 6 one pixel
my_mended[0, 0] = 1
# 7 not trained
my_flat_network = keras.Sequential(
    [keras.Input((28, 28, 1)), *build_model(0).layers[:-2], keras.layers.Flatten(),
     keras.layers.Dense(10, name="logits")])
def my_flat_map(feature_maps, weights, class_index):
    return (weights[:, class_index].reshape(feature_maps.shape)
            * feature_maps).sum(axis=-1)
# 8 Flatten, not pooling
my_network = keras.Sequential(
    [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
my_images = test_images[:2, ..., None].astype("float32")
"""
WRONG = [
    (int(number), flaw, answer)
    for number, flaw, answer in re.findall(r"# (\d) (.+)\n((?:[^#].*\n)+)", ANSWERS)
]
NUMBERS = range(1, 9)


def number_of(cell):
    return int(re.match(r"exercise-(\d+)", cell.id)[1])


def solutions(notebook):
    """The code of each folded solution, by its exercise's number."""
    told = [cell for cell in notebook.cells if "solution" in tags_of(cell)]
    code = [re.findall(r"```python\n(.*?)```", cell.source, re.S) for cell in told]
    return {number_of(cell): "\n".join(pieces) for cell, pieces in zip(told, code)}


def with_answers(notebook):
    """Cells up to the last exercise; behind each check, answers and the check."""
    right = [(n, "solution", code) for n, code in solutions(notebook).items()]
    cells, stub = [], ""
    for cell in notebook.cells:
        cells.append(cell)
        if "check" in tags_of(cell):
            for n, name, answer in [*WRONG, *right]:
                if n == number_of(cell):
                    source = f"{stub}\n{answer}\n{cell.source}"
                    tried = nbformat.v4.new_code_cell(source)
                    tried.metadata.update(exercise=n, answer=name)
                    cells.append(tried)
            last = len(cells)
        elif cell.cell_type == "code":
            stub = cell.source  # an exercise's code, right before its check
    notebook.cells = cells[:last]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each check has said: (number, answer) -> text."""
    folder = tmp_path_factory.mktemp("exercises")
    run = finished(run_notebook(folder, LEARNED, change=with_answers))
    found = {}
    for cell in code_cells(run.notebook):
        text = "".join(o.get("text", "") for o in cell.outputs)
        if "exercise" in cell.metadata:
            found[cell.metadata.exercise, cell.metadata.answer] = text
        elif "check" in tags_of(cell):
            found[number_of(cell), "untouched"] = text
    return found


def test_there_are_eight_exercises_each_with_check_and_solution(stored):
    for tag in ("check", "solution"):
        tagged = [cell for cell in stored.cells if tag in tags_of(cell)]
        assert [number_of(cell) for cell in tagged] == list(NUMBERS)
        assert all("exercise" in tags_of(cell) for cell in tagged)


@pytest.mark.parametrize(
    "verdict, number, name",
    [("not tried", n, "untouched") for n in NUMBERS]
    + [("yes", n, "solution") for n in NUMBERS]
    + [("not yet", n, name) for n, name, _ in WRONG],
)
def test_the_check_says(told, verdict, number, name):
    said = told[number, name]
    assert re.search(f"(?m)^{verdict}", said), said


def test_answers_keep_to_names_of_their_own(stored):
    """So that no answer changes what a later part reads."""
    for code in solutions(stored).values():
        names = re.findall(r"(?m)^(?:for )?(\w+)(?:\[.*?\])? (?:=|in) ", code)
        assert names and all(name.startswith("my_") for name in names), names
