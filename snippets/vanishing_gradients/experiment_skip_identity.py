r"""Around a skip connection the gradient passes unchanged, so weights too small for a plain network do not lose it.

Source: He, Zhang, Ren & Sun (2016), "Identity mappings in deep residual networks", equation 5: the gradient of the
output of a block reaches its input as it is, beside what comes through the branch. Here 40 layers of width 256,
$F(h)=W\,\mathrm{ReLU}(h)$ with the variance $1/(3n)$ of PyTorch's default, 64 Gaussian inputs, a random direction of
the output as loss.
"""

import math
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms

DEPTH, WIDTH, EXAMPLES = 40, 256, 64
CHI = 1 / 6
"""Part of the mean square that a branch passes on: n Var W = 1/3, of which ReLU takes half."""


class Chain(NamedTuple):
    """One network."""

    gradients: list[float]
    """Root mean square of dL/dh_l, l = 0 to 40, in units of that at the output."""

    cosine: float
    """Of the angle between dL/dh_0 and dL/dh_40, mean over the examples."""


class Chains(NamedTuple):
    """The same weights in three networks."""

    plain: Chain
    """h_{l+1} = F(h_l)."""

    skip: Chain
    """h_{l+1} = h_l + F(h_l)."""

    scaled: Chain
    """h_{l+1} = h_l + F(h_l) / sqrt(40)."""

    identity_error: float
    """Largest entry of dL/dh_l - dL/dh_{l+1} - J^T dL/dh_{l+1} over all blocks of `skip`, over the largest gradient."""


def _gradients(
    weights: Tensor, inputs: Tensor, direction: Tensor, skip: float, branch: float
) -> list[Tensor]:
    hidden = [inputs.requires_grad_()]
    for weight in weights:
        hidden.append(skip * hidden[-1] + branch * hidden[-1].relu() @ weight.T)
    return list(torch.autograd.grad((hidden[-1] * direction).sum(), hidden))


def _chain(gradients: list[Tensor]) -> Chain:
    last = rms(gradients[-1])
    cosine = torch.cosine_similarity(gradients[0], gradients[-1], dim=1).mean().item()
    return Chain([rms(gradient) / last for gradient in gradients], cosine)


def measure(seed: int = 0) -> Chains:
    """Three backward passes, in float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    weights = torch.randn(DEPTH, WIDTH, WIDTH, **draw) / math.sqrt(3 * WIDTH)
    inputs = torch.randn(EXAMPLES, WIDTH, **draw)
    direction = torch.randn(EXAMPLES, WIDTH, **draw)
    plain, skip, scaled = (
        _gradients(weights, inputs, direction, *factors)
        for factors in ((0.0, 1.0), (1.0, 1.0), (1.0, DEPTH**-0.5))
    )
    return Chains(
        _chain(plain),
        _chain(skip),
        _chain(scaled),
        _identity_error(weights, inputs, skip),
    )


def _identity_error(weights: Tensor, inputs: Tensor, deltas: list[Tensor]) -> float:
    """Every block once more by itself, its Jacobian written out: J = W diag(h > 0)."""
    hidden, worst = inputs.detach(), 0.0
    for weight, before, after in zip(weights, deltas, deltas[1:], strict=False):
        through_branch = (after @ weight) * (hidden > 0)
        worst = max(worst, (before - after - through_branch).abs().max().item())
        hidden = hidden + hidden.relu() @ weight.T
    return worst / max(delta.abs().max().item() for delta in deltas)


def per_layer(chain: Chain) -> float:
    return chain.gradients[0] ** (1 / DEPTH)


CLAIMS = (
    Claim(
        statement=r"$\delta_l=\delta_{l+1}+J_l^\top\delta_{l+1}$: the largest error in 40 blocks, over the largest "
        "gradient",
        value=lambda chains: chains.identity_error,
        interval=(0.0, 1e-13),
        kind="identity",
        paper="0",
        reason="The derivative of $h+F(h)$ is $I+J$. Rounding of float64.",
        format=".0e",
    ),
    Claim(
        statement="Plain: factor of the gradient per layer",
        value=lambda chains: per_layer(chains.plain),
        interval=(0.395, 0.421),
        rival=1.0,
        rival_of="a layer that keeps the gradient",
        reason=r"$\sqrt{1/6}=0.408$ in wide layers.",
        source="He et al. (2015), section 2.2.",
        paper="√(1/6) = 0.408",
        format=".3f",
    ),
    Claim(
        statement="The same weights with skips: factor of the gradient per block",
        value=lambda chains: per_layer(chains.skip),
        interval=(1.06, 1.1),
        rival=lambda chains: per_layer(chains.plain),
        rival_of="without skips",
        reason=r"The two terms are independent at the start, so their mean squares add: $\sqrt{1+1/6}=1.080$.",
        format=".3f",
    ),
    Claim(
        statement=r"With branches over $\sqrt L$: the gradient at the input over that at the output",
        value=lambda chains: chains.scaled.gradients[0],
        interval=(1.04, 1.14),
        rival=lambda chains: chains.skip.gradients[0],
        rival_of="branches as they are",
        reason=r"$(1+\tfrac1{6L})^{L/2}\to e^{1/12}=1.087$, at any depth.",
        format=".3f",
    ),
    Claim(
        statement="There the gradient at the input still points where that at the output does: cosine",
        value=lambda chains: chains.scaled.cosine,
        interval=(0.88, 0.96),
        rival=lambda chains: chains.plain.cosine,
        rival_of="plain",
        reason=r"The unchanged part is 1 of $e^{1/12}$: $e^{-1/12}=0.920$.",
        format=".3f",
    ),
)


def plot(measured: Chains) -> Figure:
    figure = Figure(figsize=(4.6, 3.2))
    axes = figure.subplots()
    layers = range(DEPTH + 1)
    lines = (
        (measured.plain, "C1", "plain", (20, 1e-12)),
        (measured.skip, "C2", "with skips", (2, 300)),
        (measured.scaled, "C0", r"with skips, branches over $\sqrt{40}$", (7, 0.02)),
    )
    for chain, color, words, place in lines:
        axes.plot(layers, chain.gradients, color=color)
        axes.text(*place, words, color=color, va="center")
    axes.set(yscale="log", ylim=(1e-17, 1e4), xlim=(0, DEPTH))
    axes.set(xlabel="layer, counted from the input", ylabel="rms of the gradient")
    return figure
