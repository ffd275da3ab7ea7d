"""On a quadratic loss gradient descent diverges above 2 over the sharpness, and the step of its death can be computed.

Source: Cohen et al. (2021), "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability":
on a quadratic, gradient descent diverges if the sharpness exceeds $2/\\eta$. Ours: least squares on the 8 x 8 digits
with one-hot targets, float32.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits

RATIOS = (0.9, 0.99, 1.01, 1.1, 1.5)
"""Step sizes in units of 2 / sharpness."""

STEPS = 6000
LARGEST = float(np.finfo(np.float32).max)


class Descent(NamedTuple):
    errors: np.ndarray
    """Euclidean norm of the weights' distance from the optimum, before each step."""

    death: int | None
    """The first step after which a weight is Inf or NaN."""

    predicted: float | None
    """The same from the growth |1 - eta * sharpness| of the component along the sharpest direction."""


def measure() -> dict[float, Descent]:
    """Exact up to rounding: nothing is drawn."""
    digits = load_digits()
    inputs = digits.train_inputs
    targets = np.eye(10, dtype=np.float32)[digits.train_labels]
    # Precomputed: so the rounding of each step is that of one small product.
    hessian, slope = inputs.T @ inputs / len(inputs), inputs.T @ targets / len(inputs)
    eigenvalues, eigenvectors = np.linalg.eigh(hessian.astype(np.float64))
    optimum = np.linalg.lstsq(
        hessian.astype(np.float64), slope.astype(np.float64), rcond=1e-6
    )[0]
    sharpest = eigenvectors[:, -1]
    # The starting distance from the optimum along the sharpest direction, in the entry that is largest.
    amplitude = float(np.abs(np.outer(sharpest, sharpest @ optimum)).max())
    runs = {}
    for ratio in RATIOS:
        rate = np.float32(ratio * 2.0 / eigenvalues[-1])
        growth = abs(1.0 - float(rate) * eigenvalues[-1])
        predicted = (
            math.log(LARGEST / amplitude) / math.log(growth) if growth > 1.0 else None
        )
        runs[ratio] = _descend(
            hessian, slope, optimum.astype(np.float32), rate, predicted
        )
    return runs


def _descend(
    hessian: np.ndarray,
    slope: np.ndarray,
    optimum: np.ndarray,
    rate: np.float32,
    predicted: float | None,
) -> Descent:
    weights, errors = np.zeros_like(slope), []
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(STEPS):
            errors.append(float(np.linalg.norm(weights.astype(np.float64) - optimum)))
            weights = weights - rate * (hessian @ weights - slope)
            if not np.isfinite(weights).all():
                return Descent(np.array(errors), step + 1, predicted)
    return Descent(np.array(errors), None, predicted)


CLAIMS = (
    *(
        Claim(
            statement=f"Step size {ratio} of $2/\\lambda$: steps until a weight is not finite, over the prediction",
            value=lambda runs, ratio=ratio: runs[ratio].death / runs[ratio].predicted,
            interval=(0.95, 1.02),
            rival=math.log(2 * ratio - 1) / math.log(2 * ratio),
            rival_of="growth by $\\eta\\lambda$ per step",
            reason="The component along the sharpest direction grows by $|1-\\eta\\lambda|$ per step, so it passes "
            "the largest float32 after "
            "$\\ln(M/a)/\\ln|1-\\eta\\lambda|$ steps; the products inside a step overflow a little before the "
            "weights do.",
            format=".3f",
        )
        for ratio in (1.01, 1.1, 1.5)
    ),
    Claim(
        statement="Step sizes below $2/\\lambda$ that lose a weight within 6,000 steps",
        value=lambda runs: sum(runs[ratio].death is not None for ratio in (0.9, 0.99)),
        interval=(0, 0),
        paper="0",
        kind="identity",
        reason="Every component shrinks, or at worst swings with an amplitude that shrinks.",
        format="g",
    ),
    Claim(
        statement="Step size 0.99 of $2/\\lambda$: the largest error on the way, over that at the start",
        value=lambda runs: runs[0.99].errors.max() / runs[0.99].errors[0],
        interval=(1.0, 1.001),
        paper="1",
        kind="identity",
        reason="Each component is multiplied by $|1-\\eta\\lambda_i|\\le1$, so the error never grows but for rounding.",
        format=".4f",
    ),
)


def plot(runs: dict[float, Descent]) -> Figure:
    figure = Figure(figsize=(4.6, 3.5))
    axes = figure.subplots()
    axes.axhline(math.log10(LARGEST), color="C5", linewidth=1.2, linestyle=(0, (4, 3)))
    axes.text(
        1.2, math.log10(LARGEST) + 0.7, "largest float32", color="C5", va="bottom"
    )
    colors = {0.9: "C2", 1.01: "C0", 1.1: "C3", 1.5: "C1"}
    places = {
        0.9: (900, -6, "0.9"),
        1.01: (1150, 14, "1.01"),
        1.1: (210, 22, "1.1"),
        1.5: (13, 8, "1.5 × 2/λ"),
    }
    for ratio, color in colors.items():
        errors = runs[ratio].errors
        axes.semilogx(np.arange(1, len(errors) + 1), np.log10(errors), color=color)
        if runs[ratio].death:
            axes.plot(len(errors), np.log10(errors[-1]), "o", color=color, markersize=6)
        x, y, words = places[ratio]
        axes.text(
            x, y, words, color=color, weight=600, ha="right" if ratio > 1 else "left"
        )
    axes.set(
        xlabel="step", ylabel="error of the weights", xlim=(1, STEPS), ylim=(-8, 46)
    )
    axes.set_yticks(
        (0, 10, 20, 30, 40), ("1", "$10^{10}$", "$10^{20}$", "$10^{30}$", "$10^{40}$")
    )
    axes.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1000"))
    return figure
