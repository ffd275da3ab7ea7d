"""Along the gradient, the loss of a batch-normalized network varies many times less than that of a plain one.

Source: Santurkar et al. (2018), section 3.1: loss and gradient along the direction of the step, on a VGG network.
Scaled down: 8 layers of 64 ReLU units, He initialization, 100 steps on batches of 64 digits, learning rate 0.1; at
each step the same batch is measured again after 1/2, 1, 2 and 4 times the step. The plain network is at the edge of
what it can bear, where a single run is chaotic: the claims are about the median of seven pairs of networks.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import accuracy_on_test_digits, multilayer_perceptron

DEPTH, WIDTH, STEPS, RATE = 8, 64, 100, 0.1
MOVES = (0.5, 1.0, 2.0, 4.0)
"""Distances from the current weights, in units of the step."""

PAIRS = 7


class Course(NamedTuple):
    lowest: np.ndarray
    """Smallest loss (nats) over MOVES, at each step."""

    highest: np.ndarray
    """Largest loss over MOVES, at each step."""

    gradient_change: np.ndarray
    """Norm of the change of the gradient over one step, in units of the gradient's own norm."""

    accuracy: float
    """On the test digits after training, with the statistics of all of them as one batch."""

    def range(self) -> float:
        """Median over the steps."""
        return float(np.median(self.highest - self.lowest))


class Courses(NamedTuple):
    """The first pair whole, and of each pair one number of what a claim compares."""

    normalized: Course
    plain: Course

    range_ratios: list[float]
    """Median range of the loss, plain over normalized."""

    normalized_changes: list[float]
    """Median relative change of the gradient over one step."""

    plain_changes: list[float]

    accuracy_gains: list[float]
    """Accuracy normalized minus plain."""


def measure(seed: int = 0) -> Courses:
    pairs = [
        (course(True, PAIRS * seed + pair), course(False, PAIRS * seed + pair))
        for pair in range(PAIRS)
    ]
    return Courses(
        *pairs[0],
        [plain.range() / normalized.range() for normalized, plain in pairs],
        [float(np.median(normalized.gradient_change)) for normalized, _ in pairs],
        [float(np.median(plain.gradient_change)) for _, plain in pairs],
        [normalized.accuracy - plain.accuracy for normalized, plain in pairs],
    )


def course(normalized: bool, seed: int) -> Course:
    generator, digits = torch.Generator().manual_seed(seed), load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs),
        torch.from_numpy(digits.train_labels),
    )
    model = multilayer_perceptron(
        [64] + [WIDTH] * DEPTH + [10],
        lambda: (
            nn.Sequential(nn.BatchNorm1d(WIDTH), nn.ReLU()) if normalized else nn.ReLU()
        ),
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    parameters = list(model.parameters())
    lowest, highest, changes = [], [], []
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (64,), generator=generator)

        def loss(batch=batch):
            return nn.functional.cross_entropy(model(inputs[batch]), labels[batch])

        gradient = torch.autograd.grad(loss(), parameters)
        start = [parameter.detach().clone() for parameter in parameters]

        def move(distance: float, start=start, gradient=gradient) -> None:
            with torch.no_grad():
                for parameter, origin, slope in zip(
                    parameters, start, gradient, strict=True
                ):
                    parameter.copy_(origin - distance * RATE * slope)

        losses = []
        for distance in MOVES:
            move(distance)
            losses.append(loss())
            if distance == 1.0:
                after = torch.autograd.grad(losses[-1], parameters)
        move(1.0)
        lowest.append(min(losses).item())
        highest.append(max(losses).item())
        before = nn.utils.parameters_to_vector(gradient)
        changes.append(
            (
                (nn.utils.parameters_to_vector(after) - before).norm() / before.norm()
            ).item()
        )
    return Course(
        np.array(lowest),
        np.array(highest),
        np.array(changes),
        accuracy_on_test_digits(model, digits),
    )


CLAIMS = (
    Claim(
        statement="Median range of the loss along the gradient, plain over normalized",
        value=lambda m: np.median(m.range_ratios),
        interval=(11.0, 45.0),
        rival=1.0,
        rival_of="a normalization that smooths nothing",
        budget="100 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="much larger",
    ),
    Claim(
        statement="Median relative change of the gradient over one step, normalized",
        value=lambda m: np.median(m.normalized_changes),
        interval=(0.8, 1.1),
        rival=lambda m: np.median(m.plain_changes),
        rival_of="the plain network",
        budget="100 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The same, plain",
        value=lambda m: np.median(m.plain_changes),
        interval=(1.2, 1.6),
        rival=lambda m: np.median(m.normalized_changes),
        rival_of="the normalized network",
        budget="100 steps of SGD, learning rate 0.1, batches of 64",
        reason="1.41 is what an unrelated gradient of the same norm gives.",
    ),
    Claim(
        statement="Smoother is not better by as much: accuracy normalized minus plain",
        value=lambda m: np.median(m.accuracy_gains),
        interval=(-0.04, 0.14),
        rival=lambda m: m.normalized.accuracy - 0.1,
        rival_of="a plain network that guesses",
        budget="100 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format="+.3f",
    ),
)


def plot(measured: Courses) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    steps = np.arange(1, STEPS + 1)
    for color, name, course, place in (
        ("C1", "plain", measured.plain, (45, 50.0)),
        ("C0", "batch normalization", measured.normalized, (22, 0.045)),
    ):
        axes.fill_between(
            steps, course.lowest, course.highest, color=color, alpha=0.35, linewidth=0
        )
        axes.plot(steps, course.lowest, color=color, linewidth=1)
        axes.plot(steps, course.highest, color=color, linewidth=1)
        axes.annotate(name, place, color=color)
    axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="loss after ½ to 4 steps [nats]", ylim=(0.03, 150))
    return figure
