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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, losses, tree
from keras.src import backend
from keras.src.random.seed_generator import global_seed_generator
from tensorflow.python.framework import op_callbacks

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.judge import _judge
from snippets.diagnostics.check_model_source.limits import (
    FEW,
    FLAT,
    INPUT,
    NUMBERS,
    UNITS,
)
from snippets.diagnostics.check_model_source.measure_keras import (
    _alike,
    _all_finite,
    _array,
    _arrays,
    _born,
    _centred,
    _columns,
    _cosine,
    _every_operation,
    _exchanged,
    _explained,
    _gain,
    _is_linear,
    _is_mask,
    _is_of_keras,
    _kept,
    _leaves,
    _lengths,
    _moments,
    _norm,
    _rms,
    _sample,
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
from snippets.diagnostics.check_model_source.report import ModelReport
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop, _Weight
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


_SHAPES = ("Reshape", "Squeeze", "ExpandDims", "Identity", "Cast")
"""Operations that change no number."""


_CHOICES = (
    *("StridedSlice", "GatherV2", "GatherNd", "ConcatV2", "Pack"),
    *("Max", "Min", "Maximum", "Minimum"),
)
"""Operations that take some of the numbers."""


_SUMMING = (*_SHAPES, "AddV2", "Sub", "Sum", "Mean", "Mul", "StridedSlice", "Transpose")
"""What an overlap is made of."""


_SIGNS = (*_SHAPES, "Abs", "Neg", "Select", "SelectV2")
"""What a loss of logits does with them first."""


_GROWN = ("Exp", "Softplus")
"""Operations that make a variance."""


_PRODUCTS = ("BatchMatMulV2", "BatchMatMulV3", "Einsum")


_SCALINGS = (*_SHAPES, "AddV2", "Mul", "RealDiv", "SelectV2", "Sub", "Transpose")
"""What stands between the products of an attention and its softmax."""


_REGRESSIONS = (
    *("mean_squared_error", "mean_absolute_error"),
    *("huber_loss", "huber", "log_cosh"),
)


_CUTS = ("StopGradient", "ArgMax", "ArgMin", "Ceil", "Floor", "Rint", "Round")
"""Operations without a way back."""


_COMPARISONS = ("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual")
"""Others, which stand beside most ways as masks."""


_LOGITS = {
    "SparseSoftmaxCrossEntropyWithLogits": "sparse_categorical_crossentropy",
    "SoftmaxCrossEntropyWithLogits": "categorical_crossentropy",
}
"""Losses of TensorFlow, and those of Keras that compute the same."""


_OF_POLICY = ("Log", "LogSoftmax", *_LOGITS)
"""What makes a log-probability, or its negative."""


_DROPOUTS = (
    *(layers.AlphaDropout, layers.Dropout, layers.GaussianDropout),
    *(layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
)


class _Watch(_Seen):
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

    def look_at_constants(self, loss_fn: Any) -> None:
        """Is a loss least where all examples, and all outputs of a shape, are
        answered alike?"""
        outputs, count = tree.flatten(self.output), self.examples
        small = sum(math.prod(part.shape) for part in outputs) <= NUMBERS
        trained = {part.value.handle._id for part in self.model.trainable_variables}
        if (
            not small
            or count < FEW
            or not all(
                part.shape.rank > 1
                and part.shape[0] == count
                and self.reaches(part._id, trained)
                for part in outputs
            )
        ):
            return
        own = [tf.identity(part) for part in outputs]
        seeds = global_seed_generator().state
        state = seeds.numpy()

        def loss(parts: list[tf.Tensor], wanted: Any = self.wanted) -> tf.Tensor:
            seeds.assign(state)
            given = tree.pack_sequence_as(self.output, parts)
            return tf.reduce_mean(loss_fn(wanted, given))

        def steep(parts: list[tf.Tensor]) -> tuple[float, list[np.ndarray]]:
            """A loss and its slopes."""
            with tf.GradientTape() as tape:
                tape.watch(parts)
                value = loss(parts)
            slopes = tape.gradient(value, parts, unconnected_gradients="zero")
            return float(value), [_array(slope) for slope in slopes]

        order = np.roll(np.arange(count), 1).tolist()
        moved = tree.map_structure(partial(_taken, count, order), self.wanted)
        # Of targets that all are alike nothing is read, either.
        if float(loss(own, moved)) != float(loss(own)):
            return
        value, slopes = steep(own)
        # What is cut off in the loss may be a part of an output.
        moving = [slope.reshape(count, -1) != 0 for slope in slopes]
        if not all(part.any(0).all() and part.any(1).all() for part in moving):
            return
        # By shape, the output whose rows answer for all.
        firsts = {tuple(part.shape): part for part in reversed(own)}
        rows = [firsts[tuple(part.shape)] for part in own]
        constants = [
            [tf.gather(part, [place] * count) for part in rows]
            for place in range(0, count, count // 4)
        ]
        draw, near = np.random.default_rng(0), list[float]()
        for constant in constants * 4:
            others = [
                0.95 * part + 0.05 * tf.gather(row, draw.permutation(count))
                for part, row in zip(constant, rows, strict=True)
            ]
            near.append(float(loss(others)))
        answered = [
            (low, math.hypot(*map(_norm, flat))) for low, flat in map(steep, constants)
        ]
        size, apart = math.hypot(*map(_norm, slopes)), float(loss(rows))
        self.judge_constants(value, size, answered, near, apart)

    def reaches(self, tensor: int, weights: set[int]) -> bool:
        """Is there a way back to one of some weights?"""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(), ("StopGradient", []))
            if kind == "ReadVariableOp" and sources[0] in weights:
                return True
            new = [number for number in sources if number not in seen]
            if kind not in _CUTS:
                seen.update(new)
                todo += new
        return False

    def look_through_time(self, layer: layers.RNN, call: Any, given: tf.Tensor) -> None:
        """What of the last output depends on the first step, and on the
        last."""
        given = tf.identity(given[:FEW])
        with tf.GradientTape() as tape:
            tape.watch(given)
            output = call(given)
            output = output[0] if isinstance(output, tuple | list) else output
            last = output[:, -1] if layer.return_sequences else output
            signs = tf.cos(tf.range(last.shape[-1], dtype="float32"))
            total = tf.reduce_sum(last * tf.cast(signs, last.dtype))
        slope = _array(tape.gradient(total, given))
        ends = (-1, 0) if layer.go_backwards else (0, -1)
        first, end = (_norm(slope[:, place]) for place in ends)
        self.through_time.append((layer.path, slope.shape[1], first, end))

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

    def hunt(self, loss_fn: Any) -> None:
        """Run again and name the operation that the first NaN or Inf came from.
        -inf is the last guess: a mask may be written so.
        """
        mode = {"training": True}
        if not getattr(self.model, "_call_has_training_arg", True):
            mode = {}
        for mask in (True, False):
            found: list[str] = []
            with _every_operation(partial(self.look_for_birth, mask, found)):
                loss_fn(self.wanted, self.model(self.given, **mode))
            self.birth = self.birth or next(iter(found), "")

    def hunt_back(self, loss_fn: Any, trained: list[Any]) -> None:
        """Run again and name the operation of the way back that the first NaN
        or Inf came from."""
        made, found = dict[int, str](), list[str]()

        def note(
            kind: Any, inputs: Any, _: Any, outputs: Any, *__: Any, **___: Any
        ) -> None:
            kind = kind.decode() if isinstance(kind, bytes) else kind
            place = self.where() if self.running else "the loss"
            made.update((part._id, f"{kind} of {place}") for part in outputs)

        def look(kind: Any, inputs: Any, *more: Any, **named: Any) -> None:
            self.look_for_birth(False, found, kind, inputs, *more, **named)
            if found and not self.birth:
                read = next((made[one._id] for one in inputs if one._id in made), "")
                behind = f", on the way back through {read}" if read else ""
                self.birth = found[0] + behind

        with tf.GradientTape() as tape, _every_operation(note):
            mode = {"training": True}
            if not getattr(self.model, "_call_has_training_arg", True):
                mode = {}
            output = self.model(self.given, **mode)
            value = tf.reduce_mean(loss_fn(self.wanted, output))
        with _every_operation(look):
            tape.gradient(value, [variable.value for variable in trained])

    def look_for_birth(
        self,
        mask: bool,
        found: list[str],
        kind: str | bytes,
        inputs: Any,
        _attributes: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        kind = kind.decode() if isinstance(kind, bytes) else kind
        # A mask is meant.
        if found or graph is not None or kind in ("SelectV2", "Fill", "Where"):
            return
        with suppress(Exception):
            given, made = (
                [_array(part) for part in parts if part.dtype.is_floating]
                for parts in (inputs, outputs)
            )
            given = [part for part in given if part.size]
            if given and any(_born(mask, part, given) for part in made):
                low, high = (
                    min(part.min() for part in given),
                    max(part.max() for part in given),
                )
                place = f" of {self.where()}" if self.running else ""
                found.append(
                    f"; born in {kind}{place}, {inputs[0].dtype.name}, inputs {low:.3g} to {high:.3g}"
                )

    def where(self) -> str:
        layer = self.running[-1][0] if self.running else self.model
        return layer.path or layer.name

    def watched(
        self, layer: keras.Layer, call: Callable[..., Any]
    ) -> Callable[..., Any]:
        weights = _weights(layer)

        def run(*arguments: Any, **keywords: Any) -> Any:
            if not tf.executing_eagerly():
                # within a tf.function, tensors have no values yet
                return call(*arguments, **keywords)
            if self.done:
                on = self.evaluating and keywords.get("training")
                if on and isinstance(layer, _DROPOUTS) and layer.rate:
                    self.dropping.append(f"{layer.path}, rate {layer.rate:g}")
                self.running.append((layer, {}))
                try:
                    return call(*arguments, **keywords)
                finally:
                    self.running.pop()
            given = [
                part
                for part in tree.flatten((arguments, keywords))
                if isinstance(part, tf.Tensor)
            ]
            if isinstance(layer, layers.Embedding):
                self.quietly(self.check_indices, layer, *arguments, **keywords)
            elif weights and (
                # Its cell is not looked into.
                isinstance(layer, layers.RNN)
                or not any(
                    _weights(part) for part in layer._flatten_layers(include_self=False)
                )
            ):
                self.quietly(self.look_at_inputs, given)
            frame = dict[str, Any].fromkeys(
                ("before", "after", "dead", "saturated", "peaked")
            ) | {"weights": weights}
            self.running.append((layer, frame))
            output = call(*arguments, **keywords)
            self.running.pop()
            self.normalized |= "Norm" in type(layer).__name__
            if isinstance(layer, layers.RNN) and given:
                self.recurrent.append((layer, call, given[0]))
            self.quietly(self.look, layer, weights, given, output, frame)
            return output

        return run

    def look_at_inputs(self, given: list[tf.Tensor]) -> None:
        """What the first weights read, if it comes from the data alone."""
        for tensor in given:
            if (
                tensor.dtype.is_floating
                and tensor._id not in self.learned
                and not _is_mask(_array(tensor))
            ):
                values = _array(tensor)
                self.look_at_scale(_rms(values), _columns(values))

    def look(
        self,
        layer: keras.Layer,
        weights: list[Any],
        given: list[tf.Tensor],
        output: Any,
        frame: dict[str, Any],
    ) -> None:
        tensors = [part for part in tree.flatten(output) if isinstance(part, tf.Tensor)]
        tensor = next((part for part in tensors if part.dtype.is_floating), None)
        if not weights or tensor is None:
            return
        if frame["before"] is not None and frame["after"] is tensor:
            tensor = frame["before"]
        values = _array(tensor)
        if not values.size:
            # an expert to which this batch sends nothing
            self.idle |= {self.names[id(weight)] for weight in weights}
            return
        path = self.path(part._id for part in (*given, *tensors))
        straight = self.straight(layer, given)
        for part in (tensor, *tensors):
            self.paths[part._id] = path[0] + 1, (len(self.rows), path[1])
            if _is_linear(layer):
                self.linear[part._id] = len(self.rows)
        self.learned |= {part._id for part in tensors}
        numbers = {
            "kind": type(layer).__name__,
            "shape": values.shape,
            "cosine": _cosine(values, self.examples),
            "gain": _gain(layer, weights),
            "weights": [self.names[id(weight)] for weight in weights],
            "tensor": tensor,
            "straight": straight,
            "units": _units(layer, _array(weights[0])).shape,
        }
        numbers |= {
            what: frame.get(what) for what in ("dead", "saturated", "peaked", "narrow")
        }
        numbers |= {"before": path[1] and path[1][0], "node": layer}
        frame["row"] = self.add(layer.path, _moments(values) | numbers)

    def straight(
        self, layer: keras.Layer, given: list[tf.Tensor]
    ) -> tuple[int, int] | None:
        """The linear layer that leads to this one past nothing that bends it,
        if one layer could do the work of both."""
        tensor = next((part._id for part in given if part._id in self.linear), None)
        if tensor is None or not _is_linear(layer, bends=True):
            return None
        place = self.linear[tensor]
        fan_in, middle = self.rows[place]["units"]
        units = _units(layer, _array(_weights(layer)[0])).shape[1]
        return (place, tensor) if middle >= min(fan_in, units) else None

    def path(self, tensors: Iterable[int]) -> tuple[int, Any]:
        """The most layers on the way to one of some tensors, and which."""
        paths = (self.paths.get(tensor, (0, None)) for tensor in tensors)
        return max(paths, key=lambda path: path[0], default=(0, None))

    def longest(self, tensors: list[int]) -> list[int]:
        places, link = list[int](), self.path(tensors)[1]
        while link:
            places.append(link[0])
            link = link[1]
        return places[::-1]

    def operation(
        self,
        kind: str | bytes,
        inputs: Any,
        attributes: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        """Called by TensorFlow after every operation, and for each that is put
        into a graph, where tensors have no values.
        """
        if graph is not None:
            return
        self.quietly(
            self.after,
            kind.decode() if isinstance(kind, bytes) else kind,
            inputs,
            outputs,
            attributes or (),
        )

    def after(
        self,
        kind: str,
        inputs: list[tf.Tensor],
        outputs: list[tf.Tensor],
        attributes: tuple[Any, ...] = (),
    ) -> None:
        numbers = [value._id for value in inputs]
        path = self.path(numbers)
        learned = any(
            value.dtype == tf.resource for value in inputs
        ) or not self.learned.isdisjoint(numbers)
        if (
            self.in_loss
            and len(inputs) == 2
            and (numbers[0] in self.learned) != (numbers[1] in self.learned)
        ):
            self.judge_broadcast(inputs[0].shape, inputs[1].shape, outputs[0].shape)
        self.readers.update(numbers)
        self.cuts += [self.loose.pop(one) for one in numbers if one in self.loose]
        if learned and kind in (*_CUTS, *_COMPARISONS):
            place = "the loss" if self.in_loss else self.where()
            what = f"{kind} in {place}, of shape {tuple(outputs[0].shape)}"
            cut = len(self.rows), kind != "StopGradient", what
            if kind in _CUTS:
                self.loose[outputs[0]._id] = cut
            self.compared_at = self.compared_at or what
        if kind in ("Mul", "RealDiv") and len(inputs) == 2:
            self.look_at_constant(kind, inputs, outputs[0]._id)
        if kind == "MatMul":
            turned = dict(zip(attributes[::2], attributes[1::2], strict=True))
            one, other = (part.numpy() for part in inputs)
            one = one.T if turned.get("transpose_a") else one
            other = other if turned.get("transpose_b") else other.T
            if len(other) != self.examples:
                self.look_at_product(_lengths(one), _lengths(other))
        if self.in_loss:
            self.look_at_loss(kind, inputs, outputs)
        elif kind in ("Round", "Rint"):
            self.rounded |= inputs[0].shape[:1] == (self.examples,)
        some = {
            part._id
            for part in inputs
            if part.dtype.is_floating and part._id in self.learned
        }
        if kind in (*_SHAPES, "Transpose") or (
            len(some) == 1 and kind in ("Mul", "RealDiv", "SelectV2")
        ):
            straight = next(
                (self.linear[value] for value in numbers if value in self.linear), None
            )
            if straight is not None:
                self.linear[outputs[0]._id] = straight
        of_all = kind == "Transpose" and inputs[0].shape[0] == self.examples > 1
        if of_all and _array(inputs[1])[-1] == 0:
            self.turned.add(outputs[0]._id)
        if kind == "Transpose":
            self.axes[outputs[0]._id] = int(_array(inputs[1])[-1])
        elif kind in _PRODUCTS and learned:
            named = dict(zip(attributes[::2], attributes[1::2], strict=True))
            self.look_at_weighing(inputs, named)
        for output in outputs if inputs else ():
            self.makers[output._id] = kind, numbers[0]
            if path[0]:
                self.paths[output._id] = path
            if learned:
                self.learned.add(output._id)
                self.ways[output._id] = kind, numbers
        if kind == "Softmax" and not self.in_loss:
            self.judge_axis(tuple(inputs[0].shape), -1, self.where())
            if learned and self.source(numbers[0]) in self.turned:
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0, of the {self.examples} examples",
                    self.where(),
                )
        layer, frame = self.running[-1] if self.running else (None, None)
        if layer is None or isinstance(layer, layers.RNN):
            return
        if kind == "AddV2":
            shapes = [tuple(value.shape) for value in inputs]
            self.sums += len(shapes[0]) > 1 and shapes[0] == shapes[1]
        elif kind in ("Relu", "Relu6", "Sigmoid", "Tanh", "Softmax"):
            if frame["weights"]:
                frame["before"], frame["after"] = inputs[0], outputs[0]
            row = frame if frame["weights"] else self.rows[-1] if self.rows else {}
            if row:
                self.activation(kind, row, inputs[0], outputs[0])

    def look_at_constant(self, kind: str, inputs: list[tf.Tensor], result: int) -> None:
        """Of a product of one's output and what no weight had a part in, or of
        noise, which a seed had a part in."""
        own, other = inputs
        if own._id not in self.learned or self.is_drawn(own._id):
            own, other = other, own
        drawn = self.is_drawn(other._id)
        if own._id not in self.learned or (other._id in self.learned and not drawn):
            return
        size = math.prod(other.shape)
        noise = not self.in_loss and kind == "Mul" and own.shape == other.shape
        if noise or self.in_loss or size == 1:
            low, high = float(tf.reduce_min(other)), float(tf.reduce_max(other))
            self.noisy |= {result} if noise and size > 1 and low < 0 < high else set()
            self.constants[result] = (low >= 0 < high) - (high <= 0 > low)
            if size == 1 and low:
                self.numbers[result] = low if kind == "Mul" else 1 / low

    def is_drawn(self, tensor: int) -> bool:
        kinds = (*_SHAPES, "AddV2", "Mul")
        return "Random" in self.ways.get(self.back(tensor, kinds), ("", []))[0]

    def look_at_loss(
        self, kind: str, inputs: list[tf.Tensor], outputs: list[tf.Tensor]
    ) -> None:
        """Arguments that were exchanged, one index for all examples, and the
        sign of log-probabilities."""
        numbers = [value._id for value in inputs]
        learned = [number in self.learned for number in numbers]
        shapes = [tuple(value.shape) for value in inputs]
        result = outputs[0]._id
        if kind == "SoftmaxCrossEntropyWithLogits" and learned[:2] == [False, True]:
            self.find_exchange()
        elif kind == "RealDiv" and learned == [False, True]:
            self.inverse.add(result)
        elif kind in ("Log", "Log1p", "LogSoftmax"):
            if learned[0]:
                self.signs[result] = -1 if numbers[0] in self.inverse else 1
            else:
                self.logged.add(result)
            # ln(1 + exp(-|x|)) stands in the binary cross-entropy of logits x.
            exp = kind == "Log1p" and self.makers.get(numbers[0], ("", 0))[0] == "Exp"
            self.softplus |= {learned[0]} if exp else set()
        elif kind == "Neg":
            self.signs[result] = -self.signs.get(numbers[0], 0)
            self.negated |= set() if learned[0] else {result}
        elif kind in ("Sum", *_SHAPES, "GatherNd", "GatherV2"):
            self.signs[result] = self.signs.get(numbers[0], 0)
        if kind == "Mul" and sorted(learned) == [False, True]:
            values = _array(inputs[learned.index(False)])
            # 1 - done is 0 or 1, and 0 alone says nothing.
            largest = float(values.max()) or 1.0
            self.factors[result] = largest if values.min() >= 0 else -1.0
        if kind in ("Square", "Abs", "Pow", "SquaredDifference", "Mul"):
            self.look_at_bootstrap(
                result if kind == "SquaredDifference" else numbers[0]
            )
        if kind == "GatherV2" and learned[0] and int(inputs[2]) == 1:
            index = _array(inputs[1])
            if (
                math.prod(outputs[0].shape) > index.size
                and len(shapes[0]) == 2
                and index.size == shapes[0][0] == self.examples
                and index.size > len(np.unique(index))
            ):
                evidence = f"output {shapes[0]}, index {shapes[1]}, together {tuple(outputs[0].shape)}"
                self.find_once("index-for-all", evidence)
        if kind in _LOGITS and learned[0] and not self.inside_keras:
            look = partial(self.judge_crossentropy, of_keras=False)
            look(_LOGITS[kind], inputs[0], _array(inputs[1]), True)
        elif kind in ("LogSoftmax", "Softmax"):
            self.look_at_doubled("softmax", numbers[0])
        elif kind in ("Sigmoid", "Softplus"):
            self.look_at_doubled("sigmoid", numbers[0])
        elif kind == "Log1p" and learned[0]:
            # ln(1 + exp(-|x|)) of logits x
            exp = self.ways[numbers[0]]
            if exp[0] == "Exp":
                self.look_at_doubled("sigmoid", exp[1][0])
        if kind == "Mul" and learned == [True, True]:
            self.look_at_advantage(numbers)
        if kind in ("RealDiv", "DivNoNan") and learned == [True, True]:
            (above, kinds), (below, others) = map(self.summed, numbers)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum", "Mul"} <= kinds and "Sum" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)
        if kind == "Mul" and sorted(learned) == [False, True]:
            own, given = numbers if learned[0] else numbers[::-1]
            direct = self.source(own) in self.results
            if direct and self.source(given) in self.logged:
                self.find_exchange()
            self.products_of_output |= direct
            values = _array(inputs[learned.index(False)])
            turned = given in self.negated or any(
                np.array_equal(values, -target) for target in self.targets
            )
            sign = self.signs.get(own, 0) * (-1 if turned else 1)
            if sign and shapes[0] == shapes[1] and shapes[0]:
                self.products.append((outputs[0], sign))

    def look_at_doubled(self, kind: str, tensor: int) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        while self.ways.get(tensor, ("", []))[0] in _SIGNS:
            maker, sources = self.ways[tensor]
            tensor = sources[-1 if maker.startswith("Select") else 0]
        if self.ways.get(tensor, ("", []))[0] == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def summed(self, tensor: int) -> tuple[set[int], set[str]]:
        """What is added up, and the operations on the way: sums, and products
        with data."""
        found, kinds, todo = set[int](), set[str](), [tensor]
        while todo:
            tensor = todo.pop()
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            alone = len(own) == 1 or kind in ("AddV2", "Sub")
            if tensor not in self.results and alone and kind in _SUMMING:
                kinds.add(kind)
                todo += own
            else:
                found.add(self.source(tensor))
        return found, kinds

    def added_up(self, tensors: list[int]) -> dict[int, int]:
        """What a loss is a sum of, each with its sign; 0 if it has both."""
        found, todo = dict[int, int](), [(tensor, 1) for tensor in tensors]
        while todo:
            tensor, sign = todo.pop()
            kind, sources = self.ways.get(tensor, ("", []))
            own = [number for number in sources if number in self.learned]
            if kind in ("AddV2", "AddN", "Pack", "Sub") and sign:
                todo += [
                    (number, -sign if kind == "Sub" and number == sources[1] else sign)
                    for number in own
                ]
            elif tensor in self.constants and sign:
                todo.append((own[0], sign * self.constants[tensor]))
            elif kind == "Neg" and sign:
                todo.append((own[0], -sign))
            elif kind in ("Sum", "Mean", *_SHAPES) and sign and own:
                todo.append((own[0], sign))
            elif found.setdefault(tensor, sign) != sign:
                found[tensor] = 0
        return found

    def is_square(self, tensor: int) -> bool:
        kind, sources = self.ways.get(tensor, ("", []))
        return kind in ("Square", "Pow") or (kind == "Mul" and sources[0] == sources[1])

    def root(self, tensor: int) -> tuple[int, float | None]:
        """What powers, logarithms and exponentials are of, and of exp(p * root)
        the p: 0 without an exponential, None where it cannot be told."""
        power, known, exponential = 1.0, True, False
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            constant, square = tensor in self.constants, self.is_square(tensor)
            passes = kind in (*_SHAPES, *_GROWN, "Log", "Sqrt")
            if not own or not (passes or square or constant):
                break
            if constant:
                known &= exponential and tensor in self.numbers
                power *= self.numbers.get(tensor, 1.0)
            elif square:
                # Keras writes x ** 2 as a product with itself, or as a square.
                known &= not exponential and kind != "Pow"
                power *= 2
            elif kind == "Sqrt":
                known &= not exponential
                power /= 2
            elif kind not in _SHAPES:
                known &= kind == "Exp" and not exponential
            exponential |= kind == "Exp"
            tensor = own[0]
        return tensor, (power if known else None) if exponential else 0.0

    def judge_divergence(self, losses: list[int]) -> None:
        """A KL divergence between Gaussians, variance - log(variance) + mean^2,
        that the training makes larger, or that knows another spread than the
        sample has."""
        terms, powers = self.added_up(losses), dict[int, float | None]()
        roots = {tensor: self.root(tensor)[0] for tensor in terms}
        kinds, turned = {tensor: self.kind(tensor) for tensor in terms}, list[bool]()
        for grown, sign in terms.items():
            if not sign or not (kinds[grown] in _GROWN or self.is_square(grown)):
                continue
            root, power = self.root(grown)
            logged = any(
                other == -sign
                and roots[tensor] == root
                and (kinds[tensor] == "Log" or tensor == root)
                for tensor, other in terms.items()
            )
            squared = any(
                other == sign and self.is_square(tensor) and roots[tensor] != root
                for tensor, other in terms.items()
            )
            if logged and squared:
                turned.append(sign < 0)
                powers[root] = power
        self.judge_signs(turned)
        for product in self.noisy if powers else ():
            own = [part for part in self.ways[product][1] if not self.is_drawn(part)]
            root, power = self.root(own[0])
            if root in powers:
                rows = (row["name"] for row in self.rows if row["tensor"]._id == root)
                self.judge_spread(power, powers[root], *rows)

    def kind(self, tensor: int) -> str:
        return self.ways.get(tensor, ("", []))[0]

    def look_at_advantage(self, ends: list[int]) -> None:
        """A log-probability times data less an output, of which both have a
        gradient."""
        for log, advantage in (ends, ends[::-1]):
            if self.is_of_policy(log):
                weight = self.last_weight(self.baseline(advantage))
                if weight:
                    evidence = f"log-probability * (data - an output), whose last weight is {self.handles[weight]}"
                    self.find_once("advantage-with-gradient", evidence)

    def is_of_policy(self, tensor: int) -> bool:
        """A log-probability, or the ratio of a new and an old probability."""
        kinds = ("Neg", "Sum", *_SHAPES, "GatherNd", "GatherV2", "Mul", "Exp", "Sub")
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The second one is the shape.
            sources = sources[:1] if kind in _SHAPES else sources
            own = [number for number in sources if number in self.learned]
            if len(own) != 1:
                return False
            tensor = own[0]
        return self.ways.get(tensor, ("", []))[0] in _OF_POLICY

    def baseline(self, tensor: int | None) -> int | None:
        """Of data less an output, perhaps standardized, the output, if it is
        one of a layer and no probability; None of all else."""
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "Sub" and sources[1] in own:
                maker = self.ways.get(self.source(sources[1]), ("", []))[0]
                if sources[0] not in own or self.is_data_plus(sources[0]):
                    cut = maker in ("Exp", "Sigmoid", "Softmax", "StopGradient")
                    return None if cut else sources[1]
                if maker != "Mean":
                    break
            elif kind not in (*_SHAPES, *_CHOICES, "Neg", "RealDiv") and not (
                kind == "Mul" and len(own) == 1
            ):
                break
            tensor = own[0]
        return None

    def is_data_plus(self, tensor: int) -> bool:
        """Data plus a part of an output, as the return from the value of the
        next state."""
        kind, sources = self.ways.get(self.source(tensor), ("", []))
        return kind == "AddV2" and len(self.learned.intersection(sources)) == 1

    def look_at_weighing(self, inputs: list[tf.Tensor], named: dict[Any, Any]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        sums = [{len(inputs[0].shape) - (2 if named.get("adj_x") else 1)}, set[int]()]
        if "equation" in named:
            equation = named["equation"]
            read, made = (
                equation.decode() if isinstance(equation, bytes) else equation
            ).split("->")
            if "." in read:
                return
            sums = [
                {letters.index(letter) for letter in set(letters) - set(made)}
                for letters in read.split(",")
            ]
        for operand, summed in zip(inputs, sums, strict=True):
            weights = self.back(operand._id, ("Identity", "Cast", "Mul", "SelectV2"))
            axis = self.axes.get(weights, len(operand.shape) - 1)
            soft = self.back(weights, ("Transpose",))
            if self.makers.get(soft, ("", 0))[0] != "Softmax" or not summed:
                continue
            scores = self.back(self.makers[soft][1], _SCALINGS)
            product = self.makers.get(scores, ("", 0))[0]
            wide = any(operand.shape[place] > 1 for place in summed)
            if product in _PRODUCTS and axis not in summed and wide:
                shape = tuple(operand.shape)
                evidence = f"softmax over axis {axis} of {shape}, of which axis {min(summed)} is summed over"
                self.find_once("attention-axis", evidence, self.where())

    def back(self, tensor: int, kinds: tuple[str, ...]) -> int:
        """The tensor before some operations, by the first input that weights
        had a part in."""
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The mask of a dropout comes first, and from a variable.
            sources = sources[1:] if kind == "SelectV2" else sources
            tensor = next(number for number in sources if number in self.learned)
        return tensor

    def look_at_bootstrap(self, difference: int) -> None:
        """A difference between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        kind, ends = self.ways.get(self.source(difference), ("", []))
        if kind not in ("Sub", "SquaredDifference"):
            return
        for target, value in (ends, ends[::-1]):
            after, factor = self.discounted(target)
            last = self.last_weight(value)
            if (
                after not in (None, value)
                and self.discounted(value)[0] is None
                and self.last_weight(after) == last != 0
            ):
                evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                self.find_once("target-with-gradient", evidence)

    def discounted(self, tensor: int) -> tuple[int | None, float]:
        """Of data + factor * output, the output and the factor, if it is that
        of a discount: at least 0.5, and less than 1. Else None."""
        added, factor = False, 1.0
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "AddV2" and len(own) == 1:
                added = True
            elif kind == "Mul" and added and len(own) == 1:
                factor = min(factor, self.factors.get(tensor, -1.0))
            elif kind not in (*_SHAPES, *_CHOICES):
                break
            tensor = own[0]
        # A mean over examples is that of a centre which moves slowly.
        mean = self.ways.get(tensor, ("", []))[0] == "Mean"
        found = added and 0.5 <= factor < 1 and not mean
        return (tensor, factor) if found else (None, 1.0)

    def last_weight(self, tensor: int | None) -> int:
        """The weight that the fewest operations lie between, 0 without one."""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(0), ("StopGradient", []))
            if kind == "ReadVariableOp":
                return sources[0]
            new = [number for number in sources if number not in seen]
            if kind != "StopGradient":
                seen.update(new)
                todo += new
        return 0

    def find_exchange(self) -> None:
        evidence = "the logarithm of the targets is taken, and not that of the output"
        self.find_once("swapped-arguments", evidence)

    def activation(
        self, kind: str, row: dict[str, Any], source: tf.Tensor, result: tf.Tensor
    ) -> None:
        values = _array(result)
        if kind == "Softmax":
            if values.ndim > 2 and values.shape[-1] >= 8:
                # Masks are written as large negative numbers.
                scores = _array(source)
                visible = (scores > scores.max(-1, keepdims=True) - 5000).sum(-1) >= 8
                if visible.any():
                    self.note(row, "peaked", float(values[visible].max(-1).mean()))
        elif kind in ("Sigmoid", "Tanh"):
            y = _sample(values)
            slope = 1 - y * y if kind == "Tanh" else 4 * y * (1 - y)
            self.note(row, "saturated", float((slope < FLAT).mean()))
            self.squashed.append((row, result._id))
        elif values.ndim > 1:
            dead = values.max(axis=tuple(range(values.ndim - 1))) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(row, "dead", float(dead.mean()))
                row["narrow"] = len(dead) < UNITS

    def check_indices(
        self, layer: keras.Layer, given: Any, reverse: bool = False, **_: Any
    ) -> None:
        indices = _array(given)
        if (
            not reverse
            and indices.size
            and not 0 <= indices.min() <= indices.max() < layer.input_dim
        ):
            self.find(
                "index-out-of-range",
                f"indices {indices.min():g} to {indices.max():g}, {layer.input_dim} rows",
                layer.path,
            )
            raise _Stop

    def source(self, tensor: int) -> int:
        """The tensor that holds the same numbers, before its shape changed."""
        while self.makers.get(tensor, ("", 0))[0] in _SHAPES:
            tensor = self.makers[tensor][1]
        return tensor

    def maker(self, tensor: tf.Tensor) -> str:
        """The operation that made the numbers of a tensor."""
        return self.makers.get(self.source(tensor._id), ("", 0))[0]

    def judge_loss(self, loss_fn: Any, output: tf.Tensor) -> None:
        """What the loss is given, against what it takes."""
        name = getattr(loss_fn, "name", getattr(loss_fn, "__name__", ""))
        settings = loss_fn.get_config() if hasattr(loss_fn, "get_config") else {}
        values, targets = _array(output), self.targets[0]
        if "crossentropy" in name and values.ndim and len(self.targets) == 1:
            logits, ignored = (
                settings.get(key) for key in ("from_logits", "ignore_class")
            )
            self.judge_crossentropy(name, output, targets, bool(logits), ignored)
        elif name == "ctc":
            # Padding stands at the end.
            later = np.cumsum(targets[:, ::-1] != 0, 1)[:, ::-1]
            self.judge_blank(int(((targets == 0) & (later > 0)).sum()), targets.size, 0)
        elif name in ("kl_divergence", "poisson") and len(self.targets) == 1:
            self.judge_targets(targets, 0, 1 if name == "kl_divergence" else math.inf)
            if name == "poisson":
                given = values[_kept(output)]
                self.judge_rate(self.maker(output), False, given.min(initial=0.0))
        elif name in _REGRESSIONS:
            self.look_at_term(targets, 1.0)
            if values.shape != targets.shape:
                self.find(
                    "broadcast-loss", f"output {values.shape}, targets {targets.shape}"
                )
            kept = _kept(output)
            if targets.shape[: kept.ndim] == kept.shape:
                targets = targets[kept]
            self.judge_range(self.maker(output), targets, targets.size)
            if _rms(targets) > INPUT:
                self.find(
                    "target-scale",
                    f"root mean square {_rms(targets):.3g}, more than {INPUT:g}",
                )

    def look_at_terms(self) -> None:
        """The errors of several outputs that a compiled loss adds up."""
        for path, loss, weight, _ in self.model._compile_loss._flat_losses:
            target = self.wanted
            for key in path:
                target = target[key]
            name = getattr(getattr(loss, "fn", loss), "__name__", "")
            if name in _REGRESSIONS:
                self.look_at_term(_array(target), 1.0 if weight is None else weight)

    def judge_crossentropy(
        self,
        name: str,
        output: tf.Tensor,
        targets: np.ndarray,
        from_logits: bool,
        ignore_class: Any = None,
        of_keras: bool = True,
    ) -> None:
        # What the softmax and the sigmoid of Keras return remembers its logits,
        # and the losses of Keras take these.
        known = getattr(output, "_keras_logits", None) if of_keras else None
        kept = _kept(output)
        logits = from_logits or known is not None
        maker = "" if known is not None else self.maker(output)
        units = output.shape[-1] if len(output.shape) > 1 else 1
        values = _array(output if known is None else known)
        if maker == "Relu":
            share = f"{(values == 0).mean():.0%} of the loss's inputs are exactly 0"
            self.find_once("relu-before-loss", share)
        if "sparse" not in name:
            self.judge_targets(targets, 0, 1)
        if "categorical" in name and self.maker(output) == "Sigmoid" and units > 1:
            self.find_once("sigmoid-before-categorical", f"{units} sigmoids")
        elif maker == "Tanh":
            span = f"the loss's inputs go from {values.min():.2g} to {values.max():.2g}"
            self.find_once("tanh-before-loss", span)
        elif "binary" in name:
            self.judge_binary(logits, maker == "Sigmoid", values, targets, kept)
        elif "categorical" in name:
            sparse = "sparse" in name
            self.judge_classes(logits, values, targets, sparse, ignore_class, kept)

    @contextmanager
    def crossentropies(self) -> Iterator[None]:
        """The cross-entropies that a loss calls, in whatever it wraps them."""
        names = [f"{kind}categorical_crossentropy" for kind in ("", "sparse_")]
        kept = {
            name: getattr(backend.nn, name) for name in (*names, "binary_crossentropy")
        }

        def seen(name: str, target: Any, output: Any, *args: Any, **kwargs: Any) -> Any:
            # Swapped arguments are seen by their operations.
            if getattr(output, "_id", None) in self.learned:
                logits = kwargs.get("from_logits", args[0] if args else False)
                targets = _array(target)
                self.quietly(self.judge_crossentropy, name, output, targets, logits)
                self.quietly(self.judge_guess, target, output)
            # Those of Keras run the operations of TensorFlow.
            self.inside_keras = True
            try:
                return kept[name](target, output, *args, **kwargs)
            finally:
                self.inside_keras = False

        for name in kept:
            setattr(backend.nn, name, partial(seen, name))
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(backend.nn, name, function)

    def judge_guess(self, target: Any, output: tf.Tensor) -> None:
        """A target that the model makes itself."""
        trained = {part.value.handle._id for part in self.model.trainable_variables}
        number = getattr(target, "_id", 0)
        if number in self.learned and self.reaches(number, trained):
            last = self.last_weight(number)
            self.judge_own_target(last == self.last_weight(output._id))

    def judge_classes(
        self,
        logits: bool,
        values: np.ndarray,
        targets: np.ndarray,
        sparse: bool,
        ignored: Any,
        counted: np.ndarray,
    ) -> None:
        classes, rows = values.shape[-1], values.reshape(-1, values.shape[-1])
        kept = counted.reshape(-1)
        if sparse:
            labels = targets.reshape(-1)
            known = (
                np.full(labels.shape, True) if ignored is None else labels != ignored
            )
            # Under a mask, too, a loss reads all labels.
            if (
                known.any()
                and not 0 <= labels[known].min() <= labels[known].max() < classes
            ):
                span = f"labels {labels[known].min():g} to {labels[known].max():g}"
                self.find_once("labels-out-of-range", f"{span}, {classes} classes")
                raise _Stop
            kept = kept & known if kept.shape == known.shape else known
            self.look_at_shift(targets, kept)
        sums_to_one = (rows >= 0).all() and (abs(rows.sum(-1) - 1) < 1e-2).all()
        if logits and sums_to_one and classes > 1:
            self.find_once(
                "softmax-before-cross-entropy",
                "every row of the loss's input is >= 0 and has the sum 1",
            )
        elif not logits and not sums_to_one and np.isfinite(rows).all():
            self.find_once(
                "logits-without-from-logits",
                f"a row of the output has the sum {rows.sum(-1).mean():.3g}, not 1",
            )
        if logits:
            shifted = rows - rows.max(-1, keepdims=True)
            scores = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        else:
            scores = np.log(np.clip(rows, 1e-7, 1))
        apart = float(abs(rows - rows[:1]).max()) if rows.size else 0.0
        self.look_at_logits(np.linalg.norm(rows, axis=-1).tolist(), apart)
        if sparse and len(labels) == classes == len(scores):
            # Each example against each.
            self.bounded |= np.array_equal(labels, np.arange(classes))
        if sparse and len(labels) == len(scores):
            costs = -scores[kept][np.arange(kept.sum()), labels[kept].astype(int)]
        elif not sparse and targets.shape == values.shape:
            costs = -(targets.reshape(rows.shape) * scores).sum(-1)[kept]
        else:
            return
        if len(costs):
            self.compare(costs, classes)

    def look_at_shift(self, target: np.ndarray, kept: np.ndarray) -> None:
        """Are the targets the tokens themselves, those next to them, or those
        after? A decoder reads its tokens beside those of another text."""
        for number, tokens in enumerate(self.texts):
            for shift in (1, 0, 2) if number else range(3):
                if self.stands_at(shift, tokens, target, kept):
                    self.shifts.add(shift)
                    self.tokens = tokens
                    return

    def stands_at(
        self, shift: int, tokens: np.ndarray, target: np.ndarray, kept: np.ndarray
    ) -> bool:
        if target.size != tokens.size:
            return False
        target, kept = (part.reshape(tokens.shape) for part in (target, kept))
        end = tokens.shape[1] - shift
        some = kept[:, :end]
        same = target[:, :end][some] == tokens[:, shift:][some]
        stands = bool(some.sum() >= FEW and same.all())
        if stands:
            # Padding is one token; what a mask leaves out is many.
            left = len(np.unique(tokens[:, shift:][~some])) > 2
            self.copies |= shift == 0 and left
        return stands

    def look_at_order(self) -> None:
        """A causal model says of the first half of a text the same whatever
        follows."""
        if self.copies:
            self.judge_shift(False)
            return
        half, some = self.tokens.shape[1] // 2, [*range(len(self.tokens))][:2]
        other = self.tokens.copy()
        other[:, half:] = np.roll(self.tokens[:, half:][:, ::-1], 1, 0)
        outputs = []
        for one in (self.tokens, other):
            given = tree.map_structure(
                partial(_exchanged, self.tokens, one), self.given
            )
            given = tree.map_structure(partial(_taken, len(one), some), given)
            output = tree.flatten(self.model(given, training=False))
            shape = (len(some), one.shape[1])
            outputs.append(
                _array(next(part for part in output if part.shape[:2] == shape))
            )
        apart = abs(outputs[0] - outputs[1])
        same = apart[:, :half].max() <= 1e-4 * abs(outputs[0]).max()
        self.judge_shift(bool(same and apart[:, half:].max() > 0))
        if not same and 1 in self.shifts:
            self.find("future-visible", "an output changes with what comes after it")

    def compare(self, costs: np.ndarray, classes: int) -> None:
        """The loss of each example with that of guessing."""
        if self.chance_loss is None:
            self.chance_loss = math.log(classes)
            if costs.size >= FEW and not self.bounded:
                self.excess = float(costs.mean()) - self.chance_loss
                self.doubt = float(costs.std(ddof=1)) / math.sqrt(costs.size)

    def judge_binary(
        self,
        logits: bool,
        doubled: bool,
        values: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        # Logits may well lie between 0 and 1: their range tells nothing.
        if logits and doubled:
            self.find_once(
                "sigmoid-before-logits-loss",
                "the loss's input is the output of a sigmoid",
            )
        elif (
            not logits
            and np.isfinite(values).all()
            and not 0 <= values.min() <= values.max() <= 1
        ):
            span = f"the loss's inputs go from {values.min():.3g} to {values.max():.3g}"
            self.find_once("logits-without-from-logits", span)
        if values.shape != targets.shape:
            return
        if logits:
            costs = (
                np.maximum(values, 0)
                - values * targets
                + np.log1p(np.exp(-abs(values)))
            )
        else:
            kept = np.clip(values, 1e-7, 1 - 1e-7)
            costs = -(targets * np.log(kept) + (1 - targets) * np.log(1 - kept))
        self.compare(costs[counted], 2)

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
