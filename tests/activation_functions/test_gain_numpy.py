import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from snippets.activation_functions.gain_numpy import (
    backward_gain,
    forward_gain,
    gaussian_mean,
    gaussian_rule,
    slope,
)
from tests.activation_functions.shapes import FUNCTIONS

KINKS = (-3.0, -1.0, 0.0, 1.0, 3.0)


def mean(function) -> float:
    """The same integral by adaptive quadrature from kink to kink."""
    edges = (-15.0, *KINKS, 15.0)
    return sum(
        integrate.quad(lambda x: function(x) * stats.norm.pdf(x), low, high, epsabs=1e-13, epsrel=1e-13)[0]
        for low, high in itertools.pairwise(edges)
    )


def test_moments_of_the_normal_distribution():
    moments = [gaussian_mean(lambda x, power=power: x**power) for power in range(7)]
    assert moments == pytest.approx([1, 0, 1, 0, 3, 0, 15], abs=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gains_are_the_integrals(name):
    activation = FUNCTIONS[name]

    def derivative(x):
        return (activation(np.array(x + 1e-5)) - activation(np.array(x - 1e-5))) / 2e-5

    assert forward_gain(activation) == pytest.approx(mean(lambda x: activation(np.array(x)) ** 2) ** -0.5, rel=1e-10)
    assert backward_gain(activation) == pytest.approx(mean(lambda x: derivative(x) ** 2) ** -0.5, rel=1e-5)


@pytest.mark.parametrize("slope_below", [0.0, 0.01, 0.2, 1.0])
def test_both_gains_of_a_leaky_relu_are_that_of_he(slope_below):
    def leaky(x):
        return np.where(x > 0, x, slope_below * x)

    he = math.sqrt(2 / (1 + slope_below**2))
    assert forward_gain(leaky) == pytest.approx(he, rel=1e-13)
    assert backward_gain(leaky) == pytest.approx(he, rel=1e-10)


def test_kinks_away_from_zero_cost_nothing():
    # E[slope^2] is P(|xi| < 1) for hard tanh, P(|xi| < 3) / 36 for hard sigmoid.
    assert backward_gain(lambda x: np.clip(x, -1, 1)) == pytest.approx(math.erf(1 / math.sqrt(2)) ** -0.5, rel=1e-10)
    hard_sigmoid = backward_gain(lambda x: np.clip(x / 6 + 0.5, 0, 1))
    assert hard_sigmoid == pytest.approx(6 * math.erf(3 / math.sqrt(2)) ** -0.5, rel=1e-10)


def test_layers_of_such_weights_keep_the_signal_or_the_gradient():
    generator, n = np.random.default_rng(0), 2000
    z, delta = generator.standard_normal((2, n, 4))
    forward = generator.standard_normal((n, n)) * forward_gain(np.tanh) / math.sqrt(n) @ np.tanh(z)
    backward = (1 - np.tanh(z) ** 2) * (
        generator.standard_normal((n, n)).T * backward_gain(np.tanh) / math.sqrt(n) @ delta
    )
    # Mean squares of 8,000 entries have a standard deviation below 0.03 here; a false alarm in 1e6 seeds.
    assert np.mean(forward**2) == pytest.approx(1, abs=0.15)
    assert np.mean(backward**2) == pytest.approx(1, abs=0.15)


def test_a_zero_mean_activation_needs_less_backward_than_forward():
    """Poincare's inequality for the normal distribution: Var phi <= E phi'^2, with equality for a line alone."""
    for name in ("tanh", "selu"):
        assert abs(gaussian_mean(FUNCTIONS[name])) < 1e-12
        assert backward_gain(FUNCTIONS[name]) < forward_gain(FUNCTIONS[name]) - 0.01
    assert backward_gain(lambda x: x) == pytest.approx(forward_gain(lambda x: x), rel=1e-10)


def test_slopes_are_derivatives():
    points, _ = gaussian_rule()
    assert slope(np.tanh, points) == pytest.approx(1 - np.tanh(points) ** 2, abs=1e-10)
    assert slope(FUNCTIONS["relu"], points) == pytest.approx((points > 0).astype(float), abs=1e-10)


def test_the_rule_is_not_spoilt_by_an_activation_that_works_in_place():
    def relu_in_place(x):
        return np.maximum(x, 0, out=x)

    assert forward_gain(relu_in_place) == pytest.approx(math.sqrt(2), rel=1e-13)
    assert forward_gain(FUNCTIONS["tanh"]) == pytest.approx(1.592537, abs=1e-6)


@pytest.mark.parametrize("gain", [forward_gain, backward_gain])
@pytest.mark.parametrize(
    ("activation", "named"),
    [
        (lambda x: np.exp(x) / np.exp(x).sum(), "activation must act on every entry by itself"),
        (lambda x: x[::2], "activation must act on every entry by itself"),
        (lambda x: x / x.std(), "activation must act on every entry by itself"),
        (lambda x: x * np.random.default_rng().integers(2, size=x.shape), "and draw nothing"),
        (np.zeros_like, r"positive and finite mean square, got 0\.0"),
        (lambda x: x * np.inf, "positive and finite mean square, got (nan|inf)"),
    ],
)
def test_what_has_no_gain_is_refused(gain, activation, named):
    with pytest.raises(ValueError, match=named), np.errstate(invalid="ignore"):
        gain(activation)


def test_half_precision_has_a_mean_square_but_no_slope_from_differences():
    def steep(x):
        return (300 * np.maximum(x, 0)).astype(np.float16)  # whose squares overflow float16

    assert forward_gain(steep) == pytest.approx(math.sqrt(2) / 300, rel=2e-4)
    with pytest.raises(ValueError, match="float32 or wider, got float16"):
        backward_gain(steep)
    assert backward_gain(lambda x: np.tanh(x.astype(np.float32))) == pytest.approx(backward_gain(np.tanh), rel=2e-5)


def test_a_rule_that_a_caller_changes_is_the_old_one_for_the_next():
    for array in gaussian_rule():
        array[:] = 99.0
    assert forward_gain(np.tanh) == pytest.approx(1.5925374, rel=1e-7)


def test_a_mask_is_refused_and_not_dropped():
    with pytest.raises(ValueError, match="activation must give a plain array, got a MaskedArray"):
        forward_gain(lambda x: np.ma.masked_array(x, mask=x < 0.0))
