r"""A gated unit multiplies two signals: its output grows with the square of its input, so it needs a normalization.

Source: Shazeer (2020), "GLU variants improve transformer", equation 6 for SwiGLU,
$(\mathrm{SiLU}(xW)\odot xV)W_2$, which most open language models use. The integrals and the network are ours: width
512, three matrices of the same width, 256 Gaussian inputs, no biases.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from snippets.activation_functions.gain_pytorch import forward_gain
from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms

WIDTH, EXAMPLES, LAYERS = 512, 256, 7
SIZES = [2.0 ** (exponent / 2) for exponent in range(-12, 5)]
"""Root mean squares of the input."""

GATED = 1 / forward_gain(functional.silu) ** 2
"""E[SiLU(xi)^2], the mean square of a gated unit for inputs of mean square 1."""

GAIN = forward_gain(functional.silu)


class Gates(NamedTuple):
    """Blocks whose last matrix has the gain that makes their output as large as an input of mean square 1."""

    gated: float
    """Mean square of SiLU(xW) * xV for inputs of mean square 1."""

    swiglu: list[float]
    """Root mean square of a SwiGLU block's output, one per entry of `SIZES`."""

    relu: list[float]
    """The same of a block of two matrices with ReLU."""

    stack: list[float]
    """Mean square after each of 7 SwiGLU blocks in a row, from inputs of mean square 1/2."""

    normalized: list[float]
    """The same with each block's input divided by its root mean square."""


def _weights(count: int, gain: float, generator: torch.Generator) -> Tensor:
    return (
        gain
        / math.sqrt(WIDTH)
        * torch.randn(
            count, WIDTH, WIDTH, generator=generator, dtype=torch.float64
        ).transpose(1, 2)
    )


def _gate(x: Tensor, gate: Tensor, value: Tensor) -> Tensor:
    return functional.silu(x @ gate) * (x @ value)


def measure(seed: int = 0) -> Gates:
    generator = torch.Generator().manual_seed(seed)
    unit = torch.randn(EXAMPLES, WIDTH, generator=generator, dtype=torch.float64)
    gate, value = _weights(2, 1.0, generator)
    (last,) = _weights(1, GAIN, generator)
    (relu,) = _weights(1, 2**0.5, generator)
    return Gates(
        rms(_gate(unit, gate, value)) ** 2,
        [rms(_gate(size * unit, gate, value) @ last) for size in SIZES],
        [rms((size * unit @ gate).relu() @ relu) for size in SIZES],
        _stack(unit * 0.5**0.5, generator, normalize=False),
        _stack(unit * 0.5**0.5, generator, normalize=True),
    )


def _stack(hidden: Tensor, generator: torch.Generator, normalize: bool) -> list[float]:
    squares = []
    for _ in range(LAYERS):
        if normalize:
            hidden = functional.rms_norm(hidden, [WIDTH])
        gate, value = _weights(2, 1.0, generator)
        (last,) = _weights(1, GAIN, generator)
        hidden = _gate(hidden, gate, value) @ last
        squares.append(rms(hidden) ** 2)
    return squares


def exponent(sizes: list[float]) -> float:
    """Of the power law between the two smallest inputs."""
    return math.log(sizes[1] / sizes[0]) / math.log(SIZES[1] / SIZES[0])


CLAIMS = (
    Claim(
        statement="Mean square of $\\mathrm{SiLU}(xW)\\odot xV$ for inputs of mean square 1 and weights of variance "
        "$1/n$",
        value=lambda gates: gates.gated,
        interval=(0.335, 0.377),
        rival=0.5,
        rival_of="ReLU",
        reason=rf"$\mathbb E[\mathrm{{SiLU}}(\xi)^2]={GATED:.4f}$, the gates being independent of the values: the last "
        rf"matrix needs the gain {GAIN:.3f}.",
    ),
    Claim(
        statement="Small inputs: the exponent with which the output grows",
        value=lambda gates: exponent(gates.swiglu),
        interval=(1.97, 2.05),
        rival=lambda gates: exponent(gates.relu),
        rival_of="ReLU",
        reason=r"$\mathrm{SiLU}(z)\approx z/2$ near 0, and it is multiplied by another linear function.",
        format=".3f",
    ),
    Claim(
        statement="SwiGLU blocks in a row from a mean square of 1/2: $\\log_{10}$ of that after 7",
        value=lambda gates: math.log10(gates.stack[-1]),
        interval=(-60.0, -15.0),
        rival=lambda gates: math.log10(gates.normalized[-1]),
        rival_of="a normalization before each block",
        reason="Squares of squares: below the fixed point the logarithm doubles per block, above it too. No gain "
        "mends that, a normalization does.",
        format=".0f",
    ),
    Claim(
        statement="With a normalization before each block: the mean square after 7",
        value=lambda gates: gates.normalized[-1],
        interval=(0.85, 1.15),
        rival=0.5,
        rival_of="the start, kept",
        reason="1 by the gain; 512 units scatter it by some percent.",
    ),
)


def plot(measured: Gates) -> Figure:
    figure = Figure(figsize=(4.6, 3.3))
    axes = figure.subplots()
    axes.plot(SIZES, measured.relu, "o-", color="C1", markersize=4)
    axes.plot(SIZES, measured.swiglu, "o-", color="C0", markersize=4)
    axes.text(0.03, 0.09, "ReLU, He", color="C1")
    axes.text(0.13, 0.004, "SwiGLU: twice the slope", color="C0")
    axes.set(xscale="log", yscale="log", xlabel="rms of the input")
    axes.set(ylabel="rms of the block's output")
    return figure
