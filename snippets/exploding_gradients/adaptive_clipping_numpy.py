"""Adaptive gradient clipping in NumPy: no unit's gradient may exceed a fraction
of the unit's own weights.

    g_i <- g_i * min(1, clipping * max(||w_i||, eps) / ||g_i||)  for each unit i

A unit's part of a weight is the row of all that one output reads. A limit
relative to the weights serves layers of all scales; times the rate, it bounds
by how much one step of plain SGD can change a unit. The paper leaves the last
linear layer unclipped; which arrays are clipped is the caller's choice.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Brock, De, Smith & Simonyan (2021), "High-performance large-scale image
recognition without normalization".
"""

import numpy as np


def unit_norm(array: np.ndarray, unit_axis: int = 0) -> np.ndarray:
    """Euclidean norm of each unit's part, in float64, with all axes kept so
    that it broadcasts against `array`.

    `unit_axis` counts the units: 0 for a weight (out, in, *kernel), -1 for a
    kernel (*kernel, in, out). A vector or a scalar is one unit as a whole,
    since the entries of a bias or of a norm's scale are no rows. The largest
    entry is taken out first, so that no square overflows. Raises ValueError for
    another axis and for a dtype that is not floating.
    """
    unit, relative = _norm(array, unit_axis)
    return unit * relative


def _norm(array: np.ndarray, unit_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest entry of each unit, and the norm in units of it."""
    _plain(array=array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"array must have a floating dtype, got {array.dtype}")
    if array.ndim > 1 and unit_axis not in range(-array.ndim, array.ndim):
        raise ValueError(
            f"unit_axis must be an axis of shape {array.shape}, got {unit_axis}"
        )
    axes = tuple(
        axis
        for axis in range(array.ndim)
        if array.ndim < 2 or axis != unit_axis % array.ndim
    )
    wide = np.asarray(array, np.float64)
    largest = np.abs(wide).max(axis=axes, keepdims=True, initial=0.0)
    largest = np.where((largest > 0.0) & np.isfinite(largest), largest, 1.0)
    return largest, np.sqrt(np.sum(np.square(wide / largest), axis=axes, keepdims=True))


def clip_adaptively(
    gradient: np.ndarray,
    weight: np.ndarray,
    clipping: float = 0.01,
    eps: float = 1e-3,
    unit_axis: int = 0,
) -> np.ndarray:
    """The gradient of `weight`, of the same shape, with each unit's part cut to
    `clipping` times the unit's norm.

    `eps` is the least norm a unit counts with, so that weights that start at
    zero can leave it. `clipping` = Inf leaves the gradient as it is. Raises
    ValueError for shapes that differ, a gradient that is not floating, and a
    `clipping` or `eps` that is not positive.
    """
    _plain(gradient=gradient, weight=weight)
    if gradient.shape != weight.shape:
        raise ValueError(
            f"gradient must have the shape of weight, {weight.shape}, got {gradient.shape}"
        )
    clipping = float(clipping + 0.0)  # text is no number
    eps = float(eps + 0.0)  # text is no number
    if not (clipping > 0.0 and eps > 0.0):
        raise ValueError(f"clipping and eps must be positive, got {clipping=}, {eps=}")
    for name, array in (("gradient", gradient), ("weight", weight)):
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"{name} must have a floating dtype, got {array.dtype}")
    limit = clipping * np.maximum(unit_norm(weight, unit_axis), eps)
    unit, relative = _norm(gradient, unit_axis)
    with np.errstate(over="ignore"):
        short = unit * relative <= limit
    # in two steps, since limit / norm may be 0 or Inf where the result is not
    unit = np.where(short, 1.0, unit)
    factor = np.where(short, 1.0, limit / np.where(short, 1.0, relative))
    return (gradient / unit * factor).astype(gradient.dtype)


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
