"""Constants of theory that the chapter types out, and the solution of its exercise."""

import itertools
import math
import re

import numpy as np
import pytest

from docs.hooks.pages import parts
from snippets.laboratory.mean_field import (
    SIGMOID,
    TANH,
    chi,
    fixed_variance,
    gaussian_mean,
    next_variance,
    propagate,
)
from snippets.xavier_initialization.experiment_sigmoid_gain import CRITICAL
from snippets.xavier_initialization.xavier_init_numpy import xavier_std

PAGE = "\n".join(page.text for page in parts("xavier-initialization"))


def after(words: str) -> float:
    """The first number that follows `words` on the page, which must stand there once."""
    assert PAGE.count(words) == 1, f"{words!r} stands {PAGE.count(words)} times on the page"
    rest = re.sub(r"\\times10\^\{(-?\d+)\}", r"e\1", PAGE[PAGE.index(words) + len(words) :])
    return float(re.search(r"\d+(?:\.\d+)?(?:e-?\d+)?", rest).group())


def tanh_activation(layer: int) -> float:
    q = 1.0
    for _ in range(layer):
        q = next_variance(q, TANH, 1.0)
    return q


def forward_gain_of_tanh() -> float:
    return 1 / math.sqrt(next_variance(1.0, TANH, 1.0))


def mean_singular_value() -> float:
    """Of a square Gaussian matrix with variance 1/n, measured: 3 standard deviations at n = 600 are below 1e-3."""
    matrix = np.random.default_rng(0).standard_normal((600, 600)) / math.sqrt(600)
    return float(np.linalg.svd(matrix, compute_uv=False).mean())


SIGMOID_Q = fixed_variance(SIGMOID, 1.0)
FIVE_THIRDS_Q = fixed_variance(TANH, 5 / 3)
CRITICAL_TANH_Q = fixed_variance(TANH, math.sqrt(1.761), math.sqrt(0.05))


@pytest.mark.parametrize(
    ("words", "number", "digit"),
    [
        ("preactivations settle at variance", SIGMOID_Q, 1e-3),
        ("has a mean squared slope of", chi(SIGMOID_Q, SIGMOID, 1.0), 1e-4),
        ("and the gradient keeps", math.sqrt(chi(SIGMOID_Q, SIGMOID, 1.0)), 1e-3),
        ("From $q=1$ the exact value is", tanh_activation(10), 1e-4),
        ("after 10 layers,", tanh_activation(100), 1e-5),
        ("after 100,", tanh_activation(1000), 1e-5),
        ("maps unit variance to unit variance is", forward_gain_of_tanh(), 1e-4),
        ("With 5/3 the variance settles at", FIVE_THIRDS_Q, 1e-3),
        ("But there $\\chi=", chi(FIVE_THIRDS_Q, TANH, 5 / 3), 1e-3),
        ("constant and $\\chi=", chi(CRITICAL_TANH_Q, TANH, math.sqrt(1.761)), 1e-3),
        ("is not 1 but $8/(3\\pi)\\approx", 8 / (3 * math.pi), 1e-3),
        ("mean singular value of a layer is", mean_singular_value(), 2e-3),
        ("$1-(8/(3\\pi))^2=", 1 - (8 / (3 * math.pi)) ** 2, 1e-4),
        ("per layer. Only at gain", CRITICAL, 1e-3),
        ("still keeps only\n$\\chi=", chi(fixed_variance(SIGMOID, 4.0), SIGMOID, 4.0), 1e-3),
        ("For $d=512$ that is", math.sqrt(6 / (4 * 512)), 1e-4),
        ("0.0541 instead of", math.sqrt(6 / (2 * 512)), 1e-4),
        ("20 layers leave $3^{-10}\\approx", 3.0**-10, 1e-6),
        ("to 256 units multiplies the mean square by", 1024 * xavier_std((256, 1024)) ** 2, 1e-12),
        ("by 1.6 forward and by", 256 * xavier_std((256, 1024)) ** 2, 1e-12),
        ("$\\sqrt{2/400}=", xavier_std((100, 300)), 1e-4),
        ("$\\sqrt{6/400}=", math.sqrt(3) * xavier_std((100, 300)), 1e-4),
        ("Ten leave $0.64^{10}=", 0.64**10, 1e-4),
    ],
)
def test_typed_constants(words, number, digit):
    assert abs(after(words) - number) <= 0.51 * digit


def test_chi_of_the_sigmoid_is_one_at_the_critical_gain_alone():
    chis = [chi(fixed_variance(SIGMOID, gain), SIGMOID, gain) for gain in np.linspace(0.5, 15, 60)]
    assert all(one < other for one, other in itertools.pairwise(chis))
    assert chi(fixed_variance(SIGMOID, CRITICAL), SIGMOID, CRITICAL) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("gain", [1.05, 1.2, 5 / 3, 3.0])
def test_every_gain_that_holds_the_variance_of_tanh_makes_gradients_grow(gain):
    q = fixed_variance(TANH, gain)
    assert q > 0.01 and chi(q, TANH, gain) > 1
    assert gaussian_mean(lambda xi: np.tanh(math.sqrt(q) * xi) ** 2) < q * chi(q, TANH, 1.0)


def test_two_over_l():
    """1/q grows by 2 per layer, and chi tends to 1 as 1 - 2 q."""
    q = propagate(TANH, 1.0, 1000, q=1.0).preactivation
    assert 1 / q[-1] - 1 / q[-2] == pytest.approx(2, rel=5e-3)
    assert (1 - chi(q[-1], TANH, 1.0)) / q[-1] == pytest.approx(2, rel=5e-3)


@pytest.mark.parametrize("std", [lambda shape: 1 / math.sqrt(shape[1]), lambda shape: math.prod(shape) ** -0.25])
def test_the_solution_of_the_exercise(std):
    """Factors of the mean square through 256 -> 64 -> 256, forward and backward."""
    narrowing, widening = (64, 256), (256, 64)

    def factors(rule) -> tuple[float, float]:
        variances = [rule(shape) ** 2 for shape in (narrowing, widening)]
        return (256 * variances[0]) * (64 * variances[1]), (64 * variances[0]) * (256 * variances[1])

    assert factors(xavier_std) == pytest.approx((0.64, 0.64))
    assert factors(std) == pytest.approx((1, 1))
