"""LSUV: initialize with the data's help. Orthogonal weights, then each layer is
divided by the deviation it puts out.

    W <- W / std(W h),   first layer first, on one batch

The result is the gain of every layer, measured instead of derived, whatever the
activation is. One pass is enough: a layer without bias is linear in its weight,
so what it would put out after the division is its output divided.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Mishkin & Matas (2016), "All you need is a good init", arXiv:1511.06422,
algorithm 1
(there with repeated passes).
"""

import operator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

SUMMING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Report(NamedTuple):
    """What became of the layers, in the order of the calls, and of parameters
    that are none of theirs, by their names in `model`.
    """

    reached: dict[str, float]
    """By which factor the layer's weight was divided: the deviation, over all
    entries, of its output before.
    """
    left: dict[str, str]
    """Why it has no such factor, or stays as it is."""


@torch.no_grad()
def lsuv_(model: nn.Module, inputs: Tensor, *, seed: int) -> Report:
    """Initialize the linear and convolutional layers of `model` in place on a
    batch of `inputs`, and zero their biases.

    A layer called twice is measured at its first call; one that is not called
    stays orthogonal. The model runs in the mode it is in: call eval() first if
    it has dropout or batch norm. Raises ValueError if an output does not vary:
    the signal died before it. Also for a layer, by name, whose weight is
    shared, lazy or computed from other parameters (weight_norm), before
    anything is changed, and if no layer runs.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    owners: dict[int, str] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, SUMMING):
            weight = layer._parameters.get("weight")
            if (
                weight is None
                or isinstance(weight, nn.UninitializedParameter)
                or weight.is_meta
                or id(weight) in owners
            ):
                raise ValueError(
                    f"model must hold a weight of its own in every layer, {name!r} does not"
                )
            owners[id(weight)] = name
    names: dict[Any, str] = {
        layer: name
        for name, layer in model.named_modules()
        if isinstance(layer, SUMMING)
    }
    # PyTorch refuses NumPy's integers
    generator = torch.Generator().manual_seed(operator.index(seed))
    found: dict[str, float] = {}

    def unit_variance(layer: Any, _: tuple, output: Tensor) -> Tensor | None:
        if names[layer] in found:
            return None
        std = output.std(correction=0) if output.numel() else output.sum()
        if not 0.0 < std < torch.inf:
            raise ValueError(
                f"inputs must reach every layer, the output of {names[layer]!r} has deviation {std}"
            )
        found[names[layer]] = std.item()
        layer.weight.div_(std)
        return output / std

    hooks = []
    for layer in names:
        orthogonal = torch.empty(
            layer.weight.shape,
            dtype=torch.promote_types(layer.weight.dtype, torch.float32),
        )
        layer.weight.copy_(nn.init.orthogonal_(orthogonal, generator=generator))
        if layer.bias is not None:
            layer.bias.zero_()
        hooks.append(layer.register_forward_hook(unit_variance))
    try:
        # a compiled model would run without these hooks
        with torch.compiler.set_stance("force_eager"):
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ValueError(f"model must run a linear or convolutional layer, got {model}")
    own = {id(parameter) for layer in names for parameter in layer.parameters()}
    left = {
        name: "belongs to no linear or convolutional layer"
        for name, parameter in model.named_parameters()
        if id(parameter) not in own
    }
    for name in names.values():
        if name not in found:
            left[name] = "did not run: its weight is orthogonal, its bias zero"
    return Report(found, left)
