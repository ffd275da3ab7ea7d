import math

import numpy as np
import pytest

from snippets.weight_initialization.output_bias_numpy import sigmoid_bias, softmax_bias


@pytest.mark.parametrize("frequency", [0.5, 0.01, 0.9])
def test_the_sigmoid_of_the_bias_is_the_frequency(frequency):
    assert 1.0 / (1.0 + math.exp(-sigmoid_bias(frequency))) == pytest.approx(frequency)


def test_the_value_for_a_rare_class():
    """-ln 99: what RetinaNet starts with."""
    assert sigmoid_bias(0.01) == pytest.approx(-4.59511985013459)


def test_the_softmax_of_the_biases_is_the_frequencies():
    biases = softmax_bias([1, 2, 7])
    # Any constant could be added; this one makes each bias the logarithm of a frequency.
    assert np.exp(biases) == pytest.approx([0.1, 0.2, 0.7])
    # Two classes: the difference of the logits is the bias of the sigmoid.
    first, second = softmax_bias([0.2, 0.8])
    assert second - first == pytest.approx(sigmoid_bias(0.8))


@pytest.mark.parametrize("frequency", [0.0, 1.0, -0.1, math.nan])
def test_a_class_that_is_never_or_always_there_is_refused(frequency):
    with pytest.raises(ValueError, match=f"frequency .*{frequency}"):
        sigmoid_bias(frequency)


def test_a_class_that_was_not_seen_is_refused():
    with pytest.raises(ValueError, match="counts"):
        softmax_bias([3, 0, 1])


@pytest.mark.parametrize("counts", [[float("inf"), 1.0], [float("nan"), 1.0], [], [[1.0, 2.0]]])
def test_counts_are_finite_and_one_for_each_class(counts):
    with pytest.raises(ValueError, match="counts must be finite, one for each class"):
        softmax_bias(counts)


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match=r"counts must be positive, got \[3, -1\]"):
        softmax_bias([3, -1])


def test_the_smallest_frequency_has_a_finite_bias():
    assert sigmoid_bias(5e-324) == pytest.approx(-744.4400719, abs=1e-6)


def test_neither_the_sum_nor_the_ratio_of_the_counts_has_to_fit():
    wanted = [math.log(0.5), math.log(0.5), math.log(0.5) - 608 * math.log(10)]
    np.testing.assert_allclose(softmax_bias([1e308, 1e308, 1e-300]), wanted, rtol=1e-12)
