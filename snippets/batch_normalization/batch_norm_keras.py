"""Batch normalization by hand in Keras: training, test time, running
statistics, and the gradient.

    x_hat = (x - mean) / sqrt(var + eps),   y = gamma x_hat + beta
    training   dL/dx = gamma / sqrt(var + eps) (g - avg(g) - x_hat avg(g x_hat))
    test time  dL/dx = gamma / sqrt(var + eps) g,   g = dL/dy

avg, mean and var (divisor N) run over the N values of a channel: the batch and
all positions. Training uses those of the batch, test time the running ones. The
running variance keeps the divisor N. `momentum` is the weight of the old value.
All this is as in keras.layers.BatchNormalization.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3, algorithms 1
and 2.
"""

from keras import backend, ops


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.99, eps=1e-3) -> tuple:
    """Normalize `x`, shape (B, *positions, n), any floating dtype; all other
    tensors have shape (n,).

    Returns y in the shape and dtype of `x`, and the new running mean and
    variance (the old ones when not `training`). Gradients follow y. float16 and
    bfloat16 are computed in float32. ValueError if training has only one value
    per channel.
    """
    x_hat, mean, var = _normalized(x, running_mean, running_var, training, eps)
    if training:
        running_mean = momentum * running_mean + (1.0 - momentum) * ops.stop_gradient(mean)
        running_var = momentum * running_var + (1.0 - momentum) * ops.stop_gradient(var)
    return ops.cast(gamma * x_hat + beta, x.dtype), running_mean, running_var


def batch_norm_backward(grad_y, x, gamma, running_mean, running_var, training, eps=1e-3) -> tuple:
    """Gradients with respect to `x`, `gamma` and `beta`, from `grad_y` = dL/dy
    in the shape of `x`.
    """
    x_hat, _, var = _normalized(x, running_mean, running_var, training, eps)
    axes = tuple(range(x.ndim - 1))
    grad_y = ops.cast(grad_y, x_hat.dtype)
    grad_beta, grad_gamma = ops.sum(grad_y, axes), ops.sum(grad_y * x_hat, axes)
    grad_x = grad_y
    # mean and deviation move with x: take out the parts of the gradient along 1
    # and along x_hat
    if training:
        grad_x = grad_y - ops.mean(grad_y, axes) - x_hat * ops.mean(grad_y * x_hat, axes)
    return ops.cast(gamma * ops.rsqrt(var + eps) * grad_x, x.dtype), grad_gamma, grad_beta


def _normalized(x, running_mean, running_var, training, eps):
    """x_hat, and the mean and variance that made it."""
    wide = ops.cast(x, backend.result_type(x.dtype, "float32"))
    mean, var = running_mean, running_var
    if training:
        if None not in x.shape and x.shape[-1] == ops.size(x):
            raise ValueError(f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}")
        mean, var = ops.moments(wide, tuple(range(x.ndim - 1)))
    return (wide - mean) * ops.rsqrt(var + eps), mean, var
