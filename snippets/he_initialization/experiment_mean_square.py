"""A rectifier leaves $(1+a^2)/2$ of the mean square. Of the variance it leaves less, but that is not what counts.

Source: He, Zhang, Ren & Sun (2015), section 2.2, equation 8, and its case of PReLU: the next layer sees
$\\operatorname{E}[h^2]$, not $\\operatorname{Var}[h]$; $a$ is the slope for negative inputs, 0 for ReLU.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.he_initialization.he_init_numpy import kaiming_normal
from snippets.laboratory.claim import Claim

UNITS = 400_000
SLOPES = np.linspace(0.0, 1.0, 9)
PRELU = 2
"""Index of the slope 0.25, at which He et al. start a PReLU."""


class Left(NamedTuple):
    """What a leaky ReLU leaves, as a fraction of E[z^2]; one entry per slope in SLOPES."""

    mean_square: np.ndarray
    variance: np.ndarray


def measure(seed: int = 0) -> Left:
    # What comes in may follow any law, for the weights alone make z symmetric: here it is 1, 2, ... 8.
    h = np.arange(1.0, 9.0)
    weights = kaiming_normal(
        (UNITS, len(h)), generator=np.random.default_rng(seed), dtype=np.float64
    )
    z = weights @ h
    outputs = np.where(z > 0.0, z, SLOPES[:, None] * z)
    mean_square = np.mean(z**2)
    return Left(
        np.mean(outputs**2, axis=1) / mean_square, np.var(outputs, axis=1) / mean_square
    )


def mean_square_left(a: np.ndarray) -> np.ndarray:
    """E[h^2] / E[z^2] for every z that is symmetric around 0."""
    return (1.0 + a**2) / 2.0


def variance_left(a: np.ndarray) -> np.ndarray:
    """Var[h] / E[z^2] for a normal z, whose h has the mean (1 - a) std / sqrt(2 pi)."""
    return mean_square_left(a) - (1.0 - a) ** 2 / (2.0 * math.pi)


_SPREAD = f"{UNITS:,} draws scatter by 0.0013; four times that is allowed.".replace(
    ",", "\u202f"
)

CLAIMS = (
    Claim(
        statement="ReLU: part of $\\operatorname{E}[z^2]$ that is left in $\\operatorname{E}[h^2]$",
        paper="1/2",
        value=lambda measured: measured.mean_square[0],
        interval=(0.495, 0.505),
        rival=lambda measured: measured.variance[0],
        rival_of="the variance",
        reason="$z$ is symmetric, and its negative half is set to 0. " + _SPREAD,
        format=".3f",
    ),
    Claim(
        statement="ReLU: part that is left in $\\operatorname{Var}[h]$",
        value=lambda measured: measured.variance[0],
        interval=(0.336, 0.346),
        rival=lambda measured: measured.mean_square[0],
        rival_of="the mean square",
        reason="$1/2-1/(2\\pi)=0.341$ for normal $z$.",
        format=".3f",
    ),
    Claim(
        statement="PReLU, which starts at $a=0.25$: part of $\\operatorname{E}[z^2]$ left in $\\operatorname{E}[h^2]$",
        value=lambda measured: measured.mean_square[PRELU],
        interval=(0.526, 0.536),
        paper="(1 + a²)/2 = 0.531",
        rival=lambda measured: measured.mean_square[0],
        rival_of="ReLU",
        reason="$(1+a^2)/2=0.531$.",
        format=".3f",
    ),
    Claim(
        statement="Growth of the mean square per ReLU layer, if the weights made up for the variance",
        value=lambda measured: measured.mean_square[0] / measured.variance[0],
        interval=(1.44, 1.49),
        rival=1.0,
        rival_of="weights that make up for the mean square",
        reason="$\\pi/(\\pi-1)=1.467$.",
        format=".2f",
    ),
)


def plot(measured: Left) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    fine = np.linspace(0.0, 1.0, 101)
    for values, theory, color in (
        (measured.mean_square, mean_square_left, "C0"),
        (measured.variance, variance_left, "C1"),
    ):
        axes.plot(fine, theory(fine), color="C5", linewidth=1.2, linestyle=(0, (4, 3)))
        axes.plot(SLOPES, values, "o", color=color)
    axes.text(0.0, 0.58, "mean square", color="C0")
    axes.text(0.3, 0.37, "variance", color="C1")
    axes.set_xticks(
        [0, 0.25, 0.5, 0.75, 1], ["0\nReLU", "0.25\nPReLU", "0.5", "0.75", "1\nlinear"]
    )
    axes.set(
        xlabel="slope a for negative inputs",
        ylabel="fraction of E[z²] left",
        ylim=(0.0, 1.05),
    )
    return figure
