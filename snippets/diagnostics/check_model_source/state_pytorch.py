"""What the pass may change, and how it is put back."""

import copy
import random
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snippets.diagnostics.check_model_source.before import _Before, _refill
from snippets.diagnostics.check_model_source.limits import ROOM
from snippets.diagnostics.check_model_source.measure_pytorch import _is_numpy, _tensors


def _state(generator: Any) -> Any:
    if _is_numpy(generator):
        return generator.bit_generator.state
    return (
        generator.getstate()
        if isinstance(generator, random.Random)
        else generator.get_state()
    )


def _set_state(generator: Any, state: Any) -> None:
    if _is_numpy(generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def _as_written() -> Any:
    """Of a compiled model, nothing is compiled: our hooks would be as well."""
    compiles = "torch._dynamo" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()


def _is_packed(module: nn.Module) -> bool:
    """Its weights are integers that no optimizer can move."""
    return ".quantized." in type(module).__module__


def _recorded(value: Any) -> Any:
    """Copies of tensors that were made in inference mode, which no graph can
    keep."""
    if all(not tensor.is_inference() for tensor in _tensors(value)):
        return value
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: _recorded(part) for name, part in value.items()}
    return type(value)(map(_recorded, value)) if type(value) in (tuple, list) else value


@contextmanager
def _untouched(model: nn.Module, batch: Any, loss_fn: Any) -> Iterator["_Tensors"]:
    """Whatever runs inside, model, batch, loss and random states come back."""
    devices = {
        parameter.device
        for parameter in model.parameters()
        if parameter.device.type != "cpu"
    }
    kind = next(iter(devices)).type if devices else "cuda"
    before = _Tensors(model)
    with _same_draws([device.index or 0 for device in devices], kind):
        try:
            before.inside = set(before.seen)
            before.look([("loss_fn", loss_fn), ("batch", batch)])
            yield before
        finally:
            before.restore()


@contextmanager
def _same_draws(devices: Sequence[int] = (), kind: str = "cuda") -> Iterator[None]:
    """Random states come back."""
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy and numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices, device_type=kind):
            yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.random.set_state(states[1])


class _Tensors(_Before):
    kinds = (nn.Module, Tensor)

    def __init__(self, model: nn.Module) -> None:
        owned = [*model.named_parameters(), *model.named_buffers()]
        super().__init__(max(ROOM, sum(_bytes(tensor) for _, tensor in owned)))
        self.owned = {id(tensor) for _, tensor in owned}
        self.inside = set[int]()
        self.look(
            [
                *((name or "model", module) for name, module in model.named_modules()),
                *owned,
            ]
        )
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                self.keep_script(name, module)

    def keep_script(self, name: str, module: torch.jit.ScriptModule) -> None:
        """What it holds, its mode too, lies outside of Python."""
        held = module._c.dump_to_str(False, False, False)
        for part in re.findall(r"^ {4}(\w+) = ", held, re.MULTILINE):
            with suppress(Exception):  # some hold what cannot be copied
                value = getattr(module, part)
                if isinstance(value, Tensor):
                    self.look([(f"{name}.{part}", value)])
                elif not isinstance(value, nn.Module):
                    undo = partial(_set, module, part, copy.deepcopy(value))
                    self.undo.append((f"{name}.{part}", undo))

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        if isinstance(value, torch.Generator):
            return partial(value.set_state, value.get_state())
        if not isinstance(value, Tensor):
            return super().keep_numbers(name, value)
        self.keep_tensor(name, value)
        return None

    def keep_tensor(self, name: str, tensor: Tensor) -> None:
        copied = id(tensor) in self.owned or _bytes(tensor) <= self.room
        if copied and id(tensor) not in self.owned:
            self.room -= _bytes(tensor)
        data, trained, leaf, hooks = (
            tensor.data,
            tensor.requires_grad,
            tensor.is_leaf,
            tensor._backward_hooks,
        )
        copy = data.clone() if copied else None
        size = (
            data.untyped_storage().nbytes()
            if data.layout is torch.strided and not data.is_nested
            else 0
        )
        version = None if tensor.is_inference() else tensor._version
        grad, steps = tensor.grad if leaf else None, tensor._post_accumulate_grad_hooks
        if grad is not None:
            tensor.grad = None
        if steps:
            # Some step an optimizer in the backward pass.
            self.undo.append((name, partial(steps.update, dict(steps))))
            steps.clear()

        def undo() -> None:
            if leaf:
                if not tensor.is_leaf:
                    tensor.detach_()
                tensor.grad = grad
                tensor.requires_grad_(trained)
            if hooks is None and tensor._backward_hooks is not None:
                tensor._backward_hooks = None
            if not _same_place(tensor, data):
                tensor.data = data
            if size and data.untyped_storage().nbytes() < size:
                # Sharding frees it.
                data.untyped_storage().resize_(size)
            if copy is not None:
                if not _same(data, copy):
                    data.copy_(copy)
            elif version is not None and tensor._version != version:
                raise ValueError("no copy")

        self.undo.append((name, undo))
        if hooks is not None:
            self.undo.append(
                (
                    name,
                    partial(
                        _refill,
                        hooks,
                        OrderedDict,
                        OrderedDict.update,
                        OrderedDict(hooks),
                    ),
                )
            )


def _set(module: nn.Module, part: str, value: Any) -> None:
    if getattr(module, part) != value:
        setattr(module, part, value)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _same_place(tensor: Tensor, other: Tensor) -> bool:
    try:
        return tensor.is_set_to(other)
    except RuntimeError:  # sparse and nested tensors have no one storage
        return True


def _same(tensor: Tensor, other: Tensor) -> bool:
    try:
        return tensor.is_meta or torch.equal(tensor, other)
    except RuntimeError:  # not written for all number formats
        return False
