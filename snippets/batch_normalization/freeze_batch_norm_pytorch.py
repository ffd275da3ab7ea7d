"""Freeze every batch normalization of a PyTorch model: for fine-tuning with
small batches, and for transfer.

A frozen one uses its running statistics in training too, and changes neither
them nor its gamma and beta. `requires_grad_(False)` alone is not enough: the
statistics would go on moving. `norm.eval()` alone does not last: the next
`model.train()` takes it back.
Needs Python 3.10 and PyTorch 2.6, or newer.
Source: He et al. (2016), "Deep Residual Learning for Image Recognition",
appendix A, who froze it so for detection.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

BATCH_NORM = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.LazyBatchNorm1d,
    nn.LazyBatchNorm2d,
    nn.LazyBatchNorm3d,
)


class Report(NamedTuple):
    """What became of the layers that keep running statistics, by their names as
    in `named_modules`.
    """

    reached: dict[str, RemovableHandle]
    """A handle; to unfreeze: `handle.remove()`, `requires_grad_(True)`,
    `model.train()`.
    """
    left: dict[str, str]
    """Why it goes on as it was."""


def freeze_batch_norm_(model: nn.Module) -> Report:
    """Freeze all batch normalizations in `model` in place, whatever
    `model.train()` says later.

    ValueError, and nothing is frozen, if one keeps no running statistics, since
    it has nothing else to use than those of the batch, if a lazy one has not
    seen a batch, and for a compiled or scripted model: freeze it before.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a Module, got {type(model).__name__}")
    if any(
        hasattr(module, "_orig_mod")
        or module._compiled_call_impl
        or isinstance(module, torch.jit.ScriptModule)
        for module in model.modules()
    ):
        raise ValueError(
            f"model must not be compiled or scripted yet, got {type(model).__name__}: freeze it before"
        )
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, BATCH_NORM)
    }
    for name, norm in norms.items():
        if norm.running_var is None:
            raise ValueError(
                f"model must keep running statistics in every batch normalization, {name!r} does not"
            )
        if isinstance(norm.running_var, nn.UninitializedBuffer):
            raise ValueError(
                f"model must have seen a batch: {name!r} is lazy and holds no statistics yet"
            )
    left = {
        name: f"keeps running statistics, but is a {type(module).__name__}"
        for name, module in model.named_modules()
        if name not in norms and getattr(module, "running_mean", None) is not None
    }
    reached = {}
    for name, norm in norms.items():
        norm.requires_grad_(False)
        reached[name] = norm.register_forward_pre_hook(_evaluate)
    return Report(reached, left)


def _evaluate(norm: nn.Module, inputs: tuple) -> None:
    norm.eval()
