"""Diagnose my training: what check_model sees, what the loss, the targets and
the optimizer say, and some dozen steps on trial.

    model.compile(optimizer, loss)
    # as in model.fit(x, y, batch_size=32, epochs=10)
    report = diagnose(model, x, y, batch_size=32, epochs=10)
    # batches of a tf.data.Dataset
    report = diagnose(model, dataset, epochs=10)
    print(report)

Put check_model_keras.py beside this file. The model is afterwards what it was,
also after an error or Ctrl-C: weights, moving statistics, seed generators,
optimizer, random states. All trials together cost at most some 400 steps. Needs
the TensorFlow backend.

    rate-too-high      a tenth of the rate gets below 0.7 of the loss
    steps-too-short    ten times the rate does, and rate * steps are too few

Source: the faults are those of the benchmarks of DeepFD (Cao et al., 2022) and
of Humbatova et al. (2025); the first look at a single batch is Karpathy's, "A
Recipe for Training Neural Networks" (2019).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, losses, tree

# It has no public name: what sees every operation that runs eagerly.
from tensorflow.python.framework import op_callbacks

from snippets.diagnostics.check_model_keras import (
    _added,
    _is_mask,
    _leaves,
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
from snippets.diagnostics.diagnose_source.report import Diagnosis


def diagnose(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    epochs: int | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Say what keeps a compiled `model` from learning these data.

    `x` and `y` are all examples as `fit` takes them: arrays, or for `x` a
    tuple, list or dictionary of arrays; or `x` is the pair `(x, y)`. Without
    `y`, `x` may be a `tf.data.Dataset` or a `PyDataset` of batches; or the
    loss is what layers add (`add_loss`), and the model is compiled without one.
    A model with a `train_step` of its own makes its steps by it.
    `batch_size` is 32 for arrays, as in `fit`; `epochs` is the length of the
    training (without it, nothing is said of the length). Of a learning rate
    with a schedule the highest one is tried. Ctrl-C ends the trials, and the
    report says what is known.

    Raises ValueError for an argument that is not what it should be, and another
    backend than TensorFlow. A model that fails on its data is a finding.
    """
    _check_arguments(model, batch_size, epochs)
    with (
        _Clock(progress) as clock,
        _untouched(model, _leaves(model), None, losses.get(_only(model.loss))),
    ):
        alone = y is None and not isinstance(x, _BATCHED)
        alone &= model.loss is None and not _is_pair(x)
        if alone:
            y = x  # No loss reads it.
        batches, per_epoch, examples = _batches(x, y, batch_size)
        planned = None if epochs is None or per_epoch is None else epochs * per_epoch
        training = _Training(clock, planned, model, batches, examples)
        training.alone = alone
        if model.loss is None and not training.own and not training.added():
            raise ValueError(_COMPILED.format(model.name))
        return training.diagnosis()


