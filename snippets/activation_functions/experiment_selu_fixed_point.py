"""SELU pulls mean and variance to (0, 1) with gain 1; the gain that `calculate_gain` returns gives that up.

Source: Klambauer et al. (2017), for SELU, its fixed point and weights of variance $1/n$. 50 layers of
256 units, no biases, 3 networks, batches of 64.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from snippets.laboratory.activations import from_torch
from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import chi, fixed_variance, gaussian_mean

SELU = from_torch(functional.selu)
DEPTH, WIDTH, NETWORKS, BATCH = 50, 256, 3, 64
STARTS = (0.2, 1.0, 3.0)


class Selu(NamedTuple):
    gain: float
    """What `calculate_gain("selu")` returns."""

    normalizing: np.ndarray
    """Standard deviation of the activations with gain 1, shape (starts, DEPTH); one row per deviation of the inputs."""

    recommended: np.ndarray
    """The same with the gain of `calculate_gain`."""

    mean: float
    """Of the activations of the last layer, with gain 1 from inputs of mean 0.2 and variance 1.4."""

    variance: float
    """The same."""

    contraction: float
    """Spectral norm of the Jacobian of the map (mean, variance) at its fixed point."""

    chi_normalizing: float
    """Factor per layer of the squared gradient, with gain 1."""

    chi_recommended: float
    """The same with the gain of `calculate_gain`, at the variance where that settles."""


def deviations(
    gain: float, start: float, generator: torch.Generator, mean: float = 0.0
) -> tuple[np.ndarray, float]:
    """Standard deviation of the activations of each layer, mean over the networks, and the mean of the last layer's."""
    found, means = np.empty((NETWORKS, DEPTH)), []
    for network in range(NETWORKS):
        hidden = mean + start * torch.randn(BATCH, WIDTH, generator=generator)
        for layer in range(DEPTH):
            weight = (
                gain / math.sqrt(WIDTH) * torch.randn(WIDTH, WIDTH, generator=generator)
            )
            hidden = functional.selu(hidden @ weight)
            found[network, layer] = hidden.std().item()
        means.append(hidden.mean().item())
    return found.mean(axis=0), float(np.mean(means))


def contraction() -> float:
    """Of (mean, variance) -> (mean, variance) of SELU(z), z normal with mean 0 and that variance.

    With weights that sum to 0 the mean of the activations does not reach z, so only the variance's column is not zero.
    """

    def moments(variance: float) -> np.ndarray:
        first, second = (
            gaussian_mean(
                lambda xi, power=power: SELU.value(math.sqrt(variance) * xi) ** power
            )
            for power in (1, 2)
        )
        return np.array([first, second - first**2])

    return float(np.linalg.norm(moments(1.001) - moments(0.999)) / 0.002)


def measure(seed: int = 0) -> Selu:
    generator = torch.Generator().manual_seed(seed)
    gain = nn.init.calculate_gain("selu")
    normalizing, recommended = (
        np.array([deviations(g, start, generator)[0] for start in STARTS])
        for g in (1.0, gain)
    )
    shifted, mean = deviations(1.0, math.sqrt(1.4), generator, mean=0.2)
    settled = fixed_variance(SELU, gain)
    return Selu(
        gain,
        normalizing,
        recommended,
        mean,
        shifted[-1] ** 2,
        contraction(),
        chi(1.0, SELU, 1.0),
        chi(settled, SELU, gain),
    )


CLAIMS = (
    Claim(
        statement="Spectral norm of the Jacobian of (mean, variance) at the fixed point (0, 1)",
        paper="0.7877",
        value=lambda m: m.contraction,
        interval=(0.78765, 0.78775),
        rival=1.0,
        rival_of="a map that does not contract",
        reason="The paper's four digits; the map contracts because it is below 1.",
        format=".4f",
        source="Klambauer et al. (2017), on the fixed point for normalized weights.",
    ),
    Claim(
        statement="Gain 1: variance of the activations of layer 50, inputs of mean 0.2 and variance 1.4",
        value=lambda m: m.variance,
        interval=(0.85, 1.15),
        paper="1",
        rival=1.4,
        rival_of="the variance of the inputs, kept",
        reason="1 in the limit of infinite width.",
    ),
    Claim(
        statement="Gain 1: mean of these activations",
        value=lambda m: m.mean,
        interval=(-0.05, 0.05),
        paper="0",
        rival=0.2,
        rival_of="the mean of the inputs, kept",
        reason="0 in the limit of infinite width.",
        format=".1g",
    ),
    Claim(
        statement="Gain 1: largest deviation at layer 50 divided by the smallest, for inputs of deviation 0.2, 1 and 3",
        value=lambda m: m.normalizing[:, -1].max() / m.normalizing[:, -1].min(),
        interval=(1.0, 1.1),
        rival=15.0,
        rival_of="the deviations of the inputs, kept",
        reason="All starts meet.",
    ),
    Claim(
        statement="Gain 3/4: deviation of the activations of layer 50, inputs of deviation 1",
        value=lambda m: m.recommended[STARTS.index(1.0), -1],
        interval=(0.16, 0.25),
        rival=1.0,
        rival_of="the gain 1",
        reason="0.203 in the limit of infinite width.",
    ),
    Claim(
        statement="Gain 1: factor per layer of the squared gradient",
        value=lambda m: m.chi_normalizing,
        interval=(1.071, 1.072),
        rival=1.0,
        rival_of="a gain that keeps the gradient",
        reason="$\\mathbb E[\\phi'(\\xi)^2]$; Gauss-Hermite with 200 nodes gives 1.0716.",
        format=".4f",
    ),
    Claim(
        statement="Gain 3/4: the same, where the variance settles",
        value=lambda m: m.chi_recommended,
        interval=(1.003, 1.0045),
        rival=lambda m: m.chi_normalizing,
        rival_of="the gain 1",
        reason="At variance 0.023 SELU is nearly a leaky ReLU, and any leaky ReLU whose variance stays has 1; "
        "iterating the map gives 1.0037.",
        format=".4f",
    ),
)


def plot(measured: Selu) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    layer = np.arange(1, DEPTH + 1)
    for rows, colour in ((measured.normalizing, "C2"), (measured.recommended, "C1")):
        for row in rows:
            axes.semilogy(layer, row, colour)
    axes.axhline(1.0, color="C5", linestyle="--", linewidth=1.2)
    axes.text(50, 1.15, "gain 1", color="C2", ha="right", va="bottom")
    axes.text(
        50,
        0.27,
        f"gain {measured.gain:g} of calculate_gain",
        color="C1",
        ha="right",
        va="bottom",
    )
    axes.set(xlabel="layer", ylabel="deviation of the activations", ylim=(0.1, 4))
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 4], ["0.1", "0.2", "0.5", "1", "2", "4"])
    axes.minorticks_off()
    return figure
