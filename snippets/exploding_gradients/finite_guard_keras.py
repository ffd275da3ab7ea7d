"""Stop at the first Inf or NaN in a Keras model: name the variable during
`fit`, name the layer in one batch.

    # FloatingPointError: after batch 17 of epoch 1: 37 Inf and ...
    model.fit(x, y, callbacks=[FiniteGuard()])
    # which layer makes the first Inf or NaN of a pass, or None
    print(first_non_finite_layer(model, batch))

NaN is often the end of a story: a value grows, overflows to Inf, then Inf - Inf
or 0 * Inf gives NaN, which spreads to every weight in one step.
`keras.callbacks.TerminateOnNaN` stops when the loss is NaN or Inf; the guard
also looks at the weights, which may be lost while the loss of that batch was
still finite, and names them.
Needs Python 3.10 and Keras 3.9, or newer.
Source: IEEE 754-2019, "Standard for floating-point arithmetic", sections 6.1
and 6.2 (Infinity and NaN arithmetic).
"""

from typing import Any

import keras
import numpy as np
from keras import ops, tree


class FiniteGuard(keras.callbacks.Callback):
    """Raise FloatingPointError after the first batch that leaves a loss or a
    variable of the model not finite.

    `every` is the number of batches between two looks at the variables; each
    look reads all of them. With `steps_per_execution` Keras calls once for
    several batches; then a look comes with the first call that is due. Raises
    ValueError for an `every` below 1.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        if not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"every must be an integer from 1 on, got {every!r}")
        self.every, self.epoch, self.due = every, 0, 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.due = epoch, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        where = f"after batch {batch + 1} of epoch {self.epoch + 1}"
        if batch >= self.due:
            self.due = batch + self.every
            for variable in self.model.variables:
                if fault := _fault(variable):
                    raise FloatingPointError(f"{where}: {fault} in {variable.path!r}")
        # The mean over the epoch so far: one NaN stays in it.
        if fault := _fault((logs or {}).get("loss", 0.0)):
            raise FloatingPointError(
                f"{where}: {fault} in the loss, while all variables are finite"
            )


def first_non_finite_layer(
    model: keras.Model, inputs: Any, training: bool = False
) -> str | None:
    """Run `model` on one batch and return the path of the layer whose output is
    the first to hold Inf or NaN, or None.

    The layers of the model are wrapped while it runs, eagerly, and are
    afterwards what they were, also after an error. Inputs that hold NaN raise
    ValueError. Raises ValueError for a model that is not built.
    """
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"model must be built first, by a batch or an Input, got {model.name!r}"
        )
    nan = sum(
        int(np.isnan(ops.convert_to_numpy(value)).sum())
        for value in tree.flatten(inputs)
    )
    if nan:
        raise ValueError(f"inputs must not hold NaN, got {nan}: clean the batch first")
    found: list[str] = []
    layers = [layer for layer in model._flatten_layers() if layer is not model]

    def watched(layer: keras.Layer) -> Any:
        call = layer.call

        def run(*arguments: Any, **keywords: Any) -> Any:
            output = call(*arguments, **keywords)
            if not found and any(_fault(value) for value in tree.flatten(output)):
                found.append(layer.path)
            return output

        return run

    try:
        for layer in layers:
            object.__setattr__(layer, "call", watched(layer))
        with keras.StatelessScope():
            model(inputs, training=training)
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)
    return found[0] if found else None


def _fault(values: Any) -> str | None:
    """How many Inf and NaN there are, in words, or None."""
    dtype = keras.backend.standardize_dtype(getattr(values, "dtype", "float32"))
    if keras.backend.is_float_dtype(dtype):
        values = ops.cast(values, "float64")  # NumPy has no bfloat16
    elif not dtype.startswith("complex"):
        return None
    array = ops.convert_to_numpy(values)
    infinite, nan = int(np.isinf(array).sum()), int(np.isnan(array).sum())
    return (
        f"{infinite} Inf and {nan} NaN among {array.size} values"
        if infinite or nan
        else None
    )
