"""Xavier (Glorot) initialization in NumPy: uniform, normal and truncated
normal, all with the same standard deviation.

    std = gain * sqrt(2 / (fan_in + fan_out))
    bound of the uniform variant = sqrt(3) * std

PyTorch draws the uniform and the normal variant, Keras the uniform and the
truncated.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", section 4.2.1, equations 12 and 16. `gain` is not
theirs: the frameworks added it.
"""

import math
import numbers
import operator
from collections.abc import Sequence
from types import ModuleType

import numpy as np

# Standard deviation of N(0, 1) cut off at -2 and 2: sqrt(1 - 4 pdf(2) / P(|z| <
# 2)) = 0.8796...
TRUNCATED_STD = math.sqrt(
    1.0 - 4.0 * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / math.erf(math.sqrt(2.0))
)


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
    """Standard deviation for a weight of `shape` (out, in, *kernel), none of
    them 0.
    """
    outputs, inputs, *taps = _sizes(shape)
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
            f"shape must be (out, in, *kernel), integers from 1 on, got {shape}"
        )
    return sizes


def xavier_uniform(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` from U(-bound, bound); bound = sqrt(3) std, since
    U(-b, b) has the variance b^2 / 3.
    """
    bound = math.sqrt(3.0) * xavier_std(shape := _sizes(shape), gain)
    draws = _generator(generator).uniform(-bound, bound, shape)
    return draws.astype(_floating(dtype))


def xavier_normal(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` (out, in, *kernel) from N(0, std^2)."""
    std = xavier_std(shape := _sizes(shape), gain)
    draws = _generator(generator).standard_normal(shape)
    return (std * draws).astype(_floating(dtype))


def xavier_truncated_normal(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` from N(0, s^2) cut off at 2 s. s = std / 0.8796 makes
    up for what the cut takes away.
    """
    std = xavier_std(shape := _sizes(shape), gain)
    draws = _generator(generator).standard_normal(shape)
    while (outside := np.abs(draws) > 2.0).any():
        draws[outside] = generator.standard_normal(np.count_nonzero(outside))
    return (std / TRUNCATED_STD * draws).astype(_floating(dtype))


def _generator(generator: np.random.Generator) -> np.random.Generator:
    # np.random itself draws from the global state
    if isinstance(generator, type | ModuleType) or not hasattr(
        generator, "standard_normal"
    ):
        raise ValueError(
            f"generator must be a generator, as of np.random.default_rng(0), got {generator!r}"
        )
    return generator


def _floating(dtype: type) -> type:
    if not np.issubdtype(dtype, np.floating):
        raise ValueError(f"dtype must be floating, got {np.dtype(dtype)}")
    return dtype
