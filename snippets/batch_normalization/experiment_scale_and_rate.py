"""With batch normalization more than half of the plane of initial scale and learning rate trains; without, a corner.

Source: Ioffe & Szegedy (2015), section 3.3, claims higher learning rates and less care about initialization, without
this figure. Scaled down: 4 hidden layers of 64 ReLU units, 56 networks of each kind, 100 steps on batches of 64 digits.
"""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits

DEPTH, WIDTH, STEPS, BATCH = 4, 64, 100, 64
SCALES = tuple(2.0**power for power in range(-4, 4))
"""Standard deviation of the hidden weights, in units of He's."""
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
TRAINED = 0.9
"""Accuracy from which a network counts as trained."""


class Plane(NamedTuple):
    plain: np.ndarray
    """Accuracy on the test digits, one row per scale, one column per rate."""

    normalized: np.ndarray
    """The same with batch normalization, whose statistics are those of all test digits together."""


def measure(seed: int = 0) -> Plane:
    return Plane(accuracies(False, seed), accuracies(True, seed))


def accuracies(normalized: bool, seed: int) -> np.ndarray:
    """All networks at once: tensors of shape (networks, rows, features)."""
    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs),
        torch.from_numpy(digits.train_labels),
    )
    grid = torch.cartesian_prod(torch.tensor(SCALES), torch.tensor(RATES))
    scales, rates = grid[:, 0].reshape(-1, 1, 1), grid[:, 1].reshape(-1, 1, 1)
    widths = [64] + [WIDTH] * DEPTH + [10]
    weights = [
        # The output layer has no normalization behind it: it keeps He's scale.
        (
            (scales if fan_out == WIDTH else torch.ones_like(scales))
            * torch.randn(fan_out, fan_in, generator=generator)
        )
        .mul((2 / fan_in) ** 0.5)
        .requires_grad_()
        for fan_in, fan_out in itertools.pairwise(widths)
    ]
    gains = [
        torch.ones(len(scales), 1, WIDTH, requires_grad=True) for _ in range(DEPTH)
    ]
    shifts = [
        torch.zeros(len(scales), 1, WIDTH, requires_grad=True) for _ in range(DEPTH)
    ]
    parameters = [*weights, *gains, *shifts]

    def logits(rows: Tensor) -> Tensor:
        hidden = rows.expand(len(scales), *rows.shape)
        for weight, gain, shift in zip(weights, gains, shifts, strict=False):
            hidden = hidden @ weight.mT
            if normalized:
                variance, mean = torch.var_mean(
                    hidden, dim=1, correction=0, keepdim=True
                )
                hidden = (hidden - mean) * torch.rsqrt(variance + 1e-5)
            hidden = (gain * hidden + shift).relu()
        return hidden @ weights[-1].mT

    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (BATCH,), generator=generator)
        targets = labels[batch].expand(len(scales), BATCH)
        loss = (
            nn.functional.cross_entropy(
                logits(inputs[batch]).mT, targets, reduction="sum"
            )
            / BATCH
        )
        with torch.no_grad():
            for parameter, gradient in zip(
                parameters, torch.autograd.grad(loss, parameters), strict=True
            ):
                parameter -= rates * gradient
    with torch.no_grad():
        right = logits(torch.from_numpy(digits.test_inputs)).argmax(
            2
        ) == torch.from_numpy(digits.test_labels)
    return right.double().mean(1).reshape(len(SCALES), len(RATES)).numpy()


def _trained(plane: np.ndarray) -> float:
    return float((plane >= TRAINED).mean())


CLAIMS = (
    Claim(
        statement="Of the networks with batch normalization, this part reaches 90 %",
        value=lambda m: _trained(m.normalized),
        interval=(0.55, 0.8),
        rival=lambda m: _trained(m.plain),
        rival_of="without it",
        budget="100 steps of SGD, learning rates 0.003 to 3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Of those without, this part does",
        value=lambda m: _trained(m.plain),
        interval=(0.0, 0.17),
        rival=lambda m: _trained(m.normalized),
        rival_of="with it",
        budget="100 steps of SGD, learning rates 0.003 to 3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="With it, some learning rate trains every scale from 1/16 to 8 times He's: the worst best accuracy",
        value=lambda m: float(m.normalized.max(axis=1).min()),
        interval=(0.87, 1.0),
        rival=lambda m: float(m.plain.max(axis=1).min()),
        rival_of="without it",
        budget="100 steps of SGD, learning rates 0.003 to 3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Insensitive is not immune: with it, the largest weights and the lowest rate reach",
        value=lambda m: float(m.normalized[-1, 0]),
        interval=(0.0, 0.3),
        rival=lambda m: float(m.normalized[-1].max()),
        rival_of="the same weights at their best rate",
        budget="100 steps of SGD, learning rate 0.003, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Plane) -> Figure:
    figure = Figure(figsize=(4.6, 6.2))
    upper, lower = figure.subplots(2, 1, sharex=True)
    edges = (np.arange(len(RATES) + 1) - 0.5, np.arange(len(SCALES) + 1) - 0.5)
    for axes, title, plane in (
        (upper, "Without batch normalization", measured.plain),
        (lower, "With it", measured.normalized),
    ):
        axes.grid(False)
        mesh = axes.pcolormesh(
            *edges, plane, vmin=0.0, vmax=1.0, cmap="viridis", rasterized=True
        )
        axes.set_title(title)
        axes.set_yticks(
            range(len(SCALES)), ["1/16", "1/8", "1/4", "1/2", "1", "2", "4", "8"]
        )
        axes.set_ylabel("weights, in He's std")
    lower.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
    lower.set_xlabel("learning rate")
    bar = figure.colorbar(
        mesh, ax=(upper, lower), location="bottom", aspect=30, pad=0.02
    )
    bar.set_label("accuracy on the test digits")
    bar.outline.set_visible(False)
    return figure
