"""Check my model: one forward and backward pass, a table of every layer, and
what is wrong with it.

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # loss(targets, model(inputs, training=True))
    report = check_model(model, (inputs, targets), loss)
    # the loss that the model was compiled with
    report = check_model(model, (inputs, targets))
    print(report)

The model is afterwards what it was, also after an error: weights, moving
statistics, attributes, seed generators, optimizer and random states. So is the
loss. Needs the TensorFlow backend; the pass runs eagerly.

    gain of a weight = rms(W) * sqrt(fan_in)
        1 Glorot, the default (square), 1.41 He
    factor per layer = 10^(median slope of log10(size) over the layers)
        1 is carried through any depth

Source: Glorot & Bengio (2010), equations 2 to 7, for the signals of a layer;
Schoenholz et al. (2017) for angles.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, losses, tree
from keras.src.random.seed_generator import global_seed_generator
from tensorflow.python.framework import op_callbacks

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.birth_keras import _Birth
from snippets.diagnostics.check_model_source.history_keras import _History
from snippets.diagnostics.check_model_source.judge import _judge
from snippets.diagnostics.check_model_source.layers_keras import _Layers
from snippets.diagnostics.check_model_source.losses_keras import _Losses
from snippets.diagnostics.check_model_source.measure_keras import (
    _alike,
    _all_finite,
    _array,
    _arrays,
    _centred,
    _cosine,
    _explained,
    _is_mask,
    _is_of_keras,
    _leaves,
    _norm,
    _scale,
    _series,
    _steps,
    _taken,
    _texts,
    _twins,
    _units,
    _way_round,
    _weights,
)
from snippets.diagnostics.check_model_source.operations_keras import _Operations
from snippets.diagnostics.check_model_source.report import ModelReport
from snippets.diagnostics.check_model_source.seen import _Stop, _Weight
from snippets.diagnostics.check_model_source.signals import _factor, _neighbours, _place
from snippets.diagnostics.check_model_source.state_keras import _untouched, _Variables

ADVICE |= {
    "logits-without-from-logits": (
        "fault",
        "The loss takes probabilities and gets something else.",
        "The model returns logits, and from_logits of the loss is False, its default.",
        "from_logits=True in the loss; or a softmax (sigmoid) after the last layer.",
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
        "ops.stop_gradient, a trip through NumPy or a step without gradient (argmax, round) between them and the loss.",
        "Remove it; or freeze these layers, if that is meant: layer.trainable = False.",
        "chapters/vanishing-gradients/#use",
    ),
    "identical-layers": (
        "note",
        "Layers that are not shared hold the same numbers.",
        "One initializer object for many layers: every call of a Keras initializer draws the same numbers.",
        "Give each layer an initializer of its own, or its name as a string.",
        "chapters/he-initialization/#use",
    ),
}


def check_model(
    model: keras.Model, batch: Any, loss_fn: Callable[[Any, Any], Any] | None = None
) -> ModelReport:
    """Run `model` and its loss forward and backward once, with `training=True`,
    and report.

    `batch` is a pair `(inputs, targets)`; inputs are what the model takes: an
    array, or a tuple, list or dictionary of arrays. Of a `tf.data.Dataset` or a
    `PyDataset` the first batch is taken. The loss is
    `loss_fn(targets, output)`, in the order of `keras.losses`; without it, the
    compiled one, with what layers add to it (`add_loss`). A model that is
    frozen throughout gets no backward pass, and the report says so.

    Raises ValueError, saying what to pass, for a model that is not built or has
    no weights, a batch the model does not take, a loss that is no scalar or has
    no gradient, and another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the Keras backend must be tensorflow, got {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    if not model.built or not model.weights:
        raise ValueError(
            f"model must have weights (build it, or run it on a batch once before), got {model.name!r}"
        )
    if isinstance(batch, tf.data.Dataset | keras.utils.PyDataset):
        batch = _first(batch)
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        got = (
            f"{len(batch)} items"
            if isinstance(batch, tuple | list)
            else type(batch).__name__
        )
        raise ValueError(
            f"batch must be a pair (inputs, targets) without weights, {_way_to(batch)}, got {got}"
        )
    inputs, targets = batch
    bare = [part for part in tree.flatten(batch) if isinstance(part, float | int | str)]
    if bare:
        raise ValueError(
            f"batch must hold arrays, np.array(values) of a list of numbers, got a list with {bare[0]!r}"
        )
    compiled = loss_fn is None
    if loss_fn is None:
        own = type(model).compute_loss is not keras.Model.compute_loss
        loss_fn = getattr(model, "loss", None)
        if own:
            loss_fn, compiled = _computed_by(model, inputs), False
        elif loss_fn is None and not model.compiled:
            raise ValueError(
                "loss_fn must be given for a model that is not compiled with a loss"
            )
    if isinstance(loss_fn, type):
        raise ValueError(
            f"loss_fn must be a function or an instance, got the class {loss_fn.__name__}"
        )
    if loss_fn is None or isinstance(loss_fn, dict | list | tuple):
        # of several outputs, or added by layers alone: the compiled model knows
        loss_fn, compiled = _computed_by(model, inputs), False
    loss_fn = losses.get(loss_fn)
    empty = [value.shape for value in _arrays(inputs) if not value.size]
    if empty:
        raise ValueError(
            f"batch must hold an example at least, got inputs of shape {empty[0]}"
        )
    watch = _Watch(model, inputs, targets)
    trained = list(model.trainable_variables)
    slopes: list[Any] = [None] * len(trained)
    with (
        _untouched(model, watch.layers, batch, loss_fn) as before,
        tf.GradientTape() as tape,
    ):
        try:
            value = watch.run(loss_fn)
            watch.loss = float(value)
            added = [part._id for part in (_added(model) if compiled else ())]
            watch.quietly(watch.judge_divergence, [watch.whole, *added])
            if compiled:
                parts = [tf.reduce_sum(part) for part in _added(model)]
                value += sum((tf.cast(part, value.dtype) for part in parts), 0.0)
            if not trained:
                watch.judge_still()
            watch.judge_variables(tape.watched_variables(), before)
            with tape.stop_recording():
                outputs = [row["tensor"] for row in watch.rows]
                products = [product for product, _ in watch.products]
                slopes = tape.gradient(
                    value,
                    [*(variable.value for variable in trained), *outputs, *products],
                )
            if all(slope is None for slope in slopes[: len(trained)]):
                ends = [*(what for *_, what in watch.cuts), watch.compared_at]
                end = f" (it ends at {ends[0]})" if ends[0] else ""
                raise ValueError(
                    "loss has no gradient: pass a loss that depends on the output, and stop no gradient on the way"
                    + end
                )
            watch.done = watch.went_back = True
            with tape.stop_recording():
                if not math.isfinite(watch.loss):
                    watch.quietly(watch.hunt, loss_fn)
                elif all(map(_all_finite, slopes[: len(trained)])):
                    watch.ask(loss_fn)
                else:
                    watch.quietly(watch.hunt_back, loss_fn, trained)
        except _Stop:
            pass
    watch.measure(trained, slopes)
    if before.lost:
        watch.find("not-put-back", f"{len(before.lost)} values", *before.lost)
    reports = watch.reports()
    chain = [reports[place] for place in watch.chain]
    return ModelReport(
        model=model.name,
        parameters=model.count_params(),
        trainable=sum(math.prod(variable.shape) for variable in trained),
        loss=watch.loss,
        chance_loss=watch.chance_loss,
        forward=_factor([layer.std for layer in chain]),
        backward=_factor([layer.gradient for layer in reversed(chain)]),
        depth=len(chain),
        layers=reports,
        findings=_judge(watch, reports),
    )


def _added(model: keras.Model) -> list[tf.Tensor]:
    """What layers have added to the loss in the pass. Penalties on weights are
    left out: they reach every weight, wherever the gradient ends.
    """
    return [part for layer in model._flatten_layers() for part in layer._losses]


def _computed_by(model: keras.Model, inputs: Any) -> Callable[[Any, Any], Any]:
    """The loss that a model computes itself."""
    return lambda targets, output: model.compute_loss(
        x=inputs, y=targets, y_pred=output
    )


def _first(batches: Any) -> Any:
    """Of a dataset; of an empty one, nothing."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    return next(iter(batches), ())


def _way_to(batch: Any) -> str:
    """A batch, from what was given."""
    if isinstance(batch, Mapping) and "labels" in batch:
        return "(inputs, labels) of a dictionary that holds both"
    return "next(batches) of a generator or of iter(loader)"


class _Watch(_Birth, _Layers, _Operations, _History, _Losses):
    """Sees every layer through its `call`, and every activation through the
    operations that TensorFlow runs.
    """

    def __init__(self, model: keras.Model, inputs: Any, targets: Any) -> None:
        super().__init__()
        self.model, self.given, self.wanted = model, inputs, targets
        self.layers = _leaves(model)
        self.names = {id(weight): weight.path for weight in model.weights}
        self.running: list[tuple[keras.Layer, dict[str, Any]]] = []
        # By the number of a tensor: the operation and its first input, whether
        # weights had a part in it, and the layers that it went through.
        self.makers: dict[int, tuple[str, int]] = {}
        self.ways: dict[int, tuple[str, list[int]]] = {}
        """Of what weights had a part in, the operation and all its inputs."""
        self.factors: dict[int, float] = {}
        """Of a product in the loss with what is no weight's, its largest
        factor."""
        self.constants: dict[int, int] = {}
        """The sign of what is no weight's in a product or a quotient."""
        self.numbers: dict[int, float] = {}
        """The factor that it is, if it is one number."""
        self.noisy: set[int] = set()
        """Products with as many numbers, above and below 0, as there are."""
        self.output: Any = None
        self.whole = 0
        """The number of the loss, before it is a mean."""
        self.axes: dict[int, int] = {}
        """Of what was moved to the end by a transposition, the old place."""
        self.learned: set[int] = set()
        self.paths: dict[int, tuple[int, Any]] = {}
        self.squashed: list[tuple[dict[str, Any], int]] = []
        self.inputs, self.targets = _arrays(inputs), _arrays(targets)
        self.examples = (
            len(self.inputs[0]) if self.inputs and self.inputs[0].ndim else 0
        )
        self.cosine = _cosine(self.inputs[0], self.examples) if self.inputs else None
        bad = [
            value.shape
            for value in self.inputs + self.targets
            if not np.isfinite(value).all() and not _is_mask(value)
        ]
        self.bad_input = f"in an array of shape {bad[0]}" if bad else ""
        self.in_loss = self.done = False
        # By the number of a tensor: the row of the linear layer that it comes
        # straight from; and those whose last axis is that of the examples.
        self.linear: dict[int, int] = {}
        self.readers = Counter[int]()
        self.turned: set[int] = set()
        self.recurrent: list[tuple[layers.RNN, Any, tf.Tensor]] = []
        self.handles = {
            part.value.handle._id: part.path
            for part in model.weights
            if isinstance(part.value, tf.Variable)
        }
        self.inside_keras = self.evaluating = False
        self.loose: dict[int, tuple[int, bool, str]] = {}
        """Cuts whose result nobody has read yet, by the number of it."""
        self.compared_at = ""
        """The first comparison of what weights had a part in, or cut."""
        self.norms = {id(_scale(part)) for part in self.layers} - {id(None)}
        self.steps = _steps(model, self.layers)
        # Of the loss, by the number of a tensor: logarithms of what weights had
        # no part in, and the sign of those of what they had; what was negated.
        self.logged: set[int] = set()
        self.signs: dict[int, int] = {}
        self.negated: set[int] = set()
        self.inverse: set[int] = set()
        self.softplus: set[bool] = set()
        self.products_of_output = False
        self.products: list[tuple[tf.Tensor, int]] = []
        self.results: set[int] = set()
        self.signed: dict[int, tuple[str, float, float]] = {}
        """Of outputs that may go below 0, what made them, and their range."""
        self.texts = _texts(inputs)
        self.tokens = next(iter(self.texts), None)
        if self.tokens is None:
            self.tokens = _series(self.inputs, self.targets)
            self.shifts |= set() if self.tokens is None else {1}

    def run(self, loss_fn: Any) -> tf.Tensor:
        """The loss, a scalar."""
        for layer in self.layers:
            object.__setattr__(layer, "call", self.watched(layer, layer.call))
        mode = (
            {"training": True}
            if getattr(self.model, "_call_has_training_arg", True)
            else {}
        )
        shapes = ", ".join(str(value.shape) for value in self.inputs)
        op_callbacks.add_op_callback(self.operation)
        try:
            with _explained(
                lambda: (
                    f"batch of shape {shapes}: {self.where()!r} does not take what it is given"
                )
            ):
                output = self.model(self.given, **mode)
        finally:
            op_callbacks.remove_op_callback(self.operation)
        results = [
            part._id for part in tree.flatten(output) if isinstance(part, tf.Tensor)
        ]
        self.chain, self.output = self.longest(results), output
        for row in self.rows:
            # What others read as well is more than a step on the way.
            alone = row["straight"] and self.readers[row["straight"][1]] < 2
            row["straight"] = row["straight"][0] if alone else None
        self.results = sources = {self.source(result) for result in results}
        for part in tree.flatten(output):
            if isinstance(part, tf.Tensor) and part.dtype.is_floating:
                low, high = float(tf.reduce_min(part)), float(tf.reduce_max(part))
                if low < 0 or part._id in self.linear:
                    made = self.maker(part).lower(), low, high
                    self.signed[self.source(part._id)] = made
        for row, result in self.squashed:
            row.get("row", row)["predicts"] = result in sources
        own = not _is_of_keras(loss_fn)
        if isinstance(output, tf.Tensor) and not own:
            self.quietly(self.judge_loss, loss_fn, output)
        shapes = [
            [value.shape for value in self.targets],
            [tuple(part.shape) for part in tree.flatten(output)],
        ]
        with _explained(
            lambda: (
                f"loss_fn(targets, output), of shapes {shapes[0]} and {shapes[1]}, "
                f"fails{_way_round(loss_fn, self.wanted, output)}"
            )
        ):
            self.in_loss, self.inside_keras = True, not own
            op_callbacks.add_op_callback(self.operation)
            try:
                with self.crossentropies() if own else nullcontext():
                    value = tf.convert_to_tensor(loss_fn(self.wanted, output))
                    self.whole = value._id
            finally:
                op_callbacks.remove_op_callback(self.operation)
        if self.softplus == {False} and self.products_of_output:
            self.find_exchange()
        if own and tree.is_nested(output):
            self.quietly(self.look_at_terms)
        if (
            math.prod(value.shape) != 1
            and not hasattr(loss_fn, "get_config")
            and value.shape[:1] == (self.examples,)
        ):
            # a function of keras.losses gives one number per example
            value = tf.reduce_mean(value)
        if math.prod(value.shape) != 1:
            raise ValueError(
                f"loss_fn(targets, output) must be a scalar, with a reduction, got shape {tuple(value.shape)}"
            )
        return tf.reshape(value, ())

    def ask(self, loss_fn: Any) -> None:
        """What one pass does not show: other outputs, memory, evaluation, and
        neighbors."""
        self.quietly(self.look_at_constants, loss_fn)
        for layer, call, given in self.recurrent:
            self.quietly(self.look_through_time, layer, call, given)
        if self.steps and any(
            isinstance(layer, layers.BatchNormalization) for layer in self.layers
        ):
            self.quietly(self.evaluate, loss_fn)
        self.evaluating = True
        for count in () if self.rounded else (4, 5, 6):
            if self.compared < 2:
                self.quietly(self.look_at_neighbours, count)
        if self.shifts & {0, 1}:
            self.quietly(self.look_at_order)
        else:
            self.judge_shift(False)

    def evaluate(self, loss_fn: Any) -> None:
        value = loss_fn(self.wanted, self.model(self.given, training=False))
        self.evaluation = float(tf.reduce_mean(value))

    def look_at_neighbours(self, count: int) -> None:
        """Does an output change with the examples beside it?"""
        if any(value.shape[:1] != (self.examples,) for value in self.targets):
            return
        count, outputs = min(count, self.examples), []
        seeds = global_seed_generator().state
        state = seeds.numpy()
        place = _place(self.compared, self.examples)
        if not (picks := _neighbours(self.examples, count, place)):
            return
        # The first ones once more: a model that draws or remembers answers
        # otherwise.
        for pick in (*picks, picks[0]):
            random.seed(0)
            np.random.seed(0)
            seeds.assign(state)
            some = tree.map_structure(partial(_taken, self.examples, pick), self.given)
            output = self.model(some, training=False)
            outputs.append(
                [
                    (_array(part), part.dtype.size)
                    for part in tree.flatten(output)
                    if part.dtype.is_floating and part.shape[:1] == (count,)
                ]
            )
        # Each against each: similarities, as contrastive losses take them.
        if not outputs[0] or outputs[0][0][0].shape[1:2] == (count,):
            return
        changes, apart = [], 0.0
        for (first, size), (moved, _), (again, _) in zip(*outputs, strict=True):
            if not np.array_equal(first, again):
                return
            if first.shape[1:2] == (count,):
                continue
            # Below float32, the digits in common cover the rest.
            fine = 1e-3 if size > 2 else 1.0
            # What all examples have in common, such as a bias, says nothing.
            spread, whole = abs(first - first.mean(0)).max(), abs(first).max()
            change = abs(first[place] - moved[place]).max()
            apart = apart if changes else float(spread / (whole or 1.0))
            changes.append(float(change / (max(spread, fine * whole) or 1.0)))
        if math.isfinite(sum(changes)):
            further = max(changes[1:], default=0.0)
            self.judge_neighbours(changes[0], further, apart)

    def judge_still(self) -> None:
        """There is no way back."""
        self.find(
            "nothing-trains", f"{len(self.names)} weights, of which none is trainable"
        )
        raise _Stop

    def judge_variables(
        self, used: tuple[tf.Variable, ...], before: _Variables
    ) -> None:
        """Variables that the tape saw and that are neither the model's nor the
        loss's.
        """
        own = {id(variable.value) for variable in self.model.variables}
        outside = before.seen.keys() - before.inside
        strange = [variable for variable in used if id(variable) not in own | outside]
        if strange:
            names = dict.fromkeys(variable.name for variable in strange)
            self.find(
                "unregistered-weights",
                f"{len(strange)} variables that are not model.variables",
                *names,
            )

    def measure(self, trained: list[Any], slopes: list[Any]) -> None:
        """The weights and their gradients; those of the outputs follow."""
        arrays = [
            None if slope is None else _array(tf.convert_to_tensor(slope))
            for slope in slopes
        ]
        gradients = {
            id(weight): slope
            for weight, slope in zip(trained, arrays[: len(trained)], strict=True)
        }
        for row, slope in zip(self.rows, arrays[len(trained) :], strict=False):
            row["gradient"] = None if slope is None else _norm(slope)
        grown = arrays[len(trained) + len(self.rows) :]
        for (_, sign), slope in zip(self.products, grown, strict=False):
            if slope is not None:
                self.rising += bool((sign * slope >= 0).all() and slope.any())
        twins = _twins(self.model.weights)
        owners = {
            id(weight): layer for layer in self.layers for weight in _weights(layer)
        }
        for weight in self.model.weights:
            slope, owner, values = (
                gradients.get(id(weight)),
                owners.get(id(weight)),
                _array(weight),
            )
            alike = owner is not None and _alike(_units(owner, values), 0.0)
            self.weights[weight.path] = _Weight(
                name=weight.path,
                trained=id(weight) in gradients,
                norm=_norm(values),
                size=values.size,
                matrix=values.ndim > 1,
                alike=alike,
                copy=id(weight) in twins,
                gradient=None if slope is None else _norm(slope),
                gradient_alike=alike
                and slope is not None
                and _alike(_units(owner, slope), 1e-5),
                centred=_centred(values) if id(weight) in self.norms else None,
            )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(64, "sigmoid") for _ in range(10)]
    deep = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    data = np.random.default_rng(0)
    pair = data.normal(size=(32, 64)).astype("float32"), data.integers(10, size=32)
    print(
        check_model(deep, pair, losses.SparseCategoricalCrossentropy(from_logits=True))
    )
