"""With a squared error, the wait behind a confidently wrong output grows like $e^b$; cross-entropy does not wait.

Source: Glorot & Bengio (2010), section 4.1, find plateaus with the quadratic cost that the log-likelihood lacks; the
start with a wrong bias $b$ is ours. Digits, 64-64-10 units, tanh, Xavier, SGD with learning rate 0.5 and batches of 64.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

STEPS = {7.0: 60, 8.0: 80, 9.0: 150, 10.0: 350, 11.0: 900}
"""For each bias at which class 0 starts, steps that are enough for the squared error."""

FAR, FEW = 15.0, 200


class Waits(NamedTuple):
    bias: np.ndarray
    """What the output of class 0 starts with."""

    cross_entropy: np.ndarray
    """Steps until the loss of a batch has fallen to half of the first one; NaN if it never does."""

    squared: np.ndarray
    """The same for the squared error of the probabilities."""

    far_cross_entropy: float
    """Test accuracy after 200 steps from the bias 15."""

    far_squared: float
    """The same for the squared error."""


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """|softmax(logits) - onehot(labels)|^2 / 2, mean over the batch."""
    error = logits.softmax(dim=1) - functional.one_hot(labels, logits.shape[1])
    return 0.5 * error.square().sum(dim=1).mean()


def trained(
    bias: float, criterion: Callable[[Tensor, Tensor], Tensor], steps: int, seed: int
) -> tuple[float, float]:
    """Steps until the loss is halved, and the accuracy at the end."""
    data = load_digits()
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64, 64, 10], nn.Tanh, partial(nn.init.xavier_normal_, generator=generator)
    )
    nn.init.constant_(model[-1].bias[:1], bias)
    losses = np.array(
        train(
            model, data, steps=steps, learning_rate=0.5, seed=seed, criterion=criterion
        )
    )
    halved = losses < losses[0] / 2
    wait = float(np.argmax(halved)) if halved.any() else math.nan
    return wait, accuracy_on_test_digits(model, data)


def measure(seed: int = 0) -> Waits:
    return Waits(
        np.array(list(STEPS)),
        np.array(
            [trained(bias, functional.cross_entropy, 20, seed)[0] for bias in STEPS]
        ),
        np.array(
            [
                trained(bias, squared_error, steps, seed)[0]
                for bias, steps in STEPS.items()
            ]
        ),
        trained(FAR, functional.cross_entropy, FEW, seed)[1],
        trained(FAR, squared_error, FEW, seed)[1],
    )


CLAIMS = (
    Claim(
        statement="Cross-entropy: the longest wait, in steps, of the biases 7 to 11",
        value=lambda m: m.cross_entropy.max(),
        interval=(1, 6),
        rival=lambda m: m.squared.max(),
        rival_of="the squared error",
        budget="steps of SGD, learning rate 0.5, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".0f",
    ),
    Claim(
        statement="Squared error: the wait, in steps, behind the bias 11",
        value=lambda m: m.squared[-1],
        interval=(50, 800),
        rival=lambda m: m.cross_entropy[-1],
        rival_of="the cross-entropy",
        budget="steps of SGD, learning rate 0.5, batches of 64",
        reason="Learning rate and hidden layer set the scale.",
        format=".0f",
    ),
    Claim(
        statement="Squared error: the wait behind 11 divided by that behind 9",
        value=lambda m: m.squared[-1] / m.squared[-3],
        interval=(4.2, 8.0),
        rival=11 / 9,
        rival_of="a wait in proportion to the bias",
        budget="steps of SGD, learning rate 0.5, batches of 64",
        reason="$\\dot b\\propto-e^{-b}$ gives $e^2=7.4$ for long waits.",
    ),
    Claim(
        statement="Squared error: test accuracy after 200 steps from the bias 15",
        value=lambda m: m.far_squared,
        interval=(0.05, 0.15),
        rival=lambda m: m.far_cross_entropy,
        rival_of="the cross-entropy",
        budget="SGD, learning rate 0.5, batches of 64",
        reason="Every digit is called 0, which is right for one class of ten.",
    ),
    Claim(
        statement="Cross-entropy: the same",
        value=lambda m: m.far_cross_entropy,
        interval=(0.9, 1.0),
        rival=lambda m: m.far_squared,
        rival_of="the squared error",
        budget="200 steps of SGD, learning rate 0.5, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Waits) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    growth = measured.squared[-1] * np.exp(measured.bias - measured.bias[-1])
    axes.semilogy(measured.bias, growth, "C5--", linewidth=1.2)
    axes.semilogy(measured.bias, measured.squared, "C1s-")
    axes.semilogy(measured.bias, measured.cross_entropy, "C2o-")
    axes.text(9.9, 110, "squared error", color="C1", ha="right")
    axes.text(11, 1.3, "cross-entropy", color="C2", ha="right", va="bottom")
    axes.text(7.6, 2.6, "$\\propto e^b$", color="C5")
    axes.set(
        xlabel="bias $b$ of a wrong class at the start",
        ylabel="steps until the loss is halved",
        ylim=(0.7, 700),
    )
    return figure
