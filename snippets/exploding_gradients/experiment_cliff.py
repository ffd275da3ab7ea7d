"""At the cliff of a recurrent network one gradient step throws the weights away; clipped, it does not.

Source: Pascanu, Mikolov & Bengio (2013): the wall in the loss of one recurrent unit. Ours: $x_t=w\\,
\\sigma(x_{t-1})+b$, $x_0=0$, the loss $(\\sigma(x_{50})-0.7)^2$; gradient descent with learning rate 0.1 from
$w=5.25$, $b=-3.275$, with
and without a limit of 0.5 on the norm. The starting point was chosen to meet the cliff.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.exploding_gradients.clip_gradients_numpy import clip_by_global_norm
from snippets.laboratory.claim import Claim

TIME = 50
TARGET = 0.7
RATE, STEPS, LIMIT = 0.1, 300, 0.5
START = np.array([5.25, -3.275])
SLICE = np.linspace(-3.2, -2.0, 200_001)
"""Values of b along which the gradient is looked at, at w = 5."""


class Cliff(NamedTuple):
    grid: np.ndarray
    """Loss, shape (b, w), over the plane that the figure shows."""

    largest_gradient: float
    """Along the slice w = 5."""

    median_gradient: float
    """Along the slice w = 5."""

    plain: np.ndarray
    """Points (w, b) of gradient descent, shape (STEPS + 1, 2)."""

    clipped: np.ndarray
    """The same with the norm of the gradient clipped."""

    plain_losses: np.ndarray
    """Shape (STEPS + 1,)."""

    clipped_losses: np.ndarray


W_AXIS, B_AXIS = np.linspace(4.4, 6.2, 181), np.linspace(-3.8, -2.2, 161)


def loss_and_gradient(w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and, along a new first axis, its derivatives by `w` and `b`, carried forward through time."""
    w, b = np.broadcast_arrays(np.asarray(w, dtype=float), np.asarray(b, dtype=float))
    x, by_w, by_b = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for _ in range(TIME):
        value = _sigmoid(x)
        slope = w * value * (1.0 - value)
        x, by_w, by_b = w * value + b, value + slope * by_w, 1.0 + slope * by_b
    value = _sigmoid(x)
    outer = 2.0 * (value - TARGET) * value * (1.0 - value)
    return (value - TARGET) ** 2, outer * np.stack([by_w, by_b])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def measure() -> Cliff:
    """Exact up to rounding: nothing is drawn."""
    grid, _ = loss_and_gradient(W_AXIS[None, :], B_AXIS[:, None])
    norms = _norms(SLICE)
    plain, clipped = _descend(math.inf), _descend(LIMIT)
    return Cliff(
        grid,
        _largest(norms),
        float(np.median(norms)),
        plain,
        clipped,
        loss_and_gradient(*plain.T)[0],
        loss_and_gradient(*clipped.T)[0],
    )


def _norms(b: np.ndarray) -> np.ndarray:
    """Of the gradient at w = 5."""
    return np.hypot(*loss_and_gradient(5.0, b)[1])


def _largest(norms: np.ndarray) -> float:
    """Along the slice: the wall is narrower than the distance of its points, so look closer around the highest."""
    at, reach = SLICE[norms.argmax()], 2 * (SLICE[1] - SLICE[0])
    for _ in range(2):
        closer = np.linspace(at - reach, at + reach, 4001)
        at, reach = closer[_norms(closer).argmax()], reach / 1000
    return float(_norms(np.array([at]))[0])


def _descend(limit: float) -> np.ndarray:
    points = [START]
    for _ in range(STEPS):
        _, gradient = loss_and_gradient(*points[-1])
        (step,), _ = clip_by_global_norm([gradient], limit)
        points.append(points[-1] - RATE * step)
    return np.array(points)


def _longest_step(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).max())


