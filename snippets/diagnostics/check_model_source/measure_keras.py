"""Numbers and names of tensors, weights and operations."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, tree
from tensorflow.python.framework import op_callbacks

from snippets.diagnostics.check_model_source.limits import FEW, SAMPLES

_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


@contextmanager
def _every_operation(look: Callable[..., None]) -> Iterator[None]:
    """Look at each, also at those of a tf.function, compiled or not."""
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    op_callbacks.add_op_callback(look)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(look)
        tf.config.run_functions_eagerly(eager)


def _all_finite(slope: Any) -> bool:
    if slope is None:
        return True
    return bool(np.isfinite(_array(tf.convert_to_tensor(slope))).all())


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (*_ERRORS, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{what()}: {error}") from error


def _way_round(loss_fn: Any, targets: Any, output: Any) -> str:
    try:
        loss_fn(output, targets)
    except Exception:
        return ""
    return " (the other way round it works: pass lambda targets, output: loss_fn(output, targets))"


def _kept(output: Any) -> np.ndarray:
    """Which examples, or steps of them, the mask of an output leaves to the
    loss."""
    places = tuple(output.shape)[:-1] or tuple(output.shape)
    mask = getattr(output, "_keras_mask", None)
    if mask is None or tuple(mask.shape) != places:
        return np.full(places, True)
    return _array(mask)


def _is_of_keras(loss_fn: Any) -> bool:
    """As it stands in the library, not a function of one's own around it."""
    made = loss_fn if hasattr(loss_fn, "__module__") else type(loss_fn)
    return str(getattr(made, "__module__", "")).startswith("keras.")


def _texts(inputs: Any) -> list[np.ndarray]:
    """Whole numbers, a row for each text."""
    if isinstance(inputs, dict):
        other = re.compile("label|target|mask|type|segment|position")
        inputs = [part for name, part in inputs.items() if not other.search(name)]
    whole = [part for part in _arrays(inputs) if part.dtype.kind in "iu"]
    return [part for part in whole if part.ndim == 2]


def _series(inputs: list[np.ndarray], targets: list[np.ndarray]) -> Any:
    """Numbers (examples, places, ...), of which the targets are the next ones,
    all or the first of each place.
    """
    for given in inputs:
        for target in targets:
            if (
                given.dtype.kind == "f"
                and given.ndim > 2
                and given.shape[1] >= FEW
                and given.shape[:-1] == target.shape[:-1]
            ):
                known = given[..., : target.shape[-1]]
                later = np.array_equal(known[:, 1:], target[:, :-1])
                if later and not np.array_equal(known[:, 1:], known[:, :-1]):
                    return given
    return None


def _exchanged(old: np.ndarray, new: np.ndarray, value: Any) -> Any:
    """Inputs with another array in the place of one."""
    same = np.shape(value) == old.shape and np.array_equal(value, old)
    return new if same else value


def _taken(examples: int, pick: list[int], value: Any) -> Any:
    """Of inputs, some examples."""
    return np.asarray(value)[pick] if np.shape(value)[:1] == (examples,) else value


def _born(mask: bool, result: np.ndarray, given: list[np.ndarray]) -> bool:
    if not mask:
        return not np.isfinite(result).all() and all(
            np.isfinite(part).all() for part in given
        )
    spoiled = any((np.isnan(part) | np.isposinf(part)).any() for part in given)
    # A softmax makes NaN of -inf alone; a minus before it is no birth.
    made = np.isnan(result).any() or (
        np.isposinf(result).any() and not any(np.isneginf(part).any() for part in given)
    )
    return bool(made) and not spoiled


def _scale(layer: keras.Layer) -> Any:
    """That of a normalization, if it has one."""
    if "Norm" not in type(layer).__name__:
        return None
    return next(
        (
            weight
            for weight in layer._trainable_variables
            if weight.name in ("gamma", "scale") and len(weight.shape) == 1
        ),
        None,
    )


def _centred(values: np.ndarray) -> float:
    size = float(np.sqrt(np.square(values).mean()))
    return abs(float(values.mean())) / size if size else 0.0


def _steps(model: keras.Model, parts: list[keras.Layer]) -> str:
    """What tells that a model is not at its start."""
    steps = int(model.optimizer.iterations) if getattr(model, "optimizer", None) else 0
    if steps:
        return f"its optimizer has made {steps} steps"
    for layer in parts:
        statistics = isinstance(layer, layers.BatchNormalization) and layer.built
        if statistics and _array(layer.moving_mean).any():
            return f"the moving mean of {layer.path} is not 0"
    return ""


def _is_linear(layer: keras.Layer, bends: bool = False) -> bool:
    """Nothing but linear; with `bends`, up to an activation of its own."""
    kinds = (
        layers.Dense,
        layers.EinsumDense,
        layers.Conv1D,
        layers.Conv2D,
        layers.Conv3D,
    )
    return (
        type(layer) in kinds
        and getattr(layer, "groups", 1) == 1
        and (bends or layer.activation is keras.activations.linear)
    )


