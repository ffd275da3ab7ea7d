r"""In a layer that changes the width one direction gains what the other loses, and only the ratio of the widths counts.

One linear layer, all 25 pairs of `fan_in` and `fan_out` from 64 to 1024, 256 random signals forward and back.

Source: Glorot & Bengio (2010), section 4.2.1: equations 5 and 6 for the factor of a layer, 10 to 12 for the variance.
The conditions 10 and 11 hold together only where all widths are equal, as they are in the experiments that the paper
reports.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim
from snippets.xavier_initialization.xavier_init_numpy import xavier_uniform

WIDTHS = (64, 128, 256, 512, 1024)
BATCH = 256


class RectangularLayers(NamedTuple):
    """Arrays of one entry per layer."""

    fan_in: np.ndarray
    fan_out: np.ndarray

    forward: np.ndarray
    """Mean square of W x over that of x."""

    backward: np.ndarray
    """Mean square of W^T g over that of g."""


def measure(seed: int = 0) -> RectangularLayers:
    generator = np.random.default_rng(seed)
    fan_in, fan_out = np.array(list(product(WIDTHS, WIDTHS))).T
    forward, backward = [], []
    for inputs, outputs in zip(fan_in, fan_out, strict=True):
        weight = xavier_uniform((outputs, inputs), generator=generator)
        for factors, matrix in ((forward, weight), (backward, weight.T)):
            signal = generator.standard_normal((matrix.shape[1], BATCH))
            factors.append(((matrix @ signal) ** 2).mean() / (signal**2).mean())
    return RectangularLayers(fan_in, fan_out, np.array(forward), np.array(backward))


def _worst(measured: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(measured / exact - 1).max())


CLAIMS = (
    Claim(
        statement=r"Forward: largest deviation of 25 layers from $2n_\text{in}/(n_\text{in}+n_\text{out})$",
        value=lambda found: _worst(
            found.forward, 2 * found.fan_in / (found.fan_in + found.fan_out)
        ),
        interval=(0.0, 0.08),
        rival=lambda found: _worst(found.forward, np.ones_like(found.forward)),
        rival_of="a factor of 1 in every layer",
        reason="A sum of squares over 64 units and 256 signals spreads by 1.1 %, the worst of 25 by 3 %.",
        paper="0 (eq. 5 with 12)",
    ),
    Claim(
        statement=r"Backward: largest deviation of 25 layers from $2n_\text{out}/(n_\text{in}+n_\text{out})$",
        value=lambda found: _worst(
            found.backward, 2 * found.fan_out / (found.fan_in + found.fan_out)
        ),
        interval=(0.0, 0.08),
        rival=lambda found: _worst(found.backward, np.ones_like(found.backward)),
        rival_of="a factor of 1 in every layer",
        reason="The same, with the roles of the widths exchanged.",
        paper="0 (eq. 6 with 12)",
    ),
    Claim(
        statement="Sum of the two factors, mean over the layers",
        value=lambda found: (found.forward + found.backward).mean(),
        interval=(1.98, 2.02),
        rival=lambda found: (
            (found.fan_in / found.fan_out) ** 0.5
            + (found.fan_out / found.fan_in) ** 0.5
        ).mean(),
        rival_of="the geometric mean of the fans",
        reason="2 for every pair of widths; the mean over 25 layers spreads by 0.3 %.",
        paper="2 (eq. 5, 6 and 12)",
        format=".4f",
    ),
    Claim(
        statement="From 1024 to 64 units: the factor of the gradient on the way back",
        value=lambda found: float(
            found.backward[(found.fan_in == 1024) & (found.fan_out == 64)][0]
        ),
        interval=(0.108, 0.128),
        rival=1.0,
        rival_of="a layer that keeps the gradient",
        reason="128/1088 = 0.118, five standard deviations.",
        paper="0.118 (eq. 6 with 12)",
    ),
)


def plot(measured: RectangularLayers) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    ratio = np.geomspace(1 / 16, 16, 100)
    for factors, exact, colour in (
        (measured.forward, 2 * ratio / (1 + ratio), "C0"),
        (measured.backward, 2 / (1 + ratio), "C1"),
    ):
        axes.plot(ratio, exact, color="C5", linewidth=1)
        axes.plot(
            measured.fan_in / measured.fan_out, factors, "o", color=colour, markersize=5
        )
    axes.axhline(1, color="C5", linewidth=1, linestyle="dashed")
    axes.annotate(
        "forward",
        (8, 16 / 9),
        xytext=(0, -20),
        textcoords="offset points",
        ha="center",
        color="C0",
    )
    axes.annotate(
        "backward",
        (1 / 8, 16 / 9),
        xytext=(0, -20),
        textcoords="offset points",
        ha="center",
        color="C1",
    )
    axes.set(
        xscale="log",
        ylim=(0, 2.1),
        xlabel="fan_in / fan_out",
        ylabel="factor of the mean square",
    )
    axes.set_xticks([1 / 16, 1 / 4, 1, 4, 16], ["1/16", "1/4", "1", "4", "16"])
    axes.minorticks_off()
    return figure
