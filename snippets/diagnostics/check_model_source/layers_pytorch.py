"""What each layer takes and gives."""

from typing import Any

import torch
from torch import Tensor, nn

from snippets.diagnostics.check_model_source.measure_pytorch import (
    _columns,
    _cosine,
    _is_mask,
    _moments,
    _norm,
    _plain,
    _rms,
    _shape,
    _tensors,
)
from snippets.diagnostics.check_model_source.seen import _Seen


class _Layers(_Seen):
    """Sees every layer through hooks."""

    judged_inputs: bool

    def where(self) -> str:
        """The innermost module that was running."""
        return (
            self.running[-1]
            if self.running and self.running[-1]
            else type(self.model).__name__
        )

    def enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.running.append(name)
        self.entered.append([])
        if next(module.children(), None) is not None:
            self.quietly(self.look_at_versions, args, kwargs)
        self.normalized |= "Norm" in type(module).__name__
        if isinstance(module, nn.RNNBase) and args and isinstance(args[0], Tensor):
            self.recurrent[name] = module, args[0]
        with torch._C.DisableTorchFunction():
            self.quietly(self.look_at_input, module, args, kwargs)

    def leave(self, name: str, module: nn.Module, _: Any, output: Any) -> None:
        # A module that failed, where the model goes on, is left in between.
        given = self.entered.pop()
        while self.running.pop() != name:
            given = self.entered.pop()
        # else each of these statistics would be looked at as well
        with torch._C.DisableTorchFunction():
            self.quietly(self.look_at_overwriting, name, given, output)
            self.quietly(self.look, name or type(module).__name__, module, output)

    def look_at_versions(self, args: Any, kwargs: Any) -> None:
        given = [(tensor, tensor._version) for tensor in _tensors((args, kwargs))]
        self.entered[-1] += given

    def look_at_overwriting(
        self, name: str, given: list[tuple[Tensor, int]], output: Any
    ) -> None:
        """What a part changes and returns is its output."""
        changed = [tensor for tensor, version in given if tensor._version != version]
        if changed:
            own = {tensor.data_ptr() for tensor in _tensors(output)}
            self.overwritten += [
                (tensor, name) for tensor in changed if tensor.data_ptr() not in own
            ]

    def look_at_input(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """What the first weights read, if it comes from the data alone."""
        weights = self.owned[module]
        if (
            not self.judged_inputs
            or not weights
            or isinstance(module, nn.Embedding | nn.EmbeddingBag)
        ):
            return
        if not any(self.owned[part] for part in module.modules() if part is not module):
            for tensor in _tensors((args, kwargs)):
                if (
                    tensor.is_floating_point()
                    and not tensor.requires_grad
                    and not _is_mask(tensor)
                ):
                    self.look_at_scale(_rms(tensor), _columns(tensor))
        # What frozen layers return needs no gradient, and is no input any more.
        self.judged_inputs = all(weight.requires_grad for weight in weights)

    def look(self, name: str, module: nn.Module, output: Any) -> None:
        weights = self.owned[module]
        tensor = next(
            (tensor for tensor in _tensors(output) if tensor.is_floating_point()), None
        )
        if not weights or tensor is None:
            return
        if not tensor.numel():
            # an expert to which this batch sends nothing
            self.idle |= {self.names[weight] for weight in weights}
            return
        values = _plain(tensor)
        numbers = {
            "kind": type(module).__name__,
            "shape": _shape(tensor),
            "cosine": _cosine(values, self.examples),
            "weights": [self.names[weight] for weight in weights],
            "module": module,
        }
        row = self.add(name, _moments(values) | numbers)
        if tensor.requires_grad:
            row["node"] = tensor.grad_fn
            tensor.register_hook(
                lambda gradient: row.update(
                    gradient=None if gradient is None else _norm(gradient)
                )
            )
