"""Batch normalization with covariate shift put back at every step trains as well; a plain one does not at this rate.

Source: Santurkar et al. (2018), section 2.1, on a VGG network and CIFAR-10. Scaled down: 8 layers of 64 ReLU units on
the digits. After each batch normalization every unit is multiplied and shifted at random, anew at every step; in the
paper each example is perturbed too.
"""

from collections.abc import Callable
from itertools import count
from statistics import median
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

DEPTH, WIDTH, STEPS = 8, 64, 150
SLOW_NETWORKS = 5
"""Plain networks at the slow rate. About one in forty ends on a peak of its loss, so their median is taken."""
FAST, SLOW = 1.0, 0.1
"""Learning rates."""
SMOOTHED = 10
"""Steps over which the figure takes the mean."""


class Shift(nn.Module):
    """Multiplies every unit by a factor from [1, 2] and adds a shift from [-1, 1], both anew at each training step."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, hidden: Tensor) -> Tensor:
        if not self.training:
            return hidden
        factor, shift = torch.rand(2, hidden.shape[1], generator=self.generator)
        return (1 + factor) * hidden + 2 * shift - 1


class Course(NamedTuple):
    losses: list[float]
    """Cross-entropy of each step's batch, in nats."""

    accuracy: float
    """On the test digits, with the statistics of all of them as one batch and without shift."""

    accuracy_running: float
    """The same with the running statistics of training."""

    drift: float
    """How far the mean of a unit in the last hidden layer moves per step, in units of its deviation over the batch."""


class Courses(NamedTuple):
    normalized: Course
    shifted: Course
    """Normalized, then shifted and scaled at random."""
    plain: Course
    plain_slow: list[Course]
    """Plain networks from other weights, on other batches, at the learning rate SLOW instead of FAST."""


def measure(seed: int = 0) -> Courses:
    seeds = count(1000 * seed)
    return Courses(
        normalized=course(lambda: nn.BatchNorm1d(WIDTH), FAST, seed),
        shifted=course(
            lambda: nn.Sequential(nn.BatchNorm1d(WIDTH), Shift(next(seeds))), FAST, seed
        ),
        plain=course(nn.Identity, FAST, seed),
        plain_slow=[
            course(nn.Identity, SLOW, seed * SLOW_NETWORKS + network)
            for network in range(SLOW_NETWORKS)
        ],
    )


def course(norm: Callable[[], nn.Module], rate: float, seed: int) -> Course:
    generator, digits = torch.Generator().manual_seed(seed), load_digits()
    model = multilayer_perceptron(
        [64] + [WIDTH] * DEPTH + [10],
        lambda: nn.Sequential(norm(), nn.ReLU()),
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    inputs_of_the_relu = model[-2][0]
    moments: list[Tensor] = []
    watch = inputs_of_the_relu.register_forward_hook(
        lambda _, __, hidden: moments.append(
            torch.stack([hidden.detach().mean(0), hidden.detach().std(0)])
        )
    )
    losses = train(model, digits, steps=STEPS, learning_rate=rate, seed=seed)
    watch.remove()
    means, deviations = torch.stack(moments).unbind(1)
    drift = means.diff(dim=0).abs().mean() / deviations.mean()
    running = accuracy_on_test_digits(model.eval(), digits)
    for module in model.modules():
        module.training = isinstance(module, nn.BatchNorm1d)
    return Course(losses, accuracy_on_test_digits(model, digits), running, drift.item())


CLAIMS = (
    Claim(
        statement="Accuracy with batch normalization",
        value=lambda m: m.normalized.accuracy,
        interval=(0.85, 1.0),
        rival=lambda m: m.plain.accuracy,
        rival_of="the same without batch normalization",
        budget="150 steps of SGD, learning rate 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Accuracy with the shift put back",
        value=lambda m: m.shifted.accuracy,
        interval=(0.85, 1.0),
        rival=lambda m: m.plain.accuracy,
        rival_of="the same without batch normalization",
        budget="150 steps of SGD, learning rate 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="trains as well",
    ),
    Claim(
        statement=f"Accuracy without batch normalization at the same learning rate, {FAST:g}",
        value=lambda m: m.plain.accuracy,
        interval=(0.0, 0.3),
        rival=lambda m: m.normalized.accuracy,
        rival_of="with batch normalization",
        budget="150 steps of SGD on batches of 64",
        reason="Most runs end in NaN.",
        paper="worse",
    ),
    Claim(
        statement="How much more the distribution moves per step with the shift than with batch normalization alone",
        value=lambda m: m.shifted.drift / m.normalized.drift,
        interval=(60.0, 100.0),
        rival=1.0,
        rival_of="a shift that does not move the distribution",
        budget="150 steps of SGD, learning rate 1, batches of 64",
        reason="Normalization pins the means to β, which moves slowly.",
    ),
    Claim(
        statement=f"And than in a plain network that does train, at the learning rate {SLOW:g}: "
        f"median of {SLOW_NETWORKS}",
        value=lambda m: m.shifted.drift / median(net.drift for net in m.plain_slow),
        interval=(1.05, 2.5),
        rival=1.0,
        rival_of="the plain network itself",
        budget="150 steps of SGD on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="less stable",
    ),
    Claim(
        statement=f"Plain networks at the learning rate {SLOW:g} are no worse: median accuracy of {SLOW_NETWORKS}",
        value=lambda m: median(net.accuracy for net in m.plain_slow),
        interval=(0.81, 1.0),
        rival=lambda m: m.plain.accuracy,
        rival_of="the same at the learning rate 1",
        budget="150 steps of SGD on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="A trap: with the shift, accuracy by the running statistics, which saw other distributions",
        value=lambda m: m.shifted.accuracy_running,
        interval=(0.0, 0.8),
        rival=lambda m: m.shifted.accuracy,
        rival_of="by the statistics of the batch",
        budget="150 steps of SGD, learning rate 1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Courses) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    for color, name, course, place in (
        ("C1", "plain", measured.plain, (10, 4.0)),
        ("C2", "normalized, then shifted\nat random", measured.shifted, (62, 0.62)),
        ("C0", "normalized", measured.normalized, (10, 0.12)),
    ):
        # A loss of NaN or beyond all bounds ends the line.
        losses = np.where(np.array(course.losses) < 1e4, course.losses, np.nan)
        smooth = np.convolve(losses, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")
        axes.semilogy(np.arange(SMOOTHED, STEPS + 1), smooth, color=color)
        axes.annotate(name, place, color=color)
    axes.set(
        xlabel="step", ylabel=f"loss, mean of {SMOOTHED} steps [nats]", ylim=(0.05, 10)
    )
    return figure
