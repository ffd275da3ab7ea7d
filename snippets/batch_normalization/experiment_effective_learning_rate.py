"""Ten times the weights with 100 times the learning rate train the same network: the scale is a learning rate.

Source: van Laarhoven (2017), for the effective learning rate $\\eta/\\lVert W\\rVert^2$. Two hidden layers of 64 ReLU
units with batch normalization, plain gradient descent on batches of 64 digits, double precision, ε = 1e-30; scale and
rate are changed in the hidden layers only.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import multilayer_perceptron

WIDTH, STEPS, RATE = 64, 120, 0.1


class Courses(NamedTuple):
    """The loss, in nats, at each step."""

    standard: np.ndarray
    """He initialization, learning rate RATE."""

    large_fast: np.ndarray
    """Hidden weights times 10, their learning rate times 100."""

    large: np.ndarray
    """Hidden weights times 10, same learning rate."""

    slow: np.ndarray
    """He initialization, learning rate of the hidden weights divided by 100."""


def measure(seed: int = 0) -> Courses:
    return Courses(
        standard=course(seed, scale=1.0, rate=RATE),
        large_fast=course(seed, scale=10.0, rate=100 * RATE),
        large=course(seed, scale=10.0, rate=RATE),
        slow=course(seed, scale=1.0, rate=RATE / 100),
    )


def course(seed: int, scale: float, rate: float) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs).double(),
        torch.from_numpy(digits.train_labels),
    )
    model = multilayer_perceptron(
        [64, WIDTH, WIDTH, 10],
        lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, eps=1e-30), nn.ReLU()),
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    ).double()
    hidden = [model[0].weight, model[2].weight]
    with torch.no_grad():
        for weight in hidden:
            weight *= scale
    others = [
        parameter
        for parameter in model.parameters()
        if all(parameter is not weight for weight in hidden)
    ]
    update = torch.optim.SGD(
        [{"params": hidden, "lr": rate}, {"params": others, "lr": RATE}]
    )
    losses = []
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (64,), generator=generator)
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    return np.array(losses)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(abs(first / second - 1).max())


CLAIMS = (
    Claim(
        statement=f"10 times the weights, 100 times the rate: largest relative difference of the loss in {STEPS} steps",
        value=lambda m: _difference(m.large_fast, m.standard),
        interval=(0.0, 1e-9),
        paper="0",
        kind="identity",
        budget="SGD, learning rate 0.1 for He's scale",
        reason="Exact but for rounding, 1e-16 per operation, which training may amplify.",
        format=".0e",
    ),
    Claim(
        statement="10 times the weights alone are 1/100 of the rate: the same difference",
        value=lambda m: _difference(m.large, m.slow),
        interval=(0.0, 1e-9),
        paper="0",
        kind="identity",
        budget="120 steps of SGD, learning rates 0.1 and 0.001",
        reason="Exact but for rounding, as above: 1e-16 per operation, which training may amplify.",
        format=".0e",
    ),
    Claim(
        statement="The scale does matter: loss of the last 20 steps with 10 times the weights, in units of that of He",
        value=lambda m: float(m.large[-20:].mean() / m.standard[-20:].mean()),
        interval=(2.0, 5.0),
        rival=1.0,
        rival_of="a scale without effect",
        budget="120 steps of SGD, learning rate 0.1",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Courses) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    steps = np.arange(1, STEPS + 1)
    axes.semilogy(steps, measured.slow, color="C1", linewidth=5, alpha=0.4)
    axes.semilogy(steps, measured.large, color="C1")
    axes.semilogy(steps, measured.standard, color="C0", linewidth=5, alpha=0.4)
    axes.semilogy(steps, measured.large_fast, color="C0")
    axes.annotate(
        "weights × 10, thin,\nand rate / 100, wide",
        (118, 2.4),
        color="C1",
        ha="right",
        va="top",
    )
    axes.annotate(
        "He, wide, and weights × 10\nwith rate × 100, thin", (3, 0.09), color="C0"
    )
    axes.set(xlabel="step", ylabel="loss of the batch [nats]")
    return figure
