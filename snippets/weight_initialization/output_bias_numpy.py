"""Start a classifier at the frequencies of its classes, by the bias of the
output layer, in NumPy.

    sigmoid: b = -log((1 - p) / p)     p: frequency of the positive class
    softmax: b_c = log(p_c)            p_c: frequency of class c

With small output weights the loss then starts at the entropy of the classes: ln
C for C equally frequent ones.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Lin et al. (2017), "Focal Loss for Dense Object Detection",
arXiv:1708.02002 (the sigmoid, with p = 0.01).
"""

import math
from collections.abc import Sequence

import numpy as np


def sigmoid_bias(frequency: float) -> float:
    """Bias of an output with a sigmoid, for the `frequency` of the positive
    class, between 0 and 1, both excluded.
    """
    frequency = float(frequency + 0.0)  # text is no number
    if not 0.0 < frequency < 1.0:
        raise ValueError(f"frequency must lie between 0 and 1, got {frequency}")
    return math.log(frequency) - math.log1p(-frequency)


def softmax_bias(counts: Sequence[float]) -> np.ndarray:
    """Biases, float64, shape (C,), of outputs with a softmax, for the `counts`
    (or frequencies) of C classes.
    """
    _plain(counts=counts)
    if np.asarray(counts).dtype.kind not in "fiu":
        raise ValueError(f"counts must be real numbers, got {counts}")
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"counts must be finite, one for each class, got {counts}")
    if not (values > 0.0).all():
        raise ValueError(
            f"counts must be positive, got {counts}; give a class that was not seen a count below 1"
        )
    # of the ratios 1e300 : 1e-300 one would be 0, and a sum may be Inf
    logs = np.log(values)
    logs -= logs.max()
    return logs - np.log(np.exp(logs).sum())


def _plain(**arrays) -> None:
    """Refuse what computes another way: a matrix multiplies, a mask hides."""
    for name, array in arrays.items():
        if isinstance(array, np.matrix | np.ma.MaskedArray):
            raise ValueError(
                f"{name} must be a plain array, got a {type(array).__name__}"
            )
