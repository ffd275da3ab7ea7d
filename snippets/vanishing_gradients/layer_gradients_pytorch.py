"""Where does the gradient vanish? Per layer of your model, the size of
dL/d(output) and of dL/d(weight), one batch.

    rms(g) = sqrt(mean(g^2))
    factor per layer = (rms_first / rms_last)^(1 / (layers - 1))

The output of a `Linear` or `Conv` is its preactivation. The two sizes are two
questions: the gradient of the outputs may fall towards the input where that of
the weights does not.

    rows, left = layer_gradients(
        model, inputs, lambda z: nn.functional.cross_entropy(z, labels)
    )
    print(*rows, sep="\\n")
    # without the output layer: no activation follows it
    print(factor_per_layer(rows[:-1]))

Needs Python 3.10 and PyTorch 2.6, or newer.
Source: Glorot & Bengio (2010), "Understanding the difficulty of training deep
feedforward neural networks", equations 2 and 3.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class LayerGradient(NamedTuple):
    """Root mean squares over all entries, in units of the loss per unit of what
    stands below it.
    """

    name: str
    """As in `named_modules`."""
    output_rms: float
    """Of dL/d(output), over batch and units."""
    weight_rms: float | None
    """Of dL/d(weight), over all uses of it; None if it is frozen, computed from
    other parameters or sharded.
    """


class Report(NamedTuple):
    """What was measured in a model."""

    reached: list[LayerGradient]
    left: dict[str, str]
    """By its name, why a parameter of two or more dimensions has no row."""


def layer_gradients(
    model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]
) -> Report:
    """One row each time a layer with a weight of two or more dimensions runs,
    in the order of the forward pass, and what was left out.

    `inputs` is a tensor or a tuple of arguments; `loss` takes the model's
    output and returns a scalar. The pass runs in the mode that `model` is in.
    Parameters, gradients, buffers, hooks, mode and random state (of the CPU and
    of the model's CUDA devices) are afterwards what they were, also after an
    error. A compiled model runs uncompiled, since hooks are not part of what
    was compiled. Recurrent layers have no row: their weights are many. Raises
    ValueError when no layer with a row ran, for an empty batch, for a scripted
    module and when `loss` returns no scalar.
    """
    ran: list[tuple[str, nn.Module, Tensor]] = []

    def _keep(name: str, layer: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        if not output.requires_grad:  # all before it is frozen
            output = output.detach().requires_grad_()
        ran.append((name, layer, output))
        return output.clone()  # which an activation may overwrite in place

    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    if not callable(loss):
        raise ValueError(f"loss must be a function of the output, got {loss!r}")
    if isinstance(model, nn.DataParallel):
        raise ValueError(
            f"model must not be wrapped in {type(model).__name__}, got one: give model.module"
        )
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"model must not be scripted, got a ScriptModule at {name!r}"
            )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise ValueError(f"model must have seen a batch: {name!r} is lazy")
    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if _weight(layer) is not None
    ]
    hooks = [
        layer.register_forward_hook(partial(_keep, name)) for name, layer in layers
    ]
    devices = {
        parameter.device for parameter in model.parameters() if parameter.is_cuda
    }
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.random.fork_rng(devices),
            torch.compiler.set_stance("force_eager"),
        ):
            # autograd keeps no tensor that inference_mode made
            several = inputs if isinstance(inputs, tuple) else (inputs,)
            inputs = tuple(
                value.clone()
                if isinstance(value, Tensor) and value.is_inference()
                else value
                for value in several
            )
            # The pass changes copies of the buffers: batch normalization keeps
            # its running statistics.
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            value = loss(torch.func.functional_call(model, buffers, inputs))
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise ValueError(
            f"model must run a layer with a weight of two or more dimensions, got {model}"
        )
    if not isinstance(value, Tensor) or not value.requires_grad or value.is_complex():
        raise ValueError(
            f"loss must return a real tensor that autograd follows, got {value!r}"
        )
    if value.numel() != 1:
        raise ValueError(f"loss must return a scalar, got shape {tuple(value.shape)}")
    outputs = [output for *_, output in ran]
    weights = [
        weight
        for weight in dict.fromkeys(_weight(layer) for _, layer, _ in ran)
        if weight is not None and weight.requires_grad
    ]
    gradients = torch.autograd.grad(value, outputs + weights, materialize_grads=True)
    of_weight: dict[Tensor | None, float] = {
        weight: _rms(gradient)
        for weight, gradient in zip(weights, gradients[len(ran) :], strict=True)
    }
    rows = [
        LayerGradient(name, _rms(gradient), of_weight.get(_weight(layer)))
        for (name, layer, _), gradient in zip(ran, gradients, strict=False)
    ]
    called = [_parameters(layer) for _, layer, _ in ran]
    hooked = [_parameters(layer) for _, layer in layers]
    left = {
        name: "its layer was not called"
        if any(id(parameter) in ids for ids in hooked)
        else "its layer has no tensor named weight"
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1 and not any(id(parameter) in ids for ids in called)
    }
    return Report(rows, left)


def factor_per_layer(rows: Iterable[LayerGradient]) -> float:
    """Geometric mean of the factor by which one layer multiplies the size of
    dL/d(output) on the way back.

    1 carries the gradient through any depth, 0.5 halves it in every layer.
    Raises ValueError for fewer than two rows and for a last row that has no
    gradient.
    """
    listed = list(rows) if isinstance(rows, Iterable) else []
    sizes = [row.output_rms for row in listed if isinstance(row, LayerGradient)]
    if len(sizes) < 2 or len(sizes) != len(listed) or sizes[-1] == 0.0:
        raise ValueError(
            f"rows must be two or more, with a gradient in the last, got {rows}"
        )
    # the ratio itself may overflow
    power = 1.0 / (len(sizes) - 1)
    return sizes[0] ** power / sizes[-1] ** power


def _weight(layer: nn.Module) -> Tensor | None:
    weight = getattr(layer, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.dim() > 1 else None


def _parameters(layer: nn.Module) -> set[int]:
    """Its own, and those of which its weight is computed."""
    computed = getattr(layer, "parametrizations", nn.ModuleDict())
    return {
        id(parameter)
        for parameter in (*layer.parameters(recurse=False), *computed.parameters())
    }


def _rms(gradient: Tensor) -> float:
    dense = gradient.detach().to_dense() if gradient.is_sparse else gradient.detach()
    real = torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
    values = real.to("cpu", torch.float64)
    if not values.numel():
        raise ValueError(
            f"inputs must hold an example, got a gradient of shape {tuple(values.shape)}"
        )
    largest = values.abs().max().item()
    if not 0.0 < largest < math.inf:
        return largest  # 0, Inf or NaN
    # the bare square of 1e-200 would be 0
    return largest * math.sqrt((values / largest).square().mean().item())
