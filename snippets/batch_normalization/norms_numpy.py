"""Batch, layer, group and RMS normalization differ in one thing: which values
share a mean and a deviation.

    x_hat = (x - mean) / sqrt(var + eps), with mean and variance over
        batch   examples and positions, one per channel
        layer   channels (and positions), one per example
        group   a group of channels and positions, one per group and example
    x_hat = x / sqrt(avg(x^2) + eps), with the average over
        RMS     channels, and no mean at all

Only the first depends on the other examples of the batch, so only it needs
running statistics for test time. A learned gamma and beta (no beta for RMS)
follow each of them; here they are 1 and 0. All is computed in float64 and
returned in the dtype of x. All raise ValueError for what holds no real numbers,
for too few dimensions and for an `eps` that is negative or not finite.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Ioffe & Szegedy (2015); Ba, Kiros & Hinton (2016), "Layer
Normalization"; Wu & He (2018), "Group Normalization"; Zhang & Sennrich (2019),
"Root Mean Square Layer Normalization".
"""

import numpy as np


def batch_norm(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """`x`, shape (B, n, *positions), each of its n channels with mean 0 and
    deviation 1 over batch and positions.
    """
    eps = float(eps + 0.0)  # text is no number
    _check(x, eps, 2)
    if not x.size:
        raise ValueError(f"x must hold an example, got shape {x.shape}")
    return _standardized(x, (0, *range(2, x.ndim)), eps)


def layer_norm(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """`x`, shape (..., n), each row of n with mean 0 and deviation 1."""
    eps = float(eps + 0.0)  # text is no number
    _check(x, eps, 1)
    return _standardized(x, (-1,), eps)


def group_norm(x: np.ndarray, groups: int, eps: float = 1e-5) -> np.ndarray:
    """`x`, shape (B, n, *positions), each group of n / groups channels of an
    example standardized over all positions.

    ValueError if `groups` does not divide n. One group is layer normalization
    over channels and positions together,
    n groups are instance normalization.
    """
    eps = float(eps + 0.0)  # text is no number
    _check(x, eps, 2)
    if groups < 1 or groups % 1 or x.shape[1] % groups:
        raise ValueError(f"groups must divide the {x.shape[1]} channels, got {groups}")
    grouped = x.reshape(x.shape[0], int(groups), -1) if x.size else x
    return _standardized(grouped, (-1,), eps).reshape(x.shape)


def rms_norm(x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """`x`, shape (..., n), each row of n features divided by its root mean
    square.
    """
    eps = float(eps + 0.0)  # text is no number
    _check(x, eps, 1)
    return _narrow(_wide(x) / np.sqrt((_wide(x) ** 2).mean(-1, keepdims=True) + eps), x)


def _check(x, eps, rank):
    _plain(x=x)
    if np.ndim(x) < rank or np.asarray(x).dtype.kind not in "fiu":
        raise ValueError(
            f"x must hold real numbers, of {rank} or more dimensions, got {np.asarray(x).dtype} {np.shape(x)}"
        )
    if 0 in np.shape(x)[1:] or np.shape(x) == (0,):
        raise ValueError(
            f"x must hold a value in every group that it is normalized by, got shape {np.shape(x)}"
        )
    if not 0.0 <= eps < np.inf:
        raise ValueError(f"eps must be finite and not negative, got {eps}")


def _standardized(x, axes, eps):
    wide = _wide(x)
    return _narrow(
        (wide - wide.mean(axes, keepdims=True))
        / np.sqrt(wide.var(axes, keepdims=True) + eps),
        x,
    )


def _wide(x):
    # 300 squared overflows float16, 1e20 squared float32
    return np.asarray(x, np.float64)


def _narrow(values, x):
    return values.astype(x.dtype) if np.issubdtype(x.dtype, np.floating) else values


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
