r"""Near the output, Post-LN Transformers start with large gradients at any depth; with Pre-LN these shrink with depth.

Source: Xiong et al. (2020), "On Layer Normalization in the Transformer Architecture". Encoders of 64
units, 4 heads, 256 hidden units, Xavier weights, no dropout; random labels at every position.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms

WIDTH, ROWS, LENGTH, CLASSES, NETWORKS = 64, 16, 16, 64, 6
DEPTHS = (6, 24)


class NormPlacement(NamedTuple):
    """Frobenius norm of dL/dW for the last weight of each feed-forward block, first block first: depth -> list.

    Root mean square over six networks.
    """

    post: dict[int, list[float]]
    pre: dict[int, list[float]]

    stream: dict[int, float]
    """Root mean square of the Pre-LN stream behind the last block, before the final norm; 1 before the first."""

    stream_gradient: dict[int, float]
    """That of its gradient there."""


class Look(NamedTuple):
    gradients: list[float]
    stream: float
    stream_gradient: float


def look(depth: int, pre: bool, seed: int) -> Look:
    """At an encoder with a linear classifier of every position and random labels."""
    generator = torch.Generator().manual_seed(seed)
    blocks = [
        nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, dropout=0.0, norm_first=pre, batch_first=True
        )
        for _ in range(depth)
    ]
    model = nn.Sequential(
        *blocks, *([nn.LayerNorm(WIDTH)] if pre else []), nn.Linear(WIDTH, CLASSES)
    )
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter, generator=generator)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    inputs = torch.randn(ROWS, LENGTH, WIDTH, generator=generator)
    labels = torch.randint(CLASSES, (ROWS, LENGTH), generator=generator)
    stream = model[:depth](inputs)
    logits = model[depth:](stream)
    loss = nn.functional.cross_entropy(logits.transpose(1, 2), labels)
    weights = [block.linear2.weight for block in blocks]
    ahead, *gradients = torch.autograd.grad(loss, [stream, *weights])
    norms = [gradient.norm().item() for gradient in gradients]
    return Look(norms, rms(stream.detach()), rms(ahead))


def measure(seed: int = 0) -> NormPlacement:
    """24 encoders, half of each kind."""

    def typical(depth: int, pre: bool) -> Look:
        looks = [look(depth, pre, NETWORKS * seed + i) for i in range(NETWORKS)]
        gradients, stream, ahead = (
            np.sqrt(np.square(column).mean(axis=0)).tolist()
            for column in zip(*looks, strict=True)
        )
        return Look(gradients, stream, ahead)

    with torch.random.fork_rng(devices=[]):  # the constructors of the layers draw
        post = {depth: typical(depth, pre=False) for depth in DEPTHS}
        pre = {depth: typical(depth, pre=True) for depth in DEPTHS}
    return NormPlacement(
        {depth: found.gradients for depth, found in post.items()},
        {depth: found.gradients for depth, found in pre.items()},
        {depth: found.stream for depth, found in pre.items()},
        {depth: found.stream_gradient for depth, found in pre.items()},
    )


CLAIMS = (
    Claim(
        statement="Post-LN: gradient of the last block in 24 over that in 6",
        value=lambda measured: measured.post[24][-1] / measured.post[6][-1],
        interval=(0.82, 1.85),
        paper="1: no depth in the bound",
        source="Xiong et al. (2020), theorem 1.",
        rival=0.5,
        rival_of="$\\sqrt{6/24}$, as for Pre-LN",
        reason="Their bound does not contain the depth.",
    ),
    Claim(
        statement="Pre-LN: the same ratio",
        value=lambda measured: measured.pre[24][-1] / measured.pre[6][-1],
        interval=(0.5, 0.9),
        paper="√(6/24) = 0.5",
        source="Xiong et al. (2020), theorem 1.",
        rival=1.0,
        rival_of="a gradient that does not depend on depth",
        reason="$\\sqrt{6/24}=1/2$ if the stream grows like $\\sqrt L$. Here it is somewhat more: attention makes the "
        "tokens of a row alike, the more the deeper, so that their gradients add up.",
    ),
    Claim(
        statement="Why: the final norm divides by the stream. Its gradient times its size, 24 blocks over 6",
        value=lambda measured: (
            measured.stream_gradient[24]
            * measured.stream[24]
            / (measured.stream_gradient[6] * measured.stream[6])
        ),
        interval=(0.93, 1.07),
        rival=lambda measured: measured.stream[24] / measured.stream[6],
        rival_of="a gradient that takes no notice of the stream",
        reason="1 if the stream's size is all that the final norm knows of the depth.",
    ),
    Claim(
        statement="Mean square of the Pre-LN stream behind 24 blocks, 1 in front of the first",
        value=lambda measured: measured.stream[24] ** 2,
        interval=(11.0, 21.0),
        rival=1 + 24 * 1.28,
        rival_of="He's weights, the feed-forward halves alone",
        reason="The feed-forward half of a block adds 0.32 under Xavier, $1+24\\cdot0.32=8.7$; attention adds the "
        "rest, the more the more alike the tokens are.",
    ),
    Claim(
        statement="24 blocks: gradient of the last block with Post-LN over that with Pre-LN",
        value=lambda measured: measured.post[24][-1] / measured.pre[24][-1],
        interval=(1.6, 10.0),
        rival=1.0,
        rival_of="equal gradients",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Pre-LN, 24 blocks: the last block's gradient over the first's: it shrinks towards the output",
        value=lambda measured: measured.pre[24][-1] / measured.pre[24][0],
        interval=(0.15, 0.75),
        rival=1.0,
        rival_of="equal gradients in all blocks",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: NormPlacement) -> Figure:
    """Gradient norm over the blocks of both kinds of encoder, 24 deep."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    blocks = range(1, 25)
    axes.plot(blocks, measured.post[24], "o-", color="C1", markersize=4)
    axes.plot(blocks, measured.pre[24], "o-", color="C0", markersize=4)
    axes.annotate(
        "Post-LN", (17, 1.15 * max(measured.post[24])), color="C1", ha="right"
    )
    axes.annotate(
        "Pre-LN", (17, 0.55 * measured.pre[24][-1]), color="C0", ha="right", va="top"
    )
    axes.set(
        xlabel="block, of 24",
        ylabel=r"norm of $\partial\mathcal{L}/\partial W$",
        ylim=(0, 1.3 * max(measured.post[24])),
    )
    return figure
