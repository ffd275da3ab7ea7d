"""One forward and one backward pass through a plain chain of layers, with everything kept that a figure may need."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerSignals(NamedTuple):
    """What passes one linear layer l of a chain, for a batch of B rows."""

    preactivation: Tensor
    """z_l, shape (B, fan_out)."""

    activation: Tensor
    """h_l = phi(z_l), shape (B, fan_out); z_l itself after the last layer, which no activation follows."""

    delta: Tensor
    """dL/dz_l, shape (B, fan_out)."""

    weight_gradient: Tensor
    """dL/dW_l, shape (fan_out, fan_in)."""


def signals(
    model: nn.Sequential, inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> list[LayerSignals]:
    """One entry per linear layer of `model`, first layer first, for the scalar `loss` of the model's output.

    `model` is a chain of `nn.Linear` with activations between them, as `multilayer_perceptron` makes it. It keeps its
    gradients as they were.
    """
    chain, hidden = [], inputs
    for layer in model:
        hidden = layer(hidden)
        if isinstance(layer, nn.Linear):
            chain.append([layer.weight, hidden, hidden])
        else:
            chain[-1][2] = hidden
    weights, preactivations, activations = zip(*chain, strict=True)
    gradients = torch.autograd.grad(loss(hidden), [*preactivations, *weights])
    deltas, weight_gradients = gradients[: len(chain)], gradients[len(chain) :]
    return [
        LayerSignals(z.detach(), h.detach(), delta, weight_gradient)
        for z, h, delta, weight_gradient in zip(
            preactivations, activations, deltas, weight_gradients, strict=True
        )
    ]


def rms(values: Tensor) -> float:
    """Root mean square over all entries."""
    return values.double().square().mean().sqrt().item()
