"""Which units of a layer have stopped passing gradients: the fraction that is
dead, the fraction that is saturated.

    dead: the slope phi'(z) is zero for every example of the batch and every
          position, so the unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all entries

A unit is an output with weights of its own: in a convolution a channel, in a
layer on tokens a feature, at all positions together. At its start about half of
all entries of a healthy ReLU layer are saturated (off), and hardly a unit is
dead.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Health(NamedTuple):
    """Fractions between 0 and 1."""

    dead: float
    """Of the units."""

    saturated: float
    """Of all entries."""


def unit_health(
    activation: Callable[[np.ndarray], np.ndarray],
    preactivations: np.ndarray,
    threshold: float = 0.05,
    unit_axis: int = 1,
) -> Health:
    """The health of one layer from its `preactivations`, shape (examples,
    units, *positions), and its elementwise `activation`.

    `unit_axis` counts the units: 1 as in PyTorch's convolutions, -1 where they
    come last. Raises ValueError for another shape or axis, for values that are
    not real or not finite, and for an activation that is not elementwise or
    gives such values.
    """
    _plain(preactivations=preactivations)
    if preactivations.ndim < 2 or not preactivations.size:
        raise ValueError(
            f"preactivations must have the shape (examples, units, ...), got {preactivations.shape}"
        )
    rank = preactivations.ndim
    if unit_axis not in range(1 - rank, rank) or unit_axis == 0:
        raise ValueError(
            f"unit_axis must be an axis of {preactivations.shape} after the first, got {unit_axis}"
        )
    if preactivations.dtype.kind not in "fiu":
        raise ValueError(
            f"preactivations must be real numbers, got {preactivations.dtype}"
        )
    if not np.isfinite(preactivations).all():
        raise ValueError(
            f"preactivations must be finite, got {np.count_nonzero(~np.isfinite(preactivations))} others"
        )
    threshold = float(threshold + 0.0)  # text is no number
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    slopes = np.abs(left_slope(activation, preactivations))
    # what the others are does not matter to one, nor does it whether they are
    moved = np.random.default_rng(0).random(preactivations.shape) < 0.5
    others = np.where(moved, -1.0 - preactivations, preactivations)
    same = np.abs(left_slope(activation, others)) - slopes
    first = np.abs(left_slope(activation, preactivations[:1])) - slopes[:1]
    if not np.isfinite(slopes).all() or not (
        np.abs(same[~moved]).max(initial=0.0) < 1e-3 and np.abs(first).max() < 1e-3
    ):
        raise ValueError(
            f"activation must be finite and act on every entry by itself, got {activation}"
        )
    largest = slopes.max(
        axis=tuple(axis for axis in range(rank) if axis != unit_axis % rank)
    )
    return Health(float((largest == 0.0).mean()), float((slopes < threshold).mean()))


def left_slope(
    activation: Callable[[np.ndarray], np.ndarray], points: np.ndarray
) -> np.ndarray:
    """Difference quotient of a small step to the left, float64: exactly 0 for a
    ReLU at 0, as autograd has it. ValueError for what is not real and for an
    `activation` that computes in less than float32.
    """
    _plain(points=points)
    if np.asarray(points).dtype.kind not in "fiu":
        raise ValueError(f"points must be real numbers, got {points}")
    points = np.asarray(points, dtype=np.float64)
    right = _values(activation, points)
    # in the precision that the activation computes in
    precise = np.finfo(right.dtype if right.dtype.kind == "f" else np.float64)
    step = precise.eps**0.5 * np.maximum(1.0, np.abs(points))
    left = _values(activation, points - step)
    return (np.asarray(right, np.float64) - left) / step


def _values(
    activation: Callable[[np.ndarray], np.ndarray], points: np.ndarray
) -> np.ndarray:
    if not callable(activation):
        raise ValueError(f"activation must be a function, got {activation!r}")
    given = activation(points.copy())
    values = np.asarray(given)
    plain = not isinstance(given, np.matrix | np.ma.MaskedArray)
    half = values.dtype.kind == "f" and values.dtype.itemsize < 4
    if values.shape != points.shape or values.dtype.kind not in "fiu" or half:
        raise ValueError(
            f"activation must give a real number for every point, in float32 or wider, "
            f"got {values.dtype} {values.shape}"
        )
    if not plain:
        raise ValueError(
            f"activation must give a plain array, got a {type(given).__name__}"
        )
    return values


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
