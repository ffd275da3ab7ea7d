"""A step size that ruins a deep network in its first steps trains it once the norm is clipped.

Source: Pascanu, Mikolov & Bengio (2013), for clipping by the norm, there in recurrent networks. Ours: 20
ReLU layers, 64 wide, He initialization, 8 x 8 digits, 200 steps of SGD with learning rate 0.3, norm limit 1.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

WIDTHS = [64, *[64] * 19, 10]


class Run(NamedTuple):
    losses: list[float]
    """Nats, one per step."""

    accuracy: float
    """On the test digits, after the last step."""


def measure(seed: int = 0) -> dict[str, Run]:
    return {"not clipped": _run(seed, math.inf), "clipped": _run(seed, 1.0)}


def _run(seed: int, clip_norm: float) -> Run:
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        WIDTHS,
        nn.ReLU,
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    )
    digits = load_digits()
    losses = train(
        model, digits, steps=200, learning_rate=0.3, seed=seed, clip_norm=clip_norm
    )
    return Run(losses, accuracy_on_test_digits(model, digits))


CLAIMS = (
    Claim(
        statement="Clipped: accuracy on the test digits",
        value=lambda runs: runs["clipped"].accuracy,
        interval=(0.56, 1.0),
        rival=lambda runs: runs["not clipped"].accuracy,
        rival_of="not clipped",
        budget="200 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Not clipped: accuracy on the test digits",
        value=lambda runs: runs["not clipped"].accuracy,
        interval=(0.0, 0.38),
        rival=lambda runs: runs["clipped"].accuracy,
        rival_of="clipped",
        budget="200 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(runs: dict[str, Run]) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    axes.axhline(math.log(10), color="C5", linestyle=(0, (4, 3)), linewidth=1.2)
    for color, (name, run) in zip(("C1", "C0"), runs.items(), strict=True):
        axes.semilogy(np.arange(1, 201), run.losses, color=color, linewidth=1.4)
        words = f"{name}: {run.accuracy:.0%} right"
        axes.text(
            198,
            3.0 if name == "not clipped" else 0.1,
            words,
            color=color,
            weight=600,
            ha="right",
            va="bottom",
        )
    axes.set(
        xlabel="step", ylabel="training loss (nats)", xlim=(0, 200), ylim=(0.02, 200)
    )
    axes.set_yticks((0.1, 1, 10, 100), ("0.1", "1", "10", "100"))
    return figure
