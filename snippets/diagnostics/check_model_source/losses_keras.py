"""What the loss compares."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from keras.src import backend
from keras.src.random.seed_generator import global_seed_generator

from snippets.diagnostics.check_model_source.kinds_keras import _REGRESSIONS
from snippets.diagnostics.check_model_source.limits import (
    FEW,
    INPUT,
    NUMBERS,
)
from snippets.diagnostics.check_model_source.measure_keras import (
    _array,
    _exchanged,
    _kept,
    _norm,
    _rms,
    _taken,
)
from snippets.diagnostics.check_model_source.seen import _Seen, _Stop


class _Losses(_Seen):
    """Judges outputs beside targets."""

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
