r"""Where the gradient shrinks in every layer, training starts with a plateau that grows with depth; elsewhere it does
not.

Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", sections
3.1 and 4.2, for the sigmoid and the normalized initialization; He, Zhang, Ren & Sun (2015), "Delving Deep into
Rectifiers", section 2.2, for ReLU. Scaled down: width 64, digits, 200 steps of gradient descent, norms clipped to 1.
One network that stalls is trained once more, by 400 steps of Adam.
"""

import math
from collections.abc import Callable
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

DEPTHS = (1, 3, 5, 10)
WIDTH, CLASSES, STEPS, ADAM_STEPS = 64, 10, 200, 400


class Outcome(NamedTuple):
    """One entry per depth."""

    losses: list[float]
    """Mean training loss of the last 20 steps, nats."""

    accuracies: list[float]
    """On the test digits; 0.1 by guessing."""


class Outcomes(NamedTuple):
    """Four networks, for each number of hidden layers."""

    sigmoid: Outcome
    """Xavier, learning rate 1 (0.1 is worse)."""

    default_relu: Outcome
    """PyTorch's default scale, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), learning rate 0.1."""

    tanh: Outcome
    """Xavier, learning rate 0.1."""

    he_relu: Outcome
    """He, learning rate 0.1."""

    default_relu_adam: float
    """Test accuracy of ten layers at PyTorch's default scale after `ADAM_STEPS` of Adam, learning rate 0.001."""


Scale = Callable[[int, int], float]
"""Takes fan_in and fan_out and gives the standard deviation of the weights."""


def _xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


def _default(fan_in: int, _: int) -> float:
    return math.sqrt(1 / 3 / fan_in)


def _he(fan_in: int, _: int) -> float:
    return math.sqrt(2 / fan_in)


def _network(
    activation: type[nn.Module], std: Scale, depth: int, seed: int
) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)

    def uniform(weight: Tensor) -> None:
        bound = math.sqrt(3) * std(weight.shape[1], weight.shape[0])
        nn.init.uniform_(weight, -bound, bound, generator=generator)

    return multilayer_perceptron([64, *[WIDTH] * depth, CLASSES], activation, uniform)


def _outcome(
    activation: type[nn.Module], std: Scale, learning_rate: float, seed: int
) -> Outcome:
    digits, losses, accuracies = load_digits(), [], []
    for depth in DEPTHS:
        network = _network(activation, std, depth, seed)
        history = train(
            network,
            digits,
            steps=STEPS,
            learning_rate=learning_rate,
            seed=seed,
            clip_norm=1.0,
        )
        losses.append(sum(history[-20:]) / 20)
        accuracies.append(accuracy_on_test_digits(network, digits))
    return Outcome(losses, accuracies)


def _with_adam(seed: int) -> float:
    digits, network = load_digits(), _network(nn.ReLU, _default, DEPTHS[-1], seed)
    train(
        network,
        digits,
        steps=ADAM_STEPS,
        learning_rate=1e-3,
        seed=seed,
        optimizer=torch.optim.Adam,
    )
    return accuracy_on_test_digits(network, digits)


def measure(seed: int = 0) -> Outcomes:
    """Seventeen trainings. The seed moves weights and batches."""
    return Outcomes(
        _outcome(nn.Sigmoid, _xavier, 1.0, seed),
        _outcome(nn.ReLU, _default, 0.1, seed),
        _outcome(nn.Tanh, _xavier, 0.1, seed),
        _outcome(nn.ReLU, _he, 0.1, seed),
        _with_adam(seed),
    )


def _at(values: list[float], depth: int) -> float:
    return values[DEPTHS.index(depth)]


STUCK = (2.26, 2.35)  # ln 10 = 2.303 within 2 %

