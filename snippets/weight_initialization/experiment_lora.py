r"""Low-rank adapters start with one factor at zero: the model starts as it was, and learns. Two zeros get no gradient.

Source: Hu et al. (2022), "LoRA: low-rank adaptation of large language models", section 4.1: $W+BA$, $A$ Gaussian,
$B=0$. Scaled down: a network of 64-64-64-10 ReLU units trained on the digits, then adapted to the same digits upside
down by adapters of rank 4 on all three layers, 150 steps of Adam, learning rate 0.005, batches of 64.
"""

import copy
import statistics
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import Digits, load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

RANK, STEPS = 4, 150


class Adapted(nn.Module):
    """A frozen linear layer plus B A, of which A has the shape (rank, fan_in) and B (fan_out, rank)."""

    def __init__(self, linear: nn.Linear, down: Tensor, up: Tensor) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + x @ self.down.T @ self.up.T


class Course(NamedTuple):
    losses: list[float]
    """Of each step's batch, nats."""

    accuracy: float
    """On the test digits upside down, after training."""

    kept: float
    """Before training, accuracy on the test digits as they were, mean over five draws of the adapters: what is left."""

    first_gradients: tuple[float, float]
    """Norms of the gradients of all A and of all B before the first step."""


class Adapters(NamedTuple):
    before: float
    """Accuracy of the model as it is on the test digits upside down."""

    b_zero: Course

    both_zero: Course

    both_random: Course
    """A and B Gaussian with the variance 1 / fan_in each."""


def _adapted(model: nn.Sequential, kind: str, seed: int) -> nn.Sequential:
    # Not the seed of the model: the adapters would be made of the same draws.
    generator = torch.Generator().manual_seed(10_000 + seed)
    layers = []
    for layer in copy.deepcopy(model):
        if isinstance(layer, nn.Linear):
            fan_out, fan_in = layer.weight.shape
            down = torch.randn(RANK, fan_in, generator=generator) / fan_in**0.5
            up = torch.randn(fan_out, RANK, generator=generator) / RANK**0.5
            layers.append(
                Adapted(
                    layer, down * (kind != "both zero"), up * (kind == "both random")
                )
            )
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def _course(model: nn.Sequential, digits: Digits, kind: str, seed: int) -> Course:
    adapted = _adapted(model, kind, seed)
    kept = statistics.mean(
        accuracy_on_test_digits(_adapted(model, kind, seed + draw), load_digits())
        for draw in range(0, 5000, 1000)
    )
    loss = nn.functional.cross_entropy(
        adapted(torch.from_numpy(digits.train_inputs)),
        torch.from_numpy(digits.train_labels),
    )
    layers = [layer for layer in adapted if isinstance(layer, Adapted)]
    factors = [layer.down for layer in layers], [layer.up for layer in layers]
    gradients = [
        nn.utils.get_total_norm(torch.autograd.grad(loss, each, retain_graph=True))
        for each in factors
    ]
    losses = train(
        adapted,
        digits,
        steps=STEPS,
        learning_rate=0.005,
        seed=seed,
        optimizer=torch.optim.Adam,
    )
    return Course(
        losses,
        accuracy_on_test_digits(adapted, digits),
        kept,
        (gradients[0].item(), gradients[1].item()),
    )


def measure(seed: int = 0) -> Adapters:
    digits, generator = load_digits(), torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64, 64, 64, 10],
        nn.ReLU,
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    train(model, digits, steps=300, learning_rate=0.1, seed=seed)
    turned = digits._replace(
        train_inputs=digits.train_inputs[:, ::-1].copy(),
        test_inputs=digits.test_inputs[:, ::-1].copy(),
    )
    return Adapters(
        accuracy_on_test_digits(model, turned),
        *(
            _course(model, turned, kind, seed)
            for kind in ("B zero", "both zero", "both random")
        ),
    )


BUDGET = "150 steps of Adam, learning rate 0.005, batches of 64"

CLAIMS = (
    Claim(
        statement="The model as it is, on digits upside down: accuracy",
        value=lambda found: found.before,
        interval=(0.31, 0.47),
        rival=lambda found: found.b_zero.accuracy,
        rival_of="adapted",
        budget="trained by 300 steps of SGD, learning rate 0.1, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="$B=0$: accuracy after the adaptation",
        value=lambda found: found.b_zero.accuracy,
        interval=(0.88, 1.0),
        rival=lambda found: found.both_zero.accuracy,
        rival_of="$A=0$ and $B=0$",
        budget=BUDGET,
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="$B=0$: gradient of all $A$ over that of all $B$ before the first step",
        value=lambda found: (
            found.b_zero.first_gradients[0] / found.b_zero.first_gradients[1]
        ),
        interval=(0.0, 0.0),
        kind="identity",
        reason="The gradient of $A$ has the factor $B$. The first step moves $B$ alone; from the second on both learn.",
    ),
    Claim(
        statement="$A=0$ and $B=0$: gradients of both before the first step, and so at every step",
        value=lambda found: sum(found.both_zero.first_gradients),
        interval=(0.0, 0.0),
        kind="identity",
        reason="Each has the other as a factor.",
    ),
    Claim(
        statement="$A$ and $B$ random: accuracy on the digits as they were, before the first step, over "
        "that with $B=0$",
        value=lambda found: found.both_random.kept / found.b_zero.kept,
        budget="trained by 300 steps of SGD, learning rate 0.1, batches of 64",
        interval=(0.47, 0.87),
        rival=1.0,
        rival_of="a start at the model as it was",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Adapters) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    lines = (
        (measured.both_random, "C1", "A and B random", (30, 3.0)),
        (measured.both_zero, "C2", "A = B = 0", (90, 5.2)),
        (measured.b_zero, "C0", "B = 0", (32, 1.4)),
    )
    window = 5
    for course, color, words, place in lines:
        smooth = [
            sum(course.losses[step : step + window]) / window
            for step in range(STEPS - window + 1)
        ]
        axes.plot(range(window, STEPS + 1), smooth, color=color)
        axes.text(*place, words, color=color)
    axes.set(xlabel="step (each point is the mean of five)", ylabel="loss (nats)")
    axes.set(xlim=(0, STEPS), ylim=(0, None))
    return figure
