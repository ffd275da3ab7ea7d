import keras
import numpy as np
import pytest
from keras import layers

from snippets.weight_initialization.lsuv_keras import lsuv

pytestmark = pytest.mark.keras


def array(variable) -> np.ndarray:
    # Through a cast, since a variable as such knows less of NumPy.
    return np.array(keras.ops.cast(variable, "float64"))


def batch(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def functional(activation: str) -> keras.Model:
    inputs = layers.Input((10, 4))
    h = layers.Flatten()(layers.Conv1D(8, 3, activation=activation)(inputs))
    h = layers.Dense(32, activation=activation, use_bias=False)(h)
    h = layers.Add()([h, layers.Dense(32)(layers.Activation(activation)(layers.Dense(32)(h)))])
    return keras.Model(inputs, layers.Dense(2)(h))


@pytest.mark.parametrize("activation", ["gelu", "tanh", "sigmoid"])
def test_every_layer_puts_out_variance_one_before_its_activation(activation):
    model = functional(activation)
    found = lsuv(model, batch(64, 10, 4), seed=0).reached
    summing = [layer for layer in model.layers if isinstance(layer, layers.Dense | layers.Conv1D)]
    assert sorted(found) == sorted(layer.name for layer in summing) and len(summing) == 5
    for layer in summing:
        before = keras.Model(model.inputs[0], layer.input)(batch(64, 10, 4))
        kernel = keras.ops.reshape(layer.kernel, (*layer.kernel.shape,))
        linear = keras.ops.conv(before, kernel) if kernel.ndim == 3 else keras.ops.matmul(before, kernel)
        assert float(keras.ops.std(linear)) == pytest.approx(1.0, rel=1e-4)
        assert not layer.use_bias or not array(layer.bias).any()


def test_kernels_are_orthogonal_up_to_the_factor_that_is_told():
    model = keras.Sequential(
        [layers.Input((32,)), layers.Dense(32, activation="tanh", name="a"), layers.Dense(16, name="b")]
    )
    found = lsuv(model, batch(64, 32), seed=0).reached
    for layer in model.layers:
        unscaled = found[layer.name] * array(layer.kernel)
        assert unscaled.T @ unscaled == pytest.approx(np.eye(layer.units), abs=1e-5)
        assert layer.activation.__name__ == ("tanh" if layer.name == "a" else "linear")


def test_layers_of_one_shape_get_kernels_of_their_own_and_the_seed_decides():
    model = keras.Sequential([layers.Input((8,)), layers.Dense(8), layers.Dense(8)])
    first = lsuv(model, batch(64, 8), seed=0).reached
    assert (array(model.layers[0].kernel) != array(model.layers[1].kernel)).any()
    assert lsuv(model, batch(64, 8), seed=0).reached == first != lsuv(model, batch(64, 8), seed=9).reached


def test_a_dead_signal_is_refused_and_activations_stay():
    model = keras.Sequential([layers.Input((8,)), layers.Dense(8, activation="relu", name="dead")])
    with pytest.raises(ValueError, match="'dead' has deviation 0"):
        lsuv(model, np.zeros((4, 8), "float32"), seed=0)
    assert model.layers[0].activation.__name__ == "relu"


def test_what_a_write_would_not_reach_is_named_before_a_change():
    inputs, shared = np.ones((2, 3, 4), "float32"), keras.layers.Dense(4)
    lora = keras.layers.Dense(4)
    entry = keras.Input((3, 4))
    timed, nested = keras.layers.TimeDistributed(keras.layers.Dense(4)), keras.Sequential([keras.layers.Dense(4)])
    for inside in ([timed], [nested], [lora], [shared] * 2):
        first, out = keras.layers.Dense(4), entry
        for layer in (first, *inside):
            out = layer(out)
        if inside == [lora]:
            lora.enable_lora(2)
        before = first.kernel.numpy()
        with pytest.raises(ValueError, match="model must hold every Dense and Conv itself, once"):
            lsuv(keras.Model(entry, out), inputs, seed=0)
        np.testing.assert_array_equal(first.kernel, before)


def test_it_says_what_it_left():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(4), layers.LayerNormalization()])
    reached, left = lsuv(model, batch(8, 4), seed=0)
    assert list(reached) == [model.layers[0].name]
    assert left == {weight.path: "belongs to no Dense or Conv layer" for weight in model.layers[1].weights}


def test_a_model_without_such_a_layer_is_refused():
    with pytest.raises(ValueError, match="model must be built and hold a Dense or Conv layer"):
        lsuv(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()]), np.ones((2, 4)), seed=0)


def test_a_seed_may_be_an_integer_of_numpy():
    first, second = (keras.Sequential([layers.Input((4,)), layers.Dense(3)]) for _ in range(2))
    lsuv(first, batch(16, 4), seed=np.int64(3))
    lsuv(second, batch(16, 4), seed=3)
    np.testing.assert_array_equal(array(first.layers[0].kernel), array(second.layers[0].kernel))
    with pytest.raises(ValueError, match="seed must be an integer from 0 to 2.31 - 1, got '3'"):
        lsuv(first, batch(16, 4), seed="3")


def test_after_an_error_the_weights_are_what_they_were():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Rescaling(0.0), keras.layers.Dense(2)]
    )
    before = model.get_weights()
    with pytest.raises(ValueError, match="inputs must reach every layer"):
        lsuv(model, np.ones((8, 3), "float32"), seed=0)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
