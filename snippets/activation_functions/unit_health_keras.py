"""Which units of a model have stopped passing gradients: per layer, the
fraction dead and the fraction saturated.

    dead: the slope phi'(z) is zero for every example of the batch and every
          position, so the unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all entries

A unit is an output with weights of its own: in a convolution a channel, in a
layer on tokens a feature, at all positions together. At its start about half of
all entries of a healthy ReLU layer are saturated (off), and hardly a unit is
dead. Take a batch of a few hundred examples.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

ACTIVATION_LAYERS = (layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
CELLS = (layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell, layers.RNN)
NOT_ELEMENTWISE = (
    keras.activations.linear,
    keras.activations.softmax,
    keras.activations.log_softmax,
)


class Row(NamedTuple):
    """What became of the units of one layer."""

    name: str
    """Of the layer; one that is called twice has two rows."""

    dead: float
    """Fraction of the units."""

    saturated: float
    """Fraction of all entries."""


class Report(NamedTuple):
    """What was seen of the activations of a model."""

    reached: list[Row]
    left: dict[str, str]
    """By the layer's path, why there is no row."""


def unit_health(model: keras.Model, batch, threshold: float = 0.05) -> Report:
    """One row per call of a layer with an activation, in the order of the
    forward pass of `batch` at inference, and what was left out.

    The first dimension counts the examples, the last one the units, or axis 1
    in a layer or a configuration with "channels_first". Seen are layers with an
    `activation` argument and the layers ReLU, LeakyReLU, PReLU and ELU,
    wherever they are: in nested models, wrappers and layers of your own. Left
    are recurrent layers, softmax, layers that did not run, and what the `call`
    of a layer of your own does by itself. Raises ValueError if no layer is seen
    and, with the layer's name, for an output that is empty, not finite or has
    no axis of examples and for an activation that does not act on every entry
    by itself.
    """
    threshold = float(threshold + 0.0)  # text is no number
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    rows: list[Row] = []
    seen: set[keras.Layer] = set()
    places = list(_places(model))
    watched = {layer for layer, _ in places}
    before = [getattr(layer, place) for layer, place in places]
    try:
        for (layer, place), activation in zip(places, before, strict=True):
            setattr(layer, place, _watched(layer, activation, threshold, rows, seen))
        model(batch)
    finally:
        for (layer, place), activation in zip(places, before, strict=True):
            delattr(layer, place) if place == "call" else setattr(
                layer, place, activation
            )
    if not rows:
        raise ValueError(
            f"model must have a layer with an activation, got the layers {model.layers}"
        )
    left = {}
    for layer in model._flatten_layers():
        why = "did not run" if layer in watched else _hidden(layer)
        if why and layer not in seen:
            left[layer.path or layer.name] = why
    return Report(rows, left)


def _watched(
    layer: keras.Layer,
    activation: Callable,
    threshold: float,
    rows: list[Row],
    seen: set[keras.Layer],
) -> Callable:
    def call(z, *arguments, **keywords):
        """Add a row, then do what the activation does."""
        shape = tuple(z.shape)
        if len(shape) < 2 or 0 in shape or not bool(ops.all(ops.isfinite(z))):
            raise ValueError(
                f"model and batch must give {layer.name!r} finite values of shape (examples, ..., units), got {shape}"
            )
        function = activation
        if isinstance(layer, layers.PReLU):  # its alpha has the layer's dtype

            def function(x):
                return ops.where(x > 0, x, ops.cast(layer.alpha, x.dtype) * x)

        slopes = np.abs(_left_slope(function, z))
        moved = np.random.default_rng(0).random(shape) < 0.5
        others = ops.where(moved, -1.0 - z, z)
        change = np.abs(np.abs(_left_slope(function, others)) - slopes)[~moved]
        if not change.max(initial=0.0) < 1e-2:
            raise ValueError(
                f"model must act on every entry by itself in the activation of {layer.name!r}, got {activation}"
            )
        order = getattr(
            layer,
            "data_format",
            keras.config.image_data_format() if len(shape) > 3 else None,
        )
        units = 1 if order == "channels_first" else len(shape) - 1
        dead = (
            slopes.max(axis=tuple(axis for axis in range(len(shape)) if axis != units))
            == 0.0
        )
        seen.add(layer)
        rows.append(
            Row(layer.name, float(dead.mean()), float((slopes < threshold).mean()))
        )
        return activation(z, *arguments, **keywords)

    return call


def _places(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    """The layers with an activation, and the attribute that holds it."""
    every = model._flatten_layers()
    # a layer that is the activation of another has its row there
    held = {id(vars(layer).get("activation")) for layer in every}
    for layer in every:
        if isinstance(layer, ACTIVATION_LAYERS):
            if id(layer) not in held:
                yield layer, "call"
        # a recurrent cell runs its activation at every step
        elif hasattr(layer, "recurrent_kernel") or isinstance(layer, CELLS):
            continue
        elif (
            vars(layer).get("activation", keras.activations.linear)
            not in NOT_ELEMENTWISE
        ):
            yield layer, "activation"


def _hidden(layer: keras.Layer) -> str | None:
    """Why an activation may run in `layer` that is not seen, or None."""
    if hasattr(layer, "recurrent_kernel") or isinstance(layer, CELLS):
        return "recurrent: its activations run at every step"
    activation = vars(layer).get("activation", keras.activations.linear)
    if isinstance(layer, layers.Softmax) or activation in NOT_ELEMENTWISE[1:]:
        return "softmax: it does not act on every entry by itself"
    if not type(layer).__module__.startswith("keras."):
        return "of your own: only the layers inside of it are seen"
    return None


def _left_slope(activation: Callable, z) -> np.ndarray:
    """Difference quotient of a small step to the left: exactly 0 for a ReLU at
    0, as automatic derivatives have it.
    """
    z = ops.cast(z, "float64")
    right = activation(z)
    if tuple(right.shape) != tuple(z.shape):
        raise ValueError(
            f"model must keep the shape {tuple(z.shape)} in an activation, got {tuple(right.shape)}"
        )
    # in the precision that the activation computes in, which JAX limits too
    dtypes = [keras.backend.standardize_dtype(some.dtype) for some in (z, right)]
    step = max(map(_precision, dtypes)) ** 0.5 * ops.maximum(1.0, ops.abs(z))
    change = ops.cast(right, z.dtype) - ops.cast(activation(z - step), z.dtype)
    return ops.convert_to_numpy(change / step)


def _precision(dtype: str) -> float:
    return 2.0**-7 if dtype == "bfloat16" else float(np.finfo(dtype).eps)
