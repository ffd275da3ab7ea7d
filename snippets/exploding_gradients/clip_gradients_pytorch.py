"""Gradient clipping by hand: by the global norm, which keeps the direction, and
by value, which does not.

    by norm:   g <- g * min(1, max_norm / ||g||), where
               ||g||^2 = sum of the squares of all entries of all gradients
    by value:  g <- max(-limit, min(limit, g)), entry by entry

Call one of them between `loss.backward()` and `optimizer.step()`. With a
`torch.amp.GradScaler`, call `scaler.unscale_(optimizer)` before: the limit is
meant for the gradients, not for 65,536 times the gradients. With gradient
accumulation, clip once, before the step.
`torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` do the same, but for two
things: `clip_grad_norm_` turns a gradient with an Inf into NaN unless
`error_if_nonfinite=True`, and it divides by the norm + 1e-6.
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def global_norm(tensors: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all entries of all tensors together: a scalar, in
    float32 or wider, on the first's device.

    The squares are summed in float32 or wider: in float16 the square of 256 is
    already Inf.
    """
    norms = [
        torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors
    ]
    if not norms:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device) for norm in norms]))


@torch.no_grad()
def clip_by_global_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale the gradients of `parameters` in place to a global norm of at most
    `max_norm`; return the norm before that.

    Parameters without a gradient are passed over. Raises ValueError if
    `max_norm` is not positive, and FloatingPointError if the norm is Inf or
    NaN: no factor mends such a gradient, and it stays as it is.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = global_norm(gradients)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradients have the norm {norm.item()}: there is nothing to clip")
    if norm > max_norm:
        factor = max_norm / norm
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.device))
    return norm


@torch.no_grad()
def clip_by_value_(parameters: Iterable[Tensor], limit: float) -> None:
    """Cut every entry of the gradients to [-limit, limit], in place. Raises
    ValueError if `limit` is not positive.
    """
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.clamp_(-limit, limit)
