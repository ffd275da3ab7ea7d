"""At its own gain tanh holds the signal over depth, ReLU keeps what it gets, and GELU and SiLU lose it.

Source: the variance map of Poole et al. (2016), the length map, and the gradient's factor of Schoenholz et al. (2017),
section 4; that the fixed point of GELU and SiLU repels is computed here. 30 layers of 300 units, no biases, every
weight with the forward gain of its activation, 8 networks, inputs of variance 1.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from snippets.activation_functions.gain_pytorch import forward_gain
from snippets.laboratory.activations import from_torch
from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import next_variance, propagate

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "SiLU": functional.silu,
    "GELU": functional.gelu,
    "ReLU": functional.relu,
    "SELU": functional.selu,
    "tanh": torch.tanh,
}
DEPTH, WIDTH, NETWORKS, BATCH = 30, 300, 8, 16


class Signal(NamedTuple):
    """Layer by layer, shape (DEPTH,), mean over the networks."""

    variance: np.ndarray
    """E z_l^2."""

    gradient: np.ndarray
    """Root mean square of dL/dz_l, divided by that of the last layer, where it is random."""

    variance_theory: np.ndarray
    """The same in the limit of infinite width."""

    gradient_theory: np.ndarray

    slope: float
    """Derivative of the variance map at its fixed point 1: above 1 it repels."""

    from_one: np.ndarray
    """E z^2 of the last layer if the first layer has gain 1, so that it starts at the fixed point; one per network."""


def simulate(
    function: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    input_rms: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """E z_l^2 and E (dL/dz_l)^2 of one network."""
    std = forward_gain(function) / math.sqrt(WIDTH)
    hidden = input_rms * torch.randn(BATCH, WIDTH, generator=generator)
    preactivations = []
    for _ in range(DEPTH):
        weight = std * torch.randn(WIDTH, WIDTH, generator=generator)
        preactivations.append(hidden.requires_grad_() @ weight)
        hidden = function(preactivations[-1])
    incoming = torch.randn(BATCH, WIDTH, generator=generator)
    gradients = torch.autograd.grad(preactivations[-1], preactivations, incoming)
    return tuple(
        np.array([z.square().mean().item() for z in zs])
        for zs in (preactivations, gradients)
    )


def theory(
    function: Callable[[Tensor], Tensor],
) -> tuple[np.ndarray, np.ndarray, float]:
    activation, gain = from_torch(function), forward_gain(function)
    wide = propagate(activation, gain, DEPTH, q=gain**2)
    slope = (
        next_variance(1.001, activation, gain) - next_variance(0.999, activation, gain)
    ) / 0.002
    return np.array(wide.preactivation), np.sqrt(wide.gradient), slope


def measure(seed: int = 0) -> dict[str, Signal]:
    generator = torch.Generator().manual_seed(seed)
    signals = {}
    for name, function in ACTIVATIONS.items():
        runs = [simulate(function, generator) for _ in range(NETWORKS)]
        variance, square = np.mean(runs, axis=0)
        input_rms = 1 / forward_gain(function)
        from_one = [
            simulate(function, generator, input_rms)[0][-1] for _ in range(NETWORKS)
        ]
        q, gradient, slope = theory(function)
        signals[name] = Signal(
            variance,
            np.sqrt(square / square[-1]),
            q,
            gradient,
            slope,
            np.array(from_one),
        )
    return signals


CLAIMS = (
    Claim(
        statement="Slope of GELU's variance map at its fixed point 1, from the integrals",
        value=lambda m: m["GELU"].slope,
        interval=(1.143, 1.145),
        rival=1.0,
        rival_of="a fixed point that neither attracts nor repels",
        reason="Above 1: a deviation grows by this factor per layer. Gauss-Hermite with 200 nodes gives 1.1441.",
        format=".4f",
    ),
    Claim(
        statement="The same of tanh",
        value=lambda m: m["tanh"].slope,
        interval=(0.460, 0.462),
        rival=1.0,
        rival_of="a fixed point that neither attracts nor repels",
        reason="Below 1: a deviation shrinks. Gauss-Hermite with 200 nodes gives 0.4611.",
        format=".4f",
    ),
    Claim(
        statement="Tanh: $\\mathbb E z^2$ at layer 30",
        value=lambda m: m["tanh"].variance[-1],
        interval=(0.9, 1.1),
        paper="1",
        source="Poole et al. (2016), the length map, evaluated.",
        rival=1.178,
        rival_of="the gain 5/3, under which the variance settles at 1.178",
        reason="1 in the limit of infinite width.",
    ),
    Claim(
        statement="GELU: $\\mathbb E z^2$ at layer 30",
        value=lambda m: m["GELU"].variance[-1],
        interval=(70, 500),
        paper="161",
        source="Poole et al. (2016), the length map, evaluated.",
        rival=1.0,
        rival_of="a gain that holds the variance",
        reason="161 in the limit of infinite width.",
        format=".0f",
    ),
    Claim(
        statement="SiLU: $\\mathbb E z^2$ at layer 30, divided by the value for infinite width",
        value=lambda m: m["SiLU"].variance[-1] / m["SiLU"].variance_theory[-1],
        interval=(0.4, 2.5),
        paper="1",
        source="Poole et al. (2016), the length map, evaluated.",
        rival=lambda m: 1 / m["SiLU"].variance_theory[-1],
        rival_of="a gain that holds the variance at 1",
        reason="The logarithm of one network's mean square has a deviation of about 0.5.",
    ),
    Claim(
        statement="SiLU from variance 1, the first layer having gain 1: $\\mathbb E z^2$ at layer 30, median of "
        "eight networks",
        value=lambda m: np.median(m["SiLU"].from_one),
        interval=(40, 2200),
        rival=lambda m: float(np.median(m["tanh"].from_one)),
        rival_of="tanh, whose fixed point attracts",
        reason="The logarithm of one network's mean square has a deviation of about 1.2, that of a "
        "median of eight about 0.5: four of these on either side of 300, the middle of ten seeds.",
        format=".0f",
    ),
    Claim(
        statement="Tanh: gradient at layer 1 divided by that at layer 30",
        value=lambda m: m["tanh"].gradient[0],
        interval=(6.5, 9.5),
        paper="7.81",
        source="Schoenholz et al. (2017), the product of $\\sqrt\\chi$, evaluated.",
        rival=1.0,
        rival_of="a gain that holds the gradient",
        reason="7.81 in the limit of infinite width.",
    ),
)


def plot(measured: dict[str, Signal]) -> Figure:
    figure = Figure(figsize=(4.6, 5.6))
    top, bottom = figure.subplots(2, sharex=True)
    layer = np.arange(1, DEPTH + 1)
    for index, signal in enumerate(measured.values()):
        for axes, found, expected in (
            (top, signal.variance, signal.variance_theory),
            (bottom, signal.gradient, signal.gradient_theory),
        ):
            axes.semilogy(layer, expected, "C5--", linewidth=1.2)
            axes.semilogy(layer, found, color=f"C{index}")
    for axes, labels in (
        (
            top,
            (
                (27, 2.2e4, "right"),
                (20, 110, "right"),
                (30, 4.2, "right"),
                (2, 0.25, "left"),
                (7, 0.25, "left"),
            ),
        ),
        (
            bottom,
            (
                (6, 140, "left"),
                (8.5, 9.0, "left"),
                (1, 0.45, "left"),
                (1, 1.4, "left"),
                (4, 3.6, "left"),
            ),
        ),
    ):
        for index, ((x, y, side), name) in enumerate(
            zip(labels, measured, strict=True)
        ):
            axes.text(x, y, name, color=f"C{index}", ha=side)
    top.set(ylabel="$E\\,z_l^2$", ylim=(0.1, 1e5))
    bottom.set(
        ylabel="rms of $\\partial\\mathcal{L}/\\partial z_l$, last = 1",
        xlabel="layer $l$",
        ylim=(0.2, 500),
    )
    return figure
