"""He (Kaiming) initialization by hand: the scale that keeps the mean square of
ReLU layers constant over depth.

    std = gain / sqrt(fan)
    gain = sqrt(2 / (1 + a^2))
    bound of the uniform variant = sqrt(3) * std

`fan` is `fan_in` (keeps the forward signal) or `fan_out` (keeps the gradient),
and `a` is the slope of the activation for negative inputs: 0 for ReLU. Draws
exactly the numbers of torch.nn.init for the same generator, but raises
ValueError for a weight without entries, where torch.nn.init warns.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2.
"""

import math
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def kaiming_std(
    shape: Sequence[int],
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> float:
    """Standard deviation for a weight of `shape` (out, in, *kernel), as Linear
    and Conv store it.

    `a` counts only with "leaky_relu". "linear" has gain 1, "relu" sqrt(2). The
    derivation covers no other activation.
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


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill `tensor`, shape (out, in, *kernel), any floating dtype, in place
    from N(0, std^2), and return it.
    """
    std = kaiming_std(_shape(tensor), a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.normal_(0.0, std, generator=generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill `tensor` in place from U(-sqrt(3) std, sqrt(3) std), which has the
    standard deviation std; return it.
    """
    bound = math.sqrt(3.0) * kaiming_std(_shape(tensor), a, mode, nonlinearity)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


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
