r"""He keeps the size of the signal over depth, and loses the angle between two inputs.

Source: Cho & Saul (2009), "Kernel methods for deep learning", section 2, the kernel of degree 1: the exact map of the
angle for infinitely wide layers. Here 40 layers of width 512, 8 orthogonal inputs, the mean of 8 networks.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import relu_correlation

DEPTH, WIDTH, INPUTS, NETWORKS = 40, 512, 8, 8


class Angles(NamedTuple):
    """One entry per layer, the inputs first."""

    cosines: list[float]
    """Mean cosine of the angle between the preactivations of two inputs."""

    predicted: list[float]
    """The same in infinitely wide layers."""

    mean_squares: list[float]
    """Of the preactivations, over units and inputs."""


def _network(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One forward pass, z_l = W_l relu(z_{l-1}) with weights of variance 2 / fan_in, from orthogonal z_0."""
    orthogonal, _ = np.linalg.qr(generator.standard_normal((WIDTH, INPUTS)))
    z, cosines, mean_squares = math.sqrt(WIDTH) * orthogonal.T, [], []
    for layer in range(DEPTH + 1):
        if layer:
            z = (
                math.sqrt(2 / WIDTH)
                * np.maximum(z, 0)
                @ generator.standard_normal((WIDTH, WIDTH), dtype=np.float32)
            )
        units = z / np.linalg.norm(z, axis=1, keepdims=True)
        cosines.append((units @ units.T)[np.triu_indices(INPUTS, k=1)].mean())
        mean_squares.append(np.square(z).mean())
    return np.array(cosines), np.array(mean_squares)


def measure(seed: int = 0) -> Angles:
    """Eight networks, each with inputs of its own."""
    generator = np.random.default_rng(seed)
    cosines, mean_squares = zip(
        *(_network(generator) for _ in range(NETWORKS)), strict=True
    )
    predicted = [0.0]
    for _ in range(DEPTH):
        predicted.append(relu_correlation(predicted[-1]))
    return Angles(
        np.mean(cosines, axis=0).tolist(),
        predicted,
        np.mean(mean_squares, axis=0).tolist(),
    )


CLAIMS = (
    Claim(
        statement="Cosine of the angle after 10 layers, from 0",
        value=lambda angles: angles.cosines[10],
        interval=(0.842, 0.902),
        paper="0.872",
        rival=0.0,
        rival_of="an angle that is kept",
        reason="Theory says 0.872.",
    ),
    Claim(
        statement="After 30 layers",
        value=lambda angles: angles.cosines[30],
        interval=(0.964, 0.98),
        paper="0.972",
        rival=lambda angles: angles.cosines[10],
        rival_of="a collapse that ends at layer 10",
        reason="Theory says 0.972.",
    ),
    Claim(
        statement="Largest distance from the theory over all 40 layers",
        value=lambda angles: max(
            abs(a - b) for a, b in zip(angles.cosines, angles.predicted, strict=True)
        ),
        interval=(0, 0.035),
        paper="0",
        rival=lambda angles: max(angles.predicted),
        rival_of="an angle that is kept",
        reason="Width 512 is not infinite.",
    ),
    Claim(
        statement="Mean square of the signal after 40 layers, 1 at the input",
        value=lambda angles: angles.mean_squares[-1],
        interval=(0.4, 2.2),
        paper="1",
        rival=0.95**80,
        rival_of="weights 5 % too small",
        source="He et al. (2015), section 2.2.",
        reason="1 on average. Xavier would leave $2^{-40}$.",
    ),
)


def plot(measured: Angles) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    layers = range(DEPTH + 1)
    axes.plot(
        layers, measured.predicted, color="C5", linewidth=1.2, linestyle=(0, (4, 2))
    )
    axes.plot(layers[::2], measured.cosines[::2], "o", markersize=4, color="C0")
    axes.plot(layers[::2], measured.mean_squares[::2], "s", markersize=4, color="C2")
    axes.text(
        7, 0.62, "cosine of the angle between two inputs", color="C0", va="center"
    )
    axes.text(7, 1.4, "mean square of the signal", color="C2", va="center")
    axes.set(
        xlabel="ReLU layer, He initialization",
        ylabel="cosine; mean square",
        ylim=(0, 1.6),
        xlim=(-1, DEPTH + 1),
    )
    return figure
