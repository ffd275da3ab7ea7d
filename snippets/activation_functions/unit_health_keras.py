"""Which units of a model have stopped passing gradients: per layer, the
fraction dead and the fraction saturated.

    dead: the slope phi'(z) is zero for every example of the batch, so the
          unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all examples and units

A unit is one entry of the layer's output for one example; in a convolution, a
channel at a position. Of a healthy ReLU layer about half of all entries are
saturated (off), and no unit is dead. Take a batch of a few hundred examples.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

ACTIVATION_LAYERS = (layers.ReLU, layers.LeakyReLU, layers.ELU)
NOT_ELEMENTWISE = (keras.activations.linear, keras.activations.softmax, keras.activations.log_softmax)


class Row(NamedTuple):
    """What became of the units of one layer."""

    name: str
    """Of the layer; one that is called twice has two rows."""

    dead: float
    """Fraction of the units."""

    saturated: float
    """Fraction of all pairs of an example and a unit."""


def unit_health(model: keras.Model, batch, threshold: float = 0.05) -> list[Row]:
    """One row per call of a layer with an activation, in the order of the
    forward pass of `batch` at inference.

    The first dimension counts the examples. Seen are layers with an
    `activation` argument and the layers ReLU, LeakyReLU and ELU, also in nested
    models. Passed over are recurrent layers and what is linear or softmax.
    """
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    rows: list[Row] = []
    places = list(_places(model))
    before = [getattr(layer, place) for layer, place in places]
    try:
        for (layer, place), activation in zip(places, before, strict=True):
            setattr(layer, place, _watched(layer.name, activation, threshold, rows))
        model(batch)
    finally:
        for (layer, place), activation in zip(places, before, strict=True):
            delattr(layer, place) if place == "call" else setattr(layer, place, activation)
    if not rows:
        raise ValueError(f"model must have a layer with an activation, got the layers {model.layers}")
    return rows


def _watched(name: str, activation: Callable, threshold: float, rows: list[Row]) -> Callable:
    def call(z):
        """Add a row, then do what the activation does."""
        slopes = np.abs(_left_slope(activation, z))
        dead, saturated = slopes.max(axis=0) == 0.0, slopes < threshold
        rows.append(Row(name, float(dead.mean()), float(saturated.mean())))
        return activation(z)

    return call


def _places(model: keras.Model) -> Iterator[tuple[keras.Layer, str]]:
    """The layers with an activation, and the attribute that holds it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _places(layer)
        elif isinstance(layer, ACTIVATION_LAYERS):
            yield layer, "call"
        elif vars(layer).get("activation", keras.activations.linear) not in NOT_ELEMENTWISE:
            yield layer, "activation"


def _left_slope(activation: Callable, z) -> np.ndarray:
    """Difference quotient of a small step to the left: exactly 0 for a ReLU at
    0, as automatic derivatives have it.
    """
    z = ops.cast(z, "float64")
    precision = np.finfo(keras.backend.standardize_dtype(z.dtype)).eps ** 0.5
    step = precision * ops.maximum(1.0, ops.abs(z))
    return ops.convert_to_numpy((activation(z) - activation(z - step)) / step)
