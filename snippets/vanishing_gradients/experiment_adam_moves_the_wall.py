r"""Adam trains a deeper sigmoid network than gradient descent does, and then stops as well.

Source: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein (2017), "Deep information propagation", for the rate at which two
inputs become alike. The trainings follow no paper: width 64, digits, 200 steps.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import accuracy_on_test_digits, multilayer_perceptron, train

WIDTH, CLASSES, STEPS = 64, 10, 200


class Run(NamedTuple):
    """One training."""

    losses: list[float]
    """Of each step's batch, nats."""

    accuracy: float
    """On the test digits; 0.1 by guessing."""


class Runs(NamedTuple):
    """Sigmoid networks under Xavier; the number is that of the hidden layers."""

    gradient_descent_5: Run
    """Learning rate 1."""

    adam_5: Run
    """Learning rate 0.01."""

    adam_15: Run
    """Learning rate 0.01."""

    spread: list[float]
    """Before training, first of 15 layers first: the rms by which an activation moves from image to image."""


def _network(depth: int, seed: int) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    return multilayer_perceptron(
        [64, *[WIDTH] * depth, CLASSES],
        nn.Sigmoid,
        lambda weight: nn.init.xavier_uniform_(weight, generator=generator),
    )


def _run(depth: int, optimizer: type[torch.optim.Optimizer], learning_rate: float, seed: int) -> Run:
    network, digits = _network(depth, seed), load_digits()
    losses = train(network, digits, steps=STEPS, learning_rate=learning_rate, seed=seed, optimizer=optimizer)
    return Run(losses, accuracy_on_test_digits(network, digits))


def _spread(seed: int) -> list[float]:
    network, hidden = _network(15, seed).double(), torch.from_numpy(load_digits().train_inputs).double()
    spread = []
    with torch.no_grad():
        for layer in network[:-1]:
            hidden = layer(hidden)
            if isinstance(layer, nn.Sigmoid):
                spread.append((hidden - hidden.mean(dim=0)).square().mean().sqrt().item())
    return spread


def measure(seed: int = 0) -> Runs:
    """Three trainings in float32, one forward pass in float64. The seed moves weights and batches."""
    return Runs(
        _run(5, torch.optim.SGD, 1.0, seed),
        _run(5, torch.optim.Adam, 0.01, seed),
        _run(15, torch.optim.Adam, 0.01, seed),
        _spread(seed),
    )


def last(run: Run) -> float:
    """Mean loss of the last 20 steps, nats."""
    return sum(run.losses[-20:]) / 20


STUCK = (2.26, 2.35)  # ln 10 = 2.303 within 2 %

CLAIMS = (
    Claim(
        statement="Five sigmoid layers, gradient descent: loss at the end, in nats; $\\ln 10=2.303$ is guessing",
        value=lambda runs: last(runs.gradient_descent_5),
        interval=STUCK,
        reason="$\\ln 10$ within 2 %.",
        format=".3f",
    ),
    Claim(
        statement="The same network with Adam: loss at the end",
        value=lambda runs: last(runs.adam_5),
        interval=(0, 1.5),
        reason="Seeds 0 to 9.",
        format=".3f",
    ),
    Claim(
        statement="Fifteen sigmoid layers with Adam: loss at the end",
        value=lambda runs: last(runs.adam_15),
        interval=STUCK,
        reason="$\\ln 10$ within 2 %.",
        format=".3f",
    ),
    Claim(
        statement="The difference between images shrinks on the way forward too: factor per layer",
        value=lambda runs: (runs.spread[-1] / runs.spread[1]) ** (1 / 13),
        interval=(0.21, 0.26),
        reason="$\\sqrt\\chi=0.236$ in wide layers, as for the gradient; width 64 varies by 3 % over seeds.",
        format=".3f",
    ),
    Claim(
        statement="What is left of it in layer 15, beside an activation of about 0.5",
        value=lambda runs: runs.spread[-1],
        interval=(3e-11, 2e-9),
        reason="Fourteen factors of 0.236 after the first layer. Float32 resolves 6e-8 near 1/2: the image is lost.",
        format=".1e",
    ),
)


def plot(measured: Runs) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    lines = (
        (measured.gradient_descent_5, "C1", "gradient descent, 5 layers", (45, 2.13)),
        (measured.adam_15, "C2", "Adam, 15 layers", (45, 2.48)),
        (measured.adam_5, "C0", "Adam, 5 layers", (45, 0.85)),
    )
    window = 10
    for run, color, words, place in lines:
        smooth = [sum(run.losses[step : step + window]) / window for step in range(STEPS - window + 1)]
        axes.plot(range(window, STEPS + 1), smooth, color=color)
        axes.text(*place, words, color=color, va="center")
    axes.set(xlabel="step (each point is the mean of ten)", ylabel="training loss (nats)")
    axes.set(xlim=(0, STEPS), ylim=(0, 2.8))
    return figure
