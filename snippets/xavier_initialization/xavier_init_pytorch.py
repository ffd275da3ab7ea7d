"""Xavier (Glorot) initialization by hand: one variance between the one that
keeps activations and that for gradients.

    std = gain * sqrt(2 / (fan_in + fan_out))
    bound of the uniform variant = sqrt(3) * std

Draws exactly the numbers of torch.nn.init for the same generator. The default
of nn.Linear is another one: its std is 1 / sqrt(3 fan_in).
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", section 4.2.1, equations 12 and 16. `gain` is not
theirs: the frameworks added it.
"""

import math
import numbers
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What torch.nn.init.calculate_gain returns; `param` is the negative slope
    of "leaky_relu", 0.01 if none is given, and counts only there.

    5/3 (tanh), 1 (sigmoid) and 3/4 (SELU) are conventions. None of them keeps a
    variance of 1 as it is.
    """
    param = 0.01 if param is None else param
    slope = math.nan
    if nonlinearity != "leaky_relu":
        slope = 0.0
    elif isinstance(param, numbers.Real) and not isinstance(param, bool):
        slope = float(param)
    if not math.isfinite(slope * slope):
        raise ValueError(f"param must be a finite number, got {param!r}")
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "selu": 3.0 / 4.0}
    kinds = ("conv", "conv_transpose")
    gains |= {f"{kind}{rank}d": 1.0 for kind in kinds for rank in (1, 2, 3)}
    gains |= {"relu": math.sqrt(2.0), "leaky_relu": math.sqrt(2.0 / (1.0 + slope**2))}
    if not isinstance(nonlinearity, str) or nonlinearity not in gains:
        raise ValueError(
            f"nonlinearity must be one of {list(gains)}, got {nonlinearity!r}"
        )
    return gains[nonlinearity]


def xavier_std(shape: Sequence[int], gain: float = 1.0) -> float:
    """Standard deviation for a weight of `shape` (out, in, *kernel), as Linear
    and Conv store it, none of them 0.
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


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill `tensor` in place from U(-sqrt(3) std, sqrt(3) std), which has the
    standard deviation std; return it.
    """
    bound = math.sqrt(3.0) * xavier_std(_shape(tensor), gain)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill `tensor`, shape (out, in, *kernel), any floating dtype, in place
    from N(0, std^2), and return it.
    """
    std = xavier_std(_shape(tensor), gain)
    with torch.no_grad():
        return tensor.normal_(0.0, std, generator=generator)


def _shape(tensor: Tensor) -> torch.Size:
    if not isinstance(tensor, Tensor) or isinstance(tensor, LAZY) or tensor.is_nested:
        raise ValueError(
            f"tensor must be a tensor, neither lazy nor nested, got {type(tensor).__name__}"
        )
    if tensor.dim() < 2 or not tensor.numel():
        raise ValueError(
            f"tensor must have the shape (out, in, *kernel), none of them 0, got {tuple(tensor.shape)}"
        )
    # an 8-bit dtype holds no draws, a sparse tensor no zeros to overwrite
    if (
        not tensor.is_floating_point()
        or tensor.element_size() < 2
        or tensor.layout != torch.strided
    ):
        raise ValueError(
            f"tensor must be dense and floating, of 16 bits or more, got {tensor.layout} {tensor.dtype}"
        )
    if not _apart(tensor):
        raise ValueError(
            f"tensor must hold every entry apart, got the strides {tensor.stride()} of {tuple(tensor.shape)}"
        )
    return tensor.shape


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
