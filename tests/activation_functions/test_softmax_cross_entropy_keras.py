import keras
import numpy as np
import pytest
import tensorflow as tf

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


@pytest.mark.parametrize(
    ("logits", "labels", "named"),
    [
        ("float32", "bool", "dtypes must be floating and integer, got logits .*float32 and labels .*bool"),
        ("float32", "float32", "and labels .*float32"),
        ("int64", "int64", "got logits .*int64"),
    ],
)
def test_other_dtypes_are_refused(logits, labels, named):
    with pytest.raises(ValueError, match=named):
        softmax_cross_entropy((np.zeros((2, 3), logits)), (np.ones(2, labels)))


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match=r"logits must hold an example and a class, got shape \(0, 3\)"):
        softmax_cross_entropy((np.zeros((0, 3))), (np.zeros(0, np.int64)))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_every_integer_counts_a_class(dtype):
    logits, labels = batch_of_logits()
    loss, _ = softmax_cross_entropy((logits), (labels.astype(dtype)))
    assert float(loss) == pytest.approx(oracle.softmax_cross_entropy(logits, labels)[0], rel=1e-12)


@pytest.mark.parametrize("autograph", [False, True])
def test_a_compiled_step_gives_the_same_numbers_and_nan_for_a_label_out_of_range(autograph):
    logits, labels = batch_of_logits()
    signature = [tf.TensorSpec([None, 5], "float64"), tf.TensorSpec([None], "int64")]
    step = tf.function(softmax_cross_entropy, input_signature=signature, autograph=autograph)
    for one, other in zip(step(logits, labels), softmax_cross_entropy(logits, labels), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300)
    loss, gradient = step(logits, np.array([0, 5, 1, 1, 1, -1]))
    assert np.isnan(loss) and np.isnan(gradient).any(axis=1).tolist() == [False, True, False, False, False, True]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_more_classes_than_float16_can_sum(dtype):
    loss, gradient = softmax_cross_entropy(keras.ops.zeros((2, 70_000), dtype), np.array([0, 69_999]))
    assert keras.backend.standardize_dtype(loss.dtype) == keras.backend.standardize_dtype(gradient.dtype) == dtype
    assert float(loss) == pytest.approx(np.log(70_000), rel=0.01)
    np.testing.assert_allclose(keras.ops.cast(gradient[:, 0], "float32"), [-0.5, 0.5 / 70_000], rtol=0.01)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_label_of_more_than_32_bits_is_no_other_label(dtype):
    logits, labels = np.zeros((2, 3), "float32"), np.array([0, 2**32], dtype)
    with pytest.raises(ValueError, match=r"labels must lie in 0 ... 2, got 0 ... 4294967296"):
        softmax_cross_entropy(logits, labels)
    loss, _ = tf.function(softmax_cross_entropy)(tf.constant(logits), tf.constant(labels))
    assert np.isnan(float(loss))
