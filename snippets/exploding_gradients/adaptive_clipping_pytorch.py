"""Adaptive gradient clipping: no unit's gradient may exceed a fraction of the
unit's own weights.

    g_i <- g_i * min(1, clipping * max(||w_i||, eps) / ||g_i||)  for each unit i

A unit's part of a weight (out, in, *kernel) is one row: all that one output
reads. A limit relative to the weights needs no search for a norm that fits the
model; it bounds by how much one step can change a unit. Call it between
`loss.backward()` and `optimizer.step()`. The paper leaves the last linear layer
unclipped: pass the other parameters. Source: Brock, De, Smith & Simonyan
(2021), "High-performance large-scale image recognition without normalization".
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def unit_norm(tensor: Tensor, unit_axis: int = 0) -> Tensor:
    """Euclidean norm of each unit's part, in float32 or wider, with all axes
    kept so that it broadcasts.

    `unit_axis` counts the units: 0 for the weights of Linear and Conv, 1 for
    those of ConvTranspose without groups. A vector or a scalar is one unit as a
    whole, since the entries of a bias or of a norm's scale are no rows.
    """
    wide = torch.promote_types(tensor.dtype, torch.float32)
    axes = [axis for axis in range(tensor.dim()) if tensor.dim() < 2 or axis != unit_axis % tensor.dim()]
    return torch.linalg.vector_norm(tensor, dim=axes, keepdim=True, dtype=wide)


@torch.no_grad()
def clip_adaptively_(
    parameters: Iterable[Tensor], clipping: float = 0.01, eps: float = 1e-3, unit_axis: int = 0
) -> None:
    """Cut each unit's part of the gradients of `parameters` to `clipping` times
    the unit's norm, in place.

    `eps` is the least norm a unit counts with, so that weights that start at
    zero can leave it. Parameters without a gradient are passed over. Raises
    ValueError for a `clipping` or `eps` that is not positive.
    """
    if not (clipping > 0.0 and eps > 0.0):
        raise ValueError(f"clipping and eps must be positive, got {clipping=}, {eps=}")
    for parameter in parameters:
        if parameter.grad is not None:
            limit = clipping * unit_norm(parameter, unit_axis).clamp(min=eps)
            # Dividing by the larger of both is min(1, limit / norm) without a
            # division by zero.
            factor = limit / torch.maximum(unit_norm(parameter.grad, unit_axis), limit)
            parameter.grad.copy_(parameter.grad * factor)
