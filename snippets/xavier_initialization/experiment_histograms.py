r"""With the old weights activations narrow from layer to layer, and gradients on their way back; with Xavier much less.

5 tanh layers of 1000 units with a softmax on top, as in the paper. The inputs are Gaussian noise of 1024 features and
unit variance in the place of images of 32 x 32 pixels, and the labels are random.

Source: Glorot & Bengio (2010), section 4.2.2 and figures 6 and 7. They print no numbers for them: the intervals here
are those of the exact recursion of wide networks.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import TANH, Propagation, propagate
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

DEPTH, WIDTH, INPUTS, CLASSES, BATCH = 5, 1000, 1024, 10, 300
BINS = np.linspace(-1.0, 1.0, 81)
GRADIENT_BINS = np.linspace(-2.0, 2.0, 81)


class Network(NamedTuple):
    """What one network holds in its 5 hidden layers, first layer first."""

    activation: list[float]
    """Root mean square of h_l."""

    gradient: list[float]
    """Root mean square of dL/dz_l in units of that of layer 5."""

    density: np.ndarray
    """Shape (5, 80): density of h_l between `BINS`."""

    gradient_density: np.ndarray
    """Shape (5, 80): density of dL/dz_l, in the same units as `gradient`, between `GRADIENT_BINS`."""


class Histograms(NamedTuple):
    """Both networks, for the same inputs and labels."""

    old: Network
    """Weights from U(-1/sqrt(n_in), 1/sqrt(n_in)), as in nn.Linear."""

    xavier: Network
    """Weights from U(-sqrt(6 / (n_in + n_out)), sqrt(6 / (n_in + n_out)))."""


def measure(seed: int = 0) -> Histograms:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(BATCH, INPUTS, generator=generator)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    return Histograms(
        *(_network(draw, inputs, labels, generator) for draw in (_old, xavier_uniform_))
    )


def _old(weight: Tensor, generator: torch.Generator) -> Tensor:
    bound = 1.0 / math.sqrt(weight.shape[1])
    return nn.init.uniform_(weight, -bound, bound, generator)


def _network(
    draw, inputs: Tensor, labels: Tensor, generator: torch.Generator
) -> Network:
    widths = [INPUTS] + [WIDTH] * DEPTH + [CLASSES]
    model = multilayer_perceptron(
        widths, nn.Tanh, lambda weight: draw(weight, generator=generator)
    )
    layers = signals(
        model, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
    )[:DEPTH]
    unit = rms(layers[-1].delta)
    return Network(
        [rms(layer.activation) for layer in layers],
        [rms(layer.delta) / unit for layer in layers],
        np.array([_density(layer.activation, BINS) for layer in layers]),
        np.array([_density(layer.delta / unit, GRADIENT_BINS) for layer in layers]),
    )


def _density(values: Tensor, bins: np.ndarray) -> np.ndarray:
    """Per unit of `values`, so that what lies beyond the bins counts as well."""
    counts, _ = np.histogram(values.numpy(), bins)
    return counts / (values.numel() * (bins[1] - bins[0]))


def _exact(variance: float, first: float) -> Propagation:
    return propagate(TANH, math.sqrt(variance), DEPTH, q=first)


def _within(part: float, square: float) -> tuple[float, float]:
    """The root of `square`, give or take a part of it."""
    return round((1 - part) * math.sqrt(square), 3), round(
        (1 + part) * math.sqrt(square), 3
    )


OLD = _exact(1 / 3, first=1 / 3)
XAVIER = _exact(1.0, first=2 * INPUTS / (INPUTS + WIDTH))

CLAIMS = (
    Claim(
        statement="Old weights: the activations of layer 5 have this part of the rms of layer 1",
        value=lambda found: found.old.activation[-1] / found.old.activation[0],
        interval=_within(0.05, OLD.activation[-1] / OLD.activation[0]),
        source="Schoenholz et al. (2017), the recursions, evaluated.",
        paper=f"{math.sqrt(OLD.activation[-1] / OLD.activation[0]):.3f}",
        rival=lambda found: found.xavier.activation[-1] / found.xavier.activation[0],
        rival_of="Xavier",
        reason="The exact recursion of wide networks within 5 %.",
    ),
    Claim(
        statement="Xavier: the activations of layer 5 have this part of the rms of layer 1",
        value=lambda found: found.xavier.activation[-1] / found.xavier.activation[0],
        interval=_within(0.05, XAVIER.activation[-1] / XAVIER.activation[0]),
        source="Schoenholz et al. (2017), the recursions, evaluated.",
        paper=f"{math.sqrt(XAVIER.activation[-1] / XAVIER.activation[0]):.3f}",
        rival=lambda found: found.old.activation[-1] / found.old.activation[0],
        rival_of="the old weights",
        reason="The exact recursion of wide networks within 5 %.",
    ),
    Claim(
        statement="Old weights: the gradient that reaches layer 1 has this part of the rms of layer 5",
        value=lambda found: found.old.gradient[0],
        interval=_within(0.07, OLD.gradient[0]),
        source="Schoenholz et al. (2017), the recursions, evaluated.",
        paper=f"{math.sqrt(OLD.gradient[0]):.4f}",
        rival=lambda found: found.xavier.gradient[0],
        rival_of="Xavier",
        reason="The exact recursion of wide networks within 7 %.",
    ),
    Claim(
        statement="Xavier: the gradient that reaches layer 1 has this part of the rms of layer 5",
        value=lambda found: found.xavier.gradient[0],
        interval=_within(0.07, XAVIER.gradient[0]),
        source="Schoenholz et al. (2017), the recursions, evaluated.",
        paper=f"{math.sqrt(XAVIER.gradient[0]):.3f}",
        rival=lambda found: found.old.gradient[0],
        rival_of="the old weights",
        reason="The exact recursion of wide networks within 7 %.",
    ),
    Claim(
        statement=r"Old weights: the peak of layer 5 over $1/\sqrt{2\pi q_5}$, that of a Gaussian $z_5$",
        value=lambda found: (
            found.old.density[-1][39:41].mean()
            * math.sqrt(2 * math.pi * OLD.preactivation[-1])
        ),
        interval=(0.9, 1.02),
        rival=math.sqrt(OLD.preactivation[-1] / OLD.preactivation[0]),
        rival_of="a layer 5 as wide as layer 1",
        reason="1 for an infinitely narrow bin; two bins of 1/40 about 0 reach half a standard deviation out: 0.95.",
    ),
)


def plot(measured: Histograms) -> Figure:
    figure = Figure(figsize=(4.6, 4.8))
    grid = figure.subplots(2, 2, sharex="col", sharey="col")
    for row, network, colour in zip(grid, measured, ("C1", "C0"), strict=True):
        for axes, densities, bins in zip(
            row, network[2:], (BINS, GRADIENT_BINS), strict=True
        ):
            for layer, density in enumerate(densities, 1):
                ends = layer in (1, DEPTH)
                style = {
                    "color": colour if ends else "C5",
                    "linewidth": 1.8 if ends else 0.8,
                }
                axes.stairs(
                    density, bins, linestyle="--" if layer == 1 else "-", **style
                )
            axes.set(yscale="log", ylim=(0.03, 40))
        row[0].set(ylabel="density")
    for axes, title in zip(grid[:, 0], ("Old initialization", "Xavier"), strict=True):
        axes.set_title(title)
    grid[0, 0].text(-1.0, 8.0, "layer 5", color="C1")
    grid[0, 0].text(-1.0, 1.0, "layer 1", color="C1")
    grid[0, 1].text(-1.9, 0.5, "layer 5", color="C1")
    grid[0, 1].text(-1.9, 4.0, "layer 1", color="C1")
    grid[1, 0].set(xlabel="activation $h_l$")
    grid[1, 1].set(xlabel=r"gradient $\partial\mathcal{L}/\partial z_l$")
    return figure
