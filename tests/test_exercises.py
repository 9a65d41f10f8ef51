"""The exercises: a check says yes to its solution, not yet to all else.

One short run of the notebook, with all stubs as they stand. At its end,
after all other parts, stubs, wrong answers and folded solutions are tried
in the notebook's own kernel.
"""

import ast
import json
import re

import pytest

from conftest import QUICK, code_cells, read_notebook, run_notebook, tags_of

ABOVE = "# your code here"
BELOW = "# --- your code above, the check below ---"

# A network that has learned something in few steps, and as many images as
# the solutions take.
LEARNED = {"TRAINING_IMAGES": 3_000, "EPOCHS": 2, "BATCH_SIZE": 32}
PARAMETERS = {**QUICK, **LEARNED, "PEAK_LEARNING_RATE": 0.01}

# What a learner may try first; each answer has a flaw of its own.
WRONG = {
    1: {
        "it adds much to both": "my_k = np.argmax(contributions("
        "my_features, class_weights, my_rival) * (class_weights[:, my_best]"
        "< class_weights[:, my_rival]))",
        "there is no such map": "my_k = 128",
    },
    2: {
        "trained on digits": """
_, my_test = keras.datasets.fashion_mnist.load_data()
my_fashion_images, my_fashion_labels = my_test
my_fashion_network = model""",
        "not trained": """
_, my_test = keras.datasets.fashion_mnist.load_data()
my_fashion_images, my_fashion_labels = my_test
my_fashion_network = build_model(DROPOUT)""",
    },
    3: {
        "a layer too late": """
my_early, _ = run(explainer, test_images[:100])""",
        "the shape alone": """
my_early = np.zeros((100, 14, 14, 128), np.float32)""",
    },
    4: {
        "all become a 9": "my_forgetful_bias[9] = 1_000",
        "too little": "my_forgetful_bias[4] -= 1e-6",
        "two numbers": """
my_forgetful_bias[4] = -1_000
my_forgetful_bias[5] += 1e-6""",
    },
    5: {
        "as coarse as before": "my_fine_network = model",
        "not trained": """
my_fine_network = keras.Sequential([keras.Input((None, None, 1))])
for my_layer in build_model(DROPOUT).layers:
    if my_layer.name != "feature_maps":
        my_fine_network.add(my_layer)""",
    },
    6: {
        "other probabilities": """
my_negative_weights = -np.abs(class_weights)""",
        "not below zero": "my_negative_weights = class_weights - 1e-6",
        "another shape": "my_negative_weights = class_weights[0]",
    },
    7: {
        "biases as they were": """
my_added = 1e3 * contrast(class_weights, my_best, my_rival)""",
        "the wrong way": """
my_added = -1e3 * contrast(class_weights, my_best, my_rival)
my_added_bias = bias - my_added @ class_weights""",
        "another shape": "my_added = 3.0",
    },
    8: {
        "one class alone": """
my_rows = my_features.reshape(-1, len(class_weights)).astype(float)
my_w = np.linalg.lstsq(my_rows, my_target.flatten(), rcond=1e-6)[0]
my_smiling_weights = class_weights.astype(float)
my_smiling_weights[:, my_best] = my_w""",
        "a frown": "my_smiling_weights = class_weights - 1",
    },
    9: {
        "too many pixels": "my_mended = test_images[np.argmax("
        "(test_labels == test_labels[my_number]) * test_right)]",
        "another shape": "my_mended = my_mended[1:]",
    },
    10: {
        "not trained": """
my_flat_network = keras.Sequential([keras.Input((28, 28, 1))])
for my_layer in build_model(DROPOUT).layers[:-2]:
    my_flat_network.add(my_layer)
my_flat_network.add(keras.layers.Flatten())
my_flat_network.add(keras.layers.Dense(10, name="logits"))
def my_flat_map(feature_maps, weights, class_index):
    of_class = weights[:, class_index].reshape(feature_maps.shape)
    return np.sum(of_class * feature_maps, axis=-1)""",
    },
    11: {
        "softmax": """
my_network = keras.applications.MobileNetV2(weights=None)
my_layer_name = "out_relu" """,
        "before its ReLU": """
my_network = keras.applications.MobileNetV2(
    weights=None, classifier_activation=None)
my_layer_name = "Conv_1_bn" """,
        "another number of maps": """
my_network = keras.applications.MobileNetV2(
    weights=None, classifier_activation=None)
my_layer_name = "block_16_project_BN" """,
        "no such layer": "my_network, my_layer_name = model, 'out_relu'",
    },
    12: {
        "the trained head": """
def my_agreement(first_map, second_map):
    return agreement(np.abs(first_map), np.abs(second_map))""",
        "signs still count": """
my_random_weights = np.random.default_rng(1).normal(
    0, np.std(class_weights), class_weights.shape)""",
        "always one": """
my_random_weights = np.random.default_rng(1).normal(
    0, np.std(class_weights), class_weights.shape)
def my_agreement(first_map, second_map):
    return 1.0""",
        "another spread": """
my_random_weights = np.random.default_rng(1).normal(
    0, 9, class_weights.shape)
def my_agreement(first_map, second_map):
    return agreement(np.abs(first_map), np.abs(second_map))""",
    },
    13: {
        "a step too few": "my_margin = 4",
        "a step too many": "my_margin = 12",
        "not in whole cells": "my_margin = 6",
    },
}
# Wrong only beside the solution: its code, and then this.
SPOILED = {
    10: {
        "a mean for a sum": """
def my_flat_map(feature_maps, weights, class_index):
    of_class = weights[:, class_index].reshape(feature_maps.shape)
    return np.mean(of_class * feature_maps, axis=-1)""",
        "spread evenly": """
def my_flat_map(feature_maps, weights, class_index):
    logit = feature_maps.flatten() @ weights[:, class_index]
    return np.full(feature_maps.shape[:2], logit / 49)""",
    },
}

