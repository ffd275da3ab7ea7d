r"""The gradient of the activations vanishes towards the input; that of the weights need not.

Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", equation
14 and figure 8. Scaled down: 10 hidden layers of width 256 on digits, weights $U(-1/\sqrt n,\,1/\sqrt n)$ (the paper's
"standard initialization") or Xavier.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import TANH, propagate
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron

DEPTH, WIDTH, EXAMPLES, CLASSES = 10, 256, 256, 10


class Chain(NamedTuple):
    """Hidden layers, the first one first."""

    deltas: list[float]
    """Root mean square of dL/dz_l over units and digits."""

    weight_gradients: list[float]
    """Root mean square of dL/dW_l over its entries."""


class Chains(NamedTuple):
    """The same loss at four networks."""

    linear: Chain
    """No activation, standard initialization."""

    tanh: Chain
    """Standard initialization."""

    deep_tanh: Chain
    """As `tanh`, with 20 hidden layers."""

    sigmoid: Chain
    """Xavier initialization."""

    predicted_tanh: float
    """deltas[0] / deltas[-1] of `tanh` in wide layers: the product of sqrt(chi) over layers 1 to 9."""


def _chain(activation: type[nn.Module], nvar: float, depth: int, seed: int) -> Chain:
    """Uniform weights of variance nvar / fan_in, zero biases."""
    digits = load_digits()
    inputs = torch.from_numpy(digits.train_inputs[:EXAMPLES]).double()
    labels = torch.from_numpy(digits.train_labels[:EXAMPLES])
    generator = torch.Generator().manual_seed(seed)

    def standard(weight: torch.Tensor) -> None:
        bound = math.sqrt(3 * nvar / weight.shape[1])
        nn.init.uniform_(weight, -bound, bound, generator=generator)

    network = multilayer_perceptron(
        [inputs.shape[1], *[WIDTH] * depth, CLASSES], activation, standard
    ).double()
    layers = signals(
        network, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
    )[:depth]
    return Chain(
        [rms(layer.delta) for layer in layers],
        [rms(layer.weight_gradient) for layer in layers],
    )


def measure(seed: int = 0) -> Chains:
    """One backward pass per network, in float64."""
    theory = propagate(
        TANH, math.sqrt(1 / 3), DEPTH, q=1 / 3
    )  # the inputs have mean square 1
    return Chains(
        _chain(nn.Identity, 1 / 3, DEPTH, seed),
        _chain(nn.Tanh, 1 / 3, DEPTH, seed),
        _chain(nn.Tanh, 1 / 3, 2 * DEPTH, seed),
        _chain(nn.Sigmoid, 1.0, DEPTH, seed),
        math.sqrt(theory.gradient[0]),
    )


def spread(values: list[float]) -> float:
    return max(values) / min(values)


CLAIMS = (
    Claim(
        statement="Linear network: $\\partial\\mathcal L/\\partial W$ is equally large in all layers, "
        "largest over smallest",
        value=lambda result: spread(result.linear.weight_gradients),
        interval=(1, 1.35),
        rival=lambda result: result.linear.deltas[-1] / result.linear.deltas[0],
        rival_of="the ratio of $\\partial\\mathcal L/\\partial z$",
        paper="equal (eq. 14)",
        reason="1 in expectation.",
    ),
    Claim(
        statement="The same network: $\\partial\\mathcal L/\\partial z$, first layer over last",
        value=lambda result: result.linear.deltas[0] / result.linear.deltas[-1],
        interval=(0.0063, 0.0081),
        paper="1/(81√3) = 0.0071",
        rival=1.0,
        rival_of="equal in all layers",
        source="Equation 13.",
        reason="$3^{-9/2}=0.00713$ from equation 13 with $n\\operatorname{Var}W=1/3$.",
    ),
    Claim(
        statement="Tanh: $\\partial\\mathcal L/\\partial W$, largest over smallest",
        value=lambda result: spread(result.tanh.weight_gradients),
        interval=(1, 1.35),
        rival=lambda result: result.tanh.deltas[-1] / result.tanh.deltas[0],
        rival_of="the ratio of $\\partial\\mathcal L/\\partial z$",
        paper="flat (fig. 8)",
        reason="1 in the linear regime, where tanh with small weights works.",
    ),
    Claim(
        statement="Tanh: $\\partial\\mathcal L/\\partial z$, first layer over last, in units of the theory's",
        value=lambda result: (
            result.tanh.deltas[0] / result.tanh.deltas[-1] / result.predicted_tanh
        ),
        interval=(0.88, 1.12),
        paper="1",
        rival=lambda result: 3**-4.5 / result.predicted_tanh,
        rival_of="a linear network",
        source="Schoenholz et al. (2017).",
        reason="Theory's is the product of nine $\\sqrt\\chi$.",
    ),
    Claim(
        statement="Ten more tanh layers: the flat line of $\\partial\\mathcal L/\\partial W$ sinks by this factor",
        value=lambda result: (
            result.deep_tanh.weight_gradients[9] / result.tanh.weight_gradients[9]
        ),
        interval=(0.0025, 0.007),
        paper="1/243 = 0.0041",
        rival=1.0,
        rival_of="a level that does not depend on depth",
        source="Equation 14.",
        reason="The factor $(n\\operatorname{Var}W)^{d/2}$ gives $3^{-5}=0.0041$ for ten layers.",
    ),
    Claim(
        statement="Sigmoid under Xavier: $\\partial\\mathcal L/\\partial W$ shrinks as well, per layer by",
        value=lambda result: (
            (result.sigmoid.weight_gradients[1] / result.sigmoid.weight_gradients[-1])
            ** (1 / 8)
        ),
        interval=(0.21, 0.29),
        paper="√χ₁ = 0.236",
        source="Schoenholz et al. (2017).",
        rival=1.0,
        rival_of="a flat line, as for tanh",
        reason="Activations stay near 1/2, so $\\partial\\mathcal L/\\partial W$ follows "
        "$\\partial\\mathcal L/\\partial z$: 0.236.",
    ),
)


def plot(measured: Chains) -> Figure:
    figure = Figure(figsize=(4.6, 5.2))
    upper, lower = figure.subplots(2, sharex=True, sharey=True)
    layers = range(1, DEPTH + 1)
    panels = (
        (upper, measured.tanh, "tanh, standard initialization", (1, 1e-4), (5, 2e-7)),
        (lower, measured.sigmoid, "sigmoid, Xavier", (1, 3e-6), (5, 2e-9)),
    )
    for axes, chain, title, of_weights, of_preactivations in panels:
        axes.plot(layers, chain.weight_gradients, "o-", color="C0", markersize=4)
        axes.plot(layers, chain.deltas, "o-", color="C1", markersize=4)
        axes.text(*of_weights, r"weights, $\partial\mathcal{L}/\partial W$", color="C0")
        axes.text(
            *of_preactivations,
            r"preactivations, $\partial\mathcal{L}/\partial z$",
            color="C1",
        )
        axes.set(yscale="log", ylabel="rms of the gradient", title=title)
    lower.set(xlabel="hidden layer, counted from the input", xticks=layers)
    return figure