def _check_arguments(model: Any, batch_size: Any, epochs: Any) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the Keras backend must be tensorflow, got {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {type(model).__name__}")
    if model.built and model.weights and not model.trainable_variables:
        raise ValueError(
            f"model must have weights to train, got {model.name!r}, which is frozen: set trainable = True in a part"
        )
    if not model.built or not model.trainable_variables:
        raise ValueError(
            f"model must have weights to train (build it, or run it on a batch once before), got {model.name!r}"
        )
    if not model.compiled:
        raise ValueError(_COMPILED.format(model.name))
    several = [
        name
        for name, part in vars(model).items()
        if isinstance(part, keras.optimizers.Optimizer) and part is not model.optimizer
    ]
    if _has_own_step(model) and several:
        raise ValueError(
            f"model must train by the optimizer that it is compiled with, got {type(model).__name__} with a train_step "
            f"of its own and {', '.join(several)}: check_model(model, batch, loss_fn) looks at it without a step"
        )
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise ValueError(f"{name} must be a positive integer, got {value!r}")


def _has_own_step(model: keras.Model) -> bool:
    return type(model).train_step is not keras.Model.train_step


def _is_pair(x: Any) -> bool:
    return isinstance(x, tuple | list) and len(x) == 2


_COMPILED = "model must be compiled with an optimizer and a loss, got {!r}"


def _only(loss: Any) -> Any:
    """The one loss of a model, None of several."""
    if isinstance(loss, dict | list | tuple):
        parts = tree.flatten(loss)
        return parts[0] if len(parts) == 1 else None
    return loss


_BATCHED = (tf.data.Dataset, keras.utils.PyDataset)


def _batches(
    x: Any, y: Any, batch_size: int | None
) -> tuple[list[Any], int | None, Any]:
    """Up to STEPS batches (inputs, targets, weights), the number of them in an
    epoch, and all examples as a pair, if they are at hand.
    """
    if isinstance(x, _BATCHED):
        if batch_size is not None:
            raise ValueError(
                f"batch_size must be left to the dataset, got {batch_size!r}"
            )
        if isinstance(x, tf.data.Dataset):
            per_epoch = int(x.cardinality())
            parts = iter(x)
        else:
            per_epoch = x.num_batches if x.num_batches is not None else -1
            parts = (
                x[place] for place in range(per_epoch if per_epoch >= 0 else STEPS)
            )
        held = list(_held(parts))
        if not held:
            raise ValueError("x must hold a batch at least, got an empty dataset")
        return held, per_epoch if per_epoch >= 0 else None, None
    if y is None:
        if not (isinstance(x, tuple | list) and len(x) == 2):
            raise ValueError(
                f"y must be given, or x must be a pair (x, y) or a dataset, got {type(x).__name__}"
            )
        x, y = x
    if any(isinstance(part, float | int | str) for part in tree.flatten((x, y))):
        raise ValueError(
            f"x and y must hold arrays, np.array(values) of a list, got {type(x).__name__} and {type(y).__name__}"
        )
    x, y = (tree.map_structure(_array, part) for part in (x, y))
    sizes = [_count(part) for part in tree.flatten((x, y))]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(
            f"x and y must hold an example at least, and as many inputs as targets, got {sizes}"
        )
    count, size = sizes[0], batch_size or 32
    draw, places = np.random.default_rng(1), []
    while len(places) < STEPS:
        order = draw.permutation(count)
        # A rest of one example is more than batch normalization can bear.
        parts = [order[start : start + size] for start in range(0, count, size)]
        places += [part for part in parts if len(part) == size] or [order]
    return (
        [(*_taken((x, y), place), None) for place in places],
        -(-count // size),
        (x, y),
    )


def _taken(data: Any, place: Any) -> Any:
    return tree.map_structure(partial(_rows, place), data)


def _rows(place: np.ndarray, part: Any) -> Any:
    """Some examples, each at most once."""
    if isinstance(part, tf.RaggedTensor):
        return tf.gather(part, place)
    if not isinstance(part, tf.SparseTensor):
        return part[place]
    new = np.full(part.shape[0], -1)
    new[place] = np.arange(len(place))
    indices = part.indices.numpy()
    indices[:, 0] = new[indices[:, 0]]
    kept = indices[:, 0] >= 0
    shape = (len(place), *part.shape[1:])
    some = tf.SparseTensor(indices[kept], part.values.numpy()[kept], shape)
    return tf.sparse.reorder(some)


_COMPOSITE = (tf.RaggedTensor, tf.SparseTensor)


def _array(part: Any) -> Any:
    return part if isinstance(part, _COMPOSITE) else np.asarray(part)


def _count(part: Any) -> int:
    """How many examples."""
    return int(part.shape[0]) if len(part.shape) else 0


def _held(parts: Iterator[Any]) -> Iterator[Any]:
    held = 0
    for count, part in enumerate(parts):
        batch = keras.utils.unpack_x_y_sample_weight(part)
        batch = tuple(
            piece if piece is None else tree.map_structure(_array, piece)
            for piece in batch
        )
        held += sum(getattr(piece, "nbytes", 0) for piece in tree.flatten(batch))
        if count and (count >= STEPS or held > HELD):
            return
        yield batch


_KINDS = {
    "sparse_categorical_crossentropy": "labels",
    "categorical_crossentropy": "classes",
    "categorical_focal_crossentropy": "classes",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "mean_squared_error": "squared",
    "mean_absolute_error": "absolute",
    "huber": "other",
    "log_cosh": "other",
    "poisson": "other",
    "hinge": "hinge",
    "squared_hinge": "hinge",
    "categorical_hinge": "hinge",
}
_PASSED = ("Identity", "Reshape", "Cast", "Transpose", "Squeeze", "ExpandDims")
_NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.Rescaling,
    layers.UnitNormalization,
)
_DROPS = (
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
_BETWEEN = (layers.Dropout, layers.GaussianNoise, layers.Reshape, layers.Identity)
"""Layers that leave two linear ones one."""


class _Training(_Program):
    """How they make a step in Keras."""

    def __init__(
        self,
        clock: _Clock,
        planned: int | None,
        model: keras.Model,
        batches: list[Any],
        examples: Any,
    ) -> None:
        super().__init__(clock, planned)
        self.model, self.batches, self.examples = model, batches, examples
        self.output: Any = None
        """Of the last step."""
        self.loss_fn = losses.get(_only(model.loss))
        self.own, self.alone = _has_own_step(model), False
        """It trains by a train_step of its own, and from inputs alone."""
        self.optimizer, self.peak = _twin(model, planned)
        self.eagerly = self.own_step if self.own else self.eager_step
        self.step = tf.function(self.eagerly, reduce_retracing=True)
        if model.run_eagerly:
            self.step = self.eagerly

    def judge_optimizer(self) -> list[Finding]:
        """The optimizer of a compiled model gets all weights that train."""
        return []

    def is_trained(self, name: str) -> bool:
        layer = next((one for one in _leaves(self.model) if one.path == name), None)
        return layer is None or bool(layer.trainable_weights)

    def checked(self) -> ModelReport | None:
        """None if the loss stands in a train_step alone."""
        if self.own and self.model.loss is None and not self.added():
            return None
        x, y, _ = self.batches[0]
        y = x if y is None else y
        if self.examples and _count(tree.flatten(x)[0]) < 32:
            # A batch as the training draws it, but not a small one; some models
            # take batches of one size alone.
            count = _count(tree.flatten(self.examples)[0])
            order = np.random.default_rng(0).permutation(count)[:32]
            with suppress(ValueError):
                return self.checked_on(*_taken(self.examples, order))
        return self.checked_on(x, y)

    def checked_on(self, x: Any, y: Any) -> ModelReport:
        if tree.is_nested(y) or _only(self.model.loss) is None:
            return check_model(self.model, (x, y))
        shape = getattr(self.model, "output_shape", None)
        if shape is None:  # of a subclass
            with suppress(*_FAILURES, tf.errors.OpError):
                shape = self.called((x,), False).shape
        return check_model(self.model, (x, _widened(y, shape or ())))

    def added(self) -> bool:
        """Do layers add to the loss?"""
        with _untouched(self.model, _leaves(self.model), None, None):
            with suppress(*_FAILURES, tf.errors.OpError):
                self.called(self.batches[0], True)
            return bool(_added(self.model))

    def losses(self, batch: Any, output: Any) -> tuple[Any, Any]:
        """Of the data, and of all penalties."""
        x, y, weights = batch
        whole = self.model.compute_loss(x=x, y=y, y_pred=output, sample_weight=weights)
        parts = self.model.losses
        if self.model.loss is None:
            # What layers add is the loss, and what is left are penalties.
            added = {id(part) for part in _added(self.model)}
            parts = [part for part in parts if id(part) not in added]
        penalty = sum((tf.cast(part, whole.dtype) for part in parts), 0.0)
        return whole - penalty, penalty

    def eager_step(self, *batch: Any) -> Any:
        """One step of the twin of the optimizer; loss and output before it."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            output = self.called(batch, True)
            bare, penalty = self.losses(batch, output)
            whole = bare + penalty
        self.optimizer.apply(
            tape.gradient(whole, [part.value for part in weights]), weights
        )
        return bare, output

    @tf.autograph.experimental.do_not_convert  # nor does fit
    def own_step(self, *batch: Any) -> Any:
        """A step of the model's own, by the twin of its optimizer: the loss
        that it returns, and no output."""
        x, y, weights = batch
        known, kept = vars(self.model), self.model.optimizer
        known["optimizer"] = self.optimizer
        try:
            # Most return the mean since the last reset.
            self.model.reset_metrics()
            pack = keras.utils.pack_x_y_sample_weight
            logs = self.model.train_step(pack(x, None if self.alone else y, weights))
        finally:
            known["optimizer"] = kept
        names = [name for name in logs if "loss" in name]
        if "loss" not in logs and len(names) != 1:
            raise ValueError(
                f"train_step must return its loss as 'loss', got {list(logs)}"
            )
        loss = logs["loss" if "loss" in logs else names[0]]
        return tf.reduce_mean(tf.cast(loss, tf.float32)), tf.zeros(())

    def is_compiled_loss(self, whole: Any) -> bool:
        """Is the loss of the model's own step the compiled one?"""
        with self.trial_of(1.0):
            own = self.one_step(self.batches[0], "looking at the loss")
        return math.isclose(own, float(whole), rel_tol=1e-3)

    def called(self, batch: Any, training: bool) -> Any:
        takes = getattr(self.model, "_call_has_training_arg", True)
        return self.model(batch[0], **({"training": training} if takes else {}))

    def find_facts(self) -> Any:
        """Fill `facts`; return the gradient norms of loss and penalty."""
        self.clock.tick(2, "looking at the loss")
        batch = tuple(tree.map_structure(_tensor, part) for part in self.batches[0])
        if self.own and self.model.loss is None:
            return None
        failure = output = bare = None
        makers = dict[int, tuple[str, int]]()

        def note(kind: Any, inputs: Any, _: Any, outputs: Any, *__: Any) -> None:
            kind = kind.decode() if isinstance(kind, bytes) else kind
            for result in outputs:
                makers[result._id] = kind, inputs[0]._id if inputs else 0

        with (
            _untouched(self.model, _leaves(self.model), None, self.loss_fn),
            tf.GradientTape(persistent=True) as tape,
        ):
            try:
                op_callbacks.add_op_callback(note)
                try:
                    output = self.called(batch, True)
                finally:
                    op_callbacks.remove_op_callback(note)
                bare, penalty = self.losses(batch, output)
            except (*_FAILURES, tf.errors.OpError) as error:
                failure = error
        if failure and self.own:
            return None
        told = failure or not self.own or self.is_compiled_loss(bare + penalty)
        if output is not None and told:
            self.facts = self.facts_of(output, makers, bare)
        if failure:
            raise _Failed from failure
        variables = [part.value for part in self.model.trainable_variables]
        norms = [
            _length(tape.gradient(value, variables)) if tf.is_tensor(value) else 0.0
            for value in (bare, penalty)
        ]
        del tape
        return norms

    def facts_of(
        self, output: Any, makers: dict[int, tuple[str, int]], bare: Any
    ) -> _Facts | None:
        """None for several outputs, and for a loss that is none of Keras's."""
        func = getattr(self.loss_fn, "fn", self.loss_fn)
        kind = _KINDS.get(getattr(func, "__name__", ""))
        if kind is None or not tf.is_tensor(output) or not self.has_one_target():
            return None
        first = self.rows(self.batches[0], output)
        y = self.all_targets() if first[2] is None else self.counted_targets(first)
        config = getattr(self.loss_fn, "get_config", dict)()
        source = output._id
        while makers.get(source, ("", 0))[0] in _PASSED:
            source = makers[source][1]
        if kind == "labels" and config.get("ignore_class") is not None:
            y = y[y != config["ignore_class"]]
        mean = partial(_mean, self.loss_fn)
        unit = None
        if bare is not None:
            plain = mean(*first[:2])
            unit = float(bare) / plain if abs(plain) > 0 else None
        return _Facts(
            kind=kind,
            logits=bool(config.get("from_logits")),
            maker=makers.get(source, ("", 0))[0],
            output=_numbers(first[1]),
            targets=y,
            value=unit and partial(_value, mean, config, kind, unit),
            classes=self.weighed(kind),
            smoothing=config.get("label_smoothing") or 0.0,
            unit=unit or 1.0,
            sums=config.get("reduction") == "sum",
            ignored=config.get("ignore_class") if kind == "labels" else None,
        )

    def has_one_target(self) -> bool:
        wanted = [self.examples] if self.examples else self.batches
        parts = [tree.flatten(part[1]) for part in wanted]
        return all(len(part) == 1 and part[0] is not None for part in parts)

    def all_targets(self) -> np.ndarray:
        wanted = [self.examples] if self.examples else self.batches
        parts = [tree.flatten(part[1])[0] for part in wanted]
        if len({part.shape[1:] for part in parts}) > 1:
            return parts[0]
        return np.concatenate(parts)

    def rows(self, batch: Any, output: Any) -> tuple[Any, Any, Any]:
        """Targets and outputs of a batch and None; where a mask or weights say
        how much each example or step of it counts, each as often as it does,
        and how much.
        """
        target, weights = tree.flatten(batch[1])[0], batch[2]
        mask = getattr(output, "_keras_mask", None)
        places = tuple(output.shape[:-1])
        if not places or tuple(target.shape[: len(places)]) != places:
            return target, output, None
        counts = np.ones(places)
        for part in (mask, weights):
            values = np.ones(()) if part is None else _numbers(part)
            if values.ndim == len(places) + 1 and values.shape[-1] == 1:
                values = values[..., 0]
            # One number for an example of many steps is Keras's (examples, 1).
            wide = zip(values.shape, places, strict=False)
            if values.ndim not in (0, len(places)) or any(
                one not in (1, whole) for one, whole in wide
            ):
                return target, output, None
            counts *= values
        if (counts == counts.flat[0]).all() or (counts < 0).any():
            return target, output, None
        chosen = _as_often(counts.reshape(-1))
        target = _numbers(target).reshape(-1, *target.shape[len(places) :])
        output = tf.reshape(output, (-1, output.shape[-1]))
        return target[chosen], tf.gather(output, chosen), counts

    def weighed(self, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        """How many examples of each class there are, and their mean weight."""
        parts = [(tree.flatten(y)[0], weights) for _, y, weights in self.batches]
        if kind not in ("labels", "classes", "binary") or any(
            weights is None or _numbers(weights).size != len(y) for y, weights in parts
        ):
            return None
        labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        if kind == "classes":
            labels = labels.argmax(-1)
        labels, weights = labels.reshape(-1), _numbers(weights).reshape(-1)
        if labels.size != weights.size or (labels != np.round(abs(labels))).any():
            return None
        labels = labels.astype(int)
        counts = np.bincount(labels)
        return counts, np.bincount(labels, weights) / np.maximum(counts, 1)

    def counted_targets(self, first: tuple[Any, Any, Any]) -> np.ndarray:
        """As often as they count, of some batches."""
        parts = [first[0]]
        for batch in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with _untouched(self.model, _leaves(self.model), None, self.loss_fn):
                parts.append(self.rows(batch, self.called(batch, False))[0])
        same = [part for part in parts if part.shape[1:] == parts[0].shape[1:]]
        return np.concatenate(same)

    def looks(self, norms: Any) -> _Looks:
        inputs = tree.flatten(self.examples[0]) if self.examples else []
        leaves = _leaves(self.model)
        first = next(
            (part for part in leaves if part.weights or isinstance(part, _NORMS)), None
        )
        return _Looks(
            inputs=[part for part in inputs if _is_float(part) and not _is_mask(part)],
            normalized=isinstance(first, _NORMS),
            stacks=_stacks(leaves),
            drops=[
                (part.name, part.rate) for part in leaves if isinstance(part, _DROPS)
            ],
            penalty=0.0 if norms is None else self.penalty(*norms),
        )

    def penalty(self, learned: float, shrunk: float) -> float:
        ratio = shrunk / learned if learned else 0.0
        decay = self.optimizer.weight_decay
        if not decay:
            return ratio
        weights = self.model.trainable_variables
        with self.trial_of(1.0):
            before = [part.numpy() for part in weights]
            self.one_step(self.batches[0], "looking at the penalty")
            after = [part.numpy() for part in weights]
        shrinks = [self.peak * decay * part for part in before]
        moves = [
            new - old + shrink
            for new, old, shrink in zip(after, before, shrinks, strict=True)
        ]
        learned = _length(moves)
        return max(ratio, _length(shrinks) / learned if learned else 0.0)

    @contextmanager
    def trial_of(self, factor: float, alone: bool = False) -> Iterator[None]:
        """Whatever steps are made inside, at a multiple of the rate or by Adam,
        all comes back.
        """
        optimizer, step = self.optimizer, self.step
        with _untouched(self.model, _leaves(self.model), None, self.loss_fn) as before:
            if alone:
                self.optimizer = keras.optimizers.Adam(factor)
                self.optimizer.build(self.model.trainable_variables)
                self.step = self.eagerly
            else:
                before.look([("optimizer", optimizer)])
                optimizer.learning_rate = self.peak * factor
            try:
                yield
            finally:
                self.optimizer, self.step = optimizer, step

    def one_step(self, batch: Any, doing: str) -> float:
        self.clock.tick(1, doing)
        try:
            tensors = (tree.map_structure(_tensor, part) for part in batch)
            loss, self.output = self.step(*tensors)
            return float(loss)
        except (*_FAILURES, tf.errors.OpError) as error:
            raise _Failed from error

    def run(self, factor: float, steps: int, alone: bool) -> list[float]:
        """The losses of a trial."""
        first = not self.probe.trials
        doing = f"rate x {factor:g}" + (" on one batch" if alone else "")
        found = list[float]()
        weights = self.model.trainable_variables
        with self.trial_of(factor, alone):
            before = [part.numpy() for part in weights]
            for place in range(steps):
                batch = self.batches[0 if alone else place % len(self.batches)]
                try:
                    found.append(self.one_step(batch, doing))
                except _Failed:
                    if first and not self.ran_away(batch):
                        raise
                    found.append(math.inf)
                    break
                if first and not math.isfinite(found[-1]):
                    self.probe.zeros = self.log_of_zero(batch[1], len(found))
                if self.clock.stopped or not math.isfinite(found[-1]):
                    break
                if first and len(found) == self.probe.own:
                    self.rate()
            moves = [
                part.numpy() - old for part, old in zip(weights, before, strict=True)
            ]
            self.probe.moved.append(_length(moves) / max(_length(before), 1e-30))
        return found

    def ran_away(self, batch: Any) -> bool:
        """Does the model return numbers that are none? Losses and operations
        may refuse them.
        """
        parts = [*self.model.trainable_variables]
        with suppress(*_FAILURES, tf.errors.OpError):
            parts += tree.flatten(self.called(batch, True))
        return not all(np.isfinite(_numbers(part)).all() for part in parts)

    def log_of_zero(self, targets: Any, step: int) -> str:
        """Evidence that the last step took the logarithm of a 0."""
        evidence = ""

        def loss(values: np.ndarray) -> float:
            return _mean(self.loss_fn, targets, tf.cast(values, self.output.dtype))

        with suppress(*_FAILURES, tf.errors.OpError):
            if self.loss_fn is not None and tf.is_tensor(self.output):
                evidence = _log_of_zero(_numbers(self.output), loss, step)
        return evidence

    def rate(self) -> None:
        """Loss and accuracy of some examples, in both modes, unless the loss is
        known to a train_step alone."""
        if self.own and not self.facts:
            return
        count = _count(tree.flatten(self.batches[0])[0])
        some = self.batches[: max(1, LOOKED_AT // max(count, 1))]
        for training in (False, True):
            values, outputs, targets = self.rated(some, training)
            if not training:
                self.probe.settled = sum(values) / len(values)
            if outputs is not None:
                self.probe.scores.append(_score(self.facts, outputs, targets))

    def rated(self, batches: list[Any], training: bool) -> tuple[list[float], Any, Any]:
        """Losses, and outputs and targets if the loss is known."""
        values, outputs, targets = [], [], []
        for batch in batches:
            self.clock.tick(0.4, "rating")
            output = self.called(batch, training)
            values.append(float(self.losses(batch, output)[0]))
            if self.facts:
                target, output, _ = self.rows(batch, output)
                outputs.append(_numbers(output))
                targets.append(target)
        if len({part.shape[1:] for part in outputs}) != 1:
            return values, None, None
        return values, np.concatenate(outputs), np.concatenate(targets)

    def unrelated(self) -> str:
        """Evidence that labels have nothing to do with inputs."""
        wanted = [self.examples] if self.examples else self.batches
        parts = [[tree.flatten(part)[0] for part in pair[:2]] for pair in wanted]
        if not self.facts or not all(_is_float(part[0]) for part in parts):
            return ""
        if len({(x.shape[1:], y.shape[1:]) for x, y in parts}) > 1:
            return ""
        x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        return _unrelated(y, x)

    def by_heart(self, steps: int, low: float) -> tuple[list[float], str]:
        """The losses of a training on two thirds of the examples, until it is
        as low, and evidence that nothing of it holds for the others."""
        found, evidence = list[float](), ""
        kept, others = self.apart()
        if not kept or not others:
            return found, evidence
        with self.trial_of(1.0):
            while len(found) < steps and not self.clock.stopped:
                found.append(self.one_step(kept[len(found) % len(kept)], "held out"))
                some = found[-len(kept) :]
                if len(some) == len(kept) and sum(some) < low * len(kept):
                    break
            _, outputs, targets = self.rated(others, training=False)
            if outputs is not None:
                evidence = _not_held(self.facts, outputs, targets)
        return found, evidence

    def apart(self) -> tuple[list[Any], list[Any]]:
        """Batches of two thirds of the examples, and of the others."""
        if self.examples is None:
            cut = len(self.batches) * 2 // 3
            return self.batches[:cut], self.batches[cut:]
        size, count = (
            _count(tree.flatten(data)[0]) for data in (self.batches[0], self.examples)
        )
        order, cut = np.random.default_rng(2).permutation(count), count * 2 // 3
        kept, others = (
            [part[start : start + size] for start in range(0, len(part), size)]
            for part in (order[:cut], order[cut : cut + LOOKED_AT])
        )
        kept = [place for place in kept if len(place) == size] or kept
        return tuple(
            [(*_taken(self.examples, place), None) for place in places]
            for places in (kept, others)
        )


def _is_float(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "f"


def _twin(model: keras.Model, planned: int | None) -> tuple[Any, float]:
    """An optimizer with the settings and the state of the model's, whose rate
    can be set, and the highest rate of its schedule.
    """
    own = model.optimizer
    own = getattr(own, "inner_optimizer", own)
    config = own.get_config()
    rate = getattr(own, "_learning_rate", config["learning_rate"])
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        places = np.linspace(0, planned or 10_000, 50).astype(int)
        peak = max(float(rate(int(place))) for place in places)
    else:
        peak = float(own.learning_rate)
    twin = type(own).from_config(config | {"learning_rate": peak})
    twin.build(model.trainable_variables)
    if own.built:
        for new, old in zip(twin.variables, own.variables, strict=False):
            if new.shape == old.shape:
                new.assign(old)
        twin.learning_rate = peak
    return twin, peak


def _tensor(part: Any) -> Any:
    kept = part is None or isinstance(part, _COMPOSITE)
    return part if kept else tf.convert_to_tensor(part)


def _numbers(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _length(parts: list[Any]) -> float:
    arrays = [
        _numbers(tf.convert_to_tensor(part)) for part in parts if part is not None
    ]
    return math.hypot(*(float(np.linalg.norm(part.reshape(-1))) for part in arrays))


def _mean(loss_fn: Any, targets: Any, output: Any) -> float:
    """Of the loss over all its parts that count, however it adds them up."""
    func = getattr(loss_fn, "call", loss_fn)
    targets = tf.cast(_widened(targets, output.shape), output.dtype)
    parts = func(targets, output)
    # The one that Keras leaves on a loss with a class that is ignored.
    counted = getattr(parts, "_keras_mask", None)
    if counted is not None:
        parts = tf.boolean_mask(parts, counted)
    return float(tf.reduce_mean(parts))


def _widened(targets: Any, shape: Any) -> Any:
    """With an axis of length one, as the model has it: a compiled loss adds
    it."""
    if len(shape) == len(targets.shape) + 1 and shape[-1] == 1:
        return targets[..., None]
    return targets


def _value(
    mean: Any,
    config: dict[str, Any],
    kind: str,
    unit: float,
    answer: np.ndarray,
    targets: np.ndarray,
) -> float:
    """The loss of an answer, a probability for a cross-entropy."""
    if kind in ("classes", "binary") and config.get("from_logits"):
        kept = np.clip(answer, 1e-9, 1 - 1e-9)
        answer = np.log(kept) - (np.log1p(-kept) if kind == "binary" else 0.0)
    return unit * mean(targets, tf.convert_to_tensor(answer))


def _stacks(leaves: list[keras.Layer]) -> list[str]:
    """Pairs of dense layers of which the second one reads the first one alone,
    and which are no bottleneck.
    """
    found = []
    for layer in leaves:
        before = _read(layer) if isinstance(layer, layers.Dense) else None
        while isinstance(before, _BETWEEN) and len(before._outbound_nodes) == 1:
            before = _read(before)
        if (
            isinstance(before, layers.Dense)
            and before.activation is keras.activations.linear
            and len(before._outbound_nodes) == 1
            and layer.kernel.shape[0] == before.units
            and before.units >= min(before.kernel.shape[0], layer.units)
        ):
            found.append(f"{before.name} and {layer.name}")
    return found


def _read(layer: keras.Layer) -> Any:
    """The layer whose output is this one's only input, in a functional
    model."""
    nodes = layer._inbound_nodes
    if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
        return None
    return nodes[0].input_tensors[0]._keras_history.operation


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(512, 20)).astype("float32")
    labels = inputs[:, 0] + inputs[:, 1] > 0
    network = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, "relu"),
            layers.Dense(1, "sigmoid"),
        ]
    )
    slow = keras.optimizers.SGD(1e-3)
    network.compile(slow, "binary_crossentropy")
    pair = inputs, labels.astype("float32")
    print(diagnose(network, *pair, batch_size=32, epochs=10))
