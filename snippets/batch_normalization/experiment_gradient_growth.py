"""At initialization batch normalization multiplies squared gradients by at least $\\pi/(\\pi-1)$ per ReLU layer.

Source: Yang et al. (2019), theorem 8: the rate for ReLU, which falls to $\\pi/(\\pi-1)$ as the batch grows, and for
linear layers, $(B-2)/(B-3)$; theorem 9: no activation has a lower one. Their figure 1 uses
width 1000 and 200 networks; here 14 layers of width 512, means over 3 networks per batch size, Gaussian inputs, and a
linear loss with random coefficients.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import batch_norm_chi_linear, batch_norm_chi_relu
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron

WIDTH, DEPTH, NETWORKS = 512, 14, 3
BATCH_SIZES = (6, 8, 16, 32, 128)
LIMIT = math.pi / (math.pi - 1)


class Growth(NamedTuple):
    """Factor per layer of the mean square of dL/dz towards the input, one entry per batch size."""

    relu: np.ndarray
    linear: np.ndarray


def measure(seed: int = 0) -> Growth:
    return Growth(
        *(
            np.array(
                [factor(activation, batch_size, seed) for batch_size in BATCH_SIZES]
            )
            for activation in (nn.ReLU, nn.Identity)
        )
    )


def factor(activation: type[nn.Module], batch_size: int, seed: int) -> float:
    """Geometric mean over networks and layers; two layers at each end are left out, where the signals settle."""
    logarithms = []
    for network in range(NETWORKS):
        generator = torch.Generator().manual_seed(1000 * seed + network)
        model = multilayer_perceptron(
            [WIDTH] * (DEPTH + 1),
            lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, eps=1e-12), activation()),
            lambda weight: nn.init.normal_(
                weight, 0.0, WIDTH**-0.5, generator=generator
            ),
        ).double()
        inputs, coefficients = torch.randn(
            2, batch_size, WIDTH, generator=generator, dtype=torch.float64
        )
        layers = signals(model, inputs, lambda output: (coefficients * output).sum())
        first, last = layers[1], layers[-3]
        logarithms.append(
            2 * math.log(rms(first.delta) / rms(last.delta)) / (DEPTH - 4)
        )
    return math.exp(np.mean(logarithms))


def _at(batch_size: int, factors: np.ndarray) -> float:
    return float(factors[BATCH_SIZES.index(batch_size)])


def _farthest_from_one(ratios: np.ndarray) -> float:
    return float(ratios[np.argmax(abs(ratios - 1))])


CLAIMS = (
    Claim(
        statement="Squared gradient per ReLU layer, batches of 128",
        value=lambda m: _at(128, m.relu),
        interval=(1.452, 1.512),
        rival=1.0,
        rival_of="a normalization that keeps the gradient",
        reason="$\\pi/(\\pi-1)=1.467$ in the limit, 1.480 at $B=128$.",
        paper="π/(π − 1)",
        format=".3f",
    ),
    Claim(
        statement="The same over Yang's rate for finite $B$: the batch size with the largest deviation",
        value=lambda m: _farthest_from_one(
            m.relu / [batch_norm_chi_relu(size) for size in BATCH_SIZES]
        ),
        interval=(0.92, 1.08),
        rival=lambda m: _farthest_from_one(m.relu / (math.pi / (math.pi - 1))),
        rival_of="the limit $\\pi/(\\pi-1)$ in the place of Yang's rate",
        reason="At $B=6$ few degrees of freedom make heavy tails.",
        paper="1",
        format=".3f",
    ),
    Claim(
        statement="Squared gradient per linear layer, batches of 8",
        value=lambda m: _at(8, m.linear),
        interval=(1.14, 1.26),
        rival=1.0,
        rival_of="a large batch",
        reason="$(B-2)/(B-3)=1.2$.",
        paper="(B − 2)/(B − 3)",
        format=".3f",
    ),
    Claim(
        statement="The same over $(B-2)/(B-3)$: the batch size with the largest deviation",
        value=lambda m: _farthest_from_one(
            m.linear / [batch_norm_chi_linear(size) for size in BATCH_SIZES]
        ),
        interval=(0.93, 1.1),
        rival=lambda m: _farthest_from_one(m.linear),
        rival_of="1, the rate of large batches, in the place of Yang's",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="1",
        format=".3f",
    ),
)


def plot(measured: Growth) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    sizes = np.arange(6, 129)
    for color, name, factors, theory, place in (
        ("C0", "ReLU", measured.relu, batch_norm_chi_relu, (20, 1.62)),
        ("C1", "linear", measured.linear, batch_norm_chi_linear, (20, 1.1)),
    ):
        axes.plot(sizes, [theory(int(size)) for size in sizes], color="C5")
        axes.plot(BATCH_SIZES, factors, color=color, marker="o", linestyle="none")
        axes.annotate(name, place, color=color)
    axes.axhline(LIMIT, color="C5", linestyle="--", linewidth=1)
    axes.annotate(
        "π/(π − 1)",
        (6.2, LIMIT),
        (0, -4),
        textcoords="offset points",
        color="C5",
        va="top",
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(BATCH_SIZES, [str(size) for size in BATCH_SIZES])
    axes.set(
        xlabel="batch size B", ylabel="squared gradient, per layer", ylim=(0.95, 2.1)
    )
    return figure
