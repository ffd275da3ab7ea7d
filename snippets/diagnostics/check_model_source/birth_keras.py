"""Where a value that is not finite is born."""

from contextlib import suppress
from functools import partial
from typing import Any

import tensorflow as tf

from snippets.diagnostics.check_model_source.measure_keras import (
    _array,
    _born,
    _every_operation,
)
from snippets.diagnostics.check_model_source.seen import _Seen


class _Birth(_Seen):
    """Runs the model once more, and asks every operation."""

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
