"""A deep ReLU chain that starts as an orthogonal linear map: mirrored ("looks
linear") initialization.

    first layer    [Q; -Q]
    hidden layers  [[Q, -Q], [-Q, Q]]
    last layer     [Q, -Q],   with Q orthogonal and all biases 0

Since relu(a) - relu(-a) = a, each layer passes Q a on: at the start no signal
and no gradient fades, at any depth. Start with a learning rate of about 0.5 /
(number of layers).
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Balduzzi et al. (2017), "The Shattered Gradients Problem",
arXiv:1702.08591 (mirrored blocks); Saxe et al. (2014), arXiv:1312.6120
(orthogonal).
"""

import itertools
import operator
from typing import NamedTuple

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)

# phi(a) - phi(-a) is not a, as it is for ReLU, GELU and SiLU
OTHERS = (
    *(nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign),
    *(nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.Mish),
)


def mirrored(block: Tensor, rows: bool, columns: bool) -> Tensor:
    """`block`, shape (out, in), and its negative side by side (`columns`), one
    over the other (`rows`), or both. ValueError if it is not a dense floating
    matrix.
    """
    if not isinstance(block, Tensor) or isinstance(block, LAZY) or block.is_nested:
        raise ValueError(
            f"block must be a tensor, neither lazy nor nested, got {type(block).__name__}"
        )
    if (
        block.dim() != 2
        or block.layout != torch.strided
        or not block.is_floating_point()
        or block.element_size() < 2
    ):
        raise ValueError(
            f"block must be a dense floating matrix, got {block.layout} {block.dtype} {tuple(block.shape)}"
        )
    if columns:
        block = torch.cat([block, -block], dim=1)
    return torch.cat([block, -block], dim=0) if rows else block


class Report(NamedTuple):
    """What became of the parameters, by their names in `model`."""

    reached: dict[str, str]
    """By what it was set: "first", "hidden", "last" or "zero"."""
    left: dict[str, str]
    """Why it stays as it is."""


@torch.no_grad()
def looks_linear_(model: nn.Module, *, seed: int) -> Report:
    """Initialize the linear layers of `model` in place; they form a chain, with
    a ReLU between each and the next.

    The map is an isometry if inputs, half of each hidden width and outputs
    never decrease; a layer that is narrower than the one before it projects.
    Draws come from a generator of its own on the CPU, so that a `seed` gives
    the same weights on every device.
    Raises ValueError, and nothing is changed, if the layers do not fit one
    behind the other, a hidden width is odd or there is none, and by name for
    another layer with a weight matrix, for a module between them that is
    another activation, as Tanh, and for a weight that is shared, lazy, sharded,
    no floating one or computed from other parameters (weight_norm).
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    weights: set[int] = set()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            weight, bias = (layer._parameters.get(part) for part in ("weight", "bias"))
            why = _unwritable(weight)
            if weight is not None and _place(weight) in weights:
                why = "is shared"
            if why is None and layer.bias is not None:
                why = _unwritable(bias)
            if weight is None or why:
                raise ValueError(
                    f"model must hold a weight of its own in every layer, {name!r} does not: it or the bias {why}"
                )
            weights.add(_place(weight))
        elif any(
            parameter.dim() > 1 and _place(parameter) not in weights
            for parameter in layer.parameters(recurse=False)
        ):
            raise ValueError(
                f"model must be a chain of Linear layers, {name!r} is {type(layer).__name__}"
            )
    if not weights:
        raise ValueError(f"model must hold a Linear layer, got {model}")
    chain = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    for name, layer in model.named_modules():
        if layer is chain[-1]:
            break
        if type(layer) in OTHERS:
            raise ValueError(
                f"model must have ReLU between its layers, {name!r} is {type(layer).__name__}"
            )
    for layer, following in itertools.pairwise(chain):
        if layer.out_features != following.in_features:
            raise ValueError(
                f"model must be a chain, got {following.in_features} inputs after {layer.out_features}"
            )
        if layer.out_features % 2:
            raise ValueError(f"hidden widths must be even, got {layer.out_features}")
    generator = _seeded(seed)
    blocks: dict[Tensor, str] = {}
    for layer in chain:
        rows, columns = layer is not chain[-1], layer is not chain[0]
        shape = layer.out_features // (1 + rows), layer.in_features // (1 + columns)
        block = torch.empty(
            shape,
            dtype=torch.promote_types(layer.weight.dtype, torch.float32),
            device="cpu",
        )
        layer.weight.copy_(
            mirrored(nn.init.orthogonal_(block, generator=generator), rows, columns)
        )
        blocks[layer.weight] = "last" if not rows else "hidden" if columns else "first"
        if layer.bias is not None:
            layer.bias.zero_()
            blocks[layer.bias] = "zero"
    names = list(model.named_parameters())
    return Report(
        {name: blocks[one] for name, one in names if one in blocks},
        {name: "belongs to no Linear" for name, one in names if one not in blocks},
    )


def _seeded(seed: int) -> torch.Generator:
    try:
        return torch.Generator("cpu").manual_seed(operator.index(seed))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"seed must be an integer of 64 bits, got {seed!r}") from error


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


def _place(tensor: Tensor) -> int:
    """Where its entries begin: one place for weights tied by `.data`."""
    held = not isinstance(tensor, LAZY) and tensor.layout == torch.strided
    return (tensor.data_ptr() if held else 0) or id(tensor)


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
