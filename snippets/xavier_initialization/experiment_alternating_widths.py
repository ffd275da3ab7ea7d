r"""Where widths alternate, Xavier loses both signals; $1/n_\text{in}$ loses neither.

20 linear layers that change between 1024 and 256 units, unit-variance Gaussian signals forward and back, and three
variances: $1/n_\text{in}$, $2/(n_\text{in}+n_\text{out})$ and the geometric mean $1/\sqrt{n_\text{in}n_\text{out}}$.

Source: derived on this page from Glorot & Bengio (2010), equations 5 and 6 for the factors, 10 to 12 for the
variance. The geometric mean is what Defazio & Bottou (2022) propose: "A scaling calculus for the design and
initialization of ReLU networks", abstract.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim
from snippets.xavier_initialization.xavier_init_numpy import xavier_std

DEPTH, WIDE, NARROW, BATCH = 20, 1024, 256, 64
WIDTHS = [NARROW if layer % 2 else WIDE for layer in range(DEPTH + 1)]


class Chain(NamedTuple):
    """Mean squares at the 21 places between the layers, from the input (0) to the output (20)."""

    forward: list[float]
    """In units of the input's."""

    backward: list[float]
    """Of the gradient, in units of the output's."""


class AlternatingWidths(NamedTuple):
    """One chain per variance, each with weights of its own."""

    xavier: Chain
    """2 / (n_in + n_out), the harmonic mean of the two ideals."""

    lecun: Chain
    """1 / n_in."""

    geometric: Chain
    """1 / sqrt(n_in n_out)."""


def measure(seed: int = 0) -> AlternatingWidths:
    generator = np.random.default_rng(seed)
    return AlternatingWidths(
        _chain(xavier_std, generator),
        _chain(lambda shape: 1 / math.sqrt(shape[1]), generator),
        _chain(lambda shape: math.prod(shape) ** -0.25, generator),
    )


def _chain(std, generator: np.random.Generator) -> Chain:
    shapes = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
    weights = [std(shape) * generator.standard_normal(shape) for shape in shapes]
    return Chain(
        _mean_squares(weights, generator),
        _mean_squares([weight.T for weight in weights[::-1]], generator)[::-1],
    )


def _mean_squares(
    matrices: list[np.ndarray], generator: np.random.Generator
) -> list[float]:
    signal = generator.standard_normal((matrices[0].shape[1], BATCH))
    first = (signal**2).mean()
    found = [1.0]
    for matrix in matrices:
        signal = matrix @ signal
        found.append(float((signal**2).mean() / first))
    return found


def _per_pair(means: list[float]) -> float:
    """Factor per pair of layers, from end to end."""
    return (means[-1] / means[0]) ** (2 / DEPTH)


CLAIMS = (
    Claim(
        statement="Xavier, forward: factor of the mean square per pair of layers",
        value=lambda found: _per_pair(found.xavier.forward),
        interval=(0.6, 0.68),
        rival=1.0,
        rival_of="a layer that keeps the signal",
        reason=r"$4ab/(a+b)^2=0.64$ for widths $a$ and $b$; 6 % is three times the spread for these widths.",
        paper="0.64 (eq. 5 with 12)",
    ),
    Claim(
        statement="Xavier, backward: factor of the mean square per pair of layers",
        value=lambda found: _per_pair(found.xavier.backward[::-1]),
        interval=(0.6, 0.68),
        rival=1.0,
        rival_of="a layer that keeps the gradient",
        reason="The same number: each direction loses in one layer more than it gains in the next.",
        paper="0.64 (eq. 6 with 12)",
    ),
    Claim(
        statement=r"$1/n_\text{in}$, forward: the mean square after 20 layers",
        value=lambda found: found.lecun.forward[-1],
        interval=(0.6, 1.6),
        rival=lambda found: found.xavier.forward[-1],
        rival_of="Xavier",
        reason="1 in the limit of infinite width; it spreads by about a tenth.",
    ),
    Claim(
        statement=r"$1/n_\text{in}$, backward: the mean square of the gradient at the input",
        value=lambda found: found.lecun.backward[0],
        interval=(0.6, 1.6),
        rival=lambda found: found.xavier.backward[0],
        rival_of="Xavier",
        reason=r"The factors $n_\text{out}/n_\text{in}$ cancel along the chain: $n_L/n_0=1$.",
    ),
    Claim(
        statement="Geometric mean, both directions: the smaller of the two",
        value=lambda found: min(
            found.geometric.forward[-1], found.geometric.backward[0]
        ),
        interval=(0.6, 1.6),
        rival=lambda found: min(found.xavier.forward[-1], found.xavier.backward[0]),
        rival_of="Xavier",
        reason=r"$\sqrt{n_\text{in}/n_\text{out}}$ forward and its inverse backward cancel along the chain.",
    ),
)


def plot(measured: AlternatingWidths) -> Figure:
    figure = Figure(figsize=(4.6, 5.0))
    forward, backward = figure.subplots(2, sharex=True, sharey=True)
    places = range(DEPTH + 1)
    names = (("Xavier", "C0"), ("1/fan_in", "C2"), ("geometric mean", "C3"))
    spots = (((8, 0.02), (8, 0.02)), ((16, 0.3), (4, 8)), ((10, 4), (14, 8)))
    for chain, (name, colour), places_of_name in zip(
        measured, names, spots, strict=True
    ):
        for axes, dots, spot in zip(
            (forward, backward), chain, places_of_name, strict=True
        ):
            axes.plot(places, dots, "o-", color=colour, markersize=4, linewidth=1)
            axes.annotate(name, spot, color=colour, ha="center")
    forward.set(
        yscale="log", ylim=(0.005, 30), ylabel="mean square", title="Forward, input = 1"
    )
    backward.set(
        ylabel="mean square",
        title="Backward, output = 1",
        xlabel="layers passed from the input",
    )
    backward.set_xticks(range(0, DEPTH + 1, 4))
    return figure
