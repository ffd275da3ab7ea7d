r"""Packed into one matrix, the attention weights of PyTorch start with half of the variance that each would get alone.

`nn.MultiheadAttention` with 256 features and 4 heads as the constructor leaves it, and after drawing each projection by
itself; unit-variance Gaussian tokens.

Source: torch.nn.MultiheadAttention of the version in requirements.txt; issue 166378 of pytorch/pytorch (2025, open).
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms
from snippets.xavier_initialization.packed_attention_pytorch import (
    projections,
    xavier_attention_,
)

FEATURES, HEADS, TOKENS = 256, 4, 512


class PackedAttention(NamedTuple):
    """Each pair is (as PyTorch starts it, each projection by itself)."""

    standard_deviation: dict[str, tuple[float, float]]
    """Of the weights of q, k, v and out, in units of Xavier's sqrt(2 / (fan_in + fan_out))."""

    logits: tuple[float, float]
    """Mean square of q k / sqrt(head_dim) over all pairs of tokens and all heads."""


def measure(seed: int = 0) -> PackedAttention:
    with torch.random.fork_rng():  # the constructor draws from the global generator
        torch.manual_seed(seed)
        attention = nn.MultiheadAttention(FEATURES, HEADS).requires_grad_(False)
    # Not the seed of the weights: the tokens would be made of the same draws.
    generator = torch.Generator().manual_seed(1000 + seed)
    tokens = torch.randn(TOKENS, FEATURES, generator=generator)
    before, logits_before = _standard_deviations(attention), _logits(attention, tokens)
    xavier_attention_(attention, generator=generator)
    after, logits_after = _standard_deviations(attention), _logits(attention, tokens)
    return PackedAttention(
        {name: (before[name], after[name]) for name in before},
        (logits_before, logits_after),
    )


def _standard_deviations(attention: nn.MultiheadAttention) -> dict[str, float]:
    return {
        name: rms(weight) / math.sqrt(2 / sum(weight.shape))
        for name, weight in projections(attention)
    }


def _logits(attention: nn.MultiheadAttention, tokens: Tensor) -> float:
    weights = dict(projections(attention))
    queries, keys = (
        (tokens @ weights[name].T)
        .view(TOKENS, HEADS, FEATURES // HEADS)
        .transpose(0, 1)
        for name in ("q", "k")
    )
    return rms(queries @ keys.transpose(1, 2) / math.sqrt(FEATURES // HEADS)) ** 2


CLAIMS = (
    Claim(
        statement=r"As PyTorch starts it: standard deviation of $W_Q$, $W_K$ and $W_V$ together, over Xavier's",
        value=lambda found: (
            sum(found.standard_deviation[name][0] for name in "qkv") / 3
        ),
        interval=(0.7043, 0.7099),
        rival=1.0,
        rival_of="each matrix by itself",
        reason=r"$\sqrt{6/4d}$ over $\sqrt{6/2d}$; 196,608 weights spread by 0.1 %; four of these.",
        format=".4f",
    ),
    Claim(
        statement=r"As PyTorch starts it: standard deviation of $W_O$, over Xavier's",
        value=lambda found: found.standard_deviation["out"][0],
        interval=(0.573, 0.5817),
        rival=1.0,
        rival_of="Xavier for this matrix too",
        reason=r"The default of `nn.Linear`, $n\operatorname{Var}W=1/3$; 65,536 weights: 0.18 %, four of these.",
        format=".4f",
    ),
    Claim(
        statement="As PyTorch starts it: mean square of the logits",
        value=lambda found: found.logits[0],
        interval=(0.235, 0.265),
        rival=lambda found: found.logits[1],
        rival_of="each projection by itself",
        reason=r"$\tfrac12\cdot\tfrac12$ for unit-variance tokens; it spreads by about 1 %.",
    ),
    Claim(
        statement="Each projection by itself: mean square of the logits",
        value=lambda found: found.logits[1],
        interval=(0.94, 1.06),
        rival=lambda found: found.logits[0],
        rival_of="as PyTorch starts it",
        reason="1, the aim of the division by the root of the head width; it spreads by about 1 %.",
    ),
)


def plot(measured: PackedAttention) -> Figure:
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    labels = {"q": "$W_Q$", "k": "$W_K$", "v": "$W_V$", "out": "$W_O$"}
    rows = {labels[name]: pair for name, pair in measured.standard_deviation.items()}
    rows["logits, rms"] = tuple(math.sqrt(value) for value in measured.logits)
    places = range(len(rows))[::-1]
    for place, (packed, alone) in zip(places, rows.values(), strict=True):
        axes.plot([packed, alone], [place, place], color="C5", linewidth=1)
        axes.plot(packed, place, "o", color="C1")
        axes.plot(alone, place, "o", color="C0")
    axes.annotate(
        "as PyTorch starts it",
        (0.5, len(rows) - 0.55),
        color="C1",
        va="center",
        ha="left",
    )
    axes.annotate(
        "one by one", (1, len(rows) - 0.55), color="C0", va="center", ha="center"
    )
    axes.axvline(1, color="C5", linewidth=1, linestyle="dashed", zorder=0)
    axes.set_yticks(places, list(rows))
    axes.set(
        xlim=(0.4, 1.15),
        ylim=(-0.5, len(rows) - 0.2),
        xlabel="standard deviation, Xavier = 1",
    )
    return figure
