r"""From one Xavier start a small step learns and a large one saturates the network within twenty steps.

Digits, 5 tanh layers of 64 units, SGD with batches of 64 and the learning rates 0.1 and 1 from the same weights. After
every 5 steps the activations of the last hidden layer and the gradients of 256 fixed digits are looked at.

Source: Glorot & Bengio (2010), section 4.3: the weights are then no longer independent of the activations, so that the
variance argument does not apply. From the old initialization they saw the decay of the gradients towards the input
reversed very quickly; from Xavier there is none to reverse.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

DEPTH, WIDTH = 5, 64
BETWEEN, LOOKS = 5, 21
SMALL, LARGE = 0.1, 1.0


class Course(NamedTuple):
    """One training; lists of one number per look, the first before training."""

    activation: list[float]
    """Root mean square of the activations of the last hidden layer; 1 means that all units are saturated."""

    gradient: list[float]
    """Root mean square of dL/dz in the first hidden layer, over that in the last."""

    accuracy: float
    """On the test digits, after 100 steps."""


class AfterTheFirstStep(NamedTuple):
    """Both courses."""

    small: Course
    """Learning rate 0.1."""

    large: Course
    """Learning rate 1."""


def measure(seed: int = 0) -> AfterTheFirstStep:
    return AfterTheFirstStep(_course(SMALL, seed), _course(LARGE, seed))


def _course(learning_rate: float, seed: int) -> Course:
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs[:256]),
        torch.from_numpy(digits.train_labels[:256]),
    )
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64] + [WIDTH] * DEPTH + [10],
        nn.Tanh,
        lambda weight: xavier_uniform_(weight, generator=generator),
    )
    activation, gradient = [], []
    for look in range(LOOKS):
        if look:
            train(
                model,
                digits,
                steps=BETWEEN,
                learning_rate=learning_rate,
                seed=1000 * seed + look,
            )
        first, *_, last, _ = signals(
            model, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
        )
        activation.append(rms(last.activation))
        gradient.append(rms(first.delta) / rms(last.delta))
    return Course(activation, gradient, accuracy_on_test_digits(model, digits))


CLAIMS = (
    Claim(
        statement="The common start: rms of the last activations at step 0",
        value=lambda found: max(found.small.activation[0], found.large.activation[0]),
        interval=(0.23, 0.43),
        rival=1.0,
        rival_of="saturated units",
        reason="The exact recursion gives 0.32 for wide layers; with 64 units it spreads by a tenth.",
        format=".3f",
    ),
    Claim(
        statement="Learning rate 0.1: accuracy after 100 steps",
        value=lambda found: found.small.accuracy,
        interval=(0.88, 1.0),
        rival=lambda found: found.large.accuracy,
        rival_of="learning rate 1",
        budget="SGD, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Learning rate 1: accuracy after 100 steps",
        value=lambda found: found.large.accuracy,
        interval=(0.05, 0.3),
        rival=lambda found: found.small.accuracy,
        rival_of="learning rate 0.1",
        budget="SGD, batches of 64",
        reason="0.1 is guessing.",
        format=".3f",
    ),
    Claim(
        statement="Learning rate 1: rms of the last activations after 100 steps, of at most 1",
        value=lambda found: found.large.activation[-1],
        interval=(0.98, 1.0),
        rival=lambda found: found.small.activation[-1],
        rival_of="learning rate 0.1",
        budget="SGD, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Learning rate 0.1: first layer's gradient over the last layer's, after 100 steps in units of step 0",
        value=lambda found: found.small.gradient[-1] / found.small.gradient[0],
        interval=(2.1, 6.0),
        rival=1.0,
        rival_of="the balance of step 0, kept",
        budget="SGD, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: AfterTheFirstStep) -> Figure:
    figure = Figure(figsize=(4.6, 5.0))
    above, below = figure.subplots(2, sharex=True)
    steps = [BETWEEN * look for look in range(LOOKS)]
    for course, colour in ((measured.small, "C0"), (measured.large, "C1")):
        above.plot(steps, course.activation, "o-", color=colour, markersize=4)
        below.plot(steps, course.gradient, "o-", color=colour, markersize=4)
    above.annotate("learning rate 1", (60, 0.93), color="C1", va="top", ha="center")
    above.annotate("learning rate 0.1", (60, 0.47), color="C0", va="top", ha="center")
    above.set(
        ylim=(0, 1.05), ylabel="rms of $h_5$", title="Last hidden layer: activations"
    )
    below.axhline(1, color="C5", linewidth=1, linestyle="dashed")
    below.set(
        yscale="log",
        ylabel="first / last",
        title=r"Gradients: rms of $\partial\mathcal{L}/\partial z_1$ over that of $\partial\mathcal{L}/\partial z_5$",
    )
    below.set_xlabel("step")
    return figure
