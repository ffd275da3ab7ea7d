r"""An LSTM forgets its gradient too, unless its forget gate starts open.

Source: Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures", on the
bias of the forget gate; the idea is due to Gers, Schmidhuber & Cummins (2000), "Learning to forget". Here 64 units, 50
steps of Gaussian input, PyTorch's default initialization, no training; geometric mean of 5 networks each.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import nn

from snippets.laboratory.claim import Claim
from snippets.laboratory.signals import rms
from snippets.vanishing_gradients.forget_bias_pytorch import set_forget_bias_

STEPS, UNITS, INPUTS, EXAMPLES, NETWORKS = 50, 64, 16, 16, 5


class Gradients(NamedTuple):
    """Root mean square of dL/dx_t relative to t = T, for t = T, T - 1, ..., 1; L is a random projection of h_T."""

    rnn: list[float]
    """A tanh RNN with PyTorch's defaults."""

    default: list[float]
    """An LSTM with PyTorch's defaults."""

    bias_1: list[float]
    """Forget bias 1, the rest default."""

    bias_3: list[float]
    """Forget bias 3, the rest default."""


def _gradients(
    kind: type[nn.RNN | nn.LSTM], forget_bias: float | None, generator: torch.Generator
) -> torch.Tensor:
    """Logarithms of what `Gradients` holds, for one network."""
    # On the meta device the constructor draws nothing from the global generator; then PyTorch's law, from our own.
    network = kind(INPUTS, UNITS, device="meta", dtype=torch.float64).to_empty(
        device="cpu"
    )
    for parameter in network.parameters():
        nn.init.uniform_(
            parameter, -1 / math.sqrt(UNITS), 1 / math.sqrt(UNITS), generator=generator
        )
    if forget_bias is not None:
        set_forget_bias_(network, forget_bias)
    inputs = torch.randn(
        STEPS,
        EXAMPLES,
        INPUTS,
        generator=generator,
        dtype=torch.float64,
        requires_grad=True,
    )
    projection = torch.randn(EXAMPLES, UNITS, generator=generator, dtype=torch.float64)
    states, _ = network(inputs)
    (gradient,) = torch.autograd.grad((states[-1] * projection).sum(), inputs)
    sizes = torch.tensor([rms(step) for step in gradient.flip(0)], dtype=torch.float64)
    return (sizes / sizes[0]).log()


def measure(seed: int = 0) -> Gradients:
    """One pass per network, in float64."""
    kinds = ((nn.RNN, None), (nn.LSTM, None), (nn.LSTM, 1.0), (nn.LSTM, 3.0))
    curves = []
    for kind, forget_bias in kinds:
        generator = torch.Generator().manual_seed(seed)
        logs = [_gradients(kind, forget_bias, generator) for _ in range(NETWORKS)]
        curves.append(torch.stack(logs).mean(dim=0).exp().tolist())
    return Gradients(*curves)


def whole(result: Gradients, kind: str) -> float:
    return getattr(result, kind)[-1]


def per_step(result: Gradients, kind: str) -> float:
    """Geometric mean of the factor, over steps 10 to 40 back from the end."""
    sizes = getattr(result, kind)
    return (sizes[40] / sizes[10]) ** (1 / 30)


CLAIMS = (
    Claim(
        statement="LSTM, PyTorch's defaults: $\\partial\\mathcal L/\\partial x_1$ "
        "in units of $\\partial\\mathcal L/\\partial x_{50}$",
        value=partial(whole, kind="default"),
        interval=(3e-11, 6e-10),
        rival=partial(whole, kind="bias_1"),
        rival_of="forget bias 1",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".1e",
    ),
    Claim(
        statement="Per step that is a factor of",
        value=partial(per_step, kind="default"),
        interval=(0.6, 0.67),
        rival=0.5,
        rival_of="the cell alone, its gate at 1/2",
        paper="0.5",
        reason="The paper counts the cell alone, its gate at 1/2. More comes through $h_t$.",
        format=".3f",
    ),
    Claim(
        statement="A tanh RNN with the same defaults: factor per step",
        value=partial(per_step, kind="rnn"),
        interval=(0.5, 0.577),
        rival=partial(per_step, kind="default"),
        rival_of="the LSTM",
        reason="At most $\\sqrt{1/3}=0.577$ in wide networks.",
        format=".3f",
    ),
    Claim(
        statement=r"Forget bias 1: $\partial\mathcal L/\partial x_1$ in units of $\partial\mathcal L/\partial x_{50}$",
        value=partial(whole, kind="bias_1"),
        interval=(5e-5, 6e-4),
        rival=partial(whole, kind="default"),
        rival_of="PyTorch's defaults",
        reason="A million times the default.",
        format=".1e",
    ),
    Claim(
        statement="Forget bias 3: the same",
        value=partial(whole, kind="bias_3"),
        interval=(0.67, 2.0),
        rival=0.0882,
        rival_of="the cell alone, $\\sigma(3)^{49}$",
        reason="The spread over ten seeds, and its range again beyond either end.",
        format=".2f",
    ),
)


def plot(measured: Gradients) -> Figure:
    figure = Figure(figsize=(4.6, 3.8))
    axes = figure.subplots()
    lines = (
        (measured.bias_3, "C0", "LSTM, forget bias 3", (28, 6)),
        (measured.bias_1, "C2", "LSTM, forget bias 1", (28, 4e-2)),
        (measured.default, "C1", "LSTM, PyTorch's default", (26.5, 1.6e-5)),
        (measured.rnn, "C3", "tanh RNN, default", (6, 1e-9)),
    )
    back = range(STEPS)
    for sizes, color, words, place in lines:
        axes.plot(back, sizes, color=color)
        axes.text(*place, words, color=color, va="center")
    axes.set(
        yscale="log",
        xlabel="time steps back from the end",
        ylabel=r"rms of $\partial\mathcal{L}/\partial x_t$, relative to the last",
        xlim=(0, STEPS),
        ylim=(1e-14, 100),
    )
    return figure
