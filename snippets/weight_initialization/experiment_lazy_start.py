"""The larger the output at the start, the less the features move: training still fits, and the test accuracy falls.

Source: Chizat, Oyallon & Bach (2019), "On lazy training in differentiable programming", for scaling the output. Scaled
down: 64-128-128-10 ReLU units at He initialization, the output multiplied by a constant; 300 digits, 500 steps of SGD
with a learning rate of 0.1 over the square of the constant, so that all networks start to learn equally fast.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

SCALES = (1.0, 4.0, 16.0)
EXAMPLES, WIDTH, STEPS, RATE = 300, 128, 500, 0.1


class LazyStart(NamedTuple):
    """One entry per scale of the output."""

    fitted: list[float]
    """Accuracy on the 300 training digits."""

    accuracy: list[float]
    """On the test digits."""

    moved: list[float]
    """How far the weights before the output moved, relative to their norm at the start."""


class Times(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


def measure(seed: int = 0) -> LazyStart:
    """Three trainings from the same weights."""
    data = load_digits()
    data = data._replace(
        train_inputs=data.train_inputs[:EXAMPLES],
        train_labels=data.train_labels[:EXAMPLES],
    )
    inputs, labels = (
        torch.from_numpy(data.train_inputs),
        torch.from_numpy(data.train_labels),
    )

    def trained(scale: float) -> tuple[float, float, float]:
        generator = torch.Generator().manual_seed(seed)
        layers = multilayer_perceptron(
            [64, WIDTH, WIDTH, 10],
            nn.ReLU,
            lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
        )
        hidden = [layers[0].weight, layers[2].weight]
        start = [weight.detach().clone() for weight in hidden]
        model = nn.Sequential(*layers, Times(scale))
        train(model, data, steps=STEPS, learning_rate=RATE / scale**2, seed=seed)
        with torch.no_grad():
            fitted = (model(inputs).argmax(dim=1) == labels).double().mean().item()
            moves = [
                ((weight - before).norm() / before.norm()).item()
                for weight, before in zip(hidden, start, strict=True)
            ]
        return fitted, accuracy_on_test_digits(model, data), float(np.mean(moves))

    return LazyStart(
        *(
            list(column)
            for column in zip(*(trained(scale) for scale in SCALES), strict=True)
        )
    )


CLAIMS = (
    Claim(
        statement="Output times 16: accuracy on the training digits",
        value=lambda measured: measured.fitted[-1],
        interval=(0.97, 1.0),
        rival=0.1,
        rival_of="guessing",
        budget="500 steps of SGD, learning rate 0.1 over the square of the factor",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Output as it is: accuracy on the test digits",
        value=lambda measured: measured.accuracy[0],
        interval=(0.9, 0.97),
        rival=lambda measured: measured.accuracy[-1],
        rival_of="output times 16",
        budget="500 steps of SGD, learning rate 0.1 over the square of the factor",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Output times 16: accuracy on the test digits",
        value=lambda measured: measured.accuracy[-1],
        interval=(0.6, 0.86),
        rival=lambda measured: measured.accuracy[0],
        rival_of="output as it is",
        budget="500 steps of SGD, learning rate 0.1 over the square of the factor",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="How far the hidden weights move, output times 16 over output as it is",
        value=lambda measured: measured.moved[-1] / measured.moved[0],
        interval=(0.19, 0.33),
        rival=1.0,
        rival_of="a scale that does not matter",
        budget="500 steps of SGD, learning rate 0.1 over the square of the factor",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: LazyStart) -> Figure:
    """Accuracy over the scale of the output."""
    figure = Figure(figsize=(4.6, 2.8))
    axes = figure.subplots()
    axes.semilogx(SCALES, measured.fitted, "o--", color="C5", base=2)
    axes.semilogx(SCALES, measured.accuracy, "o-", color="C0", base=2)
    axes.annotate(
        "300 training digits",
        (4, 1.0),
        (0, 6),
        textcoords="offset points",
        color="C5",
        ha="center",
    )
    axes.annotate(
        "test digits",
        (4, measured.accuracy[1]),
        (0, -18),
        textcoords="offset points",
        color="C0",
        ha="right",
    )
    axes.set_xticks(SCALES, ["1", "4", "16"])
    axes.minorticks_off()
    axes.set(
        xlabel="factor on the output at the start", ylabel="accuracy", ylim=(0.5, 1.08)
    )
    return figure
