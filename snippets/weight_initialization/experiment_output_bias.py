"""A rare class: with the bias at its frequency, the loss begins at the entropy, not at ln 2, and that saves steps.

Source: Lin et al. (2017), "Focal Loss for Dense Object Detection", where training without it diverged. One
"8" in a hundred digits, a 64-32-1 ReLU network, SGD on batches of 128 at a learning rate of 0.1, once of 1.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import multilayer_perceptron
from snippets.weight_initialization.output_bias_pytorch import sigmoid_bias

STEPS, SHOWN = 150, 60
RATE, FAST = 0.1, 1.0


class OutputBias(NamedTuple):
    """Binary cross-entropy (nats) on all training rows before each step."""

    zero: list[float]
    prior: list[float]
    zero_fast: list[float]
    """As `zero`, at the learning rate `FAST`."""
    entropy: float
    """Of the class: -p ln p - (1 - p) ln(1 - p)."""


def measure(seed: int = 0) -> OutputBias:
    """Train three times from the same weights."""
    data = load_digits()
    others = np.flatnonzero(data.train_labels != 8)
    eights = np.flatnonzero(data.train_labels == 8)[: len(others) // 99]
    inputs = torch.from_numpy(data.train_inputs[np.concatenate([others, eights])])
    labels = torch.cat([torch.zeros(len(others), 1), torch.ones(len(eights), 1)])
    frequency = labels.mean().item()

    def losses(bias: float, steps: int = SHOWN, rate: float = RATE) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        model = multilayer_perceptron(
            [64, 32, 1],
            nn.ReLU,
            lambda weight: nn.init.kaiming_normal_(
                weight, nonlinearity="relu", generator=generator
            ),
        )
        with torch.no_grad():
            model[-1].weight.mul_(0.1)
            model[-1].bias.fill_(bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        found = []
        for _ in range(steps):
            with torch.no_grad():
                found.append(
                    nn.functional.binary_cross_entropy_with_logits(
                        model(inputs), labels
                    ).item()
                )
            rows = torch.randint(len(inputs), (128,), generator=generator)
            loss = nn.functional.binary_cross_entropy_with_logits(
                model(inputs[rows]), labels[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return found

    entropy = -frequency * math.log(frequency) - (1.0 - frequency) * math.log1p(
        -frequency
    )
    return OutputBias(
        losses(0.0, STEPS),
        losses(sigmoid_bias(frequency)),
        losses(0.0, rate=FAST),
        entropy,
    )


def steps_to_catch_up(zero: list[float], start: float) -> int:
    """Steps until the loss is first below `start`, or all of them if it never is."""
    return next((step for step, loss in enumerate(zero) if loss < start), len(zero))


CLAIMS = (
    Claim(
        statement="Bias at the frequency: loss before the first step over the entropy of the class",
        value=lambda measured: measured.prior[0] / measured.entropy,
        interval=(0.93, 1.07),
        rival=lambda measured: math.log(2) / measured.entropy,
        rival_of="a bias of zero",
        reason="Exactly 1 if the logits are the bias alone; small output weights move it by some percent.",
    ),
    Claim(
        statement="Bias at zero: loss before the first step, near ln 2 = 0.693",
        value=lambda measured: measured.zero[0],
        interval=(0.41, 0.96),
        rival=lambda measured: measured.entropy,
        rival_of="the bias at the frequency",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Steps until the loss from zero is below where the other one started, at the learning rate 0.1",
        value=lambda measured: steps_to_catch_up(measured.zero, measured.prior[0]),
        interval=(20, 140),
        rival=1.0,
        rival_of="a bias that one step mends",
        budget="SGD, batches of 128",
        reason="Twenty is more than a few; 150, the last step, would mean never.",
        format=".0f",
    ),
    Claim(
        statement="The same at the learning rate 1",
        value=lambda measured: steps_to_catch_up(measured.zero_fast, measured.prior[0]),
        interval=(0.0, 19),
        rival=lambda measured: steps_to_catch_up(measured.zero, measured.prior[0]),
        rival_of="the learning rate 0.1",
        budget="steps of SGD, batches of 128",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".0f",
    ),
)


def plot(measured: OutputBias) -> Figure:
    """Both losses over the steps."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    steps = range(SHOWN)
    axes.semilogy(steps, measured.zero[:SHOWN], color="C1")
    axes.semilogy(steps, measured.prior[:SHOWN], color="C0")
    axes.axhline(measured.entropy, color="C5", linestyle="--")
    axes.annotate("bias 0: starts at ln 2", (7, 0.25), color="C1")
    axes.annotate("bias −ln 99: starts at the entropy (dashed)", (4, 0.042), color="C0")
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    axes.set(xlabel="step of SGD", ylabel="loss in nats", ylim=(0.035, 1))
    return figure
