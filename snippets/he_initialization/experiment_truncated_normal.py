"""Keras's HeNormal is a truncated normal law: standard deviation as in PyTorch, but no weight beyond $2.27\\,\\sigma$.

Source: Keras documentation of `keras.initializers.HeNormal`: a truncated normal with standard deviation
$\\sigma=\\sqrt{2/n}$, $n$ = `fan_in`. He, Zhang, Ren & Sun (2015), section 2.2, draw from the whole normal law, as
PyTorch does.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from snippets.he_initialization.he_init_numpy import kaiming_normal
from snippets.laboratory.claim import Claim

SHAPE = (1000, 1000)
EDGES = np.linspace(-5.0, 5.0, 101)


class Law(NamedTuple):
    """How the weights of one (1000, 1000) kernel lie, in units of sqrt(2 / fan_in)."""

    std: float
    largest: float
    """Of the absolute values."""
    kurtosis: float
    """Fourth moment over the square of the second; 3 for a normal law."""
    density: np.ndarray
    """Between neighboring EDGES."""


def measure(seed: int = 0) -> dict[str, Law]:
    kernel = keras.ops.convert_to_numpy(keras.initializers.HeNormal(seed=seed)(SHAPE))
    uncorrected = keras.initializers.TruncatedNormal(
        stddev=math.sqrt(2.0 / SHAPE[0]), seed=seed
    )(SHAPE)
    return {
        "HeNormal": _law(kernel),
        "normal": _law(kaiming_normal(SHAPE, generator=np.random.default_rng(seed))),
        "TruncatedNormal": _law(keras.ops.convert_to_numpy(uncorrected)),
    }


def _law(weights: np.ndarray) -> Law:
    units = weights.astype(np.float64).ravel() * math.sqrt(SHAPE[0] / 2.0)
    density = np.histogram(units, EDGES)[0] / units.size / np.diff(EDGES)
    return Law(
        units.std(),
        np.abs(units).max(),
        np.mean(units**4) / np.mean(units**2) ** 2,
        density,
    )


CLAIMS = (
    Claim(
        statement="Standard deviation of the weights of Keras's `HeNormal`, in units of $\\sigma$",
        value=lambda measured: measured["HeNormal"].std,
        interval=(0.995, 1.005),
        rival=0.8796,
        rival_of="a cut that nothing makes up for",
        reason="Keras divides by 0.8796 before it cuts; a million weights scatter by 0.0006.",
        format=".3f",
    ),
    Claim(
        statement="Largest weight of Keras's `HeNormal`, in units of $\\sigma$",
        value=lambda measured: measured["HeNormal"].largest,
        interval=(2.27, 2.2738),
        rival=2.0,
        rival_of="a cut at $2\\sigma$",
        reason="The cut stands at 2/0.8796 = 2.2737.",
        format=".3f",
    ),
    Claim(
        statement="Largest of a million weights of the normal law",
        value=lambda measured: measured["normal"].largest,
        interval=(4.4, 6.2),
        rival=lambda measured: measured["HeNormal"].largest,
        rival_of="`HeNormal`",
        reason="Below 4.4 with a probability of 2e-5, above 6.2 with one of 6e-4.",
        format=".2f",
    ),
    Claim(
        statement="Kurtosis of Keras's `HeNormal`, 3 for a normal law",
        value=lambda measured: measured["HeNormal"].kurtosis,
        interval=(2.345, 2.385),
        rival=3.0,
        rival_of="a normal law",
        reason="2.366 for a normal law cut at two standard deviations; a million weights scatter by 0.003.",
        format=".2f",
    ),
    Claim(
        statement="Standard deviation of Keras's `TruncatedNormal` over the `stddev` it was given",
        value=lambda measured: measured["TruncatedNormal"].std,
        interval=(0.875, 0.885),
        rival=1.0,
        rival_of="a class that makes up for the cut",
        reason="This class cuts without making up for it: 0.8796.",
        format=".3f",
    ),
)


def plot(measured: dict[str, Law]) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    fine = np.linspace(-5.0, 5.0, 401)
    axes.plot(
        fine, stats.norm.pdf(fine), color="C5", linewidth=1.2, linestyle=(0, (4, 3))
    )
    axes.stairs(measured["normal"].density, EDGES, color="C0", linewidth=1.5)
    axes.stairs(measured["HeNormal"].density, EDGES, color="C1", fill=True, alpha=0.25)
    axes.stairs(measured["HeNormal"].density, EDGES, color="C1", linewidth=2.0)
    axes.text(0.0, 1e-3, "Keras\nHeNormal", color="C1", ha="center", weight=600)
    axes.text(3.45, 2e-2, "normal", color="C0", ha="center", weight=600)
    axes.set(yscale="log", xlabel="weight / σ", ylabel="density", ylim=(5e-6, 1.0))
    axes.set_xticks([-4, -2.27, 0, 2.27, 4], ["−4", "−2.27", "0", "2.27", "4"])
    return figure
