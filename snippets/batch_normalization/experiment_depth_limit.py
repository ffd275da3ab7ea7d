"""A plain ReLU network with batch normalization learns the less in 80 steps the deeper it is; one with skips learns.

Source: Yang et al. (2019), section 4 and figure 2: networks deeper than about 50 layers are untrainable, whatever the
batch size, near $16\\xi$ with $\\xi=1/\\ln\\chi$ and $\\chi$ the growth of squared gradients per layer. Scaled down:
width 64, 80 steps on batches of 64 digits, learning rate 0.1, He initialization. The deepest network is trained once
more by Adam, learning rate 0.001, whose steps do not follow the size of the gradient.
"""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import batch_norm_chi_relu
from snippets.laboratory.signals import signals
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

WIDTH, BATCH, STEPS, RATE, ADAM_RATE = 64, 64, 80, 0.1, 1e-3
DEPTHS = (10, 20, 35, 50)
CHI = batch_norm_chi_relu(BATCH)
DEPTH_SCALE = 16 / math.log(CHI)


class Residual(nn.Module):
    """h + W relu(BN(h)), the skip connection of He et al. (2016) with the normalization first."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        linear = nn.utils.skip_init(nn.Linear, WIDTH, WIDTH, bias=False)
        nn.init.kaiming_normal_(linear.weight, generator=generator)
        self.branch = nn.Sequential(nn.BatchNorm1d(WIDTH), nn.ReLU(), linear)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.branch(hidden)


class Depths(NamedTuple):
    ratios: np.ndarray
    """Gradient norm of the first weight matrix over that of the last hidden one, before training, per depth."""

    ratio_after_a_step: float
    """The same for the greatest depth after one step of training."""

    ratio_after_adam: float
    """The same for the greatest depth after `STEPS` of Adam."""

    plain: np.ndarray
    """Accuracy on the test digits after training, with their statistics as one batch, per depth."""

    residual: float
    """The same for the greatest depth with skip connections."""

    adam: float
    """The same for the greatest depth after `STEPS` of Adam, without skips."""


def measure(seed: int = 0) -> Depths:
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs[:BATCH]),
        torch.from_numpy(digits.train_labels[:BATCH]),
    )
    ratios, accuracies = [], []

    def ratio(model: nn.Module) -> float:
        layers = signals(
            model, inputs, lambda output: nn.functional.cross_entropy(output, labels)
        )
        return (
            layers[0].weight_gradient.norm() / layers[-2].weight_gradient.norm()
        ).item()

    for depth in DEPTHS:
        generator = torch.Generator().manual_seed(seed)
        model = multilayer_perceptron(
            [64] + [WIDTH] * depth + [10],
            lambda: nn.Sequential(nn.BatchNorm1d(WIDTH), nn.ReLU()),
            lambda weight, generator=generator: nn.init.kaiming_normal_(
                weight, generator=generator
            ),
        )
        ratios.append(ratio(model))
        if depth == DEPTHS[-1]:
            stepped = copy.deepcopy(model)
            train(
                stepped,
                digits,
                steps=1,
                learning_rate=RATE,
                seed=seed,
                batch_size=BATCH,
            )
            ratio_after_a_step = ratio(stepped)
            by_adam = copy.deepcopy(model)
            train(
                by_adam,
                digits,
                steps=STEPS,
                learning_rate=ADAM_RATE,
                seed=seed,
                batch_size=BATCH,
                optimizer=torch.optim.Adam,
            )
            ratio_after_adam = ratio(by_adam)
            adam = accuracy_on_test_digits(by_adam, digits)
        train(
            model, digits, steps=STEPS, learning_rate=RATE, seed=seed, batch_size=BATCH
        )
        accuracies.append(accuracy_on_test_digits(model, digits))
    generator = torch.Generator().manual_seed(seed)
    first, _, last = multilayer_perceptron(
        [64, WIDTH, 10],
        nn.Identity,
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    blocks = (Residual(generator) for _ in range(DEPTHS[-1]))
    residual = nn.Sequential(first, *blocks, nn.BatchNorm1d(WIDTH), last)
    train(
        residual, digits, steps=STEPS, learning_rate=RATE, seed=seed, batch_size=BATCH
    )
    return Depths(
        np.array(ratios),
        ratio_after_a_step,
        ratio_after_adam,
        np.array(accuracies),
        accuracy_on_test_digits(residual, digits),
        adam,
    )


CLAIMS = (
    Claim(
        statement="Growth of the gradient norm per layer before training, from depth 20 to 50",
        value=lambda m: float((m.ratios[-1] / m.ratios[DEPTHS.index(20)]) ** (1 / 30)),
        interval=(1.16, 1.29),
        rival=1.0,
        rival_of="gradients that keep their size",
        reason="$\\sqrt\\chi=1.222$ for batches of 64 and wide layers.",
        paper="√χ",
        format=".3f",
    ),
    Claim(
        statement="50 layers: gradient norm of the first layer over the last, before training over after one step",
        value=lambda m: float(m.ratios[-1]) / m.ratio_after_a_step,
        interval=(20, 4e5),
        rival=1.0,
        rival_of="an explosion that lasts",
        budget="one step of SGD, learning rate 0.1, batches of 64",
        reason="1 if the explosion lasted.",
        format=",.0f",
    ),
    Claim(
        statement="The same, before training over after 80 steps of Adam: there the explosion lasts",
        value=lambda m: float(m.ratios[-1]) / m.ratio_after_adam,
        interval=(0.1, 15),
        rival=lambda m: float(m.ratios[-1]) / m.ratio_after_a_step,
        rival_of="one step of SGD",
        budget="learning rate 0.001, batches of 64",
        reason="Adam's steps have one size in all layers, so none makes the first weights a hundred times as long.",
        format=".2g",
    ),
    Claim(
        statement="Accuracy with 10 layers",
        value=lambda m: float(m.plain[DEPTHS.index(10)]),
        interval=(0.8, 1.0),
        rival=lambda m: float(m.plain[-1]),
        rival_of="50 layers",
        budget="80 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Accuracy with 50 layers after 80 steps",
        value=lambda m: float(m.plain[-1]),
        interval=(0.0, 0.45),
        rival=lambda m: m.residual,
        rival_of="50 layers with skips",
        budget="SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="untrainable beyond about 50 (fig. 2)",
    ),
    Claim(
        statement="And after 80 steps of Adam",
        value=lambda m: m.adam,
        interval=(0.0, 0.3),
        rival=lambda m: m.residual,
        rival_of="50 layers with skips, SGD",
        budget="learning rate 0.001, batches of 64",
        reason="0.1 is guessing.",
        paper="untrainable with RMSProp too (fig. 2c)",
    ),
    Claim(
        statement="Accuracy with 50 layers and skip connections",
        value=lambda m: m.residual,
        interval=(0.85, 1.0),
        rival=lambda m: float(m.plain[-1]),
        rival_of="the same without skips",
        budget="80 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Depths) -> Figure:
    figure = Figure(figsize=(4.6, 4.8))
    upper, lower = figure.subplots(2, 1, sharex=True)
    depths = np.array(DEPTHS)
    upper.semilogy(depths, CHI ** ((depths - 1) / 2), color="C5", linestyle="--")
    upper.annotate(
        "√χ per layer",
        (26, CHI**14.5),
        (0, 4),
        textcoords="offset points",
        color="C5",
        ha="right",
    )
    upper.semilogy(depths, measured.ratios, color="C1", marker="o")
    upper.set_ylabel("gradient norm,\nfirst / last layer")
    lower.axvline(DEPTH_SCALE, color="C5", linestyle="--")
    lower.annotate(
        "16/ln χ", (DEPTH_SCALE, 0.62), (4, 0), textcoords="offset points", color="C5"
    )
    lower.plot(depths, measured.plain, color="C0", marker="o")
    lower.annotate("plain", (21, 0.6), color="C0", ha="right")
    lower.plot(depths[-1], measured.residual, color="C2", marker="s", linestyle="none")
    lower.annotate(
        "with skips",
        (DEPTHS[-1], measured.residual),
        (4, -18),
        textcoords="offset points",
        color="C2",
        ha="right",
    )
    lower.set(xlabel="hidden layers", ylabel="accuracy", ylim=(0, 1.1))
    return figure
