"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last weight of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m weights: the last weight 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the
module whose output is added to the skip; its weights are those of its linear
and convolutional layers, in the order in which they were registered. A weight
that several branches share is scaled once. All three raise ValueError, before
anything is changed, for a branch without such a layer and for a weight that is
lazy or computed from other parameters (weight_norm).
Needs PyTorch 2.6 or newer.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

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


def _weights(
    branches: Iterable[nn.Module], kinds: tuple[type, ...]
) -> list[list[nn.Parameter]]:
    """Those of the layers of `kinds`, branch by branch."""
    # a Sequential would be taken apart
    if isinstance(branches, nn.Module) and not isinstance(branches, nn.ModuleList):
        raise ValueError(
            f"branches must be a list of modules, got one {type(branches).__name__}"
        )
    found = []
    for branch in branches:
        parts = [
            (name, part)
            for name, part in branch.named_modules()
            if isinstance(part, kinds)
        ]
        if not parts:
            raise ValueError(
                f"branches must each hold one of {[kind.__name__ for kind in kinds]}, got {branch}"
            )
        found.append([part._parameters.get("weight") for _, part in parts])
        for (name, part), weight in zip(parts, found[-1], strict=True):
            if (
                weight is None
                or isinstance(weight, nn.UninitializedParameter)
                or weight.is_meta
            ):
                raise ValueError(
                    f"branches must hold weights of their own, {name!r} does not: {part}"
                )
    if not found:
        raise ValueError("branches must hold a branch, got none")
    return found


@torch.no_grad()
def gpt2_scale_(branches: Iterable[nn.Module]) -> None:
    """Divide the last weight of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    weights = _weights(branches, SUMMING)
    for last in dict.fromkeys(branch[-1] for branch in weights):
        last.div_(math.sqrt(len(weights)))


@torch.no_grad()
def fixup_(branches: Iterable[nn.Module]) -> None:
    """Zero the last weight of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Fixup also zeroes the output layer and adds scalar biases and a scalar
    multiplier to each branch: do that in the model. Norms inside the branches
    would undo it.
    """
    weights = _weights(branches, SUMMING)
    factors = {
        other: len(weights) ** (-1.0 / (2 * len(others)))
        for *others, _ in weights
        for other in others
    }
    for weight, factor in (factors | {branch[-1]: 0.0 for branch in weights}).items():
        weight.mul_(factor)


@torch.no_grad()
def zero_gamma_(branches: Iterable[nn.Module]) -> None:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    for *_, last in _weights(branches, NORM):
        last.zero_()
