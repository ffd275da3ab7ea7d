"""The Jacobian of softmax never stretches by more than 1/2, and larger logits first raise it, then kill it.

Source: $J=\\operatorname{diag}(p)-pp^\\top$ in closed form; the bound 1/2 also in Nair (2025), "Softmax is
1/2-Lipschitz". Ten classes, 2,000 vectors of independent normal logits for each standard deviation.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

CLASSES, DRAWS = 10, 2000


class Norms(NamedTuple):
    spread: np.ndarray
    """Standard deviation of the logits, from 1/10 to 32; the temperature divides it."""

    quantiles: np.ndarray
    """Spectral norm of the Jacobian: its 10, 50 and 90 % quantiles, one row per spread."""

    largest: float
    """Over all draws."""

    uniform: float
    """At equal logits."""


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def jacobian(p: np.ndarray) -> np.ndarray:
    """diag(p) - p p^T for each row of p, shape (..., K, K)."""
    return p[..., None] * (np.eye(p.shape[-1]) - p[..., None, :])


def measure(seed: int = 0) -> Norms:
    generator = np.random.default_rng(seed)
    spread = np.array([0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 11, 16, 22, 32])
    logits = spread[:, None, None] * generator.standard_normal(
        (len(spread), DRAWS, CLASSES)
    )
    norms = np.linalg.eigvalsh(jacobian(softmax(logits)))[..., -1]
    quantiles = np.quantile(norms, [0.1, 0.5, 0.9], axis=1).T
    uniform = np.linalg.norm(jacobian(softmax(np.zeros(CLASSES))), 2)
    return Norms(spread, quantiles, float(norms.max()), float(uniform))


def median(measured: Norms, spread: float) -> float:
    return measured.quantiles[measured.spread == spread, 1].item()


CLAIMS = (
    Claim(
        statement="The largest spectral norm among 28,000 Jacobians",
        value=lambda m: m.largest,
        interval=(0.49, 0.5 + 1e-12),
        paper="1/2",
        rival=1.0,
        rival_of="a softmax that may pass on a change in full",
        reason="Each row of $J$ has absolute sum $2p_i(1-p_i)\\le1/2$. Two logits that tie ahead of the rest reach it.",
        format=".4f",
    ),
    Claim(
        statement="The norm at equal logits",
        value=lambda m: m.uniform,
        interval=(0.1 - 1e-12, 0.1 + 1e-12),
        kind="identity",
        reason="$J=(I-\\tfrac1K\\mathbf 1\\mathbf 1^\\top)/K$ is a projection divided by $K=10$.",
    ),
    Claim(
        statement="Median norm at standard deviation 2, divided by that at 0.1",
        value=lambda m: median(m, 2) / median(m, 0.1),
        interval=(2.5, 2.8),
        rival=1.0,
        rival_of="logits whose size does not matter",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Median norm at standard deviation 32",
        value=lambda m: median(m, 32),
        interval=(4e-7, 2.5e-5),
        rival=lambda m: m.uniform,
        rival_of="equal logits",
        reason="Behind the largest logit by $\\Delta$, the second leaves a norm of $2e^{-\\Delta}$, and "
        "$\\Delta$ is about 13 in the median.",
    ),
)


def plot(measured: Norms) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    low, middle, high = measured.quantiles.T
    axes.fill_between(measured.spread, low, high, color="C0", alpha=0.2, linewidth=0)
    axes.loglog(measured.spread, middle, "C0o-", markersize=4)
    axes.axhline(0.5, color="C5", linestyle="--", linewidth=1.2)
    axes.axhline(1 / CLASSES, color="C5", linestyle=":", linewidth=1.2)
    axes.text(31, 0.57, "never above 1/2", color="C5", va="bottom", ha="right")
    axes.text(0.1, 0.085, "equal logits: $1/K$", color="C5", va="top")
    axes.text(9.5, 0.02, "median", color="C0", ha="right", va="top")
    axes.text(27, 0.16, "90 %", color="C0", ha="right")
    axes.text(4.6, 3e-4, "10 %", color="C0", ha="right")
    axes.set(
        xlabel="standard deviation of the logits",
        ylabel="spectral norm of $J$",
        ylim=(1e-6, 2),
    )
    axes.set_xticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
    axes.minorticks_off()
    return figure
