"""Early in training the running statistics lag: with Keras's default weights the same network looks far worse.

Source: Ioffe & Szegedy (2015), section 3.1, for moving averages; the defaults are those of PyTorch, whose averages
take 0.1 of each new value, and Keras, which take 0.01. 3 layers of 64 ReLU units on the digits, learning rate 0.05;
both averages belong to the very same network.
"""

import copy
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

DEPTH, WIDTH, RATE = 3, 64, 0.05
CHECKS = (5, 10, 20, 40, 80, 160, 320)
"""Steps after which the network is tested."""


class Accuracies(NamedTuple):
    """On the test digits, one entry per check."""

    batch: np.ndarray
    """With the statistics of the test digits as one batch."""

    tenth: np.ndarray
    """With averages that take 0.1 of each new value."""

    hundredth: np.ndarray
    """With averages that take 0.01 of each new value."""


def measure(seed: int = 0) -> Accuracies:
    batch, tenth = course(0.1, seed)
    same, hundredth = course(0.01, seed)
    # Training does not use the averages: the courses are one and the same.
    assert batch == same
    return Accuracies(np.array(batch), np.array(tenth), np.array(hundredth))


def course(momentum: float, seed: int) -> tuple[list[float], list[float]]:
    """Accuracies by the statistics of the test batch, and by running statistics with this weight of the new value."""
    generator, digits = torch.Generator().manual_seed(seed), load_digits()
    model = multilayer_perceptron(
        [64] + [WIDTH] * DEPTH + [10],
        lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, momentum=momentum), nn.ReLU()),
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    batch, running = [], []
    for before, check in zip((0, *CHECKS), CHECKS, strict=False):
        train(
            model,
            digits,
            steps=check - before,
            learning_rate=RATE,
            seed=1000 * seed + check,
        )
        batch.append(accuracy_on_test_digits(copy.deepcopy(model), digits))
        running.append(accuracy_on_test_digits(copy.deepcopy(model).eval(), digits))
    return batch, running


def _at(check: int, accuracies: np.ndarray) -> float:
    return float(accuracies[CHECKS.index(check)])


CLAIMS = (
    Claim(
        statement="Accuracy after 40 steps by the statistics of the batch",
        value=lambda m: _at(40, m.batch),
        interval=(0.75, 0.95),
        rival=lambda m: _at(40, m.hundredth),
        rival_of="averages with weight 0.01",
        budget="SGD, learning rate 0.05, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="By averages with weight 0.1, as in PyTorch",
        value=lambda m: _at(40, m.tenth),
        interval=(0.75, 0.95),
        rival=lambda m: _at(40, m.hundredth),
        rival_of="averages with weight 0.01",
        budget="after 40 steps of SGD, learning rate 0.05, batches of 64",
        reason="$0.9^{40}=0.015$ of the initial values is left.",
    ),
    Claim(
        statement="By averages with weight 0.01, as in Keras",
        value=lambda m: _at(40, m.hundredth),
        interval=(0.35, 0.74),
        rival=lambda m: _at(40, m.batch),
        rival_of="the statistics of the batch",
        budget="after 40 steps of SGD, learning rate 0.05, batches of 64",
        reason="$0.99^{40}=0.67$ of the initial values is left.",
    ),
    Claim(
        statement="After 320 steps nothing is left of it: accuracy by batch minus by averages with weight 0.01",
        value=lambda m: _at(320, m.batch) - _at(320, m.hundredth),
        interval=(-0.03, 0.04),
        rival=lambda m: _at(40, m.batch) - _at(40, m.hundredth),
        rival_of="the same after 40 steps",
        budget="SGD, learning rate 0.05, batches of 64",
        reason="$0.99^{320}=0.04$.",
        format="+.3f",
    ),
)


def plot(measured: Accuracies) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    for color, name, accuracies, place in (
        ("C0", "statistics of the batch", measured.batch, (5.2, 0.99)),
        ("C2", "weight 0.1 (PyTorch)", measured.tenth, (5.2, 0.87)),
        ("C1", "weight 0.01 (Keras)", measured.hundredth, (26, 0.33)),
    ):
        axes.plot(CHECKS, accuracies, color=color, marker="o")
        axes.annotate(name, place, color=color)
    axes.set_xscale("log")
    axes.set_xticks(CHECKS, [str(check) for check in CHECKS])
    axes.minorticks_off()
    axes.set(
        xlabel="steps of training",
        ylabel="accuracy on the test digits",
        ylim=(0.0, 1.1),
    )
    return figure
