"""The gain that an activation function of Keras needs: keras.initializers
offers none but the factor 2 of He.

    forward = 1 / sqrt(E[phi(xi)^2])
    backward = 1 / sqrt(E[phi'(xi)^2])
    xi standard normal

Preactivations of variance 1 keep it through a layer with weights of std =
forward / sqrt(fan_in); the gradient keeps its mean square through weights of
std = backward / sqrt(fan_out). No single gain does both unless the two agree.
As an initializer: keras.initializers.VarianceScaling(forward_gain("gelu") ** 2,
"fan_in").
Needs Python 3.10 and Keras 3.9, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2, for ReLU; Poole et al. (2016), "Exponential expressivity in deep neural
networks through transient chaos", the length map, for the integrals.
"""

import math
from collections.abc import Callable
from functools import partial

import keras
import numpy as np

Function = Callable | str
"""An activation function, its name as layers of Keras take it, or a layer that
is built and has no weights. A layer is called as in training, and computes in
its own dtype. Raises ValueError for what draws numbers, as Dropout does.
"""


def gaussian_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, float64 of shape (768,), for the mean over a standard
    normal variable.

    Gauss-Legendre on panels of half a unit. Zero and the other usual kinks (1
    of hard tanh, 3 of hard sigmoid) are edges of panels and cost no accuracy,
    as they do with Gauss-Hermite.
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.arange(-12.0, 12.0, 0.5)
    points = (edges[:, None] + 0.25 * (nodes + 1.0)).ravel()
    return points, np.tile(0.25 * weights, len(edges)) * np.exp(
        -0.5 * points**2
    ) / math.sqrt(2.0 * math.pi)


def forward_gain(activation: Function) -> float:
    """Factor that makes up for what the elementwise `activation` does to the
    mean square of a standard normal.
    """
    points, _ = gaussian_rule()
    return _gain(_values(activation, points))


def backward_gain(activation: Function) -> float:
    """Factor that makes up for what the slope of the elementwise `activation`
    does to the mean square of a gradient.

    The slope is taken from values at 1 and 2 steps to both sides, since Keras
    has no derivative for all its backends. No node of `gaussian_rule` is closer
    than 2.6e-3 to the edge of its panel, so no usual kink comes between. In
    float32 five digits are right; ValueError for what computes in less, as a
    layer of mixed precision: give its function.
    """
    points, step = gaussian_rule()[0], 1e-3
    near, far = (
        _values(activation, points + h, True) - _values(activation, points - h, True)
        for h in (step, 2.0 * step)
    )
    return _gain((8.0 * near - far) / (12.0 * step))


def _values(
    activation: Function, points: np.ndarray, precise: bool = False
) -> np.ndarray:
    """In float64. If `precise`, less than float32 inside is refused."""
    try:
        function = keras.activations.get(activation)
    except ValueError as error:
        raise ValueError(
            f"activation must be a function or its name in Keras, got {activation!r}"
        ) from error
    if isinstance(function, type):
        raise ValueError(f"activation must be a function, got the class {function}")
    if isinstance(function, keras.Layer):
        if not function.built or function.weights:
            raise ValueError(
                f"activation must be built and without weights, got {activation}"
            )
        function = partial(function, training=True)
    with keras.StatelessScope():  # the seeds of a layer stay as they are
        given, alone = (
            function(keras.ops.convert_to_tensor(some, "float64"))
            for some in (points, points[3:-1])
        )
    if not hasattr(given, "dtype"):
        raise ValueError(
            f"activation must give a tensor, got {type(given).__name__} from {activation!r}"
        )
    dtype = keras.backend.standardize_dtype(given.dtype)
    if not (keras.backend.is_float_dtype(dtype) or keras.backend.is_int_dtype(dtype)):
        raise ValueError(f"activation must give real numbers, got {dtype}")
    narrow = keras.backend.is_float_dtype(dtype) and dtype not in ("float32", "float64")
    if narrow and precise:
        raise ValueError(
            f"activation must compute in float32 or wider, got {dtype}: give the function of a layer"
        )
    values, alone = (
        keras.ops.convert_to_numpy(keras.ops.cast(some, "float64"))
        for some in (given, alone)
    )
    # libraries may round the last digit another way in another place
    rounding = 1e-2 if narrow else 1e-5
    if values.shape != points.shape or not np.allclose(
        values[3:-1], alone, rtol=rounding, atol=rounding, equal_nan=True
    ):
        raise ValueError(
            f"activation must act on every entry by itself and draw nothing, got {activation}"
        )
    return values


def _gain(factors: np.ndarray) -> float:
    mean_square = float(gaussian_rule()[1] @ factors**2)
    if not 0.0 < mean_square < math.inf:
        raise ValueError(
            f"activation must have a positive and finite mean square, got {mean_square}"
        )
    return 1.0 / math.sqrt(mean_square)
