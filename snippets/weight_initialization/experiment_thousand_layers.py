"""A plain ReLU network of 1,000 layers, without skips and without normalization, learns in 30 steps.

Source: Balduzzi et al. (2017), "The Shattered Gradients Problem", for mirrored ("looks linear") weights, there in
networks less deep; Saxe et al. (2014) for orthogonal ones. 1,000 layers of 128 units on the digits, SGD in float32 with
a learning rate of 0.5 / 1000; He and PyTorch's default start from the same architecture and see the same batches.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import Digits, load_digits
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)
from snippets.weight_initialization.looks_linear_pytorch import looks_linear_

DEPTH, WIDTH, STEPS = 1000, 128, 30


class Start(NamedTuple):
    """One way to initialize the 1,000 layers."""

    gradient: list[float]
    """Root mean square of dL/dz_l before training, first layer first; 0 where float32 underflows."""

    loss: list[float]
    """Cross-entropy (nats) of the batch of each step."""

    accuracy: float
    """On the test digits after the last step."""


class ThousandLayers(NamedTuple):
    """The three starts, and what puts the result into perspective."""

    mirrored: Start
    he: Start
    default: Start

    curvature_before: float
    """|f(x) + f(-x) - 2 f(0)| / |f(x) - f(-x)| over the test digits, before training: 0 for a linear map."""

    curvature_after: float
    """The same after training."""

    one_layer: float
    """Accuracy of a single linear layer, logistic regression that is, on the same digits."""


def standardized_rows(data: Digits) -> Digits:
    """Every image with mean 0 and mean square 1."""

    def standardize(inputs: np.ndarray) -> np.ndarray:
        centred = inputs - inputs.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True))

    return data._replace(
        train_inputs=standardize(data.train_inputs),
        test_inputs=standardize(data.test_inputs),
    )


@torch.no_grad()
def curvature(model: nn.Module, inputs: Tensor) -> float:
    """How far `model` is from a linear map with an offset."""
    there, back, origin = (
        model(inputs),
        model(-inputs),
        model(torch.zeros_like(inputs[:1])),
    )
    return ((there + back - 2 * origin).norm() / (there - back).norm()).item()


def measure(seed: int = 0) -> ThousandLayers:
    """Build, look at the gradient, train: three times."""
    data = standardized_rows(load_digits())
    inputs, labels = (
        torch.from_numpy(data.train_inputs[:64]),
        torch.from_numpy(data.train_labels[:64]),
    )
    test_inputs = torch.from_numpy(data.test_inputs)

    def network(initialize: Callable[[Tensor], object]) -> nn.Sequential:
        return multilayer_perceptron(
            [64] + [WIDTH] * (DEPTH - 1) + [10], nn.ReLU, initialize
        )

    def run(model: nn.Sequential) -> Start:
        layers = signals(
            model, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
        )
        losses = train(model, data, steps=STEPS, learning_rate=0.5 / DEPTH, seed=seed)
        gradient = [rms(layer.delta) for layer in layers]
        return Start(gradient, losses, accuracy_on_test_digits(model, data))

    generator = torch.Generator().manual_seed(seed)
    mirrored = network(lambda weight: weight)
    looks_linear_(mirrored, seed=seed)
    before = curvature(mirrored, test_inputs)
    mirrored_start = run(mirrored)
    he = network(
        lambda weight: nn.init.kaiming_normal_(
            weight, nonlinearity="relu", generator=generator
        )
    )
    he_start = run(he)
    default = network(
        lambda weight: nn.init.kaiming_uniform_(
            weight, a=math.sqrt(5.0), generator=generator
        )
    )
    for layer in default[::2]:
        nn.init.uniform_(
            layer.bias,
            *(sign / math.sqrt(layer.in_features) for sign in (-1, 1)),
            generator=generator,
        )
    default_start = run(default)
    one_layer = multilayer_perceptron([64, 10], nn.ReLU, nn.init.zeros_)
    train(one_layer, data, steps=400, learning_rate=0.2, seed=seed)
    return ThousandLayers(
        mirrored_start,
        he_start,
        default_start,
        before,
        curvature(mirrored, test_inputs),
        accuracy_on_test_digits(one_layer, data),
    )


CLAIMS = (
    Claim(
        statement="Mirrored: the gradient at the first layer is as large as at the last hidden one; their ratio",
        value=lambda measured: (
            measured.mirrored.gradient[0] / measured.mirrored.gradient[-2]
        ),
        interval=(0.999, 1.001),
        paper="1",
        kind="identity",
        reason="Exactly 1 for an isometry; 1,000 products in float32 leave about 1e-5.",
        format=".5f",
    ),
    Claim(
        statement="Mirrored: accuracy on the test digits after 30 steps",
        value=lambda measured: measured.mirrored.accuracy,
        interval=(0.8, 1.0),
        rival=lambda measured: measured.he.accuracy,
        rival_of="He",
        budget="SGD, learning rate 0.0005, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="He: the same ratio as a power of ten. The mean square is kept on average, the typical network loses",
        value=lambda measured: math.log10(
            measured.he.gradient[0] / measured.he.gradient[-2]
        ),
        interval=(-10.0, -0.2),
        paper="−4.2 ± 1.4",
        rival=0.0,
        rival_of="a typical network that keeps the gradient",
        reason=r"Its mean is $-5L/(4n\ln10)=-4.2$, its deviation $\sqrt{5L/n}/(2\ln10)=1.4$ (Hanin & Nica 2020): "
        "4 deviations down, 3 up.",
        format=".1f",
    ),
    Claim(
        statement="He: the largest change of the loss in the same 30 steps, in nats",
        value=lambda measured: max(measured.he.loss) - min(measured.he.loss),
        interval=(0.0, 0.1),
        rival=lambda measured: (
            max(measured.mirrored.loss) - min(measured.mirrored.loss)
        ),
        rival_of="mirrored",
        budget="SGD, learning rate 0.0005, batches of 64",
        reason="The mirrored network's falls by more than 2.",
        format=".1g",
    ),
    Claim(
        statement="He: accuracy after 30 steps",
        value=lambda measured: measured.he.accuracy,
        interval=(0.05, 0.2),
        rival=lambda measured: measured.mirrored.accuracy,
        rival_of="mirrored",
        budget="SGD, learning rate 0.0005, batches of 64",
        reason="Chance is 0.1.",
    ),
    Claim(
        statement="PyTorch's default: layers, of 1,000, that get a gradient in float32",
        value=lambda measured: sum(value > 0.0 for value in measured.default.gradient),
        interval=(90, 140),
        rival=1000,
        rival_of="a format without a smallest number",
        reason="A factor $1/\\sqrt6$ per layer reaches the smallest number, 1.4e-45, after about 115 layers.",
        format=".0f",
    ),
    Claim(
        statement="PyTorch's default: accuracy after 30 steps",
        value=lambda measured: measured.default.accuracy,
        interval=(0.05, 0.2),
        rival=lambda measured: measured.mirrored.accuracy,
        rival_of="mirrored",
        budget="SGD, learning rate 0.0005, batches of 64",
        reason="Chance is 0.1.",
    ),
    Claim(
        statement="The mirrored network starts as a linear map: its curvature before training",
        value=lambda measured: measured.curvature_before,
        interval=(0.0, 1e-4),
        kind="identity",
        reason="Exactly 0 but for the rounding of float32.",
        format=".1g",
    ),
    Claim(
        statement="Training makes it non-linear: its curvature afterwards",
        value=lambda measured: measured.curvature_after,
        interval=(0.49, 0.89),
        rival=lambda measured: measured.curvature_before,
        rival_of="before training",
        budget="30 steps of SGD, learning rate 0.0005, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="A single linear layer scores as high here: this shows that depth can be trained, not that it helps",
        value=lambda measured: measured.one_layer,
        interval=(0.93, 0.99),
        rival=0.1,
        rival_of="guessing",
        budget="400 steps of SGD, learning rate 0.2, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: ThousandLayers) -> Figure:
    """Above, the gradient over the layers before training; below, the loss over the steps."""
    figure = Figure(figsize=(4.6, 5.4))
    above, below = figure.subplots(2)
    for start, colour in (
        (measured.mirrored, "C0"),
        (measured.he, "C1"),
        (measured.default, "C3"),
    ):
        gradient = np.array(start.gradient)
        layers = np.flatnonzero(gradient > 0.0)[::10]
        above.semilogy(layers + 1, gradient[layers], color=colour)
        below.plot(range(1, len(start.loss) + 1), start.loss, color=colour)
    above.set(
        xlabel="layer",
        ylabel=r"rms of $\partial\mathcal{L}/\partial z$ at the start",
        ylim=(1e-46, 1e6),
        yticks=[1e-40, 1e-20, 1],
    )
    above.annotate("mirrored", (20, 1e1), color="C0")
    above.annotate("He", (20, 1e-12), color="C1")
    above.annotate("default, then 0", (840, 1e-36), color="C3", ha="right")
    below.set(xlabel="step of SGD", ylabel="loss in nats", ylim=(0, 3.2))
    below.annotate("He, default", (6, 2.5), color="C1")
    below.annotate("mirrored", (11, 0.9), color="C0")
    return figure
