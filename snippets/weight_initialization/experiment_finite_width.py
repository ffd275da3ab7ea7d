r"""He keeps a mean over networks: of those as deep as wide, most lie far below it.

Source: Hanin & Rolnick (2018), "How to Start Training", for fluctuations that grow with the sum of the reciprocal
widths; Hanin & Nica (2020), "Products of many large random matrices and gradients in deep neural networks", for the
logarithm, which is nearly normal. The exact second moment $(1+5/n)^L$ follows from $E[\mathrm{relu}^4]$ of a Gaussian.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

WIDTH, DEPTH, NETWORKS = 64, 64, 2000


class FiniteWidth(NamedTuple):
    """Mean square of the activations of networks that differ in their draws alone, after an input of mean square 1."""

    spread: list[float]
    """E[q^2] / E[q]^2 after 1, 2, ... layers."""

    spread_theory: list[float]
    """(1 + 5/n)^l."""

    final: list[float]
    """q after the last layer, one per network, sorted."""


def measure(seed: int = 0) -> FiniteWidth:
    """Send one input through 2,000 He networks at once.

    Given h, the next preactivations are independent normal variables of variance 2 q: no matrix has to be drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    q = torch.ones(NETWORKS, 1, dtype=torch.float64)
    spread = []
    for _ in range(DEPTH):
        z = (2.0 * q).sqrt() * torch.randn(
            NETWORKS, WIDTH, generator=generator, dtype=torch.float64
        )
        q = z.relu().square().mean(dim=1, keepdim=True)
        spread.append((q.square().mean() / q.mean() ** 2).item())
    theory = [(1.0 + 5.0 / WIDTH) ** layer for layer in range(1, DEPTH + 1)]
    return FiniteWidth(spread, theory, q.flatten().sort().values.tolist())


CLAIMS = (
    Claim(
        statement=r"Over the first 10 layers $E[q^2]/E[q]^2$ grows as $(1+5/n)^l$: measured over theory at layer 10",
        value=lambda measured: measured.spread[9] / measured.spread_theory[9],
        interval=(0.85, 1.2),
        paper="1",
        rival=lambda measured: 1 / measured.spread_theory[9],
        rival_of="a mean square that does not scatter",
        reason="q is nearly log-normal with a variance of 0.75 at layer 10: over 2,000 networks the ratio is 1 with a "
        "deviation of about 0.05.",
    ),
    Claim(
        statement="The median network keeps this fraction of the mean square at $L = n = 64$",
        value=lambda measured: float(np.median(measured.final)),
        interval=(0.06, 0.11),
        paper="0.082",
        rival=1.0,
        rival_of="the mean, which He keeps",
        reason="About $e^{-5L/(2n)}=0.082$ for a log-normal of mean 1 and log-variance $5L/n$; "
        "its standard error is 3.5 %, the formula itself is off by about 10 %.",
    ),
    Claim(
        statement="So many networks, of 100, have less than half of what the theory of the mean promises",
        value=lambda measured: 100.0 * float(np.mean(np.array(measured.final) < 0.5)),
        interval=(74, 86),
        paper="80",
        rival=0,
        rival_of="networks that all keep the mean",
        reason="80 for the log-normal; a binomial over 2,000 networks has a deviation of 0.9.",
        format=".0f",
    ),
)


def plot(measured: FiniteWidth) -> Figure:
    """Histogram of log10 q after the last layer."""
    figure = Figure()
    axes = figure.subplots()
    logarithms = np.log10(measured.final)
    axes.hist(logarithms, bins=40, color="C0")
    top = 1.35 * axes.get_ylim()[1]
    axes.axvline(0.0, color="C5", linestyle="--")
    axes.annotate("the mean that\nHe keeps: 1", (0.1, 0.85 * top), color="C5")
    median = float(np.median(logarithms))
    axes.axvline(median, color="C1")
    axes.annotate(
        f"median\n{10**median:.3f}", (median - 0.1, 0.85 * top), color="C1", ha="right"
    )
    axes.set(
        xlabel="log₁₀ of the mean square after 64 layers",
        ylabel=f"networks, of {NETWORKS:,}",
        xlim=(-4.5, 2),
    )
    axes.set_ylim(0, top)
    return figure
