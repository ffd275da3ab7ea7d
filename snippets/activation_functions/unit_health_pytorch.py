"""Which units of a model have stopped passing gradients: per activation, the
fraction dead and the fraction saturated.

    dead: the slope phi'(z) is zero for every example of the batch and every
          position, so the unit's weights get no gradient at all
    saturated: |phi'(z)| < threshold, counted over all entries

A unit is an output with weights of its own: in a convolution a channel, in a
layer on tokens a feature, at all positions together. Of a healthy ReLU layer
about half of all entries are saturated (off), and no unit is dead. Take a
batch of a few hundred examples.
Needs PyTorch 2.6 or newer.
Source: Lu, Shin, Su & Karniadakis (2020), "Dying ReLU and Initialization",
section 1, for dead units; Glorot & Bengio (2010), "Understanding the difficulty
of training deep feedforward neural networks", section 3, for saturation.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

ACTIVATIONS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softsign,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Hardswish,
)

# What their output counts on axis 1, and what it counts on the last axis.
CHANNELS_SECOND = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
)
FEATURES_LAST = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.RNNBase,
    nn.MultiheadAttention,
)


class Row(NamedTuple):
    """What became of the units of one activation module."""

    name: str
    """As in `model.named_modules()`; a module that is called twice has two
    rows.
    """

    dead: float
    """Fraction of the units."""

    saturated: float
    """Fraction of all entries."""


def unit_health(
    model: nn.Module,
    batch: Tensor,
    threshold: float = 0.05,
    kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
) -> list[Row]:
    """One row per call of an activation module of `kinds`, in the order of the
    forward pass of `batch`.

    The first dimension counts the examples. Which one counts the units says the
    layer or norm that ran last: the second after a convolution, batch or group
    norm, else the last, as long as it has the size that this layer put out
    there; a `permute` in between makes it the other one. If no such layer ran,
    the second of four or five, else the last. The model runs in the mode
    it is in (call `model.eval()` first to spare the statistics of BatchNorm),
    not compiled, and keeps its gradients. Functional activations, as F.relu,
    are not seen. Raises ValueError if no module is seen and, with the module's
    name, for an input that is empty, not finite or has no dimension of
    examples.
    """
    if not threshold > 0.0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    rows: list[Row] = []
    last: list[tuple[bool, int]] = []

    def watched(name: str, module: nn.Module, arguments: tuple) -> None:
        rows.append(_row(name, module, arguments[0], threshold, last))

    hooks = [
        module.register_forward_pre_hook(partial(watched, name))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]

    def ran(module: nn.Module, _: tuple, output: Any) -> None:
        second = isinstance(module, CHANNELS_SECOND)
        values = output[0] if isinstance(output, tuple) else output
        last.append((second, values.shape[1 if second else -1]))

    hooks += [
        module.register_forward_hook(ran)
        for module in model.modules()
        if isinstance(module, CHANNELS_SECOND + FEATURES_LAST)
    ]
    try:
        # a compiled model would run without these hooks
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.compiler.set_stance("force_eager"),
        ):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise ValueError(
            f"model must call a module of kinds {[kind.__name__ for kind in kinds]}, got {model}"
        )
    return rows


def _row(
    name: str,
    module: nn.Module,
    preactivations: Tensor,
    threshold: float,
    last: list[tuple[bool, int]],
) -> Row:
    shape = tuple(preactivations.shape)
    if len(shape) < 2 or 0 in shape or not preactivations.isfinite().all():
        raise ValueError(
            f"model and batch must give {name!r} finite values of shape (examples, units, ...), got {shape}"
        )
    second, size = last[-1] if last else (len(shape) in (4, 5), 0)
    here, there = shape[1 if second else -1], shape[-1 if second else 1]
    if last and size != here and size == there:
        second = not second  # it was transposed since
    units = 1 if second else len(shape) - 1
    z = preactivations.detach().clone().requires_grad_()
    with torch.enable_grad():
        # not the hooks; a copy, since the module may work in place
        values = module.forward(z.clone())
    slopes = torch.autograd.grad(values, z, torch.ones_like(values))[0].abs()
    dead = slopes.amax(dim=[axis for axis in range(len(shape)) if axis != units]) == 0.0
    return Row(
        name, dead.double().mean().item(), (slopes < threshold).double().mean().item()
    )
