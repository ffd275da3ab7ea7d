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

import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.before import _Before, _refill
from snippets.diagnostics.check_model_source.judge import _factor, _judge, _Seen, _Weight
from snippets.diagnostics.check_model_source.limits import FLAT, INPUT, ROOM, SAMPLES, UNITS
from snippets.diagnostics.check_model_source.report import ModelReport

ADVICE |= {
    "nll-without-log-softmax": (
        "fault",
        "The loss takes log-probabilities and gets something else.",
        "nn.NLLLoss has no softmax of its own.",
        "Use nn.CrossEntropyLoss on the logits, or return log_softmax.",
        "chapters/activation-functions/#use",
    ),
    "non-finite-gradient": (
        "fault",
        "The loss is finite and a gradient is not.",
        "An overflow on the way back, or a slope without value: sqrt(0), a norm of zeros, 0 * inf in where.",
        "torch.autograd.set_detect_anomaly(True) names the operation; add an epsilon inside it.",
        "chapters/exploding-gradients/#use",
    ),
    "no-gradient": (
        "fault",
        "The first layers are to be trained and get no gradient.",
        ".detach(), .data, torch.no_grad() or a step without gradient (argmax, round) between them and the loss.",
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


def check_model(model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Tensor] | None = None) -> ModelReport:
    """Run `model` and its loss forward and backward once, in the mode and
    precision it is in, and report.

    `batch` is a pair `(inputs, targets)`, and the loss is `loss_fn(output,
    targets)`. Inputs are a tensor, a tuple (`model(*inputs)`) or a dict
    (`model(**inputs)`). A batch that is no pair serves as both:
    `model(**batch)` and `loss_fn(output, batch)`. Without `loss_fn` the loss is
    the `loss` of the output.

    Raises ValueError, saying what to pass, for a model without parameters, a
    batch the model does not take, and a loss that is no scalar or has no
    gradient.
    """
    # of torch.compile: hooks see the model below
    model = getattr(model, "_orig_mod", model)
    parameters = list(model.parameters())
    if not parameters or any(nn.parameter.is_lazy(tensor) for tensor in (*parameters, *model.buffers())):
        raise ValueError(f"model must have parameters (run a lazy model once before), got {type(model).__name__}")
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = batch if pair else (batch, batch)
    watch = _Watch(model, inputs, targets)
    gradients = dict[str, Tensor | None]()
    with _untouched(model, batch, loss_fn) as before, torch.inference_mode(False), torch.enable_grad():
        try:
            value = watch.run(model, inputs, targets, loss_fn)
            watch.loss = value.item()
            before.look([("a tensor of the loss", leaf) for leaf in _leaves(value)])
            # Not torch.autograd.grad: checkpoints and reversible layers run
            # backward passes of their own, which write .grad.
            value.backward()
            gradients = {name: _dense(weight.grad) for name, weight in watch.parameters.items()}
        except _Stop:
            pass
    watch.measure(gradients)
    if before.lost:
        watch.find("not-put-back", f"{len(before.lost)} tensors", *before.lost)
    layers = watch.reports()
    return ModelReport(
        model=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        loss=watch.loss,
        chance_loss=watch.chance_loss,
        forward=_factor([layer.std for layer in layers]),
        backward=_factor([layer.gradient for layer in reversed(layers)]),
        layers=layers,
        findings=_judge(watch, layers),
    )


@contextmanager
def _untouched(model: nn.Module, batch: Any, loss_fn: Any) -> Iterator["_Tensors"]:
    """Whatever runs inside, model, batch, loss and random states come back."""
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type != "cpu"}
    kind = next(iter(devices)).type if devices else "cuda"
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy and numpy.random.get_state()
    before = _Tensors(model)
    try:
        before.look([("loss_fn", loss_fn), ("batch", batch)])
        with torch.random.fork_rng([device.index or 0 for device in devices], device_type=kind):
            yield before
    finally:
        before.restore()
        random.setstate(states[0])
        if numpy:
            numpy.random.set_state(states[1])


class _Tensors(_Before):
    def __init__(self, model: nn.Module) -> None:
        owned = [*model.named_parameters(), *model.named_buffers()]
        super().__init__(max(ROOM, sum(_bytes(tensor) for _, tensor in owned)))
        self.owned = {id(tensor) for _, tensor in owned}
        self.look([*((name or "model", module) for name, module in model.named_modules()), *owned])

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
        data, trained, leaf, hooks = tensor.data, tensor.requires_grad, tensor.is_leaf, tensor._backward_hooks
        copy = data.clone() if copied else None
        size = data.untyped_storage().nbytes() if data.layout is torch.strided and not data.is_nested else 0
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
            if size and data.untyped_storage().nbytes() < size:  # freed, as sharding does
                data.untyped_storage().resize_(size)
            if copy is not None:
                if not _same(data, copy):
                    data.copy_(copy)
            elif version is not None and tensor._version != version:
                raise ValueError("no copy")

        self.undo.append((name, undo))
        if hooks is not None:
            self.undo.append((name, partial(_refill, hooks, OrderedDict, OrderedDict.update, OrderedDict(hooks))))


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


