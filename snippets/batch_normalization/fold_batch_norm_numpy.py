"""Fold a trained batch normalization into the linear layer or convolution
before it.

    scale = gamma / sqrt(var + eps)
    weight' = scale weight
    bias' = beta + scale (bias - mean)

At test time mean and variance are constants, so both layers together are one
linear map: the same function, one layer less, and no statistics that could be
wrong. Only for test time: training would have to unfold it.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Ioffe & Szegedy (2015), "Batch Normalization", section 3.1 and algorithm
2, last step.
"""

import numpy as np


def fold_batch_norm(
    weight, bias, gamma, beta, running_mean, running_var, eps
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the folded layer, in the dtype of the `weight`, of
    shape (out, in, *kernel), and vectors of shape (out,).

    `bias` may be None. ValueError if the vectors do not have one entry for each
    output, for a dtype that is not floating and for a negative `eps`.
    """
    vectors = {
        "gamma": gamma,
        "beta": beta,
        "running_mean": running_mean,
        "running_var": running_var,
    }
    vectors |= {} if bias is None else {"bias": bias}
    _plain(weight=weight, **vectors)
    if np.ndim(weight) < 2 or not np.issubdtype(weight.dtype, np.floating):
        raise ValueError(
            f"weight must be floating, of shape (out, in, *kernel), got {np.asarray(weight).dtype} {np.shape(weight)}"
        )
    eps = float(eps + 0.0)  # text is no number
    if not 0.0 <= eps < np.inf:
        raise ValueError(f"eps must be finite and not negative, got {eps}")
    for name, values in vectors.items():
        floating = np.issubdtype(np.asarray(values).dtype, np.floating)
        if np.shape(values) != (len(weight),) or not floating:
            raise ValueError(
                f"{name} must have shape ({len(weight)},), one per output of weight, and be floating, "
                f"got {np.asarray(values).dtype} {np.shape(values)}"
            )
    # in float16 an eps of 1e-8 is 0
    wide = np.result_type(weight, np.float32)
    scale = gamma / np.sqrt(np.asarray(running_var, wide) + eps)
    shift = beta + scale * ((0.0 if bias is None else bias) - running_mean)
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return scaled.astype(weight.dtype), shift.astype(weight.dtype)


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
