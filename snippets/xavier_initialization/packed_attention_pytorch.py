"""Xavier for every projection of nn.MultiheadAttention by itself, packed or
not.

    bound = sqrt(6 / (fan_in + fan_out)) for each of W_Q, W_K, W_V and W_O

nn.MultiheadAttention stacks W_Q, W_K and W_V of size (d, d) in one
in_proj_weight (3d, d) and draws it as one matrix: sqrt(6 / (4 d)) in the place
of sqrt(6 / (2 d)). With kdim or vdim it keeps three weights and draws each for
itself, so the same model starts with half the variance or with all of it. W_O
starts as nn.Linear does, within 1 / sqrt(d).
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Glorot & Bengio (2010), equation 16; torch.nn.MultiheadAttention; issue
166378 of pytorch/pytorch (2025).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)


def projections(attention: nn.MultiheadAttention) -> Iterator[tuple[str, Tensor]]:
    """Names and weights, each of shape (out, in), of the four projections; the
    packed ones are views. ValueError for another layer.
    """
    if not isinstance(attention, nn.MultiheadAttention):
        raise ValueError(f"attention must be a MultiheadAttention, got {attention}")
    if attention.in_proj_weight is not None:
        yield from zip("qkv", attention.in_proj_weight.chunk(3), strict=True)
    else:
        yield "q", attention.q_proj_weight
        yield "k", attention.k_proj_weight
        yield "v", attention.v_proj_weight
    yield "out", attention.out_proj.weight


@torch.no_grad()
def xavier_attention_(
    attention: nn.MultiheadAttention,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
) -> nn.MultiheadAttention:
    """Draw each projection from U(-bound, bound) in place, set the biases to
    zero and return the layer.

    `gain` multiplies the bounds. `bias_k` and `bias_v`, which are extra tokens
    and no biases, stay as they are. Raises ValueError for a `gain` that is
    negative or not finite, for another layer and for one whose parameters are
    on the meta device, sharded or computed from others, as by weight_norm.
    """
    if not isinstance(attention, nn.MultiheadAttention):
        raise ValueError(f"attention must be a MultiheadAttention, got {attention}")
    own, out = attention._parameters, attention.out_proj._parameters
    stacked = own.get("in_proj_weight") is not None
    names = ["in_proj"] if stacked else [f"{name}_proj" for name in "qkv"]
    held = {f"{name}_weight": own.get(f"{name}_weight") for name in names}
    held["out_proj.weight"] = out.get("weight")
    if attention.in_proj_bias is not None:
        held["in_proj_bias"] = own.get("in_proj_bias")
    if attention.out_proj.bias is not None:
        held["out_proj.bias"] = out.get("bias")
    for name, parameter in held.items():
        if why := _unwritable(parameter):
            raise ValueError(
                f"attention must hold its weights as parameters of its own, {name!r} {why}"
            )
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 <= gain < math.inf:
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    for _, weight in projections(attention):
        bound = gain * math.sqrt(6.0 / sum(weight.shape))
        weight.uniform_(-bound, bound, generator=generator)
    for bias in (attention.in_proj_bias, attention.out_proj.bias):
        if bias is not None:
            bias.zero_()
    return attention


def _unwritable(parameter: Tensor | None) -> str | None:
    """Why no values can be written into it, or None."""
    if parameter is None:
        return "is computed from other parameters"
    if isinstance(parameter, LAZY) or parameter.is_meta:
        return "holds no values yet"
    # what is written into a part of it would be lost
    if hasattr(parameter, "device_mesh"):
        return "is sharded"
    if not parameter.is_floating_point() or parameter.element_size() < 2:
        return f"holds {parameter.dtype}"
    if parameter.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode"
    return None if _apart(parameter) else "shares memory between its entries"


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True


if __name__ == "__main__":
    layer = nn.MultiheadAttention(512, num_heads=8)
    before = {name: weight.std().item() for name, weight in projections(layer)}
    xavier_attention_(layer, generator=torch.Generator().manual_seed(0))
    for name, weight in projections(layer):
        print(f"{name:>3}  std {before[name]:.4f} -> {weight.std():.4f}")
