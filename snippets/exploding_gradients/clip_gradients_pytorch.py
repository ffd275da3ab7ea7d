"""Gradient clipping by hand: by the global norm, which keeps the direction, and
by value, which does not.

    by norm:   g <- g * min(1, max_norm / ||g||), where
               ||g||^2 = sum of the squares of all entries of all gradients
    by value:  g <- max(-limit, min(limit, g)), entry by entry

Call one of them between `loss.backward()` and `optimizer.step()`. With a
`torch.amp.GradScaler`, call `scaler.unscale_(optimizer)` before: the limit is
meant for the gradients, not for 65,536 times the gradients. With gradient
accumulation, clip once, before the step.
`torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` do the same, but for
three things: `clip_grad_norm_` divides by the norm + 1e-6, its norm of finite
gradients can overflow, and neither takes the sparse gradient of an embedding.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def global_norm(tensors: Tensor | Iterable[Tensor | None]) -> Tensor:
    """Euclidean norm of all entries of one or many tensors together: a scalar,
    in float32 or wider, on the first's device. None among them counts as zero.

    The largest entry is taken out before the squares are summed in float32 or
    wider: neither 256 in float16 nor 1e30 in float32 overflows. Raises
    ValueError for a generator that is exhausted.
    """
    values = [
        _values(tensor, "tensors")
        for tensor in _listed(tensors, "tensors")
        if tensor is not None
    ]
    unit, relative = _norm(values)
    return unit * relative


def _norm(values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The largest entry, and the norm in units of it."""
    wide = [
        tensor.to(torch.promote_types(tensor.dtype, torch.float32))
        for tensor in values
        if tensor.numel()
    ]
    if not wide:
        return torch.ones(()), torch.zeros(())
    if len({tensor.is_meta for tensor in wide}) > 1:
        raise ValueError(
            "tensors, or gradients of parameters, must hold values, got one on the meta device"
        )
    home = wide[0].device
    largest = torch.stack([tensor.abs().amax().to(home) for tensor in wide]).amax()
    unit = torch.where((largest > 0.0) & largest.isfinite(), largest, 1.0)
    parts = [
        torch.linalg.vector_norm(tensor / unit.to(tensor.device, tensor.dtype)).to(home)
        for tensor in wide
    ]
    return unit, torch.linalg.vector_norm(torch.stack(parts))


@torch.no_grad()
def clip_by_global_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale the gradients of one or many `parameters` in place to a global norm
    of at most `max_norm`; return the norm before that.

    Parameters without a gradient are passed over. As in PyTorch, an entry of
    Inf becomes NaN and makes the finite ones 0, and one of NaN makes all NaN: a
    GradScaler, which has seen the Inf, skips that step. Without one, ask for
    `error_if_nonfinite`: then FloatingPointError is raised and the gradients
    stay. Raises ValueError if `max_norm` is not positive and for a generator
    that is exhausted.
    """
    max_norm = float(max_norm + 0.0)  # text is no number
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    gradients = _gradients(parameters)
    unit, relative = _norm(gradients)
    norm = unit * relative
    if error_if_nonfinite and not torch.isfinite(norm):
        raise FloatingPointError(
            f"the gradients have the norm {norm.item()}: there is nothing to clip"
        )
    # what does not fit into the dtype is no limit
    limit = max_norm if max_norm <= torch.finfo(norm.dtype).max else float("inf")
    # no branch on the norm: a compiled step keeps it, and no device waits
    short = norm <= limit
    # in two steps, since limit / norm may be 0 or Inf where the result is not
    unit, factor = (torch.where(short, 1.0, part) for part in (unit, limit / relative))
    for gradient in gradients:
        wide = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
        wide.div_(unit.to(gradient.device)).mul_(factor.to(gradient.device))
        if wide is not gradient:
            gradient.copy_(wide)
    return norm


@torch.no_grad()
def clip_by_value_(parameters: Tensor | Iterable[Tensor], limit: float) -> None:
    """Cut every entry of the gradients of one or many `parameters` to [-limit,
    limit], in place. Raises ValueError if `limit` is not positive and for a
    generator that is exhausted.
    """
    limit = float(limit + 0.0)  # text is no number
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    gradients = _gradients(parameters)
    for gradient in gradients:
        if gradient.is_complex():
            raise ValueError(
                f"parameters must have real gradients to be cut by value, got {gradient.dtype}"
            )
    for gradient in gradients:
        # 70,000 does not fit into float16
        largest = torch.finfo(gradient.dtype).max
        bound = min(limit, largest) if limit < float("inf") else limit
        gradient.clamp_(-bound, bound)


def _listed(
    tensors: Tensor | Iterable[Tensor | None], name: str
) -> list[Tensor | None]:
    if isinstance(tensors, nn.Module | torch.optim.Optimizer):
        raise ValueError(
            f"{name} must be tensors, got one {type(tensors).__name__}: give its parameters"
        )
    listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not listed and isinstance(tensors, Iterator):
        raise ValueError(
            f"{name} must yield a tensor, got an exhausted {type(tensors).__name__}: it runs only once"
        )
    for tensor in listed:
        if tensor is not None:
            _check(tensor, name)
    return listed


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The tensors that hold them, to be changed in place."""
    listed = _listed(parameters, "parameters")
    # one that is named twice, as a tied weight may be, has one gradient
    gradients = {
        id(parameter): (parameter, parameter.grad)
        for parameter in listed
        if parameter is not None and parameter.grad is not None
    }.values()
    for _, gradient in gradients:
        _check(gradient, "parameters")
        _values(gradient, "parameters")
    held: set[int] = set()
    found = []
    for parameter, gradient in gradients:
        # of an embedding: a row looked up twice stands there in two parts
        if gradient.is_sparse:
            parameter.grad = gradient = gradient.coalesce()
        # written to once: two parameters may hold one memory as their gradient,
        # and the entries of an expanded one share it
        elif _place(gradient) in held or not _apart(gradient):
            parameter.grad = gradient = gradient.clone()
        held.add(_place(gradient))
        found.append(_values(gradient, "parameters"))
    return found


def _check(tensor: Tensor, name: str) -> None:
    if not isinstance(tensor, Tensor) or isinstance(tensor, LAZY) or tensor.is_nested:
        raise ValueError(
            f"{name} must be tensors, neither lazy nor nested, got {type(tensor).__name__}"
        )


def _values(tensor: Tensor, name: str) -> Tensor:
    values = tensor.coalesce()._values() if tensor.is_sparse else tensor
    number = values.is_floating_point() and values.element_size() > 1
    if values.layout != torch.strided or not (number or values.is_complex()):
        raise ValueError(
            f"{name} must have a floating dtype of 16 bits or more, got {values.layout} {values.dtype}"
        )
    return values


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
