r"""Under Xavier a sigmoid network of five hidden layers stays on a plateau for long; a tanh network learns at once.

Digits, hidden layers of 64 units, 200 steps of SGD with batches of 64 and learning rate 0.3; once 2,000 steps with 3.

Source: Glorot & Bengio (2010), section 3.1 and table 1: a sigmoid network of depth five never left saturation on
Shapeset-3x2, one of depth four did, slowly. Scaled down: the digits, 64 units in the place of 1000, 200 steps.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import SIGMOID, chi, fixed_variance
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

DEPTHS = (1, 3, 5, 7)
STEPS, WIDTH, LEARNING_RATE = 200, 64, 0.3
LONG, FAST = 2000, 3.0
"""Steps and learning rate that reach the end of the plateau."""
EXACT = chi(fixed_variance(SIGMOID, 1.0), SIGMOID, 1.0) ** 0.5
"""Factor per layer of the gradient's rms in wide sigmoid layers under Xavier."""


class SigmoidDepth(NamedTuple):
    """Lists of one number per depth of `DEPTHS`."""

    sigmoid: list[float]
    """Accuracy on the test digits."""

    tanh: list[float]
    """The same for tanh."""

    sigmoid_long: float
    """The same for sigmoid with 5 hidden layers after `LONG` steps with the learning rate `FAST`."""

    factor: float
    """Factor per layer of the rms of dL/dz on the way back, before training, in 10 sigmoid layers of 512 units."""


def measure(seed: int = 0) -> SigmoidDepth:
    accuracies = [
        [_accuracy(activation, depth, seed) for depth in DEPTHS]
        for activation in (nn.Sigmoid, nn.Tanh)
    ]
    return SigmoidDepth(
        *accuracies, _accuracy(nn.Sigmoid, 5, seed, LONG, FAST), _factor(seed)
    )


def _network(
    activation: type[nn.Module], depth: int, width: int, seed: int
) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    widths = [64] + [width] * depth + [10]
    return multilayer_perceptron(
        widths, activation, lambda weight: xavier_uniform_(weight, generator=generator)
    )


def _accuracy(
    activation: type[nn.Module],
    depth: int,
    seed: int,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
) -> float:
    digits, model = load_digits(), _network(activation, depth, WIDTH, seed)
    train(model, digits, steps=steps, learning_rate=learning_rate, seed=seed)
    return accuracy_on_test_digits(model, digits)


def _factor(seed: int) -> float:
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs[:64]),
        torch.from_numpy(digits.train_labels[:64]),
    )
    model = _network(nn.Sigmoid, 10, 512, seed)
    layers = signals(
        model, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
    )
    return (rms(layers[2].delta) / rms(layers[9].delta)) ** (1 / 7)


CLAIMS = (
    Claim(
        statement="Sigmoid, five hidden layers: accuracy on the test digits after 200 steps",
        value=lambda found: found.sigmoid[2],
        interval=(0.08, 0.2),
        rival=lambda found: found.tanh[2],
        rival_of="tanh",
        budget="SGD, learning rate 0.3, batches of 64",
        reason="0.1 is guessing.",
        paper="0.174",
        source="Glorot & Bengio (2010), table 1: 82.61 % error on Shapeset-3x2 after many more steps, from the old "
        "initialization; section 3.1: it never left saturation.",
        format=".3f",
    ),
    Claim(
        statement="The same with ten times the steps and ten times the learning rate: the plateau ends",
        value=lambda found: found.sigmoid_long,
        interval=(0.5, 1.0),
        rival=lambda found: found.sigmoid[2],
        rival_of="200 steps at the rate 0.3",
        budget="2,000 steps of SGD, learning rate 3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Tanh, five hidden layers: accuracy on the test digits",
        value=lambda found: found.tanh[2],
        interval=(0.85, 1.0),
        rival=lambda found: found.sigmoid[2],
        rival_of="the sigmoid",
        budget="200 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="0.844",
        source="Glorot & Bengio (2010), table 1: 15.60 % error on Shapeset-3x2, a harder task, after many more steps.",
        format=".3f",
    ),
    Claim(
        statement="Sigmoid, one hidden layer: accuracy on the test digits",
        value=lambda found: found.sigmoid[0],
        interval=(0.93, 1.0),
        rival=lambda found: found.sigmoid[2],
        rival_of="five hidden layers",
        budget="200 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Sigmoid before training: factor of the gradient's rms per layer on the way back",
        value=lambda found: found.factor,
        interval=(round(0.97 * EXACT, 3), round(1.03 * EXACT, 3)),
        paper="√χ₁ = 0.236",
        rival=0.25,
        rival_of="the steepest slope, 1/4, in every unit",
        reason=r"$\sqrt\chi=0.236$ in wide layers; 3 % is several times the spread for 512 units.",
        source="Schoenholz et al. (2017).",
    ),
)


def plot(measured: SigmoidDepth) -> Figure:
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    axes.axhline(0.1, color="C5", linewidth=1, linestyle="dashed")
    axes.annotate(
        "guessing", (1, 0.1), xytext=(0, 4), textcoords="offset points", color="C5"
    )
    axes.plot(DEPTHS, measured.tanh, "o-", color="C0")
    axes.plot(DEPTHS, measured.sigmoid, "o-", color="C1")
    axes.annotate(
        "tanh",
        (5, measured.tanh[2]),
        xytext=(0, -18),
        textcoords="offset points",
        color="C0",
        ha="center",
    )
    axes.annotate(
        "sigmoid",
        (3, measured.sigmoid[1]),
        xytext=(8, 6),
        textcoords="offset points",
        color="C1",
    )
    axes.set(ylim=(0, 1.03), xlabel="hidden layers", ylabel="accuracy on test digits")
    axes.set_xticks(DEPTHS)
    return figure
