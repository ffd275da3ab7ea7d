r"""At a gain above 1 a deep sigmoid network learns, far more slowly than a tanh network.

Digits, hidden layers of 64 units, 200 steps of SGD with batches of 64 and learning rate 0.1, Xavier weights times a
gain of 1, 4, 7 or 10.149. For comparison, tanh with gain 1; the sigmoid minus 1/2, whose mean is 0, with gain 4; and
the gains 1 and 7 with 500 steps of Adam, learning rate 0.001. The gray curve is $\chi$, the factor per layer of the
mean square of the gradient in wide layers.

Source: the rule "four times Xavier for the sigmoid" stands in the deep learning tutorials of the LISA lab
(lisa-lab/DeepLearningTutorials, doc/mlp.txt); the integrals are those of Poole et al. (2016) and Schoenholz et al.
(2017).
"""

import statistics
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Adam

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import (
    SIGMOID,
    chi,
    fixed_variance,
    gaussian_mean,
    next_correlation,
    next_variance,
)
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

CRITICAL = 10.149
"""The gain at which chi is 1."""

GAINS = (1.0, 4.0, 7.0, CRITICAL)
SHALLOW, DEEP = 5, 20
STEPS, WIDTH, LEARNING_RATE = 200, 64, 0.1
ADAM_STEPS, ADAM_RATE = 500, 1e-3

NETWORKS = 5
"""Of tanh and of the centered sigmoid. At this rate one tanh network in ten has just
lost a part of what it learned when the steps end."""


class CenteredSigmoid(nn.Module):
    """The sigmoid minus 1/2: the same slopes, and 0 for 0."""

    def forward(self, preactivation: Tensor) -> Tensor:
        return torch.sigmoid(preactivation) - 0.5


class SigmoidGain(NamedTuple):
    """Accuracies on the test digits, then what wide sigmoid layers hold at the critical gain."""

    shallow: list[float]
    """One per gain of `GAINS`, 5 hidden layers."""

    deep: list[float]
    """One per gain of `GAINS`, 20 hidden layers."""

    deep_tanh: list[float]
    """One per network of `NETWORKS`, 20 hidden layers of tanh with gain 1."""

    deep_centered: list[float]
    """One per network of `NETWORKS`, 20 hidden layers of the sigmoid minus 1/2, gain 4."""

    deep_adam: float
    """20 hidden layers, gain 7, with `ADAM_STEPS` of Adam."""

    deep_adam_at_one: float
    """The same with gain 1."""

    chi: list[float]
    """One per gain of `GAINS`, at the fixed point of the variance."""

    saturated: float
    """At the critical gain, the part of the units with a slope below 0.01."""

    correlation: float
    """At the critical gain, the correlation of two independent inputs after 20 layers."""


def measure(seed: int = 0) -> SigmoidGain:
    variance = fixed_variance(SIGMOID, CRITICAL)
    # Mypy does not count the two trainings in the starred list.
    return SigmoidGain(  # type: ignore[call-arg]
        [_accuracy(nn.Sigmoid, SHALLOW, gain, seed) for gain in GAINS],
        [_accuracy(nn.Sigmoid, DEEP, gain, seed) for gain in GAINS],
        [
            _accuracy(nn.Tanh, DEEP, 1.0, NETWORKS * seed + network)
            for network in range(NETWORKS)
        ],
        [
            _accuracy(CenteredSigmoid, DEEP, 4.0, NETWORKS * seed + network)
            for network in range(NETWORKS)
        ],
        *[  # type: ignore[arg-type]
            _accuracy(nn.Sigmoid, DEEP, gain, seed, ADAM_STEPS, ADAM_RATE, Adam)
            for gain in (7.0, 1.0)
        ],
        [_chi(gain) for gain in GAINS],
        gaussian_mean(
            lambda xi: (SIGMOID.slope(variance**0.5 * xi) < 0.01).astype(float)
        ),
        _correlation_of_strangers(CRITICAL),
    )


def _accuracy(
    activation: type[nn.Module],
    depth: int,
    gain: float,
    seed: int,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    optimizer: type[torch.optim.Optimizer] = torch.optim.SGD,
) -> float:
    digits = load_digits()
    generator = torch.Generator().manual_seed(seed)
    widths = [64] + [WIDTH] * depth + [10]
    model = multilayer_perceptron(
        widths, activation, lambda weight: xavier_uniform_(weight, gain, generator)
    )
    train(
        model,
        digits,
        steps=steps,
        learning_rate=learning_rate,
        seed=seed,
        optimizer=optimizer,
    )
    return accuracy_on_test_digits(model, digits)


def _chi(gain: float) -> float:
    return chi(fixed_variance(SIGMOID, gain), SIGMOID, gain)


def _correlation_of_strangers(gain: float) -> float:
    correlation, variance = 0.0, gain**2
    for _ in range(DEEP):
        correlation = next_correlation(correlation, variance, SIGMOID, gain)
        variance = next_variance(variance, SIGMOID, gain)
    return correlation


