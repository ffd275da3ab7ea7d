"""When the answer is confidently wrong, cross-entropy pulls with norm $\\sqrt2$ and a squared error with almost
nothing.

Source: closed form; Glorot & Bengio (2010), section 4.1, compare the two losses in training.
Ten classes, the logit $a$ on a wrong class and 0 on all others. The gradient of the cross-entropy comes from the file
to copy.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.activation_functions.softmax_cross_entropy_numpy import (
    softmax_cross_entropy,
)
from snippets.laboratory.claim import Claim

CLASSES, WRONG, RIGHT = 10, 0, 1


class Gradients(NamedTuple):
    logit: np.ndarray
    """The logit a of the wrong class, 0 to 20."""

    cross_entropy: np.ndarray
    """Norm of the gradient with respect to the ten logits."""

    squared: np.ndarray
    """The same for |p - y|^2 / 2, the squared error of the probabilities."""

    difference: float
    """Largest entry of a squared-error gradient at a = 4 minus its difference quotient."""


def squared_error(logits: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and gradient J (p - y) for one vector of logits."""
    powers = np.exp(logits - logits.max())
    p = powers / powers.sum()
    error = p - np.eye(CLASSES)[RIGHT]
    return 0.5 * error @ error, p * (error - p @ error)


def measure() -> Gradients:
    logit = np.linspace(0.0, 20.0, 81)
    logits = logit[:, None] * np.eye(CLASSES)[WRONG]
    cross_entropy = [
        np.linalg.norm(softmax_cross_entropy(row[None], np.array([RIGHT]))[1])
        for row in logits
    ]
    squared = [np.linalg.norm(squared_error(row)[1]) for row in logits]
    steps = 1e-5 * np.eye(CLASSES)
    row = logits[16]
    quotient = [
        (squared_error(row + step)[0] - squared_error(row - step)[0]) / 2e-5
        for step in steps
    ]
    difference = np.abs(squared_error(row)[1] - quotient).max()
    return Gradients(
        logit, np.array(cross_entropy), np.array(squared), float(difference)
    )


def at(logit: float, measured: Gradients, name: str) -> float:
    return getattr(measured, name)[measured.logit == logit].item()


LIMIT = math.sqrt(CLASSES**2 + 4 + CLASSES - 2)

CLAIMS = (
    Claim(
        statement="Gradient of the cross-entropy at $a=10$",
        value=lambda m: at(10, m, "cross_entropy"),
        interval=(math.sqrt(2) - 4.1e-4 * math.sqrt(2), math.sqrt(2)),
        rival=lambda m: at(10, m, "squared"),
        rival_of="the squared error",
        reason="$p-y\\to(1,-1,0,\\dots)$ from below, off by less than $9e^{-a}=4.1\\cdot10^{-4}$ of it.",
        format=".5f",
    ),
    Claim(
        statement="Gradient of the squared error at $a=10$",
        value=lambda m: at(10, m, "squared"),
        interval=(0.998 * LIMIT * math.exp(-10), 1.002 * LIMIT * math.exp(-10)),
        rival=lambda m: at(10, m, "cross_entropy"),
        rival_of="the cross-entropy",
        reason="$J(p-y)\\to e^{-a}(K,-2,-1,\\dots,-1)$ to first order, of norm $\\sqrt{K^2+4+K-2}\\,e^{-a}$ with "
        "$K=10$.",
        format=".2e",
    ),
    Claim(
        statement="The same at $a=20$",
        value=lambda m: at(20, m, "squared"),
        interval=(0.999 * LIMIT * math.exp(-20), 1.001 * LIMIT * math.exp(-20)),
        rival=lambda m: at(20, m, "cross_entropy"),
        rival_of="the cross-entropy",
        reason="The same limit, closer by a factor of $e^{-10}$.",
        format=".2e",
    ),
    Claim(
        statement="Largest difference between the gradient of the squared error and its difference quotient",
        value=lambda m: m.difference,
        interval=(0.0, 1e-9),
        kind="identity",
        reason="Rounding and truncation of central differences with a step of $10^{-5}$.",
        format=".1e",
    ),
)


def plot(measured: Gradients) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(measured.logit, measured.cross_entropy, "C2")
    axes.semilogy(measured.logit, measured.squared, "C1")
    axes.text(20, 2.6, "cross-entropy: $p-y$", color="C2", ha="right")
    axes.text(10.5, 2e-3, "squared error: $J\\,(p-y)$", color="C1")
    axes.set(
        xlabel="logit $a$ on a wrong class, 0 on the nine others",
        ylabel="norm of the gradient",
        ylim=(1e-8, 20),
        xlim=(0, 20.4),
    )
    return figure
