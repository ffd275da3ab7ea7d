"""Adaptive gradient clipping: no unit's gradient may exceed a fraction of the
unit's own weights.

    g_i <- g_i * min(1, clipping * max(||w_i||, eps) / ||g_i||)  for each unit i

A unit's part of a weight (out, in, *kernel) is one row: all that one output
reads. A limit relative to the weights serves layers of all scales; times the
rate, it bounds by how much one step of plain SGD can change a unit. Call it
between `loss.backward()` and `optimizer.step()`. The paper leaves the last
linear layer unclipped: pass the other parameters.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Brock, De, Smith & Simonyan (2021), "High-performance large-scale image
recognition without normalization".
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def unit_norm(tensor: Tensor, unit_axis: int = 0) -> Tensor:
    """Euclidean norm of each unit's part, in float32 or wider, with all axes
    kept so that it broadcasts.

    `unit_axis` counts the units: 0 for the weights of Linear and Conv, 1 for
    those of ConvTranspose without groups. A vector or a scalar is one unit as a
    whole, since the entries of a bias or of a norm's scale are no rows. The
    largest entry is taken out first, so that no square overflows. Raises
    ValueError for another axis.
    """
    largest, relative = _norm(tensor, unit_axis)
    return largest * relative


def _norm(tensor: Tensor, unit_axis: int) -> tuple[Tensor, Tensor]:
    """The largest entry of each unit, and the norm in units of it."""
    _check(tensor, "tensor")
    if tensor.dim() > 1 and unit_axis not in range(-tensor.dim(), tensor.dim()):
        raise ValueError(
            f"unit_axis must be an axis of shape {tuple(tensor.shape)}, got {unit_axis}"
        )
    wide = _wide(tensor, "tensor")
    axes = [
        axis
        for axis in range(tensor.dim())
        if tensor.dim() < 2 or axis != unit_axis % tensor.dim()
    ]
    if not tensor.numel():
        norm = torch.linalg.vector_norm(wide, dim=axes, keepdim=True)
        return torch.ones_like(norm), norm
    largest = wide.abs().amax(dim=axes, keepdim=True)
    largest = torch.where((largest > 0.0) & largest.isfinite(), largest, 1.0)
    return largest, torch.linalg.vector_norm(wide / largest, dim=axes, keepdim=True)


@torch.no_grad()
def clip_adaptively_(
    parameters: Tensor | Iterable[Tensor],
    clipping: float = 0.01,
    eps: float = 1e-3,
    unit_axis: int = 0,
) -> None:
    """Cut each unit's part of the gradients of one or many `parameters` to
    `clipping` times the unit's norm, in place.

    `eps` is the least norm a unit counts with, so that weights that start at
    zero can leave it. `clipping` = Inf leaves the gradients as they are.
    Parameters without a gradient are passed over. Raises ValueError for a
    `clipping` or `eps` that is not positive and for a generator that is
    exhausted.
    """
    clipping = float(clipping + 0.0)  # text is no number
    eps = float(eps + 0.0)  # text is no number
    if not (clipping > 0.0 and eps > 0.0):
        raise ValueError(f"clipping and eps must be positive, got {clipping=}, {eps=}")
    if isinstance(parameters, nn.Module | torch.optim.Optimizer):
        raise ValueError(
            f"parameters must be tensors, got one {type(parameters).__name__}: give its parameters"
        )
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not listed and isinstance(parameters, Iterator):
        raise ValueError(
            f"parameters must yield a tensor, got an exhausted {type(parameters).__name__}"
        )
    for one in listed:
        _check(one, "parameters")
        if one.grad is not None:
            _check(one.grad, "parameters")
    # one that is named twice, as a tied weight may be, has one gradient
    clipped = {
        id(parameter): (parameter, parameter.grad)
        for parameter in listed
        if parameter.grad is not None
    }.values()
    parts = []
    for parameter, grad in clipped:
        _wide(grad.coalesce().values() if grad.is_sparse else grad, "parameters")
        size = unit_norm(parameter, unit_axis)
        # what does not fit into the dtype is no limit
        least = eps if eps <= torch.finfo(size.dtype).max else float("inf")
        limit = clipping * size.clamp(min=least)
        # of an embedding: a row looked up twice stands there in two parts
        unit, relative = _norm(grad.to_dense() if grad.is_sparse else grad, unit_axis)
        short = unit * relative <= limit
        # in two steps: limit / norm may be 0 or Inf where the result is not
        parts.append(
            [torch.where(short, 1.0, part) for part in (unit, limit / relative)]
        )
    held: set[int] = set()
    gradients = []
    for parameter, grad in clipped:
        # written to once: two parameters may hold one memory as their gradient,
        # and the entries of an expanded one share it
        if not grad.is_sparse and (_place(grad) in held or not _apart(grad)):
            parameter.grad = grad = grad.clone()
        held.add(_place(grad))
        gradients.append(grad)
    for (parameter, _), grad, part in zip(clipped, gradients, parts, strict=True):
        unit, factor = part
        if grad.is_sparse:
            dense = (grad.to_dense() / unit * factor).to(grad.dtype)
            parameter.grad = dense.sparse_mask(grad.coalesce())
        else:
            grad.copy_(grad / unit * factor)


def _check(tensor: Tensor, name: str) -> None:
    if not isinstance(tensor, Tensor) or isinstance(tensor, LAZY) or tensor.is_nested:
        raise ValueError(
            f"{name} must be tensors, neither lazy nor nested, got {type(tensor).__name__}"
        )


def _wide(tensor: Tensor, name: str) -> Tensor:
    """In float32 or wider."""
    number = tensor.is_floating_point() and tensor.element_size() > 1
    if tensor.layout != torch.strided or not (number or tensor.is_complex()):
        raise ValueError(
            f"{name} must be dense and of a floating dtype of 16 bits or more, got {tensor.layout} {tensor.dtype}"
        )
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _place(tensor: Tensor) -> int:
    """Where its entries begin: the same for two views of one memory."""
    # a compiled step has no addresses
    held = tensor.layout == torch.strided and not torch.compiler.is_compiling()
    return (tensor.data_ptr() if held else 0) or id(tensor)


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
