"""ReLU and its leaky variants have one gain for both directions; every other activation of the table must choose.

Source: He et al. (2015), section 2.2, for the gain of ReLU; Poole et al. (2016), the length map, for the integrals; the
documentation of `torch.nn.init.calculate_gain`, PyTorch 2.13, for the gains that are in use.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from snippets.activation_functions.gain_pytorch import backward_gain, forward_gain
from snippets.laboratory.activations import from_torch
from snippets.laboratory.claim import Claim
from snippets.laboratory.mean_field import gaussian_mean

ACTIVATIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": ("sigmoid", torch.sigmoid),
    "hard sigmoid": ("hardsigmoid", functional.hardsigmoid),
    "tanh": ("tanh", torch.tanh),
    "hard tanh": ("hardtanh", functional.hardtanh),
    "ReLU": ("relu", functional.relu),
    "leaky ReLU (0.01)": ("leaky_relu", functional.leaky_relu),
    "ELU": ("elu", functional.elu),
    "SELU": ("selu", functional.selu),
    "GELU": ("gelu", functional.gelu),
    "SiLU": ("silu", functional.silu),
    "Mish": ("mish", functional.mish),
    "softplus": ("softplus", functional.softplus),
}
"""By the name on the page: the name for `calculate_gain`, and the function with its defaults."""

FLAT = 0.01
"""A slope below this counts as flat in the table."""


class Row(NamedTuple):
    """One activation, its input standard normal."""

    largest_slope: float
    mean_square_slope: float
    mean: float
    forward: float
    backward: float

    pytorch: float
    """What `calculate_gain` returns; NaN if it refuses."""

    flat_below: float
    """The slope is flat for all x below this; -inf if it never is."""

    flat_above: float
    """The slope is flat for all x above this; inf if it never is."""

    zero: bool
    """Whether the slope is exactly 0 where it is flat."""


class Table(NamedTuple):
    rows: dict[str, Row]

    softmax_norm: float
    """Spectral norm of the Jacobian of softmax where two classes share all probability, the largest there is."""


def measure() -> Table:
    p = np.array([0.5, 0.5, 0.0])
    norm = np.linalg.norm(np.diag(p) - np.outer(p, p), 2)
    return Table(
        {name: row(*activation) for name, activation in ACTIVATIONS.items()},
        float(norm),
    )


def row(name: str, function: Callable[[Tensor], Tensor]) -> Row:
    activation = from_torch(function)
    x = np.linspace(-20.0, 20.0, 40_001)
    slope = np.abs(activation.slope(x))
    flat = slope < FLAT
    flat_below = -math.inf if not flat[0] else x[np.argmin(flat)]
    flat_above = math.inf if not flat[-1] else x[len(x) - 1 - np.argmin(flat[::-1])]
    outside = (x < flat_below) | (x > flat_above)
    return Row(
        largest_slope=float(slope.max()),
        mean_square_slope=backward_gain(function) ** -2,
        mean=gaussian_mean(activation.value),
        forward=forward_gain(function),
        backward=backward_gain(function),
        pytorch=pytorch_gain(name),
        flat_below=float(flat_below),
        flat_above=float(flat_above),
        zero=bool(outside.any() and not slope[outside].any()),
    )


def pytorch_gain(name: str) -> float:
    try:
        return nn.init.calculate_gain(name)
    except ValueError:
        return math.nan


CLAIMS = (
    Claim(
        statement="Forward gain of ReLU minus backward gain",
        value=lambda m: m.rows["ReLU"].forward - m.rows["ReLU"].backward,
        interval=(-1e-12, 1e-12),
        kind="identity",
        reason="$\\phi(x)=x\\,\\phi'(x)$ and $\\phi'$ depends on the sign of $x$ alone; the rounding of float64.",
    ),
    Claim(
        statement="Forward gain of ReLU",
        paper="√2",
        value=lambda m: m.rows["ReLU"].forward,
        interval=(math.sqrt(2) - 1e-12, math.sqrt(2) + 1e-12),
        rival=1.0,
        rival_of="Xavier's gain",
        reason="$\\mathbb E[\\phi(\\xi)^2]=1/2$.",
        format=".4f",
        source="He et al. (2015), section 2.2.",
    ),
    Claim(
        statement="PyTorch's gain for tanh, divided by the gain that keeps the variance at 1",
        value=lambda m: m.rows["tanh"].pytorch / m.rows["tanh"].forward,
        interval=(1.0465, 1.0466),
        rival=1.0,
        rival_of="a gain that keeps the variance",
        reason="5/3 against 1.59254: the integral by another rule (Gauss-Hermite, 200 nodes) gives 1.04655.",
        format=".5f",
    ),
    Claim(
        statement="Backward gain of the sigmoid divided by its forward gain",
        value=lambda m: m.rows["sigmoid"].backward / m.rows["sigmoid"].forward,
        interval=(2.557, 2.559),
        rival=1.0,
        rival_of="one gain for both directions, as ReLU has",
        reason="Gauss-Hermite with 200 nodes gives 2.5580.",
        format=".4f",
    ),
    Claim(
        statement="Smallest $\\mathbb E[\\phi'^2]/\\mathbb E[\\phi^2]$ of the activations with mean zero",
        value=lambda m: min(
            (r.forward / r.backward) ** 2 for r in m.rows.values() if abs(r.mean) < 1e-9
        ),
        interval=(1.05, 1.10),
        rival=1.0,
        rival_of="the identity",
        reason="Poincaré's inequality says more than 1 for all but the identity; SELU has 1.0716 by Gauss-Hermite.",
        format=".4f",
    ),
    Claim(
        statement="Activations of the table that `calculate_gain` refuses",
        value=lambda m: sum(math.isnan(r.pytorch) for r in m.rows.values()),
        interval=(7, 7),
        rival=0,
        rival_of="a table without gaps",
        reason="Its documentation lists none of hard sigmoid, hard tanh, ELU, GELU, SiLU, Mish and softplus.",
        format=".0f",
    ),
)


def table(measured: Table) -> list[tuple[str, ...]]:
    head = (
        "activation",
        "largest slope",
        "E[φ′²]",
        "mean",
        "forward gain",
        "backward gain",
        "`calculate_gain`",
        f"slope below {FLAT}",
    )
    rows = [
        (
            name,
            *(f"{value + 0.0:.3f}" for value in r[:2]),
            f"{r.mean if abs(r.mean) > 1e-9 else 0.0:.3f}",
            *(f"{value:.3f}" for value in (r.forward, r.backward)),
            "—" if math.isnan(r.pytorch) else f"{r.pytorch:.3f}",
            flat_region(r),
        )
        for name, r in measured.rows.items()
    ]
    softmax = (
        "softmax (vector)",
        f"{measured.softmax_norm:.3f}",
        *["—"] * 5,
        "one probability near 1",
    )
    return [head, *rows, softmax]


def flat_region(r: Row) -> str:
    if math.isinf(r.flat_below) and math.isinf(r.flat_above):
        return "nowhere"
    if math.isinf(r.flat_above):
        place = f"x < {round(r.flat_below, 2) + 0.0:g}"
    else:
        place = f"\\|x\\| > {round(r.flat_above, 2):g}"
    return place.replace("-", "−") + (", exactly 0" if r.zero else "")


def plot(measured: Table) -> Figure:
    figure = Figure(figsize=(4.6, 4.9))
    axes = figure.subplots()
    rows = sorted(measured.rows.items(), key=lambda item: item[1].forward, reverse=True)
    for height, (_, r) in enumerate(rows):
        axes.plot(
            [r.forward, r.backward],
            [height, height],
            color="C5",
            linewidth=1.2,
            zorder=1,
        )
    heights = range(len(rows))
    axes.plot([r.backward for _, r in rows], heights, "s", color="C1", markersize=7)
    axes.plot([r.forward for _, r in rows], heights, "o", color="C0", markersize=7)
    axes.plot(
        [r.pytorch for _, r in rows],
        heights,
        "x",
        color="C3",
        markersize=8,
        markeredgewidth=2,
    )
    axes.set_yticks(list(heights), [name for name, _ in rows])
    axes.set_xscale("log")
    axes.set_xticks([0.75, 1, 1.5, 2, 3, 5], ["0.75", "1", "1.5", "2", "3", "5"])
    axes.minorticks_off()
    axes.set(xlabel="gain", xlim=(0.68, 7))
    for label, x, colour in (
        ("forward", 0.72, "C0"),
        ("backward", 1.28, "C1"),
        ("calculate_gain", 2.4, "C3"),
    ):
        axes.text(x, 1.02, label, color=colour, transform=axes.get_xaxis_transform())
    return figure
