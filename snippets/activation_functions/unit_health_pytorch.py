"""Which units of a model have stopped passing gradients: per activation, the
fraction dead and the fraction saturated.

    dead: the slope phi'(z) is zero for every example of the batch, so the
          unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all examples and units

A unit is one entry of the layer's output for one example; in a convolution, a
channel at a position. Of a healthy ReLU layer about half of all entries are
saturated (off), and no unit is dead. Take a batch of a few hundred examples.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus,
    nn.Sigmoid, nn.Tanh, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish,
)  # fmt: skip


class Row(NamedTuple):
    """What became of the units of one activation module."""

    name: str
    """As in `model.named_modules()`; a module that is called twice has two
    rows.
    """

    dead: float
    """Fraction of the units."""

    saturated: float
    """Fraction of all pairs of an example and a unit."""


def unit_health(
    model: nn.Module, batch: Tensor, threshold: float = 0.05, kinds: tuple[type[nn.Module], ...] = ACTIVATIONS
) -> list[Row]:
    """One row per call of an activation module of `kinds`, in the order of the
    forward pass of `batch`.

    The first dimension counts the examples. The model runs in the mode it is in
    (call `model.eval()` first to spare the statistics of BatchNorm) and keeps
    its gradients. Functional activations, as F.relu, are not seen.
    """
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    rows: list[Row] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda module, arguments, name=name: rows.append(_row(name, module, arguments[0], threshold))
        )
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        with torch.inference_mode(False), torch.no_grad():
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise ValueError(f"model must call a module of kinds {[kind.__name__ for kind in kinds]}, got {model}")
    return rows


def _row(name: str, module: nn.Module, preactivations: Tensor, threshold: float) -> Row:
    z = preactivations.detach().clone().requires_grad_()
    with torch.enable_grad():
        # not the hooks; a copy, since the module may work in place
        values = module.forward(z.clone())
    slopes = torch.autograd.grad(values, z, torch.ones_like(values))[0].abs()
    dead, saturated = slopes.amax(dim=0) == 0.0, slopes < threshold
    return Row(name, dead.double().mean().item(), saturated.double().mean().item())
