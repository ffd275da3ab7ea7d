"""Batch normalization by hand in Keras: training, test time, running
statistics, and the gradient.

    x_hat = (x - mean) / sqrt(var + eps),   y = gamma x_hat + beta
    training   dL/dx = gamma / sqrt(var + eps) (g - avg(g) - x_hat avg(g x_hat))
    test time  dL/dx = gamma / sqrt(var + eps) g,   g = dL/dy

avg, mean and var (divisor N) run over the N values of a channel: the batch and
all positions. Training uses those of the batch, test time the running ones. The
running variance keeps the divisor N. `momentum` is the weight of the old value.
All this is as in keras.layers.BatchNormalization.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3, algorithms 1
and 2.
"""

import math

from keras import backend, ops


def batch_norm(
    x, gamma, beta, running_mean, running_var, training, momentum=0.99, eps=1e-3
) -> tuple:
    """Normalize `x`, shape (B, *positions, n), any floating dtype; all other
    tensors have shape (n,).

    Returns y in the shape and dtype of `x`, and the new running mean and
    variance (the old ones when not `training`). Gradients follow y. float16 and
    bfloat16 are computed in float32. ValueError if training has only one value
    per channel, and for other shapes, dtypes or a negative `eps`.
    """
    momentum = float(momentum + 0.0)  # text is no number
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
    eps = float(eps + 0.0)  # text is no number
    x = _check(
        x,
        eps,
        gamma=gamma,
        beta=beta,
        running_mean=running_mean,
        running_var=running_var,
    )
    wide = backend.result_type(x.dtype, "float32")
    gamma, beta, running_mean, running_var = (
        ops.cast(values, wide) for values in (gamma, beta, running_mean, running_var)
    )
    x_hat, mean, var = _normalized(x, running_mean, running_var, training, eps)
    if training:
        running_mean = momentum * running_mean + (1.0 - momentum) * ops.stop_gradient(
            mean
        )
        running_var = momentum * running_var + (1.0 - momentum) * ops.stop_gradient(var)
    return ops.cast(gamma * x_hat + beta, x.dtype), running_mean, running_var


def batch_norm_backward(
    grad_y, x, gamma, running_mean, running_var, training, eps=1e-3
) -> tuple:
    """Gradients with respect to `x`, `gamma` and `beta`, from `grad_y` = dL/dy
    in the shape of `x`. ValueError as in `batch_norm`.
    """
    eps = float(eps + 0.0)  # text is no number
    x = _check(x, eps, gamma=gamma, running_mean=running_mean, running_var=running_var)
    _tensors(grad_y=grad_y)
    dtype = backend.standardize_dtype(grad_y.dtype)
    if (
        not _floating(dtype)
        or hasattr(grad_y, "dense_shape")
        or len(grad_y.shape) != len(x.shape)
        or any(
            None not in sizes and len(set(sizes)) > 1
            for sizes in zip(grad_y.shape, x.shape, strict=True)
        )
    ):
        raise ValueError(
            f"grad_y must be floating, of the shape of x, {tuple(x.shape)}, got {dtype} {tuple(grad_y.shape)}"
        )
    wide = backend.result_type(x.dtype, "float32")
    gamma, running_mean, running_var = (
        ops.cast(values, wide) for values in (gamma, running_mean, running_var)
    )
    x_hat, _, var = _normalized(x, running_mean, running_var, training, eps)
    axes = tuple(range(x.ndim - 1))
    grad_y = ops.cast(grad_y, x_hat.dtype)
    grad_beta, grad_gamma = ops.sum(grad_y, axes), ops.sum(grad_y * x_hat, axes)
    grad_x = grad_y
    # mean and deviation move with x: take out the parts of the gradient along 1
    # and along x_hat
    if training:
        grad_x = (
            grad_y - ops.mean(grad_y, axes) - x_hat * ops.mean(grad_y * x_hat, axes)
        )
    return (
        ops.cast(gamma * ops.rsqrt(var + eps) * grad_x, x.dtype),
        grad_gamma,
        grad_beta,
    )


def _tensors(**given):
    for name, values in given.items():
        if not hasattr(values, "dtype"):
            raise ValueError(
                f"{name} must be a tensor or an array, got {type(values).__name__}"
            )


def _floating(dtype: str) -> bool:
    """Of 16 bits or more."""
    return backend.is_float_dtype(dtype) and not dtype.startswith("float8")


def _check(x, eps, **channels):
    """`x` as a tensor."""
    _tensors(x=x, **channels)
    x = ops.convert_to_tensor(x)
    if (
        not _floating(backend.standardize_dtype(x.dtype))
        or hasattr(x, "dense_shape")
        or len(x.shape) < 2
    ):
        raise ValueError(
            f"x must be floating, of shape (B, *positions, n), got {x.dtype} of {tuple(x.shape)}"
        )
    for name, values in channels.items():
        dtype = backend.standardize_dtype(values.dtype)
        dense = _floating(dtype) and not hasattr(values, "dense_shape")
        if tuple(values.shape) != (x.shape[-1],) or not dense:
            raise ValueError(
                f"{name} must have shape ({x.shape[-1]},), one per channel, and be floating, "
                f"got {dtype} {tuple(values.shape)}"
            )
    if not 0.0 <= eps < float("inf"):
        raise ValueError(f"eps must be finite and not negative, got {eps}")
    return x


def _normalized(x, running_mean, running_var, training, eps):
    """x_hat, and the mean and variance that made it."""
    # a number that was meant for `momentum` would count as true
    if not isinstance(training, bool | int) or training not in (0, 1):
        raise ValueError(f"training must be True or False, got {training!r}")
    wide = ops.cast(x, backend.result_type(x.dtype, "float32"))
    mean, var = running_mean, running_var
    if training:
        if None not in x.shape and math.prod(x.shape[:-1]) < 2:
            raise ValueError(
                f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}"
            )
        mean, var = ops.moments(wide, tuple(range(x.ndim - 1)))
    return (wide - mean) * ops.rsqrt(var + eps), mean, var
