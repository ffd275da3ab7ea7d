"""A rare class: with the bias at its frequency, the loss begins at the entropy, not at ln 2, and no steps are lost.

Source: Lin et al. (2017), "Focal Loss for Dense Object Detection", where training without it diverged. One
"8" in a hundred digits, a 64-32-1 ReLU network, SGD on batches of 128 at a learning rate of 0.1.
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

STEPS = 60


class OutputBias(NamedTuple):
    """Binary cross-entropy (nats) on all training rows before each step."""

    zero: list[float]
    prior: list[float]
    entropy: float
    """Of the class: -p ln p - (1 - p) ln(1 - p)."""


def measure(seed: int = 0) -> OutputBias:
    """Train twice from the same weights."""
    data = load_digits()
    others = np.flatnonzero(data.train_labels != 8)
    eights = np.flatnonzero(data.train_labels == 8)[: len(others) // 99]
    inputs = torch.from_numpy(data.train_inputs[np.concatenate([others, eights])])
    labels = torch.cat([torch.zeros(len(others), 1), torch.ones(len(eights), 1)])
    frequency = labels.mean().item()

    def losses(bias: float) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        model = multilayer_perceptron(
            [64, 32, 1],
            nn.ReLU,
            lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator),
        )
        with torch.no_grad():
            model[-1].weight.mul_(0.1)
            model[-1].bias.fill_(bias)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        found = []
        for _ in range(STEPS):
            with torch.no_grad():
                found.append(nn.functional.binary_cross_entropy_with_logits(model(inputs), labels).item())
            rows = torch.randint(len(inputs), (128,), generator=generator)
            loss = nn.functional.binary_cross_entropy_with_logits(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return found

    entropy = -frequency * math.log(frequency) - (1.0 - frequency) * math.log1p(-frequency)
    return OutputBias(losses(0.0), losses(sigmoid_bias(frequency)), entropy)


CLAIMS = (
    Claim(
        statement="Bias at the frequency: loss before the first step over the entropy of the class",
        value=lambda measured: measured.prior[0] / measured.entropy,
        interval=(0.93, 1.07),
        reason="Exactly 1 if the logits are the bias alone; small output weights leave 0.98 to 1.02 over 6 seeds.",
    ),
    Claim(
        statement="Bias at zero: loss before the first step, near ln 2 = 0.693",
        value=lambda measured: measured.zero[0],
        interval=(0.5, 0.9),
        reason="The mean logit of the network moves it: 0.60 to 0.77 over 6 seeds.",
    ),
    Claim(
        statement="Steps, of 60, until the loss from zero is below where the other one started",
        value=lambda measured: sum(loss > measured.prior[0] for loss in measured.zero),
        interval=(25, 60),
        reason="40 to 60 over 6 seeds; 60 means that it never is.",
        format=".0f",
    ),
)


def plot(measured: OutputBias) -> Figure:
    """Both losses over the steps."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    steps = range(STEPS)
    axes.semilogy(steps, measured.zero, color="C1")
    axes.semilogy(steps, measured.prior, color="C0")
    axes.axhline(measured.entropy, color="C5", linestyle="--")
    axes.annotate("bias 0: starts at ln 2", (7, 0.25), color="C1")
    axes.annotate("bias −ln 99: starts at the entropy (dashed)", (4, 0.042), color="C0")
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    axes.set(xlabel="step of SGD", ylabel="loss in nats", ylim=(0.035, 1))
    return figure
