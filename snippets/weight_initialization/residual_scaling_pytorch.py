"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last weight of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m weights: the last weight 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the
module whose output is added to the skip; its weights are those of its linear
and convolutional layers, in the order in which they were registered. A weight
that several branches share is scaled once. All three report what they reached
and what they left. They raise ValueError, before anything is changed, for a
branch without such a layer and for a weight that is lazy, on the meta device,
sharded, no floating one or computed from other parameters (weight_norm).
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)

SUMMING = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
NORM = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


class Report(NamedTuple):
    """What became of the parameters of the branches. A name is the number of
    the branch and the name there, as in "0.2.weight".
    """

    reached: dict[str, float]
    """By which factor it was multiplied."""
    left: dict[str, str]
    """Why it stays as it is."""


class Part(NamedTuple):
    """One weight on the way through a branch."""

    name: str
    weight: nn.Parameter
    first_row: int = 0


def gpt2_scale_(branches: Iterable[nn.Module]) -> Report:
    """Divide the last weight of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    branches = _listed(branches)
    factor = 1.0 / math.sqrt(len(branches))
    return _scaled(branches, [(chain[-1], factor) for chain in _chains(branches)])


def fixup_(branches: Iterable[nn.Module]) -> Report:
    """Zero the last weight of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Of attention, values and output are the chain; queries and keys say only
    where to look and stay. Fixup also zeroes the output layer and adds scalar
    biases and a scalar multiplier to each branch: do that in the model. Norms
    inside the branches would undo it.
    """
    branches = _listed(branches)
    parts = []
    for *others, last in _chains(branches):
        shrunk = len(branches) ** (-0.5 / max(1, len(others)))
        parts += [*((other, shrunk) for other in others), (last, 0.0)]
    return _scaled(branches, parts)


def zero_gamma_(branches: Iterable[nn.Module]) -> Report:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    branches = _listed(branches)
    return _scaled(branches, [(chain[-1], 0.0) for chain in _chains(branches, NORM)])


def _listed(branches: Iterable[nn.Module]) -> list[nn.Module]:
    # a Sequential would be taken apart
    one = isinstance(branches, nn.Module) and not isinstance(branches, nn.ModuleList)
    if one or isinstance(branches, type):
        raise ValueError(
            f"branches must be a list of modules, got one {type(branches).__name__}"
        )
    listed = list(branches)
    if not listed:
        raise ValueError("branches must hold a branch, got none")
    for branch in listed:
        if not isinstance(branch, nn.Module):
            raise ValueError(f"branches must be modules, got {type(branch).__name__}")
    return listed


def _chains(
    branches: list[nn.Module], kinds: tuple[type[nn.Module], ...] = SUMMING
) -> list[list[Part]]:
    """The weights that a signal meets one after the other, branch by branch."""
    chains = []
    for number, branch in enumerate(branches):
        layers = [
            (name, layer)
            for name, layer in branch.named_modules()
            if isinstance(layer, kinds)
            or (isinstance(layer, nn.MultiheadAttention) and kinds is SUMMING)
        ]
        if not layers:
            raise ValueError(
                f"branches must each hold one of {[kind.__name__ for kind in kinds]}, got {branch}"
            )
        chains.append([_part(f"{number}.{name}", layer) for name, layer in layers])
    return chains


def _part(place: str, layer: nn.Module) -> Part:
    name, first_row = "weight", 0
    # its output projection is a Linear of its own
    if isinstance(layer, nn.MultiheadAttention):
        name = "v_proj_weight"
        if layer._qkv_same_embed_dim:  # queries, keys and values, one on the other
            name, first_row = "in_proj_weight", 2 * layer.embed_dim
    weight = layer._parameters.get(name)
    why = _unwritable(weight)
    if weight is None or why:
        raise ValueError(
            f"branches must hold weights of their own, {place!r} does not: its {name} {why}"
        )
    return Part(f"{place.rstrip('.')}.{name}", weight, first_row)


@torch.no_grad()
def _scaled(branches: list[nn.Module], parts: list[tuple[Part, float]]) -> Report:
    """Multiply each weight once, also a shared one: by the smallest factor."""
    factors: dict[int, float] = {}
    for part, factor in parts:
        place = _place(part.weight)
        factors[place] = min(factor, factors.get(place, factor))
    held = {_place(part.weight): part for part, _ in parts}
    for place, factor in factors.items():
        values = held[place].weight[held[place].first_row :]
        # by multiplication NaN would stay NaN
        values.mul_(factor) if factor else values.zero_()
    left = {
        f"{number}.{name}": "not among the weights that this scaling is for"
        for number, branch in enumerate(branches)
        for name, parameter in branch.named_parameters()
        if _place(parameter) not in factors
    }
    left |= {
        part.name: "queries and keys: only the rows of the values are scaled"
        for part, _ in parts
        if part.first_row
    }
    return Report({part.name: factors[_place(part.weight)] for part, _ in parts}, left)


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