def _leaves(loss: Tensor) -> list[Tensor]:
    """The tensors at the ends of the graph: those whose .grad a backward pass
    writes.
    """
    found, seen, todo = [], set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += (parent for parent, _ in node.next_functions)
            if hasattr(node, "variable"):
                found.append(node.variable)
    return found


def _dense(gradient: Tensor | None) -> Tensor | None:
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


class _Stop(Exception):
    """A finding explains why the pass cannot go on."""


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
        self.trained = {name for name, parameter in self.parameters.items() if parameter.requires_grad}
        self.running: list[str] = []
        self.inputs, self.targets = list(_tensors(inputs)), list(_tensors(targets))
        first = next(iter(self.inputs), None)
        self.examples = len(first) if first is not None and first.dim() else 0
        self.cosine = _cosine(first, self.examples) if first is not None and first.is_floating_point() else None
        self.scale = max((_rms(tensor) for tensor in self.inputs if tensor.is_floating_point()), default=0.0)
        bad = [tuple(tensor.shape) for tensor in self.inputs + self.targets if not _all_finite(tensor)]
        self.bad_input = f"in a tensor of shape {bad[0]}" if bad else ""
        if not model.training:
            self.find("evaluation-mode", "model.training is False")

    def run(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> Tensor:
        """The loss, a scalar with a gradient."""
        handles = []
        for name, module in model.named_modules():
            handles += [
                module.register_forward_pre_hook(lambda *_, name=name: self.running.append(name)),
                module.register_forward_hook(self.leave),
            ]
        given = ", ".join(str(tuple(tensor.shape)) for tensor in self.inputs) or type(inputs).__name__
        try:
            with self, _explained(lambda: f"batch of shape {given}: `{self.where()}` does not take what it is given"):
                if isinstance(inputs, Mapping):
                    output = model(**inputs)
                else:
                    output = model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)
        finally:
            for handle in handles:
                handle.remove()
        if loss_fn is None:
            value = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
        else:
            shapes = [[tuple(tensor.shape) for tensor in _tensors(of)] for of in (output, targets)]
            with self, _explained(lambda: f"loss_fn(output, targets), of shapes {shapes[0]} and {shapes[1]}, fails"):
                value = loss_fn(output, targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"loss_fn(output, targets), or without it the output's loss, must be a scalar, got {got}")
        if not value.requires_grad:
            raise ValueError("loss has no gradient: leave parameters trainable, and do not detach in loss_fn")
        return value

    def where(self) -> str:
        """The innermost module that was running."""
        return self.running[-1] if self.running and self.running[-1] else type(self.model).__name__

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        name = self.running.pop()
        weights = self.owned[module]
        tensor = next((tensor for tensor in _tensors(output) if tensor.is_floating_point()), None)
        if weights and tensor is not None:
            # else each of these statistics would be looked at as well
            with torch._C.DisableTorchFunction():
                self.look(name or type(module).__name__, module, weights, tensor)

    def look(self, name: str, module: nn.Module, weights: list[Tensor], tensor: Tensor) -> None:
        values = tensor.detach()
        numbers = {
            "kind": type(module).__name__,
            "shape": tuple(tensor.shape),
            "cosine": _cosine(values, self.examples),
            "weights": [self.names[weight] for weight in weights],
            "module": module,
        }
        row = self.add(name, _moments(values) | numbers)
        if tensor.requires_grad:
            tensor.register_hook(lambda gradient: row.update(gradient=_norm(gradient)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        before = getattr(self, f"before_{name}", None)
        if before:
            before(*args, **kwargs)
        result = func(*args, **kwargs)
        if self.rows and name in ("relu", "relu6", "hardtanh", "sigmoid", "tanh"):
            self.after_activation(name, result.detach())
        if name in ("add", "iadd", "radd") and len(args) > 1 and all(isinstance(arg, Tensor) for arg in args[:2]):
            one, other = args[:2]
            self.sums += one.dim() > 1 and one.shape == other.shape and one.requires_grad and other.requires_grad
        return result

    def after_activation(self, name: str, values: Tensor) -> None:
        if name in ("sigmoid", "tanh"):
            y = _sample(values)
            slope = 1 - y * y if name == "tanh" else 4 * y * (1 - y)
            self.note(self.rows[-1], "saturated", (slope < FLAT).double().mean().item())
        elif values.dim() > 1 and values.numel():
            unit = 1 if isinstance(self.rows[-1]["module"], nn.modules.conv._ConvNd) else values.dim() - 1
            if values.shape[unit] >= UNITS:
                largest = values.amax([dim for dim in range(values.dim()) if dim != unit])
                self.note(self.rows[-1], "dead", (largest <= 0).double().mean().item())

    def before_softmax(self, logits: Tensor, dim: int | None = None, *_: Any, **__: Any) -> None:
        if self.rows and dim is not None and logits.dim() > 2 and logits.requires_grad and logits.shape[dim] >= 8:
            rows = logits.detach().movedim(dim, -1).flatten(0, -2)
            self.look_at_scores(rows[_places(len(rows), 256, rows.device)])

    def before_scaled_dot_product_attention(
        self, query: Tensor, key: Tensor, *_: Any, scale: float | None = None, **__: Any
    ) -> None:
        if self.rows and key.shape[-2] >= 8:
            # The last queries see all keys, causal or not.
            one, all_keys = query.detach().flatten(0, -3)[0, -16:], key.detach().flatten(0, -3)[0]
            self.look_at_scores(one @ all_keys.T * (query.shape[-1] ** -0.5 if scale is None else scale))

    def look_at_scores(self, scores: Tensor) -> None:
        scores = scores.cpu().double()
        # Masks are written as -inf, as the lowest number, or as -10000.
        visible = (scores > scores.amax(-1, keepdim=True) - 5000).sum(-1) >= 8
        if visible.any():
            self.note(self.rows[-1], "peaked", scores[visible].softmax(-1).amax(-1).mean().item())

    def before_embedding(self, indices: Tensor, table: Tensor, *_: Any, **__: Any) -> None:
        low, high = (int(indices.min()), int(indices.max())) if indices.numel() else (0, 0)
        if low < 0 or high >= len(table):
            self.find("index-out-of-range", f"indices {low} to {high}, {len(table)} rows", self.where())
            raise _Stop

    def before_cross_entropy(
        self, logits: Tensor, target: Tensor, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
        *_: Any, **__: Any,
    ) -> None:  # fmt: skip
        rows = logits.detach().movedim(1, -1).flatten(0, -2) if logits.dim() > 1 else logits.detach()[None]
        classes = rows.shape[-1]
        self.check_labels(classes, target, ignore_index)
        places = _places(len(rows), 256, rows.device)
        some = rows[places].cpu().double()
        if classes > 1 and (some >= 0).all() and ((some.sum(-1) - 1).abs() < 1e-2).all():
            self.find("softmax-before-cross-entropy", "every row of the loss's input is >= 0 and has the sum 1")
        elif _maker(logits).startswith("Relu"):
            self.find("relu-before-loss", f"{(some == 0).double().mean():.0%} of the logits are exactly 0")
        if target.is_floating_point():
            labels = target.movedim(1, -1).flatten(0, -2)[places] if target.dim() > 1 else target[None]
            losses = -(some.log_softmax(-1) * labels.cpu().double()).sum(-1)
        else:
            labels = target.reshape(-1)[places].cpu()
            kept = labels != ignore_index
            losses = -some.log_softmax(-1)[kept].gather(1, labels[kept, None])
        if self.chance_loss is None and losses.numel():
            self.chance_loss, self.excess = math.log(classes), losses.mean().item() - math.log(classes)

    def before_nll_loss(
        self, log_p: Tensor, target: Tensor, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
        *_: Any, **__: Any,
    ) -> None:  # fmt: skip
        dim = 1 if log_p.dim() > 1 else 0
        self.check_labels(log_p.shape[dim], target, ignore_index)
        total = log_p.detach().double().logsumexp(dim)
        if (total.abs() > 1e-2).any():
            self.find("nll-without-log-softmax", f"the probabilities of a row have the sum {total.exp().mean():.3g}")

    def check_labels(self, classes: int, target: Tensor, ignore_index: int) -> None:
        labels = target[target != ignore_index]
        if not target.is_floating_point() and labels.numel() and not 0 <= labels.min() <= labels.max() < classes:
            self.find("labels-out-of-range", f"labels {labels.min()} to {labels.max()}, {classes} classes")
            raise _Stop

    def before_binary_cross_entropy_with_logits(self, logits: Tensor, target: Tensor, *_: Any, **__: Any) -> None:
        if _maker(logits).startswith("Sigmoid"):
            self.find("sigmoid-before-logits-loss", "the loss's input is the output of a sigmoid")
        loss = nn.functional.binary_cross_entropy_with_logits(logits.detach().float(), target.float())
        self.chance_loss, self.excess = math.log(2), loss.item() - math.log(2)

    def before_mse_loss(self, output: Tensor, target: Tensor, *_: Any, **__: Any) -> None:
        if output.shape != target.shape:
            self.find("broadcast-loss", f"output {tuple(output.shape)}, targets {tuple(target.shape)}")
        size = _rms(target)
        if INPUT < size < math.inf:
            self.find("target-scale", f"root mean square {size:.3g}, more than {INPUT:g}")

    before_l1_loss = before_smooth_l1_loss = before_huber_loss = before_mse_loss

    def measure(self, gradients: dict[str, Tensor | None]) -> None:
        """The weights, as they are after the pass, and their gradients."""
        gains = {module: _gain(module, self.owned[module]) for module in {row["module"] for row in self.rows}}
        for row in self.rows:
            row["gain"] = gains[row["module"]]
        twins = _twins(list(self.parameters.items()))
        owners = {weight: module for module, weights in self.owned.items() for weight in weights}
        for name, weight in self.parameters.items():
            gradient, owner = gradients.get(name), owners.get(weight)
            alike = owner is not None and _alike(_out_first(owner, weight.detach()), 0.0)
            self.weights[name] = _Weight(
                name=name,
                trained=name in self.trained,
                norm=_norm(weight.detach()),
                alike=alike,
                copy=name in twins,
                gradient=None if gradient is None else _norm(gradient),
                gradient_alike=alike and gradient is not None and _alike(_out_first(owner, gradient), 1e-5),
            )


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(f"{what()}: {error}") from error


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts (so also in packed
    sequences and in outputs of transformers).
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _weights(module: nn.Module) -> list[Tensor]:
    """The module's own parameters of two or more dimensions, those behind
    parametrizations included.
    """
    if isinstance(module, nn.utils.parametrize.ParametrizationList):
        return []
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [weight for part in module.parametrizations.values() for weight in part.parameters(recurse=False)]
    return [weight for weight in own if weight.dim() > 1 and weight.numel() and weight.is_floating_point()]


def _out_first(module: nn.Module, weight: Tensor) -> Tensor:
    """The weight with its output units along the first dimension, as `Linear`
    has it.
    """
    swapped = isinstance(module, nn.modules.conv._ConvTransposeNd) or type(module).__name__ == "Conv1D"
    return weight.transpose(0, 1) if swapped else weight


def _gain(module: nn.Module, weights: list[Tensor]) -> float | None:
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return None
    units = [_out_first(module, weight.detach()) for weight in weights]
    return max(_norm(unit) / math.sqrt(len(unit)) for unit in units)


def _twins(named: list[tuple[str, Tensor]]) -> set[str]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[Any, list[tuple[str, Tensor]]] = {}
    for name, weight in named:
        if weight.dim() > 1 and weight.numel() > 1:
            corner = tuple(weight.detach()[(slice(2),) * weight.dim()].flatten().tolist())
            if len(set(corner)) > 1:
                seen.setdefault((weight.shape, weight.dtype, corner), []).append((name, weight))
    return {
        name
        for group in seen.values()
        for name, weight in group
        if any(other is not weight and torch.equal(other, weight) for _, other in group)
    }


def _alike(units: Tensor, within: float) -> bool:
    """Two or more rows that hold the same numbers, up to a part of the largest."""
    if len(units) < 2 or (not within and not torch.equal(units[0], units[-1])):
        return False
    return bool(((units - units[:1]).abs() <= within * units.abs().max()).all())


def _maker(tensor: Tensor) -> str:
    return type(tensor.grad_fn).__name__


def _places(count: int, most: int, device: torch.device) -> Any:
    """Up to `most` indices below `count`, spread so that no period of the shape
    is hit alone.
    """
    if count <= most:
        return slice(None)
    return torch.arange(most, device=device) * 1_000_003 % count


def _sample(tensor: Tensor) -> Tensor:
    """Up to SAMPLES entries, float64 on the CPU."""
    flat = tensor.detach().reshape(-1)
    return flat[_places(len(flat), SAMPLES, flat.device)].cpu().double()


def _rms(tensor: Tensor) -> float:
    return _sample(tensor).square().mean().sqrt().item()


def _all_finite(tensor: Tensor | None) -> bool:
    # A sum shows a single NaN or Inf among millions, in one pass and without a
    # copy.
    return tensor is None or not tensor.is_floating_point() or math.isfinite(tensor.detach().sum(dtype=torch.float32))


def _moments(values: Tensor) -> dict[str, float]:
    some = _sample(values)
    finite = some[some.isfinite()]
    return {
        "mean": finite.mean().item(),
        "std": (finite - finite.mean()).square().mean().sqrt().item(),
        "non_finite": 0.0 if _all_finite(values) else 1.0 - values.isfinite().double().mean().item(),
    }


def _cosine(values: Tensor, examples: int) -> float | None:
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
    print(check_model(nn.Sequential(*hidden, nn.Linear(64, 10)), (inputs, labels), nn.CrossEntropyLoss()))
