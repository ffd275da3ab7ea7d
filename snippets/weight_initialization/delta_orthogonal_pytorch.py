"""Delta-orthogonal initialization of convolutions: an orthogonal matrix in the
middle of the kernel, zeros around it.

    weight[:, :, middle] = gain * Q,   Q^T Q = I

At the start the convolution turns the channels of every pixel by Q, so it keeps
the norm of every image. Flattening a kernel to (out, in * taps) and making that
orthogonal, as torch.nn.init.orthogonal_ does, keeps it on average alone.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Xiao et al. (2018), "Dynamical Isometry and a Mean Field Theory of
CNNs", arXiv:1806.05393.
"""

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


@torch.no_grad()
def delta_orthogonal_(
    weight: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill `weight`, shape (out, in, *kernel) with out >= in, any floating
    dtype, in place and return it.

    The output has the norm of the input times `gain` for stride 1, one group
    and any padding that keeps the size. Raises ValueError if there are fewer
    outputs than inputs (then no map keeps the norm) or a kernel has no middle.
    """
    if not isinstance(weight, Tensor) or isinstance(weight, LAZY) or weight.is_nested:
        raise ValueError(
            f"weight must be a tensor, neither lazy nor nested, got {type(weight).__name__}"
        )
    # a part of a sharded tensor is a copy
    if hasattr(weight, "device_mesh"):
        raise ValueError(f"weight must not be sharded, got {type(weight).__name__}")
    dense = weight.layout == torch.strided and weight.is_floating_point()
    if not dense or weight.dim() < 2 or not weight.numel() or weight.element_size() < 2:
        got = f"{weight.layout} {weight.dtype} {tuple(weight.shape)}"
        raise ValueError(
            f"weight must be dense and floating, of shape (out, in, *kernel), got {got}"
        )
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 <= gain < float("inf"):
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    if not _apart(weight):
        raise ValueError(
            f"weight must hold every entry apart, got the strides {weight.stride()} of {tuple(weight.shape)}"
        )
    outputs, inputs, *kernel = weight.shape
    if outputs < inputs:
        raise ValueError(
            f"weight must have at least as many outputs as inputs, got shape {tuple(weight.shape)}"
        )
    if not all(size % 2 for size in kernel):
        raise ValueError(
            f"weight must have odd kernel sizes, got shape {tuple(weight.shape)}"
        )
    precise = torch.promote_types(weight.dtype, torch.float32)
    matrix = torch.empty(outputs, inputs, dtype=precise, device=weight.device)
    weight.zero_()
    middle: tuple[int | slice, ...] = tuple(size // 2 for size in kernel)
    weight[(slice(None), slice(None), *middle)] = nn.init.orthogonal_(
        matrix, gain, generator
    ).to(weight.dtype)
    return weight


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
