r"""Xavier keeps the signal both ways; a third of its variance loses both, three times its weights blow the gradient up.

20 tanh layers of 512 units at initialization, $n\operatorname{Var}W$ = 1/3, 1 and 9, unit-variance Gaussian inputs. The
loss is a random direction of the output for each input, so that the gradient enters the last layer as noise.

Source: Glorot & Bengio (2010), section 4.2.1, equations 8 to 11 and 15, and figures 6 and 7, there with 5 layers on
images; the exact curves are the recursions of Schoenholz et al. (2017), "Deep information propagation".
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import TANH, Propagation, propagate
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron
from snippets.xavier_initialization.xavier_init_pytorch import xavier_uniform_

DEPTH, WIDTH, BATCH = 20, 512, 64
OLD, XAVIER, LARGE = 1 / 3, 1.0, 9.0


class Network(NamedTuple):
    """One network: lists of one number per hidden layer, first layer first."""

    activation: list[float]
    """Root mean square of h_l over units and inputs."""

    gradient: list[float]
    """Root mean square of dL/dz_l in units of that of the last hidden layer."""


class BothDirections(NamedTuple):
    """The three networks, from the same generator."""

    old: Network
    """n Var W = 1/3."""

    xavier: Network
    """n Var W = 1."""

    large: Network
    """n Var W = 9."""


def measure(seed: int = 0) -> BothDirections:
    return BothDirections(
        *(_network(variance, seed) for variance in (OLD, XAVIER, LARGE))
    )


def _network(variance: float, seed: int) -> Network:
    generator = torch.Generator().manual_seed(seed)
    model = multilayer_perceptron(
        [WIDTH] * (DEPTH + 1) + [10],
        nn.Tanh,
        lambda w: xavier_uniform_(w, math.sqrt(variance), generator),
    )
    inputs = torch.randn(BATCH, WIDTH, generator=generator)
    direction = torch.randn(BATCH, 10, generator=generator)
    hidden = signals(model, inputs, lambda output: (output * direction).sum())[:DEPTH]
    last = rms(hidden[-1].delta)
    return Network(
        [rms(layer.activation) for layer in hidden],
        [rms(layer.delta) / last for layer in hidden],
    )


def _exact(variance: float) -> Propagation:
    return propagate(TANH, math.sqrt(variance), DEPTH, q=variance)


def _gradient_over_exact(network: Network, variance: float) -> float:
    return network.gradient[0] / math.sqrt(_exact(variance).gradient[0])


CLAIMS = (
    Claim(
        statement=r"With $n\operatorname{Var}W=1/3$ activations keep $1/\sqrt3$ of their scale per layer",
        value=lambda found: (
            (found.old.activation[-1] / found.old.activation[9]) ** (1 / 10)
        ),
        interval=(0.56, 0.595),
        rival=1.0,
        rival_of="a scale that keeps the signal",
        reason=r"$\sqrt{n\operatorname{Var}W}$ in the linear regime, layers 10 to 20; five times the spread.",
        paper="n Var W = 1/3",
        source="Glorot & Bengio (2010), equations 5 and 15.",
        format=".4f",
    ),
    Claim(
        statement="So does the gradient on the way back",
        value=lambda found: (
            (found.old.gradient[9] / found.old.gradient[-1]) ** (1 / 10)
        ),
        interval=(0.56, 0.595),
        rival=1.0,
        rival_of="a scale that keeps the gradient",
        reason="The same factor, since all layers have the same width.",
        paper="n Var W = 1/3",
        source="Glorot & Bengio (2010), equations 13 and 15.",
        format=".4f",
    ),
    Claim(
        statement="Under Xavier the activations of layer 20 have the scale of the exact recursion",
        value=lambda found: (
            found.xavier.activation[-1] / math.sqrt(_exact(XAVIER).activation[-1])
        ),
        interval=(0.88, 1.12),
        paper="1",
        source="Schoenholz et al. (2017), the recursions.",
        rival=lambda found: (
            found.old.activation[-1] / math.sqrt(_exact(XAVIER).activation[-1])
        ),
        rival_of="$n\\operatorname{Var}W=1/3$",
        reason="1 in the limit of infinite width.",
    ),
    Claim(
        statement="Under Xavier the first layer still gets its share of the gradient: measured over exact",
        value=lambda found: _gradient_over_exact(found.xavier, XAVIER),
        interval=(0.75, 1.3),
        paper="1",
        source="Schoenholz et al. (2017), the recursions.",
        rival=lambda found: _gradient_over_exact(found.old, XAVIER),
        rival_of="$n\\operatorname{Var}W=1/3$",
        reason="1 in the limit of infinite width.",
    ),
    Claim(
        statement=r"With $n\operatorname{Var}W=9$ the gradient grows on its way to layer 1: measured over exact",
        value=lambda found: _gradient_over_exact(found.large, LARGE),
        interval=(0.8, 1.25),
        paper="1",
        source="Schoenholz et al. (2017), the recursions.",
        rival=lambda found: _gradient_over_exact(found.xavier, LARGE),
        rival_of="Xavier",
        reason="1 in the limit of infinite width.",
    ),
)


def plot(measured: BothDirections) -> Figure:
    figure = Figure(figsize=(4.6, 5.2))
    forward, backward = figure.subplots(2, sharex=True)
    layers = range(1, DEPTH + 1)
    styles = (
        ("$n$ Var $W$ = 1/3", "C1", (6, 4), (6, -14)),
        ("1: Xavier", "C0", (0, -16), (0, -16)),
        ("9", "C3", (0, 6), (0, 6)),
    )
    networks = zip(measured, (OLD, XAVIER, LARGE), styles, strict=True)
    for network, variance, (name, colour, above, below) in networks:
        exact = _exact(variance)
        for axes, dots, curve, offset in (
            (forward, network.activation, exact.activation, above),
            (backward, network.gradient, exact.gradient, below),
        ):
            axes.plot(
                layers, [math.sqrt(value) for value in curve], color="C5", linewidth=1
            )
            axes.plot(layers, dots, "o", color=colour, markersize=4)
            axes.annotate(
                name,
                (10, dots[9]),
                color=colour,
                xytext=offset,
                textcoords="offset points",
            )
    forward.set(
        yscale="log",
        ylim=(3e-6, 8),
        ylabel="rms of $h_l$",
        title="Forward: activations",
    )
    backward.set(
        yscale="log",
        ylabel=r"rms of $\partial\mathcal{L}/\partial z_l$",
        title="Backward: gradients, last layer = 1",
    )
    backward.set_xlabel("layer $l$")
    backward.set_xticks([1, 5, 10, 15, 20])
    return figure
