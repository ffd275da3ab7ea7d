r"""A forget bias drawn for the length of the sequence keeps a gradient over hundreds of steps; a bias of 1 does not.

Source: Tallec & Ollivier (2018), "Can recurrent neural networks warp time?": forget biases
$\ln U(1,T-1)$ for dependencies of up to $T$ steps, input biases their negatives. Here 64 units, $T$ = 200, Gaussian
inputs, PyTorch's default weights, no training; geometric mean of 3 networks each.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms
from snippets.vanishing_gradients.forget_bias_pytorch import set_forget_bias_

STEPS, UNITS, INPUTS, EXAMPLES, NETWORKS = 200, 64, 16, 8, 3


class Gradients(NamedTuple):
    """Root mean square of the gradient with respect to the input of step 200 - k, k = 0 to 199, over that of k = 0."""

    default: list[float]
    """PyTorch's defaults."""

    bias_1: list[float]
    """Forget bias 1."""

    chrono: list[float]
    """Forget biases ln U(1, 199), input biases their negatives."""

    kept: float
    """Chrono: mean over the units of the product of their forget gates over 200 steps, at the biases alone."""


def chrono_(lstm: nn.LSTM, longest: int, generator: torch.Generator) -> Tensor:
    """Draw the forget biases for dependencies of up to `longest` steps, set the input biases to their negatives, and
    return the forget biases. PyTorch adds two bias vectors: the second is zero at these gates.
    """
    draws = torch.rand(lstm.hidden_size, generator=generator, dtype=torch.float64)
    forget = (1 + (longest - 2) * draws).log()
    size = lstm.hidden_size
    with torch.no_grad():
        lstm.bias_ih_l0[:size], lstm.bias_ih_l0[size : 2 * size] = -forget, forget
        lstm.bias_hh_l0[: 2 * size] = 0.0
    return forget


def _network(kind: str, generator: torch.Generator) -> tuple[Tensor, float]:
    """The logarithms of what `Gradients` holds, and what the gates keep."""
    lstm = nn.LSTM(INPUTS, UNITS, device="meta", dtype=torch.float64)
    lstm = lstm.to_empty(device="cpu")
    for parameter in lstm.parameters():
        bound = 1 / math.sqrt(UNITS)
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    kept = math.nan
    if kind == "bias_1":
        set_forget_bias_(lstm, 1.0)
    if kind == "chrono":
        kept = chrono_(lstm, STEPS, generator).sigmoid().pow(STEPS).mean().item()
    draw = {"generator": generator, "dtype": torch.float64}
    inputs = torch.randn(STEPS, EXAMPLES, INPUTS, **draw).requires_grad_()
    projection = torch.randn(EXAMPLES, UNITS, **draw)
    states, _ = lstm(inputs)
    (gradient,) = torch.autograd.grad((states[-1] * projection).sum(), inputs)
    sizes = torch.tensor([rms(step) for step in gradient.flip(0)], dtype=torch.float64)
    return (sizes / sizes[0]).log(), kept


def measure(seed: int = 0) -> Gradients:
    """One pass per network, in float64."""
    curves, kept = [], []
    for kind in ("default", "bias_1", "chrono"):
        generator = torch.Generator().manual_seed(seed)
        logs, kept = zip(
            *(_network(kind, generator) for _ in range(NETWORKS)), strict=True
        )
        curves.append(torch.stack(logs).mean(dim=0).exp().tolist())
    return Gradients(*curves, sum(kept) / NETWORKS)


def decades(sizes: list[float]) -> float:
    return math.log10(sizes[-1])


CLAIMS = (
    Claim(
        statement=r"PyTorch's defaults: $\log_{10}$ of $\partial\mathcal L/\partial x_1$ "
        r"over $\partial\mathcal L/\partial x_{200}$",
        value=lambda result: decades(result.default),
        interval=(-42.6, -36.3),
        rival=lambda result: decades(result.chrono),
        rival_of="chrono",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1f",
    ),
    Claim(
        statement="Forget bias 1: the same",
        value=lambda result: decades(result.bias_1),
        interval=(-17.3, -11.4),
        rival=lambda result: decades(result.chrono),
        rival_of="chrono",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1f",
    ),
    Claim(
        statement=r"Chrono for 200 steps: the same",
        value=lambda result: decades(result.chrono),
        interval=(-2.0, -1.2),
        rival=lambda result: decades(result.bias_1),
        rival_of="forget bias 1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1f",
    ),
    Claim(
        statement="Chrono: part of a cell that the gates keep over 200 steps, mean over the units, at the biases alone",
        value=lambda result: result.kept,
        interval=(0.05, 0.25),
        rival=1 / (1 + math.exp(-1)) ** STEPS,
        rival_of="forget bias 1",
        reason=r"A gate with bias $\ln u$ keeps $(1+1/u)^{-200}\approx e^{-200/u}$; its mean over $u$ from 1 to 199 "
        "is 0.149, and the mean over 64 units scatters.",
        paper="0.149",
        source="Tallec & Ollivier (2018), the law of the biases, evaluated.",
    ),
)


def plot(measured: Gradients) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    lines = (
        (measured.default, "C1", "PyTorch's defaults", (18, 1e-27)),
        (measured.bias_1, "C2", "forget bias 1", (110, 1e-5)),
        (measured.chrono, "C0", "chrono, T = 200", (110, 30)),
    )
    for sizes, color, words, place in lines:
        axes.plot(range(STEPS), sizes, color=color)
        axes.text(*place, words, color=color, va="center")
    axes.set(yscale="log", ylim=(1e-42, 1e3), xlim=(0, STEPS))
    axes.set(xlabel="steps back", ylabel="rms of the gradient, step 200 = 1")
    return figure
