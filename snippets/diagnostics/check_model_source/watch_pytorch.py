"""Check my model: one forward and backward pass, a table of every layer, and
what is wrong with it.

    # loss_fn(model(inputs), targets)
    report = check_model(model, (inputs, targets), nn.CrossEntropyLoss())
    # Hugging Face: model(**batch).loss
    report = check_model(model, batch)
    print(report)

The model is afterwards what it was, also after an error: parameters, gradients,
buffers, attributes, mode, hooks and random states. So are the batch and the
loss.

    gain of a weight = rms(W) * sqrt(fan_in)
        0.58 nn.Linear's default, 1 Xavier (square), 1.41 He
    factor per layer = 10^(median slope of log10(size) over the layers)
        1 is carried through any depth

Source: Glorot & Bengio (2010), equations 2 to 7, for the signals of a layer;
Schoenholz et al. (2017) for angles.
"""

import copy
import math
import random
import re
import sys
import traceback
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.before import _Before, _refill
from snippets.diagnostics.check_model_source.judge import (
    _factor,
    _judge,
    _neighbours,
    _Seen,
    _Stop,
    _Weight,
)
from snippets.diagnostics.check_model_source.limits import (
    FEW,
    FLAT,
    INPUT,
    NOISE,
    ROOM,
    SAMPLES,
    UNITS,
)
from snippets.diagnostics.check_model_source.report import ModelReport

ADVICE |= {
    "bce-without-sigmoid": (
        "fault",
        "The loss takes probabilities and gets something else.",
        "nn.BCELoss has no sigmoid of its own.",
        "Use nn.BCEWithLogitsLoss on the logits, or return their sigmoid.",
        "chapters/activation-functions/#use",
    ),
    "overwritten-input": (
        "note",
        "A branch changes its input in place, and the sum behind it adds the changed one.",
        "An activation with inplace=True that comes first in the branch: the skip connection carries its result.",
        "inplace=False in the first activation of the branch.",
        "toolbox/symptom-finder/#plateau",
    ),
    "nll-without-log-softmax": (
        "fault",
        "The loss takes log-probabilities and gets something else.",
        "nn.NLLLoss, nn.KLDivLoss and nn.CTCLoss have no softmax of their own.",
        "Use nn.CrossEntropyLoss on the logits, or return log_softmax.",
        "chapters/activation-functions/#use",
    ),
    "non-finite-gradient": (
        "fault",
        "The loss is finite and a gradient is not.",
        "An overflow on the way back, or a slope without value: sqrt(0), a norm of zeros, 0 * inf in where.",
        "An epsilon inside the operation: sqrt(x + 1e-8). Before where, replace also the inputs that it leaves out.",
        "chapters/exploding-gradients/#use",
    ),
    "no-gradient": (
        "fault",
        "Layers that run before all others are to be trained and get no gradient.",
        ".detach(), .data, torch.no_grad(), a quantized layer or a step without gradient (argmax, round) on the way.",
        "Remove it; or freeze these layers, if that is meant: requires_grad_(False).",
        "chapters/vanishing-gradients/#use",
    ),
    "identical-layers": (
        "note",
        "Layers that are not shared hold the same numbers.",
        "One seeded initializer for many layers, copy.deepcopy of a layer, or nn.TransformerEncoder, which copies one.",
        "Draw each layer anew after building the model.",
        "chapters/he-initialization/#use",
    ),
    "evaluation-mode": (
        "note",
        "The model is in evaluation mode.",
        "model.eval(): dropout is off, and batch normalization uses its running statistics.",
        "model.train() before the check, unless this is meant.",
        "chapters/batch-normalization/#use",
    ),
}


def check_model(
    model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Tensor] | None = None
) -> ModelReport:
    """Run `model` and its loss forward and backward once, in the mode and
    precision it is in, and report.

    `batch` is a pair `(inputs, targets)`, and the loss is `loss_fn(output,
    targets)`. Inputs are a tensor, a tuple (`model(*inputs)`) or a dict
    (`model(**inputs)`). A batch that is no pair serves as both:
    `model(**batch)` and `loss_fn(output, batch)`. Without `loss_fn` the loss is
    the `loss` of the output. Of a `DataLoader` the first batch is taken, and
    its generators come back.

    Of a loss that comes with other things, such as `(loss, output)` or
    `{"loss": ..., "accuracy": ...}`, the loss counts. A model that is frozen or
    quantized throughout gets no backward pass, and the report says so.

    Raises ValueError, saying what to pass, for a model without parameters, a
    batch the model does not take, and a loss that is no scalar or has no
    gradient though there are parameters to train.
    """
    # of torch.compile: hooks see the model below
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    parameters = list(model.parameters())
    packed = [
        name
        for name, part in model.named_modules()
        if _is_packed(part) and not name.endswith("_packed_params")
    ]
    if not (parameters or packed) or any(
        nn.parameter.is_lazy(tensor) for tensor in (*parameters, *model.buffers())
    ):
        raise ValueError(
            f"model must have parameters (run a lazy model once before), got {type(model).__name__}"
        )
    if any(tensor.is_inference() for tensor in parameters):
        # No graph can keep what was built in inference mode.
        with torch.inference_mode(False):
            return check_model(copy.deepcopy(model), batch, loss_fn)
    if isinstance(loss_fn, type):
        raise ValueError(
            f"loss_fn must be a function or an instance, got the class {loss_fn.__name__}"
        )
    if isinstance(batch, DataLoader):
        with _same_draws():
            batch = next(_batches_of(batch), None)
        if batch is None:
            raise ValueError("batch must be a batch at least, got an empty DataLoader")
    held = is_dataclass(batch) and not isinstance(batch, type)
    if not (held or isinstance(batch, Tensor | Mapping | tuple | list)):
        raise ValueError(
            f"batch must be a tensor, or a tuple, list, dict or dataclass, {_way_to(batch)}, got {type(batch).__name__}"
        )
    if any(tensor.is_meta for tensor in (*parameters, *_tensors(batch))):
        raise ValueError(
            "model and batch must hold numbers, got a tensor on the device meta"
        )
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = map(_recorded, batch) if pair else [_recorded(batch)] * 2
    if hasattr(inputs, "__array__") and not isinstance(inputs, Tensor):
        raise ValueError(
            f"batch must hold tensors, {_BATCH}, got {type(inputs).__name__}"
        )
    shapes = [_shape(tensor) for tensor in _tensors(inputs)]
    if shapes and not any(map(math.prod, shapes)):
        raise ValueError(
            f"batch must hold an example at least, got inputs of shape {shapes[0]}"
        )
    watch = _Watch(model, inputs, targets)
    gradients = dict[str, Tensor | None]()
    with (
        _untouched(model, batch, loss_fn) as before,
        torch.inference_mode(False),
        torch.enable_grad(),
        _as_written(),
    ):
        try:
            value = watch.run(model, inputs, targets, loss_fn)
            watch.loss = value.item()
            if not value.requires_grad:
                watch.judge_still(packed)
            graph = _graph(value)
            watch.chain = watch.longest(graph)
            leaves = [node.variable for node in graph if hasattr(node, "variable")]
            watch.judge_leaves(leaves, before)
            watch.quietly(watch.judge_bootstrap, graph)
            watch.quietly(watch.judge_advantage, graph)
            before.look([("a tensor of the loss", leaf) for leaf in leaves])
            # Not torch.autograd.grad: checkpoints and reversible layers run
            # backward passes of their own, which write .grad.
            value.backward()
            watch.went_back = True
            gradients = {
                name: _dense(weight.grad) for name, weight in watch.parameters.items()
            }
            if not math.isfinite(watch.loss):
                watch.quietly(watch.hunt, model, inputs, targets, loss_fn)
            elif all(map(_all_finite, gradients.values())):
                watch.ask(model, inputs, targets, loss_fn)
            else:
                watch.quietly(watch.hunt_back, model, inputs, targets, loss_fn)
        except _Stop:
            pass
    watch.measure(gradients)
    if before.lost:
        watch.find("not-put-back", f"{len(before.lost)} tensors", *before.lost)
    layers = watch.reports()
    chain = [layers[place] for place in watch.chain]
    return ModelReport(
        model=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(
            parameter.numel() for parameter in parameters if parameter.requires_grad
        ),
        loss=watch.loss,
        chance_loss=watch.chance_loss,
        forward=_factor([layer.std for layer in chain]),
        backward=_factor([layer.gradient for layer in reversed(chain)]),
        depth=len(chain),
        layers=layers,
        findings=_judge(watch, layers),
    )


