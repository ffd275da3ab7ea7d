"""Batch normalization by hand in NumPy: training, test time, running
statistics, and the gradient.

    x_hat = (x - mean) / sqrt(var + eps),   y = gamma x_hat + beta
    training   dL/dx = gamma / sqrt(var + eps) (g - avg(g) - x_hat avg(g x_hat))
    test time  dL/dx = gamma / sqrt(var + eps) g,   g = dL/dy

avg, mean and var (divisor N) run over the N values of a channel: the batch and
all positions. Training uses those of the batch, test time the running ones. As
in the paper and in PyTorch, the running variance has the divisor N - 1; Keras
keeps N (`unbiased=False`). `momentum` is the weight of the new value, as in
PyTorch.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3, algorithms 1
and 2.
"""

import numpy as np


def batch_norm(
    x,
    gamma,
    beta,
    running_mean,
    running_var,
    training,
    momentum=0.1,
    eps=1e-5,
    *,
    axis=1,
    unbiased=True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize `x`, shape (B, n, *positions) with the n channels on `axis`;
    all other arrays have shape (n,).

    Returns y in the shape and dtype of `x`, and the new running mean and
    variance (the old ones when not `training`). float16 is computed in float32.
    ValueError if training has only one value per channel, and for other shapes,
    dtypes or a negative `eps`.
    """
    momentum = float(momentum + 0.0)  # text is no number
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
    eps = float(eps + 0.0)  # text is no number
    _check(
        x,
        axis,
        eps,
        gamma=gamma,
        beta=beta,
        running_mean=running_mean,
        running_var=running_var,
    )
    x_hat, mean, var, _ = _normalized(x, running_mean, running_var, training, eps, axis)
    if training:
        count = x.size // x.shape[axis]
        stored = var * count / (count - 1) if unbiased else var
        running_mean = (1.0 - momentum) * running_mean + momentum * mean
        running_var = (1.0 - momentum) * running_var + momentum * stored
    y = _along(gamma, x, axis) * x_hat + _along(beta, x, axis)
    return y.astype(x.dtype), running_mean, running_var


def batch_norm_backward(
    grad_y, x, gamma, running_mean, running_var, training, eps=1e-5, *, axis=1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients with respect to `x`, `gamma` and `beta`, from `grad_y` = dL/dy
    in the shape of `x`. ValueError as in `batch_norm`.
    """
    eps = float(eps + 0.0)  # text is no number
    _check(
        x, axis, eps, gamma=gamma, running_mean=running_mean, running_var=running_var
    )
    _plain(grad_y=grad_y)
    if grad_y.shape != x.shape or not np.issubdtype(grad_y.dtype, np.floating):
        raise ValueError(
            f"grad_y must be floating, of the shape of x, {x.shape}, got {grad_y.dtype} {grad_y.shape}"
        )
    x_hat, _, var, axes = _normalized(x, running_mean, running_var, training, eps, axis)
    grad_y = grad_y.astype(np.result_type(grad_y, x_hat))
    grad_beta, grad_gamma = grad_y.sum(axes), (grad_y * x_hat).sum(axes)
    grad_x = grad_y
    # mean and deviation move with x: take out the parts of the gradient along 1
    # and along x_hat
    if training:
        count = x.size // x.shape[axis]
        grad_x = (
            grad_y
            - (_along(grad_beta, x, axis) + x_hat * _along(grad_gamma, x, axis)) / count
        )
    return (
        (_along(gamma / np.sqrt(var + eps), x, axis) * grad_x).astype(x.dtype),
        grad_gamma,
        grad_beta,
    )


def _check(x, axis, eps, **channels):
    _plain(x=x, **channels)
    if (
        not np.issubdtype(x.dtype, np.floating)
        or x.ndim < 2
        or not isinstance(axis, int | np.integer)
        or axis not in range(-x.ndim, x.ndim)
    ):
        raise ValueError(
            f"x must be floating and have channels on axis {axis}, got {x.dtype} of shape {x.shape}"
        )
    for name, values in channels.items():
        floating = np.issubdtype(np.asarray(values).dtype, np.floating)
        if np.shape(values) != (x.shape[axis],) or not floating:
            raise ValueError(
                f"{name} must have shape ({x.shape[axis]},), one per channel, and be floating, "
                f"got {np.asarray(values).dtype} {np.shape(values)}"
            )
    if not 0.0 <= eps < np.inf:
        raise ValueError(f"eps must be finite and not negative, got {eps}")


def _normalized(x, running_mean, running_var, training, eps, axis):
    """x_hat, the mean and variance that made it, and the axes they run over."""
    # a number that was meant for `momentum` would count as true
    if not isinstance(training, bool | int | np.bool_) or training not in (0, 1):
        raise ValueError(f"training must be True or False, got {training!r}")
    axes = tuple(index for index in range(x.ndim) if index != axis % x.ndim)
    wide = x.astype(np.result_type(x, np.float32))
    mean, var = running_mean, running_var
    if training:
        if x.size < 2 * x.shape[axis] or not x.size:
            raise ValueError(
                f"x must hold at least 2 values per channel in training, got shape {x.shape}"
            )
        mean, var = wide.mean(axes), wide.var(axes)
    return (
        (wide - _along(mean, x, axis)) / _along(np.sqrt(var + eps), x, axis),
        mean,
        var,
        axes,
    )


def _along(channels, x, axis):
    """Shape (n,) as an array that broadcasts over `x` along `axis`."""
    return channels.reshape(
        [-1 if index == axis % x.ndim else 1 for index in range(x.ndim)]
    )


def _plain(**arrays) -> None:
    """Refuse what is no array, and what computes another way: a matrix
    multiplies, a mask hides.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or isinstance(
            array, np.matrix | np.ma.MaskedArray
        ):
            raise ValueError(
                f"{name} must be a plain array, got a {type(array).__name__}"
            )
