r"""A new head on a trained body: at one rate a head that is drawn too large rewrites the body, one at zero does not.

Source: Kumar et al. (2022), "Fine-tuning can distort pretrained features and underperform out-of-distribution", for the
mechanism: while the head is random, its gradients distort the body. Scaled down: a network of 64-64-64-10 ReLU units
trained on the digits 0 to 4; a new last layer for the digits 5 to 9, all layers trained, SGD with learning rate 0.2,
batches of 64. The head is zero, drawn by PyTorch's default, or from N(0, 1).
"""

import copy
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import Digits, load_digits
from snippets.laboratory.training import (
    accuracy_on_test_digits,
    multilayer_perceptron,
    train,
)

STEPS = 100
HEADS = ("zero", "default", "N(0, 1)")
SLOW = "N(0, 1), slow"
"""A tenth of the learning rate, ten times the steps."""


class Tuned(NamedTuple):
    losses: list[float]
    """Of each step's batch, nats."""

    moved: float
    """How far the features of the old digits moved in 100 steps, over their size."""

    old: float
    """Accuracy on the old digits with the old head, after training: what the body still knows."""

    accuracy: float
    """On the new digits."""

    body_gradient: float
    """Norm of the gradient of the body before the first step."""


def _half(digits: Digits, first: int) -> Digits:
    """The five classes from `first` on."""

    def part(inputs, labels):
        chosen = (labels >= first) & (labels < first + 5)
        return inputs[chosen], labels[chosen] - first

    return Digits(
        *part(digits.train_inputs, digits.train_labels),
        *part(digits.test_inputs, digits.test_labels),
    )


def _tune(
    model: nn.Sequential,
    old: Digits,
    new: Digits,
    head: str,
    seed: int,
    slower: int = 1,
) -> Tuned:
    # not the numbers that the body was drawn from
    generator = torch.Generator().manual_seed(1000 + seed)
    tuned = copy.deepcopy(model)
    last = tuned[-1]
    nn.init.zeros_(last.bias)
    if head == "zero":
        nn.init.zeros_(last.weight)
    elif head == "default":
        nn.init.uniform_(last.weight, -1 / 8, 1 / 8, generator=generator)
    else:
        nn.init.normal_(last.weight, generator=generator)
    inputs = torch.from_numpy(new.train_inputs)
    loss = nn.functional.cross_entropy(
        tuned(inputs), torch.from_numpy(new.train_labels)
    )
    body = [layer.weight for layer in tuned[:-1] if isinstance(layer, nn.Linear)]
    gradient = nn.utils.get_total_norm(torch.autograd.grad(loss, body)).item()
    losses = train(
        tuned, new, steps=STEPS * slower, learning_rate=0.2 / slower, seed=seed
    )
    with torch.no_grad():
        before = model[:-1](torch.from_numpy(old.test_inputs))
        after = tuned[:-1](torch.from_numpy(old.test_inputs))
    back = nn.Sequential(*tuned[:-1], model[-1])
    return Tuned(
        losses,
        ((after - before).norm() / before.norm()).item(),
        accuracy_on_test_digits(back, old),
        accuracy_on_test_digits(tuned, new),
        gradient,
    )


def measure(seed: int = 0) -> dict[str, Tuned]:
    digits, generator = load_digits(), torch.Generator().manual_seed(seed)
    old, new = _half(digits, 0), _half(digits, 5)
    model = multilayer_perceptron(
        [64, 64, 64, 5],
        nn.ReLU,
        lambda weight: nn.init.kaiming_normal_(weight, generator=generator),
    )
    train(model, old, steps=300, learning_rate=0.1, seed=seed)
    runs = {head: _tune(model, old, new, head, seed) for head in HEADS}
    return runs | {SLOW: _tune(model, old, new, "N(0, 1)", seed, slower=10)}


BUDGET = "100 steps of SGD, learning rate 0.2, batches of 64"

CLAIMS = (
    Claim(
        statement="Head from N(0, 1): the first loss; guessing one of five has 1.609",
        value=lambda runs: runs["N(0, 1)"].losses[0],
        interval=(2.0, 40.0),
        rival=np.log(5.0).item(),
        rival_of="guessing",
        reason="Its logits have the size of the features, times the root of 64.",
    ),
    Claim(
        statement="Head at zero: the gradient of the body before the first step",
        value=lambda runs: runs["zero"].body_gradient,
        interval=(0.0, 0.0),
        kind="identity",
        reason="It has the head as a factor: the first step moves the head alone.",
    ),
    Claim(
        statement="How far the features of the old digits move, N(0, 1) over zero",
        value=lambda runs: runs["N(0, 1)"].moved / runs["zero"].moved,
        interval=(1.15, 4.0),
        rival=1.0,
        rival_of="a head whose scale does not matter",
        budget=BUDGET,
        reason="The gradient of the body is in proportion to the head.",
    ),
    Claim(
        statement="What the body still knows: accuracy on the old digits by the old head, after a head from N(0, 1)",
        value=lambda runs: runs["N(0, 1)"].old,
        interval=(0.0, 0.74),
        rival=lambda runs: runs["zero"].old,
        rival_of="a head at zero",
        budget=BUDGET,
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="It is the head and the rate together: the same after a tenth of the rate and ten times the steps",
        value=lambda runs: runs[SLOW].old,
        interval=(0.65, 1.0),
        rival=lambda runs: runs["N(0, 1)"].old,
        rival_of="the rate 0.2",
        budget="1,000 steps of SGD, learning rate 0.02, batches of 64",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="Head at zero: accuracy on the new digits",
        value=lambda runs: runs["zero"].accuracy,
        interval=(0.93, 1.0),
        rival=0.2,
        rival_of="guessing",
        budget=BUDGET,
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
)


def plot(measured: dict[str, Tuned]) -> Figure:
    figure = Figure(figsize=(4.6, 2.9))
    axes = figure.subplots()
    rows = np.arange(len(HEADS))
    axes.barh(rows - 0.2, [measured[head].accuracy for head in HEADS], 0.36, color="C0")
    axes.barh(rows + 0.2, [measured[head].old for head in HEADS], 0.36, color="C1")
    for place, digits in ((-0.2, "new digits"), (0.2, "old digits, old head")):
        axes.text(0.02, place, digits, va="center", color=figure.get_facecolor())
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.set_yticks(rows, ["zero", "default", "N(0, 1)"])
    axes.set(xlim=(0, 1), xlabel="accuracy after 100 steps", ylabel="new head")
    return figure
