"""Start a classifier at the frequencies of its classes, by the bias of the
output layer.

    sigmoid: b = -log((1 - p) / p)     p: frequency of the positive class
    softmax: b_c = log(p_c)            p_c: frequency of class c

With small output weights the loss then starts at the entropy of the classes: ln
C for C equally frequent ones.

    Dense(1, bias_initializer=keras.initializers.Constant(sigmoid_bias(0.01)))
    output_layer.bias.assign(softmax_bias(np.bincount(labels)))

Needs Python 3.10 and Keras 3.9, or newer.
Source: Lin et al. (2017), "Focal Loss for Dense Object Detection",
arXiv:1708.02002 (the sigmoid, with p = 0.01).
"""

import math
from collections.abc import Sequence

import keras
import numpy as np


def sigmoid_bias(frequency: float) -> float:
    """Bias of an output with a sigmoid, for the `frequency` of the positive
    class, between 0 and 1, both excluded.
    """
    frequency = float(frequency + 0.0)  # text is no number
    if not 0.0 < frequency < 1.0:
        raise ValueError(f"frequency must lie between 0 and 1, got {frequency}")
    return math.log(frequency) - math.log1p(-frequency)


def softmax_bias(counts):
    """Biases, float32, shape (C,), of outputs with a softmax, for the `counts`
    (or frequencies) of C classes.
    """
    if hasattr(counts, "dense_shape"):
        raise ValueError(f"counts must be dense, got {type(counts).__name__}")
    if not isinstance(counts, Sequence) and not hasattr(counts, "dtype"):
        raise ValueError(f"counts must be numbers, got {type(counts).__name__}")
    if not isinstance(counts, np.ndarray):  # a float64 would become a float32
        counts = keras.ops.convert_to_tensor(counts)
    dtype = keras.backend.standardize_dtype(counts.dtype)
    real = keras.backend.is_float_dtype(dtype) or keras.backend.is_int_dtype(dtype)
    if not real or dtype.startswith("float8"):
        raise ValueError(f"counts must be real numbers, got {dtype}")
    # in float32, 16,777,217 is 16,777,216
    if not isinstance(counts, np.ndarray):
        counts = keras.ops.convert_to_numpy(keras.ops.cast(counts, "float64"))
    values = counts.astype("float64")
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"counts must be finite, one for each class, got {values}")
    if not (values > 0.0).all():
        raise ValueError(
            f"counts must be positive, got {values}; give a class that was not seen a count below 1"
        )
    # of the ratios 1e300 : 1e-300 one would be 0, and a sum may be Inf
    logs = np.log(values)
    logs -= logs.max()
    return keras.ops.convert_to_tensor(logs - np.log(np.exp(logs).sum()), "float32")
