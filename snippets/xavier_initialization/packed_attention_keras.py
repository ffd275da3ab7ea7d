"""Xavier for every projection of keras.layers.MultiHeadAttention by itself,
each with draws of its own.

    bound = sqrt(6 / (fan_in + fan_out)) for each of W_Q, W_K, W_V and W_O

Their kernels have three axes: (d, heads, head_dim) on the way in, (heads,
head_dim, d) on the way out. The fans are d and heads * head_dim, which Keras's
own initializers, and those derived from VarianceScaling, know since pull
request 22789; before, and for others, the kernel counts as that of a
convolution. One trap is left: the
layer copies its initializer for every kernel, so that
`kernel_initializer=GlorotUniform(seed=0)` makes W_Q, W_K and W_V equal.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Glorot & Bengio (2010), equation 16; keras.layers.MultiHeadAttention;
pull request 22789 of keras-team/keras (2026).
"""

import math
import operator
from collections.abc import Iterator

import keras
import numpy as np


def projections(
    attention: keras.Layer,
) -> Iterator[tuple[str, keras.layers.EinsumDense, int]]:
    """Name, layer and number of a kernel's input axes for the four projections;
    the kernel's last axes are output. ValueError for another layer and for one
    that is not built.
    """
    if (
        not isinstance(attention, keras.layers.MultiHeadAttention)
        or not attention.built
    ):
        raise ValueError(
            f"attention must be a MultiHeadAttention that was called on a batch, got {attention!r}"
        )
    yield "q", attention.query_dense, 1
    yield "k", attention.key_dense, 1
    yield "v", attention.value_dense, 1
    yield "out", attention.output_dense, 2


def xavier_attention(
    attention: keras.Layer, gain: float = 1.0, *, seed: int
) -> keras.Layer:
    """Draw each projection from U(-bound, bound) in place, set its bias to zero
    and return the layer.

    `attention` is a MultiHeadAttention that is built: call it on a batch first.
    `gain` multiplies the bounds. Draws come from a NumPy generator of its own:
    a `seed` gives the same weights on every backend. No global state changes.
    """
    every = list(projections(attention))
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 <= gain < math.inf:
        raise ValueError(f"gain must be finite and not negative, got {gain}")
    generator = _seeded(seed)
    for name, dense, _ in every:
        if not isinstance(
            dense.kernel, keras.Variable
        ) or not keras.backend.is_float_dtype(dense.kernel.dtype):
            raise ValueError(
                f"attention must hold a kernel of its own in {name!r}, got one with LoRA or quantized"
            )
    for _, dense, axes in every:
        shape = dense.kernel.shape
        bound = gain * math.sqrt(
            6.0 / (math.prod(shape[:axes]) + math.prod(shape[axes:]))
        )
        dense.kernel.assign(generator.uniform(-bound, bound, shape))
        if dense.bias is not None:
            dense.bias.assign(np.zeros(dense.bias.shape))
    return attention


def _seeded(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError) as error:
        raise ValueError(f"seed must be an integer from 0 on, got {seed!r}") from error


if __name__ == "__main__":
    seeded = keras.initializers.GlorotUniform(seed=0)
    layer = keras.layers.MultiHeadAttention(
        num_heads=8, key_dim=64, kernel_initializer=seeded
    )
    tokens = np.zeros((1, 4, 512), "float32")
    layer(tokens, tokens)
    q, k = layer.query_dense.kernel, layer.key_dense.kernel
    print("W_Q equals W_K:", bool(keras.ops.all(q == k)))
    xavier_attention(layer, seed=0)
    print("W_Q equals W_K:", bool(keras.ops.all(q == k)))