def _way_to(batch: Any) -> str:
    """A batch, from what holds many."""
    if isinstance(batch, Dataset):
        return "DataLoader(dataset, batch_size=32) of a Dataset"
    return "next(batches) of a generator" if isinstance(batch, Iterator) else _BATCH


def _batches_of(loader: DataLoader[Any]) -> Generator[Any, None, None]:
    """The batches of a loader, whose generators come back."""
    generators = {
        id(one): one
        for holder in (loader, loader.sampler, loader.batch_sampler, loader.dataset)
        for one in getattr(holder, "__dict__", {}).values()
        if isinstance(one, torch.Generator | random.Random) or _is_numpy(one)
    }
    states = [(one, _state(one)) for one in generators.values()]
    try:
        yield from loader
    finally:
        for one, state in states:
            _set_state(one, state)


def _is_numpy(generator: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(generator, numpy.random.Generator)


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


def _graph(loss: Tensor) -> list[Any]:
    """The operations behind the loss, each after those that it reads."""
    order, seen, todo = [], set(), [(loss.grad_fn, False)]
    while todo:
        node, done = todo.pop()
        if done:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += ((source, False) for source, _ in node.next_functions)
    return order


def _dense(gradient: Tensor | None) -> Tensor | None:
    return (
        gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
    )


_BATCH = "next(iter(loader)) of a DataLoader, torch.as_tensor(array) of an array"
_CALL = "a batch is (inputs, targets); inputs are (a, b) for model(a, b), {'a': a} for model(a=a); "
_CALL += "of a model that takes the labels and returns losses, ((inputs, labels), None)"
_ORDER = "the output comes first; of a tuple, lambda output, targets: loss(output[0], targets)"
_LOSS = "pass a loss_fn(output, targets) that gives one number, for example lambda output, _: sum(output.values())"


class _Watch(_Seen, TorchFunctionMode):
    """Sees every layer through hooks, and every activation and loss through the
    functions of torch that are called.
    """

    def __init__(self, model: nn.Module, inputs: Any, targets: Any) -> None:
        _Seen.__init__(self)
        TorchFunctionMode.__init__(self)
        self.model = model
        self.owned = {module: _weights(module) for module in model.modules()}
        self.parameters = dict(model.named_parameters())
        self.names = {parameter: name for name, parameter in self.parameters.items()}
        self.trained = {
            name
            for name, parameter in self.parameters.items()
            if parameter.requires_grad
        }
        self.running: list[str] = []
        self.entered: list[list[tuple[Tensor, int]]] = []
        """Of each that runs and has parts, its inputs and their versions."""
        self.overwritten: list[tuple[Tensor, str]] = []
        self.squashed: list[tuple[dict[str, Any], int]] = []
        self.judged_inputs = True
        self.in_loss = self.bounded = False
        self.inputs, self.targets = list(_tensors(inputs)), list(_tensors(targets))
        first = next(iter(self.inputs), None)
        self.examples = first.size(0) if first is not None and first.dim() else 0
        self.cosine = (
            _cosine(first, self.examples)
            if first is not None and first.is_floating_point()
            else None
        )
        bad = [
            _shape(tensor)
            for tensor in self.inputs + self.targets
            if not _all_finite(tensor) and not _is_mask(tensor)
        ]
        self.bad_input = f"in a tensor of shape {bad[0]}" if bad else ""
        self.recurrent: dict[str, tuple[nn.RNNBase, Any]] = {}
        self.negated: list[Tensor] = []
        self.loose: dict[int, tuple[Any, tuple[int, bool, str]]] = {}
        """Cuts whose result nobody has read yet, by its identity."""
        self.places = set[int]()
        """Where the output lies in memory."""
        self.tokens = _tokens(inputs)
        if self.tokens is None:
            self.tokens = _series(self.inputs, self.targets)
            self.shifts |= set() if self.tokens is None else {1}
        self.norms = {
            module.weight: name
            for name, module in model.named_modules()
            if "Norm" in type(module).__name__
            and isinstance(getattr(module, "weight", None), nn.Parameter)
            and module.weight.dim() == 1
        }
        self.steps = _steps(model, self.norms)
        if not model.training:
            self.find("evaluation-mode", "model.training is False")

    def run(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> Tensor:
        """The loss, a scalar with a gradient."""
        handles = []
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                # It takes no hooks of this kind.
                continue
            handles += [
                module.register_forward_pre_hook(
                    partial(self.enter, name), with_kwargs=True
                ),
                module.register_forward_hook(partial(self.leave, name)),
            ]
        given = (
            ", ".join(str(_shape(tensor)) for tensor in self.inputs)
            or type(inputs).__name__
        )
        try:
            wrong = "does not take what it is given"
            with (
                self,
                _explained(
                    lambda: (
                        f"batch of shape {given}: `{self.where()}` {wrong} ({_CALL})"
                    )
                ),
            ):
                output = _called(model, inputs)
        finally:
            for handle in handles:
                handle.remove()
        results = {
            tensor.data_ptr()
            for tensor in _tensors(output)
            if tensor.layout is torch.strided
        }
        for row, place in self.squashed:
            row["predicts"] = place in results
        self.places = results
        self.in_loss = True
        if loss_fn is None:
            value = _own_loss(output)
        else:
            shapes = [
                [_shape(tensor) for tensor in _tensors(of)] for of in (output, targets)
            ]
            fails = f"loss_fn(output, targets), of shapes {shapes[0]} and {shapes[1]}, fails"
            with (
                self,
                _explained(lambda: f"{fails} ({_way_round(loss_fn, output, targets)})"),
            ):
                output = loss_fn(output, targets)
            value = _own_loss(output)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = (
                f"shape {tuple(value.shape)}"
                if isinstance(value, Tensor)
                else type(output).__name__
            )
            raise ValueError(
                f"loss_fn(output, targets), or without it the output's loss, must be a scalar, got {got}: {_LOSS}"
            )
        if not value.requires_grad and self.trained:
            raise ValueError(
                "loss has no gradient: leave parameters trainable, and do not detach in loss_fn "
                "(argmax, comparisons and NumPy do)"
            )
        return value

    def hunt(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> None:
        """Run again and name the operation that the first NaN or Inf came from.
        -inf is the last guess: a mask may be written so.
        """
        with torch.no_grad():
            for mask in (True, False):
                with _Birth(mask) as birth:
                    output = _called(model, inputs)
                    if loss_fn is not None:
                        loss_fn(output, targets)
                self.birth = self.birth or birth.place

    def hunt_back(
        self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any
    ) -> None:
        """Run again and name the operation whose slope the first NaN or Inf of
        the way back came from."""
        # It keeps the line of the program with each operation.
        with torch.autograd.set_detect_anomaly(True, check_nan=False):
            output = _called(model, inputs)
            value = _own_loss(loss_fn(output, targets) if loss_fn else output)
            for node in _graph(value):
                node.register_hook(partial(self.look_back, node))
            value.backward()

    def look_back(self, node: Any, made: Any, given: Any) -> None:
        bad, good = (
            any(part is not None and not _all_finite(part) for part in parts)
            for parts in (made, given)
        )
        if bad and not good and not self.birth:
            self.birth = f"; born on the way back through {_kind(node).lower()}"
            held = (getattr(node, f"_saved_{one}", None) for one in _SAVED)
            known = next((one for one in held if isinstance(one, Tensor)), None)
            if known is not None and (some := known[known.isfinite()]).numel():
                self.birth += (
                    f", {known.dtype}, numbers {some.min():.3g} to {some.max():.3g}"
                )
                self.birth += "" if some.numel() == known.numel() else " and NaN or Inf"
            self.birth += _place_of(node.metadata.get("traceback_", []))

    def ask(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> None:
        """What one pass does not show: memory, evaluation, and neighbors."""
        for name, (module, given) in self.recurrent.items():
            self.quietly(self.look_through_time, name, module, given)
        batches = any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
            for module in model.modules()
        )
        try:
            model.eval()
        except NotImplementedError:  # an exported model has one mode
            return
        with torch.no_grad(), _Dropping(self.dropping):
            if self.steps and batches:
                self.quietly(self.evaluate, model, inputs, targets, loss_fn)
            self.rounded |= any(map(_is_packed, model.modules()))
            for count in () if self.rounded else (4, 5):
                self.quietly(self.look_at_neighbours, model, inputs, count)
            if self.shifts & {0, 1}:
                self.quietly(self.look_at_order, model, inputs)
            else:
                self.judge_shift(False)

    def evaluate(
        self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any
    ) -> None:
        output = _called(model, inputs)
        value = loss_fn(output, targets) if loss_fn else output
        self.evaluation = float(_own_loss(value))

    def look_through_time(self, name: str, module: nn.RNNBase, given: Any) -> None:
        """What of the last output depends on the first step, and on the
        last."""
        if given.dim() == 3:
            given = given[:FEW] if module.batch_first else given[:, :FEW]
        axis = int(given.dim() == 3 and module.batch_first)
        given = given.detach().clone().requires_grad_()
        width = getattr(module, "proj_size", 0) or module.hidden_size
        with torch.enable_grad():
            last = module(given)[0].select(axis, -1)[..., :width]
            signs = torch.cos(torch.arange(float(width), device=last.device))
            (slope,) = torch.autograd.grad((last * signs.to(last.dtype)).sum(), given)
        first, end = (_norm(slope.select(axis, place)) for place in (0, -1))
        self.through_time.append((name, given.shape[axis], first, end))

    def look_at_neighbours(self, model: nn.Module, inputs: Any, count: int) -> None:
        """Does an output change with the examples beside it?"""
        changes = []
        for axis in range(2):
            sizes = {
                tensor.shape[axis] if tensor.dim() > axis else -1
                for tensor in (self.inputs[0], *self.targets)
            }
            if len(sizes) == 1:
                changes.append(_change(model, inputs, axis, *sizes, count))
        # Where time goes first, the second axis is that of the examples.
        if changes and None not in changes:
            first, further, _ = map(min, zip(*changes, strict=True))
            self.judge_neighbours(first, further, changes[0][-1])

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

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        self.quietly(getattr(self, f"before_{name}", None), *args, **kwargs)
        result = func(*args, **kwargs)
        self.quietly(self.look_at_cut, name, result, [*args, *kwargs.values()])
        if self.in_loss:
            self.quietly(self.after_any, result, args)
            self.quietly(self.look_at_sign, name, result, args)
        elif self.rows:
            self.quietly(getattr(self, f"after_{name}", None), result, *args, **kwargs)
        return result

    def look_at_cut(self, name: str, result: Any, given: list[Any]) -> None:
        """Does the way back end here, of what is read later on?"""
        flat = [
            one for part in given for one in (part if type(part) is list else [part])
        ]
        tensors = [part for part in flat if isinstance(part, Tensor)]
        for part in tensors:
            known, cut = self.loose.pop(id(part), (None, None))
            if known and known() is part:
                self.cuts.append(cut)
        made = isinstance(result, Tensor) and not result.requires_grad
        if made and any(part.requires_grad for part in tensors):
            name = "data" if name == "get" else name
            place = "the loss" if self.in_loss else self.where()
            off = "" if torch.is_grad_enabled() else " under torch.no_grad()"
            what = f"{name} in {place}{off}, of shape {_shape(result)}"
            cut = len(self.rows), not result.is_floating_point(), what
            self.loose[id(result)] = weakref.ref(result), cut

    def after_any(self, result: Any, args: Any) -> None:
        tensors = [part for part in (result, *args[:2]) if isinstance(part, Tensor)]
        if len(tensors) == 3 and tensors[1].dim() != tensors[2].dim():
            # What was cut off from the output shares its numbers with it.
            own = [self.is_output(part) for part in tensors[1:]]
            if own[0] != own[1]:
                self.judge_broadcast(tensors[1].shape, tensors[2].shape, result.shape)

    def is_output(self, tensor: Tensor) -> bool:
        return tensor.requires_grad or (
            tensor.layout is torch.strided and tensor.data_ptr() in self.places
        )

    def look_at_sign(self, name: str, result: Any, args: Any) -> None:
        """Does the loss grow with a log-probability times a weight?"""
        if name == "neg" and not result.requires_grad:
            self.negated.append(result)
        if name not in ("mul", "rmul") or not all(
            isinstance(part, Tensor) for part in args
        ):
            return
        learned = [part for part in args if part.requires_grad]
        given = [part for part in args if not part.requires_grad]
        if len(learned) != 1 or given[0].shape != learned[0].shape:
            return
        # In -advantage * log_probability the minus is there.
        sign = -1 if any(given[0] is part for part in self.negated) else 1
        sign *= _sign_of_log(learned[0].grad_fn)
        if sign and given[0].is_floating_point():
            result.register_hook(lambda slope: self.note_slope(slope * sign))

    def note_slope(self, slope: Tensor) -> None:
        with torch._C.DisableTorchFunction():
            self.rising += bool((slope >= 0).all() and (slope > 0).any())

    def before_getitem(self, input: Tensor, index: Any) -> None:
        if isinstance(index, tuple) and len(index) == 2:
            rows, columns = index
            if rows is Ellipsis or (isinstance(rows, slice) and rows == slice(None)):
                self.look_at_index(input, columns)

    def before_index_select(self, input: Tensor, dim: int, index: Tensor) -> None:
        if dim in (1, -1):
            self.look_at_index(input, index)

    def look_at_index(self, input: Tensor, index: Any) -> None:
        """One index an example, taken from all examples. Columns that are
        chosen or ordered stand once each."""
        if (
            self.in_loss
            and isinstance(index, Tensor)
            and input.requires_grad
            and input.dim() == 2
            and not index.is_floating_point()
            and index.dtype is not torch.bool
            and index.numel() == len(input) == self.examples
            and index.numel() > len(index.unique())
        ):
            shape = (len(input), *index.shape)
            evidence = f"output {tuple(input.shape)}, index {tuple(index.shape)}, together {shape}"
            self.find_once("index-for-all", evidence)

    def after_add(self, _: Tensor, one: Any, other: Any, **__: Any) -> None:
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            self.sums += (
                one.dim() > 1
                and one.shape == other.shape
                and one.requires_grad
                and other.requires_grad
            )
            for tensor, name in self.overwritten:
                if tensor is one or tensor is other:
                    evidence = (
                        f"shape {tuple(tensor.shape)}, overwritten and then added"
                    )
                    self.find_once("overwritten-input", evidence, name)

    after_iadd = after_radd = after_add

    def after_sigmoid(self, result: Tensor, *_: Any, **__: Any) -> None:
        y = _sample(result)
        self.after_squashing(result, 4 * y * (1 - y) < FLAT)

    def after_tanh(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.after_squashing(result, 1 - _sample(result).square() < FLAT)

    def after_hardtanh(
        self,
        result: Tensor,
        _: Tensor,
        min_val: float = -1.0,
        max_val: float = 1.0,
        **__: Any,
    ) -> None:
        if min_val < 0:
            y = _sample(result)
            self.after_squashing(result, (y <= min_val) | (y >= max_val))
        else:
            self.after_relu(result)

    def after_relu(self, result: Tensor, *_: Any, **__: Any) -> None:
        values = result.detach()
        if values.dim() > 1 and values.numel():
            unit = (
                1
                if isinstance(self.rows[-1]["module"], nn.modules.conv._ConvNd)
                else values.dim() - 1
            )
            dead = values.amax([dim for dim in range(values.dim()) if dim != unit]) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(self.rows[-1], "dead", dead.double().mean().item())
                self.rows[-1]["narrow"] = len(dead) < UNITS

    after_relu6 = after_relu

    def after_squashing(self, result: Tensor, flat: Tensor) -> None:
        self.note(self.rows[-1], "saturated", flat.double().mean().item())
        self.squashed.append((self.rows[-1], result.data_ptr()))

    def before_normalize(self, input: Tensor, *_: Any, **__: Any) -> None:
        # Logits that are cosines of normalized weights have the size that a
        # scale gives them, at the start as later.
        self.bounded |= isinstance(input, nn.Parameter) and input.dim() > 1

    def before_round(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.rounded |= not self.in_loss and input.shape[:1] == (self.examples,)

    def before_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        if dim is not None and input.requires_grad and not self.in_loss:
            self.judge_axis(input.shape, dim, self.where())
            examples = {
                len(input),
                self.examples,
                *(len(target) for target in self.targets),
            }
            if (
                dim in (0, -input.dim())
                and input.dim() > 1
                and len(examples) == 1
                and examples != {1}
            ):
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0 of a tensor of shape {tuple(input.shape)}",
                    self.where(),
                )
        if (
            self.rows
            and dim is not None
            and input.dim() > 2
            and input.requires_grad
            and input.shape[dim] >= 8
        ):
            rows = input.detach().movedim(dim, -1).flatten(0, -2)
            self.look_at_scores(rows[_places(len(rows), 256, rows.device)])
        self.look_at_doubled("softmax", input)

    def before_log_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        self.before_softmax(input, dim)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid" and dim is not None and input.shape[dim] > 1:
            self.find_once("sigmoid-before-categorical", f"{input.shape[dim]} sigmoids")

    def look_at_doubled(self, kind: str, input: Tensor, *_: Any, **__: Any) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        node = input.grad_fn
        while _kind(node).startswith((*_SHAPES, "Neg")):
            node = node.next_functions[0][0]
        if self.in_loss and _kind(node) == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def before_logsumexp(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("softmax", input)

    def before_sigmoid(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("sigmoid", input)

    before_logsigmoid = before_softplus = before_sigmoid

    def before_matmul(self, input: Any, other: Any, *_: Any, **__: Any) -> None:
        if input.dim() > 2 and other.dim() > 2:
            self.judge_weighing(input, {input.dim() - 1})

    before_bmm = before_matmul

    def before_einsum(self, equation: str, *operands: Any) -> None:
        read, _, made = equation.replace(" ", "").partition("->")
        if len(operands) == 2 and made and "." not in read:
            for letters, operand in zip(read.split(","), operands, strict=True):
                summed = {letters.index(letter) for letter in set(letters) - set(made)}
                self.judge_weighing(operand, summed)

    def judge_weighing(self, input: Tensor, summed: set[int]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        node, dims = input.grad_fn, input.dim()
        while _kind(node).startswith(("Mul", "NativeDropout", "Clone")):
            node = node.next_functions[0][0]
        if _kind(node) != "Softmax" or not summed:
            return
        axis = node._saved_dim
        axis = (axis - 2**64 if axis >= 2**63 else axis) % dims
        scores = node.next_functions[0][0]
        while _kind(scores).startswith((*_SHAPES, *_SCALINGS)):
            ends = (source for source, _ in scores.next_functions)
            scores = next(source for source in ends if source is not None)
        wide = any(input.shape[place] > 1 for place in summed)
        if _kind(scores) in ("Bmm", "Mm") and axis not in summed and wide:
            evidence = f"softmax over axis {axis} of {tuple(input.shape)}, of which axis {min(summed)} is summed over"
            self.find_once("attention-axis", evidence, self.where())

    def before_layer_norm(
        self, input: Tensor, normalized_shape: Any, *_: Any, **__: Any
    ) -> None:
        if math.prod(normalized_shape) == 1 and input.numel() > 1:
            self.find_once(
                "length-one-axis",
                f"normalization of each number of {tuple(input.shape)}",
                self.where(),
            )

    def before_scaled_dot_product_attention(
        self, query: Tensor, key: Tensor, *_: Any, scale: float | None = None, **__: Any
    ) -> None:
        if self.rows and key.shape[-2] >= 8:
            # The last queries see all keys, causal or not.
            one, all_keys = (
                part.detach().reshape(-1, *part.shape[-2:])[0] for part in (query, key)
            )
            one = one[-16:]
            self.look_at_scores(
                one @ all_keys.T * (query.shape[-1] ** -0.5 if scale is None else scale)
            )

    def look_at_scores(self, scores: Tensor) -> None:
        scores = scores.cpu().double()
        # Masks are written as -inf, as the lowest number, or as -10000.
        visible = (scores > scores.amax(-1, keepdim=True) - 5000).sum(-1) >= 8
        if visible.any():
            self.note(
                self.rows[-1],
                "peaked",
                scores[visible].softmax(-1).amax(-1).mean().item(),
            )

    def before_embedding(
        self, input: Tensor, weight: Tensor, *_: Any, **__: Any
    ) -> None:
        low, high = (int(input.min()), int(input.max())) if input.numel() else (0, 0)
        if low < 0 or high >= len(weight):
            self.find(
                "index-out-of-range",
                f"indices {low} to {high}, {len(weight)} rows",
                self.where(),
            )
            raise _Stop

    def before_cross_entropy(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        if self.swapped(input, target):
            return
        rows = (
            input.detach().movedim(1, -1).flatten(0, -2)
            if input.dim() > 1
            else input.detach()[None]
        )
        classes = rows.shape[-1]
        self.check_labels(classes, target, ignore_index)
        self.look_at_shift(target, ignore_index)
        places = _places(len(rows), 256, rows.device)
        some = rows[places].cpu().double()
        if (
            classes > 1
            and (some >= 0).all()
            and ((some.sum(-1) - 1).abs() < 1e-2).all()
        ):
            self.find(
                "softmax-before-cross-entropy",
                "every row of the loss's input is >= 0 and has the sum 1",
            )
        elif _maker(input) == "Sigmoid" and classes > 1:
            self.find("sigmoid-before-categorical", f"{classes} sigmoids")
        else:
            self.look_at_activation(input)
        if target.is_floating_point():
            self.judge_targets(target.detach(), 0, 1)
            labels = (
                target.movedim(1, -1).flatten(0, -2)[places]
                if target.dim() > 1
                else target[None]
            )
            losses = -(some.log_softmax(-1) * labels.cpu().double()).sum(-1)
        else:
            if target.dim() == 1 and len(target) == classes:
                # Each example against each: the logits have the size that a
                # temperature gives them, at the start as later.
                order = torch.arange(classes, device=target.device)
                self.bounded |= torch.equal(target.long(), order)
            labels = target.reshape(-1)[places].cpu().long()
            kept = labels != ignore_index
            losses = -some.log_softmax(-1)[kept].gather(1, labels[kept, None])
        if self.chance_loss is None and losses.numel():
            self.compare(losses, classes)

    def compare(self, losses: Tensor, classes: int) -> None:
        """The loss of each example with that of guessing."""
        self.chance_loss = math.log(classes)
        if losses.numel() >= FEW and not self.bounded:
            self.excess = losses.mean().item() - self.chance_loss
            self.doubt = losses.std().item() / math.sqrt(losses.numel())

    def before_nll_loss(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        dim = 1 if input.dim() > 1 else 0
        self.check_labels(input.shape[dim], target, ignore_index)
        self.look_at_shift(target, ignore_index)
        total = input.detach().double().logsumexp(dim)
        if (total.abs() > 1e-2).any():
            self.find(
                "nll-without-log-softmax",
                f"the probabilities of a row have the sum {total.exp().mean():.3g}",
            )

    def before_ctc_loss(self, log_probs: Tensor, *_: Any, **__: Any) -> None:
        # Steps after the first may be padded with anything.
        total = log_probs[0].detach().double().logsumexp(-1)
        if (total.abs() > 1e-2).any():
            evidence = (
                f"the probabilities of a step have the sum {total.exp().mean():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)

    def check_labels(self, classes: int, target: Tensor, ignore_index: int) -> None:
        labels = target[target != ignore_index]
        if (
            not target.is_floating_point()
            and labels.numel()
            and not 0 <= labels.min() <= labels.max() < classes
        ):
            self.find(
                "labels-out-of-range",
                f"labels {labels.min()} to {labels.max()}, {classes} classes",
            )
            raise _Stop

    def swapped(self, input: Tensor, target: Tensor) -> bool:
        found = target.requires_grad and not input.requires_grad
        if found:
            shapes = f"{tuple(input.shape)} without a gradient, {tuple(target.shape)} with one"
            self.find_once("swapped-arguments", shapes)
        return found

    def look_at_activation(self, input: Tensor) -> None:
        """One that stands between the last layer and a cross-entropy."""
        if _maker(input) == "Tanh":
            span = f"the loss's inputs go from {input.min():.2g} to {input.max():.2g}"
            self.find_once("tanh-before-loss", span)
        elif _maker(input) == "Relu" and input.numel():
            share = (input == 0).double().mean()
            evidence = f"{share:.0%} of the loss's inputs are exactly 0"
            self.find_once("relu-before-loss", evidence)

    def look_at_shift(self, target: Tensor, ignore_index: int) -> None:
        """Are the targets the tokens themselves, those next to them, or those
        after?"""
        tokens = self.tokens
        if tokens is None or target.is_floating_point() or not tokens.numel():
            return
        # The loss may have left out the last ones.
        width, length = target.numel() // len(tokens), tokens.shape[1]
        if not length - 2 <= width <= length or target.numel() % len(tokens):
            return
        target = target.reshape(len(tokens), width)
        for shift in range(3):
            some = target[:, : length - shift]
            given = tokens[:, shift : shift + width]
            kept = some != ignore_index
            if kept.sum() >= FEW and torch.equal(some[kept], given[kept]):
                self.shifts.add(shift)
                # Padding is one token; what a mask leaves out is many.
                left = given[~kept].unique().numel() > 2
                self.copies |= shift == 0 and left
                return

    def look_at_order(self, model: nn.Module, inputs: Any) -> None:
        """A causal model says of the first half of a text the same whatever
        follows."""
        half, pick = self.tokens.shape[1] // 2, [*range(len(self.tokens))][:2]
        other = self.tokens.clone()
        other[:, half:] = self.tokens[:, half:].flip(1).roll(1, 0)
        if self.copies:
            self.judge_shift(False)
            return

        def said(tokens: Tensor) -> Tensor:
            given = _exchanged(inputs, self.tokens, tokens)
            # Two texts will do, where inputs can be told apart by example.
            with suppress(ValueError):
                given = _taken(given, 0, len(tokens), pick)
            output = _called(model, given)
            parts = (_by_place(part, tokens.shape[1]) for part in _tensors(output))
            return next(part for part in parts if part is not None)

        first, last = said(self.tokens), said(other)
        apart = (first - last).abs()
        same = apart[:, :half].max() <= 1e-4 * first.abs().max()
        self.judge_shift(bool(same and apart[:, half:].max() > 0))
        if not same and 1 in self.shifts:
            self.find("future-visible", "an output changes with what comes after it")

    def before_binary_cross_entropy(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        low, high = input.min().item(), input.max().item()
        if not 0 <= low <= high <= 1 and math.isfinite(high - low):
            if _maker(input) != "Tanh":
                span = f"the loss's inputs go from {low:.3g} to {high:.3g}"
                self.find_once("bce-without-sigmoid", span)
            raise _Stop  # PyTorch would end here
        if not 0 <= target.min() <= target.max() <= 1:
            raise _Stop

    def before_kl_div(
        self,
        input: Tensor,
        target: Tensor,
        *_: Any,
        log_target: bool = False,
        **__: Any,
    ) -> None:
        if input.max() > 1e-3:
            evidence = (
                f"log-probabilities end at 0, the inputs go up to {input.max():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        if not log_target:
            self.judge_targets(target.detach(), 0, 1)

    def before_poisson_nll_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        self.judge_targets(target.detach(), 0, math.inf)

    def before_soft_margin_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if not (target.detach().abs() == 1).all():
            span = f"from {target.min():.3g} to {target.max():.3g}"
            evidence = f"the loss wants labels -1 and 1, the labels go {span}"
            self.find_once("targets-outside", evidence)

    before_hinge_embedding_loss = before_soft_margin_loss

    def before_cosine_embedding_loss(
        self, input1: Tensor, input2: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        self.before_soft_margin_loss(input1, target)

    before_margin_ranking_loss = before_cosine_embedding_loss

    def before_binary_cross_entropy_with_logits(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid":
            self.find_once(
                "sigmoid-before-logits-loss",
                "the loss's input is the output of a sigmoid",
            )
        loss = nn.functional.binary_cross_entropy_with_logits
        self.compare(loss(input.detach().float(), target.float(), reduction="none"), 2)

    before_multilabel_soft_margin_loss = before_binary_cross_entropy_with_logits

    def before_mse_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if input.shape != target.shape:
            self.find(
                "broadcast-loss",
                f"output {tuple(input.shape)}, targets {tuple(target.shape)}",
            )
        self.judge_range(_maker(input), target, target.numel())
        size = _rms(target)
        if INPUT < size < math.inf:
            self.find(
                "target-scale", f"root mean square {size:.3g}, more than {INPUT:g}"
            )

    before_l1_loss = before_smooth_l1_loss = before_huber_loss = before_mse_loss

    def judge_leaves(self, leaves: list[Tensor], before: _Tensors) -> None:
        """Weights at the ends of the graph that are neither the model's nor the
        loss's. One that nothing leads to is made in the pass.
        """
        found = {}
        for leaf in leaves:
            known = id(leaf) in before.inside or (
                id(leaf) not in before.seen and isinstance(leaf, nn.Parameter)
            )
            if known and id(leaf) not in before.owned:
                name, _ = before.seen.get(
                    id(leaf), (f"made in the pass, of shape {_shape(leaf)}", None)
                )
                found[name] = leaf
        if found:
            self.find(
                "unregistered-weights",
                f"{len(found)} tensors that parameters() does not name",
                *sorted(found),
            )

    def judge_bootstrap(self, graph: list[Any]) -> None:
        """Differences between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        readers: dict[Any, set[str]] = {}
        for node in graph:
            for source, _ in node.next_functions:
                readers.setdefault(source, set()).add(_kind(node))
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            compares = _kind(node) in _COMPARE or (
                _kind(node) == "Sub" and readers.get(node, set()) & _SQUARE
            )
            if not compares or len(ends) != 2 or None in ends:
                continue
            for target, value in (ends, ends[::-1]):
                after, factor = _discounted(target)
                if (
                    after not in (None, value)
                    and _discounted(value)[0] is None
                    and _last_weight(after) is _last_weight(value)
                ):
                    evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                    self.find_once("target-with-gradient", evidence)

    def judge_advantage(self, graph: list[Any]) -> None:
        """Products of log-probabilities and data less an output, of which both
        have a gradient."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Mul" or len(ends) != 2 or None in ends:
                continue
            for log, advantage in (ends, ends[::-1]):
                value = _baseline(advantage) if _is_of_policy(log) else None
                if value is not None:
                    last = _last_weight(value)
                    found = (
                        name for weight, name in self.names.items() if weight is last
                    )
                    name = next(found, f"one of shape {_shape(last)}")
                    evidence = f"log-probability * (data - an output), whose last weight is {name}"
                    self.find_once("advantage-with-gradient", evidence)

    def judge_still(self, packed: list[str]) -> None:
        """There is no way back."""
        count = len(self.parameters)
        evidence = f"{len(packed)} quantized layers" if packed else f"{count} weights"
        self.find("nothing-trains", f"{evidence}, none to be trained", *packed)
        raise _Stop

    def longest(self, graph: list[Any]) -> list[int]:
        """The rows on the path through the graph that passes the most."""
        at: dict[Any, list[int]] = {}
        for place, row in enumerate(self.rows):
            at.setdefault(row["node"], []).append(place)
        readers = Counter(source for node in graph for source, _ in node.next_functions)
        paths: dict[Any, tuple[int, Any]] = {None: (0, None)}
        for node in graph:
            sources = (paths[source] for source, _ in node.next_functions)
            path = max(sources, key=lambda path: path[0], default=(0, None))
            for place in at.get(node, ()):
                self.rows[place]["before"] = path[1] and path[1][0]
                self.rows[place]["straight"] = self.straight(place, at, readers)
                path = path[0] + 1, (place, path[1])
            paths[node] = path
        # What frozen layers return has no graph: they come first, in order.
        places, link = list[int](), path[1]
        while link:
            places.append(link[0])
            link = link[1]
        return [*at.get(None, ()), *reversed(places)]

    def straight(
        self, place: int, at: dict[Any, list[int]], readers: Counter[Any]
    ) -> int | None:
        """The linear layer that leads to this one alone, past nothing that
        bends it, if one layer could do the work of both."""
        row = self.rows[place]
        units = _linear(row["module"])
        todo = [row["node"]] if units and row["node"] is not None else []
        while todo:
            node = todo.pop()
            if node is not row["node"] and readers[node] > 1:
                return None
            if node is not row["node"] and node in at:
                before = _linear(self.rows[at[node][0]]["module"])
                wide = before and before[0] >= min(math.prod(before[1:]), units[0])
                return at[node][0] if wide else None
            sources = [
                source for source, _ in node.next_functions if source is not None
            ]
            if type(node).__name__.startswith(_LINEAR) or (
                type(node).__name__.startswith(("Mul", "Div")) and len(sources) == 1
            ):
                todo += sources
        return None

    def measure(self, gradients: dict[str, Tensor | None]) -> None:
        """The weights, as they are after the pass, and their gradients."""
        gains = {
            module: _gain(module, self.owned[module])
            for module in {row["module"] for row in self.rows}
        }
        for row in self.rows:
            row["gain"] = gains[row["module"]]
        twins = _twins(list(self.parameters.items()))
        owners = {
            weight: module
            for module, weights in self.owned.items()
            for weight in weights
        }
        for name, weight in self.parameters.items():
            gradient, owner = gradients.get(name), owners.get(weight)
            alike = owner is not None and _alike(
                _out_first(owner, weight.detach()), 0.0
            )
            self.weights[name] = _Weight(
                name=name,
                trained=name in self.trained,
                norm=_norm(weight.detach()),
                size=weight.numel(),
                matrix=weight.dim() > 1,
                alike=alike,
                copy=name in twins,
                gradient=None if gradient is None else _norm(gradient),
                gradient_alike=alike
                and gradient is not None
                and _alike(_out_first(owner, gradient), 1e-5),
                centred=_centred(weight) if weight in self.norms else None,
            )


class _Dropping(TorchFunctionMode):
    """Notes what is dropped."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name, named = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name == "scaled_dot_product_attention":
            rate = named.get("dropout_p", args[4] if len(args) > 4 else 0.0)
            training = True
        elif name in _DROPOUTS:
            rate = named.get("p", args[1] if len(args) > 1 else 0.5)
            training = named.get("training", args[2] if len(args) > 2 else True)
        else:
            rate, training = 0.0, False
        if training and rate:
            self.found.append(
                f"{name}, rate {rate:g}{_place_of(traceback.format_stack()[:-1])}"
            )
        return func(*args, **named)


_DROPOUTS = {
    *("dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("alpha_dropout", "feature_alpha_dropout"),
}


class _Birth(TorchFunctionMode):
    """The first function that returns what its arguments did not hold."""

    def __init__(self, mask: bool) -> None:
        super().__init__()
        self.mask, self.place = mask, ""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        # A mask is meant.
        if (
            not self.place
            and isinstance(result, Tensor)
            and name not in ("masked_fill", "full", "where", "set")
        ):
            given = [
                part
                for part in _tensors((args, kwargs))
                if part.is_floating_point() and part.numel()
            ]
            if (
                given
                and result.is_floating_point()
                and result.numel()
                and self.born(result.detach(), given)
            ):
                low, high = (
                    min(part.min().item() for part in given),
                    max(part.max().item() for part in given),
                )
                self.place = f"; born in {name}, {given[0].dtype}, inputs {low:.3g} to {high:.3g}"
                if name in ("softmax", "log_softmax"):
                    axis = (kwargs or {}).get("dim", args[1] if len(args) > 1 else None)
                    rows = (
                        given[0]
                        .movedim(-1 if axis is None else axis, -1)
                        .flatten(0, -2)
                    )
                    if empty := int(rows.isneginf().all(-1).sum()):
                        self.place += f": {empty} of {len(rows)} rows are -inf throughout, their mask leaves nothing"
        return result

    def born(self, result: Tensor, given: list[Tensor]) -> bool:
        if not self.mask:
            return not result.isfinite().all() and all(
                part.isfinite().all() for part in given
            )
        spoiled = any((part.isnan() | part.isposinf()).any() for part in given)
        # A softmax makes NaN of -inf alone; a minus before it is no birth.
        made = result.isnan().any() or (
            result.isposinf().any() and not any(part.isneginf().any() for part in given)
        )
        return bool(made) and not spoiled


def _steps(model: nn.Module, norms: dict[Tensor, str]) -> str:
    """What tells that a model is not at its start."""
    for name, module in model.named_modules():
        seen = getattr(module, "num_batches_tracked", None)
        if isinstance(seen, Tensor) and seen.numel() == 1 and seen > 0:
            return f"{name} has seen {int(seen)} batches"
    for scale, name in norms.items():
        values = _plain(scale).double()
        drawn = max(_centred(scale), _rms(scale)) < NOISE
        # Some libraries draw them near 1.
        if len(values) > 1 and values.std() > 0.05 * values.mean().abs() and not drawn:
            return f"the scales of {name} differ"
    return ""


def _centred(scale: Tensor) -> float:
    values = _plain(scale).double()
    size = values.square().mean().sqrt().item()
    return abs(values.mean().item()) / size if size else 0.0


def _change(
    model: nn.Module, inputs: Any, axis: int, examples: int, count: int
) -> tuple[float, float, float] | None:
    """By which part of its size the first output of one example changes with
    the others, the most of the further outputs, and by which part the first
    differs between examples; None if that cannot be told.
    """
    picks, outputs = _neighbours(examples, count), []
    count = min(count, examples)
    # The first ones once more: a model that remembers answers otherwise.
    for pick in (*picks, picks[0]) if picks else ():
        torch.manual_seed(0)
        random.seed(0)
        tensors = [
            tensor
            for tensor in _tensors(_called(model, _taken(inputs, axis, examples, pick)))
            if tensor.is_floating_point() and count in tensor.shape[:2]
        ]
        place = axis if tensors[0].shape[axis : axis + 1] == (count,) else 1 - axis
        # Each against each: similarities, as contrastive losses take them.
        if tensors[0].shape[1 - place : 2 - place] == (count,):
            return None
        outputs.append(
            [
                tensor.movedim(place, 0)
                for tensor in tensors
                if tensor.shape[place : place + 1] == (count,)
                and tensor.shape[1 - place : 2 - place] != (count,)
            ]
        )
    if not outputs or len({len(tensors) for tensors in outputs}) > 1:
        return None
    changes, apart = [], 0.0
    for first, moved, again in zip(*outputs, strict=True):
        if not torch.equal(first, again) or first.shape != moved.shape:
            return None
        # Below float32, the digits in common cover the rest.
        fine = 1e-3 if first.element_size() > 2 else 1.0
        first, moved = first.double(), moved.double()
        # What all examples have in common, such as a bias, says nothing.
        spread, whole = (
            part.abs().max().item() for part in (first - first.mean(0), first)
        )
        change = (first[1] - moved[1]).abs().max().item()
        apart = apart if changes else spread / (whole or 1.0)
        changes.append(change / (max(spread, fine * whole) or 1.0))
    if not math.isfinite(sum(changes)):
        return None
    return changes[0], max(changes[1:], default=0.0), apart


def _taken(value: Any, axis: int, examples: int, pick: list[int]) -> Any:
    """Of inputs, some examples."""
    if isinstance(value, Mapping):
        return {
            name: _taken(part, axis, examples, pick) for name, part in value.items()
        }
    if type(value) in (tuple, list):
        return type(value)(_taken(part, axis, examples, pick) for part in value)
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if value.dim() <= axis or value.shape[axis] != examples or value.is_nested:
        # Edges of a graph join its nodes, which are no examples.
        if value.is_floating_point():
            return value
        raise ValueError("indices")
    if value.shape[:2] == (examples, examples):
        raise ValueError("each against each")
    return value.index_select(axis, torch.tensor(pick, device=value.device))


def _tokens(inputs: Any) -> Tensor | None:
    """Whole numbers, a row for each text."""
    if isinstance(inputs, Mapping):
        other = re.compile("label|target|mask|type|position")
        inputs = [part for name, part in inputs.items() if not other.search(str(name))]
    whole = [part for part in _tensors(inputs) if part.dtype in (torch.long, torch.int)]
    return next((part for part in whole if part.dim() == 2), None)


def _series(inputs: list[Tensor], targets: list[Tensor]) -> Tensor | None:
    """Numbers (examples, places, ...), of which the targets are the next ones,
    all or the first of each place.
    """
    for given in inputs:
        for target in targets:
            if (
                given.is_floating_point()
                and given.dim() > 2
                and given.shape[1] >= FEW
                and given.shape[:-1] == target.shape[:-1]
            ):
                known = given[..., : target.shape[-1]]
                later = torch.equal(known[:, 1:], target[:, :-1].to(given))
                if later and not torch.equal(known[:, 1:], known[:, :-1]):
                    return given
    return None


def _exchanged(value: Any, old: Tensor, new: Tensor) -> Any:
    """Inputs with another tensor in the place of one."""
    if isinstance(value, Mapping):
        return {name: _exchanged(part, old, new) for name, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_exchanged(part, old, new) for part in value)
    return new if value is old else value


def _by_place(tensor: Tensor, length: int) -> Tensor | None:
    """What is said of each token: (texts, places, ...), from (texts, classes,
    places) too."""
    if not tensor.is_floating_point() or tensor.dim() < 3:
        return None
    axis = next((axis for axis in (1, 2) if tensor.shape[axis] == length), None)
    return None if axis is None else tensor.movedim(axis, 1)


def _sign_of_log(node: Any) -> int:
    """1 of log-probabilities, -1 of what is their negative, 0 of all else."""
    sign, turned = 1, False
    while node is not None:
        name = type(node).__name__.partition("Backward")[0]
        sources = [source for source, _ in node.next_functions]
        if name in ("Log", "LogSoftmax", "LogSigmoid"):
            return sign
        if name in ("NllLoss", "NllLoss2D", "BinaryCrossEntropy"):
            return -sign
        if name == "Sub":
            names = [type(source).__name__ for source in sources]
            if names[-1].startswith("Logsumexp"):
                return sign
            # That of a normal distribution, as torch.distributions writes it.
            sources = sources if names[0].startswith(("Sub", "Div")) else []
        elif name == "Pow":
            return -sign if turned else 0
        elif name == "Neg":
            sign, turned = -sign, True
        elif name not in (*_SHAPES, "Gather", "Index", "Sum", "Div"):
            return 0
        node = sources[0] if sources else None
    return 0


def _way_round(loss_fn: Any, output: Any, targets: Any) -> str:
    try:
        if _floating(loss_fn(targets, output)):
            return "the other way round it works: pass lambda output, targets: loss_fn(targets, output)"
    except Exception:
        pass
    return _ORDER


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _columns(tensor: Tensor) -> list[float]:
    """The root mean square of each feature of a table."""
    if tensor.dim() != 2 or tensor.shape[1] > 2**12:
        return []
    return _plain(tensor)[:SAMPLES].double().square().mean(0).sqrt().tolist()


def _linear(module: nn.Module) -> tuple[int, ...]:
    """The shape of the weight of a layer that is nothing but linear."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and (
        getattr(module, "groups", 1) == 1
    ):
        return tuple(_out_first(module, module.weight).shape)
    return ()


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    several = isinstance(inputs, tuple | list)
    if several and not isinstance(inputs, nn.utils.rnn.PackedSequence):
        return model(*inputs)
    return model(inputs)


def _own_loss(output: Any) -> Any:
    """The loss that a model returns, alone, by its name, or in parts."""
    if isinstance(output, Mapping) and "loss" not in output:
        # Detectors return one loss for each of their tasks.
        parts = [part for name, part in output.items() if "loss" in str(name)]
        return (
            sum(parts)
            if parts
            and all(isinstance(part, Tensor) and part.numel() == 1 for part in parts)
            else None
        )
    if isinstance(output, Mapping):
        return output["loss"]
    if isinstance(output, Tensor) or hasattr(output, "loss"):
        return getattr(output, "loss", output)
    if not isinstance(output, tuple | list):
        return None
    # (loss, output), (logits, loss), or the loss and numbers to log.
    numbers = [part for part in output if _floating(part) and part.numel() == 1]
    learned = [part for part in numbers if part.requires_grad] or numbers
    return learned[0] if len(learned) == 1 else None


def _is_mask(tensor: Tensor) -> bool:
    """Added to scores: 0 where one may look, -inf or a large negative number
    elsewhere.
    """
    tensor = _plain(tensor)
    return bool(((tensor == 0) | (tensor <= -1000)).all()) and bool((tensor < 0).any())


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Of a nested tensor, the number of its parts."""
    return (tensor.size(0),) if tensor.is_nested else tuple(tensor.shape)


def _plain(tensor: Tensor) -> Tensor:
    """The numbers of a tensor of any layout and format, without a gradient."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()])
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    return (
        tensor.float()
        if tensor.is_floating_point() and tensor.element_size() == 1
        else tensor
    )


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        AttributeError,
    ) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(f"{what()}: {error}") from error


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, dicts and dataclasses (so also in
    packed sequences and in outputs of transformers).
    """
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value) and not isinstance(value, type | Mapping):
        yield from _tensors(vars(value))
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _weights(module: nn.Module) -> list[Tensor]:
    """The module's own parameters of two or more dimensions, those behind
    parametrizations included.
    """
    if isinstance(
        module, nn.utils.parametrize.ParametrizationList | torch.jit.ScriptModule
    ):
        return []
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [
            weight
            for part in module.parametrizations.values()
            for weight in part.parameters(recurse=False)
        ]
    return [
        weight
        for weight in own
        if weight.dim() > 1 and weight.numel() and weight.is_floating_point()
    ]


def _out_first(module: nn.Module, weight: Tensor) -> Tensor:
    """The weight with its output units along the first dimension, as `Linear`
    has it.
    """
    swapped = (
        isinstance(module, nn.modules.conv._ConvTransposeNd)
        or type(module).__name__ == "Conv1D"
    )
    return weight.transpose(0, 1) if swapped else weight


def _gain(module: nn.Module, weights: list[Tensor]) -> float | None:
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return None
    gains = []
    for weight in weights:
        units = _out_first(module, weight.detach())
        # Experts stand behind each other: (experts, units, fan_in).
        number = (
            units.numel() // units.shape[-1]
            if units.dim() == 3 and not _is_conv(module)
            else len(units)
        )
        # Rows that all say the same, such as the rates of a state space, were
        # not drawn.
        if len(weights) == 1 or not _alike(units, 0.0):
            gains.append(_norm(units) / math.sqrt(number))
    return max(gains, default=None)


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.conv._ConvNd | nn.Bilinear)


def _twins(named: list[tuple[str, Tensor]]) -> set[str]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[Any, list[tuple[str, Tensor]]] = {}
    for name, weight in named:
        if weight.dim() > 1 and weight.numel() > 1:
            corner = tuple(
                weight.detach()[(slice(2),) * weight.dim()].flatten().tolist()
            )
            # Not drawn are also frozen tables of sines, targets that follow
            # another model, and rows that all say the same.
            if (
                len(set(corner)) > 1
                and weight.requires_grad
                and not torch.equal(weight[0], weight[-1])
            ):
                seen.setdefault((weight.shape, weight.dtype, corner), []).append(
                    (name, weight)
                )
    return {
        name
        for group in seen.values()
        for name, weight in group
        if any(other is not weight and torch.equal(other, weight) for _, other in group)
    }


def _alike(units: Tensor, within: float) -> bool:
    """Two or more rows that hold the same numbers, up to a part of the
    largest.
    """
    units = _plain(units)
    if len(units) < 2 or (not within and not torch.equal(units[0], units[-1])):
        return False
    return bool(((units - units[:1]).abs() <= within * units.abs().max()).all())


def _maker(tensor: Tensor) -> str:
    """The operation that made the numbers of a tensor, whatever its shape."""
    node = tensor.grad_fn
    while type(node).__name__.startswith(_SHAPES):
        node = node.next_functions[0][0]
    return type(node).__name__.partition("Backward")[0]


_SHAPES = (
    "View",
    "UnsafeView",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Alias",
    "Clone",
    "ToCopy",
    "Select",
    "Slice",
)


_COMPARE = {"MseLoss", "SmoothL1Loss", "HuberLoss"}
_SQUARE = _COMPARE | {"Pow", "Abs", "Mul"}
_SCALINGS = ("Add", "Div", "MaskedFill", "Mul", "Permute", "Sub", "Transpose", "Where")
"""What stands between the products of an attention and its softmax."""
_CHOICES = ("Gather", "Index", "Max", "Min", "Amax", "Cat", "Stack", "Expand")
"""Operations that take some of the numbers."""


def _kind(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _discounted(node: Any) -> tuple[Any, float]:
    """Of data + factor * output, the output and the factor, if it is that of a
    discount: at least 0.5, and less than 1. Else None.
    """
    added, factor = False, 1.0
    while node is not None:
        sources = [source for source, _ in node.next_functions]
        constant = len(sources) == 2 and None in sources
        if _kind(node) == "Add" and constant:
            added = True
            scale = 1.0 if sources[1] is None else node._saved_alpha
            factor = min(factor, _discount(scale))
        elif _kind(node) == "Mul" and added and constant:
            other = node._saved_self if sources[0] is None else node._saved_other
            factor = min(factor, _discount(other))
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES)):
            break
        node = next(source for source in sources if source is not None)
    # A mean over examples is that of a centre which moves slowly.
    found = added and 0.5 <= factor < 1 and _kind(node) != "Mean"
    return (node, factor) if found else (None, 1.0)


def _is_of_policy(node: Any) -> bool:
    """A log-probability, or the ratio of a new and an old probability."""
    if _kind(node) == "Exp":
        first, *rest = (
            source for source, _ in node.next_functions[0][0].next_functions
        )
        return rest == [None] and _sign_of_log(first) != 0
    return _sign_of_log(node) != 0


def _baseline(node: Any) -> Any:
    """Of data less an output, perhaps standardized, the output, if it is one of
    a layer and no probability; None of all else."""
    while True:
        sources = [source for source, _ in node.next_functions]
        if _kind(node) == "Sub" and len(sources) == 2:
            first, value = sources
            if first is None or (value is not None and _is_data_plus(first)):
                return None if _kind(value) in _PROBABILITIES else value
            if _kind(value) != "Mean":
                return None
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES, "Neg", "Div")) and not (
            _kind(node) == "Mul" and None in sources
        ):
            return None
        node = next(source for source in sources if source is not None)


def _is_data_plus(node: Any) -> bool:
    """Data plus a part of an output, as the return from the value of the next
    state."""
    while _kind(node).startswith((*_SHAPES, *_CHOICES)):
        node = node.next_functions[0][0]
    sources = [source for source, _ in node.next_functions]
    return _kind(node) == "Add" and len(sources) == 2 and None in sources


_PROBABILITIES = {"Exp", "Sigmoid", "Softmax"}


def _discount(constant: Any) -> float:
    """The largest entry: 1 - done is 0 or 1, and 0 alone says nothing. What is
    below 0 is none."""
    values = torch.as_tensor(constant).double()
    return (values.max().item() or 1.0) if values.min() >= 0 else -1.0


def _last_weight(node: Any) -> Tensor:
    """The weight that the fewest operations lie between."""
    todo, seen = [], {node}
    while not hasattr(node, "variable"):
        new = [source for source, _ in node.next_functions]
        todo += [one for one in new if one is not None and one not in seen]
        seen.update(new)
        node = todo.pop(0)
    return node.variable


_LINEAR = (
    *_SHAPES,
    *("TBackward", "Transpose", "Permute", "Addmm", "Mm", "Convolution"),
    *("NativeDropout", "Expand"),
)
"""Operations that two linear layers are still one linear layer with."""


_SAVED = ("result", "self", "other", "input")
"""What a node keeps of its operation."""


def _place_of(stack: list[str]) -> str:
    """The innermost line of the program, if one of its own called PyTorch."""
    lines = [re.match(r'\s*File "(.+)", line (\d+)', part) for part in stack]
    places = [(line[1], line[2]) for line in lines if line]
    called = max(
        (at for at, line in enumerate(places) if line[0] == __file__), default=-1
    )
    others = str(Path(torch.__file__).parent)
    own = [line for line in places[called + 1 :] if not line[0].startswith(others)]
    return f", in line {own[-1][1]} of {Path(own[-1][0]).name}" if own else ""


def _places(count: int, most: int, device: torch.device) -> Any:
    """Up to `most` indices below `count`, spread so that no period of the shape
    is hit alone.
    """
    if count <= most:
        return slice(None)
    return torch.arange(most, device=device) * 1_000_003 % count


def _sample(tensor: Tensor) -> Tensor:
    """Up to SAMPLES entries, float64 on the CPU."""
    flat = _plain(tensor).reshape(-1)
    return flat[_places(len(flat), SAMPLES, flat.device)].cpu().double()


def _rms(tensor: Tensor) -> float:
    return _sample(tensor).square().mean().sqrt().item()


def _all_finite(tensor: Tensor | None) -> bool:
    # A sum shows a single NaN or Inf among millions, in one pass and without a
    # copy.
    return (
        tensor is None
        or not tensor.is_floating_point()
        or math.isfinite(_plain(tensor).sum(dtype=torch.float32))
    )


def _moments(values: Tensor) -> dict[str, float]:
    some = _sample(values)
    finite = some[some.isfinite()]
    return {
        "mean": finite.mean().item(),
        "std": (finite - finite.mean()).square().mean().sqrt().item(),
        "non_finite": 0.0
        if _all_finite(values)
        else 1.0 - values.isfinite().double().mean().item(),
    }


def _cosine(values: Tensor, examples: int) -> float | None:
    if values.is_nested or values.layout is not torch.strided:
        return None
    dims = [dim for dim in range(min(2, values.dim())) if values.shape[dim] == examples]
    if examples < 2 or not dims or values.dim() < 2 or not values.numel():
        return None
    some = values.movedim(dims[0], 0)[:8].flatten(1)
    if some.shape[1] < 2:
        # Between two numbers it is 1 or -1, whatever they are.
        return None
    some = some[:, _places(some.shape[1], SAMPLES // 8, some.device)].cpu().double()
    units = some / some.norm(dim=1, keepdim=True)
    number = len(units)
    cosine = (units.sum(0).square().sum().item() - number) / (number * (number - 1))
    return cosine if math.isfinite(cosine) else None


def _norm(tensor: Tensor) -> float:
    """Euclidean norm; large and small tensors are scaled first, since the
    squares of 1e-30 are zero in float32.
    """
    tensor = _plain(tensor)
    if not tensor.numel():
        return 0.0
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    norm = torch.linalg.vector_norm(tensor, dtype=dtype).item()
    if 1e-15 < norm < 1e15:
        return norm
    largest = torch.linalg.vector_norm(tensor, math.inf).item()
    if not 0 < largest < math.inf:
        return largest
    return largest * torch.linalg.vector_norm(tensor.to(dtype) / largest).item()


if __name__ == "__main__":
    torch.manual_seed(0)
    hidden = [module for _ in range(10) for module in (nn.Linear(64, 64), nn.Sigmoid())]
    inputs, labels = torch.randn(32, 64), torch.randint(10, (32,))
    print(
        check_model(
            nn.Sequential(*hidden, nn.Linear(64, 10)),
            (inputs, labels),
            nn.CrossEntropyLoss(),
        )
    )
