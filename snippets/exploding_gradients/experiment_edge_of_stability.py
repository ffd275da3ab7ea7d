r"""Trained on the whole data set, a network grows sharper until $2/\eta$ and stays there, at the edge of divergence.

Source: Cohen et al. (2021), "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability", section 3:
progressive sharpening, then a sharpness that hovers just above $2/\eta$ while the loss falls, though not at every step.
Scaled down: 100 digits at half contrast, four layers of 32 tanh units, 0.7 times Xavier, squared error, 1,500 steps of
full-batch gradient descent with the step sizes 0.2 and 0.1; the sharpness is the largest eigenvalue of the
Hessian, by power iteration.
"""

import itertools
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import multilayer_perceptron

EXAMPLES, STEPS, EVERY = 100, 1500, 25
RATES = (0.2, 0.1)


class Descent(NamedTuple):
    losses: list[float]
    """Before each step."""

    sharpness: list[float]
    """Largest eigenvalue of the Hessian, every 25 steps."""


def _sharpness(loss: Tensor, parameters: list[Tensor], start: Tensor) -> Tensor:
    """The eigenvector of the largest eigenvalue, times that eigenvalue: power iteration from `start`, whose direction
    is kept from look to look.
    """
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    flat = nn.utils.parameters_to_vector(gradient)
    vector = start
    for _ in range(8):
        vector = vector / vector.norm()
        product = torch.autograd.grad(flat @ vector, parameters, retain_graph=True)
        vector = nn.utils.parameters_to_vector(product)
    return vector


def _descend(rate: float, seed: int) -> Descent:
    digits, generator = load_digits(), torch.Generator().manual_seed(seed)
    inputs = 0.5 * torch.from_numpy(digits.train_inputs[:EXAMPLES])
    targets = nn.functional.one_hot(
        torch.from_numpy(digits.train_labels[:EXAMPLES]), 10
    ).float()
    model = multilayer_perceptron(
        [64, 32, 32, 32, 32, 10],
        nn.Tanh,
        lambda weight: nn.init.xavier_normal_(weight, gain=0.7, generator=generator),
    )
    parameters = list(model.parameters())
    size = sum(parameter.numel() for parameter in parameters)
    vector = torch.randn(size, generator=generator)
    losses, sharpness = [], []
    for step in range(STEPS):
        loss = (model(inputs) - targets).square().sum(dim=1).mean() / 2
        losses.append(loss.item())
        if step % EVERY == 0:
            vector = _sharpness(loss, parameters, vector)
            sharpness.append(vector.norm().item())
        gradients = torch.autograd.grad(
            (model(inputs) - targets).square().sum(dim=1).mean() / 2, parameters
        )
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= rate * gradient
    return Descent(losses, sharpness)


def measure(seed: int = 0) -> dict[float, Descent]:
    return {rate: _descend(rate, seed) for rate in RATES}


def late(run: Descent) -> float:
    """Mean sharpness over the last third."""
    values = run.sharpness[-len(run.sharpness) // 3 :]
    return sum(values) / len(values)


def rises(run: Descent) -> float:
    """Part of the steps of the last third at which the loss rises."""
    last = run.losses[-STEPS // 3 :]
    return sum(b > a for a, b in itertools.pairwise(last)) / (len(last) - 1)


BUDGET = "1,500 steps of full-batch gradient descent"

CLAIMS = (
    Claim(
        statement=r"Step size 0.2: sharpness in the last third, in units of $2/\eta$",
        value=lambda runs: late(runs[0.2]) * 0.2 / 2,
        interval=(0.9, 1.25),
        rival=lambda runs: late(runs[0.1]) * 0.2 / 2,
        rival_of="what the network reaches at half the step size",
        budget=BUDGET + " at a constant step size",
        paper="just above 1",
        reason=r"Below $2/\eta$ the network sharpens, above it the sharpest direction diverges and the network leaves.",
    ),
    Claim(
        statement="Half the step size: the sharpness in the last third, over that with 0.2",
        value=lambda runs: late(runs[0.1]) / late(runs[0.2]),
        interval=(1.6, 2.3),
        rival=1.0,
        rival_of="a sharpness of the network's own",
        budget=BUDGET + " at a constant step size",
        paper="2",
        reason=r"$2/\eta$ doubles.",
    ),
    Claim(
        statement="Step size 0.2: part of the last 500 steps at which the loss rises",
        value=lambda runs: rises(runs[0.2]),
        interval=(0.1, 0.6),
        rival=0.0,
        rival_of="a step size below 2 over the sharpness",
        budget=BUDGET + " at a constant step size",
        paper="non-monotone",
        reason="The sharpest direction swings.",
    ),
    Claim(
        statement="Over these 500 steps the loss falls all the same: to this part",
        value=lambda runs: runs[0.2].losses[-1] / runs[0.2].losses[-500],
        interval=(0.0, 0.8),
        rival=1.0,
        rival_of="a network that no longer learns",
        budget=BUDGET + " with the step size 0.2",
        paper="decreases",
        reason="All other directions go on.",
    ),
)


def plot(measured: dict[float, Descent]) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    steps = range(0, STEPS, EVERY)
    for (rate, run), color in zip(measured.items(), ("C0", "C1"), strict=True):
        axes.plot(steps, run.sharpness, color=color)
        axes.axhline(2 / rate, color=color, linewidth=1, linestyle="dashed")
        axes.annotate(
            rf"$2/\eta$ for $\eta={rate:g}$",
            (STEPS, 2 / rate),
            (0, 8),
            textcoords="offset points",
            color=color,
            ha="right",
        )
    axes.set(xlim=(0, STEPS), ylim=(0, 26))
    axes.set(xlabel="step", ylabel="sharpness")
    return figure
