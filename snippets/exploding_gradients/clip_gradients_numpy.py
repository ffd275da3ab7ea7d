"""Gradient clipping in NumPy: by the global norm, which keeps the direction,
and by value, which does not.

    by norm:   g <- g * min(1, max_norm / ||g||), where
               ||g||^2 = sum of the squares of all entries of all gradients
    by value:  g <- max(-limit, min(limit, g)), entry by entry

Both leave a short gradient alone. The norm is that of all gradients together:
clipped array by array, each would be scaled by a factor of its own, and the
step would turn.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np


def global_norm(gradients: np.ndarray | Iterable[np.ndarray]) -> float:
    """Euclidean norm of all entries of one or many arrays together, of any
    shapes and floating dtypes; summed in float64.

    A power of two is taken out before the squares are summed: 1e200 does not
    overflow. Raises ValueError for a generator that is exhausted and for a
    dtype that is not floating.
    """
    unit, relative = _norm(_listed(gradients))
    return unit * relative


def _norm(listed: list[np.ndarray]) -> tuple[float, float]:
    """A power of two, and the norm in units of it."""
    largest = max(
        (float(np.abs(gradient).max(initial=0.0)) for gradient in listed), default=0.0
    )
    unit = (
        math.ldexp(1.0, math.frexp(largest)[1] - 1) if 0.0 < largest < math.inf else 1.0
    )
    squares = (
        np.sum(np.square(np.asarray(gradient, np.float64) / unit))
        for gradient in listed
    )
    return unit, math.sqrt(sum(map(float, squares)))


def clip_by_global_norm(
    gradients: np.ndarray | Iterable[np.ndarray], max_norm: float
) -> tuple[list[np.ndarray], float]:
    """The arrays scaled to a global norm of at most `max_norm`, in their
    dtypes, and the norm before that. One array counts as a list of one.

    Raises ValueError if `max_norm` is not positive, and FloatingPointError if
    the norm is Inf or NaN: no factor mends such a gradient.
    """
    max_norm = float(max_norm + 0.0)  # text is no number
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    gradients = _listed(gradients)
    unit, relative = _norm(gradients)
    norm = unit * relative
    if not math.isfinite(norm):
        raise FloatingPointError(
            f"the gradients have the norm {norm}: there is nothing to clip"
        )
    # in two steps: max_norm / norm may be 0 or Inf where the result is not
    unit, factor = (1.0, 1.0) if norm <= max_norm else (unit, max_norm / relative)
    return [
        # float64, since a factor of 1e-8 is 0 in float16
        (np.asarray(gradient, np.float64) / unit * factor).astype(gradient.dtype)
        for gradient in gradients
    ], norm


def clip_by_value(
    gradients: np.ndarray | Iterable[np.ndarray], limit: float
) -> list[np.ndarray]:
    """The arrays with every entry cut to [-limit, limit]; one array counts as a
    list of one. Raises ValueError if `limit` is not positive.
    """
    limit = float(limit + 0.0)  # text is no number
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    bound = np.float64(limit)  # 70,000 would overflow as a float16
    return [
        np.clip(gradient, -bound, bound).astype(gradient.dtype)
        for gradient in _listed(gradients)
    ]


def _listed(gradients: np.ndarray | Iterable[np.ndarray]) -> list[np.ndarray]:
    listed = (
        [gradients]
        if isinstance(gradients, np.ndarray | np.generic)
        else list(gradients)
    )
    if not listed and isinstance(gradients, Iterator):
        raise ValueError(
            f"gradients must yield an array, got an exhausted {type(gradients).__name__}"
        )
    for gradient in listed:
        _plain(gradients=gradient)
        if not np.issubdtype(gradient.dtype, np.floating):
            raise ValueError(
                f"gradients must have floating dtypes, got {gradient.dtype}"
            )
    return listed


def _plain(**arrays) -> None:
    """Refuse what is no array, and what computes another way: a matrix
    multiplies, a mask hides.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or isinstance(
            array, np.matrix | np.ma.MaskedArray
        ):
            raise ValueError(
                f"{name} must be a plain array, got a {type(array).__name__}"
            )
