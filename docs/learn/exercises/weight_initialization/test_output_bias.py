import numpy as np
from output_bias import output_bias

LABELS = np.array([0] * 90 + [1] * 6 + [2] * 4)
FREQUENCIES = np.array([0.9, 0.06, 0.04])


def softmax(logits):
    powers = np.exp(logits - np.max(logits))
    return powers / powers.sum()


def test_the_softmax_begins_at_the_frequencies():
    bias = output_bias(LABELS, 3)
    assert not np.allclose(bias, FREQUENCIES), (
        "these are the frequencies: a softmax exponentiates, so take their logarithm"
    )
    assert not np.allclose(bias, np.log(FREQUENCIES / (1 - FREQUENCIES))), (
        "these are log odds, which a sigmoid needs: a softmax normalizes, so the logarithm of the frequencies is enough"
    )
    assert not np.allclose(softmax(bias), 1 / FREQUENCIES / (1 / FREQUENCIES).sum()), (
        "the rare classes start as the likely ones: that is the sign of a class weight, not of a bias"
    )
    assert np.allclose(softmax(bias), FREQUENCIES), f"the softmax begins at {softmax(bias)}, not at {FREQUENCIES}"


def test_the_order_is_that_of_the_classes():
    bias = output_bias(np.array([2, 2, 1, 2, 0, 1]), 3)
    assert bias.argmax() == 2, "the classes are out of order: count by class, not by first appearance"
