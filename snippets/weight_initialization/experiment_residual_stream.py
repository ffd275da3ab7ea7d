r"""With the last layer of $N$ residual branches over $\sqrt N$, as in GPT-2, the stream's size does not depend on
depth.

Source: Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.3, for the scaling;
the residual stream is simplified to pre-norm branches of two linear layers with ReLU, width 64.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.weight_initialization.init_weights_pytorch import init_weights_
from snippets.weight_initialization.residual_scaling_pytorch import gpt2_scale_

WIDTH, ROWS = 64, 64
DEPTHS = (6, 12, 24, 48, 96, 192)


class ResidualStream(NamedTuple):
    """Mean square of the stream after the last branch, for inputs of mean square 1; one entry per number N."""

    plain: list[float]
    scaled: list[float]


def branch() -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(WIDTH),
        nn.Linear(WIDTH, WIDTH, bias=False),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH, bias=False),
    )


@torch.no_grad()
def stream(number: int, scaled: bool, seed: int) -> float:
    """Mean square of h after h <- h + branch(h), `number` times."""
    branches = nn.ModuleList(branch() for _ in range(number))
    # No activation stands before the first layer or after the last: gain 1 twice, and the ReLU's sqrt(2) once.
    init_weights_(branches, seed=seed, gain=2.0**0.25)
    if scaled:
        gpt2_scale_(list(branches))
    h = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed + 1000))
    for one in branches:
        h = h + one(h)
    return h.square().mean().item()


def measure(seed: int = 0) -> ResidualStream:
    """Twelve stacks of branches."""
    with torch.random.fork_rng(devices=[]):  # the constructors of the layers draw
        return ResidualStream(
            [stream(number, False, seed) for number in DEPTHS],
            [stream(number, True, seed) for number in DEPTHS],
        )


CLAIMS = (
    Claim(
        statement="192 branches as they are: mean square of the stream over 1 + 192",
        value=lambda measured: measured.plain[-1] / (1 + DEPTHS[-1]),
        interval=(0.7, 1.3),
        rival=lambda measured: measured.scaled[-1] / (1 + DEPTHS[-1]),
        rival_of="branches scaled",
        reason="Each branch adds an independent contribution of mean square 1.",
    ),
    Claim(
        statement="192 branches scaled: mean square of the stream",
        value=lambda measured: measured.scaled[-1],
        interval=(1.6, 2.3),
        rival=lambda measured: measured.plain[-1],
        rival_of="branches as they are",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The same for 6 branches: depth does not enter",
        value=lambda measured: measured.scaled[0],
        interval=(1.4, 2.6),
        rival=lambda measured: measured.plain[0],
        rival_of="branches as they are",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: ResidualStream) -> Figure:
    """Mean square over the number of branches."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    axes.loglog(DEPTHS, [1 + number for number in DEPTHS], "--", color="C5")
    axes.loglog(DEPTHS, measured.plain, "o", color="C1")
    axes.loglog(DEPTHS, measured.scaled, "o-", color="C0")
    axes.annotate("as initialized\n(dashed: 1 + N)", (6.2, 40), color="C1")
    axes.annotate("last layer times 1/√N", (20, 2.8), color="C0")
    axes.set_xticks(DEPTHS, DEPTHS)
    axes.minorticks_off()
    axes.set(
        xlabel="number of branches N", ylabel="mean square of the stream", ylim=(1, 300)
    )
    return figure
