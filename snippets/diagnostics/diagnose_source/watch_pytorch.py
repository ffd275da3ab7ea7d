"""Diagnose my training: what check_model sees, what the loss, the targets and
the optimizer say, and some dozen steps on trial.

    # for inputs, targets in batches: loss_fn(model(inputs), targets)
    data = (x, y)
    report = diagnose(model, data, loss_fn, optimizer, batch_size=32, epochs=10)
    # batches of a DataLoader
    report = diagnose(model, loader, loss_fn, optimizer, epochs=10)
    print(report)

Put check_model_pytorch.py beside this file. Model and optimizer are afterwards
what they were, also after an error or Ctrl-C: parameters, buffers, gradients,
state and rates of the optimizer, mode, random states. All trials together cost
at most some 400 steps.

    rate-too-high      a tenth of the rate gets below 0.7 of the loss
    steps-too-short    ten times the rate does, and rate * steps are too few

Source: the faults are those of the benchmarks of DeepFD (Cao et al., 2022) and
of Humbatova et al. (2025); the first look at a single batch is Karpathy's, "A
Recipe for Training Neural Networks" (2019).
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset, IterableDataset

from snippets.diagnostics.check_model_pytorch import (
    _batches_of,
    _called,
    _Cuts,
    _is_mask,
    _maker,
    _own_loss,
    _plain,
    _tensors,
    _untouched,
    check_model,
)
from snippets.diagnostics.check_model_source.report import Finding, ModelReport
from snippets.diagnostics.diagnose_source.judge import (
    _as_often,
    _Facts,
    _log_of_zero,
    _Looks,
    _not_held,
    _score,
    _unrelated,
)
from snippets.diagnostics.diagnose_source.limits import HELD, LOOKED_AT, STEPS
from snippets.diagnostics.diagnose_source.probe import _Clock
from snippets.diagnostics.diagnose_source.program import _FAILURES, _Failed, _Program
from snippets.diagnostics.diagnose_source.report import Diagnosis, _found


def diagnose(
    model: nn.Module,
    data: Any,
    loss_fn: Callable[[Any, Any], Tensor] | None,
    optimizer: torch.optim.Optimizer,
    *,
    batch_size: int | None = None,
    epochs: int | None = None,
    max_norm: float | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Say what keeps `model` from learning `data` with this loss and optimizer.

    `data` is a pair `(x, y)` of all examples, where each may be a tensor, or a
    tuple or dict of tensors; or a `DataLoader`, or a `Dataset`. A batch of it
    is used as in `check_model`: `loss_fn(model(inputs), targets)`, and without
    `loss_fn` the loss is the `loss` of `model(**batch)`. `batch_size` belongs
    to pairs and datasets, `epochs` is the length of the training (without it,
    nothing is said of the length), and `max_norm` that of
    `clip_grad_norm_`, if the training clips. Of a learning rate with a schedule
    the highest one is tried. Batches are moved to the device of the model.
    Ctrl-C ends the trials, and the report says what is known.

    Raises ValueError for an argument that is not what it should be. A model
    that fails on its data is a finding.
    """
    _check_arguments(model, data, loss_fn, optimizer, batch_size, epochs, max_norm)
    trains = model.training
    with _Clock(progress) as clock, _untouched(model, None, loss_fn):
        model.train()
        device = next(model.parameters()).device
        batches, per_epoch, examples = _batches(data, batch_size, device)
        planned = None if epochs is None or per_epoch is None else epochs * per_epoch
        training = _Training(
            clock,
            planned,
            model,
            loss_fn,
            optimizer,
            max_norm,
            batches,
            examples,
        )
        if not trains:
            evidence = "model.training is False; the trials are made in training mode"
            training.found.append(_found("evaluation-mode", evidence))
        return training.diagnosis()


