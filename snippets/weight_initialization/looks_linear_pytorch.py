"""A deep ReLU chain that starts as an orthogonal linear map: mirrored ("looks
linear") initialization.

    first layer    [Q; -Q]
    hidden layers  [[Q, -Q], [-Q, Q]]
    last layer     [Q, -Q],   with Q orthogonal and all biases 0

Since relu(a) - relu(-a) = a, each layer passes Q a on: at the start no signal
and no gradient fades, at any depth. Start with a learning rate of about 0.5 /
(number of layers).
Source: Balduzzi et al. (2017), "The Shattered Gradients Problem",
arXiv:1702.08591 (mirrored blocks); Saxe et al. (2014), arXiv:1312.6120
(orthogonal).
"""

import torch
from torch import Tensor, nn


def mirrored(block: Tensor, rows: bool, columns: bool) -> Tensor:
    """`block`, shape (out, in), and its negative side by side (`columns`), one
    over the other (`rows`), or both.
    """
    if columns:
        block = torch.cat([block, -block], dim=1)
    return torch.cat([block, -block], dim=0) if rows else block


@torch.no_grad()
def looks_linear_(model: nn.Module, *, seed: int) -> None:
    """Initialize the linear layers of `model` in place; they form a chain, with
    a ReLU between each and the next.

    The map is an isometry if every hidden width is at least twice the number of
    inputs; narrower layers project. Draws come from a generator of its own on
    the CPU, so that a `seed` gives the same weights on every device.
    Raises ValueError if the layers do not fit one behind the other or a hidden
    width is odd.
    """
    chain = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    for layer, following in zip(chain[:-1], chain[1:], strict=True):
        if layer.out_features != following.in_features:
            raise ValueError(f"model must be a chain, got {following.in_features} inputs after {layer.out_features}")
        if layer.out_features % 2:
            raise ValueError(f"hidden widths must be even, got {layer.out_features}")
    generator = torch.Generator().manual_seed(seed)
    for layer in chain:
        rows, columns = layer is not chain[-1], layer is not chain[0]
        shape = layer.out_features // (1 + rows), layer.in_features // (1 + columns)
        block = torch.empty(shape, dtype=torch.promote_types(layer.weight.dtype, torch.float32))
        layer.weight.copy_(mirrored(nn.init.orthogonal_(block, generator=generator), rows, columns))
        if layer.bias is not None:
            layer.bias.zero_()
