r"""The logits of attention grow with the square of the scale of its weights; normalized, they do not.

Source: Henry et al. (2020), "Query-key normalization for Transformers"; Dehghani et al. (2023), "Scaling vision
Transformers to 22 billion parameters", section 2, where attention logits grew until training diverged and a
normalization of queries and keys ended it. Ours: one head of 64 dimensions, 256 tokens of 512 Gaussian features, 100
of which ask, weights of variance $s^2/n$.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from snippets.laboratory.claim import Claim

FEATURES, HEAD, TOKENS, QUERIES = 512, 64, 256, 100
SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)


class Attention(NamedTuple):
    """One entry per scale of `SCALES`."""

    logits: list[float]
    """Standard deviation of the logits."""

    normalized_logits: list[float]
    """The same with queries and keys divided by their root mean square."""

    entropy: list[float]
    """Mean entropy of the attention over the tokens, in units of ln 256, that of equal weights."""

    normalized_entropy: list[float]


def measure(seed: int = 0) -> Attention:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(TOKENS, FEATURES, generator=generator)
    weights = torch.randn(2, FEATURES, HEAD, generator=generator) / math.sqrt(FEATURES)
    rows = []
    for scale in SCALES:
        queries, keys = tokens @ (scale * weights)
        queries = queries[:QUERIES]
        plain = queries @ keys.T / math.sqrt(HEAD)
        normalized = (
            functional.rms_norm(queries, [HEAD])
            @ functional.rms_norm(keys, [HEAD]).T
            / math.sqrt(HEAD)
        )
        rows.append(
            (
                plain.std().item(),
                normalized.std().item(),
                _entropy(plain),
                _entropy(normalized),
            )
        )
    return Attention(*map(list, zip(*rows, strict=True)))


def _entropy(logits: Tensor) -> float:
    log_p = logits.double().log_softmax(dim=1)
    return (-(log_p.exp() * log_p).sum(dim=1).mean() / math.log(TOKENS)).item()


CLAIMS = (
    Claim(
        statement="Weights eight times as large: the logits grow by the factor",
        value=lambda found: found.logits[-1] / found.logits[1],
        interval=(63.9, 64.1),
        kind="identity",
        reason="Queries and keys both grow: $8^2$.",
    ),
    Claim(
        statement="With queries and keys normalized: by the factor",
        value=lambda found: found.normalized_logits[-1] / found.normalized_logits[1],
        interval=(0.999, 1.001),
        kind="identity",
        reason="A normalization takes no notice of a factor; its small $\\epsilon$ aside.",
    ),
    Claim(
        statement="Attention's entropy with weights eight times as large, in units of $\\ln 256$",
        value=lambda found: found.entropy[-1],
        interval=(0.0, 0.04),
        rival=lambda found: found.normalized_entropy[-1],
        rival_of="queries and keys normalized",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".3f",
    ),
    Claim(
        statement="The same with queries and keys normalized",
        value=lambda found: found.normalized_entropy[-1],
        interval=(0.88, 0.95),
        rival=lambda found: found.entropy[-1],
        rival_of="not normalized",
        reason=r"Logits of variance 1, as at the start: about $\ln n-\tfrac12$ of $\ln n$, which is 0.91.",
        format=".3f",
    ),
    Claim(
        statement="The price: the largest logit that normalized queries and keys can reach, over $\\sqrt{64}$",
        value=lambda found: math.sqrt(HEAD) / 8,
        interval=(1.0, 1.0),
        kind="identity",
        reason="Two vectors of norm $\\sqrt d$ have a product of at most $d$, and $\\sqrt d$ divides it. Hence the "
        "learned scale that models put behind the normalization.",
    ),
)


def plot(measured: Attention) -> Figure:
    figure = Figure(figsize=(4.6, 3.1))
    axes = figure.subplots()
    axes.plot(SCALES, measured.entropy, "o-", color="C1")
    axes.plot(SCALES, measured.normalized_entropy, "o-", color="C0")
    axes.text(2.2, 0.55, "plain", color="C1")
    axes.text(2.2, 0.97, "queries and keys normalized", color="C0")
    axes.set(xscale="log", ylim=(0, 1.1), xticks=SCALES)
    axes.set_xticks(SCALES, [f"{scale:g}" for scale in SCALES])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="scale of the weights", ylabel="entropy, of ln 256")
    return figure
