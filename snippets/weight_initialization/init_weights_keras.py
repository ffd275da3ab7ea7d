"""Initialize a whole Keras model: one rule per kind of layer, one gain per
activation, a report of every variable.

    std = gain / sqrt(fan_in)   kernels of linear and convolutional layers;
                                sqrt(2) is He, for ReLU
    std = 1 / sqrt(fan_in)      the output layer, projections of attention,
                                inputs of recurrent layers
    orthogonal, gate by gate    recurrent kernels
    std = 1                     embeddings, which look one weight up
    1                           scales of norms, bias of an LSTM's forget gate
    0                           all other biases

`fan_in` is the true number of summands in an output value, which for depthwise
and transposed convolutions is not what keras.initializers reads off the kernel.
Draws are plain normal, not truncated as in keras.initializers.HeNormal; the
variance is the same. The first layer gets the gain as well, though no
activation stands before it: for ReLU a single factor does not grow with depth.
For GELU and SiLU it does: name the layer in `first`. Residual branches want a
smaller last layer: scale it afterwards.
Needs Python 3.10 and Keras 3.9, or newer.
Source: He et al. (2015), "Delving Deep into Rectifiers", section 2.2 (gain and
fan); Saxe et al. (2014), arXiv:1312.6120 (orthogonal); Jozefowicz et al.
(2015), "An Empirical Exploration of Recurrent Network Architectures" (forget
gate).
"""

import math
import operator
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

# 1 / sqrt(E[phi(xi)^2]), xi standard normal: keeps a preactivation of variance
# 1. For tanh, gain 1 keeps the gradient.
GAINS = {
    "linear": 1.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / 1.04),
    "tanh": 1.0,
    "selu": 1.0,
    "elu": 1.245198,
    "gelu": 1.533530,
    "silu": 1.676532,
}

DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
LINEAR = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    *DEPTHWISE,
    *TRANSPOSED,
)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
ATTENTION = (layers.MultiHeadAttention, layers.GroupQueryAttention)
CELL = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)
NORM = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
)


class Rule(NamedTuple):
    """How a variable is set."""

    name: str
    """'gain', 'linear', 'output', 'orthogonal', 'embedding', 'one', 'forget' or
    'zero'.
    """
    fan_in: float | None
    std: float


class Row(NamedTuple):
    """What became of one variable."""

    name: str
    shape: tuple[int, ...]
    rule: str
    fan_in: float | None
    std_wanted: float
    std_measured: float
    """Over all entries, without Bessel's correction."""


class Report(NamedTuple):
    """What became of the weights, in the order of `model.weights`."""

    reached: list[Row]
    left: dict[str, str]
    """By its path, why a weight stays as it is."""


def true_fan_in(layer: keras.Layer) -> float:
    """Summands in one output value of a linear or convolutional layer, a mean
    over positions away from the borders. ValueError for another layer and for
    one that is not built.
    """
    if not isinstance(layer, LINEAR) or not layer.built:
        raise ValueError(
            f"layer must be linear or convolutional, and built, got {layer}"
        )
    # sums over the axes of its kernel that the output does not have
    if isinstance(layer, layers.EinsumDense):
        axes, _, kept = layer.equation.partition(",")[2].partition("->")
        return float(
            math.prod(
                size
                for axis, size in zip(axes, layer.kernel.shape, strict=True)
                if axis not in kept
            )
        )
    taps = math.prod(layer.kernel.shape[:-2])
    # kernel (*kernel, in, multiplier); each output reads one input channel
    if isinstance(layer, DEPTHWISE):
        return float(taps)
    # kernel (*kernel, out, in); each stride-th tap meets an input
    if isinstance(layer, TRANSPOSED):
        return layer.kernel.shape[-1] * taps / math.prod(layer.strides)
    # kernel (*kernel, in / groups, out)
    return float(layer.kernel.shape[-2] * taps)


