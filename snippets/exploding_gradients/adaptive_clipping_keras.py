"""Adaptive gradient clipping for Keras: no unit's gradient may exceed a
fraction of the unit's own weights.

    g_i <- g_i * min(1, clipping * max(||w_i||, eps) / ||g_i||)  for each unit i

A unit's part of a kernel (*kernel, in, out) is one column: all that one output
reads. A limit relative to the weights serves layers of all scales; times the
rate, it bounds by how much one step of plain SGD can change a unit. Call it in
a `train_step` of your own, between the gradient and `optimizer.apply`. The
paper leaves the last linear layer unclipped.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Brock, De, Smith & Simonyan (2021), "High-performance large-scale image
recognition without normalization".
"""

from typing import Any

import keras
from keras import ops


def unit_norm(tensor: Any, unit_axis: int = -1) -> Any:
    """Euclidean norm of each unit's part, in float32 or wider, with all axes
    kept so that it broadcasts.

    `unit_axis` counts the units: -1 for the kernels of Dense and Conv, -2 for
    those of ConvTranspose. A vector or a scalar is one unit as a whole, since
    the entries of a bias or of a norm's scale are no columns. The largest entry
    is taken out first, so that no square overflows. Raises ValueError for
    another axis, for a dtype that is not floating and for slices of an
    embedding.
    """
    largest, relative = _norm(tensor, unit_axis)
    return largest * relative


def _norm(tensor: Any, unit_axis: int) -> tuple[Any, Any]:
    """The largest entry of each unit, and the norm in units of it."""
    _check("tensor", tensor)
    if hasattr(tensor, "dense_shape"):
        raise ValueError(f"tensor must be dense, got {type(tensor).__name__}")
    rank = len(tensor.shape)
    if rank > 1 and unit_axis not in range(-rank, rank):
        raise ValueError(
            f"unit_axis must be an axis of shape {tuple(tensor.shape)}, got {unit_axis}"
        )
    axes = tuple(axis for axis in range(rank) if rank < 2 or axis != unit_axis % rank)
    wide = ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))
    if not axes:
        return ops.ones_like(wide), ops.abs(wide)
    largest = ops.max(ops.abs(wide), axis=axes, keepdims=True, initial=0.0)
    largest = ops.where(
        ops.logical_and(largest > 0.0, largest < float("inf")),
        largest,
        ops.ones_like(largest),
    )
    return largest, ops.sqrt(
        ops.sum(ops.square(wide / largest), axis=axes, keepdims=True)
    )


def clip_adaptively(
    gradient: Any,
    weight: Any,
    clipping: float = 0.01,
    eps: float = 1e-3,
    unit_axis: int = -1,
) -> Any:
    """The gradient of `weight`, of the same shape, with each unit's part cut to
    `clipping` times the unit's norm.

    `eps` is the least norm a unit counts with, so that weights that start at
    zero can leave it. `clipping` = Inf leaves the gradient as it is. Raises
    ValueError for shapes that differ, a gradient that is not floating, and a
    `clipping` or `eps` that is not positive.
    """
    _check("gradient", gradient)
    _check("weight", weight)
    if tuple(gradient.shape) != tuple(weight.shape):
        raise ValueError(
            f"gradient must have the shape of weight, {tuple(weight.shape)}, got {tuple(gradient.shape)}"
        )
    clipping = float(clipping + 0.0)  # text is no number
    eps = float(eps + 0.0)  # text is no number
    if not (clipping > 0.0 and eps > 0.0):
        raise ValueError(f"clipping and eps must be positive, got {clipping=}, {eps=}")
    # of an embedding: a row looked up twice stands there in two parts
    if hasattr(gradient, "dense_shape"):
        gradient = ops.add(gradient, ops.zeros(weight.shape, gradient.dtype))
    limit = clipping * ops.maximum(unit_norm(weight, unit_axis), eps)
    unit, relative = _norm(gradient, unit_axis)
    short = unit * relative <= ops.cast(limit, unit.dtype)
    # in two steps, since limit / norm may be 0 or Inf where the result is not
    unit = ops.where(short, ops.ones_like(unit), unit)
    factor = ops.where(short, ops.ones_like(unit), limit / relative)
    return ops.cast(ops.divide(gradient, unit) * factor, gradient.dtype)


def _check(name: str, tensor: Any) -> None:
    # a layer has a dtype as well
    if not (hasattr(tensor, "dtype") and hasattr(tensor, "shape")):
        raise ValueError(
            f"{name} must be a tensor or an array, got {type(tensor).__name__}"
        )
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if not keras.backend.is_float_dtype(dtype) or dtype.startswith("float8"):
        raise ValueError(
            f"{name} must have a floating dtype of 16 bits or more, got {dtype}"
        )
