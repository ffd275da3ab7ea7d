"""A ReLU layer multiplies the mean square by $n\\operatorname{Var}[W]/2$: He 1, Xavier 1/2, PyTorch's default 1/6.

Source: He, Zhang, Ren & Sun (2015), section 2.2, equation 8, for the factor; PyTorch's documentation of
`torch.nn.Linear` for the default, uniform on $(-1/\\sqrt n,1/\\sqrt n)$ for weights and biases.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.he_initialization.he_init_pytorch import kaiming_normal_
from snippets.laboratory.claim import Claim

WIDTH, DEPTH, ROWS, NETWORKS = 512, 20, 64, 3


class Signals(NamedTuple):
    """Geometric means over the networks, shape (DEPTH + 1,), from the input to the last layer."""

    he: np.ndarray
    """Mean square over units and inputs, after each ReLU."""

    he_without_relu: np.ndarray
    """The same in a network without ReLU."""

    xavier: np.ndarray
    """With ReLU; at equal widths Xavier's variance is 1/n."""

    default: np.ndarray
    """With ReLU, nn.Linear as it is: random biases included."""

    default_across_inputs: np.ndarray
    """Variance over the inputs, averaged over units: the part that knows the input."""

    one_layer: float
    """Mean square after one nn.Linear(64, 64) with He weights, default biases and no ReLU; of the inputs it is 1."""


def measure(seed: int = 0) -> Signals:
    generator = torch.Generator().manual_seed(seed)

    def layer(nonlinearity: str) -> nn.Linear:
        linear = nn.utils.skip_init(nn.Linear, WIDTH, WIDTH, dtype=torch.float64)
        kaiming_normal_(linear.weight, nonlinearity=nonlinearity, generator=generator)
        nn.init.zeros_(linear.bias)
        return linear

    # The constructor of nn.Linear draws from the global generator, whose state comes back after the block.
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        he, _ = _signals(lambda: layer("relu"), torch.relu, generator)
        he_without_relu, _ = _signals(lambda: layer("relu"), lambda z: z, generator)
        xavier, _ = _signals(lambda: layer("linear"), torch.relu, generator)
        default, across = _signals(
            lambda: nn.Linear(WIDTH, WIDTH, dtype=torch.float64), torch.relu, generator
        )
        return Signals(
            he, he_without_relu, xavier, default, across, _one_layer(generator)
        )


