"""For every planted fault in Keras, what its finding says to do, done."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import initializers, layers, losses, ops

from tests.diagnostics import keras_models as planted
from tests.diagnostics.keras_models import LOGITS, Case, chain, dense, labels, normal, vectors

Made = Callable[[], Case]


def he(depth: int = 2) -> list[Any]:
    return dense(depth, "relu", "he_normal")


def regression(model: Any = None, targets: Any = None, shift: float = 0.0) -> Case:
    """A single linear output, targets of unit scale and of its shape."""
    targets = shift + normal(16, 1) if targets is None else targets
    return Case(model or chain(he(1), layers.Dense(1)), (normal(16, 64), targets), losses.MeanSquaredError())


def binary(last: Any, loss: Any) -> Case:
    return Case(chain(he(), last), (normal(16, 64), labels(16, 2)[:, None]), loss)


def cured(case: Case, change: Callable[[Any], object], kind: Any = layers.Dense) -> Case:
    """`change` of each layer of the given kind."""
    for layer in case.model._flatten_layers():
        if isinstance(layer, kind):
            change(layer)
    return case


def skipped(depth: int = 50) -> Case:
    """Layers of batch normalization with skip connections past each."""
    inputs = x = keras.Input((64,))
    for _ in range(depth):
        branch = layers.ReLU()(layers.BatchNormalization()(layers.Dense(64, kernel_initializer="he_normal")(x)))
        x = layers.Add()([x, branch])
    return Case(keras.Model(inputs, layers.Dense(10)(layers.LayerNormalization()(x))), (normal(16, 64), labels()))


def quiet(case: Case) -> Case:
    """The last layer of every branch starts at zero."""
    branches = [layer for layer in case.model.layers if isinstance(layer, layers.Dense)][1:-1:2]
    for layer in branches:
        layer.kernel.assign(0 * layer.kernel)
    return case


def finite() -> Case:
    case = planted.poisoned()
    kernel = case.model.layers[0].kernel
    kernel.assign(initializers.HeNormal()(kernel.shape))
    return case


def zero_biases(layer: Any) -> None:
    layer.bias.assign(0 * layer.bias)


def redrawn(layer: Any) -> None:
    layer.kernel.assign(initializers.HeNormal()(layer.kernel.shape))


def connected() -> Case:
    inputs = keras.Input((64,))
    return Case(keras.Model(inputs, layers.Dense(10)(layers.Dense(64, "relu")(inputs))), (normal(16, 64), labels()))


class Counted(layers.Layer):
    """The table is a weight that is not trained."""

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(2**24 + 1,), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        self.table.scatter_nd_update([[0]], [1.0]) if hasattr(self.table, "scatter_nd_update") else None
        return inputs


class Open(layers.Layer):
    """The branch counts."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = layers.Dense(64)

    def build(self, shape: Any) -> None:
        self.branch.build(shape)

    def call(self, inputs: Any) -> Any:
        return inputs + self.branch(inputs)


def clean() -> Case:
    case = planted.with_nan(vectors(he(1)))
    return case._replace(batch=(np.nan_to_num(case.batch[0]), case.batch[1]))


def larger_table() -> Case:
    case = planted.recurrent(layers.LSTM(8))
    words, wanted = case.batch
    model = keras.Sequential(
        [keras.Input((12,), dtype="int32"), layers.Embedding(90, 16), layers.LSTM(8), layers.Dense(10)]
    )
    return Case(model, (words + 40, wanted))


def gated() -> Case:
    """An LSTM whose forget gates start with a bias of 3."""

    def bias(shape: Any, dtype: Any = None) -> Any:
        return ops.concatenate([ops.zeros(32), 3 * ops.ones(32), ops.zeros(64)])

    layer = layers.LSTM(32, bias_initializer=bias, unit_forget_bias=False)
    return Case(keras.Sequential([keras.Input((40, 8)), layer, layers.Dense(10)]), (normal(16, 40, 8) / 10, labels()))


def measured_anew() -> Case:
    case = planted.fitted()
    (norm,) = (layer for layer in case.model.layers if isinstance(layer, layers.BatchNormalization))
    norm.momentum = 0.5
    for _ in range(20):
        case.model(case.batch[0], training=True)
    return case


