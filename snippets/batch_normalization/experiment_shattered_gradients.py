"""With batch normalization a deep ReLU network's gradient becomes white noise in the input; at He without it, it does
not.

Source: Balduzzi et al. (2017): networks from one number to one number, 200 ReLU units per layer, the gradient at 256
inputs between -2 and 2. Here the statistics of the batch normalization are those of the 256 inputs, held fixed while
differentiating; weights by He, no biases, means over 6 networks. One more kind is that of a public notebook which
looked for shattering without normalization and found none: weights by Xavier, random biases as large as the input's.
A last kind has no normalization and shatters: 24 layers of tanh in the chaotic phase, weights of variance 4 / fan_in.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from snippets.laboratory.claim import Claim

WIDTH, NETWORKS, LAGS = 200, 6, 40
INPUTS = np.linspace(-2.0, 2.0, 256)


class Gradients(NamedTuple):
    """Autocorrelation of dy/dx, at distances of 0 to LAGS - 1 points, and the gradient of one network."""

    plain_deep: np.ndarray
    """50 layers without normalization."""

    biased_deep: np.ndarray
    """The same with Xavier's scale and random biases."""

    normalized_shallow: np.ndarray
    """2 layers with batch normalization."""

    normalized_deep: np.ndarray
    """24 layers with batch normalization."""

    residual_deep: np.ndarray
    """50 layers with batch normalization and skip connections."""

    chaotic_tanh: np.ndarray
    """24 layers of tanh without normalization, weights of variance 4 / fan_in, biases of variance 0.05."""

    plain_switching: float
    """Part of the units in the last layer that are active for some of the inputs and inactive for others."""

    plain_example: np.ndarray
    """dy/dx of the first plain network, divided by its root mean square."""

    normalized_example: np.ndarray
    """The same of the first network of 24 layers with batch normalization."""


def measure(seed: int = 0) -> Gradients:
    plain, plain_switching = gradients(50, seed, normalized=False)
    biased, _ = gradients(50, seed, normalized=False, gain=1.0, bias=1.0)
    shallow, _ = gradients(2, seed)
    deep, _ = gradients(24, seed)
    residual, _ = gradients(50, seed, residual=True)
    chaotic, _ = gradients(
        24, seed, normalized=False, gain=2.0, bias=0.05**0.5, activation=torch.tanh
    )
    return Gradients(
        *(
            autocorrelation(rows)
            for rows in (plain, biased, shallow, deep, residual, chaotic)
        ),
        plain_switching,
        *(rows[0] / np.sqrt((rows[0] ** 2).mean()) for rows in (plain, deep)),
    )


def gradients(
    depth: int,
    seed: int,
    normalized: bool = True,
    residual: bool = False,
    gain: float = 2**0.5,
    bias: float = 0.0,
    activation: Callable[[Tensor], Tensor] = torch.relu,
) -> tuple[np.ndarray, float]:
    """dy/dx, one row per network, and the mean part of units in the last layer that switch.

    Weights have the standard deviation `gain` / sqrt(fan_in), biases `bias`.
    """
    rows, switching = [], []
    for network in range(NETWORKS):
        generator = torch.Generator().manual_seed(1000 * seed + network)

        def weight(fan_in: int, fan_out: int, generator=generator) -> Tensor:
            return (
                torch.randn(fan_in, fan_out, generator=generator, dtype=torch.float64)
                * gain
                / fan_in**0.5
            )

        x = torch.from_numpy(INPUTS)[:, None].requires_grad_()
        z = x @ weight(1, WIDTH) + bias * torch.randn(
            WIDTH, generator=generator, dtype=torch.float64
        )
        for _ in range(depth - 1):
            hidden = activation(_standardized(z) if normalized else z)
            skipped = (
                z
                if residual
                else bias * torch.randn(WIDTH, generator=generator, dtype=torch.float64)
            )
            z = hidden @ weight(WIDTH, WIDTH) + skipped
        preactivation = _standardized(z) if normalized else z
        (gradient,) = torch.autograd.grad(
            (activation(preactivation) @ weight(WIDTH, 1)).sum(), x
        )
        active = preactivation > 0
        rows.append(gradient[:, 0].numpy())
        switching.append((active.any(0) & ~active.all(0)).double().mean().item())
    return np.array(rows), float(np.mean(switching))


