r"""Xavier lets tanh fade like $1/(2l)$ and keeps the gradient; gain 5/3 holds the variance and blows the gradient up.

100 tanh layers of 512 units at initialization, unit-variance Gaussian inputs. The loss is a random direction of the
output for each input, so that the gradient enters the last layer as noise.

Source: the exact curves are the recursions of Poole et al. (2016) and Schoenholz et al. (2017) with
$\sigma_w$ = gain and $\sigma_b$ = 0; the gain 5/3 is what torch.nn.init.calculate_gain("tanh") returns.
"""

from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import TANH, Propagation, propagate
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron
from snippets.xavier_initialization.xavier_init_pytorch import (
    calculate_gain,
    xavier_normal_,
)

DEPTH, WIDTH, BATCH = 100, 512, 16


class Network(NamedTuple):
    """One network: lists of one number per hidden layer, first layer first."""

    preactivation: list[float]
    """Mean square of z_l over units and inputs."""

    activation: list[float]
    """Mean square of h_l over units and inputs."""

    gradient: list[float]
    """Mean square of dL/dz_l in units of that of the last hidden layer."""


class TanhGain(NamedTuple):
    """Both gains, from the same generator."""

    one: Network
    """Gain 1: Xavier as Glorot and Bengio wrote it."""

    five_thirds: Network
    """Gain 5/3."""


def measure(seed: int = 0) -> TanhGain:
    return TanhGain(_network(1.0, seed), _network(calculate_gain("tanh"), seed))


def _network(gain: float, seed: int) -> Network:
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [WIDTH] * (DEPTH + 1) + [10],
        nn.Tanh,
        lambda weight: xavier_normal_(weight, gain, generator),
    )
    inputs = torch.randn(BATCH, WIDTH, generator=generator)
    direction = torch.randn(BATCH, 10, generator=generator)
    hidden = signals(model, inputs, lambda output: (output * direction).sum())[:DEPTH]
    last = rms(hidden[-1].delta)
    return Network(
        [rms(layer.preactivation) ** 2 for layer in hidden],
        [rms(layer.activation) ** 2 for layer in hidden],
        [(rms(layer.delta) / last) ** 2 for layer in hidden],
    )


def _exact(gain: float) -> Propagation:
    return propagate(TANH, gain, DEPTH, q=gain**2)


ONE, FIVE_THIRDS = _exact(1.0), _exact(5 / 3)

CLAIMS = (
    Claim(
        statement="Gain 1: mean square of the activations in layer 100",
        value=lambda found: found.one.activation[-1],
        interval=(0.0025, 0.009),
        paper="0.0050",
        rival=lambda found: found.five_thirds.activation[-1],
        rival_of="gain 5/3",
        reason="The exact recursion gives 0.0050. At 512 units it fluctuates by a fifth, and this is four of them.",
    ),
    Claim(
        statement=r"Gain 1: $1/q_l$ grows by 2 per layer (mean from layer 10 to 40)",
        value=lambda found: (
            (1 / found.one.preactivation[39] - 1 / found.one.preactivation[9]) / 30
        ),
        interval=(1.3, 3.0),
        paper="2",
        rival=0.0,
        rival_of="a variance that is kept",
        reason="$q\\mapsto q-2q^2$ to second order.",
    ),
    Claim(
        statement="Gain 1: the mean square of the gradient in layer 1, as a factor of the exact one",
        value=lambda found: found.one.gradient[0] / ONE.gradient[0],
        interval=(0.3, 5.0),
        paper="1",
        rival=lambda found: found.five_thirds.gradient[0] / ONE.gradient[0],
        rival_of="gain 5/3",
        reason="1 in the limit of infinite width. At a gain of 5/3 the factor would be some $10^8$.",
    ),
    Claim(
        statement="Gain 5/3: mean square of the preactivations, layers 20 to 100",
        value=lambda found: sum(found.five_thirds.preactivation[19:]) / 81,
        interval=(1.12, 1.24),
        paper="1.178",
        rival=lambda found: sum(found.one.preactivation[19:]) / 81,
        rival_of="gain 1",
        reason="The fixed point of the exact recursion, 1.178, within 5 %.",
    ),
    Claim(
        statement="Gain 5/3: growth of the mean square of the gradient per layer on the way back",
        value=lambda found: (
            (found.five_thirds.gradient[0] / found.five_thirds.gradient[-1])
            ** (1 / (DEPTH - 1))
        ),
        interval=(1.18, 1.23),
        paper="χ₁ = 1.210",
        rival=1.0,
        rival_of="a gain that keeps the gradient",
        reason=r"$\chi$ is 1.210 at that fixed point and less before it; a chance factor of 2 over 99 layers is 0.7 %.",
        format=".3f",
    ),
)


def plot(measured: TanhGain) -> Figure:
    figure = Figure(figsize=(4.6, 5.5))
    forward, backward = figure.subplots(2)
    layers = range(1, DEPTH + 1)
    names = (
        ("gain 1: Xavier", "C0", (-4, 12), (0, 8)),
        ("gain 5/3", "C3", (-90, 8), (12, 4)),
    )
    for network, exact, (name, colour, above, beside) in zip(
        measured, (ONE, FIVE_THIRDS), names, strict=True
    ):
        for axes, dots, curve, offset in (
            (forward, network.activation, exact.activation, above),
            (backward, network.gradient, exact.gradient, beside),
        ):
            axes.plot(layers, curve, color="C5", linewidth=1)
            axes.plot(layers[::3], dots[::3], "o", color=colour, markersize=4)
            axes.annotate(
                name,
                (28, dots[27]),
                xytext=offset,
                textcoords="offset points",
                color=colour,
            )
    forward.plot(
        layers[2:],
        [1 / (2 * layer) for layer in layers[2:]],
        color="C5",
        linewidth=1,
        linestyle="dotted",
    )
    forward.annotate(
        "$1/(2l)$", (4, 0.125), xytext=(8, 4), textcoords="offset points", color="C5"
    )
    forward.annotate(
        "0.25",
        (100, 0.25),
        xytext=(0, -13),
        textcoords="offset points",
        color="C5",
        ha="right",
    )
    forward.axhline(0.25, color="C5", linewidth=1, linestyle="dashed")
    forward.set(
        xscale="log",
        yscale="log",
        ylabel="mean square of $h_l$",
        title="Forward: activations",
    )
    forward.set_xlabel("layer $l$")
    backward.set(
        yscale="log",
        ylabel=r"mean square of $\partial\mathcal{L}/\partial z_l$",
        title="Backward: gradients, last layer = 1",
    )
    backward.set_xlabel("layer $l$")
    return figure
