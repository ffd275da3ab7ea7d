r"""Under $\mu$P a network eight times as wide has the same best learning rate, within a factor of about two.

Source: Yang et al. (2022), "Tensor Programs V", arXiv:2203.03466, figure 1 and table 3: with Adam hidden layers take
the rate over the width, the output layer starts with a variance over the width, and the best rate then stays.
Scaled down: 64-n-n-10 ReLU units on the digits, n = 64 and 512, 40 steps of Adam on batches of 64, nine rates a
factor of 2 apart; the loss is the mean of the last ten steps, of two networks. The best rate is the middle of those
whose loss is at most twice the lowest, since near its lowest point the curve is flat.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import Digits, load_digits
from snippets.laboratory.training import multilayer_perceptron

NARROW, WIDE, STEPS, NETWORKS = 64, 512, 40, 2
RATES = [2.0**exponent for exponent in range(-12, -3)]


class Losses(NamedTuple):
    """One loss per rate of `RATES`, nats."""

    standard_narrow: list[float]
    standard_wide: list[float]
    """One rate for all layers; He's scale."""

    mup_narrow: list[float]
    """The same numbers as `standard_narrow`: at the base width both are one."""

    mup_wide: list[float]
    """The rate of the hidden and of the output weight over 8, the output weight over sqrt(8)."""


def _loss(width: int, rate: float, mup: bool, seed: int, digits: Digits) -> float:
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64, width, width, 10],
        nn.ReLU,
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    factor = width / NARROW if mup else 1.0
    with torch.no_grad():
        model[-1].weight.div_(math.sqrt(factor))
    groups = [
        {"params": [model[0].weight, *(layer.bias for layer in model[::2])]},
        {"params": [layer.weight for layer in model[2::2]], "lr": rate / factor},
    ]
    adam = torch.optim.Adam(groups, lr=rate)
    inputs, labels = (
        torch.from_numpy(digits.train_inputs),
        torch.from_numpy(digits.train_labels),
    )
    losses = []
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (64,), generator=generator)
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


def measure(seed: int = 0) -> Losses:
    digits = load_digits()

    def curve(width: int, mup: bool) -> list[float]:
        return [
            sum(
                _loss(width, rate, mup, NETWORKS * seed + network, digits)
                for network in range(NETWORKS)
            )
            / NETWORKS
            for rate in RATES
        ]

    narrow = curve(NARROW, mup=False)
    return Losses(narrow, curve(WIDE, mup=False), narrow, curve(WIDE, mup=True))


def best(losses: list[float]) -> float:
    """The middle, on a logarithmic axis, of the rates whose loss is at most twice the lowest; between two rates the
    loss is interpolated.
    """
    steps = np.linspace(0, len(RATES) - 1, 1001)
    good = steps[np.interp(steps, range(len(RATES)), losses) <= 2 * min(losses)]
    return RATES[0] * 2.0 ** float((good[0] + good[-1]) / 2)


BUDGET = "40 steps of Adam, batches of 64"

CLAIMS = (
    Claim(
        statement="One rate for all layers: the best learning rate at width 512 over that at width 64",
        value=lambda found: best(found.standard_wide) / best(found.standard_narrow),
        interval=(0.13, 0.37),
        rival=1.0,
        rival_of="a rate that transfers",
        budget=BUDGET,
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".2f",
    ),
    Claim(
        statement=r"$\mu$P: the same ratio of the best rates",
        value=lambda found: best(found.mup_wide) / best(found.mup_narrow),
        interval=(0.63, 1.48),
        rival=lambda found: best(found.standard_wide) / best(found.standard_narrow),
        rival_of="one rate for all layers",
        budget=BUDGET,
        paper="1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".2f",
    ),
)


def plot(measured: Losses) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    lines = (
        (measured.standard_narrow, "C5", "width 64", (2**-10.8, 1.75)),
        (measured.standard_wide, "C1", "width 512, one rate", (2**-7.6, 0.52)),
        (measured.mup_wide, "C0", r"width 512, $\mu$P", (2**-9.2, 0.95)),
    )
    for losses, color, words, place in lines:
        axes.plot(RATES, losses, "o-", color=color, markersize=4)
        axes.text(*place, words, color=color)
    axes.set(xscale="log", ylim=(0, 2.5), xlabel="learning rate")
    axes.set(ylabel="loss after 40 steps (nats)")
    return figure
