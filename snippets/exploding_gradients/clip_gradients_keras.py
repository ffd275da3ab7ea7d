"""Gradient clipping for Keras: by the global norm, which keeps the direction,
and by value, which does not.

    by norm:   g <- g * min(1, max_norm / ||g||), where
               ||g||^2 = sum of the squares of all entries of all gradients
    by value:  g <- max(-limit, min(limit, g)), entry by entry

These are for a training loop or a `train_step` of your own. An optimizer does
the same when you name it:

    # all variables together: this is `clip_by_global_norm`
    keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    # each variable by itself: the direction of the step changes
    keras.optimizers.SGD(0.1, clipnorm=1.0)
    # each entry by itself: this is `clip_by_value`
    keras.optimizers.SGD(0.1, clipvalue=1.0)

With TensorFlow, `global_clipnorm` takes too small a norm for an embedding that
looks one row up several times in a batch, and lets a longer step through;
`clip_by_global_norm` adds the parts of a row first.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops


def global_norm(gradients: Any) -> Any:
    """Euclidean norm of all entries of one tensor or a list of them together, a
    scalar; None among them counts as zero.

    The largest entry is taken out before the squares are summed in float32 or
    wider: neither 256 in float16 nor 1e30 in float32 overflows. Raises
    ValueError for a generator that is exhausted and for a dtype that is not
    floating.
    """
    unit, relative = _norm(_listed(gradients))
    return unit * relative


def _norm(gradients: list[Any]) -> tuple[Any, Any]:
    """The largest entry, and the norm in units of it."""
    values = [_wide(gradient) for gradient in gradients if gradient is not None]
    if not values:
        return ops.ones(()), ops.zeros(())
    widest = keras.backend.result_type(*(value.dtype for value in values))
    largest = ops.max(
        ops.stack(
            [ops.cast(ops.max(ops.abs(value), initial=0.0), widest) for value in values]
        )
    )
    unit = ops.where(
        ops.logical_and(largest > 0.0, largest < float("inf")),
        largest,
        ops.ones_like(largest),
    )
    squares = [
        ops.cast(ops.sum(ops.square(value / ops.cast(unit, value.dtype))), widest)
        for value in values
    ]
    return unit, ops.sqrt(sum(squares))


def clip_by_global_norm(gradients: Any, max_norm: float) -> tuple[list[Any], Any]:
    """The tensors scaled to a global norm of at most `max_norm`, in their
    dtypes, and the norm before that. One tensor counts as a list of one.

    None stays None. As with tf.clip_by_global_norm, an entry of Inf or NaN
    makes every gradient NaN, so that it cannot go unnoticed: in a compiled step
    there is no error to raise. Raises ValueError if `max_norm` is not positive.
    """
    max_norm = float(max_norm + 0.0)  # text is no number
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    gradients = _listed(gradients)
    unit, relative = _norm(gradients)
    norm = unit * relative
    # what does not fit into the dtype is no limit
    largest = float(np.finfo(keras.backend.standardize_dtype(norm.dtype)).max)
    # A cast would round a Python number to float32 first.
    limit = ops.convert_to_tensor(
        max_norm if max_norm <= largest else math.inf, norm.dtype
    )
    short = norm <= limit
    # in two steps, since limit / norm may be 0 or Inf where the result is not
    unit = ops.where(short, ops.ones_like(unit), unit)
    factor = ops.where(short, ops.ones_like(limit), limit / relative)
    factor = ops.where(relative < math.inf, factor, math.nan)
    return [
        None if gradient is None else _scaled(gradient, unit, factor)
        for gradient in gradients
    ], norm


def clip_by_value(gradients: Any, limit: float) -> list[Any]:
    """The tensors with every entry cut to [-limit, limit]; one tensor counts as
    a list of one. Raises ValueError if `limit` is not positive.
    """
    limit = float(limit + 0.0)  # text is no number
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    return [
        None if gradient is None else ops.clip(_dense(gradient), -limit, limit)
        for gradient in _listed(gradients)
    ]


def _listed(gradients: Any) -> list[Any]:
    several = isinstance(gradients, Iterable) and not hasattr(gradients, "dtype")
    listed = list(gradients) if several else [gradients]
    if not listed and isinstance(gradients, Iterator):
        raise ValueError(
            f"gradients must yield a tensor, got an exhausted {type(gradients).__name__}"
        )
    for gradient in listed:
        if gradient is None:
            continue
        # a layer has a dtype as well
        if not (hasattr(gradient, "dtype") and hasattr(gradient, "shape")):
            raise ValueError(
                f"gradients must be tensors or arrays, got {type(gradient).__name__}"
            )
        dtype = keras.backend.standardize_dtype(gradient.dtype)
        if not keras.backend.is_float_dtype(dtype) or dtype.startswith("float8"):
            raise ValueError(
                f"gradients must have floating dtypes of 16 bits or more, got {dtype}"
            )
    return listed


def _dense(gradient: Any) -> Any:
    # of an embedding: a row looked up twice stands there in two parts
    if hasattr(gradient, "dense_shape"):
        return ops.add(gradient, ops.zeros(gradient.shape, gradient.dtype))
    return gradient


def _wide(gradient: Any) -> Any:
    gradient = _dense(gradient)
    return ops.cast(gradient, keras.backend.result_type(gradient.dtype, "float32"))


def _scaled(gradient: Any, unit: Any, factor: Any) -> Any:
    wide = _wide(gradient)
    unit, factor = ops.cast(unit, wide.dtype), ops.cast(factor, wide.dtype)
    return ops.cast(wide / unit * factor, gradient.dtype)
