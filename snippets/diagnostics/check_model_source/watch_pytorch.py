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
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.birth_pytorch import (
    _Birth,
    _Dropping,
)
from snippets.diagnostics.check_model_source.cuts_pytorch import _Cuts
from snippets.diagnostics.check_model_source.graph_pytorch import (
    _graph,
    _kind,
    _maker,
)
from snippets.diagnostics.check_model_source.history_pytorch import (
    _PRODUCTS,
    _SAVED,
    _History,
)
from snippets.diagnostics.check_model_source.judge import _judge
from snippets.diagnostics.check_model_source.layers_pytorch import _Layers
from snippets.diagnostics.check_model_source.limits import (
    FEW,
)
from snippets.diagnostics.check_model_source.losses_pytorch import _REGRESSIONS, _Losses
from snippets.diagnostics.check_model_source.measure_pytorch import (
    _alike,
    _all_finite,
    _called,
    _centred,
    _change,
    _cosine,
    _dense,
    _explained,
    _gain,
    _is_mask,
    _is_numpy,
    _norm,
    _out_first,
    _own_loss,
    _place_of,
    _series,
    _shape,
    _steps,
    _tensors,
    _texts,
    _twins,
    _way_round,
    _weights,
)
from snippets.diagnostics.check_model_source.operations_pytorch import _Operations
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


class _Watch(_Layers, _Operations, _Losses, _History, TorchFunctionMode):
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
        self.cut_off = _Cuts()
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

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        self.quietly(getattr(self, f"before_{name}", None), *args, **kwargs)
        result = func(*args, **kwargs)
        self.quietly(self.look_at_cut, name, result, [*args, *kwargs.values()])
        self.quietly(self.cut_off.look, name, result, [*args, *kwargs.values()])
        if self.in_loss:
            self.quietly(self.after_any, result, args)
            if name in _REGRESSIONS:
                self.quietly(self.look_at_error, result, *args, **kwargs)
            self.quietly(self.look_at_sign, name, result, args)
        elif self.rows:
            self.quietly(getattr(self, f"after_{name}", None), result, *args, **kwargs)
        return result

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
