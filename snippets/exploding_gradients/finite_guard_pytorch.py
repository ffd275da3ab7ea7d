"""Stop at the first Inf or NaN and name the layer where it arose, forward or
backward.

    with finite_guard(model):
        loss = loss_fn(model(inputs), labels)
        loss.backward()

    FloatingPointError: forward: the output of 'blocks.3.linear' (Linear)
    holds 12 Inf and 0 NaN among 8192 values

NaN is often the end of a story: a value grows, overflows to Inf, then Inf - Inf
or 0 * Inf gives NaN, which spreads to every weight in one step. The layer that
is named first is where to look. Each check waits for the device, so use the
guard to find a fault, or every hundredth step, not in all steps.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: IEEE 754-2019, "Standard for floating-point arithmetic", sections 6.1
and 6.2 (Infinity and NaN arithmetic).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def finite_guard(model: nn.Module) -> Iterator[nn.Module]:
    """While open, raise FloatingPointError as soon as a value of a pass through
    `model` is Inf or NaN.

    Checked, in this order: the parameters at the start; the inputs of `model`,
    for NaN alone, since a mask may hold Inf on purpose; the outputs of every
    submodule as it runs; and in the backward pass the gradient of each output.
    The message says which came first, with the name as in `named_modules`. The
    guard changes no value and takes its hooks away when it closes, also after
    an error. Tensors in tuples, lists and dictionaries are found, others are
    not. A model that torch.compile made runs uncompiled meanwhile, since hooks
    are not part of what was compiled. Raises ValueError for a scripted module,
    whose layers take no hooks.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"model must not be scripted, got a ScriptModule at {name!r}: guard the model before"
            )
    for name, parameter in model.named_parameters():
        if not isinstance(parameter, nn.UninitializedParameter):
            _check(parameter, f"before the pass: the parameter {name!r}")

    def check_inputs(_module: nn.Module, arguments: Any, keywords: Any) -> None:
        for tensor in _tensors((arguments, keywords)):
            if torch.isnan(tensor).any():
                _check(tensor, "forward: an input of the model")

    hooks = [model.register_forward_pre_hook(check_inputs, with_kwargs=True)]
    for name, module in model.named_modules():
        label = f"{name or 'the model'!r} ({type(module).__name__})"

        def check_outputs(
            _module: nn.Module, _arguments: Any, output: Any, label: str = label
        ) -> None:
            for tensor in _tensors(output):
                _check(tensor, f"forward: the output of {label}")
                if tensor.requires_grad:
                    where = f"backward: the gradient of the output of {label}"
                    hooks.append(
                        tensor.register_hook(
                            lambda gradient, where=where: _check(gradient, where)
                        )
                    )

        hooks.append(module.register_forward_hook(check_outputs))
    try:
        with torch.compiler.set_stance("force_eager"):
            yield model
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


@torch.no_grad()
def _check(tensor: Tensor, where: str) -> None:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return
    values = tensor
    if tensor.is_nested or tensor.layout != torch.strided:
        values = (tensor.coalesce() if tensor.is_sparse else tensor).values()
    if tensor.element_size() == 1:  # PyTorch looks into no 8-bit number
        values = values.float()
    if not torch.isfinite(values).all():
        infinite, nan = (
            torch.isinf(values).sum().item(),
            torch.isnan(values).sum().item(),
        )
        raise FloatingPointError(
            f"{where} holds {infinite} Inf and {nan} NaN among {values.numel()} values"
        )
