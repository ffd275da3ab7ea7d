r"""A NaN needs no explosion: five expressions with finite inputs give a gradient that is no number.

Source: IEEE 754, under which 0 times infinity and infinity minus infinity are NaN; PyTorch's documentation of
`torch.where`, whose branches both get a gradient. Ours: each expression at one point where all its inputs are finite,
and the same written so that the gradient is finite too.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim

LARGEST_GAP = 120

Expression = Callable[[Tensor], Tensor]


class Case(NamedTuple):
    """One expression, in float32."""

    point: list[float]
    """Its input."""

    naive: Expression
    cured: Expression


CASES = {
    "sqrt at 0": Case(
        [0.0], lambda x: (x * x).sqrt(), lambda x: (x * x + 1e-12).sqrt()
    ),
    "norm of zeros": Case(
        [0.0, 0.0],
        lambda x: x / x.square().sum().sqrt(),
        lambda x: x / (x.square().sum() + 1e-12).sqrt(),
    ),
    "p ln p at 0": Case(
        [0.0, 1.0], lambda p: -(p * p.log()), lambda p: -(p * (p + 1e-12).log())
    ),
    "where around sqrt": Case(
        [-1.0, 4.0],
        lambda x: torch.where(x > 0, x.sqrt(), 0.0),
        lambda x: torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0.0),
    ),
    "row masked throughout": Case(
        [0.3, -0.2],
        lambda x: (x + torch.tensor([-math.inf, -math.inf])).softmax(0),
        lambda x: x.masked_fill(
            torch.tensor([True, True]), torch.finfo(x.dtype).min
        ).softmax(0),
    ),
}


class Gradients(NamedTuple):
    naive: dict[str, list[float]]
    """Gradient of the sum of each expression."""

    cured: dict[str, list[float]]

    first_bad_gradient: int
    """Smallest whole gap between two logits at which -ln softmax, written out, has a gradient that is not finite."""

    first_bad_loss: int
    """The same for the loss itself."""

    log_softmax: int
    """Gaps up to 120 at which `log_softmax` has a loss or a gradient that is not finite."""

    losses: list[float]
    """-ln softmax written out, one per gap from 0 to 120."""


def _gradient(expression: Expression, point: list[float]) -> list[float]:
    x = torch.tensor(point, requires_grad=True)
    return torch.autograd.grad(expression(x).sum(), x)[0].tolist()


def _loss(gap: int, of: Expression) -> tuple[float, bool]:
    """The loss of the class that is `gap` behind, and whether its gradient is finite."""
    logits = torch.tensor([0.0, -float(gap)], requires_grad=True)
    loss = of(logits)[1]
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.item(), bool(gradient.isfinite().all())


def measure() -> Gradients:
    """Exact: nothing is drawn."""
    written_out = [
        _loss(gap, lambda x: -x.softmax(0).log()) for gap in range(LARGEST_GAP + 1)
    ]
    stable = [
        _loss(gap, lambda x: -nn.functional.log_softmax(x, 0))
        for gap in range(LARGEST_GAP + 1)
    ]
    return Gradients(
        {name: _gradient(case.naive, case.point) for name, case in CASES.items()},
        {name: _gradient(case.cured, case.point) for name, case in CASES.items()},
        next(gap for gap, (_, finite) in enumerate(written_out) if not finite),
        next(gap for gap, (loss, _) in enumerate(written_out) if loss == math.inf),
        sum(not (math.isfinite(loss) and finite) for loss, finite in stable),
        [loss for loss, _ in written_out],
    )


def bad(gradients: dict[str, list[float]]) -> int:
    """Expressions with a gradient that is not finite."""
    return sum(not all(map(math.isfinite, gradient)) for gradient in gradients.values())


CLAIMS = (
    Claim(
        statement="Of five expressions with finite inputs: those with a gradient that is not finite",
        value=lambda result: bad(result.naive),
        interval=(5, 5),
        rival=lambda result: bad(result.cured),
        rival_of="the same, written with care",
        reason="$\\sqrt{x^2}$ and $x/\\lVert x\\rVert$ at 0, $p\\ln p$ at 0, a square root behind `torch.where`, and a "
        "softmax over a row to which $-\\infty$ is added throughout.",
        format="g",
    ),
    Claim(
        statement="The same, written with care: those with a gradient that is not finite",
        value=lambda result: bad(result.cured),
        interval=(0, 0),
        rival=lambda result: bad(result.naive),
        rival_of="the expressions as they are",
        reason="A small constant under the root and in the logarithm, `torch.where` inside too, and the least finite "
        "number in the place of $-\\infty$.",
        format="g",
    ),
    Claim(
        statement="$-\\ln\\mathrm{softmax}$ written out, float32: its gradient is not finite from this gap of the "
        "logits on",
        value=lambda result: result.first_bad_gradient,
        interval=(89, 89),
        rival=lambda result: result.first_bad_loss,
        rival_of="the gap at which the loss is Inf",
        reason="$1/p$ passes the largest number, 3.4e38, where $p\\lt e^{-88.7}$.",
        format="g",
    ),
    Claim(
        statement="And the loss itself is Inf from this gap on",
        value=lambda result: result.first_bad_loss,
        interval=(104, 104),
        rival=lambda result: result.first_bad_gradient,
        rival_of="the gap at which the gradient fails",
        reason="$e^{-103.97}$ is half the least positive number and rounds to 0.",
        format="g",
    ),
    Claim(
        statement="`log_softmax`: gaps up to 120 at which loss or gradient is not finite",
        value=lambda result: result.log_softmax,
        interval=(0, 0),
        rival=lambda result: LARGEST_GAP + 1 - result.first_bad_gradient,
        rival_of="written out",
        reason="It subtracts the largest logit and takes no logarithm of a small number.",
        format="g",
    ),
)


def plot(measured: Gradients) -> Figure:
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    finite = [loss for loss in measured.losses if math.isfinite(loss)]
    axes.plot(range(len(finite)), finite, color="C0")
    axes.axvline(measured.first_bad_gradient, color="C1", linestyle="dashed")
    axes.axvline(measured.first_bad_loss, color="C2", linestyle="dashed")
    axes.text(86, 20, "gradient Inf or NaN", color="C1", ha="right")
    axes.text(106, 20, "loss Inf", color="C2")
    axes.set(xlabel="gap between two logits", ylabel="loss, softmax written out")
    axes.set(xlim=(0, LARGEST_GAP + 10), ylim=(0, 120))
    return figure