# Runs after the last cell: each attempt among the notebook's own names.
PROBE = """
import contextlib as _contextlib, io as _io
import json as _json, traceback as _traceback
def _fashion():  # a stand-in for the download: digits upside down
    training = x_train[:5_000, ::-1], y_train[:5_000]
    return training, (test_images[:, ::-1], test_labels)
keras.datasets.fashion_mnist.load_data = _fashion
_before = {
    name: value.copy() for name, value in globals().items()
    if isinstance(value, np.ndarray) and value.nbytes < 1e7
    and not name.startswith(("_", "my_"))
}
_weights = model.get_weights()
_told = {}
for _name, _code in _json.loads(ATTEMPTS):
    _text = _io.StringIO()
    try:
        with _contextlib.redirect_stdout(_text):
            exec(_code, globals())
    except Exception:
        _text.write("\\nRAISED " + _traceback.format_exc())
    _told[_name] = _text.getvalue()
def _same(one, other):  # a missing number equals itself
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
_changed = [
    name for name, value in _before.items()
    if not _same(value, globals()[name])
]
for _old, _new in zip(_weights, model.get_weights()):
    if not np.array_equal(_old, _new):
        _changed.append("model")
_json.dump({"told": _told, "changed": _changed}, open("probe.json", "w"))
"""


def exercises(notebook):
    """Number -> task, stub and solution, three cells that follow."""
    found = {}
    for at, cell in enumerate(notebook.cells):
        number = re.fullmatch(r"exercise-(\d+)", cell.id)
        if number:
            found[int(number[1])] = notebook.cells[at : at + 3]
    return found


