r"""The deeper the network, the narrower the range of gains from which it learns in 150 steps; it closes around He.

Source: He et al. (2015), section 2.2, for the gain $\sqrt2$; the map is ours, in the manner of Schoenholz et al.
(2017). ReLU networks of width 64 on the digits, 150 steps of SGD at a learning rate of 0.1, gradient norm clipped to 1;
one that does not learn so is trained again, by 500 steps of Adam.
"""

import math
from typing import Any, NamedTuple

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

GAINS = tuple(
    math.sqrt(2.0) * factor for factor in (0.5, 0.71, 0.84, 1.0, 1.19, 1.41, 2.0)
)
DEPTHS = (2, 5, 10, 20)
ADAM_STEPS, ADAM_RATE = 500, 1e-3


class DepthAndGain(NamedTuple):
    """Accuracy on the test digits after training."""

    accuracy: list[list[float]]
    """One row per depth, one column per gain."""

    half_with_adam: float
    """The greatest depth and the smallest gain, after `ADAM_STEPS` of Adam."""


def measure(seed: int = 0) -> DepthAndGain:
    """Train 29 networks."""
    data = load_digits()
    sgd = {"steps": 150, "learning_rate": 0.1, "clip_norm": 1.0}
    adam = {
        "steps": ADAM_STEPS,
        "learning_rate": ADAM_RATE,
        "optimizer": torch.optim.Adam,
    }

    def trained(depth: int, gain: float, budget: dict[str, Any] = sgd) -> float:
        generator = torch.Generator().manual_seed(seed)
        model = multilayer_perceptron(
            [64] * depth + [10],
            nn.ReLU,
            lambda weight: nn.init.normal_(
                weight, std=gain / math.sqrt(weight.shape[1]), generator=generator
            ),
        )
        train(model, data, seed=seed, **budget)
        return accuracy_on_test_digits(model, data)

    return DepthAndGain(
        [[trained(depth, gain) for gain in GAINS] for depth in DEPTHS],
        trained(DEPTHS[-1], GAINS[0], adam),
    )


def row(measured: DepthAndGain, depth: int) -> np.ndarray:
    return np.array(measured.accuracy[DEPTHS.index(depth)])


HE = 3
"""The column of He's gain."""

CLAIMS = (
    Claim(
        statement="With 2 layers every gain from half to twice He's learns: the lowest accuracy",
        value=lambda measured: row(measured, 2).min(),
        interval=(0.8, 1.0),
        rival=lambda measured: row(measured, 20).min(),
        rival_of="20 layers",
        budget="150 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="With 20 layers He's gain learns: accuracy",
        value=lambda measured: row(measured, 20)[HE],
        interval=(0.52, 0.98),
        rival=lambda measured: max(row(measured, 20)[[0, -1]]),
        rival_of="half or twice the gain",
        budget="150 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="With 20 layers a gain of half or twice He's does not in 150 steps: the better accuracy of the two",
        value=lambda measured: max(row(measured, 20)[[0, -1]]),
        interval=(0.05, 0.5),
        rival=lambda measured: row(measured, 20)[HE],
        rival_of="He's gain",
        budget="SGD, learning rate 0.1, norm clipped to 1",
        reason="Chance is 0.1.",
    ),
    Claim(
        statement="The small gain is slow, not lost: 20 layers at half of He's, 500 steps of Adam, accuracy",
        value=lambda measured: measured.half_with_adam,
        interval=(0.29, 1.0),
        rival=lambda measured: row(measured, 20)[0],
        rival_of="150 steps of SGD",
        budget="learning rate 0.001, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="With 20 layers the best gain, in units of He's",
        value=lambda measured: GAINS[int(row(measured, 20).argmax())] / math.sqrt(2.0),
        interval=(0.8, 1.2),
        paper="1",
        rival=1 / math.sqrt(2.0),
        rival_of="Xavier's gain",
        budget="150 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 64",
        reason="The grid's neighbors, 0.84 and 1.19, are allowed.",
        format=".2f",
    ),
)


def plot(measured: DepthAndGain) -> Figure:
    """Accuracy in every cell of the map, the fuller the color the better."""
    figure = Figure(figsize=(4.6, 2.9))
    axes = figure.subplots()
    for i, accuracies in enumerate(measured.accuracy):
        for j, accuracy in enumerate(accuracies):
            opacity = 0.6 * max(0.0, (accuracy - 0.1) / 0.9)
            axes.bar(j, 1, 1, i - 0.5, color="C0", alpha=opacity, linewidth=0)
            axes.annotate(f"{accuracy:.2f}", (j, i), ha="center", va="center")
    axes.set_xticks(
        range(len(GAINS)), [f"{gain / math.sqrt(2.0):.2f}" for gain in GAINS]
    )
    axes.set_yticks(range(len(DEPTHS)), DEPTHS)
    axes.set(
        xlabel="gain in units of He's, √2",
        ylabel="linear layers",
        xlim=(-0.5, 6.5),
        ylim=(-0.5, 3.5),
    )
    axes.grid(False)
    return figure
