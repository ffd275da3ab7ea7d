"""A signal that grows by a factor per layer overflows at a depth that the number format decides.

Source: IEEE 754 for the formats; He et al. (2015), section 2.2, for the factor: weights of standard deviation
$s\\sqrt{2/n}$ multiply the root mean square of ReLU layers by $s$. Ours: 140 layers, 256 wide, 16 inputs.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms

WIDTH, ROWS, DEPTH = 256, 16, 140
STANDARD_NORMAL = math.sqrt(WIDTH / 2)
"""Weights from N(0, 1) are He's times this."""
SCALES = {"He": 1.0, "2 × He": 2.0, "4 × He": 4.0, "N(0, 1)": STANDARD_NORMAL}


class Growth(NamedTuple):
    """A signal on its way through the layers of one network."""

    rms: list[float]
    """Root mean square of the preactivations of layers 1, 2, ...; float64, which overflows nowhere here."""

    overflow: dict[str, int | None]
    """By format: the first layer that holds an Inf, None if there is none."""


def measure(seed: int = 0) -> dict[str, Growth]:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(
        DEPTH, WIDTH, WIDTH, generator=generator, dtype=torch.float64
    ) * math.sqrt(2 / WIDTH)
    inputs = torch.randn(ROWS, WIDTH, generator=generator, dtype=torch.float64)
    # The first layer reads a ReLU's output too, so its preactivations have the mean square 1 times the scale squared.
    return {
        name: _growth(scale * weights, inputs.relu()) for name, scale in SCALES.items()
    }


def _growth(weights: Tensor, inputs: Tensor) -> Growth:
    exact = [rms(hidden) for hidden in _preactivations(weights, inputs)]
    overflow = {}
    for name, dtype in (
        ("float16", torch.float16),
        ("bfloat16", torch.bfloat16),
        ("float32", torch.float32),
    ):
        layers = enumerate(_preactivations(weights.to(dtype), inputs.to(dtype)), 1)
        overflow[name] = next(
            (layer for layer, hidden in layers if torch.isinf(hidden).any()), None
        )
    return Growth(exact, overflow)


def _preactivations(weights: Tensor, hidden: Tensor):
    for weight in weights:
        preactivation = hidden @ weight.T
        yield preactivation
        hidden = preactivation.relu()


def closed_form(scale: float, dtype: torch.dtype) -> float:
    """Layers until a root mean square that starts at 1 and grows by `scale` reaches the largest number of the
    format.
    """
    return math.log(torch.finfo(dtype).max) / math.log(scale)


def _claim(name: str, dtype_name: str, slack: int) -> Claim:
    depth = closed_form(SCALES[name], getattr(torch, dtype_name))
    return Claim(
        statement=f"{dtype_name}, {name}: the first layer that holds an Inf",
        value=lambda measured: measured[name].overflow[dtype_name] or math.inf,
        interval=(math.floor(depth) - slack, math.ceil(depth) + slack // 3),
        rival=depth / 2,
        rival_of="a factor of $s$ on the mean square, and so of $s^2$ in size",
        reason=f"$\\ln M/\\ln s={depth:.1f}$ for a root mean square that starts at 1. The largest of 4,096 values is "
        "about four times it, so overflow comes sooner, and a finite width lets the growth wander.",
        format="g",
    )


CLAIMS = (
    _claim("2 × He", "float16", slack=3),
    _claim("4 × He", "float16", slack=2),
    _claim("N(0, 1)", "float16", slack=1),
    _claim("2 × He", "bfloat16", slack=8),
    _claim("2 × He", "float32", slack=8),
    _claim("4 × He", "float32", slack=5),
    _claim("N(0, 1)", "float32", slack=3),
    Claim(
        statement="He's scale itself: layers out of 140 that hold an Inf in any of the three formats",
        value=lambda measured: sum(
            layer is not None for layer in measured["He"].overflow.values()
        ),
        interval=(0, 0),
        rival=3,
        rival_of="a scale that grows",
        reason="A factor of 1 per layer reaches no largest number.",
        format="g",
    ),
)


def plot(measured: dict[str, Growth]) -> Figure:
    figure = Figure(figsize=(4.6, 3.6))
    axes = figure.subplots()
    for label, dtype in (
        ("float16", torch.float16),
        ("float32, bfloat16", torch.float32),
    ):
        ceiling = math.log10(torch.finfo(dtype).max)
        axes.axhline(ceiling, color="C5", linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(96, ceiling + 0.8, label, color="C5", ha="center", va="bottom")
    places = {
        "He": (100, 0.6),
        "2 × He": (72, 16.0),
        "4 × He": (40, 20.0),
        "N(0, 1)": (24, 28.0),
    }
    for color, (name, growth) in zip(
        ("C2", "C0", "C3", "C1"), measured.items(), strict=True
    ):
        logs = [math.log10(value) for value in growth.rms]
        axes.plot(range(1, DEPTH + 1), logs, color=color)
        for layer in set(growth.overflow.values()) - {None}:
            axes.plot(layer, logs[layer - 1], "o", color=color, markersize=6)
        x, y = places[name]
        axes.text(
            x,
            y,
            name,
            color=color,
            weight=600,
            ha="right" if name == "N(0, 1)" else "left",
            va="bottom",
        )
    axes.set(
        xlabel="layer",
        ylabel="root mean square of the layer",
        xlim=(0, DEPTH),
        ylim=(-2, 45),
    )
    axes.set_yticks(
        (0, 10, 20, 30, 40), ("1", "$10^{10}$", "$10^{20}$", "$10^{30}$", "$10^{40}$")
    )
    return figure