def solution_of(cell):
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```$", cell.source)
    return code


def answered(stub, answer):
    """The stub's code with an answer in place of the learner's part."""
    head, rest = stub.split(ABOVE)
    _, check = rest.split(BELOW)  # the learner's part, and what follows
    return f"{head}{answer}\n\n{BELOW}{check}"


def attempts():
    """Pairs of a name and the code of a stub, wrong answer or solution."""
    for number, (_, stub, solution) in exercises(read_notebook()).items():
        head, rest = stub.source.split(ABOVE)
        placeholder = rest.split(BELOW)[0].partition("\n")[2]
        yield f"{number} stub", stub.source
        yield f"{number} stub again", stub.source
        for name, wrong in WRONG[number].items():
            code = placeholder + "\n" + wrong
            yield f"{number} wrong: {name}", answered(stub.source, code)
        code = solution_of(solution)
        yield f"{number} solution", answered(stub.source, code)
        check = stub.source.split(BELOW)[1]
        for name, spoil in SPOILED.get(number, {}).items():
            yield f"{number} wrong: {name}", spoil + "\n" + check


NAMES = [name for name, _ in attempts()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    probe = PROBE.replace("ATTEMPTS", repr(json.dumps(list(attempts()))))
    folder = tmp_path_factory.mktemp("exercises")
    run = run_notebook(folder, PARAMETERS, probe=probe, watch_figures=False)
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    return run


def test_there_are_at_least_eight_numbered_in_order():
    numbers = list(exercises(read_notebook()))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 8
    assert set(WRONG) == set(numbers)


@pytest.mark.parametrize("number", exercises(read_notebook()))
def test_task_stub_and_solution_follow_each_other_and_are_tagged(number):
    cells = exercises(read_notebook())[number]
    task, stub, solution = cells
    ids = (
        f"exercise-{number}",
        f"exercise-{number}-code",
        f"exercise-{number}-solution",
    )
    assert tuple(cell.id for cell in cells) == ids
    assert [c.cell_type for c in cells] == ["markdown", "code", "markdown"]
    assert all("exercise" in tags_of(cell) for cell in cells)
    heading, _, kind = task.source.split("\n")[:3]
    assert re.fullmatch(rf"### Exercise {number}\. \S.*", heading)
    assert re.fullmatch(r"\*\d+ minutes, ★{1,3}(, [a-z ]+)*\*", kind)
    trains = re.search(r"\btrain\(", solution_of(solution))
    assert bool(trains) == ("trains" in kind)
    assert stub.source.count(ABOVE) == stub.source.count(BELOW) == 1
    assert stub.source.index(ABOVE) < stub.source.index(BELOW)
    assert "train(" not in stub.source
    opening = "<details><summary>Show the solution</summary>\n\n"
    closing = "\n\n</details>"
    assert solution.source.startswith(opening)
    assert solution.source.endswith(closing)
    for code in stub.source, solution_of(solution):
        assert max(len(line) for line in code.splitlines()) <= 76


def test_all_cells_of_exercises_and_no_other_say_so():
    notebook = read_notebook()
    for cell in notebook.cells:
        named = cell.id.startswith(("exercise-", "about-exercises"))
        assert ("exercise" in tags_of(cell)) == named, cell.id


def test_the_untouched_notebook_says_not_yet_at_every_stub(run):
    cells = {cell.id: cell for cell in code_cells(run.notebook)}
    for number in exercises(run.notebook):
        outputs = cells[f"exercise-{number}-code"].outputs
        printed = "".join(o.get("text", "") for o in outputs)
        assert printed.startswith("not yet: "), (number, printed)


@pytest.mark.parametrize("name", NAMES)
def test_the_check_says_yes_to_the_solution_and_to_no_other(run, name):
    told = run.left["told"][name]
    assert "RAISED" not in told, told
    # Trainings print their line of accuracies first.
    verdicts = re.findall(r"(?m)^(yes|not yet): \S", told)
    expected = "yes" if name.endswith("solution") else "not yet"
    assert verdicts == [expected], told


def test_nothing_that_other_cells_use_is_changed_by_an_exercise(run):
    assert run.left["changed"] == []


def test_each_name_of_an_exercise_is_its_own():
    """A learner's names begin with my_, a check's with check_ or cut_."""
    others = set()
    for cell in code_cells(read_notebook()):
        if not {"exercise", "live-page"} & set(tags_of(cell)):
            others |= defined(ast.parse(cell.source))
    for number, (_, stub, solution) in exercises(read_notebook()).items():
        for code in (stub.source, solution_of(solution)):
            names = defined(ast.parse(code))
            assert not names & others, number
            for name in names:
                assert name.startswith(("my_", "check_", "cut_")), name


def defined(tree):
    """All names to which the top level of some code gives a value."""
    names = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def test_with_the_finer_maps_of_exercise_5_parts_1_to_5_run_as_they_are(
    tmp_path,
):
    """The solution's change of build_model, and no other."""
    old = 'layers.MaxPooling2D(2, name="feature_maps")'
    new = 'layers.MaxPooling2D(1, name="feature_maps")'

    def finer(notebook):
        (cell,) = (c for c in code_cells(notebook) if "def build_model(" in c.source)
        assert old in cell.source and new in solution_text(notebook, 5)
        cell.source = cell.source.replace(old, new)
        ids = [cell.id for cell in notebook.cells]
        del notebook.cells[ids.index("part-6") :]

    probe = (
        "import json; json.dump([test_maps.shape, cells, stride, patch],"
        "open('probe.json', 'w'))"
    )
    parameters = {**QUICK, "TRAINING_IMAGES": 1_000}
    run = run_notebook(
        tmp_path, parameters, probe=probe, change=finer, watch_figures=False
    )
    assert run.process.returncode == 0, run.process.stderr[-3000:]
    assert run.left == [[QUICK["TEST_IMAGES"], 14, 14, 10], 14, 2, 14]


def solution_text(notebook, number):
    return exercises(notebook)[number][2].source
