"""How Keras's layers work: its column on the page of differences, each cell measured, each line of code run."""

import math
from functools import partial

import keras
import numpy as np
import pytest
from keras import initializers, layers, losses

from tests.toolbox.measures import Measures, MeasureTests, axes, number
from tests.toolbox.tables import differences

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("seeded_keras")]

ROWS = differences("axes", "activations", "normalization")
NAMES = vars(layers) | vars(initializers) | vars(losses)
NAMES |= {"keras": keras, "partial": partial, "np": np, "Sequential": keras.Sequential}
MEASURES = Measures(ROWS, NAMES)
row = MEASURES.row


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def built(layer: keras.Layer, *shape: int) -> keras.Layer:
    layer.build((None, *shape))
    return layer


# Axes and shapes


@row("linear layer: axes of the weight", "Dense(3)")
def linear_axes(make):
    return axes(built(make(), 4).kernel.shape, **{"in": 4, "out": 3})


@row("convolution: axes of the weight", "Conv2D(5, (2, 3))")
def convolution_axes(make):
    return axes(built(make(), 8, 8, 4).kernel.shape, **{"in": 4, "out": 5, "height": 2, "width": 3})


@row("depthwise convolution: axes of the weight", "DepthwiseConv2D((2, 3))")
def depthwise_axes(make):
    return axes(built(make(), 8, 8, 4).kernel.shape, channel=4, height=2, width=3)


@row("batch of images", "Conv2D(6, 1)")
def images(make):
    """The axis that a 1 × 1 convolution changes is that of the channels."""
    shape = make()(zeros(2, 5, 7, 4)).shape
    return axes(shape, batch=2, height=5, width=7, channel=6)


@row("flattened image", "Flatten()")
def flattened(make):
    numbered = np.arange(12.0, dtype=np.float32).reshape(1, 3, 2, 2)  # 4 of each channel
    entries = np.asarray(make()(numbered.transpose(0, 2, 3, 1)))[0]
    return {(0, 1): "channel after channel", (0, 4): "pixel after pixel"}[int(entries[0]), int(entries[1])]


@row("zeros around 6 × 6 pixels, stride 2, 3 × 3: PyTorch `padding=1`, Keras `\"same\"`",
     'Conv2D(1, 3, strides=2, padding="same")')  # fmt: skip
def padding(make):
    layer = built(make(), 6, 6, 1)
    for weight in layer.weights:
        weight.assign(keras.ops.full(weight.shape, float(weight.ndim == 4)))
    sums = np.asarray(layer(ones(1, 6, 6, 1)))[0, :, :, 0]
    assert sums.shape == (3, 3)
    return {(4.0, 9.0): "above and left", (9.0, 4.0): "below and right"}[float(sums[0, 0]), float(sums[-1, -1])]


@row("zeros in the mean of average pooling at the border", 'AveragePooling2D(3, 1, padding="same")')
def pooling(make):
    corner = float(make()(ones(1, 6, 6, 1))[0, 0, 0, 0])
    return {True: "left out", False: "counted"}[corner == pytest.approx(1.0)]


@row("batch of sequences", "LSTM(3)")
def sequences(make):
    """One output per sequence."""
    return {2: "batch, step, feature", 5: "step, batch, feature"}[make()(zeros(2, 5, 4)).shape[0]]


@row("a recurrent layer returns", "LSTM(3)")
def returned(make):
    return {(2, 3): "the last step", (2, 5, 3): "every step"}[tuple(make()(zeros(2, 5, 4)).shape)]


@row("GRU: order of the gates", "GRU(1)")
def gru_gates(make):
    """Which third of the bias does what: an open update gate keeps the state, a closed one shows reset and new."""
    effects = {}
    for third in range(3):
        layer = built(make(), 1, 1)
        kernel, recurrent, bias = (np.zeros(weight.shape) for weight in layer.weights)
        recurrent[0, 2] = 1.0  # the new state sees the old one, as far as the reset gate lets it
        bias[0, third] = 20.0
        layer.set_weights([kernel, recurrent, bias])
        effects[third] = float(layer(zeros(1, 1, 1), initial_state=keras.ops.full((1, 1), 0.5))[0, 0])
    kept = min(effects, key=lambda third: abs(effects[third] - 0.5))
    new = max(effects, key=lambda third: effects[third])
    assert kept != new
    return ", ".join("update" if third == kept else "new" if third == new else "reset" for third in range(3))


# Activations and losses


