r"""Adam trains a deeper sigmoid network than gradient descent does, up to where gradients are smaller than its epsilon.

Source: Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1, for the step and its epsilon;
Schoenholz, Gilmer, Ganguli & Sohl-Dickstein (2017), "Deep information propagation", for the rate at which two inputs
become alike. The trainings follow no paper: width 64, digits, 500 steps.
"""

from functools import partial
from typing import NamedTuple

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

WIDTH, CLASSES, STEPS, SHALLOW, DEEP = 64, 10, 500, 5, 13
ADAM_RATE, DEFAULT_EPSILON, TINY_EPSILON = 1e-3, 1e-8, 1e-30


class Run(NamedTuple):
    """One training."""

    losses: list[float]
    """Of each step's batch, nats."""

    accuracy: float
    """On the test digits; 0.1 by guessing."""


class Runs(NamedTuple):
    """Sigmoid networks under Xavier."""

    gradient_descent: Run
    """5 hidden layers, learning rate 1."""

    adam: Run
    """5 hidden layers, learning rate 0.001."""

    deep_adam: Run
    """13 hidden layers, learning rate 0.001, epsilon 1e-8."""

    deep_adam_tiny_epsilon: Run
    """The same with epsilon 1e-30."""

    first_gradient: float
    """Largest absolute gradient of a weight of the first of 13 layers, before training."""

    spread: list[float]
    """Before training, first of 13 layers first: the rms by which an activation moves from image to image."""


def _network(depth: int, seed: int) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    return multilayer_perceptron(
        [64, *[WIDTH] * depth, CLASSES],
        nn.Sigmoid,
        lambda weight: nn.init.xavier_uniform_(weight, generator=generator),
    )


def _run(
    depth: int,
    seed: int,
    learning_rate: float = ADAM_RATE,
    epsilon: float | None = DEFAULT_EPSILON,
) -> Run:
    """With Adam, or with plain gradient descent where there is no epsilon."""
    network, digits = _network(depth, seed), load_digits()
    optimizer = (
        torch.optim.SGD if epsilon is None else partial(torch.optim.Adam, eps=epsilon)
    )
    losses = train(
        network,
        digits,
        steps=STEPS,
        learning_rate=learning_rate,
        seed=seed,
        optimizer=optimizer,
    )
    return Run(losses, accuracy_on_test_digits(network, digits))


def _first_gradient(seed: int) -> float:
    network, digits = _network(DEEP, seed).double(), load_digits()
    logits = network(torch.from_numpy(digits.train_inputs).double())
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(digits.train_labels))
    (gradient,) = torch.autograd.grad(loss, [network[0].weight])
    return gradient.abs().max().item()


def _spread(seed: int) -> list[float]:
    network, hidden = (
        _network(DEEP, seed).double(),
        torch.from_numpy(load_digits().train_inputs).double(),
    )
    spread = []
    with torch.no_grad():
        for layer in network[:-1]:
            hidden = layer(hidden)
            if isinstance(layer, nn.Sigmoid):
                spread.append(
                    (hidden - hidden.mean(dim=0)).square().mean().sqrt().item()
                )
    return spread


def measure(seed: int = 0) -> Runs:
    """Four trainings in float32, two passes in float64. The seed moves weights and batches."""
    return Runs(
        _run(SHALLOW, seed, learning_rate=1.0, epsilon=None),
        _run(SHALLOW, seed),
        _run(DEEP, seed),
        _run(DEEP, seed, epsilon=TINY_EPSILON),
        _first_gradient(seed),
        _spread(seed),
    )


def last(run: Run) -> float:
    """Mean loss of the last 20 steps, nats."""
    return sum(run.losses[-20:]) / 20


STUCK = (2.26, 2.35)  # ln 10 = 2.303 within 2 %