def _check_arguments(
    model: Any,
    data: Any,
    loss_fn: Any,
    optimizer: Any,
    batch_size: Any,
    epochs: Any,
    max_norm: Any,
) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    parts = list(model.parameters())
    if not parts or any(
        isinstance(part, nn.parameter.UninitializedParameter) for part in parts
    ):
        raise ValueError(
            f"model must have parameters (run a lazy model once before), got {type(model).__name__}"
        )
    if isinstance(loss_fn, type) or not (loss_fn is None or callable(loss_fn)):
        raise ValueError(
            f"loss_fn must be a function or an instance such as nn.MSELoss(), got {loss_fn!r}"
        )
    if not hasattr(optimizer, "param_groups"):
        raise ValueError(
            f"optimizer must be a torch optimizer, got {type(optimizer).__name__}"
        )
    own = {id(weight) for weight in model.parameters()}
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    if not any(id(weight) in own for weight in held):
        raise ValueError(
            f"optimizer must hold parameters of the model, got {len(held)} others: make it after the model"
        )
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    loader = isinstance(data, DataLoader)
    if loader and batch_size is not None:
        raise ValueError(
            f"batch_size must be left to the DataLoader, got {batch_size!r}"
        )
    if not loader and batch_size is None:
        raise ValueError("batch_size must be given for data that is no DataLoader")
    if loader or isinstance(data, Dataset):
        return
    if not (isinstance(data, tuple | list) and len(data) == 2):
        got = (
            f"{len(data)} items"
            if isinstance(data, tuple | list)
            else type(data).__name__
        )
        raise ValueError(
            f"data must be a pair (x, y), a Dataset or a DataLoader, got {got}"
        )
    sizes = [len(part) if part.dim() else 0 for part in _tensors(data)]
    if len(sizes) < 2:
        got = " and ".join(type(part).__name__ for part in data)
        raise ValueError(
            f"data must hold tensors, torch.as_tensor(values) of an array, got {got}"
        )
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(
            f"data must hold an example at least, and as many inputs as targets, got {sizes}"
        )


def _batches(
    data: Any, batch_size: int | None, device: torch.device
) -> tuple[list[Callable[[], Any]], int | None, Any]:
    """Up to STEPS batches, the number of them in an epoch, and all examples as
    a pair, if they are at hand.
    """
    if isinstance(data, Dataset) and not isinstance(data, DataLoader):
        shuffled = not isinstance(data, IterableDataset)
        data = DataLoader(data, batch_size, shuffle=shuffled)
    if isinstance(data, DataLoader):
        try:
            per_epoch = len(data)
        except TypeError:  # of a stream
            per_epoch = None
        held = list(_held(data))
        if not held:
            raise ValueError("data must hold a batch at least, got an empty loader")
        return [partial(_moved, batch, device) for batch in held], per_epoch, None
    count = len(next(_tensors(data)))
    draw, places = np.random.default_rng(1), []
    while len(places) < STEPS:
        order = torch.as_tensor(draw.permutation(count))
        # A rest of one example is more than batch normalization can bear.
        parts = [part for part in order.split(batch_size) if len(part) == batch_size]
        places += parts or [order]
    return (
        [lambda place=place: _moved(_taken(data, place), device) for place in places],
        -(-count // batch_size),
        data,
    )


def _held(loader: DataLoader[Any]) -> Iterator[Any]:
    """The first batches of a loader."""
    held, batches = 0, _batches_of(loader)
    try:
        for count, batch in enumerate(batches):
            held += sum(part.numel() * part.element_size() for part in _tensors(batch))
            if count and (count >= STEPS or held > HELD):
                return
            yield batch
    finally:
        batches.close()


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure, its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_mapped(part, change) for part in value]
    return value


def _moved(batch: Any, device: torch.device) -> Any:
    return _mapped(batch, lambda part: part.to(device))


def _taken(data: Any, place: Tensor) -> Any:
    return _mapped(data, lambda part: part[place.to(part.device)])


@dataclass
class _Call:
    """Of a loss of torch."""

    func: Any
    output: Tensor
    target: Tensor
    settings: dict[str, Any]
    result: Any = None
    """None if it failed."""


class _Losses(TorchFunctionMode):
    """The losses of torch that a loss calls, and what it gives them."""

    def __init__(self, cuts: _Cuts) -> None:
        super().__init__()
        self.cuts = cuts
        self.calls: list[_Call] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name, place = getattr(func, "__name__", ""), getattr(func, "__module__", "")
        known = name in _KINDS and place == "torch.nn.functional"
        if known:
            self.calls.append(_Call(func, *args[:2], kwargs))
        result = func(*args, **kwargs)
        if known:
            self.calls[-1].result = result
        self.cuts.look(name, result, [*args, *kwargs.values()])
        return result


