"""He initialization as Keras initializers that can be saved, and that one may
share between layers.

    std = sqrt(2 / ((1 + a^2) * fan))
    bound of the uniform variant = sqrt(3) * std

`a` is the slope of the activation for negative inputs: 0 for ReLU. As in Keras,
the normal variant is cut off at two standard deviations of the parent
distribution and widened by 1 / 0.8796, so that `std` holds after the cut. One
difference from keras.initializers: an instance draws anew with every call.
Keras's own `HeNormal()`, seeded or not, gives the same kernel to all layers of
the same shape that share it. Copies do not share: share one seeded instance, or
give each layer a seed of its own, but do not clone a model that has an integer
seed in several layers. MultiHeadAttention and Bidirectional copy: give them no
seed, since one makes Q, K and V, or both directions, equal. Their kernels have
more axes: Keras 3.15 says which are inputs, and these initializers follow it.
The kernel of a DepthwiseConv counts as that of a Conv, unless you name the
axes: `HeNormal(input_axes=(0, 1), output_axes=(0, 1, 3))`.
Needs Python 3.10 and Keras 3.9, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2.
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


class _He(keras.initializers.VarianceScaling):
    """`a`: slope for negative inputs; `mode`: "fan_in" (forward) or "fan_out"
    (backward); `seed`: an integer, a keras.random.SeedGenerator, or None for
    any draw. Layers whose kernels have more axes give `input_axes` and
    `output_axes`.
    """

    def __init__(
        self,
        *,
        a: float = 0.0,
        mode: str = "fan_in",
        seed: int | keras.random.SeedGenerator | None = None,
        input_axes=None,
        output_axes=None,
    ) -> None:
        a = float(a + 0.0)  # text is no number
        if not math.isfinite(a * a):
            raise ValueError(f"a must be finite, got {a}, and so must its square")
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
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
        self.a, self.mode = a, mode
        # One seed per call. Without `seed` Python's global generator decides,
        # which keras.utils.set_random_seed sets.
        self.first = None if isinstance(seed, random.Random) else seed
        if seed is None or isinstance(seed, numbers.Integral):
            self.first = None if seed is None else int(seed)
            start = random.getrandbits(64) if seed is None else self.first
            seed = random.Random(start)
        self.seed = seed

    def variance(self, shape: tuple[int, ...]) -> float:
        """Variance for a kernel of `shape` (*kernel, in, out), as Dense and
        Conv store it, none of them 0.
        """
        sizes = _sizes(shape)
        name = "input_axes" if self.mode == "fan_in" else "output_axes"
        axes = getattr(self, name)
        if axes is None:
            axes = (*range(len(sizes) - 2), -2 if self.mode == "fan_in" else -1)
        try:
            fan = math.prod([sizes[operator.index(axis)] for axis in axes])
        except (TypeError, IndexError) as error:
            raise ValueError(f"{name} must be axes of {sizes}, got {axes!r}") from error
        return 2.0 / (1.0 + self.a**2) / fan

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
        seed = keras.saving.serialize_keras_object(self.first)
        config = {"a": self.a, "mode": self.mode, "seed": seed}
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        return config | {
            name: value for name, value in axes.items() if value is not None
        }


@keras.saving.register_keras_serializable(package="well_initialized")
class HeNormal(_He):
    """Truncated normal with variance 2 / ((1 + a^2) fan); no weight exceeds
    2.274 standard deviations.
    """

    def __call__(self, shape, dtype=None):
        """Return a tensor of `shape` and floating `dtype` (default:
        keras.config.floatx()).
        """
        stddev = math.sqrt(self.variance(shape := _sizes(shape))) / TRUNCATED_STD
        return self._draw(
            partial(keras.random.truncated_normal, shape, stddev=stddev), dtype
        )


@keras.saving.register_keras_serializable(package="well_initialized")
class HeUniform(_He):
    """Uniform with variance 2 / ((1 + a^2) fan); no weight exceeds 1.7321
    standard deviations.
    """

    def __call__(self, shape, dtype=None):
        """Return a tensor of `shape` and floating `dtype` (default:
        keras.config.floatx()).
        """
        bound = math.sqrt(3.0 * self.variance(shape := _sizes(shape)))
        return self._draw(partial(keras.random.uniform, shape, -bound, bound), dtype)
