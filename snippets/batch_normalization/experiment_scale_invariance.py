"""Weights scaled by $a$ before a batch normalization leave the loss alone and divide the gradient by $a$.

Source: Ioffe & Szegedy (2015), section 3.3. The batch normalization is the page's own `batch_norm_pytorch.py`; one
hidden layer of 64 ReLU units, 256 digits, double precision.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snippets.batch_normalization.batch_norm_pytorch import batch_norm
from snippets.laboratory.claim import Claim
from snippets.laboratory.digits import load_digits

WIDTH = 64
SCALES = np.logspace(-4, 2, 25)
"""The factors a, 1 among them."""
EPSILONS = {"ε = 0": 0.0, "PyTorch’s ε": 1e-5, "Keras’s ε": 1e-3}


class Invariance(NamedTuple):
    loss_change: float
    """Largest |L(aW) - L(W)| / L(W) over all a, for eps = 0."""

    largest_cosine: float
    """Largest |cosine| of the angle between W and its gradient, for eps = 0."""

    gradients: dict[str, np.ndarray]
    """Norm of dL/d(aW) at each scale, in units of the norm at a = 1 and eps = 0."""

    def product(self, name: str, scale: float) -> float:
        """a times the norm of the gradient: 1 where the law holds."""
        index = int(np.argmin(abs(np.log(SCALES / scale))))
        return float(SCALES[index] * self.gradients[name][index])


def measure(seed: int = 0) -> Invariance:
    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    inputs, labels = (
        torch.from_numpy(digits.train_inputs[:256]).double(),
        torch.from_numpy(digits.train_labels[:256]),
    )
    weight = (
        torch.randn(WIDTH, 64, generator=generator, dtype=torch.float64)
        * (2 / 64) ** 0.5
    )
    output = (
        torch.randn(10, WIDTH, generator=generator, dtype=torch.float64) * WIDTH**-0.5
    )
    one, zero = (
        torch.ones(WIDTH, dtype=torch.float64),
        torch.zeros(WIDTH, dtype=torch.float64),
    )

    def loss_and_gradient(scale: float, eps: float) -> tuple[float, Tensor, Tensor]:
        scaled = (scale * weight).requires_grad_()
        hidden, _, _ = batch_norm(
            inputs @ scaled.T, one, zero, zero, one, True, eps=eps
        )
        loss = nn.functional.cross_entropy(hidden.relu() @ output.T, labels)
        return loss.item(), torch.autograd.grad(loss, scaled)[0], scaled.detach()

    reference, unit, _ = loss_and_gradient(1.0, 0.0)
    exact = [loss_and_gradient(scale, 0.0) for scale in SCALES]
    cosines = [
        torch.cosine_similarity(w.flatten(), g.flatten(), dim=0).abs().item()
        for _, g, w in exact
    ]
    gradients = {
        name: np.array(
            [loss_and_gradient(scale, eps)[1].norm().item() for scale in SCALES]
        )
        / unit.norm().item()
        for name, eps in EPSILONS.items()
    }
    return Invariance(
        max(abs(loss / reference - 1) for loss, _, _ in exact), max(cosines), gradients
    )


CLAIMS = (
    Claim(
        statement="The loss stays: its largest relative change for $a$ from $10^{-4}$ to $100$",
        value=lambda m: m.loss_change,
        interval=(0.0, 1e-12),
        kind="identity",
        reason="Exact without ε: what is left is rounding, 1e-16 per operation, over some hundred operations.",
        paper="0",
        format=".1e",
    ),
    Claim(
        statement="The gradient is divided by $a$: largest relative error of $a\\lVert\\nabla\\mathcal L(aW)\\rVert$",
        value=lambda m: float(abs(SCALES * m.gradients["ε = 0"] - 1).max()),
        interval=(0.0, 1e-12),
        kind="identity",
        reason="Exact without ε but for rounding, as above: 1e-16 per operation, over some hundred operations.",
        paper="0",
        format=".1e",
    ),
    Claim(
        statement="The gradient is orthogonal to the weights: largest cosine between the two",
        value=lambda m: m.largest_cosine,
        interval=(0.0, 1e-12),
        kind="identity",
        reason="The derivative of a function that does not change along $W$; again up to rounding.",
        format=".1e",
    ),
    Claim(
        statement="ε ends it: at $a=0.001$ PyTorch's ε leaves this fraction of the law's gradient",
        value=lambda m: m.product("PyTorch’s ε", 1e-3),
        interval=(0.15, 0.45),
        rival=1.0,
        rival_of="the law without ε",
        reason="The variance of a preactivation is then near 2e-6, below ε = 1e-5.",
    ),
    Claim(
        statement="Keras's larger ε ends it ten times earlier: at $a=0.01$ it leaves this fraction",
        value=lambda m: m.product("Keras’s ε", 1e-2),
        interval=(0.15, 0.45),
        rival=lambda m: m.product("PyTorch’s ε", 1e-2),
        rival_of="PyTorch's ε at the same $a$",
        reason="Only $a^2/\\epsilon$ counts, so this is the same number as the one before.",
    ),
)


def plot(measured: Invariance) -> Figure:
    figure = Figure()
    axes = figure.add_subplot()
    axes.loglog(SCALES, 1 / SCALES, color="C5", linestyle="--")
    axes.annotate("1/a", (3.0, 1 / 3.0), (6, 3), textcoords="offset points", color="C5")
    labels = (("C0", (4e-4, 5e3)), ("C1", (1e-4, 75.0)), ("C2", (1e-4, 7.0)))
    for (color, place), (name, norms) in zip(
        labels, measured.gradients.items(), strict=True
    ):
        axes.loglog(SCALES, norms, color=color, marker="o", markersize=3)
        axes.annotate(name, place, color=color)
    axes.set(xlabel="scale a of the weights W", ylabel="gradient norm, at a = 1: 1")
    return figure
