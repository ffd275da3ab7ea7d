import keras
import numpy as np
import pytest

from snippets.activation_functions import softmax_cross_entropy_numpy as oracle
from snippets.activation_functions.softmax_cross_entropy_keras import softmax_cross_entropy
from tests.activation_functions.shapes import batch_of_logits

pytestmark = pytest.mark.keras


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_the_oracle_agrees(dtype, accuracy):
    logits, labels = batch_of_logits(dtype)
    loss, gradient = softmax_cross_entropy(logits, labels)
    expected, expected_gradient = oracle.softmax_cross_entropy(logits, labels)
    assert keras.backend.standardize_dtype(gradient.dtype) == np.dtype(dtype).name
    assert float(loss) == pytest.approx(expected, rel=accuracy)
    assert keras.ops.convert_to_numpy(gradient) == pytest.approx(expected_gradient, abs=accuracy)


def test_the_loss_is_that_of_keras_from_logits():
    logits, labels = batch_of_logits(np.float32)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert float(softmax_cross_entropy(logits, labels)[0]) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_dtypes_stay(dtype):
    logits, labels = batch_of_logits()
    loss, gradient = softmax_cross_entropy(keras.ops.cast(logits, dtype), labels)
    assert keras.backend.standardize_dtype(gradient.dtype) == dtype
    assert float(loss) == pytest.approx(oracle.softmax_cross_entropy(logits, labels)[0], rel=0.02)


@pytest.mark.parametrize(
    ("shape", "labels", "named"),
    [
        ((3,), [0], r"shapes .*logits \(3,\)"),
        ((2, 3), [0], r"shapes .*labels \(1,\)"),
        ((2, 3), [0, 3], r"labels must lie in 0 \.\.\. 2, got 0 \.\.\. 3"),
        ((2, 3), [-1, 0], r"labels must lie in 0 \.\.\. 2, got -1 \.\.\. 0"),
    ],
)
def test_errors_name_argument_and_value(shape, labels, named):
    with pytest.raises(ValueError, match=named):
        softmax_cross_entropy(np.zeros(shape), np.array(labels))
