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

LAZY = (nn.UninitializedParameter, nn.UninitializedBuffer)

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
    the signal died before it; if no layer runs; and for a layer, by name, whose
    weight is shared, lazy, sharded, no floating one or computed from other
    parameters (weight_norm). The global random state stays. After an error,
    also one of the model, parameters and buffers are what they were.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    weights: set[int] = set()
    for name, layer in model.named_modules():
        if isinstance(layer, SUMMING):
            weight, bias = (layer._parameters.get(part) for part in ("weight", "bias"))
            why = _unwritable(weight)
            if weight is not None and _place(weight) in weights:
                why = "is shared"
            if why is None and layer.bias is not None:
                why = _unwritable(bias)
            if weight is None or why:
                raise ValueError(
                    f"model must hold a weight of its own in every layer, {name!r} does not: it or the bias {why}"
                )
            weights.add(_place(weight))
    names: dict[Any, str] = {
        layer: name
        for name, layer in model.named_modules()
        if isinstance(layer, SUMMING)
    }
    generator = _seeded(seed)
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

    parameters = (own for layer in names for own in layer.parameters(recurse=False))
    changed = [
        own for own in (*parameters, *model.buffers()) if not isinstance(own, LAZY)
    ]
    before = [own.clone() for own in changed]
    hooks = []
    try:
        for layer in names:
            orthogonal = torch.empty(
                layer.weight.shape,
                dtype=torch.promote_types(layer.weight.dtype, torch.float32),
                device="cpu",
            )
            layer.weight.copy_(nn.init.orthogonal_(orthogonal, generator=generator))
            if layer.bias is not None:
                layer.bias.zero_()
            hooks.append(layer.register_forward_hook(unit_variance))
        # a compiled model would run without these hooks
        devices = {one.device for one in model.parameters() if one.is_cuda}
        with (
            torch.random.fork_rng(devices),
            torch.compiler.set_stance("force_eager"),
        ):
            model(inputs)
        if not found:
            raise ValueError(
                f"model must run a linear or convolutional layer, got {model}"
            )
    except BaseException:
        for own, values in zip(changed, before, strict=True):
            own.copy_(values)
        raise
    finally:
        for hook in hooks:
            hook.remove()
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


def _seeded(seed: int) -> torch.Generator:
    try:
        return torch.Generator("cpu").manual_seed(operator.index(seed))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"seed must be an integer of 64 bits, got {seed!r}") from error


def _unwritable(parameter: Tensor | None) -> str | None:
    """Why no values can be written into it, or None."""
    if parameter is None:
        return "is computed from other parameters"
    if isinstance(parameter, LAZY) or parameter.is_meta:
        return "holds no values yet"
    # what is written into a part of it would be lost
    if hasattr(parameter, "device_mesh"):
        return "is sharded"
    if not parameter.is_floating_point() or parameter.element_size() < 2:
        return f"holds {parameter.dtype}"
    if parameter.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode"
    return None if _apart(parameter) else "shares memory between its entries"


def _place(tensor: Tensor) -> int:
    """Where its entries begin: one place for weights tied by `.data`."""
    held = not isinstance(tensor, LAZY) and tensor.layout == torch.strided
    return (tensor.data_ptr() if held else 0) or id(tensor)


def _apart(tensor: Tensor) -> bool:
    """Whether no two entries share memory, as those of `expand` do."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= reach:
                return False
            reach += step * (size - 1)
    return True
