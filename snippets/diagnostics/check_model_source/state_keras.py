"""What the pass may change, and how it is put back."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

from snippets.diagnostics.check_model_source.before import _Before
from snippets.diagnostics.check_model_source.limits import ROOM


@contextmanager
def _untouched(
    model: keras.Model, parts: list[keras.Layer], batch: Any, loss_fn: Any
) -> Iterator["_Variables"]:
    """Whatever runs inside, model, batch, loss and random states come back."""
    states = random.getstate(), np.random.get_state()
    before = _Variables(max(ROOM, 4 * model.count_params()))
    try:
        named = [(part.path, part) for part in (*parts, model)]
        before.look(named[::-1])
        before.inside = set(before.seen)
        before.look(
            [("loss_fn", loss_fn), ("batch", batch), ("seeds", global_seed_generator())]
        )
        yield before
    finally:
        before.restore()
        random.setstate(states[0])
        np.random.set_state(states[1])


class _Variables(_Before):
    kinds = (keras.Layer, keras.Variable, tf.Variable)
    inside: set[int]
    """What the model leads to, as against the loss."""

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        if isinstance(value, tf.Variable):
            # What is read shares the memory until the variable is assigned to.
            return partial(value.assign, value.read_value())
        return super().keep_numbers(name, value)
