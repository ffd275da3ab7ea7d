"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last weight of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m weights: the last weight 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the
module whose output is added to the skip; its weights are those of its linear
and convolutional layers, in the order in which they were registered.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

SUMMING = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
)  # fmt: skip
NORM = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm
)  # fmt: skip


def _parts(branch: nn.Module, kinds: tuple[type, ...]) -> list[nn.Module]:
    found = [part for part in branch.modules() if isinstance(part, kinds)]
    if not found:
        raise ValueError(f"branches must each hold one of {[kind.__name__ for kind in kinds]}, got {branch}")
    return found


@torch.no_grad()
def gpt2_scale_(branches: Sequence[nn.Module]) -> None:
    """Divide the last weight of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    for branch in branches:
        _parts(branch, SUMMING)[-1].weight.div_(math.sqrt(len(branches)))


@torch.no_grad()
def fixup_(branches: Sequence[nn.Module]) -> None:
    """Zero the last weight of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Fixup also zeroes the output layer and adds scalar biases and a scalar
    multiplier to each branch: do that in the model. Norms inside the branches
    would undo it.
    """
    for branch in branches:
        *others, last = _parts(branch, SUMMING)
        for layer in others:
            layer.weight.mul_(len(branches) ** (-1.0 / (2 * len(others))))
        last.weight.zero_()


@torch.no_grad()
def zero_gamma_(branches: Sequence[nn.Module]) -> None:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    for branch in branches:
        _parts(branch, NORM)[-1].weight.zero_()
