"""In 400 steps on batches of 2 a batch-normalized network hardly learns; layer normalization sees no batch.

Source: Wu & He (2018), "Group Normalization", section 1 and figure 1: the error of batch normalization rises as the
batch shrinks, on ImageNet, from 32 down to 2 images. Scaled down: 3 layers of 64 ReLU units, 400 steps on the digits,
learning rate 0.05.
"""

import copy
import statistics
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
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

DEPTH, WIDTH, STEPS, RATE = 3, 64, 400, 0.05
NETWORKS = 5
"""With batches of 2, where one training tells little: the claims are about their median."""
BATCH_SIZES = (2, 4, 8, 32)


class Accuracies(NamedTuple):
    """On the test digits, one entry per batch size, in evaluation mode."""

    batch_norm: np.ndarray
    """For batches of 2 the median of `NETWORKS` networks."""

    layer_norm: np.ndarray

    twos_by_batch: float
    """These networks with the statistics of all test digits as one batch, the median."""

    pairs: float
    """Largest difference of an output of batch normalization from +1 or -1, for batches of 2 and ε = 0."""


def measure(seed: int = 0) -> Accuracies:
    pair = torch.randn(
        2, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    outputs = nn.functional.batch_norm(pair, None, None, training=True, eps=1e-30)
    twos = [
        accuracies(nn.BatchNorm1d, 2, NETWORKS * seed + network)
        for network in range(NETWORKS)
    ]
    running, by_batch = (
        statistics.median(column) for column in zip(*twos, strict=True)
    )
    more = [accuracies(nn.BatchNorm1d, size, seed)[0] for size in BATCH_SIZES[1:]]
    return Accuracies(
        np.array([running, *more]),
        np.array([accuracies(nn.LayerNorm, size, seed)[0] for size in BATCH_SIZES]),
        by_batch,
        (outputs.abs() - 1).abs().max().item(),
    )


def accuracies(
    norm: Callable[[int], nn.Module], batch_size: int, seed: int
) -> tuple[float, float]:
    """In evaluation mode, and in training mode on all test digits at once."""
    generator, digits = torch.Generator().manual_seed(seed), load_digits()
    model = multilayer_perceptron(
        [64] + [WIDTH] * DEPTH + [10],
        lambda: nn.Sequential(norm(WIDTH), nn.ReLU()),
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    train(
        model, digits, steps=STEPS, learning_rate=RATE, seed=seed, batch_size=batch_size
    )
    by_batch = accuracy_on_test_digits(copy.deepcopy(model), digits)
    return accuracy_on_test_digits(model.eval(), digits), by_batch


CLAIMS = (
    Claim(
        statement="Batches of 2: accuracy with batch normalization, median of five networks",
        value=lambda m: float(m.batch_norm[0]),
        interval=(0.03, 0.68),
        rival=lambda m: float(m.layer_norm[0]),
        rival_of="layer normalization",
        budget="400 steps of SGD, learning rate 0.05",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The running statistics are not to blame: the same with the statistics of all test digits",
        value=lambda m: m.twos_by_batch,
        interval=(0.06, 0.68),
        rival=lambda m: float(m.layer_norm[0]),
        rival_of="layer normalization",
        budget="400 steps of SGD, learning rate 0.05",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Batches of 2: with layer normalization",
        value=lambda m: float(m.layer_norm[0]),
        interval=(0.71, 1.0),
        paper="10.6 % less error",
        source="Wu & He (2018), abstract: ResNet-50 on ImageNet with batches of 2, with group normalization. "
        "Ours is a small network, which batches of 2 hurt more.",
        rival=lambda m: float(m.batch_norm[0]),
        rival_of="batch normalization",
        budget="400 steps of SGD, learning rate 0.05",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Batches of 32: with batch normalization",
        value=lambda m: float(m.batch_norm[-1]),
        interval=(0.93, 1.0),
        rival=lambda m: float(m.batch_norm[0]),
        rival_of="batches of 2",
        budget="400 steps of SGD, learning rate 0.05",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The reason: of two values only their order is left, so every output is +1 or −1 but for",
        value=lambda m: m.pairs,
        interval=(0.0, 1e-12),
        kind="identity",
        reason="The mean of two numbers lies in their middle, one deviation from both. Rounding, where they are close.",
        format=".0e",
    ),
)


def plot(measured: Accuracies) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot(BATCH_SIZES, measured.layer_norm, color="C2", marker="s")
    axes.plot(BATCH_SIZES, measured.batch_norm, color="C0", marker="o")
    axes.annotate(
        "layer normalization",
        (2, measured.layer_norm[0]),
        (0, 9),
        textcoords="offset points",
        color="C2",
    )
    axes.annotate("batch normalization", (2.6, 0.42), color="C0")
    axes.set_xscale("log", base=2)
    axes.set_xticks(BATCH_SIZES, [str(size) for size in BATCH_SIZES])
    axes.set(
        xlabel="batch size", ylabel="accuracy on the test digits", ylim=(0.0, 1.15)
    )
    return figure
