"""Delta-orthogonal initialization of convolutions: an orthogonal matrix in the
middle of the kernel, zeros around it.

    weight[:, :, middle] = gain * Q,   Q^T Q = I

At the start the convolution turns the channels of every pixel by Q, so it keeps
the norm of every image. Flattening a kernel to (out, in * taps) and making that
orthogonal, as torch.nn.init.orthogonal_ does, keeps it on average alone.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Xiao et al. (2018), "Dynamical Isometry and a Mean Field Theory of
CNNs", arXiv:1806.05393.
"""

import operator
from collections.abc import Sequence
from types import ModuleType

import numpy as np


def delta_orthogonal(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` (out, in, *kernel) with out >= in.

    The output has the norm of the input times `gain` for stride 1, one group
    and any padding that keeps the size. Raises ValueError if there are fewer
    outputs than inputs (then no map keeps the norm) or a kernel has no middle.
    """
    outputs, inputs, *kernel = shape = _sizes(shape)
    if not np.issubdtype(dtype, np.floating):
        raise ValueError(f"dtype must be floating, got {np.dtype(dtype)}")
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 <= gain < np.inf:
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    if outputs < inputs:
        raise ValueError(
            f"shape must have at least as many outputs as inputs, got {shape}"
        )
    if not all(size % 2 for size in kernel):
        raise ValueError(f"shape must have odd kernel sizes, got {shape}")
    q, r = np.linalg.qr(_generator(generator).standard_normal((outputs, inputs)))
    weight: np.ndarray = np.zeros(shape, dtype)
    middle: tuple[int | slice, ...] = tuple(size // 2 for size in kernel)
    weight[(slice(None), slice(None), *middle)] = gain * q * np.sign(np.diag(r))
    return weight


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """As Python's integers: those of NumPy would overflow."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"shape must be (out, in, *kernel), integers from 1 on, got {shape}"
        )
    return sizes


def _generator(generator: np.random.Generator) -> np.random.Generator:
    # np.random itself draws from the global state
    if isinstance(generator, type | ModuleType) or not hasattr(
        generator, "standard_normal"
    ):
        raise ValueError(
            f"generator must be a generator, as of np.random.default_rng(0), got {generator!r}"
        )
    return generator
