r"""A gradient that is quartered per layer becomes exactly zero at a depth that the number format decides.

Source: IEEE 754 for the formats; Micikevicius et al. (2018), "Mixed precision training", section 3.2, for loss scaling.
The chain: one sigmoid unit per layer, weight 1 and bias -1/2, so that each works at its steepest slope, 1/4.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

DEPTH = 600
LOSS_SCALE = 2.0**15


class Depths(NamedTuple):
    """The first number of layers at which backpropagation returns exactly 0."""

    fp16: int

    scaled_fp16: int
    """The loss multiplied by 32,768."""

    bf16: int

    fp32: int

    fp64: int


def _first_zero(dtype: torch.dtype, scale: float) -> int:
    """A real backward pass through 600 layers, started with the gradient `scale`."""
    hidden = [torch.tensor(0.5, dtype=dtype, requires_grad=True)]
    for _ in range(DEPTH):
        hidden.append(torch.sigmoid(hidden[-1] - 0.5))
    gradients = torch.autograd.grad(
        hidden[-1], hidden, grad_outputs=torch.tensor(scale, dtype=dtype)
    )
    layers_back = gradients[::-1]
    return next(depth for depth, gradient in enumerate(layers_back) if gradient == 0)


def closed_form(dtype: torch.dtype, scale: float) -> int:
    """The smallest k with scale * 4^-k <= smallest / 2, where `smallest` is the least positive number of the format.

    Half of it rounds to even, which is 0.
    """
    smallest = (
        torch.finfo(dtype).tiny * torch.finfo(dtype).eps
    )  # the least subnormal; exact in Python's float
    return math.ceil((1 + math.log2(scale) - math.log2(smallest)) / 2)


def without_subnormals(dtype: torch.dtype, scale: float) -> int:
    """The same if the least positive number were the least normal one, and all below it 0."""
    return 1 + math.floor((math.log2(scale) - math.log2(torch.finfo(dtype).tiny)) / 2)


FORMATS = {
    "fp16": (torch.float16, 1.0),
    "scaled_fp16": (torch.float16, LOSS_SCALE),
    "bf16": (torch.bfloat16, 1.0),
    "fp32": (torch.float32, 1.0),
    "fp64": (torch.float64, 1.0),
}


def measure() -> Depths:
    """Exact: nothing is drawn."""
    return Depths(
        **{name: _first_zero(dtype, scale) for name, (dtype, scale) in FORMATS.items()}
    )


def _claim(name: str, words: str, least: str) -> Claim:
    depth = closed_form(*FORMATS[name])
    return Claim(
        statement=f"{words}: the gradient is exactly 0 from this layer on, counted back from the output",
        value=lambda depths: getattr(depths, name),
        interval=(depth, depth),
        rival=without_subnormals(*FORMATS[name]),
        rival_of="a format without subnormal numbers",
        reason=f"The smallest $k$ with $4^{{-k}}\\le {least}$, half the least positive number of the format.",
        format=".0f",
    )


CLAIMS = (
    _claim("fp16", "Half precision (fp16)", "2^{-25}"),
    _claim("scaled_fp16", "Half precision, loss scaled by $2^{15}$", "2^{-25-15}"),
    _claim("bf16", "Brain float (bf16)", "2^{-134}"),
    _claim("fp32", "Single precision (fp32)", "2^{-150}"),
    _claim("fp64", "Double precision (fp64)", "2^{-1075}"),
)


def plot(measured: Depths) -> Figure:
    figure = Figure(figsize=(4.6, 2.9))
    axes = figure.subplots()
    names = ("fp16", "fp16, loss scaled", "bf16", "fp32", "fp64")
    axes.barh(names, measured, height=0.55, color=["C1", "C0", "C1", "C1", "C1"])
    for row, depth in enumerate(measured):
        axes.annotate(
            str(depth), (depth, row), (5, 0), textcoords="offset points", va="center"
        )
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.set(
        xscale="log",
        xlim=(1, 1500),
        xlabel="layers of factor 1/4 until the gradient is 0",
        xticks=(1, 10, 100, 1000),
        xticklabels=("1", "10", "100", "1000"),
    )
    return figure