_KINDS = {
    "cross_entropy": "labels",
    "nll_loss": "labels",
    "binary_cross_entropy": "binary",
    "binary_cross_entropy_with_logits": "binary",
    "mse_loss": "squared",
    "l1_loss": "absolute",
    "smooth_l1_loss": "other",
    "huber_loss": "other",
    "multi_margin_loss": "hinge",
    "hinge_embedding_loss": "hinge",
}


class _Training(_Program):
    """How they make a step in PyTorch."""

    def __init__(
        self,
        clock: _Clock,
        planned: int | None,
        model: nn.Module,
        loss_fn: Any,
        optimizer: Any,
        max_norm: float | None,
        batches: list[Any],
        examples: Any,
    ) -> None:
        super().__init__(clock, planned)
        self.model, self.loss_fn = model, loss_fn
        self.optimizer, self.max_norm = optimizer, max_norm
        self.batches, self.examples = batches, examples
        self.output: Any = None
        """Of the last step."""
        self.weighted = False
        """The loss adds up what a loss of torch gives for each example."""
        self.cuts = _Cuts()
        self.reached = set[int]()
        """Weights that get a gradient, by identity."""
        self.terms: list[tuple[str, set[int]]] = []
        """Of the loss: what made each, and the weights that it reaches."""

    def judge_optimizer(self) -> list[Finding]:
        """Weights that get a gradient, and are in no group of the optimizer.

        Whole parts may be meant: another optimizer trains them, or they stay.
        """
        own = dict(self.model.named_parameters())
        held = [
            part for group in self.optimizer.param_groups for part in group["params"]
        ]
        known = {id(part) for part in held}
        strays = {
            name: part
            for name, part in own.items()
            if id(part) not in known and id(part) in self.reached
        }
        if not strays:
            return []
        part_of = _part_of(self.model)
        trained = {part_of(name) for name, part in own.items() if id(part) in known}
        # A layer that was replaced is still in the optimizer.
        ours = {id(part) for part in own.values()}
        widths = {
            part.shape[1:] for part in held if id(part) not in ours and part.dim() > 1
        }
        replaced = any(
            part.shape[1:] in widths for part in strays.values() if part.dim() > 1
        )
        split = any(part_of(name) in trained for name in strays)
        evidence = f"{len(strays)} weights in no group of the optimizer"
        if replaced:
            evidence += (
                ", which holds weights of the same width that are not the model's"
            )
        code = "not-in-optimizer" if split or replaced else "part-not-in-optimizer"
        found = [_found(code, evidence, *strays)]
        names = {id(part): name for name, part in own.items()}
        some = any(known & reached for _, reached in self.terms)
        for maker, reached in self.terms if some else ():
            others = [names[part] for part in names if part in reached]
            if others and not known & reached:
                what = f"{maker} reaches {len(others)} weights, 0 of the optimizer's"
                found.append(_found("idle-term", what, *others))
        return found

    def held(self) -> list[Tensor]:
        """The weights of the model that the optimizer trains."""
        groups = self.optimizer.param_groups
        known = {id(part) for group in groups for part in group["params"]}
        return [
            part
            for part in self.model.parameters()
            if part.requires_grad and id(part) in known
        ]

    def is_trained(self, name: str) -> bool:
        known = {id(part) for part in self.held()}
        layer = dict(self.model.named_modules()).get(name, self.model)
        return any(id(part) in known for part in layer.parameters())

    def checked(self) -> ModelReport:
        batch, some = self.batches[0](), self.some_examples()
        if len(next(_tensors(some))) != len(next(_tensors(batch))):
            # Some models take batches of one size alone.
            with suppress(ValueError):
                return check_model(self.model, some, self.loss_fn)
        return check_model(self.model, batch, self.loss_fn)

    def some_examples(self) -> Any:
        """A batch as the training draws it, but not a small one."""
        batch = self.batches[0]()
        if self.examples is None or len(next(_tensors(batch))) >= 32:
            return batch
        count = len(next(_tensors(self.examples)))
        order = np.random.default_rng(0).permutation(count)[:32]
        device = next(self.model.parameters()).device
        return _moved(_taken(self.examples, torch.as_tensor(order)), device)

    def both(self, batch: Any) -> tuple[Any, Tensor]:
        """Output and loss."""
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        inputs, targets = batch if pair else (batch, batch)
        output = _called(self.model, inputs)
        if self.loss_fn is None:
            return output, _own_loss(output)
        return output, _own_loss(self.loss_fn(output, targets))

    def watched(self, batch: Any) -> tuple[Any, _Call | None, Any]:
        """Output and loss, the one call of a loss of torch in it, and what
        failed.
        """
        both, failure = (None, None), None
        with _Losses(self.cuts) as seen:
            try:
                both = self.both(batch)
            except _FAILURES as error:
                failure = error
        return both, seen.calls[0] if len(seen.calls) == 1 else None, failure

    def find_facts(self) -> Tensor | None:
        """Fill `facts`; return the loss of a batch, with its graph."""
        self.clock.tick(1, "looking at the loss")
        batch = self.batches[0]()
        with _untouched(self.model, None, self.loss_fn):
            (_, value), call, failure = self.watched(batch)
        if call:
            self.facts = self.facts_of(call, batch, value)
        if isinstance(value, Tensor):
            self.reached = _reached(value.grad_fn)
            self.terms = [
                (type(term).__name__.partition("Backward")[0], _reached(term))
                for term in _terms(value.grad_fn)
            ]
        if failure:
            raise _Failed from failure
        return value

    def facts_of(self, call: _Call, batch: Any, value: Tensor | None) -> _Facts:
        func, settings, kind = call.func, call.settings, _kind(call)
        counts = _counts(call, value)
        self.weighted = counts is not None
        if counts is not None:
            output, targets = _rows(call, counts)
            parts = [targets, *(part for _, part in self.more_rows())]
            same = [part for part in parts if part.shape[1:] == targets.shape[1:]]
            targets = torch.cat(same)
        else:
            output, targets = call.output, self.all_targets(call.target, batch)
            if kind == "classes" or (kind != "labels" and _adds_up(output)):
                targets = _last(targets)
            if kind in ("labels", "classes") or _adds_up(output):
                output = _last(output)
        if kind == "labels":
            targets = targets[targets != settings.get("ignore_index", -100)]
        weights = settings.get("pos_weight" if kind == "binary" else "weight")
        unit = self.unit(call, value)
        return _Facts(
            kind=kind,
            logits=func.__name__
            in ("cross_entropy", "binary_cross_entropy_with_logits"),
            maker=_maker(call.output),
            output=_numbers(output),
            targets=_numbers(targets),
            value=unit and partial(_value, func, settings, kind, unit),
            weights=None if weights is None else _numbers(weights),
            smoothing=settings.get("label_smoothing", 0.0) if kind == "labels" else 0.0,
            unit=unit or 1.0,
            sums=settings.get("reduction") == "sum",
            ignored=settings.get("ignore_index", -100) if kind == "labels" else None,
        )

    def more_rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Of some further batches, the rows that count."""
        for make in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with _untouched(self.model, None, self.loss_fn):
                (_, value), call, _ = self.watched(make())
            if call is not None:
                yield _rows(call, _counts(call, value))

    def all_targets(self, target: Tensor, batch: Any) -> Tensor:
        """As the loss reads them: of all examples if it reads them as they are,
        else of some batches.
        """
        if self.examples is not None and isinstance(self.examples[1], Tensor):
            same = batch[1].numel() == target.numel()
            if same and torch.equal(batch[1].reshape(-1), target.reshape(-1)):
                return self.examples[1].reshape(-1, *target.shape[1:])
        parts = [target]
        for make in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with torch.no_grad(), _untouched(self.model, None, self.loss_fn):
                _, call, _ = self.watched(make())
            if call and call.target.shape[1:] == target.shape[1:]:
                parts.append(call.target)
        return torch.cat(parts)

    def unit(self, call: Any, value: Any) -> float | None:
        """The loss over the mean of its one part, None if there is more to
        it."""
        units = []
        for make in self.batches[:2]:
            if units:
                self.clock.tick(0.4, "looking at the loss")
                with (
                    torch.set_grad_enabled(self.weighted),
                    _untouched(self.model, None, self.loss_fn),
                ):
                    (_, value), call, _ = self.watched(make())
            if call is None or not isinstance(value, Tensor) or value.numel() != 1:
                return None
            counts = _counts(call, value)
            if counts is None:
                settings = {**call.settings, "reduction": "mean"}
                mean = call.func(call.output, call.target, **settings).item()
            else:
                mean = ((counts * call.result).sum() / counts.sum()).item()
            units.append(value.item() / mean if mean else math.nan)
        return units[0] if math.isclose(units[0], units[-1], rel_tol=1e-3) else None

    def looks(self, value: Tensor | None) -> _Looks:
        inputs = list(_tensors(self.examples[0])) if self.examples else []
        graph = value.grad_fn if isinstance(value, Tensor) else None
        return _Looks(
            inputs=[
                _numbers(part)
                for part in inputs
                if part.is_floating_point() and not _is_mask(part)
            ],
            normalized=_is_norm(
                next(
                    part
                    for part in self.model.modules()
                    if next(part.parameters(recurse=False), None) is not None
                )
            ),
            stacks=_stacks(graph, self.model, self.cuts),
            drops=[
                (name, part.p)
                for name, part in self.model.named_modules()
                if isinstance(part, nn.modules.dropout._DropoutNd)
            ],
            penalty=0.0 if graph is None else self.penalty(),
        )

    def penalty(self) -> float:
        """What weight decay does in the first step over what the loss does."""
        groups = self.optimizer.param_groups
        if not any(group.get("weight_decay") for group in groups):
            return 0.0
        moves = []
        for kept in (0, 1):
            with self.trial_of(1.0):
                for group in groups:
                    group["weight_decay"] *= kept
                weights = [weight for group in groups for weight in group["params"]]
                before = [weight.detach().clone() for weight in weights]
                self.step(self.batches[0], "looking at the penalty", self.optimizer)
                moves.append(
                    [
                        new.detach() - old
                        for new, old in zip(weights, before, strict=True)
                    ]
                )
        learned = _length(moves[0])
        shrunk = _length([one - other for one, other in zip(*moves, strict=True)])
        return shrunk / learned if learned else 0.0

    @contextmanager
    def trial_of(self, factor: float) -> Iterator[None]:
        """Whatever steps are made inside, at a multiple of the rate, all comes
        back.
        """
        groups = self.optimizer.param_groups
        with _untouched(self.model, None, self.loss_fn) as before:
            before.owned |= {
                id(part) for part in _tensors([*self.optimizer.state.values()])
            }
            before.owned |= {id(part) for group in groups for part in group["params"]}
            before.look([("optimizer", self.optimizer)])
            torch.manual_seed(0)
            random.seed(0)
            np.random.seed(0)
            for group in groups:
                # With a schedule, the rate may be low only now.
                peak = [group.get(name) or 0.0 for name in _RATES]
                group["lr"] = max(peak) * factor
            yield

    def step(
        self, make: Callable[[], Any], doing: str, optimizer: torch.optim.Optimizer
    ) -> float:
        """One step of the optimizer; the loss before it."""
        batch, losses = make(), list[float]()

        def closure() -> Tensor:
            self.clock.tick(1, doing)
            optimizer.zero_grad()
            output, value = self.both(batch)
            if not losses:
                self.output = output
            value.backward()
            if self.max_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
            losses.append(value.item())
            return value

        try:
            optimizer.step(closure)
        except _FAILURES as error:
            raise _Failed from error
        return losses[0]

    def run(self, factor: float, steps: int, alone: bool) -> list[float]:
        """The losses of a trial."""
        first = not self.probe.trials
        doing = f"rate x {factor:g}" + (" on one batch" if alone else "")
        losses = list[float]()
        with self.trial_of(1.0 if alone else factor):
            weights = self.held()
            optimizer = torch.optim.Adam(weights, factor) if alone else self.optimizer
            before = [weight.detach().clone() for weight in weights]
            enough = self.clock.spent + steps
            # An optimizer may need the loss several times in a step.
            while self.clock.spent < enough and not self.clock.stopped:
                place = 0 if alone else len(losses) % len(self.batches)
                try:
                    losses.append(self.step(self.batches[place], doing, optimizer))
                except _Failed:
                    if first and not self.ran_away(self.batches[place]):
                        raise
                    losses.append(math.inf)
                    break
                if not math.isfinite(losses[-1]):
                    if first:
                        self.probe.zeros = self.log_of_zero(place, len(losses))
                    break
                if first and len(losses) == self.probe.own:
                    enough += self.rate()
            moves = [
                new.detach() - old for new, old in zip(weights, before, strict=True)
            ]
            self.probe.moved.append(_length(moves) / max(_length(before), 1e-30))
        return losses

    def ran_away(self, make: Callable[[], Any]) -> bool:
        """Does the model return numbers that are none? Losses and distributions
        may refuse them.
        """
        batch, parts = make(), [*self.held()]
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        with torch.no_grad(), suppress(*_FAILURES):
            parts += _tensors(_called(self.model, batch[0] if pair else batch))
        return not all(bool(part.isfinite().all()) for part in parts)

    def log_of_zero(self, place: int, step: int) -> str:
        """Evidence that the last step took the logarithm of a 0."""
        batch, output = self.batches[place](), self.output
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        evidence = ""

        def loss(values: np.ndarray) -> float:
            given = torch.as_tensor(values, dtype=output.dtype, device=output.device)
            return float(self.loss_fn(given, batch[1] if pair else batch))

        with torch.no_grad(), suppress(*_FAILURES):
            if self.loss_fn is not None and isinstance(output, Tensor):
                evidence = _log_of_zero(_numbers(output), loss, step)
        return evidence

    def rate(self) -> float:
        """Fill in loss and accuracy of some examples, in both modes; return
        what it cost."""
        spent = self.clock.spent
        count = len(next(_tensors(self.batches[0]()), ()))
        some = self.batches[: max(1, LOOKED_AT // max(count, 1))]
        for training in (False, True):
            rated = self.rated(some, training)
            if rated is None:
                # A forward pass with gradients inside needs them here too.
                break
            values, outputs, targets = rated
            if not training:
                self.probe.settled = sum(values) / len(values)
            if outputs is not None:
                self.probe.scores.append(_score(self.facts, outputs, targets))
        return self.clock.spent - spent

    def rated(
        self, batches: list[Callable[[], Any]], training: bool
    ) -> tuple[list[float], Any, Any] | None:
        """Losses, and outputs and targets if the loss is known; None if it
        fails."""
        values, outputs, targets = [], [], []
        for make in batches:
            self.clock.tick(0.4, "rating")
            self.model.train(training)
            with torch.set_grad_enabled(self.weighted):
                (output, value), call, failure = self.watched(make())
            if failure:
                return None
            values.append(value.item())
            if call and self.facts:
                counts = _counts(call, value)
                # The sign of an output may be turned in the loss.
                if isinstance(output, Tensor) and output.shape == call.output.shape:
                    call.output = output
                output, target = _rows(call, counts)
                outputs.append(output.detach())
                targets.append(target)
        if len({part.shape[1:] for part in outputs}) != 1:
            return values, None, None
        return values, _numbers(torch.cat(outputs)), _numbers(torch.cat(targets))

    def unrelated(self) -> str:
        """Evidence that labels have nothing to do with inputs."""
        pairs = [self.examples] if self.examples else [make() for make in self.batches]
        if not self.facts or any(
            not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs
        ):
            return ""
        parts = [[next(_tensors(part), None) for part in pair] for pair in pairs]
        if (
            len(
                {
                    tuple(one is not None and one.shape[1:] for one in part)
                    for part in parts
                }
            )
            > 1
        ):
            return ""
        x, y = (torch.cat(part) for part in zip(*parts, strict=True))
        return _unrelated(_numbers(y), _numbers(x))

    def by_heart(self, steps: int, low: float) -> tuple[list[float], str]:
        """The losses of a training on two thirds of the examples, until it is
        as low, and evidence that nothing of it holds for the others."""
        losses, evidence = list[float](), ""
        kept, others = self.apart()
        if not kept or not others:
            return losses, evidence
        with self.trial_of(1.0):
            while len(losses) < steps and not self.clock.stopped:
                make = kept[len(losses) % len(kept)]
                losses.append(self.step(make, "some held out", self.optimizer))
                some = losses[-len(kept) :]
                if len(some) == len(kept) and sum(some) < low * len(kept):
                    break
            rated = self.rated(others, training=False)
            if rated and rated[1] is not None:
                evidence = _not_held(self.facts, *rated[1:])
        return losses, evidence

    def apart(self) -> tuple[list[Any], list[Any]]:
        """Batches of two thirds of the examples, and of the others."""
        if self.examples is None:
            cut = len(self.batches) * 2 // 3
            return self.batches[:cut], self.batches[cut:]
        count = len(next(_tensors(self.examples)))
        size = len(next(_tensors(self.batches[0]())))
        order = torch.as_tensor(np.random.default_rng(2).permutation(count))
        cut, device = count * 2 // 3, next(self.model.parameters()).device
        return tuple(
            [
                lambda place=place: _moved(_taken(self.examples, place), device)
                for place in part.split(size)
                if len(place) == min(size, len(part))
            ]
            for part in (order[:cut], order[cut : cut + LOOKED_AT])
        )


_RATES = ("lr", "initial_lr", "max_lr")


def _numbers(tensor: Tensor) -> np.ndarray:
    tensor = _plain(tensor).cpu()
    return (
        tensor.numpy() if tensor.dtype is not torch.bfloat16 else tensor.float().numpy()
    )


def _last(tensor: Tensor) -> Tensor:
    """Classes last, which a cross-entropy has second."""
    return tensor.movedim(1, -1) if tensor.dim() > 1 else tensor


def _kind(call: _Call) -> str:
    """As `_Facts` has it."""
    kind = _KINDS[call.func.__name__]
    soft = kind == "labels" and call.target.is_floating_point()
    return "classes" if soft else kind


def _counts(call: _Call, value: Any) -> Tensor | None:
    """Of what a loss gives for each example, or for each step of it, how much
    it counts in the whole: 0 where a mask leaves it out. None if all count
    alike, or if there is more to the loss.
    """
    parts = call.result
    scalar = isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad
    if not scalar or parts is None or not parts.dim() or not parts.requires_grad:
        return None
    (counts,) = torch.autograd.grad(value, parts, retain_graph=True, allow_unused=True)
    if counts is None or bool((counts < 0).any()) or not bool(counts.any()):
        return None
    whole = (counts * parts).sum().item()
    even = bool((counts == counts.flatten()[0]).all())
    if even or not math.isclose(whole, value.item(), rel_tol=1e-3):
        return None
    return counts


def _rows(call: _Call, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Output and targets, classes last; each as often as it counts."""
    kind, output, target = _kind(call), call.output, call.target
    if kind in ("labels", "classes"):
        output, target = _last(output), _last(target) if kind == "classes" else target
        if counts is not None:
            output = output.flatten(0, -2)
            target = target.flatten(0, len(counts.shape) - 1)
    elif counts is not None and output.shape == target.shape == counts.shape:
        if output.dim() > 1 and bool((counts == counts[..., :1]).all()):
            output, target = output.flatten(0, -2), target.flatten(0, -2)
            counts = counts[..., 0]
        else:
            output, target = output.reshape(-1, 1), target.reshape(-1, 1)
    else:
        counts = None
    if counts is None:
        return output, target
    places = torch.as_tensor(_as_often(_numbers(counts.flatten())))
    return output[places.to(output.device)], target[places.to(target.device)]


