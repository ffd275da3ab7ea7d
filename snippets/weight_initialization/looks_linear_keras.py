"""A deep ReLU chain that starts as an orthogonal linear map: mirrored ("looks
linear") initialization.

    first layer    [Q; -Q]
    hidden layers  [[Q, -Q], [-Q, Q]]
    last layer     [Q, -Q],   with Q orthogonal and all biases 0

Since relu(a) - relu(-a) = a, each layer passes Q a on: at the start no signal
and no gradient fades, at any depth. Start with a learning rate of about 0.5 /
(number of layers).
Needs Python 3.10 and Keras 3.9, or newer.
Source: Balduzzi et al. (2017), "The Shattered Gradients Problem",
arXiv:1702.08591 (mirrored blocks); Saxe et al. (2014), arXiv:1312.6120
(orthogonal).
"""

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

ACTIVATIONS = (layers.ReLU, layers.LeakyReLU, layers.ELU)


def orthogonal_factor(draws: np.ndarray) -> np.ndarray:
    """The (semi-)orthogonal matrix, shape (rows, columns), that a Gaussian
    matrix of that shape stands for. ValueError for what is no real matrix.
    """
    if not isinstance(draws, np.ndarray):
        raise ValueError(f"draws must be an array, got {type(draws).__name__}")
    if draws.ndim != 2 or draws.dtype.kind != "f":
        raise ValueError(
            f"draws must be a floating matrix, got {draws.dtype} {draws.shape}"
        )
    tall = draws if draws.shape[0] >= draws.shape[1] else draws.T
    q, r = np.linalg.qr(tall.astype(np.result_type(tall, np.float32)))
    q = q * np.copysign(1.0, np.diag(r))  # np.sign(0) would wipe a column out
    return q if draws.shape[0] >= draws.shape[1] else q.T


def mirrored(block: np.ndarray, rows: bool, columns: bool) -> np.ndarray:
    """`block`, shape (out, in), and its negative side by side (`columns`), one
    over the other (`rows`), or both. ValueError if it is no floating matrix.
    """
    if not isinstance(block, np.ndarray):
        raise ValueError(f"block must be an array, got {type(block).__name__}")
    if block.ndim != 2 or block.dtype.kind != "f":
        raise ValueError(
            f"block must be a floating matrix, got {block.dtype} {block.shape}"
        )
    if columns:
        block = np.concatenate([block, -block], axis=1)
    return np.concatenate([block, -block], axis=0) if rows else block


class Report(NamedTuple):
    """What became of the variables, by their paths."""

    reached: dict[str, str]
    """By what it was set: "first", "hidden", "last" or "zero"."""
    left: dict[str, str]
    """Why it stays as it is."""


def _chain(model: keras.Model) -> Iterator[keras.layers.Dense]:
    by_depth = getattr(model, "_nodes_by_depth", {})  # of a functional model
    calls = [node.operation for nodes in by_depth.values() for node in nodes]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            yield from [layer] * max(1, calls.count(layer))
        elif isinstance(layer, keras.Model):
            yield from _chain(layer)
        elif any(len(weight.shape) > 1 for weight in layer.weights):
            raise ValueError(
                f"model must be a chain of Dense layers, {layer.path!r} is {type(layer).__name__}"
            )


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else [layer]


def _passes_on(activation: Callable) -> bool:
    """Whether phi(a) - phi(-a) = a, as for ReLU, GELU and SiLU, or phi does
    nothing, as where a layer of its own follows.
    """
    a = np.linspace(0.0, 2.0, 9, dtype=np.float32)
    up, down = (
        keras.ops.convert_to_numpy(keras.ops.cast(activation(side), "float32"))
        for side in (a, -a)
    )
    return np.allclose(up - down, a, atol=0.02) or np.allclose(down, -a)


def _seeded(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError) as error:
        raise ValueError(f"seed must be an integer from 0 on, got {seed!r}") from error


def looks_linear(model: keras.Model, *, seed: int) -> Report:
    """Initialize the Dense layers of `model`, which must be built, in place;
    they form a chain with ReLU in between.

    The map is an isometry if inputs, half of each hidden width and outputs
    never decrease; a layer that is narrower than the one before it projects.
    Draws come from a NumPy generator of its own, so that a `seed` gives the
    same weights on every backend.
    Nested models are entered, in the order of their layers. Raises ValueError,
    and nothing is changed, if the layers do not fit one behind the other, a
    hidden width is odd or there is none, and by name for another layer with
    weight matrices, such as a wrapper, for another activation between them, as
    tanh, and for a layer used twice or with a kernel computed from others
    (LoRA) or quantized.
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    chain = list(_chain(model)) if isinstance(model, keras.Model) else []
    if not chain or not model.built:
        raise ValueError(f"model must be built and hold a Dense layer, got {model}")
    for i, layer in enumerate(chain):
        kernel = layer.kernel
        if (
            not isinstance(kernel, keras.Variable)
            or not keras.backend.is_float_dtype(kernel.dtype)
            or layer in chain[:i]
        ):
            raise ValueError(
                f"model must hold a kernel of its own in every layer, {layer.path!r} does not"
            )
    shapes = [layer.kernel.shape for layer in chain]  # (fan_in, fan_out)
    for (_, outputs), (inputs, _) in itertools.pairwise(shapes):
        if outputs != inputs:
            raise ValueError(
                f"model must be a chain, got {inputs} inputs after {outputs}"
            )
        if outputs % 2:
            raise ValueError(f"hidden widths must be even, got {outputs}")
    for layer in itertools.takewhile(
        lambda leaf: leaf is not chain[-1], _leaves(model)
    ):
        activation = layer if isinstance(layer, ACTIVATIONS) else None
        activation = activation or getattr(layer, "activation", None)
        if callable(activation) and not _passes_on(activation):
            raise ValueError(
                f"model must have ReLU between its layers, got {activation} in {layer.path!r}"
            )
    generator = _seeded(seed)
    blocks: dict[int, str] = {}
    for layer, (fan_in, fan_out) in zip(chain, shapes, strict=True):
        rows, columns = layer is not chain[-1], layer is not chain[0]
        draws = generator.standard_normal(
            (fan_out // (1 + rows), fan_in // (1 + columns))
        )
        layer.kernel.assign(mirrored(orthogonal_factor(draws), rows, columns).T)
        block = "last" if not rows else "hidden" if columns else "first"
        blocks[id(layer.kernel)] = block
        if layer.use_bias:
            layer.bias.assign(np.zeros(fan_out))
            blocks[id(layer.bias)] = "zero"
    every = [(weight.path, blocks.get(id(weight))) for weight in model.weights]
    return Report(
        {path: block for path, block in every if block},
        {path: "belongs to no Dense" for path, block in every if not block},
    )
