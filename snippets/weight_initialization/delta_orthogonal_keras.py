"""Delta-orthogonal initialization of convolutions: an orthogonal matrix in the
middle of the kernel, zeros around it.

    kernel[middle] = gain * Q,   Q Q^T = I

At the start the convolution turns the channels of every pixel by Q, so it keeps
the norm of every image. Flattening a kernel to (taps * in, out) and making that
orthogonal, as keras.initializers.Orthogonal does, keeps it on average alone.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Xiao et al. (2018), "Dynamical Isometry and a Mean Field Theory of
CNNs", arXiv:1806.05393.
"""

import numbers
import operator
from collections.abc import Sequence

import keras


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """As Python's integers: those of NumPy would overflow."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"shape must be (*kernel, in, out), integers from 1 on, got {shape}"
        )
    return sizes


@keras.saving.register_keras_serializable(package="well_initialized")
class DeltaOrthogonal(keras.initializers.Orthogonal):
    """For the kernels of Conv1D, Conv2D and Conv3D:
    `kernel_initializer=DeltaOrthogonal(gain=1.0, seed=0)`.

    The output has the norm of the input times `gain` for stride 1, one group
    and padding "same". As with every initializer of Keras, give each layer an
    instance of its own: one that is shared draws the same kernel again.
    """

    def __init__(self, gain: float = 1.0, seed=None) -> None:
        if isinstance(seed, numbers.Integral) and not isinstance(seed, bool):
            seed = int(seed)  # Keras refuses NumPy's
        if isinstance(seed, bool) or (isinstance(seed, int) and abs(seed) >= 2**63):
            raise ValueError(f"seed must be an integer of 64 bits, got {seed!r}")
        super().__init__(float(gain + 0.0), seed)

    def __call__(self, shape, dtype=None):
        """Return a tensor of `shape` (*kernel, in, out) with out >= in.

        Raises ValueError if there are fewer outputs than inputs (then no map
        keeps the norm) or a kernel has no middle.
        """
        *kernel, inputs, outputs = shape = _sizes(shape)
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        if not keras.backend.is_float_dtype(dtype) or dtype.startswith("float8"):
            raise ValueError(
                f"dtype must be floating, of 16 bits or more, got {dtype!r}"
            )
        if not 0.0 <= self.gain < float("inf"):
            raise ValueError(f"gain must be finite and not negative, got {self.gain}")
        if outputs < inputs:
            raise ValueError(
                f"shape must have at least as many outputs as inputs, got {shape}"
            )
        if not all(size % 2 for size in kernel):
            raise ValueError(f"shape must have odd kernel sizes, got {shape}")
        # TensorFlow has no QR in bfloat16, so short dtypes are rounded
        precise = keras.backend.result_type(dtype, "float32")
        matrix = keras.ops.cast(super().__call__((inputs, outputs), precise), dtype)
        around = [(size // 2, size // 2) for size in kernel]
        one_tap = keras.ops.reshape(matrix, (*[1] * len(kernel), inputs, outputs))
        return keras.ops.pad(one_tap, [*around, (0, 0), (0, 0)])
