"""One batch finds the gain of any activation, and keeps 20 layers at variance 1, which a table of gains may not.

Source: Mishkin & Matas (2016), "All you need is a good init", algorithm 1. 20 layers of 256 units; the batch that
initializes has 512 rows, the one that is measured is another.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.training import multilayer_perceptron
from snippets.weight_initialization.init_weights_pytorch import GAINS
from snippets.weight_initialization.lsuv_pytorch import lsuv_

WIDTH, DEPTH, ROWS = 256, 20, 512


class Lsuv(NamedTuple):
    """Variances of the preactivations, first layer first, on a batch that was not used to initialize."""

    tanh_gains: list[float]
    """1 over the factor that LSUV divided by, from the second layer on."""

    gelu_lsuv: list[float]
    """20 layers of GELU initialized by LSUV."""

    gelu_table: list[float]
    """The same network with the exact gain of GELU in every layer, also in the first, as a table of gains is used."""


@torch.no_grad()
def variances(model: nn.Sequential, inputs: Tensor) -> list[float]:
    found, h = [], inputs
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            found.append(h.var(correction=0).item())
    return found


def measure(seed: int = 0) -> Lsuv:
    """Initialize with one batch, measure with another."""
    generator = torch.Generator().manual_seed(seed)

    def network(activation: type[nn.Module]) -> nn.Sequential:
        def he_like(weight: Tensor) -> None:
            nn.init.normal_(
                weight, std=GAINS["gelu"] / math.sqrt(WIDTH), generator=generator
            )

        return multilayer_perceptron([WIDTH] * (DEPTH + 1), activation, he_like)

    batch, other = torch.randn(2, ROWS, WIDTH, generator=generator)
    # Another seed than that of the batch, or the weights would be made of the very numbers in it.
    tanh = lsuv_(network(nn.Tanh), batch, seed=seed + 1000).reached
    table = network(nn.GELU)
    lsuv_network = network(nn.GELU)
    lsuv_(lsuv_network, batch, seed=seed + 1000)
    return Lsuv(
        [1.0 / divisor for divisor in list(tanh.values())[1:]],
        variances(lsuv_network, other),
        variances(table, other),
    )


CLAIMS = (
    Claim(
        statement="The gain that LSUV finds for tanh, mean over 19 layers; exact integral 1.5925",
        value=lambda measured: sum(measured.tanh_gains) / len(measured.tanh_gains),
        interval=(1.576, 1.609),
        rival=5 / 3,
        rival_of="PyTorch's gain",
        reason="$1/\\sqrt{\\mathbb E[\\tanh^2]}$ within 1 %.",
        format=".4f",
    ),
    Claim(
        statement="GELU with LSUV: the variance on another batch that is furthest from 1",
        value=lambda measured: max(
            measured.gelu_lsuv, key=lambda variance: abs(math.log(variance))
        ),
        interval=(0.69, 1.46),
        paper="1 ± 0.1",
        rival=lambda measured: measured.gelu_table[-1],
        rival_of="the gain of the table",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="GELU with its exact gain of 1.53 in all 20 layers: the variance of the last one",
        value=lambda measured: measured.gelu_table[-1],
        interval=(10.0, 150.0),
        rival=1.0,
        rival_of="a gain that holds the variance",
        reason="The gain keeps a variance of 1 but repels others: the first layer, which no GELU precedes, "
        "starts at 2.35, and from there it grows.",
    ),
)


def plot(measured: Lsuv) -> Figure:
    """Variances over the layers for GELU."""
    figure = Figure()
    axes = figure.subplots()
    layers = range(1, DEPTH + 1)
    axes.semilogy(layers, measured.gelu_table, "o-", color="C1")
    axes.semilogy(layers, measured.gelu_lsuv, "o-", color="C0")
    axes.annotate("GELU's exact gain in each layer", (2, 15), color="C1")
    axes.annotate("LSUV: one batch, one pass", (2, 0.55), color="C0")
    axes.set(xlabel="layer", ylabel="variance of the preactivations", ylim=(0.3, 200))
    axes.set_xticks(range(0, DEPTH + 1, 5))
    return figure
