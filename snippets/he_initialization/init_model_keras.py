"""He initialization for a whole Keras model, with a report of what was done to every variable.

    std = sqrt(2 / ((1 + a^2) fan_in)) for layers that an activation follows, sqrt(1 / fan_in) for the output layer

`fan_in` is the true number of summands in an output value, which for depthwise and transposed convolutions is not what
keras.initializers reads off the kernel. An embedding looks one weight up, so its std is 1. Biases become 0, the scales
of norms 1. Draws are plain normal, not truncated as in keras.initializers.HeNormal; the variance is the same.
The first layer gets the factor 2 as well: no ReLU stands before it, but a single factor does not grow with depth.
Made for plain chains: attention, recurrence and residual branches need rules of their own. The report tells what was
left as it was.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section 2.2.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
LINEAR = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D, *DEPTHWISE, *TRANSPOSED)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
NORM = (layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization, layers.RMSNormalization)


class Rule(NamedTuple):
    """How a variable is set."""

    name: str
    """'he', 'output', 'linear', 'embedding', 'one', 'zero'; 'frozen' and 'left' (no rule covers it) change nothing."""
    fan_in: float | None = None
    std: float | None = None


class Row(NamedTuple):
    """What became of one variable."""

    name: str
    shape: tuple[int, ...]
    rule: str
    fan_in: float | None
    std_wanted: float | None
    std_measured: float
    """Over all entries, without Bessel's correction."""


def true_fan_in(layer: keras.Layer) -> float:
    """Summands in one output value of a linear or convolutional layer, a mean over positions away from the borders."""
    taps = math.prod(layer.kernel.shape[:-2])
    if isinstance(layer, DEPTHWISE):  # kernel (*kernel, in, multiplier); each output reads one input channel
        return float(taps)
    if isinstance(layer, TRANSPOSED):  # kernel (*kernel, out, in); each stride-th tap meets an input
        return layer.kernel.shape[-1] * taps / math.prod(layer.strides)
    return float(layer.kernel.shape[-2] * taps)  # kernel (*kernel, in / groups, out)


def he_initialize(model: keras.Model, *, seed: int, a: float = 0.0, output: str | None = None) -> list[Row]:
    """Initialize `model`, which must be built, in place and report each of its weights once.

    `a` is the slope of the activations for negative inputs. `output` is the name of the layer that no activation
    follows; by default it is the linear or convolutional layer that comes last. Variables that are not trainable
    (frozen layers, moving averages) stay as they are. A tied variable is drawn once, with the smallest std its users
    want. Draws come from a NumPy generator of its own: a `seed` gives the same weights on every backend, up to rounding
    in every floating dtype. No global state changes.
    Raises ValueError for an unknown `output` and for a model that is not built.
    """
    if not model.built:
        raise ValueError(f"model must be built, call it on a batch or build(input_shape) first, got {model.name!r}")
    every = list(_walk(model, set()))
    summing = [layer for layer in every if isinstance(layer, LINEAR + SEPARABLE)]
    last = next((layer for layer in reversed(summing) if output in (None, layer.name)), None)
    if output is not None and last is None:
        raise ValueError(f"output must be one of {[layer.name for layer in summing]}, got {output!r}")

    rules: dict[int, Rule] = {}
    for layer in every:
        for variable, rule in _rules(layer, a, is_output=layer is last):
            known = rules.get(id(variable), rule)
            rules[id(variable)] = min(known, rule, key=lambda candidate: candidate.std)

    generator = np.random.default_rng(seed)
    report = []
    for variable in model.weights:
        rule = rules.get(id(variable), Rule("left")) if variable.trainable else Rule("frozen")
        if rule.name == "one":
            variable.assign(np.ones(variable.shape))
        elif rule.std is not None:
            variable.assign(rule.std * generator.standard_normal(variable.shape))
        measured = float(keras.ops.std(keras.ops.cast(variable, "float32")))
        report.append(Row(variable.path, tuple(variable.shape), *rule, measured))
    return report


def _walk(layer: keras.Layer, seen: set[int]) -> Iterator[keras.Layer]:
    # `model.layers` stops at wrappers and custom layers; `_layers` holds the children of every layer.
    if id(layer) not in seen:
        seen.add(id(layer))
        yield layer
        for child in layer._layers:
            yield from _walk(child, seen)


def _rules(layer: keras.Layer, a: float, is_output: bool) -> Iterator[tuple[keras.Variable, Rule]]:
    name, gain = ("output", 1.0) if is_output else ("he", math.sqrt(2.0 / (1.0 + a**2)))
    zero, one = Rule("zero", None, 0.0), Rule("one", None, 0.0)
    wanted: dict[str, Rule] = {}
    if isinstance(layer, LINEAR):
        fan_in = true_fan_in(layer)
        wanted = {"kernel": Rule(name, fan_in, gain / math.sqrt(fan_in)), "bias": zero}
    elif isinstance(layer, SEPARABLE):  # no activation between its two kernels: the factor 2 belongs to the second
        taps, channels = math.prod(layer.kernel_size), layer.pointwise_kernel.shape[-2]
        wanted = {
            "depthwise_kernel": Rule("linear", float(taps), 1.0 / math.sqrt(taps)),
            "pointwise_kernel": Rule(name, float(channels), gain / math.sqrt(channels)),
            "bias": zero,
        }
    elif isinstance(layer, layers.Embedding):
        wanted = {"embeddings": Rule("embedding", 1.0, 1.0)}
    elif isinstance(layer, NORM):
        wanted = {"gamma": one, "scale": one, "beta": zero}
    for attribute, rule in wanted.items():
        # Not a variable: no bias, the option `scale=True`, or a kernel computed from others (LoRA, quantization).
        if isinstance(variable := getattr(layer, attribute, None), keras.Variable):
            yield variable, rule
