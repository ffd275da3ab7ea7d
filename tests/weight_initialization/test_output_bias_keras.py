import math

import keras
import numpy as np
import pytest

from snippets.weight_initialization import output_bias_numpy as oracle
from snippets.weight_initialization.output_bias_keras import sigmoid_bias, softmax_bias

pytestmark = pytest.mark.keras


def test_it_is_the_oracle():
    assert sigmoid_bias(0.03) == oracle.sigmoid_bias(0.03)
    assert np.array(softmax_bias(np.array([1, 2, 7]))) == pytest.approx(oracle.softmax_bias([1, 2, 7]), abs=1e-6)


def test_as_the_docstring_shows_it():
    layer = keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(sigmoid_bias(0.01)))
    layer.build((None, 3))
    assert float(keras.ops.sigmoid(layer.bias[0])) == pytest.approx(0.01, rel=1e-5)
    output_layer = keras.layers.Dense(3)
    output_layer.build((None, 3))
    output_layer.bias.assign(softmax_bias(np.bincount([0, 1, 1, 2])))
    assert np.array(keras.ops.softmax(output_layer.bias)) == pytest.approx([0.25, 0.5, 0.25], abs=1e-6)


def test_bad_frequencies_are_refused():
    with pytest.raises(ValueError, match="frequency .*1.5"):
        sigmoid_bias(1.5)
    with pytest.raises(ValueError, match="counts"):
        softmax_bias([1, 0])


@pytest.mark.parametrize("counts", [[float("inf"), 1.0], [float("nan"), 1.0], [], [[1.0, 2.0]]])
def test_counts_are_finite_and_one_for_each_class(counts):
    with pytest.raises(ValueError, match="counts must be finite, one for each class"):
        softmax_bias(np.array(counts))


def test_the_smallest_frequency_has_a_finite_bias():
    assert sigmoid_bias(5e-324) == pytest.approx(-744.4400719, abs=1e-6)


def test_neither_the_sum_nor_the_ratio_of_the_counts_has_to_fit():
    wanted = [math.log(0.5), math.log(0.5), math.log(0.5) - 608 * math.log(10)]
    np.testing.assert_allclose(softmax_bias(np.array([1e308, 1e308, 1e-300])), wanted, rtol=1e-6)


def test_counts_beyond_the_precision_of_float32_are_told_apart():
    few, many = softmax_bias(np.array([2**24, 2**24 + 2**3]))
    assert float(many - few) == pytest.approx(2**-21, rel=0.3)