CLAIMS = (
    Claim(
        statement="Five sigmoid layers, gradient descent, 500 steps: loss at the end, in nats; $\\ln 10=2.303$ is "
        "guessing",
        value=lambda runs: last(runs.gradient_descent),
        interval=STUCK,
        rival=lambda runs: last(runs.adam),
        rival_of="Adam",
        budget="learning rate 1, batches of 64",
        reason="$\\ln 10$ within 2 %.",
        format=".3f",
    ),
    Claim(
        statement="The same network with Adam: loss at the end",
        value=lambda runs: last(runs.adam),
        interval=(0.2, 1.4),
        rival=lambda runs: last(runs.gradient_descent),
        rival_of="gradient descent",
        budget="500 steps of Adam, learning rate 0.001, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Thirteen sigmoid layers with Adam at its default $\\epsilon=10^{-8}$: loss at the end",
        value=lambda runs: last(runs.deep_adam),
        interval=STUCK,
        rival=lambda runs: last(runs.deep_adam_tiny_epsilon),
        rival_of="$\\epsilon=10^{-30}$",
        budget="500 steps of Adam, learning rate 0.001, batches of 64",
        reason="$\\ln 10$ within 2 %.",
        format=".3f",
    ),
    Claim(
        statement="The same with $\\epsilon=10^{-30}$: loss at the end",
        value=lambda runs: last(runs.deep_adam_tiny_epsilon),
        interval=(1.5, 2.25),
        rival=lambda runs: last(runs.deep_adam),
        rival_of="$\\epsilon=10^{-8}$",
        budget="500 steps of Adam, learning rate 0.001, batches of 64",
        reason="It falls still, below what the plateau has.",
        format=".3f",
    ),
    Claim(
        statement="Why: the largest gradient of a weight of the first of thirteen layers, over $\\epsilon=10^{-8}$",
        value=lambda runs: runs.first_gradient / DEFAULT_EPSILON,
        interval=(0.03, 0.4),
        rival=1.0,
        rival_of="a gradient as large as $\\epsilon$",
        reason="Below 1, Adam divides by $\\epsilon$ rather than by the gradient's size. With twelve layers "
        "it is 0.4 to 0.7, and one of ten networks learns.",
    ),
    Claim(
        statement="The difference between images shrinks on the way forward too: factor per layer",
        value=lambda runs: (runs.spread[-1] / runs.spread[1]) ** (1 / (DEEP - 2)),
        interval=(0.222, 0.248),
        paper="0.236",
        rival=0.25,
        rival_of="the steepest slope, 1/4, in every unit",
        reason="$\\sqrt\\chi=0.236$ in wide layers, as for the gradient.",
        format=".3f",
    ),
    Claim(
        statement="What is left of it in layer 13, beside an activation of about 0.5",
        value=lambda runs: runs.spread[-1],
        interval=(2e-9, 8e-9),
        rival=6e-8,
        rival_of="what float32 resolves near 1/2",
        reason="Float32 resolves 6e-8 near 1/2, so the last layer does not see the image. The gradient of "
        "the first layer is a product with the image, so it does.",
        format=".1e",
    ),
)


def plot(measured: Runs) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    lines = (
        (measured.gradient_descent, "C1", "gradient descent, 5 layers", (20, 2.62)),
        (measured.deep_adam, "C2", "Adam, 13 layers", (270, 2.62)),
        (
            measured.deep_adam_tiny_epsilon,
            "C3",
            r"the same, $\epsilon=10^{-30}$",
            (300, 1.66),
        ),
        (measured.adam, "C0", "Adam, 5 layers", (90, 0.95)),
    )
    window = 10
    for run, color, words, place in lines:
        smooth = [
            sum(run.losses[step : step + window]) / window
            for step in range(STEPS - window + 1)
        ]
        axes.plot(range(window, STEPS + 1), smooth, color=color)
        axes.text(*place, words, color=color, va="center")
    axes.set(
        xlabel="step (each point is the mean of ten)", ylabel="training loss (nats)"
    )
    axes.set(xlim=(0, STEPS), ylim=(0, 2.8))
    return figure
