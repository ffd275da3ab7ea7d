"""A deep narrow ReLU network is often born dead: with probability $1-(1-2^{-N})^L$ for one input.

Source: the event "some layer is off as a whole" of Lu et al. (2020); for a single input the probability is that of
Rister & Rubin (2020), whose lower bound on living networks it is. $N$ units per layer, $L$ layers, normal weights, no
biases; 4,000 networks.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

NETWORKS, DEPTH, INPUTS = 4000, 60, 32
WIDTHS = (2, 3, 4, 6, 8)
MANY_WIDTH = 3


class Deaths(NamedTuple):
    dead: np.ndarray
    """Fraction of networks whose output is zero for their input, shape (widths, DEPTH); column l - 1 is depth l."""

    dead_for_all: np.ndarray
    """Fraction of networks of width 3 whose output is zero for each of 32 normal inputs, shape (DEPTH,)."""


def dead_by_depth(
    width: int, inputs: int, generator: np.random.Generator
) -> np.ndarray:
    """Fraction of networks that give zero for all `inputs`, after each layer."""
    hidden = generator.standard_normal((NETWORKS, width, inputs))
    dead = np.empty(DEPTH)
    for layer in range(DEPTH):
        # ReLU keeps the sign of a scale, so the standard deviation of the weights does not matter.
        hidden = np.maximum(
            generator.standard_normal((NETWORKS, width, width)) @ hidden, 0.0
        )
        dead[layer] = np.mean(~hidden.any(axis=(1, 2)))
    return dead


def born_dead(width: int, depth: np.ndarray | int) -> np.ndarray | float:
    return 1.0 - (1.0 - 0.5**width) ** depth


def measure(seed: int = 0) -> Deaths:
    generator = np.random.default_rng(seed)
    dead = np.array([dead_by_depth(width, 1, generator) for width in WIDTHS])
    return Deaths(dead, dead_by_depth(MANY_WIDTH, INPUTS, generator))


def one_input(width: int, depth: int) -> Claim:
    p = born_dead(width, depth)
    deviation = math.sqrt(p * (1.0 - p) / NETWORKS)
    return Claim(
        statement=f"Networks of width {width} that are dead at depth {depth}",
        value=lambda m: m.dead[WIDTHS.index(width), depth - 1],
        interval=(p - 4.0 * deviation, p + 4.0 * deviation),
        paper=f"{p:.4f}",
        rival=0.5**width,
        rival_of="the last layer alone, $2^{-N}$",
        reason=f"{p:.4f}, and four standard deviations of a count among 4,000: a false alarm in 16,000 runs.",
        format=".4f",
    )


CLAIMS = (
    one_input(2, 10),
    one_input(4, 50),
    one_input(8, 60),
    Claim(
        statement="Networks of width 3 that are dead for each of 32 inputs at depth 10",
        value=lambda m: m.dead_for_all[9],
        interval=(0.53, 0.59),
        rival=born_dead(3, 10),
        rival_of="one input",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: Deaths) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    depth = np.arange(1, DEPTH + 1)
    shown = np.arange(4, DEPTH, 5)
    for index, width in enumerate(WIDTHS):
        axes.plot(depth, born_dead(width, depth), color="C5", linewidth=1.2)
        axes.plot(
            depth[shown],
            measured.dead[index, shown],
            "o",
            color=f"C{index}",
            markersize=5,
        )
    labels = (
        (8, 1.02, "bottom"),
        (26, 0.955, "top"),
        (38, 0.87, "top"),
        (56, 0.53, "top"),
        (57, 0.155, "top"),
    )
    for index, (x, y, vertical) in enumerate(labels):
        axes.text(
            x, y, f"$N={WIDTHS[index]}$", color=f"C{index}", va=vertical, ha="center"
        )
    axes.set(
        xlabel="depth $L$",
        ylabel="networks born dead",
        ylim=(0, 1.12),
        xlim=(0, DEPTH + 1),
    )
    return figure
