r"""On its way back through a layer, the gradient is multiplied by $\sqrt\chi$.

Source: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein (2017), "Deep information propagation", the number $\chi_1$; for
infinitely wide layers. Here 20 hidden layers of width 256 and 256 digits, without biases, one draw of the weights each.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits
from snippets.laboratory.mean_field import RELU, SIGMOID, TANH, propagate
from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron

DEPTH, WIDTH, EXAMPLES, CLASSES = 20, 256, 256, 10
ACTIVATIONS = {
    "sigmoid": (nn.Sigmoid, SIGMOID),
    "tanh": (nn.Tanh, TANH),
    "ReLU": (nn.ReLU, RELU),
}
# sigma_w = std * sqrt(fan_in) of the hidden layers, which have fan_in = fan_out = 256. Xavier gives 1 there.
SCALES = {
    "std 0.01": 0.01 * math.sqrt(WIDTH),
    "PyTorch": math.sqrt(1 / 3),
    "Xavier": 1.0,
    "He": math.sqrt(2),
}
CRITICAL_SIGMOID = 10.149


class Chain(NamedTuple):
    """One network."""

    measured: list[float]
    """Root mean square of dL/dz_l, l = 1 to 20, over units and digits."""

    predicted: list[float]
    """The same in wide layers, in units of that of layer 20: products of sqrt(chi)."""


class Factors(NamedTuple):
    """Twelve networks, and a sigmoid at the only scale that carries a gradient."""

    chains: dict[str, Chain]


def _chain(activation: str, sigma_w: float, seed: int) -> Chain:
    digits = load_digits()
    inputs = torch.from_numpy(digits.train_inputs[:EXAMPLES]).double()
    labels = torch.from_numpy(digits.train_labels[:EXAMPLES])
    generator = torch.Generator().manual_seed(seed)

    def scaled(weight: torch.Tensor) -> None:
        nn.init.normal_(
            weight, std=sigma_w / math.sqrt(weight.shape[1]), generator=generator
        )

    module, function = ACTIVATIONS[activation]
    network = multilayer_perceptron(
        [inputs.shape[1], *[WIDTH] * DEPTH, CLASSES], module, scaled
    ).double()
    layers = signals(
        network, inputs, lambda logits: nn.functional.cross_entropy(logits, labels)
    )
    theory = propagate(
        function, sigma_w, DEPTH, q=sigma_w**2 * inputs.square().mean().item()
    )
    return Chain(
        [rms(layer.delta) for layer in layers[:DEPTH]],
        [math.sqrt(square) for square in theory.gradient],
    )


def measure(seed: int = 0) -> Factors:
    """One backward pass per network, in float64."""
    wanted = [
        (activation, name, sigma_w)
        for activation in ACTIVATIONS
        for name, sigma_w in SCALES.items()
    ]
    wanted.append(("sigmoid", "critical", CRITICAL_SIGMOID))
    return Factors(
        {
            f"{activation}, {name}": _chain(activation, sigma_w, seed)
            for activation, name, sigma_w in wanted
        }
    )


def per_layer(result: Factors, network: str) -> float:
    """Geometric mean over the 19 steps from layer 20 back to layer 1."""
    deltas = result.chains[network].measured
    return (deltas[0] / deltas[-1]) ** (1 / (DEPTH - 1))


def predicted(result: Factors, network: str) -> float:
    """The same of the theory."""
    return result.chains[network].predicted[0] ** (1 / (DEPTH - 1))


def worst_error(result: Factors) -> float:
    """Of all networks, the largest relative distance of the measured factor from the predicted one."""
    return max(
        abs(per_layer(result, name) / predicted(result, name) - 1)
        for name in result.chains
    )


def _factor(
    network: str, statement: str, theory: float, rival: float, rival_of: str
) -> Claim:
    return Claim(
        statement=statement,
        value=partial(per_layer, network=network),
        interval=(round(0.97 * theory, 3), round(1.03 * theory, 3)),
        paper=f"√χ₁ = {theory:.4g}",
        rival=rival,
        rival_of=rival_of,
        reason=f"Theory says {theory:.4g}. Width 256 is not infinite: 3 % are allowed.",
        format=".4f",
    )


CLAIMS = (
    Claim(
        statement="In each of 13 networks the measured factor is the predicted one, to this relative error",
        value=worst_error,
        interval=(0, 0.04),
        paper="0",
        rival=0.41,
        rival_of="Xavier's scale for He's",
        reason="Width 256 is not infinite. Xavier for He would be 41 %.",
        format=".2%",
    ),
    _factor(
        "sigmoid, Xavier",
        "A sigmoid under Xavier keeps this part of the gradient per layer",
        0.2357,
        0.25,
        "the steepest slope, 1/4, in every unit",
    ),
    _factor(
        "ReLU, PyTorch",
        "ReLU under PyTorch's default scale keeps this part",
        math.sqrt(1 / 6),
        math.sqrt(1 / 3),
        "the weights alone, without the half that ReLU takes",
    ),
    _factor(
        "tanh, PyTorch",
        "Tanh under the same scale keeps this part",
        0.5685,
        math.sqrt(1 / 6),
        "ReLU under the same scale",
    ),
    _factor("ReLU, He", "ReLU under He keeps all", 1.0, math.sqrt(1 / 2), "Xavier"),
    Claim(
        statement="A sigmoid keeps all at a weight scale of ten times Xavier, $\\sigma_w=10.149$",
        value=partial(per_layer, network="sigmoid, critical"),
        interval=(0.95, 1.03),
        paper="1, 0.989 in these layers",
        rival=partial(per_layer, network="sigmoid, Xavier"),
        rival_of="Xavier",
        reason="Theory says 1 once the variance has settled, 0.989 in these layers.",
        format=".3f",
    ),
)

SHOWN = (
    "ReLU, He",
    "tanh, Xavier",
    "ReLU, Xavier",
    "tanh, PyTorch",
    "ReLU, PyTorch",
    "sigmoid, Xavier",
)


def plot(measured: Factors) -> Figure:
    figure = Figure(figsize=(4.6, 4.0))
    axes = figure.subplots()
    back = range(DEPTH)
    for name in SHOWN:
        deltas, theory = measured.chains[name]
        axes.plot(back, theory[::-1], color="C5", linewidth=1.2, linestyle=(0, (4, 2)))
        color = {"sigmoid": "C1", "tanh": "C0", "ReLU": "C2"}[name.partition(",")[0]]
        axes.plot(
            back,
            [delta / deltas[-1] for delta in reversed(deltas)],
            "o",
            markersize=4,
            color=color,
        )
        axes.annotate(
            name,
            (DEPTH - 1, theory[0]),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    axes.set_yscale("log")
    axes.set(
        xlabel="hidden layers that the gradient has come back through",
        ylabel=r"rms of $\partial\mathcal{L}/\partial z$, relative to the last",
        xlim=(-0.5, DEPTH + 8),
        xticks=range(0, DEPTH, 5),
    )
    return figure
