r"""With one learning rate for all widths the updates of wide layers grow; with $\mu$P's rates they do not.

Source: Yang et al. (2022), "Tensor Programs V", arXiv:2203.03466: the scaling for Adam and the coordinate check. A
network of 64-n-n-10 ReLU units on the digits, four steps of Adam, three networks per width.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.signals import rms
from snippets.laboratory.training import multilayer_perceptron

WIDTHS = (64, 128, 256, 512, 1024)
BASE, RATE, STEPS, NETWORKS = 64, 3e-3, 4, 3


class CoordinateCheck(NamedTuple):
    """Root mean square of the change of the second hidden layer's preactivations, one entry per width."""

    standard: list[float]
    """Variance 2 / fan_in in the hidden layers and 1 / fan_in in the last; one learning rate for all."""

    mup: list[float]
    """The last layer's variance falls as 1 / n^2; rates of the hidden and the last layer as 1 / n; equal at n = 64."""


def change(width: int, mup: bool, seed: int) -> float:
    """Of one network, over four steps on one batch."""
    data = load_digits()
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64, width, width, 10],
        nn.ReLU,
        lambda weight: nn.init.kaiming_normal_(
            weight, nonlinearity="relu", generator=generator
        ),
    )
    first, second, last = model[0], model[2], model[4]
    shrink = BASE / width if mup else 1.0
    with torch.no_grad():
        last.weight.mul_(math.sqrt(0.5 * shrink))
    optimizer = torch.optim.Adam(
        [
            {"params": [first.weight, first.bias, second.bias, last.bias], "lr": RATE},
            {"params": [second.weight, last.weight], "lr": RATE * shrink},
        ]
    )
    rows = torch.randint(len(data.train_labels), (64,), generator=generator)
    inputs, labels = (
        torch.from_numpy(data.train_inputs)[rows],
        torch.from_numpy(data.train_labels)[rows],
    )
    before = model[:3](inputs).detach()
    for _ in range(STEPS):
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return rms(model[:3](inputs).detach() - before)


def measure(seed: int = 0) -> CoordinateCheck:
    """30 networks."""

    def typical(width: int, mup: bool) -> float:
        return float(
            np.mean([change(width, mup, NETWORKS * seed + i) for i in range(NETWORKS)])
        )

    return CoordinateCheck(
        *([typical(width, mup) for width in WIDTHS] for mup in (False, True))
    )


CLAIMS = (
    Claim(
        statement="One learning rate for all: the change at width 1,024 over that at width 64",
        value=lambda measured: measured.standard[-1] / measured.standard[0],
        interval=(2.6, 5.5),
        rival=lambda measured: measured.mup[-1] / measured.mup[0],
        rival_of="$\\mu$P",
        budget="four steps of Adam, learning rate 0.003",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement=r"$\mu$P: the same ratio",
        value=lambda measured: measured.mup[-1] / measured.mup[0],
        interval=(0.75, 1.2),
        paper="1",
        rival=lambda measured: measured.standard[-1] / measured.standard[0],
        rival_of="one learning rate for all",
        budget="four steps of Adam, learning rate 0.003 at width 64",
        reason="1 in theory, at large width.",
    ),
)


def plot(measured: CoordinateCheck) -> Figure:
    """Change over the width."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    axes.loglog(WIDTHS, measured.standard, "o-", color="C1")
    axes.loglog(WIDTHS, measured.mup, "o-", color="C0")
    axes.annotate("one rate for all widths", (75, 1.15), color="C1")
    axes.annotate("μP: hidden rate 1/n", (180, 0.38), color="C0")
    axes.set_xticks(WIDTHS, WIDTHS)
    axes.set_yticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
    axes.minorticks_off()
    axes.set(xlabel="width n", ylabel="rms change in 4 steps", ylim=(0.3, 3))
    return figure
