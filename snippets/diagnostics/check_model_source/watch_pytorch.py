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
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.graph_pytorch import (
    _baseline,
    _discounted,
    _divergences,
    _graph,
    _is_of_policy,
    _kind,
    _last_weight,
    _maker,
    _root,
    _spreads,
    _summed,
)
from snippets.diagnostics.check_model_source.judge import _judge
from snippets.diagnostics.check_model_source.limits import (
    FEW,
    FLAT,
    INPUT,
    NUMBERS,
    UNITS,
)
from snippets.diagnostics.check_model_source.measure_pytorch import (
    _SHAPES,
    _alike,
    _all_finite,
    _by_place,
    _called,
    _centred,
    _change,
    _columns,
    _cosine,
    _dense,
    _exchanged,
    _explained,
    _gain,
    _is_mask,
    _is_numpy,
    _lengths,
    _linear,
    _moments,
    _norm,
    _out_first,
    _own_loss,
    _place_of,
    _places,
    _plain,
    _rms,
    _sample,
    _series,
    _shape,
    _sign_of_log,
    _steps,
    _taken,
    _tensors,
    _texts,
    _twins,
    _way_round,
    _weights,
)
from snippets.diagnostics.check_model_source.report import ModelReport
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop, _Weight
from snippets.diagnostics.check_model_source.signals import _factor, _place
from snippets.diagnostics.check_model_source.state_pytorch import (
    _as_written,
    _is_packed,
    _recorded,
    _same_draws,
    _set_state,
    _state,
    _Tensors,
    _untouched,
)

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
            watch.quietly(watch.judge_overlap, graph)
            watch.quietly(watch.judge_divergence, graph)
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


_BATCH = "next(iter(loader)) of a DataLoader, torch.as_tensor(array) of an array"


_CALL = "a batch is (inputs, targets); inputs are (a, b) for model(a, b), {'a': a} for model(a=a); "


