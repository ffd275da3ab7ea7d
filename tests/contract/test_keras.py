"""Bad input to Keras's files, function by function: tensors, numbers, names, shapes, dtypes and activations."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from snippets.activation_functions import gain_keras as gain
from snippets.activation_functions import softmax_cross_entropy_keras as softmax
from snippets.activation_functions import unit_health_keras as health
from snippets.batch_normalization import batch_norm_keras as norm
from snippets.batch_normalization import batch_norm_like_pytorch_keras as like_pytorch
from snippets.exploding_gradients import adaptive_clipping_keras as adaptive
from snippets.exploding_gradients import clip_gradients_keras as clip
from snippets.exploding_gradients import finite_guard_keras as guard
from snippets.he_initialization import he_init_keras as he
from snippets.vanishing_gradients import forget_bias_keras as forget
from snippets.vanishing_gradients import layer_gradients_keras as gradients
from snippets.weight_initialization import delta_orthogonal_keras as delta
from snippets.weight_initialization import init_weights_keras as whole
from snippets.weight_initialization import looks_linear_keras as linear
from snippets.weight_initialization import lsuv_keras as lsuv
from snippets.weight_initialization import output_bias_keras as output
from snippets.xavier_initialization import packed_attention_keras as attention
from snippets.xavier_initialization import xavier_init_keras as xavier
from tests.contract.table import COLLECTIONS, FLAGS, SEEDS, Cell, every, hold, holds, integer, magnitude, number, scalar

pytestmark = pytest.mark.keras

Array = np.ndarray


def draws(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return np.abs(draws(*shape)) + 0.5


def network() -> keras.Sequential:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(2)])
    whole.init_weights(model, seed=0)
    return model


NORMALIZED = {
    "x": draws(5, 3),
    "gamma": positive(3),
    "beta": draws(3),
    "running_mean": draws(3),
    "running_var": positive(3),
}


def normalized(**arguments: Any) -> object:
    return [norm.batch_norm(**(NORMALIZED | arguments), training=training) for training in (True, False)]


def normalized_backward(**arguments: Any) -> object:
    given = {name: value for name, value in NORMALIZED.items() if name != "beta"} | {"grad_y": positive(5, 3)}
    return [norm.batch_norm_backward(**(given | arguments), training=training) for training in (True, False)]


def adaptively(**arguments: Any) -> object:
    given = {"gradient": ops.convert_to_tensor(draws(4, 3)), "weight": ops.convert_to_tensor(positive(4, 3))}
    return adaptive.clip_adaptively(**(given | arguments))


def shape_of(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", (4, 3))


def array(x: Any) -> Any:
    return np.asarray(x) if hasattr(x, "dtype") else x


CALLS: dict[str, tuple[Callable[[Any], object], Callable[[], Array]]] = {
    "softmax_cross_entropy.softmax_cross_entropy logits": (
        lambda x: softmax.softmax_cross_entropy(x, np.array([0, 2, 1, 1])),
        lambda: draws(4, 3),
    ),
    "softmax_cross_entropy.softmax_cross_entropy labels": (
        lambda x: softmax.softmax_cross_entropy(draws(4, 3), x),
        lambda: np.array([0, 2, 1, 1]),
    ),
    **{
        f"batch_norm.batch_norm {name}": (
            lambda x, name=name: normalized(**{name: x}),
            lambda name=name: NORMALIZED[name],
        )
        for name in NORMALIZED
    },
    **{
        f"batch_norm.batch_norm_backward {name}": (
            lambda x, name=name: normalized_backward(**{name: x}),
            lambda name=name: NORMALIZED["x" if name == "grad_y" else name],
        )
        for name in ("grad_y", "x", "gamma", "running_mean", "running_var")
    },
    "batch_norm_like_pytorch.BatchNormLikePyTorch x": (
        lambda x: like_pytorch.BatchNormLikePyTorch()(x, training=True),
        lambda: draws(5, 3),
    ),
    "output_bias.softmax_bias counts": (output.softmax_bias, lambda: np.array([1.0, 2.0, 5.0], np.float32)),
    "adaptive_clipping.unit_norm tensor": (adaptive.unit_norm, lambda: draws(4, 3)),
    "adaptive_clipping.clip_adaptively gradient": (
        lambda x: adaptively(gradient=x, weight=ops.full(shape_of(x), 2.0)),
        lambda: draws(4, 3),
    ),
    "adaptive_clipping.clip_adaptively weight": (
        lambda x: adaptively(gradient=ops.full(shape_of(x), 2.0), weight=x),
        lambda: draws(4, 3),
    ),
    "clip_gradients.global_norm gradients": (clip.global_norm, lambda: draws(4, 3)),
    "clip_gradients.clip_by_global_norm gradients": (lambda x: clip.clip_by_global_norm(x, 0.5), lambda: draws(4, 3)),
    "clip_gradients.clip_by_value gradients": (lambda x: clip.clip_by_value(x, 0.5), lambda: draws(4, 3)),
    "unit_health.unit_health batch": (lambda x: health.unit_health(network(), x), lambda: draws(5, 6)),
    "layer_gradients.layer_gradients inputs": (
        lambda x: gradients.layer_gradients(network(), x, lambda z: ops.mean(ops.square(z))),
        lambda: draws(5, 6),
    ),
    "lsuv.lsuv inputs": (lambda x: lsuv.lsuv(network(), x, seed=0), lambda: draws(5, 6)),
    "finite_guard.first_non_finite_layer inputs": (
        lambda x: guard.first_non_finite_layer(network(), x) is None,
        lambda: draws(5, 6),
    ),
    "looks_linear.mirrored block": (lambda x: linear.mirrored(array(x), True, True), lambda: draws(4, 3).round()),
    "looks_linear.orthogonal_factor draws": (lambda x: linear.orthogonal_factor(array(x)), lambda: draws(4, 3)),
}


def holding(value: float) -> Callable[[Array], Any]:
    def put(x: Array) -> Any:
        x = x.copy()
        x.flat[0] = value
        return ops.convert_to_tensor(x)

    return put


def slices(x: Array) -> tf.IndexedSlices:
    """As the gradient of an embedding that looked every row up."""
    return tf.IndexedSlices(tf.constant(x), tf.range(len(x)), tf.constant(x.shape))


COLUMNS: dict[str, Callable[[Array], Any]] = {
    "rank0": lambda x: ops.convert_to_tensor(x.ravel()[0]),
    "rank1": lambda x: ops.convert_to_tensor(x.ravel()),
    "empty": lambda x: ops.convert_to_tensor(x[:0]),
    "int": lambda x: ops.convert_to_tensor(x.round().astype(np.int32)),
    "bool": lambda x: ops.convert_to_tensor(x > 0),
    "complex": lambda x: tf.constant(x, tf.complex64),
    "sparse": slices,
    "nan": holding(math.nan),
    "inf": holding(math.inf),
    "variable": keras.Variable,
    "array": lambda x: np.stack([x, x], axis=-1)[..., 0],
    "half": lambda x: ops.cast(ops.convert_to_tensor(x), "bfloat16"),
    "float8": lambda x: ops.cast(ops.convert_to_tensor(x), "float8_e4m3fn"),
}


@every("keras", "tensors")
def test_tensors(cell: Cell):
    function, plain = CALLS[cell.row]
    given = COLUMNS[cell.column](plain())
    same = given if cell.column in ("rank0", "rank1", "empty", "int") else ops.convert_to_tensor(plain())
    hold(cell, lambda: function(same), lambda: function(given), 3e-2 if cell.column == "half" else 1e-5)


@every("keras", "collections")
def test_collections(cell: Cell):
    several, (function, _) = [draws(4, 3), draws(4)], CALLS[cell.row]
    hold(cell, lambda: function(several), lambda: function(COLLECTIONS[cell.column](several)))


CALLED: dict[str, Callable[[Callable], Callable]] = {
    "graph": tf.function,
    "jit": lambda function: tf.function(function, jit_compile=True),
}


@every("keras", "called")
def test_called(cell: Cell):
    function, plain = CALLS[cell.row]
    layer = like_pytorch.BatchNormLikePyTorch()
    layer.build((None, 3))
    if "BatchNormLikePyTorch" in cell.function:

        def function(x: Any) -> Any:
            return layer(x, training=True)

    given = ops.convert_to_tensor(plain())
    hold(cell, lambda: function(given), lambda: CALLED[cell.column](function)(given))


def lstm() -> keras.layers.LSTM:
    layer = keras.layers.LSTM(2)
    layer.build((None, 3, 4))
    return layer


def attending(**settings: Any) -> object:
    layer = keras.layers.MultiHeadAttention(2, 3)
    layer(draws(1, 2, 4), draws(1, 2, 4))
    return [
        dense.kernel for _, dense, _ in attention.projections(attention.xavier_attention(layer, **settings, seed=0))
    ]


def trained(every_batch: float) -> object:
    guard.FiniteGuard(every_batch)
    return 0.0


NUMBERS: dict[str, Callable[[float], object]] = {
    "he_init.HeNormal a": lambda a: he.HeNormal(a=a, seed=0)((4, 3)),
    "he_init.HeUniform a": lambda a: he.HeUniform(a=a, seed=0)((4, 3)),
    "xavier_init.calculate_gain param": lambda param: xavier.calculate_gain("leaky_relu", param),
    "xavier_init.xavier_std gain": lambda gain: xavier.xavier_std((4, 3), gain),
    "xavier_init.XavierNormal gain": lambda gain: xavier.XavierNormal(gain=gain, seed=0)((4, 3)),
    "xavier_init.XavierUniform gain": lambda gain: xavier.XavierUniform(gain=gain, seed=0)((4, 3)),
    "delta_orthogonal.DeltaOrthogonal gain": lambda gain: delta.DeltaOrthogonal(gain=gain, seed=0)((3, 4)),
    "packed_attention.xavier_attention gain": lambda gain: attending(gain=gain),
    "init_weights.init_weights gain": lambda gain: whole.init_weights(network(), seed=0, gain=gain),
    "batch_norm.batch_norm momentum": lambda momentum: normalized(momentum=momentum),
    "batch_norm.batch_norm eps": lambda eps: normalized(eps=eps),
    "batch_norm.batch_norm_backward eps": lambda eps: normalized_backward(eps=eps),
    "batch_norm_like_pytorch.BatchNormLikePyTorch momentum": lambda momentum: like_pytorch.BatchNormLikePyTorch(
        momentum
    )(draws(5, 3), training=True),
    "batch_norm_like_pytorch.BatchNormLikePyTorch eps": lambda eps: like_pytorch.BatchNormLikePyTorch(eps=eps)(
        draws(5, 3), training=True
    ),
    "output_bias.sigmoid_bias frequency": output.sigmoid_bias,
    "adaptive_clipping.unit_norm unit_axis": lambda axis: adaptive.unit_norm(draws(4, 3), integer(axis)),
    "adaptive_clipping.clip_adaptively clipping": lambda clipping: adaptively(clipping=clipping),
    "adaptive_clipping.clip_adaptively eps": lambda eps: adaptively(eps=eps),
    "clip_gradients.clip_by_global_norm max_norm": lambda max_norm: clip.clip_by_global_norm(draws(4, 3), max_norm),
    "clip_gradients.clip_by_value limit": lambda limit: clip.clip_by_value(draws(4, 3), limit),
    "forget_bias.set_forget_bias value": lambda value: forget.set_forget_bias(lstm(), value).cell.bias,
    "unit_health.unit_health threshold": lambda threshold: health.unit_health(network(), draws(5, 6), threshold),
    "finite_guard.FiniteGuard every": trained,
}


@every("keras", "numbers")
def test_numbers(cell: Cell):
    holds(cell, lambda: NUMBERS[cell.row](number(cell.column)))


@every("keras", "scalars")
def test_scalars(cell: Cell):
    with np.errstate(over="ignore"):
        scalar(cell, NUMBERS[cell.row])


NAMES: dict[str, Callable[..., object]] = {
    "he_init.HeNormal": he.HeNormal,
    "he_init.HeUniform": he.HeUniform,
    "xavier_init.XavierNormal": xavier.XavierNormal,
    "xavier_init.XavierUniform": xavier.XavierUniform,
    "xavier_init.calculate_gain": xavier.calculate_gain,
    "init_weights.init_weights": lambda **name: whole.init_weights(network(), seed=0, **name),
}


@every("keras", "names")
def test_names(cell: Cell):
    holds(cell, lambda: NAMES[cell.function](**{cell.argument: ["relu"] if cell.column == "list" else "swish-7"}))


SHAPED: dict[str, Callable[..., object]] = {
    "he_init.HeNormal": he.HeNormal(seed=0),
    "he_init.HeUniform": he.HeUniform(seed=0),
    "xavier_init.xavier_std": xavier.xavier_std,
    "xavier_init.XavierNormal": xavier.XavierNormal(seed=0),
    "xavier_init.XavierUniform": xavier.XavierUniform(seed=0),
    "delta_orthogonal.DeltaOrthogonal": delta.DeltaOrthogonal(seed=0),
}
SHAPES: dict[str, Any] = {
    "rank0": (),
    "rank1": (4,),
    "zero-sized": (0, 4),
    "negative": (-3, 4),
    "fraction": (2.5, 4),
    "int": 4,
    "whole": (3.0, 4.0),
    "array": np.ones((3, 4)),
    "None": (None, 4),
}


@every("keras", "shapes")
def test_shapes(cell: Cell):
    holds(cell, lambda: SHAPED[cell.function](SHAPES[cell.column]))


@every("keras", "dtypes")
def test_dtypes(cell: Cell):
    holds(cell, lambda: ops.cast(SHAPED[cell.function]((3, 4), dtype=cell.column), "float32"))


ACTIVATIONS: dict[str, Any] = {
    "constant": ops.ones_like,
    "nan": lambda z: z * math.nan,
    "reduces": ops.softmax,
    "scalar": ops.sum,
    "complex": lambda z: tf.cast(z, tf.complex128) * 1j,
    "unknown": "swish-7",
    "class": keras.layers.ReLU,
    "one": lambda z: 1.0,
}


@every("keras", "activations")
def test_activations(cell: Cell):
    function = {"gain.forward_gain": gain.forward_gain, "gain.backward_gain": gain.backward_gain}[cell.function]
    holds(cell, lambda: function(ACTIVATIONS[cell.column]))


ROWS = {"none": [], "one": [1.0], "zero": [1.0, 0.0], "nan": [1.0, math.nan], "inf": [math.inf, 1.0]}


@every("keras", "rows")
def test_rows(cell: Cell):
    rows: Any = [
        gradients.LayerGradient(str(i), size, None) for i, size in enumerate(ROWS.get(cell.column, [1.0, 1.0]))
    ]
    rows = gradients.Report(rows, {}) if cell.column == "report" else rows
    if cell.sign == "~":
        assert not math.isfinite(gradients.factor_per_layer(rows))
    else:
        holds(cell, lambda: gradients.factor_per_layer(rows))


MAGNITUDES: dict[str, Callable[[float, float], object]] = {
    "adaptive_clipping.clip_adaptively gradient": lambda before, after: adaptive.clip_adaptively(
        ops.full((4,), before), ops.ones((4,)), after
    ),
    "clip_gradients.clip_by_global_norm gradients": lambda before, after: clip.clip_by_global_norm(
        ops.full((4,), before), 2.0 * after
    )[0],
    "clip_gradients.clip_by_value gradients": lambda before, after: clip.clip_by_value(ops.full((4,), before), after),
}


@every("keras", "magnitudes")
def test_magnitudes(cell: Cell):
    magnitude(cell, "float32", MAGNITUDES[cell.row])


def weights(initialize: Callable[[keras.Model], object]) -> list[Any]:
    model = network()
    initialize(model)
    return list(model.weights)


def attending_from(seed: Any) -> object:
    layer = keras.layers.MultiHeadAttention(2, 3)
    layer(draws(1, 2, 4), draws(1, 2, 4))
    return attention.xavier_attention(layer, seed=seed).weights


SEEDED: dict[str, Callable[[Any], object]] = {
    "init_weights.init_weights seed": lambda seed: weights(lambda model: whole.init_weights(model, seed=seed)),
    "looks_linear.looks_linear seed": lambda seed: weights(lambda model: linear.looks_linear(model, seed=seed)),
    "lsuv.lsuv seed": lambda seed: weights(lambda model: lsuv.lsuv(model, draws(5, 6), seed=seed)),
    "packed_attention.xavier_attention seed": attending_from,
}


@every("keras", "seeds")
def test_seeds(cell: Cell):
    hold(cell, lambda: SEEDED[cell.row](1), lambda: SEEDED[cell.row](SEEDS[cell.column]))


@every("keras", "flags")
def test_flags(cell: Cell):
    function = {"batch_norm.batch_norm": norm.batch_norm, "batch_norm.batch_norm_backward": norm.batch_norm_backward}
    backward = {name: value for name, value in NORMALIZED.items() if name != "beta"} | {"grad_y": positive(5, 3)}
    given = NORMALIZED if cell.function == "batch_norm.batch_norm" else backward

    def call(training: Any) -> object:
        return function[cell.function](**given, training=training)

    hold(cell, lambda: call(True), lambda: call(FLAGS[cell.column]))


LOSSES: dict[str, Any] = {
    "value": tf.ones(()),
    "None": None,
    "number": lambda z: float(ops.sum(z)),
    "vector": lambda z: ops.mean(z, 1),
    "complex": lambda z: tf.cast(ops.sum(z), tf.complex64),
}


@every("keras", "losses")
def test_losses(cell: Cell):
    holds(cell, lambda: gradients.layer_gradients(network(), draws(5, 6), LOSSES[cell.column]))