def init_weights(
    model: keras.Model,
    *,
    seed: int,
    gain: float = GAINS["relu"],
    output: str | None = None,
    first: str | None = None,
) -> Report:
    """Initialize `model`, which must be built, in place and report each of its
    weights once.

    `gain` belongs to the activation between the layers. `output` is the name of
    the layer that no activation follows; by default it is the linear or
    convolutional layer that comes last. `first` names the layer that reads the
    inputs: it gets gain 1 as no activation stands before it; by default it gets
    `gain`. Variables that are not trainable
    (frozen layers, moving averages) stay as they are. A tied variable is drawn
    once, with the smallest std its users want. What no rule covers is left, and
    the report says so. Draws come from a NumPy generator of its own: a `seed`
    gives the same weights on every backend, up to rounding in every floating
    dtype. No global state changes.
    Raises ValueError for a `gain` that is not positive and finite, for an
    unknown `output` or `first` and for a model that is not built.
    """
    gain = float(gain + 0.0)  # text is no number
    if not 0.0 < gain < math.inf:
        raise ValueError(f"gain must be positive and finite, got {gain}")
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a Keras model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"model must be built, call it on a batch or build(input_shape) first, got {model.name!r}"
        )
    every = list(_walk(model, set()))
    projections = {
        id(child)
        for layer in every
        if isinstance(layer, ATTENTION)
        for child in layer._layers
    }
    summing = [
        layer
        for layer in every
        if isinstance(layer, LINEAR + SEPARABLE) and id(layer) not in projections
    ]
    last = next(
        (layer for layer in reversed(summing) if output in (None, layer.name)), None
    )
    if output is not None and last is None:
        raise ValueError(
            f"output must be one of {[layer.name for layer in summing]}, got {output!r}"
        )
    reading = next((layer for layer in summing if layer.name == first), None)
    if first is not None and reading is None:
        raise ValueError(
            f"first must be one of {[layer.name for layer in summing]}, got {first!r}"
        )

    rules: dict[int, Rule] = {}
    for layer in every:
        plain = id(layer) in projections or layer is reading
        role = (
            ("output", 1.0)
            if layer is last
            else ("linear", 1.0)
            if plain
            else ("gain", gain)
        )
        for variable, rule in _rules(layer, *role):
            known = rules.get(id(variable), rule)
            rules[id(variable)] = min(known, rule, key=lambda candidate: candidate.std)

    generator = _seeded(seed)
    report = Report([], {})
    for variable in model.weights:
        chosen = rules.get(id(variable))
        if chosen is None or not variable.trainable:
            fixed = "not trainable: frozen, or a moving average"
            report.left[variable.path] = (
                "no rule covers it" if variable.trainable else fixed
            )
            continue
        variable.assign(_values(chosen, variable.shape, generator))
        measured = float(keras.ops.std(keras.ops.cast(variable, "float32")))
        report.reached.append(
            Row(variable.path, tuple(variable.shape), *chosen, measured)
        )
    return report


def _seeded(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError) as error:
        raise ValueError(f"seed must be an integer from 0 on, got {seed!r}") from error


def _walk(layer: keras.Layer, seen: set[int]) -> Iterator[keras.Layer]:
    # `model.layers` stops at wrappers and custom layers; `_layers` holds the
    # children of every layer.
    if id(layer) not in seen:
        seen.add(id(layer))
        yield layer
        for child in layer._layers:
            yield from _walk(child, seen)


def _rules(
    layer: keras.Layer, role: str, gain: float
) -> Iterator[tuple[keras.Variable, Rule]]:
    zero, one = Rule("zero", None, 0.0), Rule("one", None, 0.0)
    wanted: dict[str, Rule] = {}
    if any(0 in weight.shape for weight in layer._trainable_variables):
        return  # nothing to draw
    if isinstance(layer, LINEAR):
        fan_in = true_fan_in(layer)
        wanted = {"kernel": Rule(role, fan_in, gain / math.sqrt(fan_in)), "bias": zero}
    # no activation between its two kernels: the gain belongs to the second
    elif isinstance(layer, SEPARABLE):
        taps, channels = math.prod(layer.kernel_size), layer.pointwise_kernel.shape[-2]
        wanted = {
            "depthwise_kernel": Rule("linear", float(taps), 1.0 / math.sqrt(taps)),
            "pointwise_kernel": Rule(role, float(channels), gain / math.sqrt(channels)),
            "bias": zero,
        }
    # kernel (in, gates * units), recurrent kernel (units, gates * units)
    elif isinstance(layer, CELL):
        fan_in = layer.kernel.shape[0]
        # The std of a quarter of ones is sqrt(3) / 4.
        forget = Rule("forget", None, math.sqrt(3.0) / 4.0)
        wanted = {
            "kernel": Rule("linear", float(fan_in), 1.0 / math.sqrt(fan_in)),
            "recurrent_kernel": Rule(
                "orthogonal", float(layer.units), 1.0 / math.sqrt(layer.units)
            ),
            "bias": forget if isinstance(layer, layers.LSTMCell) else zero,
        }
    elif isinstance(layer, layers.Embedding):
        wanted = {"embeddings": Rule("embedding", 1.0, 1.0)}
    elif isinstance(layer, NORM):
        wanted = {"gamma": one, "scale": one, "beta": zero}
    for attribute, rule in wanted.items():
        # Not a variable: no bias, the option `scale=True`, or a kernel computed
        # from others (LoRA, quantization).
        variable = getattr(layer, attribute, None)
        if isinstance(variable, keras.Variable) and keras.backend.is_float_dtype(
            variable.dtype
        ):
            yield variable, rule


def _values(
    rule: Rule, shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    if rule.name == "one":
        return np.ones(shape)
    # the gates of an LSTM come in the order input, forget, cell, output
    if rule.name == "forget":
        return np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4)
    draws = generator.standard_normal(shape)
    if rule.name == "orthogonal":
        gates, triangles = np.linalg.qr(
            draws.reshape(shape[0], -1, shape[0]).swapaxes(0, 1)
        )
        # QR leaves the signs of the columns to the library; with those of the
        # diagonal, every rotation is as likely.
        gates *= np.sign(np.diagonal(triangles, axis1=1, axis2=2))[:, None, :]
        return gates.swapaxes(0, 1).reshape(shape)
    return rule.std * draws
