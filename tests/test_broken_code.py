"""A check that cannot fail proves nothing: break the code, and see each one go red."""

import contextlib
import io

import pytest

import test_maps
import test_search
from conftest import load_functions
from faults_search import FAULTS_SEARCH

SUM = "return feature_maps @ class_weights"
MEAN = "return np.mean(maps, axis=(-3, -2)) + bias"
RESIZE = "return tf.image.resize(maps, size).numpy()"
CORNERS = """return np.reshape(tf.compat.v1.image.resize_bilinear(np.reshape(
    maps, (-1, *maps.shape[-3:])), size, align_corners=True).numpy(),
    (*maps.shape[:-3], *size, maps.shape[-1]))"""

# what is wrong, the text of the notebook, what stands there instead
FAULTS = [
    ("feature maps in another order", SUM, SUM.replace("maps @", "maps[..., ::-1] @")),
    ("a ReLU left in", SUM, "return np.maximum(feature_maps @ class_weights, 0)"),
    ("the wrong axis", MEAN, "return np.mean(maps, axis=(-4, -3)) + bias"),
    ("a sum for a mean", MEAN, "return np.sum(maps, axis=(-3, -2)) + bias"),
    ("a missing bias", MEAN, "return np.mean(maps, axis=(-3, -2))"),
    (
        "softmax for logits",
        MEAN,
        "return tf.nn.softmax(np.mean(maps, axis=(-3, -2)) + bias).numpy()",
    ),
    ("resizing to the nearest", RESIZE, RESIZE.replace("size)", "size, 'nearest')")),
    ("resizing by the corners", RESIZE, CORNERS),
    (
        "the weights of the next class",
        "weighted = resized * class_weights[:, class_index]",
        "weighted = resized * class_weights[:, class_index - 1]",
    ),
    (
        "contributions by the largest value",
        "means = np.mean(feature_maps, axis=(0, 1))",
        "means = np.max(feature_maps, axis=(0, 1))",
    ),
    (
        "the other class of a pair",
        "return values[..., first] - values[..., second]",
        "return values[..., second] - values[..., first]",
    ),
    (
        "softmax in Grad-CAM of the logit",
        "if use_probability:",
        "if not use_probability:",
    ),
    ("the logit in Grad-CAM of the probability", "if use_probability:", "if 0:"),
    (
        "a summed gradient",
        "alpha = np.mean(gradient, axis=(0, 1))",
        "alpha = np.sum(gradient, axis=(0, 1))",
    ),
    (
        "Grad-CAM of another class",
        "score = scores[0, class_index]",
        "score = scores[0, class_index - 1]",
    ),
    ("an interval of the values", "/ np.sqrt(len(values))", "/ 1"),
    (
        "a check that is too mild",
        "assert difference <= 1e-4 * scale",
        "assert difference <= 1e-3 * scale",
    ),
    (
        "a check that looks one way",
        "np.max(np.abs(found - expected))",
        "np.max(found - expected)",
    ),
    (
        "a check that passes nonsense",
        "assert difference <= 1e-4 * scale",
        "assert not difference > 1e-4 * scale",
    ),
    (
        "a patch without the pooling",
        "patch + (places - 1) * stride  # one step farther",
        "patch",
    ),
    (
        "a patch in steps of one",
        "patch + (places - 1) * stride  # four steps farther",
        "patch + places - 1",
    ),
    ("a share that is not squared", "np.sum(without_mean**2)", "np.sum(without_mean)"),
    ("the share that is left", "(before - after) / before", "after / before"),
]


def check_all_maps(functions):
    """Every check of the identities; raises where one fails."""
    for check in test_maps.IDENTITIES:
        for shape in ((2, 5, 3, 7, 4, 1, 1.0), (1, 7, 7, 5, 10, 2, 1.0)):
            check(functions, shape)
    with contextlib.redirect_stdout(io.StringIO()):
        test_maps.check_compare(functions)
        test_maps.check_receptive_field(functions)
    test_maps.check_interval(functions)


def check_all_of_the_search(functions, mnist):
    """Every check of part 7; raises where one fails."""
    for check in test_search.CHECKS:
        check(functions)
    for check in test_search.CANVAS_CHECKS:
        check(functions, mnist)
    test_search.check_search(functions)


# A check says no by an assertion, an error of the code, or pytest's "did not raise".
NOTICED = (AssertionError, ValueError, pytest.fail.Exception)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_the_checks_of_the_maps_notice(fault):
    broken = load_functions([fault[1:]])
    with pytest.raises(NOTICED):
        check_all_maps(broken)


@pytest.mark.parametrize("fault", FAULTS_SEARCH, ids=lambda fault: fault[0])
def test_the_checks_of_the_search_notice(mnist, fault):
    broken = load_functions([fault[1:]])
    with pytest.raises(NOTICED):
        check_all_of_the_search(broken, mnist)


def test_without_a_fault_the_same_checks_pass(functions, mnist):
    check_all_maps(functions)
    check_all_of_the_search(functions, mnist)