CLAIMS = (
    Claim(
        statement="Along $w=5$ the largest gradient exceeds the median one by the factor",
        value=lambda cliff: cliff.largest_gradient / cliff.median_gradient,
        interval=(3.8e5, 4.05e5),
        rival=1.0,
        rival_of="a slope without a wall",
        reason="Nothing is drawn; 392,446 on ever finer grids. The loss itself stays below 1, so such a gradient is "
        "a wall: "
        "it can last for a distance of about its inverse only.",
        format=",.0f",
    ),
    Claim(
        statement="Without clipping the longest step in the plane of $w$ and $b$",
        value=lambda cliff: _longest_step(cliff.plain),
        interval=(1.8, 100.0),
        rival=lambda cliff: _longest_step(cliff.clipped),
        rival_of="clipped",
        budget="gradient descent, learning rate 0.1",
        reason="Longer than the figure is wide, 1.8: one step leaves the landscape. The gradient is of the order of "
        "50.",
    ),
    Claim(
        statement="Clipped, the longest step",
        value=lambda cliff: _longest_step(cliff.clipped),
        interval=(RATE * LIMIT * (1 - 1e-12), RATE * LIMIT * (1 + 1e-12)),
        kind="identity",
        reason="Exact: the limit is reached at the cliff, and 0.1 times 0.5 is 0.05.",
    ),
    Claim(
        statement="Loss after 300 steps without clipping",
        value=lambda cliff: cliff.plain_losses[-1],
        interval=(0.4, 0.5),
        rival=lambda cliff: cliff.clipped_losses[-1],
        rival_of="clipped",
        budget="gradient descent, learning rate 0.1",
        reason="Thrown to where $\\sigma(x_{50})$ is 0 and flat: $0.7^2=0.49$.",
    ),
    Claim(
        statement="Loss after 300 steps, clipped",
        value=lambda cliff: cliff.clipped_losses[-1],
        interval=(0.0, 0.01),
        rival=lambda cliff: cliff.plain_losses[-1],
        rival_of="without clipping",
        budget="gradient descent, learning rate 0.1",
        reason="Below a fiftieth of the loss where the other path ends.",
    ),
)


def plot(cliff: Cliff) -> Figure:
    figure = Figure(figsize=(4.6, 5.2))
    plane, curve = figure.subplots(2, height_ratios=(1.5, 1))
    plane.contour(
        W_AXIS,
        B_AXIS,
        cliff.grid,
        levels=np.arange(0.02, 0.5, 0.06),
        colors="C5",
        linewidths=0.8,
    )
    before = int(
        np.argmax(np.hypot(*np.diff(cliff.plain, axis=0).T))
    )  # the step over the cliff
    plane.plot(*cliff.clipped.T, color="C0", linewidth=2.5)
    plane.plot(
        *cliff.plain[: before + 1].T, color="C1", linewidth=2.5, linestyle=(0, (2, 1))
    )
    here, there = cliff.plain[before], cliff.plain[before + 1]
    away = (there - here) / np.hypot(*(there - here))
    plane.annotate(
        "",
        here + 0.55 * away,
        here,
        arrowprops={"arrowstyle": "->", "color": "C1", "linewidth": 2.5},
    )
    plane.plot(*START, "o", color="C5", markersize=7)
    plane.text(START[0] + 0.05, START[1], "start", color="C5", va="center")
    plane.set(
        xlabel="w",
        ylabel="b",
        xlim=(W_AXIS[0], W_AXIS[-1]),
        ylim=(B_AXIS[0], B_AXIS[-1]),
    )
    curve.semilogy(cliff.plain_losses, color="C1")
    curve.semilogy(cliff.clipped_losses, color="C0")
    curve.text(
        STEPS, 0.62, "not clipped", color="C1", ha="right", va="bottom", weight=600
    )
    curve.text(4, 2e-3, "clipped", color="C0", va="bottom", weight=600)
    curve.set(xlabel="step", ylabel="loss", xlim=(0, STEPS), ylim=(1e-4, 5))
    return figure
