"""Equal weights stay equal: the layer keeps rank 1. Small noise breaks the symmetry, hundreds of steps later.

Source: Goodfellow, Bengio & Courville (2016), "Deep Learning", section 8.4, for the need to break symmetry; the
experiment is ours. A network of 64-32-32-10 ReLU units on the digits, SGD, float64, so that equal means equal.
"""

import statistics
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

WIDTH, STEPS, MORE = 32, 300, 700


class Symmetry(NamedTuple):
    """One entry per way to start: zeros, a constant, the constant with noise, Xavier."""

    accuracy: dict[str, float]
    """On the test digits, after training."""

    spectrum: dict[str, list[float]]
    """Singular values of the second layer's weight after training, over the largest; all 0 if the weight is 0."""

    zero_weight_gradient: float
    """Largest absolute value of any weight gradient of the network that starts at zero."""

    noise_later: float
    """Accuracy of the network from the constant with noise: the median of three looks up to `MORE` further steps."""


def measure(seed: int = 0) -> Symmetry:
    """Train one network per way to start."""
    data = load_digits()
    data = data._replace(
        train_inputs=data.train_inputs.astype("float64"),
        test_inputs=data.test_inputs.astype("float64"),
    )
    generator = torch.Generator().manual_seed(seed)
    starts = {
        "zeros": lambda weight: weight.zero_(),
        "constant": lambda weight: weight.fill_(0.1),
        "constant + noise": lambda weight: weight.fill_(0.1).add_(
            torch.randn(weight.shape, generator=generator), alpha=1e-3
        ),
        "Xavier": lambda weight: nn.init.xavier_uniform_(weight, generator=generator),
    }
    accuracy, spectrum, zero_weight_gradient, noise_later = {}, {}, 0.0, 0.0
    for name, start in starts.items():

        def initialize(weight: Tensor, start=start) -> None:
            with torch.no_grad():
                start(weight)

        model = multilayer_perceptron(
            [64, WIDTH, WIDTH, 10], nn.ReLU, initialize
        ).double()
        train(model, data, steps=STEPS, learning_rate=0.3, seed=seed)
        if name == "zeros":
            zero_weight_gradient = max(
                layer.weight.grad.abs().max().item() for layer in model[::2]
            )
        singular_values = torch.linalg.svdvals(model[2].weight.detach())
        spectrum[name] = (
            singular_values / singular_values[0].clamp(min=1e-300)
        ).tolist()
        accuracy[name] = accuracy_on_test_digits(model, data)
        if name == "constant + noise":
            looks = []
            for steps in (MORE - 100, 50, 50):
                train(
                    model,
                    data,
                    steps=steps,
                    learning_rate=0.3,
                    seed=seed + 1000 * (1 + len(looks)),
                )
                looks.append(accuracy_on_test_digits(model, data))
            noise_later = statistics.median(
                looks
            )  # at this rate a network loses ground for some steps now and then
    return Symmetry(accuracy, spectrum, zero_weight_gradient, noise_later)


CLAIMS = (
    Claim(
        statement="Started from zeros, no weight ever gets a gradient; only the last bias does",
        value=lambda measured: measured.zero_weight_gradient,
        interval=(0.0, 0.0),
        kind="identity",
        reason="Exact: every gradient of a weight has a factor that is zero.",
    ),
    Claim(
        statement="Started from a constant, the hidden layer keeps rank 1: its second singular value over its first",
        value=lambda measured: measured.spectrum["constant"][1],
        interval=(0.0, 1e-14),
        kind="identity",
        budget="300 steps of SGD, learning rate 0.3, batches of 64",
        reason="Equal rows get equal gradients. What is left is rounding: float64 has a relative precision of 2e-16.",
        format=".1g",
    ),
    Claim(
        statement="So all units of a layer act as one; accuracy on the test digits after 300 steps",
        value=lambda measured: measured.accuracy["constant"],
        interval=(0.08, 0.33),
        rival=lambda measured: measured.accuracy["Xavier"],
        rival_of="Xavier",
        budget="SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="From the constant with noise of 1 %, few directions have grown: singular values above a tenth of "
        "the largest, of 32",
        value=lambda measured: sum(
            value > 0.1 for value in measured.spectrum["constant + noise"]
        ),
        interval=(1, 5),
        rival=lambda measured: sum(
            value > 0.1 for value in measured.spectrum["Xavier"]
        ),
        rival_of="Xavier",
        budget="300 steps of SGD, learning rate 0.3, batches of 64",
        reason="The layer started from Xavier has 26 to 28.",
        format=".0f",
    ),
    Claim(
        statement="And it learns more slowly; accuracy with noise over accuracy with Xavier",
        value=lambda measured: (
            measured.accuracy["constant + noise"] / measured.accuracy["Xavier"]
        ),
        interval=(0.11, 0.85),
        rival=1.0,
        rival_of="noise that is as good a start",
        budget="300 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The symmetry does break, later: accuracy with noise after 900, 950 and 1,000 steps, the median",
        value=lambda measured: measured.noise_later,
        interval=(0.75, 1.0),
        rival=lambda measured: measured.accuracy["constant + noise"],
        rival_of="after 300 steps",
        budget="SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Started from Xavier, the same network learns; accuracy",
        value=lambda measured: measured.accuracy["Xavier"],
        interval=(0.9, 1.0),
        rival=lambda measured: measured.accuracy["constant"],
        rival_of="a constant",
        budget="300 steps of SGD, learning rate 0.3, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Symmetry) -> Figure:
    """Singular values of the second layer, one line per way to start."""
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    labels = {"constant": (4, 1e-14), "constant + noise": (4, 2e-5), "Xavier": (4, 4)}
    for (name, place), colour in zip(labels.items(), ("C1", "C2", "C0"), strict=True):
        values = [max(value, 1e-17) for value in measured.spectrum[name]]
        axes.semilogy(range(1, WIDTH + 1), values, "o-", markersize=3, color=colour)
        axes.annotate(
            f"{name}: accuracy {measured.accuracy[name]:.2f}", place, color=colour
        )
    axes.set(
        xlabel="index of the singular value",
        ylabel="relative to the largest",
        ylim=(1e-18, 3e3),
    )
    return figure