def _adds_up(output: Tensor) -> bool:
    """Pictures of probabilities: of all channels they make 1."""
    if output.dim() < 3 or _maker(output) != "Softmax":
        return False
    return bool(((output.detach().sum(1) - 1).abs() < 1e-2).all())


def _value(
    func: Any,
    settings: dict[str, Any],
    kind: str,
    unit: float,
    answer: np.ndarray,
    targets: np.ndarray,
) -> float:
    """The loss of an answer, a probability for a cross-entropy."""
    given, wanted = torch.tensor(answer), torch.tensor(targets)
    if func.__name__ == "binary_cross_entropy_with_logits":
        given = given.clamp(1e-9, 1 - 1e-9).logit()
    elif kind == "classes":
        given, wanted = (
            given.clamp_min(1e-30).log().movedim(-1, 1),
            wanted.movedim(-1, 1),
        )
    settings = _mapped(settings, lambda part: part.cpu().double())
    return unit * func(given, wanted, **{**settings, "reduction": "mean"}).item()


def _length(tensors: list[Tensor]) -> float:
    return math.hypot(*(torch.linalg.vector_norm(part).item() for part in tensors))


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__


def _part_of(model: nn.Module) -> Callable[[str], str]:
    """Names the part of a model that a weight belongs to: the child that holds
    it. Where one child holds all, it is a wrapper, and its children count.
    """
    names, prefix = [name for name, _ in model.named_parameters()], ""
    while True:
        firsts = {name[len(prefix) :].partition(".")[0] for name in names}
        deeper = f"{prefix}{next(iter(firsts))}."
        if len(firsts) > 1 or not all(name.startswith(deeper) for name in names):
            # Weights that the model holds itself are one part.
            return lambda name: name[len(prefix) :].rpartition(".")[0].partition(".")[0]
        prefix = deeper


