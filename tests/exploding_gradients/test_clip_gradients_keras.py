import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from snippets.exploding_gradients import clip_gradients_numpy as oracle
from snippets.exploding_gradients.clip_gradients_keras import clip_by_global_norm, clip_by_value, global_norm

pytestmark = pytest.mark.keras


def arrays(dtype: str = "float32") -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(dtype) for shape in ((4, 3), (5,), (), (2, 3, 3, 3))]


@pytest.mark.parametrize("max_norm", [0.1, 5.0, 1e6])
def test_clipping_by_norm_agrees_with_numpy_and_none_stays(max_norm):
    wanted, wanted_norm = oracle.clip_by_global_norm([np.asarray(array) for array in arrays()], max_norm)
    clipped, norm = clip_by_global_norm([*map(ops.convert_to_tensor, arrays()), None], max_norm)
    assert float(norm) == pytest.approx(wanted_norm, rel=1e-6)
    assert clipped.pop() is None
    for one, other in zip(clipped, wanted, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), other, rtol=1e-6)


def test_clipping_by_value_agrees_with_numpy_and_none_stays():
    *clipped, last = clip_by_value([*map(ops.convert_to_tensor, arrays()), None], 0.5)
    assert last is None
    for one, other in zip(clipped, oracle.clip_by_value(arrays(), 0.5), strict=True):
        assert (ops.convert_to_numpy(one) == other).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_any_floating_dtype(dtype):
    tensors = [ops.cast(300.0 * array, dtype) for array in arrays("float64")]
    clipped, norm = clip_by_global_norm(tensors, 1.0)
    assert math.isfinite(float(norm))
    assert {keras.backend.standardize_dtype(tensor.dtype) for tensor in clipped} == {dtype}
    assert float(global_norm(clipped)) == pytest.approx(1.0, rel=1e-2)


def test_nothing_and_zero_have_the_norm_zero():
    assert float(global_norm([None])) == 0.0
    (zero,), norm = clip_by_global_norm([ops.zeros((3,))], 1.0)
    assert float(norm) == 0.0 and not ops.convert_to_numpy(zero).any()


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_becomes_nan_everywhere(bad):
    (first, second), _ = clip_by_global_norm([ops.array([1.0, bad]), ops.array([1.0])], 1.0)
    assert np.isnan(ops.convert_to_numpy(first)).all() and np.isnan(ops.convert_to_numpy(second)).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_limit_must_be_positive(bad):
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {bad}"):
        clip_by_global_norm([ops.ones((2,))], bad)
    with pytest.raises(ValueError, match=f"limit must be positive, got {bad}"):
        clip_by_value([ops.ones((2,))], bad)


