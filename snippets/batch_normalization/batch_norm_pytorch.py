"""Batch normalization by hand in PyTorch: training, test time, running
statistics, and the gradient.

    x_hat = (x - mean) / sqrt(var + eps),   y = gamma x_hat + beta
    training   dL/dx = gamma / sqrt(var + eps) (g - avg(g) - x_hat avg(g x_hat))
    test time  dL/dx = gamma / sqrt(var + eps) g,   g = dL/dy

avg, mean and var (divisor N) run over the N values of a channel: the batch and
all positions. Training uses those of the batch, test time the running ones. The
running variance has the divisor N - 1. `momentum` is the weight of the new
value. All this is as in torch.nn.BatchNorm1d and its siblings.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3, algorithms 1
and 2.
"""

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def batch_norm(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize `x`, shape (B, n, *positions), any floating dtype; all other
    tensors have shape (n,).

    Returns y in the shape and dtype of `x`, and the new running mean and
    variance (the old ones when not `training`). Autograd follows y. float16 and
    bfloat16 are computed in float32. ValueError if training has only one value
    per channel, and for other shapes, dtypes or a negative `eps`.
    """
    momentum = float(momentum + 0.0)  # text is no number
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
    eps = float(eps + 0.0)  # text is no number
    _check(
        x,
        eps,
        gamma=gamma,
        beta=beta,
        running_mean=running_mean,
        running_var=running_var,
    )
    x_hat, mean, var = _normalized(x, running_mean, running_var, training, eps)
    if training:
        count = x.numel() // x.shape[1]
        running_mean = (1.0 - momentum) * running_mean + momentum * mean.detach()
        running_var = (
            1.0 - momentum
        ) * running_var + momentum * var.detach() * count / (count - 1)
    y = _along(gamma, x) * x_hat + _along(beta, x)
    return y.to(x.dtype), running_mean, running_var


@torch.no_grad()
def batch_norm_backward(
    grad_y, x, gamma, running_mean, running_var, training, eps=1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to `x`, `gamma` and `beta`, from `grad_y` = dL/dy
    in the shape of `x`. ValueError as in `batch_norm`.
    """
    eps = float(eps + 0.0)  # text is no number
    _check(x, eps, gamma=gamma, running_mean=running_mean, running_var=running_var)
    _tensor("grad_y", grad_y)
    if grad_y.shape != x.shape or not _fits(grad_y, x):
        raise ValueError(
            f"grad_y must be dense, floating, like x of {tuple(x.shape)} on {x.device}, got {_kind(grad_y)}"
        )
    x_hat, _, var = _normalized(x, running_mean, running_var, training, eps)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    grad_y = grad_y.to(torch.promote_types(grad_y.dtype, x_hat.dtype))
    grad_beta, grad_gamma = grad_y.sum(axes), (grad_y * x_hat).sum(axes)
    grad_x = grad_y
    # mean and deviation move with x: take out the parts of the gradient along 1
    # and along x_hat
    if training:
        grad_x = grad_y - (_along(grad_beta, x) + x_hat * _along(grad_gamma, x)) / (
            x.numel() // x.shape[1]
        )
    return (
        (_along(gamma * torch.rsqrt(var + eps), x) * grad_x).to(x.dtype),
        grad_gamma,
        grad_beta,
    )


def _check(x, eps, **channels):
    for name, tensor in ({"x": x} | channels).items():
        _tensor(name, tensor)
    if not _fits(x, x) or x.ndim < 2:
        raise ValueError(
            f"x must be dense, floating, of shape (B, n, *positions), got {_kind(x)}"
        )
    for name, values in channels.items():
        if tuple(values.shape) != (x.shape[1],) or not _fits(values, x):
            raise ValueError(
                f"{name} must be dense, floating, of shape ({x.shape[1]},), and on the device of x, got {_kind(values)}"
            )
    if not 0.0 <= eps < float("inf"):
        raise ValueError(f"eps must be finite and not negative, got {eps}")


def _tensor(name, given):
    if not isinstance(given, Tensor) or isinstance(given, LAZY) or given.is_nested:
        raise ValueError(
            f"{name} must be a tensor, neither lazy nor nested, got {type(given).__name__}"
        )


def _fits(tensor, x):
    """Whether `tensor` can be computed with, together with `x`."""
    dense = tensor.layout == torch.strided and tensor.device == x.device
    return dense and tensor.is_floating_point() and tensor.element_size() > 1


def _kind(tensor):
    return f"{tensor.layout} {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}"


def _normalized(x, running_mean, running_var, training, eps):
    """x_hat, and the mean and variance that made it."""
    # a number that was meant for `momentum` would count as true
    if not isinstance(training, bool | int) or training not in (0, 1):
        raise ValueError(f"training must be True or False, got {training!r}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean, var = running_mean, running_var
    if training:
        if x.numel() < 2 * x.shape[1] or not x.numel():
            raise ValueError(
                f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}"
            )
        var, mean = torch.var_mean(
            wide, [axis for axis in range(x.ndim) if axis != 1], correction=0
        )
    return (wide - _along(mean, x)) * torch.rsqrt(_along(var, x) + eps), mean, var


def _along(channels, x):
    """Shape (n,) as a tensor that broadcasts over `x` along its channels."""
    return channels.reshape(-1, *[1] * (x.ndim - 2))
