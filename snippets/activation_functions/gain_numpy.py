"""The gain that an activation function needs, forward for the signal and
backward for the gradient, in NumPy.

    forward = 1 / sqrt(E[phi(xi)^2])
    backward = 1 / sqrt(E[phi'(xi)^2])
    xi standard normal

Preactivations of variance 1 keep it through a layer with weights of std =
forward / sqrt(fan_in); the gradient keeps its mean square through weights of
std = backward / sqrt(fan_out). No single gain does both unless the two agree.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2, for ReLU; Poole et al. (2016), "Exponential expressivity in deep neural
networks through transient chaos", the length map, for the integrals.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

REACH = 12
"""Standard deviations; a standard normal variable goes beyond with a
probability of 4e-33.
"""


def gaussian_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, float64 of shape (768,), for the mean over a standard
    normal variable.

    Gauss-Legendre on panels of half a unit. Zero and the other usual kinks (1
    of hard tanh, 3 of hard sigmoid) are edges of panels and cost no accuracy,
    as they do with Gauss-Hermite.
    """
    points, weights = _rule()
    return points.copy(), weights.copy()


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.arange(-REACH, REACH, 0.5)
    points = (edges[:, None] + 0.25 * (nodes + 1.0)).ravel()
    return points, np.tile(0.25 * weights, len(edges)) * np.exp(
        -0.5 * points**2
    ) / math.sqrt(2.0 * math.pi)


def gaussian_mean(function: Function) -> float:
    """E[function(xi)] for a standard normal xi; kinks of `function` at
    multiples of 1/2 cost no accuracy.
    """
    points, weights = gaussian_rule()
    values = _called(function, points, "function")
    if values.shape != points.shape or values.dtype.kind not in "fiu":
        raise ValueError(
            f"function must give a real number for every point, got {values.dtype} {values.shape}"
        )
    return float(weights @ values)


def forward_gain(activation: Function) -> float:
    """Factor that makes up for what the elementwise `activation` does to the
    mean square of a standard normal.
    """
    points, _ = gaussian_rule()
    return _gain(_values(activation, points))


def backward_gain(activation: Function) -> float:
    """Factor that makes up for what the slope of the elementwise `activation`
    does to the mean square of a gradient.
    """
    points, _ = gaussian_rule()
    return _gain(slope(activation, points))


def slope(activation: Function, points: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """The derivative from values at 1 and 2 steps to both sides: an error of
    order step^4 where no kink is so near.

    No node of `gaussian_rule` is closer than 2.6e-3 to the edge of its panel.
    ValueError for what is not real, for a `step` that is not positive and for
    an `activation` that computes in less than float32.
    """
    _plain(points=points)
    if np.asarray(points).dtype.kind not in "fiu":
        raise ValueError(f"points must be real numbers, got {points}")
    step = float(step + 0.0)  # text is no number
    if not 0.0 < step < math.inf:
        raise ValueError(f"step must be positive and finite, got {step}")
    points = np.asarray(points, dtype=np.float64)
    near, far = (
        _values(activation, points + h, 4) - _values(activation, points - h, 4)
        for h in (step, 2.0 * step)
    )
    return (8.0 * near - far) / (12.0 * step)


def _values(activation: Function, points: np.ndarray, size: int = 1) -> np.ndarray:
    """In the dtype of the activation, which takes `size` bytes or more."""
    values = _called(activation, points)
    alone = _called(activation, points[3:-1])
    if values.dtype.kind not in "fiu":
        raise ValueError(f"activation must give real numbers, got {values.dtype}")
    if values.dtype.itemsize < size:
        raise ValueError(
            f"activation must compute in float32 or wider, got {values.dtype}"
        )
    # libraries may round the last digit another way in another place
    rounding = 1e-5 if values.dtype.itemsize > 2 else 1e-2
    if values.shape != points.shape or not np.allclose(
        values[3:-1], alone, rtol=rounding, atol=rounding, equal_nan=True
    ):
        raise ValueError(
            f"activation must act on every entry by itself and draw nothing, got {activation}"
        )
    return values


def _called(
    activation: Function, points: np.ndarray, name: str = "activation"
) -> np.ndarray:
    if not callable(activation):
        raise ValueError(f"{name} must be a function, got {activation!r}")
    values = activation(points.copy())
    if isinstance(values, np.matrix | np.ma.MaskedArray):
        raise ValueError(
            f"{name} must give a plain array, got a {type(values).__name__}"
        )
    return np.asarray(values)


def _gain(factors: np.ndarray) -> float:
    mean_square = float(gaussian_rule()[1] @ factors.astype(np.float64) ** 2)
    if not 0.0 < mean_square < math.inf:
        raise ValueError(
            f"activation must have a positive and finite mean square, got {mean_square}"
        )
    return 1.0 / math.sqrt(mean_square)


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