def _columns(values: np.ndarray) -> list[float]:
    """The root mean square of each feature of a table."""
    if values.ndim != 2 or values.shape[1] > 2**12:
        return []
    return np.sqrt(np.square(values[:SAMPLES]).mean(0)).tolist()


def _leaves(model: keras.Model) -> list[keras.Layer]:
    """All layers but the model; a recurrent layer stands for its cell, which
    runs once per time step.
    """
    cells = {
        id(part)
        for layer in model._flatten_layers()
        if isinstance(layer, layers.RNN)
        for part in layer._flatten_layers(include_self=False)
    }
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if id(layer) not in cells
    ]


def _weights(layer: keras.Layer) -> list[Any]:
    """The layer's own weights of two or more dimensions."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    own = layer.weights if isinstance(layer, layers.RNN) else own
    return [
        weight
        for weight in own
        if len(weight.shape) > 1 and "float" in str(weight.dtype)
    ]


def _units(layer: keras.Layer, values: np.ndarray) -> np.ndarray:
    """A weight as a matrix (fan_in, units)."""
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return values.reshape(-1, math.prod(values.shape[-2:]))
    if isinstance(
        layer, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose
    ):
        values = np.moveaxis(values, -2, -1)
    elif isinstance(layer, layers.EinsumDense):
        letters, output = layer.equation.partition(",")[2].split("->")
        read = [
            axis for axis, letter in enumerate(letters.strip()) if letter not in output
        ]
        rest = [axis for axis in range(values.ndim) if axis not in read]
        return values.transpose(read + rest).reshape(
            math.prod(values.shape[axis] for axis in read), -1
        )
    return values.reshape(-1, values.shape[-1])


def _gain(layer: keras.Layer, weights: list[Any]) -> float | None:
    if isinstance(layer, layers.Embedding):
        return None
    matrices = [_units(layer, _array(weight)) for weight in weights]
    return max(_norm(units) / math.sqrt(units.shape[1]) for units in matrices)


def _twins(weights: list[Any]) -> set[int]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[bytes, list[int]] = {}
    for weight in weights:
        values = _array(weight)
        if (
            values.ndim > 1
            and values.size > 1
            and values.min() < values.max()
            and values.dtype.kind == "f"
        ):
            seen.setdefault(repr(values.shape).encode() + values.tobytes(), []).append(
                id(weight)
            )
    return {weight for same in seen.values() if len(same) > 1 for weight in same}


def _alike(units: np.ndarray, within: float) -> bool:
    """Two or more columns that hold the same numbers, up to a part of the
    largest.
    """
    return units.shape[1] > 1 and bool(
        (abs(units - units[:, :1]) <= within * abs(units).max()).all()
    )


def _arrays(values: Any) -> list[np.ndarray]:
    """The arrays of numbers in nested inputs; strings are left out."""
    found = []
    for value in tree.flatten(values):
        if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
            value = (
                value.flat_values
                if isinstance(value, tf.RaggedTensor)
                else value.values
            )
        array = np.asarray(value)
        if array.dtype.kind not in "OSU":
            found.append(_array(array))
    return found


def _is_mask(values: np.ndarray) -> bool:
    """Added to scores: 0 where one may look, -inf or a large negative number
    elsewhere.
    """
    return bool(((values == 0) | (values <= -1000)).all() and (values < 0).any())


def _array(value: Any) -> np.ndarray:
    """float64 for any floating dtype."""
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _lengths(rows: np.ndarray) -> list[float]:
    """Of some of them."""
    some = rows[np.arange(min(FEW, len(rows))) * 1_000_003 % max(len(rows), 1)]
    return np.linalg.norm(_array(some), axis=-1).tolist()


def _sample(values: np.ndarray) -> np.ndarray:
    """Up to SAMPLES entries, spread so that no period of the shape is hit
    alone.
    """
    flat = values.reshape(-1)
    return (
        flat
        if len(flat) <= SAMPLES
        else flat[np.arange(SAMPLES) * 1_000_003 % len(flat)]
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(_sample(values).astype(np.float64)))))


def _moments(values: np.ndarray) -> dict[str, float]:
    some = _sample(values)
    finite = some[np.isfinite(some)]
    return {
        "mean": float(finite.mean()) if len(finite) else math.nan,
        "std": float(finite.std()) if len(finite) else math.nan,
        "non_finite": float(1 - np.isfinite(values).mean()),
    }


def _cosine(values: np.ndarray, examples: int) -> float | None:
    if (
        examples < 2
        or not values.size
        or values.shape[:1] != (examples,)
        or not np.isfinite(values).all()
    ):
        return None
    some = values[:8].reshape(min(8, examples), -1)
    norms = np.linalg.norm(some, axis=1, keepdims=True)
    if not norms.all() or some.shape[1] < 2:
        return None
    number, whole = len(some), (some / norms).sum(0)
    return float((np.square(whole).sum() - number) / (number * (number - 1)))


def _norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values.reshape(-1).astype(np.float64)))
