"""How PyTorch clips and steps: its column on the page of differences, each cell measured, each line of code run."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from snippets.exploding_gradients.clip_gradients_pytorch import clip_by_global_norm_
from tests.toolbox.measures import MeasureTests, PyTorchMeasures, number
from tests.toolbox.tables import TOOLBOX, differences

pytestmark = pytest.mark.usefixtures("seeded_pytorch")


def after_one_batch() -> torch.optim.SGD:
    """An optimizer of one weight that holds the gradient 3 of a batch."""
    weight = torch.ones(1, requires_grad=True)
    (3.0 * weight).sum().backward()
    return torch.optim.SGD([weight])


ROWS = differences("clipping", "optimizers")
NAMES = {"torch": torch, "nn": nn, "partial": partial, "after_one_batch": after_one_batch}
NAMES |= {"w": torch.ones(2, requires_grad=True)}
MEASURES = PyTorchMeasures(ROWS, NAMES)
row = MEASURES.row


def trained(weight: float, gradients: list[float], optimizer: Callable, rates: tuple[float, ...] = ()) -> float:
    """The weight after a step for each of the gradients; `optimizer` takes the list of parameters."""
    parameter = torch.tensor([weight], requires_grad=True)
    stepping = optimizer([parameter])
    for step, gradient in enumerate(gradients):
        if rates:
            stepping.param_groups[0]["lr"] = rates[step]
        parameter.grad = torch.tensor([gradient])
        stepping.step()
    return parameter.item()


@row("gradients of two batches", "after_one_batch()")
def accumulated(make):
    optimizer = make()
    (weight,) = optimizer.param_groups[0]["params"]
    (4.0 * weight).sum().backward()
    return {7.0: "add up", 4.0: "replace each other"}[weight.grad.item()]


@row("clipping by norm, the obvious name: `clip_grad_norm_`, `clipnorm`", "nn.utils.clip_grad_norm_")
def clip_norm(make):
    return {(0.6, 0.8): "all tensors together", (1.0, 1.0): "each tensor by itself"}[clipped(make(), 3.0, 4.0)]


def clipped(clip, *gradients: float) -> tuple[float, ...]:
    parameters = [torch.zeros(1, requires_grad=True) for _ in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor([gradient])
    clip(parameters, 1.0)
    return tuple(round(parameter.grad.item(), 4) for parameter in parameters)


@row("step at the limit 1, a row of an embedding looked up twice, `global_clipnorm`", "nn.utils.clip_grad_norm_")
def embedding_step(make):
    layer = nn.Embedding(4, 2)
    (100.0 * layer(torch.tensor([1, 1])).sum()).backward()
    make()(layer.parameters(), 1.0)
    return number(layer.weight.grad.norm(), ".3g")


@row("one Inf among the gradients, clipped by the global norm", "nn.utils.clip_grad_norm_")
def infinite(make):
    gradients = clipped(make(), float("inf"), 1.0, 2.0)
    return {1: "one NaN, the rest 0", 3: "all NaN"}[int(np.isnan(gradients).sum())]


@row("SGD: learning rate", "torch.optim.SGD")
def sgd_rate(make):
    return number(round(-trained(0.0, [1.0], make()), 6))


@row("RMSprop: learning rate", "torch.optim.RMSprop")
def rmsprop_rate(make):
    return number(round(-trained(0.0, [1.0], partial(make(), alpha=0.0)), 6))


@row("Adagrad: learning rate", "torch.optim.Adagrad")
def adagrad_rate(make):
    return number(round(-trained(0.0, [1e6], make()), 6))


@row("Adagrad: first sum of squares", "torch.optim.Adagrad")
def adagrad_sum(make):
    # One step of rate 1: g / sqrt(sum + g²)
    step = -trained(0.0, [1.0], partial(make(), lr=1.0))
    return number(abs(round(1 / step**2 - 1, 4)))


@row("RMSprop: memory of the squares", "torch.optim.RMSprop")
def rmsprop_memory(make):
    step = -trained(0.0, [1.0], partial(make(), lr=1.0))
    return number(round(1 - 1 / step**2, 4))


@row("Adam: ε", "torch.optim.Adam")
def adam_eps(make):
    step = -trained([0.0], [[1e-8]], partial(make(), lr=1.0))
    return number(1e-8 / step - 1e-8, ".3g")


@row("Adam: gradient that ε halves in the first step", "torch.optim.Adam")
def adam_halved(make):
    """The step is lr g / (g + x): half of lr at g = x."""
    step = -trained([0.0], [[1e-7]], partial(make(), lr=1.0))
    return number(1e-7 / step - 1e-7, ".3g")


@row("RMSprop: where ε is added", "partial(torch.optim.RMSprop, lr=1.0, alpha=0.0, eps=1.0)")
def rmsprop_eps(make):
    step = -trained(0.0, [1.0], make())
    return {0.5: "to the root", 0.7071: "under the root"}[round(step, 4)]


@row("`weight_decay` of Adam", "torch.optim.Adam([w], lr=0.1, weight_decay=0.5)")
def adam_decay(make):
    """Weights of 2 and 4 without gradient: each a whole step of Adam, 0.1, or 0.1 times 0.5 of itself."""
    optimizer = make()
    (weight,) = optimizer.param_groups[0]["params"]
    weight.data.copy_(torch.tensor([2.0, 4.0]))
    weight.grad = torch.zeros(2)
    optimizer.step()
    steps = tuple(round(step, 4) for step in (torch.tensor([2.0, 4.0]) - weight.detach()).tolist())
    return {(0.1, 0.1): "is added to the gradient", (0.1, 0.2): "shrinks the weight"}[steps]


@row("AdamW: weight decay", "torch.optim.AdamW")
def adamw_decay(make):
    weight = trained(1.0, [0.0], partial(make(), lr=1.0))
    return number(round(1 - weight, 4))


@row("momentum, when the learning rate changes", "partial(torch.optim.SGD, momentum=0.5)")
def momentum(make):
    weight = -trained(0.0, [1.0, 0.0], partial(make(), lr=1.0), rates=(1.0, 0.1))
    return {1.05: "old gradients at the new rate", 1.5: "old steps as they were"}[round(weight, 4)]


class TestMeasures(MeasureTests):
    measures = MEASURES


def test_our_clipping_raises_an_error_at_an_inf():
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.tensor([float("inf")])
    with pytest.raises(FloatingPointError):
        clip_by_global_norm_([parameter], 1.0, error_if_nonfinite=True)


def test_the_constants_in_the_text():
    text = (TOOLBOX / "framework-differences.md").read_text(encoding="utf-8")
    weight = 1 / (1 - 0.999) ** 0.5
    assert f"$1/\\sqrt{{1-\\beta_2}}=$ {weight:.1f} times" in text
    assert f"below\n{weight * 1e-7:.0e}".replace("e-0", "e-") in text
    assert f"PyTorch {'.'.join(torch.__version__.split('.')[:2])}, " in text
