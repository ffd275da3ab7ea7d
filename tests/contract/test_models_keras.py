"""Bad models and layers to Keras's files, function by function."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from snippets.activation_functions import unit_health_keras as health
from snippets.batch_normalization import fold_batch_norm_keras as fold
from snippets.batch_normalization import freeze_batch_norm_keras as freeze
from snippets.exploding_gradients import finite_guard_keras as guard
from snippets.vanishing_gradients import forget_bias_keras as forget
from snippets.vanishing_gradients import layer_gradients_keras as gradients
from snippets.weight_initialization import init_weights_keras as whole
from snippets.weight_initialization import looks_linear_keras as linear
from snippets.weight_initialization import lsuv_keras as lsuv
from snippets.weight_initialization import residual_scaling_keras as residual
from snippets.xavier_initialization import packed_attention_keras as attention
from tests.contract.table import Cell, every, hold

pytestmark = pytest.mark.keras


def draws(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def filled(model: keras.Layer) -> keras.Layer:
    """With the same positive numbers in every weight, whatever is around it."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(generator.uniform(0.5, 1.0, weight.shape))
    return model


def parts(dtype: str | None = None) -> list[keras.Layer]:
    return [
        layers.Dense(4, dtype=dtype),
        layers.BatchNormalization(dtype=dtype),
        layers.ReLU(dtype=dtype),
        layers.Dense(4, "relu", dtype=dtype),
        layers.Dense(2, dtype=dtype),
    ]


def chain(dtype: str | None = None) -> keras.Sequential:
    return filled(keras.Sequential([keras.Input((6,)), *parts(dtype)]))


