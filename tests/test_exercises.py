"""The exercises: a check says yes to its solution, not yet to a near miss.

One run of the lesson up to the last exercise, with a short training. Behind each check
come wrong answers and the folded solution, each with the check again.
"""

import re

import nbformat
import pytest

from conftest import QUICK, code_cells, read_notebook, run_notebook
from lesson import tags_of

# A network that has learned something in few steps.
LEARNED = {**QUICK, "TRAINING_IMAGES": 4_000, "EPOCHS": 2, "BATCH_SIZE": 32}

# What a learner may try first; each answer has a flaw of its own.
WRONG = {
    1: {
        "it takes away": "my_k = int(np.argmin(added))",
        "there is no such map": "my_k = 128",
    },
    2: {
        "a layer too late": "my_early, _ = run(explainer, test_images[:100])",
        "the shape alone": "my_early = np.zeros((100, 14, 14, 128), np.float32)",
    },
    3: {
        "all become a 9": "my_bias = bias.copy(); my_bias[9] = 1_000",
        "too little": "my_bias = bias.copy(); my_bias[4] -= 1e-6",
    },
    4: {
        "other probabilities": "my_weights = -np.abs(class_weights)",
        "nothing changed": "my_weights = class_weights.copy()",
    },
    5: {
        "no smile": "my_weights = class_weights + 1",
        "one class only": """
my_rows = feature_maps.reshape(-1, len(class_weights)).astype(float)
my_weights = class_weights.copy()
my_weights[:, best] = np.linalg.lstsq(my_rows, my_target.flatten(), rcond=1e-6)[0]""",
    },
    6: {
        "another digit": "my_mended = test_images[test_labels == "
        "test_labels[my_number]][0].copy()",
        "one pixel": "my_mended[0, 0] = 1",
    },
    7: {
        "not trained": """
my_flat_network = keras.Sequential(
    [keras.Input((28, 28, 1)), *build_model(0).layers[:-2], keras.layers.Flatten(),
     keras.layers.Dense(10, name="logits")])
def my_flat_map(feature_maps, weights, class_index):
    return (weights[:, class_index].reshape(feature_maps.shape)
            * feature_maps).sum(axis=-1)""",
    },
    8: {
        "Flatten, not pooling": """
my_network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(),
                               keras.layers.Dense(10)])
my_images = test_images[:2, ..., None].astype("float32")""",
    },
}


def number_of(cell):
    return int(re.match(r"exercise-(\d+)", cell.id)[1])


def with_answers(notebook):
    """Cells up to the last exercise; behind each check, answers and the check."""
    solutions, last = {}, 0
    for place, cell in enumerate(notebook.cells):
        if "solution" in tags_of(cell):
            folded = re.findall(r"```python\n(.*?)```", cell.source, re.S)
            solutions[number_of(cell)], last = "\n".join(folded), place
    cells, stub = [], ""
    for cell in notebook.cells[: last + 1]:
        cells.append(cell)
        if cell.cell_type != "code" or "exercise" not in tags_of(cell):
            continue
        if "check" not in tags_of(cell):
            stub = cell.source  # with it each answer starts anew
            continue
        n = number_of(cell)
        for name, answer in [*WRONG[n].items(), ("solution", solutions[n])]:
            source = f"{stub}\n{answer}\n{cell.source}"
            tried = nbformat.v4.new_code_cell(source)
            tried.metadata.update(exercise=n, answer=name)
            cells.append(tried)
    notebook.cells = cells


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each check has said: (number, answer) -> text."""
    folder = tmp_path_factory.mktemp("exercises")
    run = run_notebook(folder, LEARNED, change=with_answers)
    assert run.process.returncode == 0, run.process.stderr[-3000:]
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
        assert [number_of(cell) for cell in tagged] == list(range(1, 9))
        assert all("exercise" in tags_of(cell) for cell in tagged)


@pytest.mark.parametrize("number", WRONG)
def test_an_untouched_exercise_was_not_tried(told, number):
    assert told[number, "untouched"].splitlines()[-1].startswith("not tried")


@pytest.mark.parametrize("number", WRONG)
def test_the_folded_solution_passes(told, number):
    assert re.search("(?m)^yes", told[number, "solution"]), told[number, "solution"]


@pytest.mark.parametrize(
    "number, name", [(n, name) for n, answers in WRONG.items() for name in answers]
)
def test_a_near_miss_does_not_pass(told, number, name):
    assert re.search("(?m)^not yet", told[number, name]), told[number, name]


def test_answers_keep_to_names_of_their_own():
    """So that no answer changes what a later part reads."""
    for cell in read_notebook().cells:
        if "solution" in tags_of(cell):
            code = "\n".join(re.findall(r"```python\n(.*?)```", cell.source, re.S))
            names = re.findall(r"(?m)^(?:for )?(\w+)(?:\[.*?\])? (?:=|in) ", code)
            assert names and all(name.startswith("my_") for name in names), names
