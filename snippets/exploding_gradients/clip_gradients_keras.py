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
Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training
recurrent neural networks".
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def global_norm(gradients: Sequence[Any]) -> Any:
    """Euclidean norm of all entries of all tensors together, a scalar; None
    among them counts as zero.

    The squares are summed in float32 or wider: in float16 the square of 256 is
    already Inf.
    """
    squares = [ops.sum(ops.square(_wide(gradient))) for gradient in gradients if gradient is not None]
    return ops.sqrt(sum(squares)) if squares else ops.zeros(())


def clip_by_global_norm(gradients: Sequence[Any], max_norm: float) -> tuple[list[Any], Any]:
    """The tensors scaled to a global norm of at most `max_norm`, in their
    dtypes, and the norm before that.

    None stays None. A norm of Inf or NaN makes every gradient NaN, so that it
    cannot go unnoticed: in a compiled step there is no error to raise. Raises
    ValueError if `max_norm` is not positive.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    norm = global_norm(gradients)
    factor = ops.where(norm < float("inf"), max_norm / ops.maximum(norm, max_norm), float("nan"))
    return [None if gradient is None else _scaled(gradient, factor) for gradient in gradients], norm


def clip_by_value(gradients: Sequence[Any], limit: float) -> list[Any]:
    """The tensors with every entry cut to [-limit, limit]. Raises ValueError if
    `limit` is not positive.
    """
    if not limit > 0.0:
        raise ValueError(f"limit must be positive, got {limit!r}")
    return [None if gradient is None else ops.clip(gradient, -limit, limit) for gradient in gradients]


def _wide(gradient: Any) -> Any:
    # of an embedding: a row looked up twice stands there in two parts
    if hasattr(gradient, "indices"):
        gradient = ops.add(gradient, ops.zeros(gradient.shape, gradient.dtype))
    return ops.cast(gradient, keras.backend.result_type(gradient.dtype, "float32"))


def _scaled(gradient: Any, factor: Any) -> Any:
    wide = _wide(gradient)
    return ops.cast(wide * ops.cast(factor, wide.dtype), gradient.dtype)