def test_a_compiled_step_gives_the_same_numbers():
    step = tf.function(lambda *gradients: clip_by_global_norm(gradients, 1.0)[0])
    for one, other in zip(step(*arrays()), clip_by_global_norm(arrays(), 1.0)[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def sparse_gradient(table: tf.Variable) -> tf.IndexedSlices:
    """Of an embedding that looks row 1 up twice and row 3 once."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(table, [1, 1, 3]))
    gradient = tape.gradient(loss, table)
    assert isinstance(gradient, tf.IndexedSlices)
    return gradient


def test_the_sparse_gradient_of_an_embedding_is_clipped():
    (clipped,), norm = clip_by_global_norm([sparse_gradient(tf.Variable(np.ones((6, 4), np.float32)))], 1.0)
    assert float(norm) == pytest.approx(math.sqrt(4 * 2**2 + 4 * 1**2))
    assert clipped.shape == (6, 4) and float(global_norm([clipped])) == pytest.approx(1.0)


def test_the_option_of_an_optimizer_lets_a_longer_step_through_for_a_repeated_row():
    table = keras.Variable(np.ones((6, 4), np.float32))
    keras.optimizers.SGD(1.0, global_clipnorm=1.0).apply([sparse_gradient(table.value)], [table])
    # It divides by sqrt(12), the norm of the three parts, where the gradient has the norm sqrt(20).
    assert np.linalg.norm(1.0 - table.numpy()) == pytest.approx(math.sqrt(20 / 12), rel=1e-5)


@pytest.mark.parametrize(
    ("option", "turned"), [({"global_clipnorm": 1.0}, False), ({"clipnorm": 1.0}, True), ({"clipvalue": 1.0}, True)]
)
def test_which_option_of_an_optimizer_turns_the_step(option, turned):
    """The trap: `clipnorm` clips each variable by itself. Gradients (3, 0) and (0, 4) keep their ratio or lose it."""
    variables = [keras.Variable([0.0, 0.0]), keras.Variable([0.0, 0.0])]
    gradients = [ops.array([3.0, 0.0]), ops.array([0.0, 4.0])]
    keras.optimizers.SGD(1.0, **option).apply(gradients, variables)
    first, second = -float(variables[0].value[0]), -float(variables[1].value[1])
    if turned:
        assert (first, second) == pytest.approx((1.0, 1.0))
    else:
        ours, _ = clip_by_global_norm(gradients, 1.0)
        assert (first, second) == pytest.approx((0.6, 0.8))
        assert (first, second) == pytest.approx((float(ours[0][0]), float(ours[1][1])))


def test_one_tensor_counts_as_a_list_of_one():
    (clipped,), norm = clip_by_global_norm(ops.full((2, 2), 3.0), 3.0)
    assert ops.convert_to_numpy(clipped).tolist() == [[1.5, 1.5], [1.5, 1.5]] and float(norm) == 6.0
    assert clip_by_value(ops.full((2, 2), 3.0), 1.0)[0].shape == (2, 2)
    assert float(global_norm(ops.ones((4,)))) == 2.0


@pytest.mark.parametrize(("size", "dtype"), [(1e30, "float32"), (1e-30, "float32"), (1e200, "float64")])
def test_a_finite_gradient_has_a_finite_norm(size, dtype):
    (clipped, _), norm = clip_by_global_norm([np.full(4, size, dtype), np.zeros((0, 3), dtype)], size / 5)
    assert float(norm) == pytest.approx(2.0 * size, rel=1e-6, abs=0.0)
    assert ops.convert_to_numpy(clipped) == pytest.approx([size / 10] * 4, rel=1e-5, abs=0.0)


def test_a_limit_of_inf_only_measures():
    (same,), norm = clip_by_global_norm([np.array([3.0, 4.0], "float32")], math.inf)
    assert float(norm) == 5.0 and ops.convert_to_numpy(same).tolist() == [3.0, 4.0]


def test_other_input_is_named():
    for clip in (clip_by_global_norm, clip_by_value):
        with pytest.raises(ValueError, match="gradients must have floating dtypes of 16 bits or more, got int64"):
            clip([np.array([3, 4])], 1.0)
        with pytest.raises(ValueError, match="gradients must yield a tensor, got an exhausted generator"):
            clip((array for array in []), 1.0)


def test_the_sparse_gradient_of_an_embedding_is_clipped_by_value():
    """A row looked up twice counts with the sum of its parts."""
    (clipped,) = clip_by_value([sparse_gradient(tf.Variable(np.ones((6, 4), np.float32)))], 1.5)
    assert ops.convert_to_numpy(clipped)[:, 0].tolist() == [0.0, 1.5, 0.0, 1.0, 0.0, 0.0]


def test_a_model_is_no_list_of_gradients():
    layer = keras.layers.Dense(2)
    for call in (lambda: clip_by_global_norm(layer, 1.0), lambda: clip_by_value([layer], 1.0)):
        with pytest.raises(ValueError, match="gradients must be tensors or arrays, got Dense"):
            call()


def test_a_limit_at_the_end_of_the_range_is_one():
    """Above it, where a norm is Inf, it would be none."""
    largest = float(np.finfo("float32").max)
    (clipped,), _ = clip_by_global_norm([ops.full((4,), 3e38)], largest)
    assert float(clipped[0]) == pytest.approx(largest / 2)
