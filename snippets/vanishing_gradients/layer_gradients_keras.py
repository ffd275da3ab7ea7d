"""Where does the gradient vanish? Per layer of your model, the size of
dL/d(preactivation) and dL/d(kernel), one batch.

    rms(g) = sqrt(mean(g^2))
    factor per layer = (rms_first / rms_last)^(1 / (layers - 1))

`Dense` and `Conv` layers hold their activation; what is measured is the
preactivation that it takes. The two sizes are two questions: the gradient of
the preactivations may fall towards the input where that of the kernels does
not.

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rows, left = layer_gradients(model, inputs, lambda out: loss(labels, out))
    print(*rows, sep="\\n")
    # without the output layer: no activation follows it
    print(factor_per_layer(rows[:-1]))

Needs the TensorFlow backend: Keras itself has no function for a gradient.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", equations 2 and 3.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError("this file needs TensorFlow, as the backend of Keras") from error


class LayerGradient(NamedTuple):
    """Root mean squares over all entries, in units of the loss per unit of what
    stands below it.
    """

    name: str
    """The layer's path."""
    output_rms: float
    """Of dL/d(preactivation), over batch and units."""
    weight_rms: float | None
    """Of dL/d(kernel), over all uses of it; None if it is frozen."""


class Report(NamedTuple):
    """What was measured in a model."""

    reached: list[LayerGradient]
    left: dict[str, str]
    """By its path, why a weight of two or more dimensions has no row."""


def layer_gradients(
    model: keras.Model,
    inputs: Any,
    loss: Callable[[Any], tf.Tensor],
    training: bool = False,
) -> Report:
    """One row each time a layer with a kernel and an activation runs, in the
    order of the forward pass, and what was left out.

    `inputs` is what `model` takes; `loss` takes its output and returns a
    scalar. Weights, moving statistics, activations and random state are
    afterwards what they were, also after an error. Recurrent layers have no
    row: their kernels are in their cells. Raises ValueError for a model that is
    not built, when no layer with a row ran and when `loss` returns no scalar.
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"model must be built first, by a batch or an Input, got {model.name!r}"
        )
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"model must run on the TensorFlow backend, got {keras.backend.backend()!r}"
        )
    if not callable(loss):
        raise ValueError(f"loss must be a function of the output, got {loss!r}")
    ran: list[tuple[keras.Layer, tf.Tensor]] = []

    def _keep(
        layer: keras.Layer, activation: Callable, preactivation: tf.Tensor
    ) -> tf.Tensor:
        tape.watch(preactivation)
        ran.append((layer, preactivation))
        return activation(preactivation)

    activations = {
        layer: layer.activation
        for layer in model._flatten_layers()
        if _kernel(layer) is not None
    }
    try:
        for layer, activation in activations.items():
            layer.activation = partial(_keep, layer, activation)
        # A stateless scope keeps what is assigned to variables: moving
        # statistics and seeds stay.
        with keras.StatelessScope(), tf.GradientTape() as tape:
            value = loss(model(inputs, training=training))
    finally:
        for layer, activation in activations.items():
            layer.activation = activation
    if not ran:
        raise ValueError(
            f"model must run a layer with a kernel and an activation, got {model.name!r}"
        )
    if not tf.is_tensor(value) or not value.dtype.is_floating:
        raise ValueError(f"loss must return a floating tensor, got {value!r}")
    if value.shape.rank != 0:
        raise ValueError(f"loss must return a scalar, got shape {tuple(value.shape)}")
    outputs = [preactivation for _, preactivation in ran]
    kernels = {
        layer: kernel.value
        for layer, _ in ran
        if (kernel := _kernel(layer)) is not None and kernel.trainable
    }
    sources = (outputs, list(kernels.values()))
    of_outputs, of_kernels = tape.gradient(
        value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    of_kernel = {
        layer: _rms(gradient)
        for layer, gradient in zip(kernels, of_kernels, strict=True)
    }
    rows = [
        LayerGradient(layer.path, _rms(gradient), of_kernel.get(layer))
        for (layer, _), gradient in zip(ran, of_outputs, strict=True)
    ]
    called = {id(weight) for layer, _ in ran for weight in layer.weights}
    known = {id(weight) for layer in activations for weight in layer.weights}
    left = {
        weight.path: "its layer was not called"
        if id(weight) in known
        else "its layer has no kernel with an activation"
        for weight in model.weights
        if len(weight.shape) > 1 and id(weight) not in called
    }
    return Report(rows, left)


def factor_per_layer(rows: Iterable[LayerGradient]) -> float:
    """Geometric mean of the factor by which one layer multiplies the size of
    dL/d(preactivation) on the way back.

    1 carries the gradient through any depth, 0.5 halves it in every layer.
    Raises ValueError for fewer than two rows and for a last row that has no
    gradient.
    """
    listed = list(rows) if isinstance(rows, Iterable) else []
    sizes = [row.output_rms for row in listed if isinstance(row, LayerGradient)]
    if len(sizes) < 2 or len(sizes) != len(listed) or sizes[-1] == 0.0:
        raise ValueError(
            f"rows must be two or more, with a gradient in the last, got {rows}"
        )
    # the ratio itself may overflow
    power = 1.0 / (len(sizes) - 1)
    return sizes[0] ** power / sizes[-1] ** power


def _kernel(layer: keras.Layer) -> keras.Variable | None:
    # A recurrent cell runs its activation at every step, on more than one
    # preactivation.
    kernel = (
        getattr(layer, "kernel", None)
        if not hasattr(layer, "recurrent_kernel")
        else None
    )
    return (
        kernel
        if isinstance(kernel, keras.Variable) and hasattr(layer, "activation")
        else None
    )


def _rms(gradient: tf.Tensor) -> float:
    values = tf.cast(gradient, tf.float64).numpy()
    if not values.size:
        raise ValueError(
            f"inputs must hold an example, got a gradient of shape {values.shape}"
        )
    largest = float(np.abs(values).max())
    if not 0.0 < largest < math.inf:
        return largest  # 0, Inf or NaN
    # the bare square of 1e-200 would be 0
    return largest * math.sqrt(np.square(values / largest).mean())
