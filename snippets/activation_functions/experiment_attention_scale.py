"""Without $1/\\sqrt{d_k}$, wide attention heads saturate their softmax; with it, the width does not matter.

Source: Vaswani et al. (2017), section 3.2.1 and its footnote on the variance of a dot product. Queries and keys of
independent standard normal components, one query and 32 keys, 1,000 draws per width; at the width 256 also 8 and 512
keys, 300 draws each.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

KEYS, DRAWS = 32, 1000
FEW, MANY, AT, FEWER_DRAWS = 8, 512, 256, 300
"""Other numbers of keys, the width at which they are tried, and how often."""

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Attention(NamedTuple):
    width: np.ndarray
    """d_k."""

    spread: np.ndarray
    """Standard deviation of the logits without the scale."""

    unscaled: np.ndarray
    """Median Frobenius norm of the softmax Jacobian."""

    scaled: np.ndarray
    """The same with the logits divided by sqrt(d_k)."""

    unscaled_query: np.ndarray
    """Median norm of dL/dq for a standard normal dL/dp."""

    scaled_query: np.ndarray
    """The same with the logits divided by sqrt(d_k)."""

    few_keys: float
    """The first over the second at the width `AT`, with `FEW` keys."""

    many_keys: float
    """The same with `MANY` keys."""


def _row(
    width: int, number: int, draws: int, generator: np.random.Generator
) -> tuple[float, ...]:
    """The first six fields of `Attention` for one width, with `number` keys."""
    query = generator.standard_normal((draws, width))
    keys = generator.standard_normal((draws, number, width), dtype=np.float32)
    incoming = generator.standard_normal((draws, number))
    logits = np.einsum("nkd,nd->nk", keys, query)
    medians = []
    for scale in (1.0, 1.0 / math.sqrt(width)):
        powers = np.exp(scale * (logits - logits.max(axis=1, keepdims=True)))
        p = powers / powers.sum(axis=1, keepdims=True)
        # |diag(p) - p p^T|^2 = sum p^2 (1 - 2 p) + (sum p^2)^2, without building the matrix.
        square = (p**2).sum(axis=1)
        frobenius = np.sqrt((p**2 * (1.0 - 2.0 * p)).sum(axis=1) + square**2)
        delta = scale * p * (incoming - (p * incoming).sum(axis=1, keepdims=True))
        query_gradient = np.linalg.norm(np.einsum("nk,nkd->nd", delta, keys), axis=1)
        medians += [np.median(frobenius), np.median(query_gradient)]
    return width, logits.std(), medians[0], medians[2], medians[1], medians[3]


def measure(seed: int = 0) -> Attention:
    generator = np.random.default_rng(seed)
    rows = [_row(width, KEYS, DRAWS, generator) for width in WIDTHS]
    few, many = (_row(AT, number, FEWER_DRAWS, generator) for number in (FEW, MANY))
    width, spread, unscaled, scaled, unscaled_query, scaled_query = np.array(rows).T
    return Attention(
        width,
        spread,
        unscaled,
        scaled,
        unscaled_query,
        scaled_query,
        few[4] / few[5],
        many[4] / many[5],
    )


def at(width: int, measured: Attention, name: str) -> float:
    return getattr(measured, name)[measured.width == width].item()


CLAIMS = (
    Claim(
        statement="Standard deviation of unscaled logits at $d_k=512$",
        paper="√dₖ",
        value=lambda m: at(512, m, "spread"),
        interval=(0.98 * math.sqrt(512), 1.02 * math.sqrt(512)),
        rival=1.0,
        rival_of="logits of independent components that keep the variance 1",
        reason="1,000 queries of norm $\\sqrt{512}\\,(1\\pm0.03)$ and 32,000 logits: off by 0.5 %, four of these.",
    ),
    Claim(
        statement="Median norm of $J$ at $d_k=1024$ without the scale",
        value=lambda m: at(1024, m, "unscaled"),
        interval=(0.0, 0.0005),
        rival=lambda m: at(1024, m, "scaled"),
        rival_of="the same with the scale",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The same with the scale",
        value=lambda m: at(1024, m, "scaled"),
        interval=(0.22, 0.25),
        rival=lambda m: at(1024, m, "unscaled"),
        rival_of="the same without the scale",
        reason="Logits of variance 1 whatever $d_k$.",
    ),
    Claim(
        statement="Largest median norm of $J$ with the scale divided by the smallest, $d_k$ from 16 to 1024",
        value=lambda m: m.scaled[2:].max() / m.scaled[2:].min(),
        interval=(1.0, 1.06),
        rival=lambda m: m.unscaled[2:].max() / m.unscaled[2:].min(),
        rival_of="the same without the scale",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Gradient of the query at $d_k=64$: unscaled divided by scaled",
        value=lambda m: at(64, m, "unscaled_query") / at(64, m, "scaled_query"),
        interval=(1.8, 4.2),
        rival=8.0,
        rival_of="$\\sqrt{64}$, the factor of the logits, if nothing saturated",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The same at $d_k=1024$",
        value=lambda m: at(1024, m, "unscaled_query") / at(1024, m, "scaled_query"),
        interval=(0.0, 0.03),
        rival=32.0,
        rival_of="$\\sqrt{1024}$, the factor of the logits, if nothing saturated",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="The more keys, the wider a head may be: the same at $d_k=256$ with 8 keys",
        value=lambda m: m.few_keys,
        interval=(0.0, 0.5),
        rival=lambda m: m.many_keys,
        rival_of="512 keys",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="With 512 keys",
        value=lambda m: m.many_keys,
        interval=(1.5, 40.0),
        rival=lambda m: m.few_keys,
        rival_of="8 keys",
        reason="The largest of many logits has close neighbors, so the softmax is not yet flat. A median of 300 draws "
        "scatters by a factor of 2.",
    ),
)


def plot(measured: Attention) -> Figure:
    figure = Figure(figsize=(4.6, 5.2))
    top, bottom = figure.subplots(2, sharex=True)
    for axes, unscaled, scaled in (
        (top, measured.unscaled, measured.scaled),
        (bottom, measured.unscaled_query, measured.scaled_query),
    ):
        axes.loglog(measured.width, unscaled, "C1s-", markersize=5)
        axes.loglog(measured.width, scaled, "C2o-", markersize=5)
        axes.minorticks_off()
    top.set(ylabel="norm of $J$", ylim=(3e-5, 2))
    bottom.set(
        ylabel="norm of $\\partial\\mathcal{L}/\\partial q$",
        xlabel="width of the head, $d_k$",
        ylim=(5e-4, 3),
    )
    bottom.set_xticks(WIDTHS[::2], [str(width) for width in WIDTHS[::2]])
    top.text(
        1024, 0.3, r"logits $q\cdot k/\sqrt{d_k}$", color="C2", ha="right", va="bottom"
    )
    top.text(90, 0.012, r"logits $q\cdot k$", color="C1", ha="right")
    return figure
