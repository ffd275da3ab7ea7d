"""LSUV: initialize with the data's help. Orthogonal weights, then each layer is
divided by the deviation it puts out.

    W <- W / std(W h),   first layer first, on one batch

The result is the gain of every layer, measured instead of derived, whatever the
activation is. One division is enough: a layer without bias is linear in its
weight.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Mishkin & Matas (2016), "All you need is a good init", arXiv:1511.06422,
algorithm 1
(there with repeated passes).
"""

import math
import operator
from typing import NamedTuple

import keras

SUMMING = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


class Report(NamedTuple):
    """What became of the layers, in their order, and of variables that are none
    of theirs.
    """

    reached: dict[str, float]
    """By the layer's name, by which factor its kernel was divided: the
    deviation, over all entries, of what it puts out before its activation.
    """
    left: dict[str, str]
    """By the variable's path, why it stays as it is."""


def lsuv(model: keras.Model, inputs, *, seed: int) -> Report:
    """Initialize the Dense and Conv layers of a Sequential or functional
    `model` of one input in place on a batch.

    Biases become zero. Raises ValueError if an output does not vary: the signal
    died before it. Also for a model without such a layer, and by name for one
    inside of another layer or model, used twice, or with a kernel computed from
    others (LoRA) or quantized. After an error the weights are what they were.
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    inside = model.layers if isinstance(model, keras.Model) else []
    reached = [layer for layer in inside if isinstance(layer, SUMMING)]
    if not reached or not model.built:
        raise ValueError(
            f"model must be built and hold a Dense or Conv layer, got {model}"
        )
    for layer in model._flatten_layers():
        if isinstance(layer, SUMMING) and (
            layer not in reached
            or not isinstance(layer.kernel, keras.Variable)
            or not keras.backend.is_float_dtype(layer.kernel.dtype)
            or len(layer._inbound_nodes) != 1
        ):
            raise ValueError(
                f"model must hold every Dense and Conv itself, once, with its kernel, got {layer.path!r}"
            )
    try:
        start = operator.index(seed)  # Keras refuses NumPy's integers
    except TypeError:
        start = -1
    if not 0 <= start < 2**31:
        raise ValueError(f"seed must be an integer from 0 to 2^31 - 1, got {seed!r}")
    own = [variable for layer in reached for variable in layer.weights]
    before = [keras.ops.copy(keras.ops.convert_to_tensor(variable)) for variable in own]
    try:
        found = _scaled(model, reached, inputs, start)
    except BaseException:
        for variable, values in zip(own, before, strict=True):
            variable.assign(values)
        raise
    left = {
        variable.path: "belongs to no Dense or Conv layer"
        for variable in model.weights
        if id(variable) not in {id(one) for one in own}
    }
    return Report(found, left)


def _scaled(
    model: keras.Model, reached: list[keras.Layer], inputs, seed: int
) -> dict[str, float]:
    """By which factor the kernel of each layer was divided."""
    found: dict[str, float] = {}
    for i, layer in enumerate(reached):
        orthogonal = keras.initializers.Orthogonal(seed=seed + i)
        # no QR in bfloat16
        precise = keras.backend.result_type(layer.kernel.dtype, "float32")
        layer.kernel.assign(orthogonal(layer.kernel.shape, precise))
        if layer.use_bias:
            layer.bias.assign(keras.ops.zeros(layer.bias.shape, layer.bias.dtype))
        before = keras.Model(model.inputs[0], layer.input)(inputs)
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            std = float(keras.ops.std(layer(before)))
        finally:
            layer.activation = activation
        if not 0.0 < std < math.inf:
            raise ValueError(
                f"inputs must reach every layer, the output of {layer.name!r} has deviation {std}"
            )
        found[layer.name] = std
        layer.kernel.assign(layer.kernel / std)
    return found
