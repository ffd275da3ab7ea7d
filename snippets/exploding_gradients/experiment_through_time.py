"""Through time a gradient grows or shrinks with the spectral radius of the recurrent weights.

Source: Pascanu, Mikolov & Bengio (2013), section 2.1. Ours:
64 units, 200 steps; weights with all eigenvalues on a circle (orthogonal) or in a disc (Gaussian), radius $\\rho$.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from snippets.laboratory.claim import Claim

UNITS, STEPS = 64, 200
SHOWN = 50
RADII = (0.9, 1.1, 1.5)


class Norms(NamedTuple):
    """Norm of the gradient of a random readout of the last state, per step back in time; 1 at the last state."""

    orthogonal: list[float]
    """h_t = W h_{t-1}, W = rho Q with Q orthogonal."""

    gaussian: list[float]
    """h_t = W h_{t-1}, W Gaussian, scaled to the spectral radius rho."""

    tanh: list[float]
    """h_t = tanh(W h_{t-1}), W = rho Q, from a state of N(0, 1)."""


def measure(seed: int = 0) -> dict[float, Norms]:
    generator = torch.Generator().manual_seed(seed)
    gaussian = torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
    orthogonal, _ = torch.linalg.qr(
        torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
    )
    gaussian = gaussian / torch.linalg.eigvals(gaussian).abs().max()
    state, readout = torch.randn(2, UNITS, generator=generator, dtype=torch.float64)
    return {
        radius: Norms(
            _gradient_norms(radius * orthogonal, lambda z: z, state, readout),
            _gradient_norms(radius * gaussian, lambda z: z, state, readout),
            _gradient_norms(radius * orthogonal, torch.tanh, state, readout),
        )
        for radius in RADII
    }


def _gradient_norms(
    weight: Tensor, activation, state: Tensor, readout: Tensor
) -> list[float]:
    states = [state.clone().requires_grad_()]
    for _ in range(STEPS):
        states.append(activation(weight @ states[-1]))
    gradients = torch.autograd.grad(states[-1] @ (readout / readout.norm()), states)
    return [gradient.norm().item() for gradient in reversed(gradients)]


def _rate(norms: list[float]) -> float:
    """Mean factor per step over the second half, when what came from the start has settled."""
    return (norms[STEPS] / norms[STEPS // 2]) ** (2 / STEPS)


CLAIMS = (
    *(
        Claim(
            statement=f"Orthogonal, $\\rho={radius}$: the gradient after 50 steps, over $\\rho^{{50}}$",
            value=lambda measured, radius=radius: (
                measured[radius].orthogonal[50] / radius**50
            ),
            interval=(1 - 1e-9, 1 + 1e-9),
            kind="identity",
            reason="Exact: an orthogonal matrix keeps lengths. The rest is rounding in float64.",
            format=".9f",
        )
        for radius in (0.9, 1.1)
    ),
    *(
        Claim(
            statement=f"Gaussian, $\\rho={radius}$: the factor per step, over $\\rho$",
            value=lambda measured, radius=radius: (
                _rate(measured[radius].gaussian) / radius
            ),
            interval=(0.99, 1.01),
            rival=2.0,
            rival_of="the largest singular value, which is near $2\\rho$",
            reason="The largest eigenvalue wins in the long run. A complex pair turns, so the norm swings by a bounded "
            "factor, which the hundredth root of 100 steps brings below 1 %.",
            format=".4f",
        )
        for radius in (0.9, 1.1)
    ),
    Claim(
        statement="tanh, $\\rho=1.5$: $\\log_{10}$ of the gradient after 50 steps",
        value=lambda measured: torch.tensor(measured[1.5].tanh[50]).log10().item(),
        interval=(0.2, 2.4),
        rival=50 * math.log10(1.5),
        rival_of="the linear network",
        reason="The linear network has $50\\log_{10}1.5=8.8$. Saturated units pass less than 1, so the "
        "gradient stays orders of magnitude below.",
        format=".1f",
    ),
    Claim(
        statement="After 200 steps it has exploded all the same, at a lower rate: $\\log_{10}$ of it",
        value=lambda measured: torch.tensor(measured[1.5].tanh[200]).log10().item(),
        interval=(3.5, 6.5),
        rival=200 * math.log10(1.5),
        rival_of="the linear network",
        reason="The linear network has 35.2.",
        format=".1f",
    ),
    Claim(
        statement="tanh, $\\rho=1.1$: $\\log_{10}$ of the gradient after 200 steps",
        value=lambda measured: torch.tensor(measured[1.1].tanh[200]).log10().item(),
        interval=(-1.0, 0.55),
        rival=200 * math.log10(1.1),
        rival_of="the linear network",
        reason="The linear network has 8.3. Here tanh holds the gradient.",
        format="+.1f",
    ),
)


def plot(measured: dict[float, Norms]) -> Figure:
    figure = Figure(figsize=(4.6, 3.8))
    axes = figure.subplots()
    steps = range(SHOWN + 1)
    for color, (radius, norms) in zip(
        ("C0", "C3", "C1"), measured.items(), strict=True
    ):
        axes.semilogy(steps, norms.orthogonal[: SHOWN + 1], color=color)
        axes.semilogy(
            steps, norms.tanh[: SHOWN + 1], color=color, linestyle=(0, (1, 1.2))
        )
        axes.text(
            SHOWN + 1,
            norms.orthogonal[SHOWN],
            f"ρ = {radius}",
            color=color,
            weight=600,
            va="center",
        )
    axes.text(20, 3e6, "linear", color="C1", ha="right")
    axes.text(34, 3e1, "tanh", color="C1", ha="left", va="bottom")
    axes.set(
        xlabel="steps back in time",
        ylabel="norm of the gradient",
        xlim=(0, 64),
        ylim=(1e-4, 1e10),
    )
    return figure