CURES: dict[str, Made] = {
    "weights too large": lambda: vectors(he(10)),
    "weights too small": lambda: vectors(he(10)),
    "Glorot under 30 ReLU layers": lambda: vectors(he(30)),
    "sigmoid stack": lambda: vectors(he(10)),
    "saturated tanh": lambda: vectors(dense(4, "tanh", "glorot_normal")),
    "dead ReLUs": lambda: vectors(he()),
    "dead ReLU layers": lambda: vectors([layers.Dense(64), layers.ReLU()]),
    "shared initializer": lambda: vectors(dense(4, "relu", lambda: initializers.HeNormal())),
    "constant weights": lambda: vectors(dense(2, "tanh", "glorot_normal")),
    "zero weights": lambda: vectors(he()),
    "residual branches not normalized": lambda: quiet(planted.residual(normalized=False)),
    "batch normalization without skips": skipped,
    "attention too sharp": lambda: planted.transformer(),
    "last layer too large": lambda: vectors(dense(2, "relu"), layers.Dense(10)),
    "softmax twice": lambda: vectors(dense(2, "relu")),
    "from_logits forgotten": lambda: vectors(dense(2, "relu"), loss=LOGITS),
    "from_logits forgotten, binary": lambda: binary(layers.Dense(1), losses.BinaryCrossentropy(from_logits=True)),
    "sigmoid twice": lambda: binary(layers.Dense(1), losses.BinaryCrossentropy(from_logits=True)),
    "labels from 1": lambda: Case(chain(he(1)), (normal(16, 64), np.arange(16) % 10)),
    "embedding too small": larger_table,
    "targets without an axis": lambda: regression(targets=normal(16)[:, None]),
    "targets of 1 and 0.01, one sum": lambda: planted.heads(1.0),
    "Dice of logits": lambda: Case(
        chain(dense(1, "relu"), layers.Dense(64, "sigmoid")), (normal(16, 64), planted.masks()), losses.Dice(axis=1)
    ),
    "a Poisson loss of any numbers": lambda: Case(
        chain(dense(1, "relu"), layers.Dense(1, "softplus")), (normal(16, 64), planted.counts()), losses.Poisson()
    ),
    "raw targets": regression,
    "raw series": lambda: planted.series(1.0),
    "raw pixels": lambda: vectors(he(1)),
    "NaN in the batch": clean,
    "NaN in a weight": finite,
    "overflow": lambda: vectors(he(30)),
    "logarithm of zero": lambda: vectors(
        he(1), loss=lambda y, x: ops.mean(ops.square(x)) - 1e-3 * ops.log(ops.mean(ops.square(x)) + 1e-3)
    ),
    "square root of zero": lambda: vectors(
        he(1), loss=lambda y, x: ops.mean(ops.square(x)) + ops.sqrt(0.0 * ops.mean(ops.square(x)) + 1e-8)
    ),
    "stop_gradient": connected,
    "ReLU after the last layer": lambda: vectors(he(1)),
    "a large table that every pass changes": lambda: vectors([*he(1), Counted()]),
    "a bias that nobody has drawn": lambda: cured(planted.wild(), zero_biases),
    "one layer times 100": lambda: cured(planted.odd(), redrawn),
    "a branch times 0": lambda: vectors([*he(1), Open()]),
    "layers that run as a graph": lambda: vectors([]),
    "layers in a Lambda": lambda: vectors(he(1)),
    "softmax of one output": lambda: binary(layers.Dense(1, "sigmoid"), losses.BinaryCrossentropy()),
    "ReLU, negative targets": lambda: regression(shift=-5.0),
    "forgotten layer": lambda: vectors(he(1)),
    "softmax over axis 0": lambda: vectors([*he(1), layers.Softmax(axis=-1)]),
    "reshape in place of a transposition": lambda: planted.reshaped(proper=True),
    "a mask the wrong way round": lambda: planted.masked(proper=True),
    "three layers, no activation": lambda: vectors(he(3)),
    "scales N(0, 0.02²) of batch normalization": lambda: cured(
        planted.scales(0.02), lambda norm: norm.gamma.assign(ops.ones_like(norm.gamma)), layers.BatchNormalization
    ),
    "40 steps, recurrent weights times 0.5": gated,
    "40 steps of ReLU, recurrent weights times 2": lambda: planted.through_time(1.0),
    "batch normalization that lags behind": measured_anew,
    "trained for 32 steps": lambda: vectors([layers.Dense(64), layers.BatchNormalization(), layers.ReLU()]),
    "a dropout that is always on": lambda: planted.dropping(always=False),
    "a network compared with itself": lambda: planted.views(cut=True),
    "a KL divergence with a minus": planted.variational,
    "a logarithm for a standard deviation": planted.variational,
    "CTC labels from 0": lambda: planted.spoken(1),
    "biases that outweigh the signal": lambda: vectors(he(5)),
}


def trained(case: Case, steps: int = 40) -> tuple[float, float]:
    """First and last loss on the one batch, by Adam."""
    model, (x, y), loss_fn = case.model, case.batch, losses.get(case.loss) or case.model.loss
    optimizer = keras.optimizers.Adam(2e-3)
    # Else TensorFlow writes the graph of a step twice, the first time with what the optimizer keeps.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, loss_fn)
    # Not `fit`, which writes a second graph around it.
    values = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(steps)]
    return values[0], values[-1]