@row("leaky ReLU, layer: slope", "LeakyReLU()")
def leaky_layer(make):
    return number(-make()(-ones(1))[0])


@row("leaky ReLU, function: slope", "keras.ops.leaky_relu")
def leaky_function(make):
    assert float(keras.activations.leaky_relu(-ones(1))[0]) == pytest.approx(-0.2)
    return number(-make()(-ones(1))[0])


@row("PReLU: first slope", "PReLU()")
def prelu_slope(make):
    return number(abs(float(make()(-ones(1, 1))[0, 0])))


@row("PReLU on 8 × 4 × 4: slopes", "PReLU()")
def prelu_count(make):
    return str(math.prod(built(make(), 4, 4, 8).alpha.shape))


@row("GELU, function: `F.gelu`, `keras.ops.gelu`", "keras.ops.gelu")
def gelu(make):
    x = np.linspace(-3, 3, 50)
    exact = x / 2 * (1 + np.array([math.erf(value) for value in x / 2**0.5]))
    tanh = 0.5 * x * (1 + np.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))
    assert np.allclose(keras.activations.get("gelu")(x), exact, atol=1e-6), "the page says so of the name"
    y = np.asarray(make()(x))
    fits = np.allclose(y, exact, atol=1e-6), np.allclose(y, tanh, atol=1e-6)
    return {(True, False): "exact", (False, True): "approximation by tanh"}[fits]


@row("cross-entropy takes", "SparseCategoricalCrossentropy()")
def cross_entropy(make):
    given = np.log([[0.2, 0.8]]) + 3.0
    as_logits = float(make()(np.array([1]), given)) == pytest.approx(-np.log(0.8), rel=1e-5)
    as_probabilities = float(make()(np.array([1]), np.array([[0.2, 0.8]]))) == pytest.approx(-np.log(0.8), rel=1e-5)
    return {(True, False): "logits", (False, True): "probabilities"}[as_logits, as_probabilities]


@row("weighted cross-entropy: divisor of the sum", "SparseCategoricalCrossentropy(from_logits=True)")
def weighted(make):
    logits, labels, weights = np.array([[2.0, 0], [0, 1.0]]), np.array([0, 1]), np.array([1.0, 3.0])
    each = losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    divisor = float(np.sum(weights * np.asarray(each)) / float(make()(labels, logits, sample_weight=weights)))
    return {4: "sum of the weights", 2: "number of examples"}[round(divisor, 4)]


# Normalization and mode


@row("batch norm: default `momentum`", "BatchNormalization()")
def batch_norm_momentum(make):
    layer = make()
    layer(ones(8, 4), training=True)
    return {0.1: "0.1 of the new value", 0.01: "0.99 of the old value"}[round(float(layer.moving_mean[0]), 6)]


def epsilon(make, x: float) -> str:
    """ε of a layer that has seen ±x, of mean 0: y = x / sqrt(x² + ε)."""
    y = float(make()(np.array([[x, -x, x, -x]], np.float32))[0, 0])
    return number((x / y) ** 2 - x**2, ".3g")


@row("batch norm: ε", "BatchNormalization()")
def batch_norm_eps(make):
    """In training on ±x of one batch."""
    y = float(make()(np.array([[0.001], [-0.001]], np.float32), training=True)[0, 0])
    return number((0.001 / y) ** 2 - 1e-6, ".3g")


@row("batch norm: divisor of the stored variance", "BatchNormalization(momentum=0.0)")
def batch_norm_variance(make):
    layer = make()
    layer(np.array([[-1.0], [1.0]], np.float32), training=True)
    return {2.0: "N − 1", 1.0: "N"}[round(float(layer.moving_variance[0]), 4)]


@row("layer norm: ε", "LayerNormalization()")
def layer_norm_eps(make):
    return epsilon(make, 0.001)


@row("group norm: ε", "GroupNormalization(2)")
def group_norm_eps(make):
    return epsilon(make, 0.001)


@row("RMS norm: ε in float32", "RMSNormalization()")
def rms_norm_eps(make):
    return epsilon(make, 0.0001)


@row("mode of a plain call, as dropout shows it", "Dropout(0.5)")
def mode(make):
    return "inference" if np.all(np.asarray(make()(ones(1000))) == 1.0) else "training"


@row("a batch in float64 for a float32 layer", "Dense(2)")
def double_batch(make):
    return {"float32": "is cast"}[make()(np.ones((1, 3))).dtype.name]


class TestMeasures(MeasureTests):
    measures = MEASURES
