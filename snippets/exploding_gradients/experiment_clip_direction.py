"""Clipping by the global norm keeps the direction; by value, or array by array, it turns. What it bounds is up to the
optimizer.

Source: Pascanu, Mikolov & Bengio (2013), for clipping by the norm. The Gaussian curve is the integral
$\\mathbb E[g\\,c(g)]/\\sqrt{\\mathbb E[c(g)^2]}$ of normal gradients $g$ with unit variance, cut by $c$ to a limit.
Ours: the gradient of a ReLU network with three hidden layers of 128 at He initialization, 256 digits.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.exploding_gradients.clip_gradients_numpy import (
    clip_by_global_norm,
    clip_by_value,
    global_norm,
)
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import gaussian_mean
from snippets.laboratory.training import multilayer_perceptron

LIMITS = np.logspace(-3, 1.5, 46)
STEPS, RATE = 40, 1e-3


class Cosines(NamedTuple):
    """Cosine of the angle between the gradient before and after clipping, one per limit."""

    limits: np.ndarray
    """By value: in root mean squares of the gradient. By norm: in its global norms."""

    by_global_norm: np.ndarray

    by_array_norm: np.ndarray
    """Each array by itself, as the option `clipnorm` of Keras does; limits in mean norms of the arrays."""

    by_value: np.ndarray

    gaussian: np.ndarray
    """By value, normal gradients: exact."""

    momentum_step: float
    """Longest step of SGD with momentum 0.9, in units of the learning rate times the limit."""

    adam_steps: tuple[float, float]
    """Mean step of Adam in learning rates: not clipped, and clipped to a thousandth of the first norm. The longest is
    the first, which is one learning rate for each weight whatever the gradient is."""


def measure(seed: int = 0) -> Cosines:
    gradients = _gradients(seed)
    norm = global_norm(gradients)
    unit = norm / math.sqrt(sum(gradient.size for gradient in gradients))
    mean_norm = float(np.mean([global_norm([gradient]) for gradient in gradients]))
    by_array = [
        [
            clip_by_global_norm([gradient], limit * mean_norm)[0][0]
            for gradient in gradients
        ]
        for limit in LIMITS
    ]
    return Cosines(
        LIMITS,
        np.array(
            [
                _cosine(gradients, clip_by_global_norm(gradients, limit * norm)[0])
                for limit in LIMITS
            ]
        ),
        np.array([_cosine(gradients, clipped) for clipped in by_array]),
        np.array(
            [
                _cosine(gradients, clip_by_value(gradients, limit * unit))
                for limit in LIMITS
            ]
        ),
        np.array([gaussian_cosine(limit) for limit in LIMITS]),
        max(_steps(partial(torch.optim.SGD, lr=RATE, momentum=0.9), norm / 1000, seed))
        / (RATE * norm / 1000),
        tuple(
            sum(_steps(partial(torch.optim.Adam, lr=RATE), limit, seed)) / STEPS / RATE
            for limit in (math.inf, norm / 1000)
        ),
    )


def _network(seed: int) -> tuple[nn.Sequential, Callable[[], Tensor]]:
    """A network and its loss on 256 digits."""
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [64, 128, 128, 128, 10],
        nn.ReLU,
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    ).double()
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs[:256]).double(),
        torch.from_numpy(digits.train_labels[:256]),
    )
    return model, lambda: nn.functional.cross_entropy(model(inputs), labels)


def _gradients(seed: int) -> list[np.ndarray]:
    model, loss = _network(seed)
    return [
        gradient.numpy()
        for gradient in torch.autograd.grad(loss(), list(model.parameters()))
    ]


def _steps(
    optimizer: Callable[..., torch.optim.Optimizer], limit: float, seed: int
) -> list[float]:
    """Lengths of `STEPS` steps, the gradient clipped to this global norm."""
    model, loss = _network(seed)
    update, lengths = optimizer(model.parameters()), []
    for _ in range(STEPS):
        before = nn.utils.parameters_to_vector(model.parameters()).detach()
        update.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), limit)
        update.step()
        after = nn.utils.parameters_to_vector(model.parameters()).detach()
        lengths.append((after - before).norm().item())
    return lengths


def _cosine(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    product = sum(
        float((one * other).sum()) for one, other in zip(first, second, strict=True)
    )
    return product / global_norm(first) / global_norm(second)


def gaussian_cosine(limit: float) -> float:
    """Exact up to quadrature, for normal gradients of unit variance cut to [-limit, limit]."""
    product = math.erf(
        limit / math.sqrt(2.0)
    )  # Stein: E[g c(g)] = E[c'(g)] = P(|g| < limit)
    beyond = math.erfc(limit / math.sqrt(2.0))
    density = math.exp(-0.5 * limit**2) / math.sqrt(2.0 * math.pi)
    return product / math.sqrt(product - 2.0 * limit * density + limit**2 * beyond)


CLAIMS = (
    Claim(
        statement="By the global norm: the smallest cosine over all limits",
        value=lambda cosines: cosines.by_global_norm.min(),
        interval=(1 - 1e-12, 1 + 1e-12),
        kind="identity",
        reason="Exact: all arrays are multiplied by one positive number. The rest is rounding in float64.",
        format=".12f",
    ),
    Claim(
        statement="By value, the smallest limit: the cosine for normal gradients",
        value=lambda cosines: cosines.gaussian[0],
        interval=(math.sqrt(2 / math.pi) - 1e-3, math.sqrt(2 / math.pi) + 1e-3),
        rival=1.0,
        rival_of="clipping that keeps the direction",
        reason="A limit near zero leaves the signs alone: $\\mathbb E|g|/\\sqrt{\\mathbb "
        "E[g^2]}=\\sqrt{2/\\pi}=0.798$.",
        format=".4f",
    ),
    Claim(
        statement="By value, the smallest limit: the cosine for the gradient of the network",
        value=lambda cosines: cosines.by_value[0],
        interval=(0.35, 0.7),
        rival=math.sqrt(2 / math.pi),
        rival_of="normal gradients",
        reason="Real gradients have heavier tails than a normal distribution, so it is below 0.798.",
    ),
    Claim(
        statement="Array by array, the smallest limit: the cosine for the gradient of the network",
        value=lambda cosines: cosines.by_array_norm[0],
        interval=(0.65, 0.9),
        rival=1.0,
        rival_of="clipping that keeps the direction",
        reason="Every array gets the same length, whatever it had. Weights and biases differ in length.",
    ),
    Claim(
        statement="SGD with momentum 0.9, clipped: the longest of 40 steps, in units of the learning rate times the "
        "limit",
        value=lambda cosines: cosines.momentum_step,
        interval=(9.0, 10.0),
        rival=1.0,
        rival_of="SGD without momentum",
        budget="learning rate 0.001",
        reason="Without momentum it is 1. With it $1/(1-0.9)=10$ is the bound, which a gradient of constant "
        "direction approaches: "
        "$10\\,(1-0.9^{40})=9.85$.",
    ),
    Claim(
        statement="Adam, clipped to a thousandth of the first norm: its mean step over that without clipping",
        value=lambda cosines: cosines.adam_steps[1] / cosines.adam_steps[0],
        interval=(1.22, 1.46),
        rival=0.001,
        rival_of="an optimizer whose step is in proportion to the gradient",
        budget="40 steps, learning rate 0.001",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The largest distance of the Gaussian curve from its integral by quadrature",
        value=lambda cosines: max(
            abs(cosine - _quadrature(limit))
            for limit, cosine in zip(cosines.limits, cosines.gaussian, strict=True)
        ),
        interval=(0.0, 2e-3),
        kind="identity",
        reason="Two ways to the same numbers; the kinks at the limit cost the quadrature some accuracy.",
        format=".1e",
    ),
)


def _quadrature(limit: float) -> float:
    cut = lambda g: np.clip(g, -limit, limit)  # noqa: E731
    return gaussian_mean(lambda g: g * cut(g)) / math.sqrt(
        gaussian_mean(lambda g: cut(g) ** 2)
    )


def plot(cosines: Cosines) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    axes.semilogx(
        cosines.limits,
        cosines.gaussian,
        color="C5",
        linestyle=(0, (4, 3)),
        linewidth=1.4,
    )
    axes.semilogx(cosines.limits, cosines.by_value, color="C1")
    axes.semilogx(cosines.limits, cosines.by_array_norm, color="C3")
    axes.semilogx(cosines.limits, cosines.by_global_norm, color="C0", linewidth=3)
    axes.text(1.3e-3, 1.02, "by the global norm", color="C0", weight=600, va="bottom")
    axes.text(
        1.3e-3,
        cosines.by_array_norm[0] - 0.015,
        "array by array",
        color="C3",
        weight=600,
        va="top",
    )
    axes.text(
        1.3e-3, cosines.by_value[0] - 0.02, "by value", color="C1", weight=600, va="top"
    )
    axes.text(
        1.3e-3,
        cosines.gaussian[0] + 0.01,
        "by value,\nnormal gradients",
        color="C5",
        va="bottom",
    )
    axes.set(
        xlabel="limit, in units of the gradient",
        ylabel="cosine with the gradient",
        ylim=(0.3, 1.12),
    )
    return figure
