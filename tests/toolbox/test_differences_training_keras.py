"""How Keras clips and steps: its column on the page of differences, each cell measured, each line of code run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops, optimizers

from snippets.exploding_gradients.clip_gradients_keras import clip_by_global_norm
from tests.toolbox.measures import Measures, MeasureTests, number
from tests.toolbox.tables import TOOLBOX, differences

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("seeded_keras")]

ROWS = differences("clipping", "optimizers")
NAMES = vars(optimizers) | {"tf": tf}
MEASURES = Measures(ROWS, NAMES)
row = MEASURES.row


def trained(
    weights: list[float], gradients: list[list[float]], optimizer: keras.Optimizer, rates: tuple[float, ...] = ()
) -> list[float]:
    """The weights, each a variable of its own, after a step for each list of their gradients."""
    variables = [keras.Variable(np.float32([weight])) for weight in weights]
    optimizer.build(variables)
    for step, gradient in enumerate(gradients):
        if rates:
            optimizer.learning_rate = rates[step]
        optimizer.apply([ops.convert_to_tensor(np.float32([part])) for part in gradient], variables)
    return [float(variable[0]) for variable in variables]


def first_step(optimizer: keras.Optimizer, gradient: float) -> float:
    """How far a weight at 0 moves against its gradient."""
    (weight,) = trained([0.0], [[gradient]], optimizer)
    return -weight


def at_rate_one(optimizer: keras.Optimizer) -> keras.Optimizer:
    optimizer.learning_rate = 1.0
    return optimizer


def looked_up_twice() -> tuple[keras.layers.Embedding, list]:
    """An embedding of zeros that looked one row up twice, and its gradient, much longer than 1."""
    layer = keras.layers.Embedding(4, 2, embeddings_initializer="zeros")
    layer.build()
    with tf.GradientTape() as tape:
        loss = 100.0 * ops.sum(layer(np.array([1, 1])))
    return layer, tape.gradient(loss, [layer.embeddings.value])


# Gradients and clipping


@row("gradients of two batches", "tf.GradientTape()")
def accumulated(make):
    weight = keras.Variable(ops.ones(1))
    for size in (3.0, 4.0):
        with make() as tape:
            loss = ops.sum(size * weight)
        gradient = tape.gradient(loss, weight.value)
    return {7.0: "add up", 4.0: "replace each other"}[float(gradient[0])]


@row("clipping by norm, the obvious name: `clip_grad_norm_`, `clipnorm`", "SGD(1.0, clipnorm=1.0)")
def clip_norm(make):
    steps = tuple(round(-weight, 4) for weight in trained([0.0, 0.0], [[3.0, 4.0]], make()))
    return {(0.6, 0.8): "all tensors together", (1.0, 1.0): "each tensor by itself"}[steps]


@row("step at the limit 1, a row of an embedding looked up twice, `global_clipnorm`", "SGD(1.0, global_clipnorm=1.0)")
def embedding_step(make):
    optimizer, (layer, gradients) = make(), looked_up_twice()
    optimizer.apply(gradients, [layer.embeddings])
    return number(np.linalg.norm(layer.embeddings), ".3g")


@row("one Inf among the gradients, clipped by the global norm", "SGD(1.0, global_clipnorm=1.0)")
def infinite(make):
    weights = trained([0.0] * 3, [[np.inf, 1.0, 2.0]], make())
    return {1: "one NaN, the rest 0", 3: "all NaN"}[int(np.isnan(weights).sum())]


# Optimizers


@row("SGD: learning rate", "SGD()")
def sgd_rate(make):
    return number(round(first_step(make(), 1.0), 6))


@row("RMSprop: learning rate", "RMSprop()")
def rmsprop_rate(make):
    optimizer = make()
    optimizer.rho = 0.0
    return number(round(first_step(optimizer, 1.0), 6))


@row("Adagrad: learning rate", "Adagrad()")
def adagrad_rate(make):
    return number(round(first_step(make(), 1e6), 6))


@row("Adagrad: first sum of squares", "Adagrad()")
def adagrad_sum(make):
    """One step of rate 1: g / sqrt(sum + g²)."""
    return number(abs(round(1 / first_step(at_rate_one(make()), 1.0) ** 2 - 1, 4)))


@row("RMSprop: memory of the squares", "RMSprop()")
def rmsprop_memory(make):
    return number(round(1 - 1 / first_step(at_rate_one(make()), 1.0) ** 2, 4))


@row("Adam: ε", "Adam()")
def adam_eps(make):
    """The step is lr g / (g + ε / sqrt(1 - β₂))."""
    step = first_step(at_rate_one(make()), 1e-6)
    return number((1e-6 / step - 1e-6) * 0.001**0.5, ".3g")


@row("Adam: gradient that ε halves in the first step", "Adam()")
def adam_halved(make):
    """The step is lr g / (g + x): half of lr at g = x."""
    step = first_step(at_rate_one(make()), 1e-6)
    return number(1e-6 / step - 1e-6, ".3g")


@row("RMSprop: where ε is added", "RMSprop(1.0, rho=0.0, epsilon=1.0)")
def rmsprop_eps(make):
    return {0.5: "to the root", 0.7071: "under the root"}[round(first_step(make(), 1.0), 4)]


@row("`weight_decay` of Adam", "Adam(0.1, weight_decay=0.5)")
def adam_decay(make):
    """Weights of 2 and 4 without gradient: each a whole step of Adam, 0.1, or 0.1 times 0.5 of itself."""
    two, four = trained([2.0, 4.0], [[0.0, 0.0]], make())
    steps = round(2 - two, 4), round(4 - four, 4)
    return {(0.1, 0.1): "is added to the gradient", (0.1, 0.2): "shrinks the weight"}[steps]


@row("AdamW: weight decay", "AdamW()")
def adamw_decay(make):
    (weight,) = trained([1.0], [[0.0]], at_rate_one(make()))
    return number(round(1 - weight, 4))


@row("momentum, when the learning rate changes", "SGD(momentum=0.5)")
def momentum(make):
    (weight,) = trained([0.0], [[1.0], [0.0]], make(), rates=(1.0, 0.1))
    return {1.05: "old gradients at the new rate", 1.5: "old steps as they were"}[round(-weight, 4)]


class TestMeasures(MeasureTests):
    measures = MEASURES


def test_our_clipping_adds_the_parts_of_a_row_first():
    layer, gradients = looked_up_twice()
    clipped, _ = clip_by_global_norm(gradients, 1.0)
    keras.optimizers.SGD(1.0).apply(clipped, [layer.embeddings])
    assert number(np.linalg.norm(layer.embeddings), ".3g") == "1"


def test_the_versions_in_the_text():
    keras_version, tensorflow_version = (".".join(module.__version__.split(".")[:2]) for module in (keras, tf))
    text = (TOOLBOX / "framework-differences.md").read_text(encoding="utf-8")
    assert f"Keras {keras_version} on TensorFlow {tensorflow_version}." in text