class Own(keras.Layer):
    """A layer of somebody's own around a model."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.inner = keras.Sequential(parts())

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.inner(x, training=training)


def frozen() -> keras.Model:
    model = chain()
    model.trainable = False
    return model


def shared() -> keras.Model:
    inputs = keras.Input((6,))
    first, bn, relu, middle, last = parts()
    return filled(keras.Model(inputs, last(middle(middle(relu(bn(first(inputs))))))))


def lora() -> keras.Model:
    model = chain()
    model.layers[3].enable_lora(2)
    return model


def quantized() -> keras.Model:
    model = chain()
    with warnings.catch_warnings(action="ignore"):
        model.layers[3].quantize("int8")
    return model


def nan() -> keras.Model:
    model = chain()
    kernel = model.layers[3].kernel.numpy()
    kernel[0, 0] = np.nan
    model.layers[3].kernel.assign(kernel)
    return model


def compiled() -> keras.Model:
    model = chain()
    model.compile("sgd", "mse")
    model.fit(draws(5, 6), draws(5, 2), epochs=1, verbose=0)
    return filled(model)


MODELS: dict[str, Callable[[], keras.Model]] = {
    "empty": lambda: keras.Sequential([keras.Input((6,))]),
    "no-layer": lambda: keras.Sequential([keras.Input((6,)), layers.Flatten(), layers.ReLU()]),
    "unbuilt": lambda: keras.Sequential(parts()),
    "frozen": frozen,
    "shared": shared,
    "lora": lora,
    "quant": quantized,
    "nested": lambda: filled(
        keras.Sequential([keras.Input((6,)), keras.Sequential(parts()[:2]), keras.Sequential(parts()[2:])])
    ),
    "wrapped": lambda: filled(keras.Sequential([keras.Input((6,)), Own()])),
    "compiled": compiled,
    "nan": nan,
    "half": lambda: chain("bfloat16"),
}


def in_place(change: Callable[[keras.Model], object]) -> Callable[[keras.Model], object]:
    """What is left of the model: all its numbers, in order."""

    def call(model: keras.Model) -> object:
        result = change(model)
        return [numbers(weight) for weight in model.weights if not re.search("seed|lora", weight.path)], result

    return call


def numbers(weight: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))


def sizes(rows: list) -> list:
    return [tuple(row)[1:] for row in rows]


CALLS: dict[str, Callable[[keras.Model], object]] = {
    "init_weights.init_weights model": in_place(lambda model: len(whole.init_weights(model, seed=0).reached)),
    "lsuv.lsuv model": in_place(lambda model: lsuv.lsuv(model, draws(5, 6), seed=0)),
    "looks_linear.looks_linear model": in_place(lambda model: linear.looks_linear(model, seed=0)),
    "freeze_batch_norm.freeze_batch_norm_ model": in_place(lambda model: len(freeze.freeze_batch_norm_(model).reached)),
    "fold_batch_norm.fold_model model": lambda model: fold.fold_model(model)[0](draws(5, 6)),
    "unit_health.unit_health model": lambda model: sizes(health.unit_health(model, draws(5, 6)).reached),
    "layer_gradients.layer_gradients model": lambda model: sizes(
        gradients.layer_gradients(model, draws(5, 6), lambda z: keras.ops.mean(keras.ops.square(z))).reached
    ),
    "finite_guard.first_non_finite_layer model": lambda model: [
        guard.first_non_finite_layer(model, draws(5, 6)) is None
    ],
    "residual_scaling.gpt2_scale branches": in_place(lambda model: residual.gpt2_scale([model, model])),
    "residual_scaling.fixup branches": in_place(lambda model: residual.fixup([model, model])),
    "residual_scaling.zero_gamma branches": in_place(lambda model: residual.zero_gamma([model, model])),
}


@every("keras", "models")
def test_models(cell: Cell):
    model, call = MODELS[cell.column](), CALLS[cell.row]
    before = [numbers(weight) for weight in model.weights]
    same = cell.column in ("nested", "wrapped", "compiled", "half")
    hold(
        cell,
        lambda: call(chain() if same else MODELS[cell.column]()),
        lambda: call(model),
        6e-2 if cell.column == "half" else 1e-5,
    )
    if cell.sign == "x":
        for weight, value in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(numbers(weight), value)


def norm() -> layers.BatchNormalization:
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    return filled(layer)


def dense() -> layers.Dense:
    layer = layers.Dense(4)
    layer.build((None, 3))
    return filled(layer)


def lstm() -> layers.LSTM:
    layer = layers.LSTM(2)
    layer.build((None, 3, 4))
    return layer


def attending() -> layers.MultiHeadAttention:
    layer = layers.MultiHeadAttention(2, 3)
    layer(draws(1, 2, 4), draws(1, 2, 4))
    return layer


LAYERS: dict[str, tuple[Callable[[keras.Layer], object], Callable[[], keras.Layer]]] = {
    "fold_batch_norm.fold_batch_norm layer": (
        lambda layer: fold.fold_batch_norm(layer, norm())(draws(5, 3)),
        dense,
    ),
    "fold_batch_norm.fold_batch_norm norm": (lambda layer: fold.fold_batch_norm(dense(), layer)(draws(5, 3)), norm),
    "init_weights.true_fan_in layer": (whole.true_fan_in, dense),
    "forget_bias.set_forget_bias lstm": (
        lambda layer: numbers(forget.set_forget_bias(layer, 3.0).cell.bias)[2:4],
        lstm,
    ),
    "packed_attention.xavier_attention attention": (
        lambda layer: [
            dense.kernel for _, dense, _ in attention.projections(attention.xavier_attention(layer, seed=0))
        ],
        attending,
    ),
    "packed_attention.projections attention": (
        lambda layer: [axes for *_, axes in attention.projections(layer)],
        attending,
    ),
}


def with_lora(layer: keras.Layer) -> keras.Layer:
    (layer.query_dense if hasattr(layer, "query_dense") else layer).enable_lora(2)
    return layer


COLUMNS: dict[str, Callable[[keras.Layer], keras.Layer]] = {
    "other": lambda _: layers.PReLU(),
    "unbuilt": lambda layer: type(layer).from_config(layer.get_config()),
    "lora": with_lora,
    "active": lambda layer: active(layer),
}


class Active(layers.BatchNormalization):
    """A norm with an activation inside."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        return keras.ops.relu(super().call(x, training=training, mask=mask))


def active(layer: keras.Layer) -> keras.Layer:
    other = Active()
    other.build(layer.get_build_config()["input_shape"])
    other.set_weights(layer.get_weights())
    return other


@every("keras", "layers")
def test_layers(cell: Cell):
    function, plain = LAYERS[cell.row]
    hold(cell, lambda: function(plain()), lambda: function(COLUMNS[cell.column](plain())))
