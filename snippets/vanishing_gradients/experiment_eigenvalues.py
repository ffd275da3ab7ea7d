r"""All eigenvalues of all weight matrices are zero, and the gradient keeps its size.

Source: the bound by the largest singular value, not eigenvalue, is what the proof of Pascanu, Mikolov & Bengio (2013),
"On the difficulty of training recurrent neural networks", section 2.1, gives. Linear layers $W=\sqrt2\,Q\,N\,Q^\top$ of
width 256: $Q$ a random rotation, $N$ the shift of one half of the axes onto the other.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim

DEPTH, WIDTH = 40, 256


class Sizes(NamedTuple):
    """Gradients that come back through linear layers, all of whose eigenvalues are zero."""

    stack: list[float]
    """Norm of the gradient before layer 1, 2, ..., each with a rotation of its own, relative to the start."""

    recurrent: list[float]
    """The same matrix in every step."""

    spectral_radius_bound: float
    """sqrt of the largest singular value of W^2: no eigenvalue of W is larger."""

    largest_singular_value: float
    """Of W."""


def _nilpotent(generator: np.random.Generator) -> np.ndarray:
    """W with W W = 0, mean squared singular value 1."""
    rotation, _ = np.linalg.qr(generator.standard_normal((WIDTH, WIDTH)))
    half = WIDTH // 2
    return math.sqrt(2) * rotation[:, :half] @ rotation[:, half:].T


def measure(seed: int = 0) -> Sizes:
    """Gradient of a random direction, float64."""
    generator = np.random.default_rng(seed)
    start = generator.standard_normal(WIDTH)
    first = _nilpotent(generator)
    sizes = []
    for tied in (False, True):
        gradient, norms = start, [1.0]
        for _ in range(DEPTH):
            weight = first if tied else _nilpotent(generator)
            gradient = weight.T @ gradient
            norms.append(float(np.linalg.norm(gradient) / np.linalg.norm(start)))
        sizes.append(norms)
    bound = math.sqrt(np.linalg.norm(first @ first, 2))
    return Sizes(*sizes, bound, float(np.linalg.norm(first, 2)))


CLAIMS = (
    Claim(
        statement="No eigenvalue of $W$ exceeds this",
        value=lambda sizes: sizes.spectral_radius_bound,
        interval=(0, 1e-6),
        kind="identity",
        reason="$|\\lambda|^2\\le\\lVert W^2\\rVert$, and $W^2=0$ up to rounding.",
        format=".0e",
    ),
    Claim(
        statement="Each of 40 layers with a matrix of its own: factor per layer of the gradient's norm",
        value=lambda sizes: sizes.stack[-1] ** (1 / DEPTH),
        interval=(0.97, 1.03),
        rival=0.0,
        rival_of="the spectral radius",
        reason="1 in mean square, since the squared singular values have the mean 1.",
        format=".3f",
    ),
    Claim(
        statement="The same matrix twice, as in a linear recurrent network: norm of the gradient",
        value=lambda sizes: sizes.recurrent[2],
        interval=(0, 1e-12),
        kind="identity",
        reason="$W^2=0$. Where one matrix is repeated, and only there, eigenvalues decide.",
        format=".0e",
    ),
)


def plot(measured: Sizes) -> Figure:
    figure = Figure(figsize=(4.6, 3.0))
    axes = figure.subplots()
    axes.plot(range(DEPTH + 1), measured.stack, "o-", markersize=3, color="C0")
    axes.plot(range(3), [*measured.recurrent[:2], 0], "o-", markersize=5, color="C1")
    axes.text(9, 1.42, "another matrix in every layer", color="C0", va="center")
    axes.text(3, 0.12, "the same matrix in every layer", color="C1", va="center")
    axes.set(xlabel="linear layers, all eigenvalues 0", ylabel="norm of the gradient")
    axes.set(xlim=(-1, DEPTH + 1), ylim=(-0.1, 1.65))
    return figure
