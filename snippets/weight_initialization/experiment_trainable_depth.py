r"""Near the critical line a tanh network learns in 150 steps at depths where others do not start.

Source: Schoenholz et al. (2017), "Deep information propagation": trainable depth follows the depth scale $\xi_c$ over
which two inputs approach their final correlation, by about $6\,\xi_c$. Here the scale is that of the gradient,
$\xi_\nabla=1/|\ln\chi|$: the same where $\chi<1$, shorter where $\chi>1$. Scaled down: width 64, digits,
$\sigma_b^2=0.05$, 150 steps of SGD with a learning rate of $\min(0.05,\,0.8/L)$.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import (
    TANH,
    chi,
    fixed_variance,
    next_correlation,
    next_variance,
)
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

SIGMA_B2 = 0.05
SIGMAS_W = (0.8, 1.0, 1.15, 1.327, 1.6, 2.0)
DEPTHS = (10, 40)


class TrainableDepth(NamedTuple):
    """Accuracy on the test digits, and the scale that theory gives."""

    accuracy: dict[int, list[float]]
    """Depth -> one accuracy per sigma_w."""

    depth_scale: list[float]
    """xi = 1 / |ln chi| at each sigma_w: layers over which a squared gradient changes by a factor e."""

    correlation_scale: float
    """xi_c at sigma_w = 2: layers over which the correlation of two inputs comes nearer to its limit by a factor e."""

    window: tuple[float, float]
    """The sigma_w between which 6 xi exceeds the larger depth."""


def chi_along_sigma_w() -> tuple[np.ndarray, np.ndarray]:
    """sigma_w and chi for wide networks at SIGMA_B2, along the variance q where they settle.

    q = sigma_w^2 E[phi^2] + sigma_b^2 is solved for sigma_w, which needs no iteration.
    """
    variances = np.geomspace(1.01 * SIGMA_B2, 3.0, 400)
    sigmas = [
        math.sqrt((q - SIGMA_B2) / next_variance(q, TANH, 1.0)) for q in variances
    ]
    return np.array(sigmas), np.array(
        [chi(q, TANH, sigma) for q, sigma in zip(variances, sigmas, strict=True)]
    )


def correlation_scale(sigma_w: float) -> float:
    """xi_c = -1 / ln of the slope of the map of correlations at its stable fixed point, which is below 1 in the chaotic
    phase.
    """
    sigma_b = math.sqrt(SIGMA_B2)
    q = fixed_variance(TANH, sigma_w, sigma_b)

    def step(c: float) -> float:
        return next_correlation(c, q, TANH, sigma_w, sigma_b)

    c = 0.5
    for _ in range(80):
        c = step(c)
    return -1.0 / math.log((step(c + 1e-4) - step(c - 1e-4)) / 2e-4)


def measure(seed: int = 0) -> TrainableDepth:
    """Train 12 networks."""
    data = load_digits()

    def trained(depth: int, sigma_w: float) -> float:
        generator = torch.Generator().manual_seed(seed)
        model = multilayer_perceptron(
            [64] * depth + [10],
            nn.Tanh,
            lambda weight: nn.init.normal_(
                weight, std=sigma_w / math.sqrt(weight.shape[1]), generator=generator
            ),
        )
        for layer in model[::2]:
            nn.init.normal_(layer.bias, std=math.sqrt(SIGMA_B2), generator=generator)
        train(model, data, steps=150, learning_rate=min(0.05, 0.8 / depth), seed=seed)
        return accuracy_on_test_digits(model, data)

    sigmas, chis = chi_along_sigma_w()
    edge = 6.0 / DEPTHS[-1]
    return TrainableDepth(
        {depth: [trained(depth, sigma) for sigma in SIGMAS_W] for depth in DEPTHS},
        [1.0 / abs(math.log(number)) for number in np.interp(SIGMAS_W, sigmas, chis)],
        correlation_scale(2.0),
        (
            float(np.interp(-edge, np.log(chis), sigmas)),
            float(np.interp(edge, np.log(chis), sigmas)),
        ),
    )


def accuracies(measured: TrainableDepth, within: bool) -> list[float]:
    """Of the networks no deeper than 6 xi, or of those deeper than 8 xi; between the two the edge is soft."""
    return [
        accuracy
        for depth, row in measured.accuracy.items()
        for accuracy, scale in zip(row, measured.depth_scale, strict=True)
        if (depth <= 6.0 * scale if within else depth > 8.0 * scale)
    ]


CLAIMS = (
    Claim(
        statement=r"Mean accuracy of all networks no deeper than $6\,\xi_\nabla$",
        value=lambda measured: float(np.mean(accuracies(measured, within=True))),
        interval=(0.68, 1.0),
        paper="trains",
        rival=lambda measured: float(np.mean(accuracies(measured, within=False))),
        rival_of="networks deeper than $8\\,\\xi_\\nabla$",
        budget="150 steps of SGD, learning rate $\\min(0.05,\\,0.8/L)$",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement=r"Mean accuracy of all networks deeper than $8\,\xi_\nabla$",
        value=lambda measured: float(np.mean(accuracies(measured, within=False))),
        interval=(0.08, 0.25),
        paper="does not train",
        rival=lambda measured: float(np.mean(accuracies(measured, within=True))),
        rival_of="networks within $6\\,\\xi_\\nabla$",
        budget="150 steps of SGD, learning rate $\\min(0.05,\\,0.8/L)$",
        reason="Chance is 0.1.",
    ),
    Claim(
        statement=r"40 layers learn best at $\sigma_w$; the critical line passes at 1.327",
        value=lambda measured: SIGMAS_W[int(np.argmax(measured.accuracy[40]))],
        interval=(1.15, 1.6),
        paper="1.327",
        rival=1.0,
        rival_of="$\\sigma_w=1$, the line without biases",
        budget="150 steps of SGD, learning rate $\\min(0.05,\\,0.8/L)$",
        reason="The neighbors on the grid are allowed.",
        format=".3f",
    ),
    Claim(
        statement=r"In the chaotic phase the two scales differ: $\xi_c$ at $\sigma_w=2$",
        value=lambda measured: measured.correlation_scale,
        interval=(6.93, 7.03),
        rival=lambda measured: measured.depth_scale[SIGMAS_W.index(2.0)],
        rival_of=r"$\xi_\nabla$",
        paper="6.98",
        source="Schoenholz et al. (2017), the depth scales, evaluated.",
        reason=r"Exact recursions. By $6\,\xi_c=42$ a network of 40 layers should train there. In 150 steps "
        r"it does not: its gradient explodes over twelve $\xi_\nabla$.",
        format=".2f",
    ),
)


def plot(measured: TrainableDepth) -> Figure:
    """Accuracy over sigma_w for both depths, and the window of theory."""
    figure = Figure()
    axes = figure.subplots()
    axes.axvspan(*measured.window, color="C5", alpha=0.2, linewidth=0)
    for row, colour in zip(measured.accuracy.values(), ("C0", "C1"), strict=True):
        axes.plot(SIGMAS_W, row, "o-", color=colour)
    axes.annotate("10 layers", (1.75, 0.98), color="C0")
    axes.annotate("40 layers", (1.68, 0.5), color="C1")
    axes.annotate(
        r"$6\,\xi_\nabla>40$", (sum(measured.window) / 2, 0.03), color="C5", ha="center"
    )
    axes.set(
        xlabel=r"$\sigma_w$, the deviation of W times $\sqrt{n}$",
        ylabel="accuracy on test digits",
        ylim=(0, 1.1),
    )
    return figure
