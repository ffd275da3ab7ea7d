"""A deep ReLU chain that starts as an orthogonal linear map: mirrored ("looks
linear") initialization, in NumPy.

    first layer    [Q; -Q]
    hidden layers  [[Q, -Q], [-Q, Q]]
    last layer     [Q, -Q],   with Q orthogonal and all biases 0

Since relu(a) - relu(-a) = a, each layer passes Q a on: at the start no signal
and no gradient fades, at any depth.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: Balduzzi et al. (2017), "The Shattered Gradients Problem",
arXiv:1702.08591 (mirrored blocks); Saxe et al. (2014), arXiv:1312.6120
(orthogonal).
"""

import itertools
import operator
from collections.abc import Sequence

import numpy as np


def orthogonal_factor(draws: np.ndarray) -> np.ndarray:
    """The (semi-)orthogonal matrix, shape (rows, columns), that a Gaussian
    matrix of that shape stands for.

    Rows are orthonormal if there are at most as many as columns, else the
    columns are. The signs of the triangular factor are moved into the
    orthogonal one, so that every rotation is as likely. ValueError for what is
    no real floating matrix.
    """
    _plain(draws=draws)
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
    _plain(block=block)
    if block.ndim != 2 or block.dtype.kind != "f":
        raise ValueError(
            f"block must be a floating matrix, got {block.dtype} {block.shape}"
        )
    if columns:
        block = np.concatenate([block, -block], axis=1)
    return np.concatenate([block, -block], axis=0) if rows else block


def looks_linear(widths: Sequence[int], *, seed: int) -> list[np.ndarray]:
    """Weights, float64, shape (fan_out, fan_in), of a chain with `widths` =
    (inputs, hidden, ..., outputs).

    The map is an isometry if inputs, half of each hidden width and outputs
    never decrease; a layer that is narrower than the one before it projects.
    Raises ValueError for an odd hidden width, for fewer than two widths and for
    one below 1.
    """
    given = widths
    try:
        # Python's integers: those of NumPy would overflow
        widths = [operator.index(width) for width in given]
    except TypeError:
        widths = []
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be two or more integers from 1 on, got {given}")
    if odd := [width for width in widths[1:-1] if width % 2]:
        raise ValueError(f"hidden widths must be even, got {odd[0]}")
    generator = _seeded(seed)
    last = len(widths) - 2
    weights = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        rows, columns = i < last, i > 0
        shape = (fan_out // 2 if rows else fan_out, fan_in // 2 if columns else fan_in)
        weights.append(
            mirrored(orthogonal_factor(generator.standard_normal(shape)), rows, columns)
        )
    return weights


def _seeded(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError) as error:
        raise ValueError(f"seed must be an integer from 0 on, got {seed!r}") from error


def _plain(**arrays) -> None:
    """Refuse what is no array, and what computes another way: a matrix
    multiplies, a mask hides.
    """
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray | np.generic) or isinstance(
            array, np.matrix | np.ma.MaskedArray
        ):
            raise ValueError(
                f"{name} must be a plain array, got a {type(array).__name__}"
            )