CLAIMS = (
    Claim(
        statement="Sigmoid, 3 hidden layers: test accuracy",
        value=lambda result: _at(result.sigmoid.accuracies, 3),
        interval=(0.69, 1),
        rival=lambda result: _at(result.sigmoid.accuracies, 5),
        rival_of="five layers",
        budget="200 steps of SGD, norm clipped to 1, batches of 64, learning rate 1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Sigmoid, 5 hidden layers: loss after 200 steps, in nats; $\\ln 10=2.303$ is guessing",
        value=lambda result: _at(result.sigmoid.losses, 5),
        interval=STUCK,
        rival=lambda result: _at(result.tanh.losses, 5),
        rival_of="tanh",
        budget="SGD, norm clipped to 1, learning rate 1",
        reason="$\\ln 10$ within 2 %: the output bias moves, the image is not seen.",
        format=".3f",
    ),
    Claim(
        statement="ReLU with PyTorch's default scale, 3 hidden layers: test accuracy",
        value=lambda result: _at(result.default_relu.accuracies, 3),
        interval=(0.8, 1),
        rival=lambda result: _at(result.default_relu.accuracies, 10),
        rival_of="ten layers",
        budget="200 steps of SGD, norm clipped to 1, batches of 64, learning rate 0.1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="The same, 10 hidden layers: loss after 200 steps",
        value=lambda result: _at(result.default_relu.losses, 10),
        interval=STUCK,
        rival=lambda result: _at(result.he_relu.losses, 10),
        rival_of="He",
        budget="SGD, norm clipped to 1, learning rate 0.1",
        reason="$\\ln 10$ within 2 %: no activation saturates here, the weights alone are too small.",
        format=".3f",
    ),
    Claim(
        statement="The plateau ends: the same 10 layers after 400 steps of Adam, test accuracy",
        value=lambda result: result.default_relu_adam,
        interval=(0.48, 1),
        rival=lambda result: _at(result.default_relu.accuracies, 10),
        rival_of="200 steps of SGD",
        budget="learning rate 0.001",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Tanh under Xavier, 10 hidden layers: test accuracy",
        value=lambda result: _at(result.tanh.accuracies, 10),
        interval=(0.89, 1),
        rival=lambda result: _at(result.sigmoid.accuracies, 10),
        rival_of="the sigmoid",
        budget="200 steps of SGD, norm clipped to 1, batches of 64, learning rate 0.1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="ReLU under He, 10 hidden layers: test accuracy",
        value=lambda result: _at(result.he_relu.accuracies, 10),
        interval=(0.79, 1),
        rival=lambda result: _at(result.default_relu.accuracies, 10),
        rival_of="PyTorch's default scale",
        budget="200 steps of SGD, norm clipped to 1, batches of 64, learning rate 0.1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
)


def plot(measured: Outcomes) -> Figure:
    figure = Figure(figsize=(4.6, 3.6))
    axes = figure.subplots()
    axes.axhline(math.log(CLASSES), color="C5", linewidth=1.2, linestyle=(0, (4, 2)))
    axes.annotate(
        "guessing, ln 10",
        (1, math.log(CLASSES)),
        (0, 5),
        textcoords="offset points",
        color="C5",
    )
    lines = (
        (measured.sigmoid, "C1", "o-", "sigmoid, Xavier", (0.8, 1.35)),
        (measured.default_relu, "C2", "o--", "ReLU, PyTorch's default", (5.3, 1.65)),
        (measured.tanh, "C0", "o-", "tanh, Xavier", (6.8, -0.08)),
        (measured.he_relu, "C2", "o-", "ReLU, He", (6.8, 0.34)),
    )
    for outcome, color, style, words, place in lines:
        axes.plot(DEPTHS, outcome.losses, style, color=color, markersize=5)
        axes.text(*place, words, color=color, va="center")
    axes.set(
        xlabel="hidden layers",
        ylabel="training loss after 200 steps (nats)",
        xticks=DEPTHS,
        yticks=(0, 0.5, 1, 1.5, 2),
        ylim=(-0.25, 2.6),
    )
    return figure
