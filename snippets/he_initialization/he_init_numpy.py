"""He (Kaiming) initialization in NumPy: normal, uniform and truncated normal,
all with the same standard deviation.

    std = gain / sqrt(fan),   gain = sqrt(2 / (1 + a^2))

`fan` is `fan_in` (keeps the forward signal) or `fan_out` (keeps the gradient),
and `a` is the slope of the activation for negative inputs: 0 for ReLU. PyTorch
draws the normal and the uniform variant, Keras the truncated and the uniform.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2.
"""

import math
import operator
from collections.abc import Sequence
from types import ModuleType

import numpy as np

# Standard deviation of N(0, 1) cut off at -2 and 2: sqrt(1 - 4 pdf(2) / P(|z| <
# 2)) = 0.8796...
TRUNCATED_STD = math.sqrt(
    1.0 - 4.0 * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / math.erf(math.sqrt(2.0))
)


def kaiming_std(
    shape: Sequence[int],
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> float:
    """Standard deviation for a weight of `shape` (out, in, *kernel). `a` counts
    only with "leaky_relu".
    """
    outputs, inputs, *taps = _sizes(shape)
    a = float(a + 0.0)  # text is no number
    if not math.isfinite(a * a):
        raise ValueError(f"a must be finite, got {a}, and so must its square")
    kernel = math.prod(taps)
    fans = {"fan_in": inputs * kernel, "fan_out": outputs * kernel}
    gains = {
        "linear": 1.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + a**2)),
    }
    if not isinstance(mode, str) or mode not in fans:
        raise ValueError(f"mode must be one of {list(fans)}, got {mode!r}")
    if not isinstance(nonlinearity, str) or nonlinearity not in gains:
        raise ValueError(
            f"nonlinearity must be one of {list(gains)}, got {nonlinearity!r}"
        )
    return gains[nonlinearity] / math.sqrt(fans[mode])


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


def kaiming_normal(
    shape: Sequence[int],
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` (out, in, *kernel) from N(0, std^2)."""
    std = kaiming_std(shape := _sizes(shape), a, mode, nonlinearity)
    draws = _generator(generator).standard_normal(shape)
    return (std * draws).astype(_floating(dtype))


def kaiming_uniform(
    shape: Sequence[int],
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` from U(-bound, bound); bound = sqrt(3) std, since
    U(-b, b) has the variance b^2 / 3.
    """
    std = kaiming_std(shape := _sizes(shape), a, mode, nonlinearity)
    bound = math.sqrt(3.0) * std
    draws = _generator(generator).uniform(-bound, bound, shape)
    return draws.astype(_floating(dtype))


def kaiming_truncated_normal(
    shape: Sequence[int],
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    generator: np.random.Generator,
    dtype: type = np.float32,
) -> np.ndarray:
    """An array of `shape` from N(0, s^2) cut off at 2 s. s = std / 0.8796 makes
    up for what the cut takes away.
    """
    std = kaiming_std(shape := _sizes(shape), a, mode, nonlinearity)
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
