"""Wide networks at initialization: what one layer does to variance, gradient and angle, as exact integrals.

    z_l = W_l phi(z_{l-1}) + b_l,   W_l ~ N(0, sigma_w^2 / fan_in),   b_l ~ N(0, sigma_b^2)

In the limit of infinite width each z_l is Gaussian, and three numbers follow recursions of their own: the variance q of
a preactivation, the correlation c of the preactivations of two inputs, and chi, by which the mean square of a
gradient is multiplied per layer on the way back.
Source: Poole et al. (2016), "Exponential expressivity in deep neural networks through transient chaos";
Schoenholz et al. (2017), "Deep information propagation".
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from snippets.activation_functions.gain_numpy import gaussian_mean, gaussian_rule

Function = Callable[[np.ndarray], np.ndarray]


class Activation(NamedTuple):
    """An activation function and its derivative, both elementwise."""

    value: Function
    slope: Function


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


SIGMOID = Activation(_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x))
TANH = Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2)
RELU = Activation(lambda x: np.maximum(x, 0.0), lambda x: (x > 0.0).astype(float))
LINEAR = Activation(lambda x: x, np.ones_like)


def next_variance(
    q: float, activation: Activation, sigma_w: float, sigma_b: float = 0.0
) -> float:
    """Variance of the preactivations one layer after those of variance `q`."""
    return (
        sigma_w**2 * gaussian_mean(lambda xi: activation.value(math.sqrt(q) * xi) ** 2)
        + sigma_b**2
    )


def fixed_variance(
    activation: Activation, sigma_w: float, sigma_b: float = 0.0, q: float = 1.0
) -> float:
    """The variance at which the recursion settles, from `q` on; ValueError if it does not within 100,000 layers."""
    for _ in range(100_000):
        q, before = next_variance(q, activation, sigma_w, sigma_b), q
        if not q < 1e30:
            break
        if abs(q - before) <= 1e-13 * q or q < 1e-30:
            return q
    raise ValueError(
        f"no fixed point is reached with sigma_w={sigma_w}, sigma_b={sigma_b}"
    )


def chi(q: float, activation: Activation, sigma_w: float) -> float:
    """Factor per layer of the mean square of dL/dz, at preactivations of variance `q`."""
    return sigma_w**2 * gaussian_mean(
        lambda xi: activation.slope(math.sqrt(q) * xi) ** 2
    )


class Propagation(NamedTuple):
    """What a wide network holds in layers 1 to L: lists of L mean squares over the units of a layer."""

    preactivation: list[float]
    """Mean square of z_l."""

    activation: list[float]
    """Mean square of phi(z_l)."""

    gradient: list[float]
    """Mean square of dL/dz_l in units of that of the last layer."""


def propagate(
    activation: Activation, sigma_w: float, depth: int, q: float, sigma_b: float = 0.0
) -> Propagation:
    """Both recursions through `depth` layers, of which the first has preactivations of variance `q`."""
    forward = [q]
    while len(forward) < depth:
        forward.append(next_variance(forward[-1], activation, sigma_w, sigma_b))
    backward = [1.0]
    for variance in forward[-2::-1]:
        backward.append(backward[-1] * chi(variance, activation, sigma_w))
    return Propagation(
        forward,
        [next_variance(variance, activation, 1.0) for variance in forward],
        backward[::-1],
    )


def next_correlation(
    c: float, q: float, activation: Activation, sigma_w: float, sigma_b: float = 0.0
) -> float:
    """Correlation, one layer on, of the preactivations of two inputs that have correlation `c`, both of variance `q`.

    For ReLU the double integral has a closed form, `relu_correlation`, which has no kink in its way.
    """
    points, weights = gaussian_rule()
    first = activation.value(math.sqrt(q) * points)
    second = activation.value(
        math.sqrt(q) * (c * points[:, None] + math.sqrt(max(0.0, 1.0 - c**2)) * points)
    )
    covariance = sigma_w**2 * float(weights @ (first * (second @ weights))) + sigma_b**2
    return covariance / next_variance(q, activation, sigma_w, sigma_b)


def relu_correlation(c: float) -> float:
    """Cosine of the angle between two inputs after one wide ReLU layer without biases, from the cosine `c` before.

    Source: Cho & Saul (2009), "Kernel methods for deep learning", section 2, the kernel of degree 1.
    """
    angle = math.acos(min(1.0, max(-1.0, c)))
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


def batch_norm_chi_linear(batch_size: int) -> float:
    """Factor per layer of the mean square of dL/dz in a wide linear network with batch normalization, `batch_size` > 3.

    Source: Yang et al. (2019), "A mean field theory of batch normalization", section 3.
    """
    if batch_size <= 3:
        raise ValueError(
            f"batch_size must be above 3, else the mean square has no expectation; got {batch_size}"
        )
    return (batch_size - 2) / (batch_size - 3)


def batch_norm_chi_relu(batch_size: int) -> float:
    """The same for linear layer, batch normalization, ReLU; falls to pi / (pi - 1) as the batch grows.

    Source: Yang et al. (2019), "A mean field theory of batch normalization", section 3, with alpha = 1.
    """
    if batch_size <= 3:
        raise ValueError(
            f"batch_size must be above 3, else the mean square has no expectation; got {batch_size}"
        )
    # Centred rows of a batch at its fixed point have this correlation with each other.
    c = -1.0 / (batch_size - 1)
    slope = (math.pi - math.acos(c)) / math.pi
    return ((batch_size - 1 + slope) / (1.0 - relu_correlation(c)) - 1.0) / (
        batch_size - 3
    )
