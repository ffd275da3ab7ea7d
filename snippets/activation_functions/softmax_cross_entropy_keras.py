"""Softmax and cross-entropy as one stable function of the logits, with its
gradient by hand, on any Keras backend.

    loss_i = log(sum_k exp(z_ik)) - z_iy
    d loss_i / d z_i = softmax(z_i) - onehot(y_i)

Softmax alone saturates; together with the logarithm it does not: the gradient
is small only where the label has almost all of the probability. The largest
logit is taken off first, so that no exponential overflows and the logarithm
never sees a zero. In a model use
SparseCategoricalCrossentropy(from_logits=True) and no softmax layer: without
from_logits=True, Keras takes what it gets for probabilities.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Bishop (2006), "Pattern Recognition and Machine Learning", section
4.3.4.
"""

import keras
from keras import ops


def softmax_cross_entropy(logits, labels):
    """Mean loss over the batch in nats, and its gradient with respect to the
    logits, of their shape and dtype.

    `logits`: tensor or array of any floating dtype, shape (B, K). `labels`:
    integers in 0 ... K - 1, shape (B,). Raises ValueError for other shapes,
    dtypes or labels and for an empty batch. A compiled function cannot raise
    for a value: there a label out of range makes loss and gradient NaN.
    """
    for name, values in (("logits", logits), ("labels", labels)):
        if not hasattr(values, "dtype"):
            raise ValueError(
                f"{name} must be a tensor or an array, got {type(values).__name__}"
            )
        if hasattr(values, "dense_shape"):
            raise ValueError(f"{name} must be dense, got {type(values).__name__}")
    logits, labels = ops.convert_to_tensor(logits), ops.convert_to_tensor(labels)
    if (
        len(logits.shape) != 2
        or len(labels.shape) != 1
        or len({*labels.shape, logits.shape[0]} - {None}) > 1
    ):
        raise ValueError(
            f"shapes must be (B, K) and (B,), got logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
        )
    dtype, kind = (
        keras.backend.standardize_dtype(tensor.dtype) for tensor in (logits, labels)
    )
    floating = keras.backend.is_float_dtype(dtype) and not dtype.startswith("float8")
    if not (floating and keras.backend.is_int_dtype(kind)):
        raise ValueError(
            f"dtypes must be floating and integer, got logits {dtype} and labels {kind}"
        )
    if 0 in logits.shape:
        raise ValueError(
            f"logits must hold an example and a class, got shape {tuple(logits.shape)}"
        )
    # in 32 bits a label of 2^32 would be 0
    index = "int64" if kind in ("int64", "uint32", "uint64") else "int32"
    labels, classes = ops.cast(labels, index), logits.shape[1]
    valid = ops.logical_and(labels >= 0, labels < classes)[:, None]
    try:
        inside = bool(ops.all(valid))
    except TypeError:  # compiled: there are no values yet
        inside = True
    if not inside:
        lowest, highest = int(ops.min(labels)), int(ops.max(labels))
        raise ValueError(
            f"labels must lie in 0 ... {classes - 1}, got {lowest} ... {highest}"
        )
    # in float16 a sum of exponentials over 65,504 classes is Inf
    precise = keras.backend.result_type(dtype, "float32")
    wide = ops.cast(logits, precise)
    shifted = wide - ops.max(wide, axis=1, keepdims=True)
    log_p = shifted - ops.log(ops.sum(ops.exp(shifted), axis=1, keepdims=True))
    log_p = ops.where(valid, log_p, float("nan"))
    labels = ops.cast(ops.clip(labels, 0, classes - 1), "int32")
    target = ops.one_hot(labels, classes, dtype=precise)
    loss = -ops.mean(ops.take_along_axis(log_p, labels[:, None], axis=1))
    gradient = (ops.exp(log_p) - target) / ops.cast(ops.shape(logits)[0], precise)
    return ops.cast(loss, dtype), ops.cast(gradient, dtype)
