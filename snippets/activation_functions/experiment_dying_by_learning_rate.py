"""A learning rate that is too high kills ReLUs; a network of leaky ones goes on learning.

Source: the mechanism is that of Lu et al. (2020), section 1; here it is training that kills. Digits, 64-128-128-10
units, He initialization, 150 steps of Adam; a unit is dead if it is off for each of the 1,437 training digits. One
network is trained on, for 450 more steps, to see which dead units return.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.activation_functions.unit_health_pytorch import unit_health
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

RATES = (1e-3, 1e-2, 1e-1, 3e-1)
STEPS, MORE_STEPS, LONG_RATE = 150, 450, 1e-2


class Deaths(NamedTuple):
    rate: np.ndarray
    """Learning rate of Adam."""

    dead: np.ndarray
    """Fraction of dead units in the second hidden layer after training with ReLU."""

    relu: np.ndarray
    """Test accuracy with ReLU."""

    leaky: np.ndarray
    """Test accuracy with leaky ReLU of slope 0.01."""

    dead_at_start: float
    """In the second hidden layer before training."""

    returned: tuple[float, float]
    """First and second hidden layer, learning rate `LONG_RATE`: the fraction of the units dead after `STEPS` that are
    on for some digit after `MORE_STEPS` more."""


def _dead(model: nn.Sequential, inputs: Tensor) -> list[Tensor]:
    """Which units of the first and of the second hidden layer are off for all `inputs`."""
    found = []
    with torch.no_grad():
        for linear, relu in ((model[0], model[1]), (model[2], model[3])):
            inputs = relu(linear(inputs))
            found.append((inputs == 0).all(dim=0))
    return found


def _returned(seed: int) -> tuple[float, float]:
    data, generator = load_digits(), torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(data.train_inputs)
    initialize = partial(
        nn.init.kaiming_normal_, nonlinearity="relu", generator=generator
    )
    model = multilayer_perceptron([64, 128, 128, 10], nn.ReLU, initialize)
    dead = []
    for number, steps in enumerate((STEPS, MORE_STEPS)):
        train(
            model,
            data,
            steps=steps,
            learning_rate=LONG_RATE,
            seed=2 * seed + number,
            optimizer=torch.optim.Adam,
        )
        dead.append(_dead(model, inputs))
    first, second = (
        (before & ~after).sum().item() / max(before.sum().item(), 1)
        for before, after in zip(*dead, strict=True)
    )
    return first, second


def measure(seed: int = 0) -> Deaths:
    data = load_digits()
    inputs = torch.from_numpy(data.train_inputs)
    rows = []
    for rate in RATES:
        for activation in (nn.ReLU, nn.LeakyReLU):
            generator = torch.Generator().manual_seed(seed)
            initialize = partial(
                nn.init.kaiming_normal_, nonlinearity="relu", generator=generator
            )
            model = multilayer_perceptron([64, 128, 128, 10], activation, initialize)
            before = unit_health(model, inputs).reached[-1].dead
            train(
                model,
                data,
                steps=STEPS,
                learning_rate=rate,
                seed=seed,
                optimizer=torch.optim.Adam,
            )
            rows.append(
                (
                    before,
                    unit_health(model, inputs).reached[-1].dead,
                    accuracy_on_test_digits(model, data),
                )
            )
    before, dead, accuracy = np.array(rows).reshape(len(RATES), 2, 3).transpose(2, 0, 1)
    return Deaths(
        np.array(RATES),
        dead[:, 0],
        accuracy[:, 0],
        accuracy[:, 1],
        before[0, 0].item(),
        _returned(seed),
    )


CLAIMS = (
    Claim(
        statement="ReLU: dead units of the second layer at learning rate 0.001",
        value=lambda m: m.dead[0],
        interval=(0.0, 0.14),
        rival=lambda m: m.dead[-1],
        rival_of="the rate 0.3",
        budget="150 steps of Adam on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="ReLU: dead units of the second layer at learning rate 0.3",
        value=lambda m: m.dead[-1],
        interval=(0.34, 1.0),
        rival=lambda m: m.dead[0],
        rival_of="the rate 0.001",
        budget="150 steps of Adam on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="ReLU: test accuracy at learning rate 0.001",
        value=lambda m: m.relu[0],
        interval=(0.92, 1.0),
        rival=lambda m: m.relu[-1],
        rival_of="the rate 0.3",
        budget="150 steps of Adam on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="ReLU: test accuracy at learning rate 0.3",
        value=lambda m: m.relu[-1],
        interval=(0.0, 0.46),
        rival=lambda m: m.leaky[-1],
        rival_of="leaky ReLU at the same rate",
        budget="150 steps of Adam on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Leaky ReLU: test accuracy at learning rate 0.3",
        value=lambda m: m.leaky[-1],
        interval=(0.42, 1.0),
        rival=lambda m: m.relu[-1],
        rival_of="ReLU at the same rate",
        budget="150 steps of Adam on batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Learning rate 0.01: part of the dead units of the second layer that are on again 450 steps later",
        value=lambda m: m.returned[1],
        interval=(0.1, 0.95),
        rival=lambda m: m.returned[0],
        rival_of="the first layer",
        budget="Adam on batches of 64",
        reason="The first layer, which feeds them, moves.",
    ),
    Claim(
        statement="And of the first layer, whose inputs do not move",
        value=lambda m: m.returned[0],
        interval=(0.0, 0.0),
        rival=lambda m: m.returned[1],
        rival_of="the second layer",
        budget="450 more steps of Adam at that rate, batches of 64",
        reason="Its dead units get no gradient, and Adam starts the 450 steps without momentum.",
    ),
)


def plot(measured: Deaths) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogx(measured.rate, measured.leaky, "C2o-")
    axes.semilogx(measured.rate, measured.relu, "C0o-")
    axes.semilogx(measured.rate, measured.dead, "C1s--")
    axes.text(0.3, 1.02, "accuracy, leaky ReLU", color="C2", ha="right", va="bottom")
    axes.text(0.0011, 0.86, "accuracy, ReLU", color="C0", va="top")
    axes.text(0.0011, 0.15, "dead units, ReLU", color="C1", va="bottom")
    axes.set(xlabel="learning rate of Adam", ylabel="fraction", ylim=(0, 1.15))
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.minorticks_off()
    return figure
