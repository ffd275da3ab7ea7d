r"""Xavier lifts the mean singular value of a layer's Jacobian from about 0.5 to about 0.8, near the 0.85 of theory.

5 tanh layers of 300 units on two of the digits. The Jacobian of layer $l$ is
$J_l=\partial h_l/\partial h_{l-1}=\operatorname{diag}(\phi'(z_l))\,W_l$, taken where the layer is square: $l$ = 2 to 5.

Source: Glorot & Bengio (2010), section 4.2.2, equation 17 and the paragraph below it. Scaled down: their layers have
1000 units and their inputs are images of 32 x 32 pixels; they do not say over which layers and inputs they average.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import TANH, chi
from snippets.laboratory.signals import rms
from snippets.laboratory.training import multilayer_perceptron
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

DEPTH, WIDTH, INPUTS = 5, 300, 2
QUARTER_CIRCLE_MEAN = 8 / (3 * math.pi)
"""Mean singular value of a large square matrix whose n^2 independent entries have the variance 1/n."""


class Spectrum(NamedTuple):
    """The Jacobians of four layers at two inputs, under one initialization."""

    singular_values: np.ndarray
    """Shape (8, 300)."""

    mean_square: np.ndarray
    """Shape (8,): mean of the squared singular values of each Jacobian."""

    chi: np.ndarray
    """Shape (8,): n Var W E[phi'(z)^2] for Gaussian z of the mean square that the layer has at that input."""


class LayerJacobian(NamedTuple):
    """Both initializations."""

    old: Spectrum
    """Var W = 1 / (3 n_in)."""

    xavier: Spectrum
    """Var W = 2 / (n_in + n_out)."""


def measure(seed: int = 0) -> LayerJacobian:
    return LayerJacobian(_spectrum(1 / 3, seed), _spectrum(1.0, seed))


@torch.no_grad()
def _spectrum(variance: float, seed: int) -> Spectrum:
    generator = torch.Generator().manual_seed(seed)

    def initialize(weight: torch.Tensor) -> None:
        fan_out, fan_in = weight.shape
        old = math.sqrt(
            (fan_in + fan_out) / (6 * fan_in)
        )  # makes 2 / (fan_in + fan_out) into 1 / (3 fan_in)
        xavier_uniform_(weight, old if variance < 1 else 1.0, generator)

    model = multilayer_perceptron([64] + [WIDTH] * (DEPTH + 1), nn.Tanh, initialize)
    digits = torch.from_numpy(load_digits().train_inputs)
    spectra, mean_squares, chis = [], [], []
    for hidden in digits[torch.randint(len(digits), (INPUTS,), generator=generator)]:
        for linear in model[: 2 * DEPTH : 2]:
            preactivation = linear(hidden)
            hidden = torch.tanh(preactivation)
            if linear.in_features == WIDTH:
                jacobian = (1 - hidden**2)[:, None] * linear.weight
                spectra.append(torch.linalg.svdvals(jacobian).numpy())
                mean_squares.append(float((spectra[-1] ** 2).mean()))
                chis.append(chi(rms(preactivation) ** 2, TANH, math.sqrt(variance)))
    return Spectrum(np.array(spectra), np.array(mean_squares), np.array(chis))


CLAIMS = (
    Claim(
        statement="The mean singular value under the old initialization",
        value=lambda found: found.old.singular_values.mean(),
        interval=(0.44, round(QUARTER_CIRCLE_MEAN / math.sqrt(3), 3)),
        rival=lambda found: found.xavier.singular_values.mean(),
        rival_of="Xavier",
        reason=r"At most $8/(3\pi\sqrt3)$, that of the weights alone; the slope of tanh takes a few percent.",
        paper="0.5",
        format=".3f",
    ),
    Claim(
        statement="The mean singular value under Xavier",
        value=lambda found: found.xavier.singular_values.mean(),
        interval=(0.7, round(QUARTER_CIRCLE_MEAN, 3)),
        rival=lambda found: found.old.singular_values.mean(),
        rival_of="the old initialization",
        reason=r"At most $8/(3\pi)=0.849$, that of the weights alone; the slope of tanh takes about a tenth.",
        paper="around 0.8",
        format=".3f",
    ),
    Claim(
        statement=r"The mean *square* is $\chi=n\operatorname{Var}W\,\mathbb E[\phi'(z)^2]$: largest deviation",
        value=lambda found: max(
            np.abs(each.mean_square / each.chi - 1).max() for each in found
        ),
        interval=(0.0, 0.06),
        paper="0",
        rival=1 - QUARTER_CIRCLE_MEAN**2,
        rival_of="the square of the mean singular value",
        reason="0 in the limit of infinite width; the spread for 300 units is about 1 %, the largest of 16 is taken.",
        source="Schoenholz et al. (2017).",
    ),
)


def plot(measured: LayerJacobian) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    rows = (
        (measured.old, 1 / 3, "C1", "old", 1.5),
        (measured.xavier, 1.0, "C0", "Xavier", 1.25),
    )
    for spectrum, variance, colour, name, height in rows:
        edge = 2 * math.sqrt(variance)
        points = np.linspace(0, edge, 100)
        axes.plot(
            points,
            4 * np.sqrt(edge**2 - points**2) / (math.pi * edge**2),
            color="C5",
            linewidth=1,
        )
        density, edges = np.histogram(
            spectrum.singular_values, np.linspace(0, 2.1, 43), density=True
        )
        axes.stairs(density, edges, color=colour, linewidth=2)
        mean = spectrum.singular_values.mean()
        axes.plot(
            [mean, mean],
            [0, height],
            color=colour,
            linewidth=1.5,
            linestyle=(0, (4, 2)),
        )
        axes.annotate(
            f"{name}: mean {mean:.2f}", (mean + 0.03, height), color=colour, va="center"
        )
    axes.annotate(
        "weights alone",
        (1.75, 0.31),
        xytext=(0, 14),
        textcoords="offset points",
        color="C5",
        ha="center",
    )
    axes.set(
        xlabel="singular value of $J_l$", ylabel="density", xlim=(0, 2.1), ylim=(0, 1.7)
    )
    return figure