def _reached(graph: Any) -> set[int]:
    """The tensors that a backward pass from here gives a gradient, by
    identity."""
    nodes, todo, found = set(), [graph], set[int]()
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        found.add(id(getattr(node, "variable", None)))
        todo += [source for source, _ in node.next_functions]
    return found


def _terms(graph: Any) -> Iterator[Any]:
    """What a loss adds up, without constant factors."""
    todo = [graph]
    while todo:
        node = todo.pop()
        sources = [source for source, _ in getattr(node, "next_functions", ())]
        given = [source for source in sources if source is not None]
        kind = type(node).__name__.partition("Backward")[0]
        scaled = kind in ("Mul", "Div", "Neg") and len(given) == 1
        # Of a stack of losses; what else is reduced is a loss by itself.
        stacked = kind in ("Sum", "Mean") and "Stack" in type(given[0]).__name__
        if scaled or stacked or kind in ("Add", "Sub", "Stack"):
            todo += given
        elif node is not None:
            yield node


_PASSED = (
    "View",
    "UnsafeView",
    "Reshape",
    "NativeDropout",
    "Mul",
    "Squeeze",
    "Unsqueeze",
    "Alias",
    "Clone",
    "ToCopy",
)
"""Operations that leave two linear layers one."""


def _stacks(graph: Any, model: nn.Module, cuts: _Cuts) -> list[str]:
    """Pairs of linear layers of which the second one reads the first one alone,
    and which are no bottleneck.
    """
    named = {
        id(part.weight): (name, part)
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
    }
    nodes, todo, readers = set(), [graph], dict[Any, int]()
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        for source, _ in node.next_functions:
            readers[source] = readers.get(source, 0) + 1
            todo.append(source)
    found = {}
    for node in nodes:
        after, source = _linear(node, named)
        while source is not None and readers[source] == 1 and _is_passed(source):
            source = next(one for one, _ in source.next_functions if one is not None)
        before, _ = _linear(source, named)
        if after and before and readers[source] == 1:
            first, second = before[1], after[1]
            through = first.out_features == second.in_features
            # The first of two factors of a matrix has no bias.
            wide = first.out_features >= min(first.in_features, second.out_features)
            # What a loss reads past the graph is a layer of its own.
            alone = through and wide and not cuts.end_at(first.weight)
            if alone and first.bias is not None:
                found[before[0]] = f"{before[0]} and {after[0]}"
    return [found[name] for name, _ in named.values() if name in found]


def _is_passed(node: Any) -> bool:
    sources = [source for source, _ in node.next_functions if source is not None]
    name = type(node).__name__.partition("Backward")[0]
    return name in _PASSED and len(sources) == 1


def _linear(node: Any, named: dict[int, Any]) -> tuple[Any, Any]:
    """The linear layer that a node of the graph is, and what it reads."""
    name = type(node).__name__.partition("Backward")[0]
    if name not in ("Addmm", "Mm"):
        return None, None
    read, weight = [source for source, _ in node.next_functions][-2:]
    while weight is not None and not hasattr(weight, "variable"):
        weight = weight.next_functions[0][0] if weight.next_functions else None
    layer = named.get(id(weight.variable)) if weight is not None else None
    return layer, read if layer else None


if __name__ == "__main__":
    torch.manual_seed(0)
    inputs = torch.randn(512, 20)
    labels = (inputs[:, 0] + inputs[:, 1] > 0).long()
    network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
    slow = torch.optim.SGD(network.parameters(), lr=1e-3)
    pair, loss = (inputs, labels), nn.CrossEntropyLoss()
    print(diagnose(network, pair, loss, slow, batch_size=32, epochs=10))