_CALL += "of a model that takes the labels and returns losses, ((inputs, labels), None)"


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
        self.in_loss = False
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
        self.signed: dict[Any, tuple[str, float, float]] = {}
        """Of outputs that may go below 0, what made them, and their range."""
        self.places = set[int]()
        """Where the output lies in memory."""
        self.output: Any = None
        self.texts = _texts(inputs)
        self.tokens = next(iter(self.texts), None)
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
        self.places, self.output = results, output
        self.signed = {
            part.grad_fn: (_maker(part).lower(), part.min().item(), part.max().item())
            for part in _tensors(output)
            if part.requires_grad and part.numel()
            if part.min() < 0 or _maker(part) in _PRODUCTS
        }
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
        # A new tensor with requires_grad=True is a beginning of its own.
        own = value.grad_fn is None and all(value is not part for part in self.names)
        if self.trained and (own or not value.requires_grad):
            end = f"; it ends at {self.cuts[0][2]}" if self.cuts else ""
            raise ValueError(
                "loss has no gradient: leave parameters trainable, and do not detach in loss_fn "
                "(argmax, comparisons and NumPy do; requires_grad=True on the result brings nothing back)"
                + end
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
        """What one pass does not show: other outputs, memory, evaluation, and
        neighbors."""
        if loss_fn is not None:
            self.quietly(self.look_at_constants, targets, loss_fn)
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
            for count in () if self.rounded else (4, 5, 6):
                if self.compared < 2:
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

    def look_at_constants(self, targets: Any, loss_fn: Any) -> None:
        """Is a loss least where all examples, and all outputs of a shape, are
        answered alike?"""
        outputs, count = list(_tensors(self.output)), self.examples
        small = sum(part.numel() for part in outputs) <= NUMBERS
        if (
            not small
            or count < FEW
            or not all(
                part.requires_grad and part.dim() > 1 and len(part) == count
                for part in outputs
            )
        ):
            return
        own = [part.detach() for part in outputs]

        def loss(parts: list[Tensor], wanted: Any = targets) -> Tensor:
            given = self.output
            for old, new in zip(outputs, parts, strict=True):
                given = _exchanged(given, old, new)
            with _same_draws():
                torch.default_generator.manual_seed(0)
                return _own_loss(loss_fn(given, wanted))

        def steep(parts: list[Tensor]) -> tuple[float, list[Tensor]]:
            """A loss and its slopes."""
            parts = [part.clone().requires_grad_() for part in parts]
            value = loss(parts)
            return value.item(), list(torch.autograd.grad(value, parts))

        order = torch.arange(count, device=own[0].device)
        moved = _taken(targets, 0, count, order.roll(1).tolist())
        # Of targets that all are alike nothing is read, either.
        if loss(own, moved).item() != loss(own).item():
            return
        value, slopes = steep(own)
        # What is cut off in the loss may be a part of an output.
        if not all(
            (slope != 0).any(0).all() and (slope != 0).flatten(1).any(1).all()
            for slope in slopes
        ):
            return
        # By shape, the output whose rows answer for all.
        firsts = {part.shape: part for part in reversed(own)}
        constants = [
            [firsts[part.shape][torch.full_like(order, row)] for part in own]
            for row in range(0, count, count // 4)
        ]
        draw, near = torch.Generator(order.device).manual_seed(0), list[float]()
        for constant in constants * 4:
            others = []
            for part in constant:
                pick = torch.randperm(count, generator=draw, device=order.device)
                others.append(0.95 * part + 0.05 * firsts[part.shape][pick])
            near.append(loss(others).item())
        apart = loss([firsts[part.shape] for part in own]).item()
        answered = [
            (low, math.hypot(*map(_norm, flat))) for low, flat in map(steep, constants)
        ]
        size = math.hypot(*map(_norm, slopes))
        self.judge_constants(value, size, answered, near, apart)

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
                (examples,) = sizes
                place = _place(self.compared, examples)
                changes.append(_change(model, inputs, axis, examples, count, place))
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
            if name in _REGRESSIONS:
                self.quietly(self.look_at_error, result, *args, **kwargs)
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

    def look_at_error(
        self, result: Tensor, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if result.requires_grad and not (result.dim() or target.requires_grad):
            term = self.look_at_term(_plain(target).cpu().double(), 0.0)
            result.register_hook(
                lambda slope: term.__setitem__(1, term[1] + slope.item())
            )

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
        self.bounded |= isinstance(input, nn.Parameter) and input.dim() > 1

    def before_linear(self, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> None:
        if weight.dim() == 2 and len(weight) != self.examples:
            rows = input.reshape(-1, input.shape[-1])
            self.look_at_product(_lengths(rows), _lengths(weight))

    def after_cosine_similarity(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.bounded |= result.dim() > 1 and result.shape[-1] != self.examples

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
        elif other.dim() == 2:
            self.before_linear(input, other.t())

    before_bmm = before_mm = before_matmul

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
        apart = (some - some[:1]).abs().max().item() if some.numel() else 0.0
        self.look_at_logits(some.norm(dim=-1).tolist(), apart)
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
            if target.requires_grad and input.requires_grad:
                ends = map(_last_weight, (target.grad_fn, input.grad_fn))
                self.judge_own_target(next(ends) is next(ends))
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

    def before_ctc_loss(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Any,
        target_lengths: Any,
        blank: int = 0,
        *_: Any,
        **__: Any,
    ) -> None:
        # Steps after the first may be padded with anything.
        total = log_probs[0].detach().double().logsumexp(-1)
        if (total.abs() > 1e-2).any():
            evidence = (
                f"the probabilities of a step have the sum {total.exp().mean():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        lengths = torch.as_tensor(target_lengths).cpu()
        known = targets.detach().cpu()
        if known.dim() == 2:
            known = known[torch.arange(known.shape[1]) < lengths[:, None]]
        self.judge_blank(int((known == blank).sum()), known.numel(), blank)

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
        after? A decoder reads its tokens beside those of another text."""
        if target.is_floating_point():
            return
        for number, tokens in enumerate(self.texts):
            for shift in (1, 0, 2) if number else range(3):
                if self.stands_at(shift, tokens, target, ignore_index):
                    self.shifts.add(shift)
                    self.tokens = tokens
                    return

    def stands_at(
        self, shift: int, tokens: Tensor, target: Tensor, ignore_index: int
    ) -> bool:
        # The loss may have left out the last ones.
        width, length = target.numel() // max(len(tokens), 1), tokens.shape[1]
        if not length - 2 <= width <= length or target.numel() % len(tokens):
            return False
        target = target.reshape(len(tokens), width)
        some = target[:, : length - shift]
        given = tokens[:, shift : shift + width]
        kept = some != ignore_index
        same = kept.sum() >= FEW and torch.equal(some[kept], given[kept])
        if same:
            # Padding is one token; what a mask leaves out is many.
            left = given[~kept].unique().numel() > 2
            self.copies |= shift == 0 and left
        return bool(same)

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
        self,
        input: Tensor,
        target: Tensor,
        log_input: bool = True,
        *_: Any,
        **__: Any,
    ) -> None:
        self.judge_targets(target.detach(), 0, math.inf)
        self.judge_rate(_maker(input), log_input, input.min().item())

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

    def judge_overlap(self, graph: list[Any]) -> None:
        """Sums of products of an output and data, over sums of the output."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Div" or len(ends) != 2 or None in ends:
                continue
            look = partial(_summed, self.signed)
            (above, kinds), (below, others) = map(look, ends)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum1", "Mul2"} <= kinds and "Sum1" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)

    def judge_divergence(self, graph: list[Any]) -> None:
        """A KL divergence between Gaussians that the training makes larger, or
        that knows another spread than the sample has."""
        known = _divergences(graph[-1])
        powers = {root: power for root, power, _ in known}
        self.judge_signs([turned for *_, turned in known])
        for spread in map(_spreads, graph if known else ()):
            root, power = (None, None) if spread is None else _root(spread)
            if root in powers:
                names = (row["name"] for row in self.rows if row["node"] is root[0])
                self.judge_spread(power, powers[root], *names)

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
        path = paths[None]
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


_REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


_COMPARE = {"MseLoss", "SmoothL1Loss", "HuberLoss"}


_PRODUCTS = ("Addmm", "Mm", "Bmm", "Convolution")


_SQUARE = _COMPARE | {"Pow", "Abs", "Mul"}


_SCALINGS = ("Add", "Div", "MaskedFill", "Mul", "Permute", "Sub", "Transpose", "Where")
"""What stands between the products of an attention and its softmax."""


_LINEAR = (
    *_SHAPES,
    *("TBackward", "Transpose", "Permute", "Addmm", "Mm", "Convolution"),
    *("NativeDropout", "Expand"),
)
"""Operations that two linear layers are still one linear layer with."""


_SAVED = ("result", "self", "other", "input")
"""What a node keeps of its operation."""


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
