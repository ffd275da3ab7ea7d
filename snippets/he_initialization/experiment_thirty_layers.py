"""Thirty ReLU layers, 180 steps: with Xavier's scale they stall, with He's, larger by $\\sqrt2$, they learn.

Source: He, Zhang, Ren & Sun (2015), section 2.2, figure 3: a network of 27 convolutional and 3 fully connected layers
on ImageNet. Scaled down: 30 fully connected layers, 128 wide, on 8 x 8 digits; 180 steps of SGD (learning rate 0.1,
batches of 32, gradient norm clipped to 1); three networks of each kind. As in the paper's comparison, both scales are
those of the forward pass, $\\sqrt{1/n}$ and $\\sqrt{2/n}$ with $n$ = `fan_in`.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.he_initialization.he_init_pytorch import kaiming_normal_
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

WIDTHS = [64, *[128] * 29, 10]
STEPS = 180
SGD = {"learning_rate": 0.1, "clip_norm": 1.0}
ADAM = {"learning_rate": 0.001, "optimizer": torch.optim.Adam}


class Runs(NamedTuple):
    """Networks of one kind; draws, up to their scale, and batches are the same for all kinds."""

    losses: list[list[float]]
    """Training loss in nats, one list per network, one entry per step."""

    accuracies: list[float]
    """On the test digits, after the last step."""

    gradient_norms: list[float]
    """Norm over all weights, at the first step."""


def measure(seed: int = 0) -> dict[str, Runs]:
    return {
        "Xavier": _run("linear", seed, networks=3, optimizer=SGD),
        "He": _run("relu", seed, networks=3, optimizer=SGD),
        "Xavier, Adam": _run("linear", seed, networks=1, optimizer=ADAM),
    }


def _run(nonlinearity: str, seed: int, networks: int, optimizer: dict) -> Runs:
    digits = load_digits()
    runs = Runs([], [], [])
    for network in range(networks):
        number = 100 * seed + network
        generator = torch.Generator().manual_seed(number)
        model = multilayer_perceptron(
            WIDTHS,
            nn.ReLU,
            lambda weight: kaiming_normal_(
                weight, nonlinearity=nonlinearity, generator=generator
            ),
        )
        runs.gradient_norms.append(_gradient_norm(model, digits))
        runs.losses.append(
            train(model, digits, steps=STEPS, seed=number, batch_size=32, **optimizer)
        )
        runs.accuracies.append(accuracy_on_test_digits(model, digits))
    return runs


def _gradient_norm(model: nn.Sequential, digits) -> float:
    logits = model(torch.from_numpy(digits.train_inputs))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(digits.train_labels))
    weights = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    return math.hypot(
        *(gradient.norm().item() for gradient in torch.autograd.grad(loss, weights))
    )


def _last_loss(runs: Runs) -> np.ndarray:
    return np.mean(np.asarray(runs.losses)[:, -20:], axis=1)


CLAIMS = (
    Claim(
        statement="With He the loss of the worst of three networks, over the last 20 steps",
        paper="converges",
        value=lambda measured: _last_loss(measured["He"]).max(),
        interval=(0.0, 1.5),
        rival=lambda measured: _last_loss(measured["Xavier"]).min(),
        rival_of="Xavier",
        budget="180 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 32",
        reason="Two thirds of $\\ln 10=2.303$, the loss of equal probabilities.",
        format=".2f",
    ),
    Claim(
        statement="With Xavier the loss of the best of three networks, over the last 20 steps",
        paper="completely stalls",
        value=lambda measured: _last_loss(measured["Xavier"]).min(),
        interval=(2.28, 2.32),
        rival=lambda measured: _last_loss(measured["He"]).max(),
        rival_of="He",
        budget="180 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 32",
        reason="$\\ln 10=2.303$ is the loss of equal probabilities for ten classes; batches move it by 0.01.",
        format=".3f",
    ),
    Claim(
        statement="With He the worst test accuracy of three networks",
        value=lambda measured: min(measured["He"].accuracies),
        interval=(0.31, 1.0),
        rival=0.1,
        rival_of="guessing",
        budget="180 steps of SGD, learning rate 0.1, norm clipped to 1, batches of 32",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".2f",
    ),
    Claim(
        statement="Powers of two by which Xavier's first gradient is the smaller one",
        paper="14.5",
        value=lambda measured: np.mean(
            np.log2(measured["He"].gradient_norms)
            - np.log2(measured["Xavier"].gradient_norms)
        ),
        interval=(14.5, 18.5),
        source="He et al. (2015), section 2.2, the comparison with Xavier: "
        "$1/\\sqrt2^L$, here for the 29 other layers.",
        rival=0.5,
        rival_of="one factor of $\\sqrt2$ rather than one per layer",
        reason="A weight gradient is a product over the 29 other layers, each smaller by $\\sqrt2$: "
        "$29/2=14.5$. The rest is softmax: where all logits are small, the errors of the ten classes "
        "cancel.",
        format=".1f",
    ),
    Claim(
        statement="With Xavier and Adam (learning rate 0.001) instead of SGD: loss of one network over the last 20 "
        "steps",
        value=lambda measured: _last_loss(measured["Xavier, Adam"]).item(),
        interval=(0.7, 2.1),
        rival=lambda measured: _last_loss(measured["Xavier"]).min(),
        rival_of="SGD",
        budget="180 steps, batches of 32",
        reason="Below 2.1 it has left the plateau at 2.303. Adam divides each gradient by its own size.",
        format=".2f",
    ),
)


def plot(measured: dict[str, Runs]) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    axes.axhline(math.log(10), color="C5", linestyle=(0, (4, 3)), linewidth=1.2)
    for color, kind in (("C1", "Xavier"), ("C0", "He")):
        curves = [
            np.convolve(losses, np.full(10, 0.1), "valid")
            for losses in measured[kind].losses
        ]
        steps = np.arange(10, STEPS + 1)
        for curve in curves:
            axes.plot(steps, curve, color=color, linewidth=1.0, alpha=0.5)
        axes.plot(steps, np.mean(curves, axis=0), color=color, linewidth=3.0)
    axes.text(
        STEPS,
        2.12,
        r"Xavier: std $\sqrt{1/n}$",
        color="C1",
        ha="right",
        va="top",
        weight=600,
    )
    axes.text(
        66, 1.1, r"He: std $\sqrt{2/n}$", color="C0", ha="right", va="top", weight=600
    )
    axes.text(STEPS, 2.36, "guessing", color="C5", ha="right", va="bottom")
    axes.set_xticks(range(0, STEPS + 1, 30))
    axes.set(
        xlabel="step", ylabel="training loss (nats)", xlim=(0, STEPS), ylim=(0, 2.75)
    )
    return figure
