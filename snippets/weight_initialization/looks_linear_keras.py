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

import keras
import numpy as np


def orthogonal_factor(draws: np.ndarray) -> np.ndarray:
    """The (semi-)orthogonal matrix, shape (rows, columns), that a Gaussian
    matrix of that shape stands for.
    """
    tall = draws if draws.shape[0] >= draws.shape[1] else draws.T
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return q if draws.shape[0] >= draws.shape[1] else q.T


def mirrored(block: np.ndarray, rows: bool, columns: bool) -> np.ndarray:
    """`block`, shape (out, in), and its negative side by side (`columns`), one
    over the other (`rows`), or both.
    """
    if columns:
        block = np.concatenate([block, -block], axis=1)
    return np.concatenate([block, -block], axis=0) if rows else block


def looks_linear(model: keras.Model, *, seed: int) -> None:
    """Initialize the Dense layers of `model`, which must be built, in place;
    they form a chain with ReLU in between.

    The map is an isometry if every hidden width is at least twice the number of
    inputs; narrower layers project. Draws come from a NumPy generator of its
    own, so that a `seed` gives the same weights on every backend.
    Raises ValueError if the layers do not fit one behind the other or a hidden
    width is odd.
    """
    chain = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    shapes = [layer.kernel.shape for layer in chain]  # (fan_in, fan_out)
    for (_, outputs), (inputs, _) in zip(shapes[:-1], shapes[1:], strict=True):
        if outputs != inputs:
            raise ValueError(f"model must be a chain, got {inputs} inputs after {outputs}")
        if outputs % 2:
            raise ValueError(f"hidden widths must be even, got {outputs}")
    generator = np.random.default_rng(seed)
    for layer, (fan_in, fan_out) in zip(chain, shapes, strict=True):
        rows, columns = layer is not chain[-1], layer is not chain[0]
        draws = generator.standard_normal((fan_out // (1 + rows), fan_in // (1 + columns)))
        layer.kernel.assign(mirrored(orthogonal_factor(draws), rows, columns).T)
        if layer.use_bias:
            layer.bias.assign(np.zeros(fan_out))
