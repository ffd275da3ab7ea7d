"""The facts about Keras that the chapter states in its text."""

import inspect

import keras
import pytest

from docs.hooks.pages import parts

pytestmark = pytest.mark.keras

TEXT = "\n".join(page.text for page in parts("activation-functions"))


def default(function, argument: str):
    return inspect.signature(function).parameters[argument].default


def test_what_the_table_says_of_keras():
    assert default(keras.layers.LeakyReLU.__init__, "negative_slope") == 0.3
    assert default(keras.activations.leaky_relu, "negative_slope") == 0.2
    assert default(keras.layers.PReLU.__init__, "alpha_initializer").lower() == "zeros"
    for loss in (keras.losses.CategoricalCrossentropy, keras.losses.SparseCategoricalCrossentropy):
        assert default(loss.__init__, "from_logits") is False
    assert keras.__version__.startswith("3.15.") and "Keras 3.15" in TEXT
    lecun = keras.initializers.get("lecun_normal")
    assert (lecun.scale, lecun.mode) == (1.0, "fan_in")
