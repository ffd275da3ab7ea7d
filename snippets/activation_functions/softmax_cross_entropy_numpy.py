"""Softmax and cross-entropy as one stable function of the logits, with its
gradient by hand, in NumPy.

    loss_i = log(sum_k exp(z_ik)) - z_iy
    d loss_i / d z_i = softmax(z_i) - onehot(y_i)

Softmax alone saturates; together with the logarithm it does not: the gradient
is small only where the label has almost all of the probability. The largest
logit is taken off first, so that no exponential overflows and the logarithm
never sees a zero.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Bishop (2006), "Pattern Recognition and Machine Learning", section
4.3.4.
"""

import numpy as np


def softmax_cross_entropy(
    logits: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean loss over the batch in nats, and its gradient with respect to the
    logits, of their shape and dtype.

    `logits`: any floating dtype, shape (B, K). `labels`: integers in 0 ... K -
    1, shape (B,). Raises ValueError for other shapes, dtypes or labels and for
    an empty batch.
    """
    _plain(logits=logits, labels=labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"shapes must be (B, K) and (B,), got logits {logits.shape} and labels {labels.shape}"
        )
    if not (
        np.issubdtype(logits.dtype, np.floating)
        and np.issubdtype(labels.dtype, np.integer)
    ):
        raise ValueError(
            f"dtypes must be floating and integer, got logits {logits.dtype} and labels {labels.dtype}"
        )
    if not logits.size:
        raise ValueError(
            f"logits must hold an example and a class, got shape {logits.shape}"
        )
    batch, classes = logits.shape
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must lie in 0 ... {classes - 1}, got {labels.min()} ... {labels.max()}"
        )
    # in float16 a sum of exponentials over 65,504 classes is Inf
    wide = logits.astype(np.result_type(logits, np.float32))
    shifted = wide - wide.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(batch)
    gradient = np.exp(log_p)
    gradient[rows, labels] -= 1.0
    return float(-log_p[rows, labels].mean()), (gradient / batch).astype(logits.dtype)


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
