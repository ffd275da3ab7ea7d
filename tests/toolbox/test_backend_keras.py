"""Keras files that need TensorFlow's gradients say so, without it and on another backend."""

import runpy
import sys

import keras
import pytest

from snippets.diagnostics import first_pass_keras, monitor_keras
from snippets.vanishing_gradients import layer_gradients_keras

pytestmark = pytest.mark.keras


@pytest.mark.parametrize(
    "module", [first_pass_keras, monitor_keras, layer_gradients_keras], ids=lambda one: one.__name__
)
def test_without_tensorflow_a_file_says_what_it_needs(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="this file needs TensorFlow, as the backend of Keras"):
        runpy.run_path(module.__file__)


def test_another_backend_is_named(monkeypatch):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="first_pass must run on the TensorFlow backend, got 'jax'"):
        first_pass_keras.first_pass()
    with pytest.raises(ValueError, match="model must run on the TensorFlow backend, got 'jax'"):
        layer_gradients_keras.layer_gradients(model, keras.ops.ones((1, 2)), keras.ops.sum)
