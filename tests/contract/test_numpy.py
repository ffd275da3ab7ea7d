"""Bad input to NumPy's files, function by function."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from snippets.activation_functions import gain_numpy as gain
from snippets.activation_functions import softmax_cross_entropy_numpy as softmax
from snippets.activation_functions import unit_health_numpy as health
from snippets.batch_normalization import batch_norm_numpy as norm
from snippets.batch_normalization import fold_batch_norm_numpy as fold
from snippets.batch_normalization import norms_numpy as norms
from snippets.exploding_gradients import adaptive_clipping_numpy as adaptive
from snippets.exploding_gradients import clip_gradients_numpy as clip
from snippets.he_initialization import fans_numpy as fans
from snippets.he_initialization import he_init_numpy as he
from snippets.vanishing_gradients import layer_gradients_numpy as gradients
from snippets.weight_initialization import delta_orthogonal_numpy as delta
from snippets.weight_initialization import looks_linear_numpy as linear
from snippets.weight_initialization import output_bias_numpy as output
from snippets.xavier_initialization import xavier_init_numpy as xavier
from tests.contract.table import (
    COLLECTIONS,
    FLAGS,
    SEEDS,
    TYPES,
    Cell,
    every,
    hold,
    holds,
    integer,
    magnitude,
    number,
    scalar,
)

Array = np.ndarray


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def draws(*shape: int) -> Array:
    return generator().standard_normal(shape)


def positive(*shape: int) -> Array:
    return np.abs(draws(*shape)) + 0.5


def relu(z: Array) -> Array:
    return np.maximum(z, 0.0)


NORMALIZED = {
    "x": draws(5, 3),
    "gamma": positive(3),
    "beta": draws(3),
    "running_mean": draws(3),
    "running_var": positive(3),
}
FOLDED = {"weight": draws(3, 4), "bias": draws(3)} | {name: NORMALIZED[name] for name in list(NORMALIZED)[1:]}
PERCEPTRON = gradients.Perceptron([draws(4, 6), draws(2, 4)], [draws(4), draws(2)], "tanh")


def normalized(**arguments: Any) -> object:
    given = NORMALIZED | arguments
    return [norm.batch_norm(**given, training=training) for training in (True, False)]


def normalized_backward(**arguments: Any) -> object:
    given = {name: value for name, value in NORMALIZED.items() if name != "beta"} | {"grad_y": positive(5, 3)}
    return [norm.batch_norm_backward(**(given | arguments), training=training) for training in (True, False)]


def folded(**arguments: Any) -> object:
    return fold.fold_batch_norm(**({**FOLDED, "eps": 1e-5} | arguments))


def adaptively(**arguments: Any) -> object:
    return adaptive.clip_adaptively(**({"gradient": draws(4, 3), "weight": positive(4, 3)} | arguments))


CALLS: dict[str, tuple[Callable[[Array], object], Callable[[], Array]]] = {
    "softmax_cross_entropy.softmax_cross_entropy logits": (
        lambda x: softmax.softmax_cross_entropy(x, np.array([0, 2, 1, 1])),
        lambda: draws(4, 3),
    ),
    "softmax_cross_entropy.softmax_cross_entropy labels": (
        lambda x: softmax.softmax_cross_entropy(draws(4, 3), x),
        lambda: np.array([0, 2, 1, 1]),
    ),
    "layer_gradients.cross_entropy_gradient logits": (
        lambda x: gradients.cross_entropy_gradient(x, np.array([0, 2, 1, 1])),
        lambda: draws(4, 3),
    ),
    "layer_gradients.cross_entropy_gradient labels": (
        lambda x: gradients.cross_entropy_gradient(draws(4, 3), x),
        lambda: np.array([0, 2, 1, 1]),
    ),
    "layer_gradients.layer_gradients inputs": (
        lambda x: gradients.layer_gradients(PERCEPTRON, x, lambda z: z),
        lambda: draws(5, 6),
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
    **{
        f"fold_batch_norm.fold_batch_norm {name}": (
            lambda x, name=name: folded(**{name: x}),
            lambda name=name: FOLDED[name],
        )
        for name in FOLDED
    },
    "norms.batch_norm x": (norms.batch_norm, lambda: draws(4, 6)),
    "norms.layer_norm x": (norms.layer_norm, lambda: draws(4, 6)),
    "norms.group_norm x": (lambda x: norms.group_norm(x, 3), lambda: draws(4, 6)),
    "norms.rms_norm x": (norms.rms_norm, lambda: draws(4, 6)),
    "output_bias.softmax_bias counts": (output.softmax_bias, lambda: np.array([1.0, 2.0, 5.0])),
    "adaptive_clipping.unit_norm array": (adaptive.unit_norm, lambda: draws(4, 3)),
    "adaptive_clipping.clip_adaptively gradient": (
        lambda x: adaptively(gradient=x, weight=np.full(np.shape(x), 2.0)),
        lambda: draws(4, 3),
    ),
    "adaptive_clipping.clip_adaptively weight": (
        lambda x: adaptively(gradient=np.full(np.shape(x), 2.0), weight=x),
        lambda: draws(4, 3),
    ),
    "clip_gradients.global_norm gradients": (clip.global_norm, lambda: draws(4, 3)),
    "clip_gradients.clip_by_global_norm gradients": (lambda x: clip.clip_by_global_norm(x, 0.5), lambda: draws(4, 3)),
    "clip_gradients.clip_by_value gradients": (lambda x: clip.clip_by_value(x, 0.5), lambda: draws(4, 3)),
    "unit_health.unit_health preactivations": (lambda x: health.unit_health(relu, x), lambda: draws(4, 3)),
    "unit_health.left_slope points": (lambda x: health.left_slope(np.tanh, x), lambda: draws(4, 3)),
    "gain.slope points": (lambda x: gain.slope(np.tanh, x), lambda: draws(768)),
    "looks_linear.mirrored block": (lambda x: linear.mirrored(x, True, True), lambda: draws(4, 3).round()),
    "looks_linear.orthogonal_factor draws": (linear.orthogonal_factor, lambda: draws(4, 3)),
}


def holding(value: float) -> Callable[[Array], Array]:
    def put(x: Array) -> Array:
        x = x.copy()
        x.flat[0] = value
        return x

    return put


def matrix(x: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.matrix(x)


COLUMNS: dict[str, Callable[[Array], Array]] = {
    "rank0": lambda x: x.ravel()[0],
    "rank1": lambda x: x.ravel(),
    "empty": lambda x: x[:0],
    "int": lambda x: x.round().astype(np.int32),
    "bool": lambda x: x > 0,
    "complex": lambda x: x.astype(np.complex128),
    "object": lambda x: x.astype(object),
    "nan": holding(math.nan),
    "inf": holding(math.inf),
    "view": lambda x: np.stack([x, x], axis=-1)[..., 0],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "half": lambda x: x.astype(np.float16),
    "matrix": matrix,
    "masked": lambda x: np.ma.masked_array(x, mask=x > np.median(x)),
}


@every("numpy", "arrays")
def test_arrays(cell: Cell):
    function, plain = CALLS[cell.row]
    given = COLUMNS[cell.column](plain())
    same = given if cell.column in ("rank0", "rank1", "empty", "int") else plain()
    same = same.astype(np.float64) if cell.column == "half" and same.dtype == np.float16 else same
    with np.errstate(all="ignore"):
        hold(cell, lambda: function(same), lambda: function(given), 2e-2 if cell.column == "half" else 1e-5)


@every("numpy", "types")
def test_types(cell: Cell):
    function, plain = CALLS[cell.row]
    hold(cell, lambda: function(plain()), lambda: function(TYPES[cell.column](plain())))


@every("numpy", "collections")
def test_collections(cell: Cell):
    several, (function, _) = [draws(4, 3), draws(4)], CALLS[cell.row]
    hold(cell, lambda: function(several), lambda: function(COLLECTIONS[cell.column](several)))


NUMBERS: dict[str, Callable[[float], object]] = {
    "he_init.kaiming_std a": lambda a: he.kaiming_std((4, 3), a),
    "he_init.kaiming_normal a": lambda a: he.kaiming_normal((4, 3), a, generator=generator()),
    "he_init.kaiming_uniform a": lambda a: he.kaiming_uniform((4, 3), a, generator=generator()),
    "he_init.kaiming_truncated_normal a": lambda a: he.kaiming_truncated_normal((4, 3), a, generator=generator()),
    "xavier_init.calculate_gain param": lambda param: xavier.calculate_gain("leaky_relu", param),
    "xavier_init.xavier_std gain": lambda gain: xavier.xavier_std((4, 3), gain),
    "xavier_init.xavier_normal gain": lambda gain: xavier.xavier_normal((4, 3), gain, generator=generator()),
    "xavier_init.xavier_uniform gain": lambda gain: xavier.xavier_uniform((4, 3), gain, generator=generator()),
    "xavier_init.xavier_truncated_normal gain": lambda gain: xavier.xavier_truncated_normal(
        (4, 3), gain, generator=generator()
    ),
    "delta_orthogonal.delta_orthogonal gain": lambda gain: delta.delta_orthogonal((4, 3), gain, generator=generator()),
    "batch_norm.batch_norm momentum": lambda momentum: normalized(momentum=momentum),
    "batch_norm.batch_norm eps": lambda eps: normalized(eps=eps),
    "batch_norm.batch_norm axis": lambda axis: normalized(axis=integer(axis), x=draws(3, 3)),
    "batch_norm.batch_norm_backward eps": lambda eps: normalized_backward(eps=eps),
    "fold_batch_norm.fold_batch_norm eps": lambda eps: folded(eps=eps),
    "norms.batch_norm eps": lambda eps: norms.batch_norm(draws(4, 6), eps),
    "norms.layer_norm eps": lambda eps: norms.layer_norm(draws(4, 6), eps),
    "norms.group_norm eps": lambda eps: norms.group_norm(draws(4, 6), 3, eps),
    "norms.group_norm groups": lambda groups: norms.group_norm(draws(4, 6), integer(groups)),
    "norms.rms_norm eps": lambda eps: norms.rms_norm(draws(4, 6), eps),
    "output_bias.sigmoid_bias frequency": output.sigmoid_bias,
    "adaptive_clipping.unit_norm unit_axis": lambda axis: adaptive.unit_norm(draws(4, 3), integer(axis)),
    "adaptive_clipping.clip_adaptively clipping": lambda clipping: adaptively(clipping=clipping),
    "adaptive_clipping.clip_adaptively eps": lambda eps: adaptively(eps=eps),
    "clip_gradients.clip_by_global_norm max_norm": lambda max_norm: clip.clip_by_global_norm(draws(4, 3), max_norm),
    "clip_gradients.clip_by_value limit": lambda limit: clip.clip_by_value(draws(4, 3), limit),
    "unit_health.unit_health threshold": lambda threshold: health.unit_health(relu, draws(4, 3), threshold),
    "unit_health.unit_health unit_axis": lambda axis: health.unit_health(relu, draws(4, 3), unit_axis=integer(axis)),
    "fans.true_fans inputs": lambda inputs: fans.true_fans(integer(inputs), 3),
    "fans.true_fans outputs": lambda outputs: fans.true_fans(3, integer(outputs)),
    "fans.true_fans groups": lambda groups: fans.true_fans(3, 3, groups=integer(groups)),
    "fans.true_fans kernel": lambda size: fans.true_fans(3, 3, [integer(size)]),
    "fans.true_fans stride": lambda size: fans.true_fans(3, 3, [3], [integer(size)]),
    "gain.slope step": lambda step: gain.slope(np.tanh, draws(768), step),
}


@every("numpy", "numbers")
def test_numbers(cell: Cell):
    with np.errstate(all="ignore"):
        holds(cell, lambda: NUMBERS[cell.row](number(cell.column)))


@every("numpy", "scalars")
def test_scalars(cell: Cell):
    with np.errstate(all="ignore"):
        scalar(cell, NUMBERS[cell.row])


NAMES = {
    "he_init.kaiming_std": lambda **name: he.kaiming_std((4, 3), **name),
    "he_init.kaiming_normal": lambda **name: he.kaiming_normal((4, 3), generator=generator(), **name),
    "he_init.kaiming_uniform": lambda **name: he.kaiming_uniform((4, 3), generator=generator(), **name),
    "he_init.kaiming_truncated_normal": lambda **name: he.kaiming_truncated_normal(
        (4, 3), generator=generator(), **name
    ),
    "xavier_init.calculate_gain": xavier.calculate_gain,
    "layer_gradients.layer_gradients": lambda activation: gradients.layer_gradients(
        PERCEPTRON._replace(activation=activation), draws(5, 6), lambda z: z
    ),
}


@every("numpy", "names")
def test_names(cell: Cell):
    holds(cell, lambda: NAMES[cell.function](**{cell.argument: ["relu"] if cell.column == "list" else "swish-7"}))


SHAPES: dict[str, Callable[..., object]] = {
    "he_init.kaiming_std shape": he.kaiming_std,
    "he_init.kaiming_normal shape": lambda shape: he.kaiming_normal(shape, generator=generator()),
    "he_init.kaiming_uniform shape": lambda shape: he.kaiming_uniform(shape, generator=generator()),
    "he_init.kaiming_truncated_normal shape": lambda shape: he.kaiming_truncated_normal(shape, generator=generator()),
    "xavier_init.xavier_std shape": xavier.xavier_std,
    "xavier_init.xavier_normal shape": lambda shape: xavier.xavier_normal(shape, generator=generator()),
    "xavier_init.xavier_uniform shape": lambda shape: xavier.xavier_uniform(shape, generator=generator()),
    "xavier_init.xavier_truncated_normal shape": lambda shape: xavier.xavier_truncated_normal(
        shape, generator=generator()
    ),
    "delta_orthogonal.delta_orthogonal shape": lambda shape: delta.delta_orthogonal(shape, generator=generator()),
    "fans.pytorch_fans shape": fans.pytorch_fans,
    "fans.keras_fans shape": fans.keras_fans,
    "looks_linear.looks_linear widths": lambda widths: linear.looks_linear(widths, seed=0),
}
SIZES: dict[str, Any] = {
    "rank0": (),
    "rank1": (4,),
    "zero-sized": (4, 0),
    "negative": (4, -3),
    "fraction": (4, 2.5),
    "int": 4,
    "whole": (4.0, 3.0),
    "array": np.ones((4, 3)),
    "None": (4, None),
}


@every("numpy", "shapes")
def test_shapes(cell: Cell):
    holds(cell, lambda: SHAPES[cell.row](SIZES[cell.column]))


DTYPES: dict[str, Callable[..., object]] = {
    "he_init.kaiming_normal dtype": he.kaiming_normal,
    "he_init.kaiming_uniform dtype": he.kaiming_uniform,
    "he_init.kaiming_truncated_normal dtype": he.kaiming_truncated_normal,
    "xavier_init.xavier_normal dtype": xavier.xavier_normal,
    "xavier_init.xavier_uniform dtype": xavier.xavier_uniform,
    "xavier_init.xavier_truncated_normal dtype": xavier.xavier_truncated_normal,
    "delta_orthogonal.delta_orthogonal dtype": delta.delta_orthogonal,
}


@every("numpy", "dtypes")
def test_dtypes(cell: Cell):
    holds(cell, lambda: DTYPES[cell.row]((4, 3), generator=generator(), dtype=np.dtype(cell.column).type))


ACTIVATIONS: dict[str, Any] = {
    "constant": np.ones_like,
    "nan": lambda z: z * math.nan,
    "reduces": lambda z: z / np.abs(z).sum(),
    "scalar": lambda z: float(z.sum()),
    "complex": lambda z: z * 1j,
    "changes": lambda z: np.maximum(z, 0.0, out=z),
    "class": np.ma.masked_array,
    "one": lambda z: 1.0,
    "text": "relu",
}


@every("numpy", "activations")
def test_activations(cell: Cell):
    function = {
        "gain.forward_gain activation": gain.forward_gain,
        "gain.backward_gain activation": gain.backward_gain,
        "gain.gaussian_mean function": gain.gaussian_mean,
        "gain.slope activation": lambda activation: gain.slope(activation, draws(768)),
        "unit_health.unit_health activation": lambda activation: health.unit_health(activation, draws(9, 4)),
        "unit_health.left_slope activation": lambda activation: health.left_slope(activation, draws(9, 4)),
    }[cell.row]
    with np.errstate(all="ignore"):
        if cell.sign == "~":
            assert not np.isfinite(function(ACTIVATIONS[cell.column])).all()
        else:
            holds(cell, lambda: function(ACTIVATIONS[cell.column]))


ROWS = {"none": [], "one": [1.0], "zero": [1.0, 0.0], "nan": [1.0, math.nan], "inf": [math.inf, 1.0]}


@every("numpy", "rows")
def test_rows(cell: Cell):
    rows: Any = [
        gradients.LayerGradient(str(i), size, size) for i, size in enumerate(ROWS.get(cell.column, [1.0, 1.0]))
    ]
    rows = list(enumerate(rows)) if cell.column == "pairs" else rows
    if cell.sign == "~":
        assert not math.isfinite(gradients.factor_per_layer(rows))
    else:
        holds(cell, lambda: gradients.factor_per_layer(rows))


MAGNITUDES: dict[str, Callable[[float, float], object]] = {
    "adaptive_clipping.clip_adaptively gradient": lambda before, after: adaptive.clip_adaptively(
        np.full(4, before), np.ones(4), after
    ),
    "clip_gradients.clip_by_global_norm gradients": lambda before, after: clip.clip_by_global_norm(
        np.full(4, before), 2.0 * after
    )[0],
    "clip_gradients.clip_by_value gradients": lambda before, after: clip.clip_by_value(np.full(4, before), after),
}


@every("numpy", "magnitudes")
def test_magnitudes(cell: Cell):
    magnitude(cell, "float64", MAGNITUDES[cell.row])


@every("numpy", "seeds")
def test_seeds(cell: Cell):
    hold(
        cell,
        lambda: linear.looks_linear((4, 6, 2), seed=1),
        lambda: linear.looks_linear((4, 6, 2), seed=SEEDS[cell.column]),
    )


GENERATORS: dict[str, Any] = {
    "seed": 0,
    "None": None,
    "module": np.random,
    "class": np.random.Generator,
    "state": np.random.RandomState(0),
}


@every("numpy", "generators")
def test_generators(cell: Cell):
    draw = DTYPES[f"{cell.function} dtype"]
    holds(cell, lambda: draw((4, 3), generator=GENERATORS[cell.column]))


@every("numpy", "flags")
def test_flags(cell: Cell):
    function: dict[str, Callable[..., object]] = {
        "batch_norm.batch_norm": norm.batch_norm,
        "batch_norm.batch_norm_backward": norm.batch_norm_backward,
    }
    backward = {name: value for name, value in NORMALIZED.items() if name != "beta"} | {"grad_y": positive(5, 3)}
    given = NORMALIZED if cell.function == "batch_norm.batch_norm" else backward

    def call(training: Any) -> object:
        return function[cell.function](**given, training=training)

    hold(cell, lambda: call(True), lambda: call(FLAGS[cell.column]))


LOSSES: dict[str, Any] = {
    "value": np.ones((5, 2)),
    "None": None,
    "number": lambda z: float(z.sum()),
    "vector": lambda z: z.mean(1),
    "int": lambda z: z.astype(int),
    "complex": lambda z: z * 1j,
    "masked": lambda z: np.ma.masked_array(z, mask=z > 0),
}


@every("numpy", "losses")
def test_losses(cell: Cell):
    holds(cell, lambda: gradients.layer_gradients(PERCEPTRON, draws(5, 6), LOSSES[cell.column]))
