import math

import keras
import numpy as np
import pytest

from snippets.activation_functions import gain_numpy as oracle
from snippets.activation_functions.gain_keras import backward_gain, forward_gain, gaussian_rule
from tests.activation_functions.shapes import FUNCTIONS

pytestmark = pytest.mark.keras


def test_the_rule_is_that_of_the_oracle():
    for ours, theirs in zip(gaussian_rule(), oracle.gaussian_rule(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_oracle_agrees(name):
    for activation in (name, getattr(keras.activations, name)):
        assert forward_gain(activation) == pytest.approx(oracle.forward_gain(FUNCTIONS[name]), rel=1e-7)
        assert backward_gain(activation) == pytest.approx(oracle.backward_gain(FUNCTIONS[name]), rel=1e-7)


def test_a_layer_of_float32_will_do():
    exact = math.sqrt(2 / (1 + 0.09))
    assert forward_gain(keras.layers.LeakyReLU()) == pytest.approx(exact, rel=1e-6)
    assert backward_gain(keras.layers.LeakyReLU()) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_a_layer_of_mixed_precision_has_no_slope_from_differences(policy):
    layer = keras.layers.LeakyReLU(dtype=policy)
    # bfloat16 rounds the values by 2^-9, and their squares by twice that
    assert forward_gain(layer) == pytest.approx(math.sqrt(2 / (1 + 0.09)), rel=2**-9)
    with pytest.raises(ValueError, match=r"float32 or wider, got b?float16: give the function of a layer"):
        backward_gain(layer)


def test_a_function_is_exact_under_a_policy_of_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert backward_gain("elu") == pytest.approx(oracle.backward_gain(FUNCTIONS["elu"]), rel=1e-7)
    finally:
        keras.config.set_dtype_policy(before)


def test_dropout_at_inference_is_the_identity():
    dropout = keras.layers.Dropout(0.5, seed=0)
    assert forward_gain(lambda x: dropout(x, training=False)) == pytest.approx(1.0, rel=1e-6)


def test_a_layer_stays_as_it_is():
    dropout, slopes = keras.layers.Dropout(0.5, seed=0), keras.layers.PReLU()
    for layer in (dropout, slopes):
        with pytest.raises(ValueError, match="activation must"):
            forward_gain(layer)
    assert not slopes.built
    inputs = keras.ops.ones((8, 8))
    fresh = keras.layers.Dropout(0.5, seed=0)
    assert np.array_equal(dropout(inputs, training=True), fresh(inputs, training=True))


def test_the_initializer_of_the_docstring_draws_with_that_gain():
    initializer = keras.initializers.VarianceScaling(forward_gain("gelu") ** 2, "fan_in", seed=0)
    kernel = keras.ops.convert_to_numpy(initializer((300, 200)))
    # The standard deviation of 60,000 truncated draws is off by 0.24 %; six of these is a false alarm in 5e8 seeds.
    assert kernel.std() == pytest.approx(1.533530 / math.sqrt(300), rel=0.0143)


@pytest.mark.parametrize("gain", [forward_gain, backward_gain])
@pytest.mark.parametrize(
    ("activation", "named"),
    [
        ("softmax", "activation must act on every entry by itself and draw nothing, got softmax"),
        (lambda x: x / keras.ops.std(x), "activation must act on every entry by itself"),
        (keras.layers.Dropout(0.5, seed=0), "draw nothing, got <Dropout"),
        (keras.layers.GaussianNoise(0.5, seed=0), "draw nothing, got <GaussianNoise"),
        (keras.layers.PReLU(), "built and without weights, got <PReLU"),
        (lambda x: x[::2], "activation must act on every entry by itself"),
        (lambda x: 0 * x, r"positive and finite mean square, got 0\.0"),
        (lambda x: x * math.inf, "positive and finite mean square, got (nan|inf)"),
    ],
)
def test_what_has_no_gain_is_refused(gain, activation, named):
    with pytest.raises(ValueError, match=named), np.errstate(invalid="ignore"):
        gain(activation)
