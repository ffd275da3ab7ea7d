r"""Wide tanh networks have one critical line, $\chi=1$: below it gradients vanish, above it they explode.

Source: Poole et al. (2016), the length map, and Schoenholz et al. (2017), the other recursions. The curves
are exact integrals for infinite width; the points are networks of 1,000 units.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import TANH, chi, fixed_variance, gaussian_mean
from snippets.laboratory.signals import signals
from snippets.laboratory.training import multilayer_perceptron

LEVELS = (0.5, 0.8, 1.0, 1.2, 1.5)

POINTS = ((0.05, 1.0), (0.05, 1.761), (0.2, 4.0))
"""(sigma_b^2, sigma_w^2) at which networks are built."""

WIDTH, DEPTH = 1000, 12


class PhaseDiagram(NamedTuple):
    """Curves of constant chi, and networks at three points."""

    curves: dict[float, list[tuple[float, float]]]
    """chi -> points (sigma_b^2, sigma_w^2) of its curve."""

    critical: float
    """sigma_w^2 on the critical line at sigma_b^2 = 0.05."""

    measured: list[float]
    """Factor per layer of the mean square of dL/dz, at each of the three points."""

    predicted: list[float]
    """chi at each of the three points."""


def point(q: float, level: float) -> tuple[float, float]:
    """(sigma_b^2, sigma_w^2) for which the variance settles at `q` and chi is `level` there.

    chi = sigma_w^2 E[phi'^2] gives sigma_w^2; q = sigma_w^2 E[phi^2] + sigma_b^2 then gives sigma_b^2.
    """
    sigma_w2 = level / gaussian_mean(lambda xi: TANH.slope(math.sqrt(q) * xi) ** 2)
    return q - sigma_w2 * gaussian_mean(
        lambda xi: TANH.value(math.sqrt(q) * xi) ** 2
    ), sigma_w2


def critical_sigma_w2(sigma_b2: float) -> float:
    """sigma_w^2 on the critical line, by bisection in the variance, with which sigma_b^2 grows along the line."""
    low, high = 1e-6, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if point(middle, 1.0)[0] < sigma_b2 else (low, middle)
        )
    return point(low, 1.0)[1]


def growth(sigma_b2: float, sigma_w2: float, generator: torch.Generator) -> float:
    """Factor per layer of the mean square of dL/dz in one network, from inputs at the variance where it settles."""
    q = fixed_variance(TANH, math.sqrt(sigma_w2), math.sqrt(sigma_b2))
    std = math.sqrt(sigma_w2 / WIDTH)
    model = multilayer_perceptron(
        [WIDTH] * DEPTH,
        nn.Tanh,
        lambda weight: nn.init.normal_(weight, std=std, generator=generator),
    )
    for layer in model[::2]:
        nn.init.normal_(layer.bias, std=math.sqrt(sigma_b2), generator=generator)
    inputs = torch.tanh(math.sqrt(q) * torch.randn(16, WIDTH, generator=generator))
    target = torch.randn(16, WIDTH, generator=generator)
    deltas = [
        layer.delta
        for layer in signals(model, inputs, lambda outputs: (outputs * target).sum())
    ]
    # The last delta does not see the slope of an activation.
    return (deltas[0].square().mean() / deltas[-2].square().mean()).item() ** (
        1.0 / (len(deltas) - 2)
    )


def measure(seed: int = 0) -> PhaseDiagram:
    """Follow the curves, build the networks."""
    generator = torch.Generator().manual_seed(seed)
    variances = np.geomspace(1e-3, 4.0, 200)
    curves = {
        level: [
            (b, w)
            for b, w in (point(q, level) for q in variances)
            if 0.0 <= b <= 0.4 and w <= 5.5
        ]
        for level in LEVELS
    }
    measured = [growth(b, w, generator) for b, w in POINTS]
    predicted = [
        chi(fixed_variance(TANH, w**0.5, b**0.5), TANH, w**0.5) for b, w in POINTS
    ]
    return PhaseDiagram(curves, critical_sigma_w2(0.05), measured, predicted)


CLAIMS = (
    Claim(
        statement=r"The critical line passes through $\sigma_w^2$ at $\sigma_b^2=0.05$",
        value=lambda measured: measured.critical,
        interval=(1.755, 1.765),
        rival=1.0,
        rival_of="no biases",
        reason="Exact integrals, 1.7609; the interval is the rounding to 1.76, which is the value in use.",
        format=".4f",
    ),
    Claim(
        statement=r"Without biases it starts at $\sigma_w^2$",
        value=lambda measured: measured.curves[1.0][0][1],
        interval=(1.0, 1.01),
        paper="1",
        source="Poole et al. (2016), the length map.",
        rival=lambda measured: measured.critical,
        rival_of="$\\sigma_b^2=0.05$",
        reason="$\\phi'(0)=1$, so $\\chi=\\sigma_w^2$ for small variances. The curve is followed from $q=0.001$.",
        format=".3f",
    ),
    *(
        Claim(
            statement=rf"A network of width 1,000 at $(\sigma_b^2,\sigma_w^2)=({b},{w})$: measured factor over $\chi$",
            value=lambda measured, i=i: measured.measured[i] / measured.predicted[i],
            interval=(0.95, 1.05),
            paper="1",
            rival=lambda measured, i=i, w=w: w / measured.predicted[i],
            rival_of="$\\chi=\\sigma_w^2$, as if tanh had slope 1",
            reason="The mean over 16 inputs and 10 layers of 1,000 units.",
            format=".3f",
        )
        for i, (b, w) in enumerate(POINTS)
    ),
)


def plot(measured: PhaseDiagram) -> Figure:
    """The plane of (sigma_b^2, sigma_w^2) with curves of constant chi."""
    figure = Figure(figsize=(4.6, 3.8))
    axes = figure.subplots()
    for level, curve in measured.curves.items():
        b, w = zip(*curve, strict=True)
        critical = level == 1.0
        axes.plot(
            b, w, color="C0" if critical else "C5", linewidth=2.5 if critical else 1.2
        )
        axes.annotate(
            f"χ = {level:g}",
            (b[-1], w[-1]),
            (4, 0),
            textcoords="offset points",
            va="center",
            color="C0" if critical else "C5",
            annotation_clip=False,
        )
    axes.grid(False)  # The curves are the lines to read, and labels stand between them.
    places = ((0.065, 0.86), (0.01, 2.25), (0.21, 4.1))
    for (b, w), place, factor in zip(POINTS, places, measured.measured, strict=True):
        axes.plot(b, w, "o", color="C1")
        axes.annotate(f"measured {factor:.2f}", place, color="C1")
    axes.annotate("chaos: gradients explode", (0.17, 2.78), color="C5")
    axes.annotate("order: gradients vanish", (0.17, 0.15), color="C5")
    axes.set(
        xlabel=r"variance of the biases, $\sigma_b^2$",
        ylabel=r"$\sigma_w^2$ = fan_in · Var(W)",
    )
    axes.set(xlim=(0, 0.4), ylim=(0, 5.5))
    return figure