def _standardized(z: Tensor) -> Tensor:
    constants = z.detach()
    return (z - constants.mean(0)) / constants.std(0, correction=0)


def autocorrelation(rows: np.ndarray) -> np.ndarray:
    """Mean over the rows, each about its own mean and in units of its own variance."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = rows.shape[1]
    products = [
        (centred[:, : length - lag] * centred[:, lag:]).sum(axis=1)
        for lag in range(LAGS)
    ]
    return (np.array(products) / products[0]).mean(axis=1)


CLAIMS = (
    Claim(
        statement="Correlation of the gradients at neighboring inputs: 24 layers with batch normalization",
        value=lambda m: float(m.normalized_deep[1]),
        interval=(-0.2, 0.2),
        rival=lambda m: float(m.plain_deep[1]),
        rival_of="50 layers without normalization",
        reason="White noise gives 0 ± 0.06, for the mean of 6 networks ± 0.026.",
        paper="white noise",
    ),
    Claim(
        statement="2 layers with batch normalization",
        value=lambda m: float(m.normalized_shallow[1]),
        interval=(0.9, 1.0),
        rival=lambda m: float(m.normalized_deep[1]),
        rival_of="24 layers",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="50 layers without normalization: no shattering",
        value=lambda m: float(m.plain_deep[1]),
        interval=(0.95, 1.0),
        rival=lambda m: float(m.normalized_deep[1]),
        rival_of="24 layers with batch normalization",
        reason="Without biases the function is linear on each side of 0, so the gradient is one step.",
    ),
    Claim(
        statement="The same with Xavier's scale and random biases: none either",
        value=lambda m: float(m.biased_deep[1]),
        interval=(0.85, 1.0),
        rival=lambda m: float(m.normalized_deep[1]),
        rival_of="24 layers with batch normalization",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="50 layers with batch normalization and skip connections",
        value=lambda m: float(m.residual_deep[1]),
        interval=(0.45, 0.9),
        rival=lambda m: float(m.normalized_deep[1]),
        rival_of="24 layers without skips",
        reason="The spread over ten seeds, and its range again beyond either end.",
        paper="resistant",
    ),
    Claim(
        statement="The reason: units of the last layer that switch between the inputs, without normalization",
        value=lambda m: m.plain_switching,
        interval=(0.0, 0.1),
        rival=1.0,
        rival_of="with batch normalization",
        reason="Each layer turns the inputs of one sign towards each other. With batch normalization all "
        "switch: a unit whose mean over the inputs is 0 is positive for some of them and negative for "
        "others.",
    ),
    Claim(
        statement="Not the only way to shatter: 24 layers of tanh in the chaotic phase, without normalization",
        value=lambda m: float(m.chaotic_tanh[1]),
        interval=(-0.35, 0.2),
        rival=lambda m: float(m.plain_deep[1]),
        rival_of="ReLU at He",
        reason="Where the map of two inputs is chaotic, neighbors part in every layer.",
    ),
)


def plot(measured: Gradients) -> Figure:
    figure = Figure(figsize=(4.6, 5.6))
    upper, lower = figure.subplots(2, 1)
    upper.plot(INPUTS, measured.normalized_example, color="C1", linewidth=1)
    upper.plot(INPUTS, measured.plain_example, color="C0")
    upper.annotate("24 layers, batch normalization", (-2, 4.7), color="C1")
    upper.annotate("50 layers, plain", (0.4, -3.6), color="C0")
    upper.set(xlabel="input x", ylabel="gradient dy/dx, rms 1", ylim=(-5, 6))
    distance = np.arange(LAGS) * (INPUTS[1] - INPUTS[0])
    for color, name, curve, place in (
        ("C0", "50 layers, plain", measured.plain_deep, (0.2, 0.92)),
        ("C2", "50 with skips", measured.residual_deep, (0.07, 0.2)),
        ("C1", "24 layers", measured.normalized_deep, (0.01, -0.2)),
        ("C3", "2 layers", measured.normalized_shallow, (0.25, 0.44)),
    ):
        lower.plot(distance, curve, color=color)
        lower.annotate(name, place, color=color)
    lower.set(
        xlabel="distance between two inputs",
        ylabel="correlation of gradients",
        ylim=(-0.25, 1.15),
    )
    return figure