CLAIMS = (
    Claim(
        statement="Five layers, gain 1: accuracy",
        value=lambda found: found.shallow[0],
        interval=(0.08, 0.2),
        rival=lambda found: found.shallow[1],
        rival_of="gain 4",
        budget="200 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Five layers, gain 4: accuracy",
        value=lambda found: found.shallow[1],
        interval=(0.59, 1.0),
        rival=lambda found: found.shallow[0],
        rival_of="gain 1",
        budget="200 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Twenty layers: the best accuracy of the four gains after 200 steps",
        value=lambda found: max(found.deep),
        interval=(0.0, 0.73),
        rival=lambda found: statistics.median(found.deep_tanh),
        rival_of="tanh",
        budget="SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Twenty layers of tanh, gain 1, same budget: median accuracy of five networks",
        value=lambda found: statistics.median(found.deep_tanh),
        interval=(0.8, 1.0),
        rival=lambda found: max(found.deep),
        rival_of="the sigmoid",
        budget="200 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Twenty layers of the sigmoid minus 1/2, gain 4, same budget: median accuracy of five networks",
        value=lambda found: statistics.median(found.deep_centered),
        interval=(0.83, 1.0),
        rival=lambda found: found.deep[1],
        rival_of="the sigmoid, gain 4",
        budget="200 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Twenty sigmoid layers, gain 7, with 500 steps of Adam: accuracy",
        value=lambda found: found.deep_adam,
        interval=(0.7, 1.0),
        rival=lambda found: max(found.deep),
        rival_of="200 steps of SGD",
        budget="learning rate 0.001, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Gain 1, with 500 steps of Adam: accuracy",
        value=lambda found: found.deep_adam_at_one,
        interval=(0.05, 0.2),
        rival=lambda found: found.deep_adam,
        rival_of="gain 7",
        budget="learning rate 0.001, batches of 64",
        reason="0.1 is guessing.",
        format=".3f",
    ),
    Claim(
        statement=r"$\chi$ at the gain 10.149",
        value=lambda found: found.chi[-1],
        interval=(0.9999, 1.0001),
        rival=lambda found: found.chi[0],
        rival_of="gain 1",
        reason=r"The only gain that keeps the mean square of the gradient in wide layers, exact to four digits.",
        format=".5f",
    ),
    Claim(
        statement="What that gain costs: part of the units with a slope below 0.01, of at most 0.25",
        value=lambda found: found.saturated,
        interval=(0.5, 0.52),
        rival=0.0,
        rival_of="units near their steepest slope",
        reason="The exact Gaussian integral.",
    ),
    Claim(
        statement="What that gain costs: correlation of two independent inputs after 20 layers",
        value=lambda found: found.correlation,
        interval=(0.98, 0.99),
        rival=0.0,
        rival_of="tanh",
        reason="The exact recursion. For tanh it stays 0; the mean 1/2 of the sigmoid is common to all inputs.",
        format=".4f",
    ),
)


def plot(measured: SigmoidGain) -> Figure:
    figure = Figure(figsize=(4.6, 5.0))
    accuracy, factor = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    tanh = statistics.median(measured.deep_tanh)
    accuracy.axhline(tanh, color="C0", linewidth=1.5, linestyle="dashed")
    accuracy.annotate(
        "tanh, 20 layers, gain 1",
        (CRITICAL, tanh),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color="C0",
    )
    centered = statistics.median(measured.deep_centered)
    accuracy.plot(4, centered, "s", color="C0")
    accuracy.annotate(
        "sigmoid minus 1/2, 20 layers",
        (4, centered),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        color="C0",
    )
    accuracy.plot(GAINS, measured.shallow, "o-", color="C2")
    accuracy.annotate(
        "sigmoid, 5 layers",
        (7, measured.shallow[2]),
        xytext=(0, -20),
        textcoords="offset points",
        ha="center",
        color="C2",
    )
    accuracy.plot(GAINS, measured.deep, "o-", color="C1")
    accuracy.annotate(
        "sigmoid, 20 layers",
        (4, measured.deep[1]),
        xytext=(0, 16),
        textcoords="offset points",
        color="C1",
    )
    accuracy.set(ylim=(0, 1.1), ylabel="accuracy on test digits")
    gains = [0.5 + 0.25 * step for step in range(43)]
    factor.plot(gains, [_chi(gain) for gain in gains], color="C5")
    factor.axhline(1, color="C5", linewidth=1, linestyle="dashed")
    factor.annotate(
        r"$\chi$ of the sigmoid",
        (5, _chi(5)),
        xytext=(-4, 8),
        textcoords="offset points",
        color="C5",
        ha="right",
    )
    factor.set(ylim=(0, 1.2), ylabel=r"$\chi$ per layer", xlabel="gain")
    factor.set_xticks(GAINS, ["1", "4", "7", "10.149"])
    return figure
