"""Xavier (Glorot) initialization as Keras initializers with a gain, that can be
saved and shared between layers.

    std = gain * sqrt(2 / (fan_in + fan_out))
    bound of the uniform variant = sqrt(3) * std

As in Keras, the normal variant is cut off at two standard deviations of the
parent distribution and widened by
1 / 0.8796, so that `std` holds after the cut.
One difference from keras.initializers: an instance draws anew with every call.
Keras's own `GlorotUniform()`, seeded or not, gives the same kernel to all
layers of the same shape that share it. Copies do not share: share one seeded
instance, or give each layer a seed of its own. MultiHeadAttention copies its
initializer for each of its kernels, so that a seed makes them equal:
packed_attention_keras.py is for them. These kernels have more axes than a Dense
kernel; Keras 3.15 says which are inputs, and these initializers follow it.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", section 4.2.1, equations 12 and 16. `gain` is not
theirs: the frameworks added it.
"""

import math
import numbers
import operator
import random
from collections.abc import Sequence
from functools import partial

import keras

# Standard deviation of N(0, 1) cut off at -2 and 2.
TRUNCATED_STD = 0.87962566103423978


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """The gain that PyTorch recommends; `param` is the negative slope of
    "leaky_relu" and counts only there.

    5/3 (tanh), 1 (sigmoid) and 3/4 (SELU) are conventions. None of them keeps a
    variance of 1 as it is.
    """
    slope = math.nan
    if nonlinearity != "leaky_relu":
        slope = 0.0
    elif isinstance(param, numbers.Real) and not isinstance(param, bool):
        slope = float(param)
    if not math.isfinite(slope * slope):
        raise ValueError(f"param must be a finite number, got {param!r}")
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "selu": 3.0 / 4.0}
    gains |= {"relu": math.sqrt(2.0), "leaky_relu": math.sqrt(2.0 / (1.0 + slope**2))}
    if not isinstance(nonlinearity, str) or nonlinearity not in gains:
        raise ValueError(
            f"nonlinearity must be one of {list(gains)}, got {nonlinearity!r}"
        )
    return gains[nonlinearity]


def xavier_std(shape: Sequence[int], gain: float = 1.0) -> float:
    """Standard deviation for a kernel of `shape` (*kernel, in, out), as Dense
    and Conv store it, none of them 0.
    """
    *taps, inputs, outputs = _sizes(shape)
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 <= gain < math.inf:
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    fan_in, fan_out = (fan * math.prod(taps) for fan in (inputs, outputs))
    return gain * math.sqrt(2.0 / (fan_in + fan_out))


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


def _product(shape: Sequence[int], axes: Sequence[int], name: str) -> int:
    sizes = _sizes(shape)
    try:
        return math.prod([sizes[operator.index(axis)] for axis in axes])
    except (TypeError, IndexError) as error:
        raise ValueError(f"{name} must be axes of {sizes}, got {axes!r}") from error


class _Xavier(keras.initializers.VarianceScaling):
    """`gain`: factor of the standard deviation; `seed`: an integer, a
    keras.random.SeedGenerator, or None for any draw. Layers whose kernels have
    more axes give `input_axes` and `output_axes`.
    """

    def __init__(
        self,
        *,
        gain: float = 1.0,
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes=None,
        output_axes=None,
    ) -> None:
        gain = float(gain + 0.0)  # text is no number
        if not 0.0 <= gain < math.inf:
            raise ValueError(f"gain must be finite and not negative, got {gain}")
        # EinsumDense copies its initializer and hands on what stands in `seed`:
        # the sequence itself, so that copies go on in it.
        if isinstance(seed, dict):  # of a saved SeedGenerator
            seed = keras.saving.deserialize_keras_object(seed)
        kinds = random.Random | numbers.Integral | keras.random.SeedGenerator | None
        if isinstance(seed, bool) or not isinstance(seed, kinds):
            raise ValueError(
                f"seed must be an integer, a SeedGenerator or None, got {seed!r}"
            )
        self.input_axes, self.output_axes = input_axes, output_axes
        self.gain = gain
        # One seed per call. Without `seed` Python's global generator decides,
        # which keras.utils.set_random_seed sets.
        self.first = None if isinstance(seed, random.Random) else seed
        if seed is None or isinstance(seed, numbers.Integral):
            self.first = None if seed is None else int(seed)
            start = random.getrandbits(64) if seed is None else self.first
            seed = random.Random(start)
        self.seed = seed

    def std(self, shape: Sequence[int]) -> float:
        """Standard deviation for a kernel of `shape`."""
        if self.input_axes is None or self.output_axes is None:
            return xavier_std(shape, self.gain)
        # as a matrix (in, out)
        fans = [
            _product(shape, axes, name)
            for axes, name in (
                (self.input_axes, "input_axes"),
                (self.output_axes, "output_axes"),
            )
        ]
        return xavier_std(fans, self.gain)

    def _draw(self, sample, dtype):
        # TensorFlow knows only 128 values of a uniform bfloat16, so short
        # dtypes are drawn in float32 and rounded.
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        if not keras.backend.is_float_dtype(dtype) or dtype.startswith("float8"):
            raise ValueError(
                f"dtype must be floating, of 16 bits or more, got {dtype!r}"
            )
        precise = keras.backend.result_type(dtype, "float32")
        seed = self.seed
        if isinstance(seed, random.Random):
            seed = seed.getrandbits(31)
        return keras.ops.cast(sample(dtype=precise, seed=seed), dtype)

    def get_config(self) -> dict:
        """What rebuilds this initializer; what is rebuilt starts at the seed
        again.
        """
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        seed = keras.saving.serialize_keras_object(self.first)
        return {"gain": self.gain, "seed": seed} | {
            name: value for name, value in axes.items() if value is not None
        }


@keras.saving.register_keras_serializable(package="well_initialized")
class XavierUniform(_Xavier):
    """Uniform with variance 2 gain^2 / (fan_in + fan_out); no weight exceeds
    1.7321 standard deviations.
    """

    def __call__(self, shape, dtype=None):
        """Return a tensor of `shape` and floating `dtype` (default:
        keras.config.floatx()).
        """
        bound = math.sqrt(3.0) * self.std(shape := _sizes(shape))
        return self._draw(partial(keras.random.uniform, shape, -bound, bound), dtype)


@keras.saving.register_keras_serializable(package="well_initialized")
class XavierNormal(_Xavier):
    """Truncated normal with variance 2 gain^2 / (fan_in + fan_out); no weight
    exceeds 2.274 standard deviations.
    """

    def __call__(self, shape, dtype=None):
        """Return a tensor of `shape` and floating `dtype` (default:
        keras.config.floatx()).
        """
        stddev = self.std(shape := _sizes(shape)) / TRUNCATED_STD
        return self._draw(
            partial(keras.random.truncated_normal, shape, stddev=stddev), dtype
        )
