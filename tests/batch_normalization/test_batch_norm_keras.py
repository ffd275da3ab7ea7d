import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from snippets.batch_normalization import batch_norm_numpy as oracle
from snippets.batch_normalization.batch_norm_keras import batch_norm, batch_norm_backward
from tests.batch_normalization.test_batch_norm_numpy import example

pytestmark = pytest.mark.keras

SHAPES = [(7, 3), (2, 3), (5, 4, 3), (4, 2, 5, 3)]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_modes = pytest.mark.parametrize("training", [True, False])


def tensors(arrays) -> list:
    return [tf.constant(array) for array in arrays]


@both_modes
@every_shape
def test_the_oracle_agrees_in_float32(shape, training):
    arrays = example(shape, dtype=np.float32)
    ours = batch_norm(*tensors(arrays), training, 0.7, 1e-2)
    # Momentum is the weight of the new value there.
    theirs = oracle.batch_norm(*arrays, training, 0.3, 1e-2, axis=-1, unbiased=False)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)
    x, gamma, _, mean, var = arrays
    grad_y = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    ours = batch_norm_backward(*tensors([grad_y, x, gamma, mean, var]), training, 1e-2)
    theirs = oracle.batch_norm_backward(grad_y, x, gamma, mean, var, training, 1e-2, axis=-1)
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)


@both_modes
@every_shape
def test_keras_computes_the_same_with_its_defaults(shape, training):
    x, gamma, beta, mean, var = example(shape, dtype=np.float32)
    layer = keras.layers.BatchNormalization()
    layer.build(shape)
    layer.set_weights([gamma, beta, mean, var])
    y, new_mean, new_var = batch_norm(*tensors([x, gamma, beta, mean, var]), training)
    np.testing.assert_allclose(y, layer(x, training=training), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(new_mean, layer.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(new_var, layer.moving_variance, rtol=1e-6)


@both_modes
@pytest.mark.parametrize("forward", ["ours", "keras"])
@every_shape
def test_the_tape_finds_the_same_gradient(shape, forward, training):
    x, gamma, beta, mean, var = tensors(example(shape, dtype=np.float32))
    grad_y = tf.constant(np.random.default_rng(1).standard_normal(shape), tf.float32)
    layer = keras.layers.BatchNormalization()
    layer.build(shape)
    layer.set_weights([gamma, beta, mean, var])
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        if forward == "ours":
            y, leaves = batch_norm(x, gamma, beta, mean, var, training)[0], [x, gamma, beta]
        else:
            y, leaves = layer(x, training=training), [x, layer.gamma.value, layer.beta.value]
    theirs = tape.gradient(y, leaves, grad_y)
    for own, other in zip(batch_norm_backward(grad_y, x, gamma, mean, var, training), theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@both_modes
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtype_is_that_of_the_input(dtype, training):
    x, gamma, beta, mean, var = tensors(example((64, 3), dtype=np.float32))
    x = tf.cast(200 * x, dtype)
    statistics = [tf.cast(v, "float64" if dtype == "float64" else "float32") for v in (gamma, beta, mean, var)]
    y, _, _ = batch_norm(x, *statistics, training)
    exact, _, _ = batch_norm(*(tf.cast(v, "float64") for v in (x, *statistics)), training)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    np.testing.assert_allclose(tf.cast(y, "float64"), exact, rtol=2e-2, atol=2e-2)
    grad_x, _, _ = batch_norm_backward(x, x, statistics[0], statistics[2], statistics[3], training)
    assert keras.backend.standardize_dtype(grad_x.dtype) == dtype


def test_it_runs_in_a_graph_whose_batch_size_is_unknown():
    gamma, beta, mean, var = tensors(example((7, 3), dtype=np.float32)[1:])
    x = tf.constant(example((7, 3), dtype=np.float32)[0])
    unknown = [tf.TensorSpec([None, 3])]
    graph = tf.function(lambda x: batch_norm(x, gamma, beta, mean, var, True)[0], input_signature=unknown)
    np.testing.assert_allclose(graph(x), batch_norm(x, gamma, beta, mean, var, True)[0], rtol=1e-6)


def test_one_value_per_channel_has_no_deviation():
    x, gamma, beta, mean, var = tensors(example((1, 3), dtype=np.float32))
    with pytest.raises(ValueError, match=r"x must .* at least 2 values .*\(1, 3\)"):
        batch_norm(x, gamma, beta, mean, var, True)
    assert np.isfinite(batch_norm(x, gamma, beta, mean, var, False)[0]).all()


def test_shapes_and_dtypes_that_do_not_fit_are_named():
    x, *channels = example((7, 3))
    for place, name in enumerate(("gamma", "beta", "running_mean", "running_var")):
        wrong = [array[:1] if i == place else array for i, array in enumerate(channels)]
        with pytest.raises(
            ValueError, match=rf"{name} must have shape \(3,\), one per channel, and be floating, got .* \(1,\)"
        ):
            batch_norm(ops.convert_to_tensor(x), *map(ops.convert_to_tensor, wrong), True)
    gamma, _, mean, var = map(ops.convert_to_tensor, channels)
    with pytest.raises(ValueError, match=r"grad_y must be floating, of the shape of x, \(7, 3\), got .* \(1, 3\)"):
        batch_norm_backward(ops.convert_to_tensor(x[:1]), ops.convert_to_tensor(x), gamma, mean, var, True)
    with pytest.raises(ValueError, match=r"x must be floating.*int64"):
        batch_norm(ops.convert_to_tensor(x.astype("int64")), *map(ops.convert_to_tensor, channels), True)
    with pytest.raises(ValueError, match=r"x must .*\(3,\)"):
        batch_norm(ops.convert_to_tensor(x[0]), *map(ops.convert_to_tensor, channels), False)
    for eps in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"eps must be finite and not negative, got {eps}"):
            batch_norm(ops.convert_to_tensor(x), *map(ops.convert_to_tensor, channels), True, eps=eps)
    with pytest.raises(ValueError, match=r"x must hold at least 2 values per channel in training, got shape \(0, 3\)"):
        batch_norm(ops.convert_to_tensor(x[:0]), *map(ops.convert_to_tensor, channels), True)
