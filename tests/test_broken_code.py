"""A check that cannot fail proves nothing: break the code, and see each one go red."""

import pytest
import test_maps
import test_search
from conftest import load_functions

SUM = "return np.tensordot(feature_maps, class_weights, axes=1)"
MEAN = "return maps.mean(axis=(1, 2)) + bias"
RESIZE = 'keras.ops.image.resize(maps, size, data_format="channels_first").numpy()'
NEAREST = RESIZE.replace("size,", 'size, "nearest",')
CORNERS = """np.moveaxis(tf.compat.v1.image.resize_bilinear(np.moveaxis(
    maps.reshape(-1, 1, *maps.shape[-2:]), 1, 3), size, align_corners=True
).numpy(), 3, 1).reshape(*maps.shape[:-2], *size)"""

# what is wrong, the text of the notebook, what stands there instead, who must notice
FAULTS = [
    ("feature maps in another order", SUM, SUM.replace("maps,", "maps[..., ::-1],")),
    ("a ReLU left in", SUM, "return np.maximum(feature_maps @ class_weights, 0)"),
    ("the wrong axis", MEAN, "return maps.mean(axis=(0, 1)) + bias"),
    ("a sum for a mean", MEAN, "return maps.sum(axis=(1, 2)) + bias"),
    ("a missing bias", MEAN, "return maps.mean(axis=(1, 2))"),
    ("softmax for logits", MEAN, "return tf.nn.softmax(maps.mean(axis=(1, 2)) + bias)"),
    ("resizing to the nearest", RESIZE, NEAREST),
    ("resizing by the corners", RESIZE, CORNERS),
    ("the other class of a pair", "return first - second", "return second - first"),
    (
        "always the first class",
        "..., classes]",
        "..., 0 * np.array(classes)]",
    ),
    ("softmax in Grad-CAM", "tf.gather(score(", "tf.gather(tf.nn.softmax("),
    ("the logit in Grad-CAM", "tf.gather(score(", "tf.gather(tf.identity("),
    ("a summed gradient", "alpha = tf.reduce_mean(", "alpha = tf.reduce_sum("),
    (
        "ranks without ties",
        "np.sign(values[..., None] -",
        "np.sign(1e-9 + values[..., None] -",
    ),
    ("deletion from the lowest", "(ties, -scores)", "(ties, scores)"),
    (
        "deletion of background",
        "np.where(images > 0, scores",
        "np.where(images >= 0, scores",
    ),
    ("windows of six cells", "(maps, 7, 1,", "(maps, 6, 1,"),
    ("windows without bias", '"VALID").numpy() + bias', '"VALID").numpy()'),
    ("a box turned round", "[top, left, bottom,", "[left, top, bottom,"),
    ("hits below the box", "(places < boxes", "(places <= boxes"),
    ("peaks of the lowest", "flat.argmax(axis=2)", "flat.argmin(axis=2)"),
    (
        "the smallest component",
        "n.argmax() + 1",
        "np.where(n, n, n.max()).argmin() + 1",
    ),
    ("a threshold by half", "maps > threshold *", "maps > threshold / 2 *"),
    ("an IoU of one half is too little", "axis2=2) >= 0.5", "axis2=2) > 0.5"),
    ("digits that overlap", "while gaps.min() < 28", "while gaps.min() < 14"),
    ("windows that overlap", "corners + 6])", "corners + 3])"),
    ("ink of the wrong window", "np.tile(4 * peaks", "np.tile(4 + 4 * peaks"),
    (
        "another digit's box",
        "np.diagonal(shares, axis1",
        "np.diagonal(shares[:, ::-1], axis1",
    ),
]


def run_all_checks(functions, mnist):
    """Every check of the identities and of the search; raises where one fails."""
    for check in test_maps.IDENTITIES:
        for shape in ((2, 5, 3, 7, 4, 1, 1.0), (1, 7, 7, 5, 10, 2, 1.0)):
            check(functions, shape)
    test_maps.check_rank_correlation(functions, [1, 1, 2, 3, 3, 3, 0, 1], 5)
    for check in test_search.CHECKS:
        check(functions)
    test_search.check_canvases(functions, mnist)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_the_checks_notice(mnist, fault):
    broken = load_functions([fault[1:]])
    with pytest.raises((AssertionError, ValueError)):
        run_all_checks(broken, mnist)


def test_without_a_fault_the_same_checks_pass(functions, mnist):
    run_all_checks(functions, mnist)
