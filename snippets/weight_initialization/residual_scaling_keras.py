"""Make residual branches small at the start, so that the sum of many of them
stays bounded: h <- h + branch(h).

    GPT-2         last kernel of each of N branches times 1 / sqrt(N)
    Fixup         in L branches of m kernels: the last kernel 0, the others
                  times L^(-1 / (2 m - 2))
    zero gamma    the scale of the last norm of each branch 0

Call after an initialization that suits a plain chain (He). A branch is the list
of layers between the skip's fork and its sum, in the order in which they are
applied, or one layer or model; all must be built. A kernel that several
branches share is scaled once. All three report what they reached and what they
left. They raise ValueError, before anything is changed, for a branch without
such a weight and, by name, for a layer whose kernel is computed from others
(LoRA), quantized or inside where its place is unknown.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Radford et al. (2019), "Language Models are Unsupervised Multitask
Learners", section 2.3; Zhang, Dauphin & Ma (2019), "Fixup Initialization",
arXiv:1901.09321; Goyal et al. (2017), arXiv:1706.02677, section 5.1 (zero
gamma).
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import keras

Branch: TypeAlias = keras.Layer | Sequence[keras.Layer]
ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)


class Report(NamedTuple):
    """What became of the variables of the branches, by their paths."""

    reached: dict[str, float]
    """By which factor it was multiplied."""
    left: dict[str, str]
    """Why it stays as it is."""


def gpt2_scale(branches: Iterable[Branch]) -> Report:
    """Divide the last kernel of each branch by sqrt(N): N unit contributions
    then add up to a variance of 1, not N.

    Give all N branches of the network: two per transformer block, attention and
    MLP.
    """
    listed = _listed(branches)
    factor = 1.0 / math.sqrt(len(listed))
    return _scaled(listed, [(chain[-1], factor) for chain in _chains(listed, "kernel")])


def fixup(branches: Iterable[Branch]) -> Report:
    """Zero the last kernel of each branch and shrink the others, so that one
    step of SGD moves the output by O(1).

    Of attention, values and output are the chain; queries and keys say only
    where to look and stay. Fixup also zeroes the output layer and adds scalar
    biases and a scalar multiplier to each branch: do that in the model. Norms
    inside the branches would undo it.
    """
    listed, parts = _listed(branches), []
    for *others, last in _chains(listed, "kernel"):
        shrunk = len(listed) ** (-0.5 / max(1, len(others)))
        parts += [*((other, shrunk) for other in others), (last, 0.0)]
    return _scaled(listed, parts)


def zero_gamma(branches: Iterable[Branch]) -> Report:
    """Zero the scale of the last norm of each branch, the branch's last layer:
    each block starts as identity.
    """
    listed = _listed(branches)
    return _scaled(listed, [(chain[-1], 0.0) for chain in _chains(listed, "gamma")])


def _listed(branches: Iterable[Branch]) -> list[list[keras.Layer]]:
    if isinstance(branches, keras.Layer | type):
        raise ValueError(f"branches must be a list of branches, got one {branches}")
    listed = []
    for branch in branches:
        several = isinstance(branch, Sequence | Iterator)
        if not (several or isinstance(branch, keras.Layer)):
            raise ValueError(
                f"branches must be layers or lists of them, got {type(branch).__name__}"
            )
        listed.append([branch] if isinstance(branch, keras.Layer) else list(branch))
    if not listed:
        raise ValueError(
            "branches must each hold a built layer with a weight, got none"
        )
    for layer in itertools.chain(*listed):
        if not isinstance(layer, keras.Layer):
            raise ValueError(
                f"branches must be layers or lists of them, got {type(layer).__name__}"
            )
    return listed


def _chains(
    branches: list[list[keras.Layer]], attribute: str
) -> list[list[keras.Variable]]:
    """The variables that a signal meets one after the other."""
    every = [list(_parts(branch, attribute)) for branch in branches]
    if not all(every):
        raise ValueError(
            f"branches must each hold a built layer with a {attribute}, got {branches}"
        )
    return every


def _parts(branch: Iterable[keras.Layer], attribute: str) -> Iterator[keras.Variable]:
    for layer in branch:
        variable = getattr(layer, attribute, None)
        if isinstance(layer, ATTENTION) and layer.built:
            yield from _parts((layer.value_dense, layer.output_dense), attribute)
        elif isinstance(layer, keras.Model):
            yield from _parts(layer.layers, attribute)
        elif isinstance(variable, keras.Variable) and keras.backend.is_float_dtype(
            variable.dtype
        ):
            yield variable
        elif variable is not None or any(
            hasattr(child, attribute) for child in layer._flatten_layers(False)
        ):
            raise ValueError(
                f"branches must hold layers with a {attribute} of their own, {layer.path!r} does not"
            )


def _scaled(
    branches: list[list[keras.Layer]], parts: list[tuple[keras.Variable, float]]
) -> Report:
    """Multiply each variable once, a shared one by the smallest factor."""
    factors: dict[int, float] = {}
    for variable, factor in parts:
        factors[id(variable)] = min(factor, factors.get(id(variable), factor))
    reached = {id(variable): variable for variable, _ in parts}
    for key, variable in reached.items():
        # by multiplication NaN would stay NaN
        zero = keras.ops.zeros(variable.shape, variable.dtype)
        variable.assign(variable * factors[key] if factors[key] else zero)
    left = {
        weight.path: "not among the variables that this scaling is for"
        for branch in branches
        for layer in branch
        for weight in layer.weights
        if id(weight) not in reached
    }
    return Report({reached[key].path: factors[key] for key in reached}, left)
