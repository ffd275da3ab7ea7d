"""`orthogonal_` on a convolution's weight does not make the convolution orthogonal; delta-orthogonal does.

Source: Xiao et al. (2018), "Dynamical Isometry and a Mean Field Theory of CNNs". A 3 x 3 convolution from 8
to 8 channels on images of 8 x 8 that wrap around, written out as a matrix of 512 x 512.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.laboratory.claim import Claim
from snippets.weight_initialization.delta_orthogonal_pytorch import delta_orthogonal_

CHANNELS, SIDE = 8, 8


class OrthogonalConvolution(NamedTuple):
    """Singular values of the convolution as a linear map, largest first."""

    delta: list[float]
    """Delta-orthogonal."""

    flattened: list[float]
    """torch.nn.init.orthogonal_, which makes the weight orthogonal as a matrix of shape (8, 72)."""

    gaussian: list[float]
    """Variance 1 / fan_in."""


def singular_values(initialize: Callable[[Tensor], object]) -> list[float]:
    layer = nn.utils.skip_init(
        nn.Conv2d,
        CHANNELS,
        CHANNELS,
        3,
        padding=1,
        padding_mode="circular",
        bias=False,
        dtype=torch.float64,
    )
    initialize(layer.weight)
    size = CHANNELS * SIDE * SIDE
    unit_images = torch.eye(size, dtype=torch.float64).view(size, CHANNELS, SIDE, SIDE)
    return torch.linalg.svdvals(layer(unit_images).detach().view(size, size)).tolist()


def measure(seed: int = 0) -> OrthogonalConvolution:
    """Three convolutions."""
    generator = torch.Generator().manual_seed(seed)
    std = (9 * CHANNELS) ** -0.5
    return OrthogonalConvolution(
        singular_values(lambda weight: delta_orthogonal_(weight, generator=generator)),
        singular_values(
            lambda weight: nn.init.orthogonal_(weight, generator=generator)
        ),
        singular_values(
            lambda weight: nn.init.normal_(weight, std=std, generator=generator)
        ),
    )


CLAIMS = (
    Claim(
        statement="Delta-orthogonal: the largest singular value over the smallest",
        value=lambda measured: measured.delta[0] / measured.delta[-1],
        interval=(1.0, 1.0 + 1e-12),
        paper="1",
        kind="identity",
        reason="It turns the channels of every pixel by one rotation; rounding of float64.",
        format=".12g",
    ),
    Claim(
        statement="`orthogonal_`: the largest singular value",
        value=lambda measured: measured.flattened[0],
        interval=(1.55, 2.3),
        rival=1.0,
        rival_of="an orthogonal map",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="`orthogonal_`: a tenth of the directions keeps at most this fraction",
        value=lambda measured: measured.flattened[-len(measured.flattened) // 10],
        interval=(0.086, 0.3),
        rival=1.0,
        rival_of="an orthogonal map",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
    Claim(
        statement="Gaussian with variance 1 / `fan_in`: the largest singular value",
        value=lambda measured: measured.gaussian[0],
        interval=(1.5, 2.6),
        rival=1.0,
        rival_of="an orthogonal map",
        reason="The spread over ten seeds, and its range again beyond either end.",
    ),
)


def plot(measured: OrthogonalConvolution) -> Figure:
    """Singular values over their rank."""
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    ranks = range(1, len(measured.delta) + 1)
    axes.plot(ranks, measured.delta, color="C0")
    axes.plot(ranks, measured.flattened, color="C1")
    axes.plot(ranks, measured.gaussian, color="C2")
    axes.annotate("delta-orthogonal", (290, 1.08), color="C0")
    axes.annotate("orthogonal_ on the\nflattened weight", (12, 0.12), color="C1")
    axes.annotate("Gaussian", (70, 1.75), color="C2")
    axes.set(
        xlabel="rank of the singular value, of 512",
        ylabel="singular value",
        ylim=(0, 2.5),
    )
    return figure
