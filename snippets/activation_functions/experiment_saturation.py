"""Tanh saturates sooner than the sigmoid: beyond $|x|\\approx1.66$ its slope is the smaller one.

Source: closed form. $\\tanh'(x)=\\operatorname{sech}^2x$ and $\\sigma'(x)=\\tfrac14\\operatorname{sech}^2(x/2)$ are
equal where $\\cosh x=2\\cosh(x/2)$, which gives $x=2\\operatorname{arcosh}\\frac{1+\\sqrt3}2$.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import RELU, SIGMOID, TANH


class Slopes(NamedTuple):
    x: np.ndarray
    """From -7 to 7 in steps of 0.01."""

    sigmoid: np.ndarray
    """The derivative at each x, as the two others."""

    tanh: np.ndarray
    relu: np.ndarray

    crossing: float
    """The positive x at which tanh and the sigmoid have the same slope."""


def measure() -> Slopes:
    x = np.linspace(-7.0, 7.0, 1401)
    low, high = 0.0, 7.0
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        steeper = TANH.slope(np.array(middle)) > SIGMOID.slope(np.array(middle))
        low, high = (middle, high) if steeper else (low, middle)
    return Slopes(x, SIGMOID.slope(x), TANH.slope(x), RELU.slope(x), low)


def at(x: float, measured: Slopes, name: str) -> float:
    return getattr(measured, name)[np.argmin(np.abs(measured.x - x))]


CROSSING = 2.0 * math.acosh(0.5 * (1.0 + math.sqrt(3.0)))

CLAIMS = (
    Claim(
        statement="The slopes of tanh and of the sigmoid cross at this $x$, found by bisection",
        value=lambda m: m.crossing,
        interval=(CROSSING - 1e-9, CROSSING + 1e-9),
        kind="identity",
        reason="The closed form, and the rounding of float64.",
        format=".4f",
    ),
    Claim(
        statement="The largest slope of the sigmoid",
        value=lambda m: m.sigmoid.max(),
        interval=(0.25, 0.25),
        kind="identity",
        reason="$\\sigma'=\\sigma(1-\\sigma)$ is largest at $\\sigma=1/2$; exact in float64.",
    ),
    Claim(
        statement="The slope of tanh at $x=5$",
        value=lambda m: at(5.0, m, "tanh"),
        interval=(0.999 * 4 * math.exp(-10), 1.001 * 4 * math.exp(-10)),
        rival=lambda m: at(5.0, m, "sigmoid"),
        rival_of="the sigmoid there",
        reason="$\\operatorname{sech}^2x\\to4e^{-2x}$, with a relative error of $2e^{-2x}=10^{-4}$ at 5.",
    ),
    Claim(
        statement="There the slope of the sigmoid is larger by this factor",
        value=lambda m: at(5.0, m, "sigmoid") / at(5.0, m, "tanh"),
        interval=(0.985 * math.exp(5) / 4, math.exp(5) / 4),
        rival=0.25,
        rival_of="the ratio at 0",
        reason="$\\sigma'\\to e^{-x}$ with a relative error of $2e^{-x}=1.3\\,\\%$, so the ratio tends to $e^x/4$ "
        "from below.",
    ),
)


def plot(measured: Slopes) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(measured.x, measured.tanh, "C1")
    axes.semilogy(measured.x, measured.sigmoid, "C0")
    on = measured.x >= 0
    axes.semilogy(measured.x[on], measured.relu[on], "C2")
    axes.axvline(measured.crossing, color="C5", linestyle=":", linewidth=1.2)
    axes.text(4.6, 1.25, "ReLU", color="C2", va="bottom")
    axes.text(4.0, 0.032, "sigmoid", color="C0")
    axes.text(3.5, 7e-4, "tanh", color="C1", ha="right")
    axes.text(-0.2, 1.6e-5, "ReLU: exactly 0", color="C2", ha="right")
    axes.text(
        measured.crossing + 0.1, 1.6e-5, f"equal at {measured.crossing:.3f}", color="C5"
    )
    axes.set(
        xlabel="preactivation $x$",
        ylabel="slope: factor on the gradient",
        ylim=(8e-6, 3),
        xlim=(-7, 7),
    )
    return figure
