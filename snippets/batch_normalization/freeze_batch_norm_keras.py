"""Freeze every batch normalization of a Keras model: for fine-tuning with small
batches, and for transfer.

A frozen one uses its moving statistics in training too, and changes neither
them nor its gamma and beta. Keras makes an exception for this layer: `trainable
= False` means all that, where for other layers it only stops the updates.
Needs Python 3.10 and Keras 3.9, or newer.
Source: documentation of keras.layers.BatchNormalization; He et al. (2016),
"Deep Residual Learning for Image Recognition", appendix A, who froze it so for
detection.
"""

from typing import NamedTuple

import keras
from keras.layers import BatchNormalization


class Report(NamedTuple):
    """What became of the layers that keep moving statistics, by their paths."""

    reached: dict[str, BatchNormalization]
    """To unfreeze: `norm.trainable = True`, and compile."""
    left: dict[str, str]
    """Why it goes on as it was."""


def freeze_batch_norm_(model: keras.Model) -> Report:
    """Freeze all batch normalizations in `model` in place, wherever they are:
    in nested models, wrappers and layers of your own.

    Compile `model` afterwards: a compiled one goes on as it was.
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    report = Report({}, {})
    for layer in model._flatten_layers():
        name = layer.path or layer.name  # no path before it is built
        if name in report.reached:
            name = f"{name} #{len(report.reached)}"
        if isinstance(layer, BatchNormalization):
            layer.trainable = False
            report.reached[name] = layer
        elif hasattr(layer, "moving_mean"):
            kind = type(layer).__name__
            report.left[name] = f"keeps moving statistics, but is a {kind}"
    return report
