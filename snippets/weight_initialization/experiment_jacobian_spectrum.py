r"""A mean square of 1 hides much of a Jacobian: orthogonal weights keep every direction, Gaussian ones and ReLU do not.

Source: Saxe, McClelland & Ganguli (2014) for linear networks; Pennington, Schoenholz & Ganguli (2017), "Resurrecting
the sigmoid", for tanh (isometry is possible) and ReLU (it is not). End-to-end Jacobians of 50 layers of 200 units.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim

WIDTH, DEPTH = 200, 50


class Spectrum(NamedTuple):
    """Singular values of d z_L / d x, largest first, for one input of one network of each kind."""

    orthogonal_linear: list[float]
    gaussian_linear: list[float]

    orthogonal_tanh: list[float]
    """Input of root mean square 0.05, so that tanh works near its linear regime."""

    orthogonal_relu: list[float]
    gaussian_relu: list[float]


def singular_values(
    activation: str,
    orthogonal: bool,
    gain: float,
    input_rms: float,
    generator: torch.Generator,
) -> list[float]:
    """Of the product of gain W_l D_{l-1}, where D holds the slopes of the activation at the preactivations."""

    def weight() -> Tensor:
        matrix = torch.randn(
            WIDTH, WIDTH, generator=generator, dtype=torch.float64
        ) / math.sqrt(WIDTH)
        return gain * (
            nn.init.orthogonal_(matrix, generator=generator) if orthogonal else matrix
        )

    h = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    h *= input_rms * math.sqrt(WIDTH) / h.norm()
    jacobian = torch.eye(WIDTH, dtype=torch.float64)
    for layer in range(DEPTH):
        matrix = weight()
        z = matrix @ h
        jacobian = matrix @ jacobian
        if layer < DEPTH - 1:
            h, slope = {
                "linear": (z, torch.ones_like(z)),
                "tanh": (z.tanh(), 1.0 - z.tanh().square()),
                "relu": (z.relu(), (z > 0).double()),
            }[activation]
            jacobian = slope[:, None] * jacobian
    return torch.linalg.svdvals(jacobian).tolist()


def measure(seed: int = 0) -> Spectrum:
    """One network of each kind."""
    generator = torch.Generator().manual_seed(seed)
    return Spectrum(
        singular_values("linear", True, 1.0, 1.0, generator),
        singular_values("linear", False, 1.0, 1.0, generator),
        singular_values("tanh", True, 1.0, 0.05, generator),
        singular_values("relu", True, math.sqrt(2.0), 1.0, generator),
        singular_values("relu", False, math.sqrt(2.0), 1.0, generator),
    )


def spread(values: list[float]) -> float:
    """Largest over median."""
    return values[0] / float(np.median(values))


def dead_share(values: list[float]) -> float:
    """Share of the directions that keep less than a thousandth of what the largest keeps."""
    return float(np.mean(np.array(values) < 1e-3 * values[0]))


CLAIMS = (
    Claim(
        statement="Linear, orthogonal: the largest singular value over the smallest",
        value=lambda measured: (
            measured.orthogonal_linear[0] / measured.orthogonal_linear[-1]
        ),
        interval=(1.0, 1.0 + 1e-10),
        paper="1",
        kind="identity",
        reason="A product of orthogonal matrices is orthogonal; rounding of float64.",
        format=".12g",
    ),
    Claim(
        statement="Linear, Gaussian with the same mean square: the median singular value over the largest",
        value=lambda measured: 1.0 / spread(measured.gaussian_linear),
        interval=(5e-10, 2e-8),
        rival=lambda measured: 1.0 / spread(measured.orthogonal_linear),
        rival_of="orthogonal weights",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1g",
    ),
    Claim(
        statement="tanh, orthogonal, small input: the largest singular value over the smallest",
        value=lambda measured: (
            measured.orthogonal_tanh[0] / measured.orthogonal_tanh[-1]
        ),
        interval=(1.1, 1.5),
        rival=lambda measured: spread(measured.gaussian_linear),
        rival_of="Gaussian weights without tanh",
        reason="Slopes are $1-\\tanh^2$: near 1 for small preactivations.",
    ),
    Claim(
        statement=r"ReLU, orthogonal times $\sqrt2$: share of the directions below a thousandth of the largest",
        value=lambda measured: dead_share(measured.orthogonal_relu),
        interval=(0.8, 0.87),
        rival=lambda measured: dead_share(measured.orthogonal_linear),
        rival_of="orthogonal weights without ReLU",
        reason="Each mask removes half of the directions; no weight brings them back.",
    ),
    Claim(
        statement="ReLU, He: the same share",
        value=lambda measured: dead_share(measured.gaussian_relu),
        interval=(0.86, 0.94),
        rival=lambda measured: dead_share(measured.orthogonal_relu),
        rival_of="orthogonal weights",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Spectrum) -> Figure:
    """Singular values over their rank, relative to the largest."""
    figure = Figure(figsize=(4.6, 3.8))
    axes = figure.subplots()
    lines = (
        (measured.orthogonal_linear, "C0", "linear, orthogonal", (100, 2.5)),
        (measured.orthogonal_tanh, "C2", "tanh, orthogonal", (100, 0.02)),
        (measured.orthogonal_relu, "C3", "ReLU,\northogonal", (5, 5e-14)),
        (measured.gaussian_linear, "C1", "linear, Gaussian", (101, 3e-6)),
        (measured.gaussian_relu, "C4", "ReLU, He", (5, 1e-8)),
    )
    ranks = np.arange(1, WIDTH + 1)
    for values, colour, name, place in lines:
        axes.semilogy(ranks, np.array(values) / values[0], color=colour)
        axes.annotate(name, place, color=colour)
    axes.set(
        xlabel="rank of the singular value, of 200",
        ylabel="relative to the largest",
        ylim=(1e-14, 30),
    )
    return figure
