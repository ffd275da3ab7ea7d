"""Gradient clipping in NumPy: by the global norm, which keeps the direction,
and by value, which does not.

    by norm:   g <- g * min(1, max_norm / ||g||), where
               ||g||^2 = sum of the squares of all entries of all gradients
    by value:  g <- max(-limit, min(limit, g)), entry by entry

Both leave a short gradient alone. The norm is that of all gradients together:
clipped array by array, each would be scaled by a factor of its own, and the
step would turn.
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

import math
from collections.abc import Sequence

import numpy as np


def global_norm(gradients: Sequence[np.ndarray]) -> float:
    """Euclidean norm of all entries of all arrays together, of any shapes;
    summed in float64.
    """
    return math.sqrt(sum(float(np.sum(np.square(gradient, dtype=np.float64))) for gradient in gradients))


def clip_by_global_norm(gradients: Sequence[np.ndarray], max_norm: float) -> tuple[list[np.ndarray], float]:
    """The arrays scaled to a global norm of at most `max_norm`, in their
    dtypes, and the norm before that.

    Raises ValueError if `max_norm` is not positive, and FloatingPointError if
    the norm is Inf or NaN: no factor mends such a gradient.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    norm = global_norm(gradients)
    if not math.isfinite(norm):
        raise FloatingPointError(f"the gradients have the norm {norm}: there is nothing to clip")
    factor = min(1.0, max_norm / norm) if norm else 1.0
    return [(gradient * factor).astype(gradient.dtype) for gradient in gradients], norm


def clip_by_value(gradients: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """The arrays with every entry cut to [-limit, limit]. Raises ValueError if
    `limit` is not positive.
    """
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    return [np.clip(gradient, -limit, limit) for gradient in gradients]
