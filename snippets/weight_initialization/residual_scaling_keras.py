"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last kernel of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m kernels: the last kernel 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the list
of layers between the skip's fork and its sum, in the order in which they are
applied; all must be built.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import math
from collections.abc import Sequence

import keras

Branch = Sequence[keras.Layer]


def _parts(branch: Branch, attribute: str) -> list[keras.Variable]:
    found = [getattr(layer, attribute, None) for layer in branch]
    if not (found := [variable for variable in found if isinstance(variable, keras.Variable)]):
        raise ValueError(f"branches must each hold a built layer with a {attribute}, got {branch}")
    return found


def gpt2_scale(branches: Sequence[Branch]) -> None:
    """Divide the last kernel of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    for branch in branches:
        last = _parts(branch, "kernel")[-1]
        last.assign(last / math.sqrt(len(branches)))


def fixup(branches: Sequence[Branch]) -> None:
    """Zero the last kernel of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Fixup also zeroes the output layer and adds scalar biases and a scalar
    multiplier to each branch: do that in the model. Norms inside the branches
    would undo it.
    """
    for branch in branches:
        *others, last = _parts(branch, "kernel")
        for kernel in others:
            kernel.assign(kernel * len(branches) ** (-1.0 / (2 * len(others))))
        last.assign(keras.ops.zeros_like(last))


def zero_gamma(branches: Sequence[Branch]) -> None:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    for branch in branches:
        gamma = _parts(branch, "gamma")[-1]
        gamma.assign(keras.ops.zeros_like(gamma))