def _signals(
    make: Callable[[], nn.Linear],
    activation: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean square and variance over the inputs, layer by layer."""
    logs = np.zeros((2, DEPTH + 1))
    for _ in range(NETWORKS):
        h = torch.randn(ROWS, WIDTH, generator=generator, dtype=torch.float64)
        for number in range(DEPTH + 1):
            if number:
                h = activation(make()(h))
            logs[:, number] += [
                h.square().mean().log().item(),
                h.var(dim=0).mean().log().item(),
            ]
    mean_square, across_inputs = np.exp(logs / NETWORKS)
    return mean_square, across_inputs


def _one_layer(generator: torch.Generator) -> float:
    squares = []
    for _ in range(100):
        linear = nn.Linear(64, 64)
        nn.init.kaiming_normal_(
            linear.weight, mode="fan_in", nonlinearity="relu", generator=generator
        )
        squares.append(
            linear(torch.randn(64, 64, generator=generator)).square().mean().item()
        )
    return float(np.mean(squares))


def _factor(values: np.ndarray, first: int = 1) -> float:
    """Geometric mean of the factor per layer, from layer `first` to the last."""
    return (values[-1] / values[first]) ** (1.0 / (DEPTH - first))


_SPREAD = "Three networks of width 512 scatter by $\\sqrt{5/(3\\cdot512\\cdot19)}$ = 1.3 % per layer; 5 % is allowed."

CLAIMS = (
    Claim(
        statement="He: factor of the mean square per ReLU layer",
        paper="1",
        source="He et al. (2015), equation 10",
        value=lambda measured: _factor(measured.he),
        interval=(0.95, 1.05),
        rival=lambda measured: _factor(measured.xavier),
        rival_of="Xavier",
        reason="$\\operatorname{Var}[W]=2/n$. " + _SPREAD,
        format=".2f",
    ),
    Claim(
        statement="Xavier: factor of the mean square per ReLU layer",
        value=lambda measured: _factor(measured.xavier),
        interval=(0.475, 0.525),
        paper="1/2",
        source="He et al. (2015), section 2.2, the comparison with Xavier: "
        "after $L$ layers $1/\\sqrt2^L$ of He's deviation.",
        rival=lambda measured: _factor(measured.he),
        rival_of="He",
        reason="$\\operatorname{Var}[W]=1/n$, half of He's.",
        format=".3f",
    ),
    Claim(
        statement="PyTorch's default: factor of the variance across inputs per ReLU layer, from the fifth on",
        value=lambda measured: _factor(measured.default_across_inputs, first=5),
        interval=(0.156, 0.178),
        rival=1 / 3,
        rival_of="$n\\operatorname{Var}[W]$ without the half that ReLU takes",
        reason="A uniform law on $(-b,b)$ has variance $b^2/3$: $\\operatorname{Var}[W]=1/(3n)$ and the factor is 1/6. "
        "Over 15 layers the scatter is 1.5 %, four times that is allowed.",
        format=".3f",
    ),
    Claim(
        statement="PyTorch's default: $n\\operatorname{E}[h^2]$ at the last layer, kept up by the biases",
        value=lambda measured: WIDTH * measured.default[-1],
        interval=(0.15, 0.25),
        rival=0.0,
        rival_of="biases of zero",
        reason="The biases add $1/(3n)$ to each $\\operatorname{E}[z^2]$; the fixed point of $q\\mapsto(q/3+1/(3n))/2$ "
        "is $0.2/n$. The units of one layer scatter it by 6 %.",
        format=".2f",
    ),
    Claim(
        statement="He without a ReLU: factor of the mean square per layer",
        value=lambda measured: _factor(measured.he_without_relu),
        interval=(1.94, 2.06),
        rival=lambda measured: _factor(measured.he),
        rival_of="with a ReLU",
        reason="$n\\operatorname{Var}[W]=2$, and no ReLU takes the half away; the scatter is 0.8 %.",
        paper="2",
        source="He et al. (2015), section 2.2, evaluated.",
        format=".2f",
    ),
    Claim(
        statement="The class of the question, `nn.Linear(64, 64)` with He and no ReLU: mean square of its output for "
        "inputs of mean square 1",
        value=lambda measured: measured.one_layer,
        interval=(1.975, 2.035),
        rival=1.0,
        rival_of="a layer that keeps the mean square",
        reason="2 from the weights and $1/(3\\cdot64)$ from the biases left random; 100 layers scatter by 0.006.",
        format=".2f",
    ),
)


def plot(measured: Signals) -> Figure:
    figure = Figure(figsize=(4.6, 4.6))
    axes = figure.subplots()
    layers = np.arange(DEPTH + 1)
    # Label, its place (layer, power of ten), colour, factor per layer.
    lines = (
        (measured.he_without_relu, "He without ReLU: × 2", (0.6, 4.9), "C3", 2.0),
        (measured.he, "He: × 1", (15.9, 0.6), "C0", 1.0),
        (measured.xavier, "Xavier: × 1/2", (6.3, -1.5), "C1", 0.5),
        (
            measured.default_across_inputs,
            "default, across inputs: × 1/6",
            (0.6, -14.3),
            "C2",
            1.0 / 6.0,
        ),
    )
    for values, label, (layer, power), color, factor in lines:
        axes.plot(
            layers, factor**layers, color="C5", linewidth=1.0, linestyle=(0, (4, 3))
        )
        axes.plot(layers, values, "o", color=color, markersize=4.5)
        axes.text(layer, 10.0**power, label, color=color, weight=600)
    axes.plot(
        layers,
        measured.default,
        "o",
        color="C2",
        markersize=4.5,
        markerfacecolor="none",
    )
    axes.text(20.3, 10.0**-2.8, "default", color="C2", weight=600, ha="right")
    axes.set(
        yscale="log",
        xlabel="layer",
        ylabel="mean square of the activations",
        ylim=(1e-17, 1e7),
    )
    axes.set_xticks(range(0, DEPTH + 1, 5))
    axes.set_yticks([10.0**power for power in range(-16, 8, 4)])
    return figure
