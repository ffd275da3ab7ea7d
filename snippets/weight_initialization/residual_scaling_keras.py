"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last kernel of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m kernels: the last kernel 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the list
of layers between the skip's fork and its sum, in the order in which they are
applied, or one layer or model; all must be built. A kernel that several
branches share is scaled once. All three raise ValueError, before anything is
changed, for a branch without such a weight and, by name, for a layer whose
kernel is computed from others (LoRA) or lies inside where its place is unknown.
Needs Keras 3.9 or newer.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import keras

Branch = keras.Layer | Sequence[keras.Layer]
ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)


def _all_parts(
    branches: Iterable[Branch], attribute: str
) -> list[list[keras.Variable]]:
    every = [
        list(_parts([branch] if isinstance(branch, keras.Layer) else branch, attribute))
        for branch in branches
    ]
    if not every or not all(every):
        raise ValueError(
            f"branches must each hold a built layer with a {attribute}, got {branches}"
        )
    return every


def _parts(branch: Iterable[keras.Layer], attribute: str) -> Iterator[keras.Variable]:
    for layer in branch:
        if isinstance(layer, ATTENTION) and layer.built:
            inside = (
                layer.query_dense,
                layer.key_dense,
                layer.value_dense,
                layer.output_dense,
            )
            yield from _parts(inside, attribute)
        elif isinstance(layer, keras.Model):
            yield from _parts(layer.layers, attribute)
        elif isinstance(variable := getattr(layer, attribute, None), keras.Variable):
            yield variable
        elif variable is not None or any(
            hasattr(child, attribute) for child in layer._flatten_layers(False)
        ):
            raise ValueError(
                f"branches must hold layers with a {attribute} of their own, {layer.path!r} does not"
            )


def gpt2_scale(branches: Iterable[Branch]) -> None:
    """Divide the last kernel of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    every = _all_parts(branches, "kernel")
    for last in {id(parts[-1]): parts[-1] for parts in every}.values():
        last.assign(last / math.sqrt(len(every)))


def fixup(branches: Iterable[Branch]) -> None:
    """Zero the last kernel of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Fixup also zeroes the output layer and adds scalar biases and a scalar
    multiplier to each branch: do that in the model. Norms inside the branches
    would undo it.
    """
    every = _all_parts(branches, "kernel")
    factors = {
        id(kernel): (kernel, len(every) ** (-0.5 / len(others)))
        for *others, _ in every
        for kernel in others
    }
    for kernel, factor in (
        factors | {id(parts[-1]): (parts[-1], 0.0) for parts in every}
    ).values():
        kernel.assign(kernel * factor)


def zero_gamma(branches: Iterable[Branch]) -> None:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    for *_, gamma in _all_parts(branches, "gamma"):
        gamma.assign(keras.ops.zeros(gamma.shape, gamma.dtype))
