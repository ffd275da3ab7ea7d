import numpy as np
import pytest

from snippets.activation_functions.softmax_cross_entropy_numpy import softmax_cross_entropy
from tests.activation_functions.shapes import batch_of_logits


def plain_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The definition, in long double: -log softmax, no shift."""
    p = np.exp(logits.astype(np.longdouble))
    p /= p.sum(axis=1, keepdims=True)
    return float(-np.log(p[np.arange(len(labels)), labels]).mean())


def test_the_loss_is_its_definition():
    logits, labels = batch_of_logits()
    assert softmax_cross_entropy(logits, labels)[0] == pytest.approx(plain_loss(logits, labels), rel=1e-13)


def test_equal_logits_lose_the_logarithm_of_the_number_of_classes():
    loss, gradient = softmax_cross_entropy(np.full((3, 10), 7.0), np.array([0, 5, 9]))
    assert loss == pytest.approx(np.log(10))
    assert gradient[0] == pytest.approx(np.array([-0.9, *[0.1] * 9]) / 3)


def test_the_gradient_is_that_of_the_loss():
    logits, labels = batch_of_logits()
    _, gradient = softmax_cross_entropy(logits, labels)
    for index in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[index] = 1e-5
        rise = plain_loss(logits + step, labels) - plain_loss(logits - step, labels)
        assert gradient[index] == pytest.approx(rise / 2e-5, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_dtype_stays_and_extreme_logits_give_finite_numbers(dtype):
    logits = np.array([[3e4, -3e4, 0.0], [-3e4, 3e4, 0.0]], dtype=dtype)
    before = logits.copy()
    loss, gradient = softmax_cross_entropy(logits, np.array([1, 1]))
    assert loss == pytest.approx(3e4, rel=1e-3)
    assert gradient.dtype == dtype
    assert gradient == pytest.approx(np.array([[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]]))
    assert np.array_equal(logits, before)


def test_a_masked_class_has_no_gradient():
    _, gradient = softmax_cross_entropy(np.array([[0.0, 0.0, -np.inf]]), np.array([0]))
    assert gradient == pytest.approx(np.array([[-0.5, 0.5, 0.0]]))


@pytest.mark.parametrize(
    ("shape", "labels", "named"),
    [
        ((3,), [0], r"shapes .*logits \(3,\)"),
        ((2, 3), [0], r"shapes .*labels \(1,\)"),
        ((2, 3), [0, 3], r"labels must lie in 0 \.\.\. 2, got 0 \.\.\. 3"),
        ((2, 4), [0, 4], r"labels must lie in 0 \.\.\. 3, got 0 \.\.\. 4"),
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
    assert float(loss) == pytest.approx(softmax_cross_entropy(logits, labels)[0], rel=1e-12)


def test_more_classes_than_float16_can_sum():
    loss, gradient = softmax_cross_entropy(np.zeros((2, 70_000), np.float16), np.array([0, 69_999]))
    assert loss == pytest.approx(np.log(70_000), rel=1e-6)
    assert gradient.dtype == np.float16
    np.testing.assert_allclose(gradient[:, 0], [-0.5, 0.5 / 70_000], rtol=0.01)
