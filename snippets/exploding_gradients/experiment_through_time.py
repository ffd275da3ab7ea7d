"""Through time a linear gradient grows with the spectral radius of the weights; an activation takes the radius's say.

Source: Pascanu, Mikolov & Bengio (2013), section 2.1, whose conditions on the largest eigenvalue hold in the linear
case. Ours: 64 units, 200 steps; weights with all eigenvalues on a circle (orthogonal) or in a disc (Gaussian), radius
$\\rho$; and a ReLU network of two units whose weights have the radius 0.
"""

import math
import statistics
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from snippets.laboratory.claim import Claim

UNITS, STEPS = 64, 200
SHOWN = 50
NETWORKS = 15
NILPOTENT = 1.5
RADII = (0.9, 1.1, 1.5)


class Norms(NamedTuple):
    """Norm of the gradient of a random readout of the last state, per step back in time; 1 at the last state."""

    orthogonal: list[float]
    """h_t = W h_{t-1}, W = rho Q with Q orthogonal."""

    gaussian: list[float]
    """h_t = W h_{t-1}, W Gaussian, scaled to the spectral radius rho."""

    tanh: list[float]
    """h_t = tanh(W h_{t-1}), W = rho Q, from a state of N(0, 1)."""


class ThroughTime(NamedTuple):
    radii: dict[float, Norms]

    gaussian_tanh: list[float]
    """h_t = tanh(W h_{t-1}), W Gaussian of radius 1.1: after 200 steps, one number per network."""

    relu: list[float]
    """h_t = relu(W h_{t-1}) from (1, 0), W = 1.5 ((1, 1), (-1, -1)), which squares to 0: all its eigenvalues are 0."""


def measure(seed: int = 0) -> ThroughTime:
    generator = torch.Generator().manual_seed(seed)
    gaussian = torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
    orthogonal, _ = torch.linalg.qr(
        torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
    )
    gaussian = gaussian / torch.linalg.eigvals(gaussian).abs().max()
    state, readout = torch.randn(2, UNITS, generator=generator, dtype=torch.float64)
    radii = {
        radius: Norms(
            _gradient_norms(radius * orthogonal, lambda z: z, state, readout),
            _gradient_norms(radius * gaussian, lambda z: z, state, readout),
            _gradient_norms(radius * orthogonal, torch.tanh, state, readout),
        )
        for radius in RADII
    }
    gaussian_tanh = []
    for _ in range(NETWORKS):
        other = torch.randn(UNITS, UNITS, generator=generator, dtype=torch.float64)
        other = 1.1 * other / torch.linalg.eigvals(other).abs().max()
        norms = _gradient_norms(other, torch.tanh, state, readout)
        gaussian_tanh.append(norms[STEPS])
    nilpotent = NILPOTENT * torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double()
    first = torch.tensor([1.0, 0.0]).double()
    relu = _gradient_norms(nilpotent, torch.relu, first, first)
    return ThroughTime(radii, gaussian_tanh, relu)


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
                measured.radii[radius].orthogonal[50] / radius**50
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
                _rate(measured.radii[radius].gaussian) / radius
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
        statement="tanh, $\\rho=1.5$, orthogonal weights: $\\log_{10}$ of the gradient after 50 steps",
        value=lambda measured: (
            torch.tensor(measured.radii[1.5].tanh[50]).log10().item()
        ),
        interval=(0.2, 2.4),
        rival=50 * math.log10(1.5),
        rival_of="the linear network",
        reason="The linear network has $50\\log_{10}1.5=8.8$. Saturated units pass less than 1, so the "
        "gradient stays orders of magnitude below.",
        format=".1f",
    ),
    Claim(
        statement="After 200 steps it has exploded all the same, at a lower rate: $\\log_{10}$ of it",
        value=lambda measured: (
            torch.tensor(measured.radii[1.5].tanh[200]).log10().item()
        ),
        interval=(3.5, 6.5),
        rival=200 * math.log10(1.5),
        rival_of="the linear network",
        reason="The linear network has 35.2.",
        format=".1f",
    ),
    Claim(
        statement="tanh, $\\rho=1.1$, orthogonal weights: $\\log_{10}$ of the gradient after 200 steps",
        value=lambda measured: (
            torch.tensor(measured.radii[1.1].tanh[200]).log10().item()
        ),
        interval=(-1.0, 0.55),
        rival=200 * math.log10(1.1),
        rival_of="the linear network",
        reason="The linear network has 8.3. Here tanh holds the gradient.",
        format="+.1f",
    ),
    Claim(
        statement="tanh with Gaussian weights of the same radius: the same, median of 15 networks",
        value=lambda measured: math.log10(statistics.median(measured.gaussian_tanh)),
        interval=(-1.8, 0.35),
        rival=200 * math.log10(1.1),
        rival_of="the linear network",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format="+.1f",
    ),
    Claim(
        statement="ReLU, two units, $\\rho=0$: the factor of the gradient per step, over 200 steps",
        value=lambda measured: measured.relu[200] ** (1 / 200),
        interval=(1.4999, 1.51),
        rival=0.0,
        rival_of="what the radius says",
        reason="Unit 2 is off throughout, so unit 1 passes its own weight, 1.5, at each step.",
        format=".3f",
    ),
)


def plot(measured: ThroughTime) -> Figure:
    figure = Figure(figsize=(4.6, 3.8))
    axes = figure.subplots()
    steps = range(SHOWN + 1)
    for color, (radius, norms) in zip(
        ("C0", "C3", "C1"), measured.radii.items(), strict=True
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
