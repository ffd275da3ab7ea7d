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
    negative or not finite, for another layer and for one whose weights are
    computed from other parameters, as by weight_norm.
    """
    if not isinstance(attention, nn.MultiheadAttention):
        raise ValueError(f"attention must be a MultiheadAttention, got {attention}")
    own = attention._parameters
    if any(weight is not None and weight.is_meta for weight in own.values()):
        raise ValueError(
            f"attention must hold values, got the meta device: {attention}"
        )
    stacked = own.get("in_proj_weight") is not None
    split = all(own.get(f"{name}_proj_weight") is not None for name in "qkv")
    if not (stacked or split) or attention.out_proj._parameters.get("weight") is None:
        raise ValueError(
            f"attention must hold its weights as parameters of its own, got {attention}"
        )
    if not 0.0 <= gain < math.inf:
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    for _, weight in projections(attention):
        bound = gain * math.sqrt(6.0 / sum(weight.shape))
        weight.uniform_(-bound, bound, generator=generator)
    for bias in (attention.in_proj_bias, attention.out_proj.bias):
        if bias is not None:
            bias.zero_()
    return attention


if __name__ == "__main__":
    layer = nn.MultiheadAttention(512, num_heads=8)
    before = {name: weight.std().item() for name, weight in projections(layer)}
    xavier_attention_(layer, generator=torch.Generator().manual_seed(0))
    for name, weight in projections(layer):
        print(f"{name:>3}  std {before[name]:.4f} -> {weight.std():.4f}")
