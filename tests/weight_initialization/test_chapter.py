"""The constants of theory that the chapter types out."""

import math

import numpy as np
import pytest

from docs.hooks.pages import parts
from snippets.laboratory.mean_field import gaussian_mean
from snippets.weight_initialization.experiment_phase_diagram import critical_sigma_w2, point

PAGE = "\n".join(page.text for page in parts("weight-initialization"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$\\sigma_w^2={}$ at $\\sigma_b^2=0.05$", lambda: f"{critical_sigma_w2(0.05):.3f}"),
        ("around the critical value {} and", lambda: f"{math.sqrt(critical_sigma_w2(0.05)):.3f}"),
        ("$e^{-5/2}={}$", lambda: f"{math.exp(-2.5):.3f}"),
        ("near $\\ln C$, {} for ten", lambda: f"{math.log(10):.3f}"),
        ("$2^{-20}\\approx{}$", lambda: f"10^{{{round(math.log10(2.0**-20))}}}"),
        ("$-\\ln 99={}$", lambda: f"{-math.log(99):.3f}"),
        ("-0.99\\ln0.99={}$", lambda: f"{-0.01 * math.log(0.01) - 0.99 * math.log(0.99):.3f}"),
        ("instead of $\\ln2={}$", lambda: f"{math.log(2):.3f}"),
        ("$1/\\sqrt{96}={}$", lambda: f"{96**-0.5:.3f}"),
        ("which is about {} times smaller", lambda: f"{math.sqrt(3) / 0.05:.0f}"),
    ],
)
def test_constants(written, value):
    assert written.replace("{}", value()) in PAGE


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_the_exercise(slope):
    """Fluctuations of a leaky ReLU network: E[phi^4] / E[phi^2]^2 - 1."""

    def activation(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, slope * x)

    second, fourth = (gaussian_mean(lambda xi, power=power: activation(xi) ** power) for power in (2, 4))
    assert fourth / second**2 - 1 == pytest.approx(6 * (1 + slope**4) / (1 + slope**2) ** 2 - 1)


def test_the_answers_for_relu_and_for_a_linear_network():
    assert "It is 5 for ReLU ($a=0$) and 2 for a linear network ($a=1$)" in PAGE
    assert [6 * (1 + a**4) / (1 + a**2) ** 2 - 1 for a in (0, 1)] == [5, 2]


def test_the_critical_line_starts_at_one():
    """tanh without biases: sigma_w = 1, q = 0."""
    sigma_b2, sigma_w2 = point(1e-8, 1.0)
    assert (sigma_b2, sigma_w2) == pytest.approx((0.0, 1.0), abs=1e-6)
