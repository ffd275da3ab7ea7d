"""Healthy Keras models, as their layers initialise them, and models with one planted fault each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import initializers, layers, losses, ops

LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)


class Case(NamedTuple):
    model: keras.Model
    batch: tuple[Any, Any]
    loss: Any = LOGITS


def normal(*shape: int) -> np.ndarray:
    """As `labels` from the generator that `keras.utils.set_random_seed` sets: no test's data hang on those before."""
    return np.random.normal(size=shape).astype("float32")


def counts() -> np.ndarray:
    return np.random.poisson(0.5, (16, 1)).astype("float32")


def masks() -> np.ndarray:
    return (np.random.random((16, 64)) < 0.3).astype("float32")


def labels(count: int = 16, classes: int = 10) -> np.ndarray:
    return np.random.randint(classes, size=count)


def chain(hidden: list[Any], last: Any = None, inputs: int = 64) -> keras.Sequential:
    return keras.Sequential([keras.Input((inputs,)), *hidden, last or layers.Dense(10)])


def dense(depth: int, activation: str | None, initializer: Any = "glorot_uniform", **settings: Any) -> list[Any]:
    """`initializer` is a name or a function that makes a new one per layer."""
    made = (initializer() if callable(initializer) else initializer for _ in range(depth))
    return [layers.Dense(64, activation, kernel_initializer=one, **settings) for one in made]


def vectors(hidden: list[Any], last: Any = None, loss: Any = LOGITS) -> Case:
    return Case(chain(hidden, last), (normal(16, 64), labels()), loss)


def residual(normalized: bool) -> Case:
    inputs = x = keras.Input((64,))
    for _ in range(24):
        y = layers.LayerNormalization()(x) if normalized else x
        x = layers.Add()(
            [
                x,
                layers.Dense(64, kernel_initializer="he_normal")(
                    layers.ReLU()(layers.Dense(64, kernel_initializer="he_normal")(y))
                ),
            ]
        )
    x = layers.LayerNormalization()(x) if normalized else x
    return Case(keras.Model(inputs, layers.Dense(10)(x)), (normal(16, 64), labels()))


def transformer(scale: float = 1.0) -> Case:
    words = keras.Input((12,), dtype="int32")
    x = layers.Embedding(50, 32)(words)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        wide = initializers.RandomNormal(stddev=scale)
        settings = {"kernel_initializer": wide} if scale != 1.0 else {}
        x = x + layers.MultiHeadAttention(4, 8, **settings)(y, y)
        x = x + layers.Dense(32)(layers.Dense(64, "gelu")(layers.LayerNormalization()(x)))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))
    return Case(keras.Model(words, outputs), (labels(16 * 12, 50).reshape(16, 12), labels()))


def u_net() -> Case:
    inputs = keras.Input((16, 16, 3))
    down = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    low = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
    up = layers.Conv2DTranspose(16, 2, strides=2)(low)
    outputs = layers.Conv2D(4, 1)(layers.Concatenate()([up, down]))
    return Case(keras.Model(inputs, outputs), (normal(4, 16, 16, 3), labels(1024, 4).reshape(4, 16, 16)))


def recurrent(kind: Any) -> Case:
    model = keras.Sequential([keras.Input((12,), dtype="int32"), layers.Embedding(50, 16), kind, layers.Dense(10)])
    return Case(model, (labels(16 * 12, 50).reshape(16, 12), labels()))


def shared_and_nested() -> Case:
    left, right = keras.Input((64,), name="left"), keras.Input((64,), name="right")
    tower = keras.Sequential(
        [layers.Dense(32, "relu"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(32)]
    )
    outputs = layers.Dense(10)(layers.Average()([tower(left), tower(right)]))
    return Case(
        keras.Model({"left": left, "right": right}, outputs),
        ({"left": normal(16, 64), "right": normal(16, 64)}, labels()),
    )


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.frozen, self.last = layers.Dense(32), layers.Dense(32, trainable=False), layers.Dense(10)
        self.drop = layers.Dropout(0.5)

    def call(self, pair: Any, training: bool = False) -> Any:
        one, other = pair
        return self.last(
            self.drop(ops.relu(self.frozen(ops.relu(self.first(one)) + self.first(other))), training=training)
        )


def subclassed() -> Case:
    model, batch = Subclassed(), ((normal(16, 64), normal(16, 64)), labels())
    model(batch[0])
    return Case(model, batch)


def mixed_precision() -> Case:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return vectors([*dense(3, "relu"), layers.BatchNormalization()], layers.Dense(10, dtype="float32"))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def application(build: Callable[..., keras.Model], **settings: Any) -> Case:
    model = build(weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None, **settings)
    return Case(model, (normal(8, 32, 32, 3), labels(8)))


HEALTHY = {
    "one layer": lambda: vectors([]),
    "MLP, ReLU, Glorot": lambda: vectors(dense(4, "relu")),
    "MLP, 20 ReLU layers, He": lambda: vectors(dense(20, "relu", "he_normal")),
    "MLP, tanh, Glorot": lambda: vectors(dense(10, "tanh")),
    "MLP, SELU, LeCun": lambda: vectors(dense(20, "selu", "lecun_normal")),
    "MLP, softmax and probabilities": lambda: vectors(
        dense(3, "relu"), layers.Dense(10, "softmax"), losses.SparseCategoricalCrossentropy()
    ),
    "MLP, one-hot": lambda: Case(
        chain(dense(2, "gelu")),
        (normal(16, 64), np.eye(10)[labels()]),
        losses.CategoricalCrossentropy(from_logits=True),
    ),
    "binary, sigmoid and probabilities": lambda: Case(
        chain(dense(2, "relu"), layers.Dense(1, "sigmoid")),
        (normal(16, 64), labels(16, 2)[:, None]),
        losses.BinaryCrossentropy(),
    ),
    "binary, probabilities without logits": lambda: Case(
        chain(dense(2, "relu"), layers.Dense(1, tf.nn.sigmoid)),
        (normal(16, 64), labels(16, 2)[:, None]),
        losses.BinaryCrossentropy(),
    ),
    "classes, probabilities without logits": lambda: vectors(
        dense(2, "relu"), layers.Dense(10, tf.nn.softmax), losses.SparseCategoricalCrossentropy()
    ),
    "binary classifier": lambda: Case(
        chain(dense(2, "relu"), layers.Dense(1)),
        (normal(16, 64), labels(16, 2)[:, None]),
        losses.BinaryCrossentropy(from_logits=True),
    ),
    "regression": lambda: Case(
        chain(dense(3, "relu"), layers.Dense(1)), (normal(16, 64), normal(16, 1)), losses.MeanSquaredError()
    ),
    "residual MLP, normalized": lambda: residual(normalized=True),
    "transformer": transformer,
    "U-Net": u_net,
    "LSTM": lambda: recurrent(layers.LSTM(32)),
    "GRU, both directions": lambda: recurrent(layers.Bidirectional(layers.GRU(16))),
    "shared tower, dict of inputs": shared_and_nested,
    "subclassed, tuple of inputs, frozen layer": subclassed,
    "mixed precision": mixed_precision,
    "MobileNet": lambda: application(keras.applications.MobileNet, alpha=0.25),
    "MobileNetV2": lambda: application(keras.applications.MobileNetV2, alpha=0.35),
}


def one_initializer() -> Case:
    shared = initializers.HeNormal(seed=0)
    return vectors(dense(4, "relu", lambda: shared))


def severed() -> Case:
    inputs = keras.Input((64,))
    return Case(
        keras.Model(inputs, layers.Dense(10)(ops.stop_gradient(layers.Dense(64)(inputs)))), (normal(16, 64), labels())
    )


def forgotten() -> Case:
    class Forgets(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.forgotten = layers.Dense(10), layers.Dense(10)

        def build(self, shape: Any) -> None:
            self.used.build(shape), self.forgotten.build(shape)
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.used(inputs)

    model = Forgets()
    model.build((None, 64))
    return Case(model, (normal(16, 64), labels()))


def poisoned() -> Case:
    case = vectors(dense(2, "relu"))
    kernel = case.model.layers[0].kernel
    kernel.assign(np.where(np.arange(64) == 3, np.nan, kernel.numpy()))
    return case


def with_nan(case: Case) -> Case:
    case.batch[0][0, 0] = np.nan
    return case


def embedding_too_small() -> Case:
    case = recurrent(layers.LSTM(8))
    return case._replace(batch=(case.batch[0] + 40, case.batch[1]))


def wild() -> Case:
    case = vectors(dense(2, "relu"))
    case.model.layers[0].bias.assign(np.where(np.arange(64) % 3, 0, 3e30))
    return case


def odd() -> Case:
    case = vectors(dense(5, "relu", "he_normal"))
    case.model.layers[2].kernel.assign(100 * case.model.layers[2].kernel)
    return case


def hidden() -> Case:
    tower = keras.Sequential([keras.Input((64,)), layers.Dense(64, "relu")])
    return vectors([layers.Lambda(lambda x: tower(x), output_shape=(64,))])


def softmax_of_one() -> Case:
    model = chain(dense(1, "relu"), layers.Dense(1, tf.nn.softmax))
    return Case(model, (normal(16, 64), labels(16, 2)[:, None]), losses.BinaryCrossentropy())


def softmax_of_the_batch() -> Case:
    return vectors([*dense(1, "relu"), layers.Softmax(axis=0)])


def reshaped(proper: bool = False) -> Case:
    """(time, batch, features) is brought to (batch, time, features) by a reshape, or by a transposition."""
    inputs = keras.Input((10, 12))
    x = layers.LSTM(32, return_sequences=True)(inputs)
    if not proper:
        x = ops.reshape(ops.transpose(x, (1, 0, 2)), (-1, 10, 32))
    return Case(keras.Model(inputs, layers.Dense(10)(x[:, -1])), (normal(16, 10, 12), labels()))


def masked(proper: bool = False) -> Case:
    """The mean of the tokens without the padding; or, the mask inverted, of the padding alone."""
    words = keras.Input((12,), dtype="int32")
    kept = ops.not_equal(words, 0) if proper else ops.equal(words, 0)
    x = layers.Dense(32, "relu")(layers.GlobalAveragePooling1D()(layers.Embedding(50, 32)(words), mask=kept))
    tokens = 1 + labels(16 * 12, 49).reshape(16, 12)
    tokens[np.arange(12) >= 5 + labels(16, 6)[:, None]] = 0
    return Case(keras.Model(words, layers.Dense(10)(x)), (tokens, labels()))


def scales(stddev: float) -> Case:
    blocks = [
        part
        for one in dense(6, None, "he_normal")
        for part in (one, layers.BatchNormalization(gamma_initializer=initializers.RandomNormal(stddev=stddev)))
    ]
    return vectors([part for block in zip(blocks[::2], blocks[1::2], strict=True) for part in (*block, layers.ReLU())])


def series(size: float) -> Case:
    """Numbers of this size, such as the indices of words, before a recurrent layer."""
    recurrent = layers.Bidirectional(layers.LSTM(32))
    model = keras.Sequential([keras.Input((20, 1)), recurrent, layers.Dense(10)])
    return Case(model, (size * normal(16, 20, 1), labels()), losses.SparseCategoricalCrossentropy(from_logits=True))


def heads(size: float) -> Case:
    """Two outputs of one trunk, with targets of this size and of size 1."""
    inputs = keras.Input((64,))
    hidden = layers.Dense(64, "relu")(inputs)
    model = keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(1)(hidden)])
    model.compile("sgd", ["mse", "mse"])
    return Case(model, (normal(16, 64), (size * normal(16, 1), normal(16, 1))), None)


def through_time(radius: float, activation: str = "tanh", steps: int = 40) -> Case:
    recurrent = initializers.Orthogonal(gain=radius)
    layer = layers.SimpleRNN(32, activation, recurrent_initializer=recurrent)
    return Case(
        keras.Sequential([keras.Input((steps, 8)), layer, layers.Dense(10)]), (normal(16, steps, 8) / 10, labels())
    )


def fitted(momentum: float = 0.99) -> Case:
    keras.utils.set_random_seed(1)
    model = chain([layers.Dense(64, "relu"), layers.BatchNormalization(momentum=momentum), layers.ReLU()])
    case = Case(model, (3.0 + 0.5 * normal(64, 64), labels(64)))
    model.compile(keras.optimizers.Adam(1e-2), LOGITS)
    model.fit(*case.batch, batch_size=16, epochs=8, verbose=0)
    return case


class Blocked(layers.Layer):
    """A branch that is multiplied by zero, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = layers.Dense(64)

    def build(self, shape: Any) -> None:
        self.branch.build(shape)

    def call(self, inputs: Any) -> Any:
        return inputs + 0.0 * self.branch(inputs)


def graph() -> Case:
    class Graph(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(10)
            self.dense.build((None, 64))
            self.built = True

        @tf.function
        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    return Case(Graph(), (normal(16, 64), labels()))


class Counting(layers.Layer):
    """Adds to a large table that is no variable."""

    def __init__(self) -> None:
        super().__init__()
        self.table = np.zeros(2**24 + 1, "float32")

    def call(self, inputs: Any) -> Any:
        self.table[0] += 1
        return inputs


class Dropping(keras.Model):
    """A dropout that is on in both modes, or by the mode. In a functional model, Keras sets the mode of each layer."""

    def __init__(self, always: bool) -> None:
        super().__init__()
        self.body, self.head = layers.Dense(64, "relu", kernel_initializer="he_normal"), layers.Dense(10)
        self.drop, self.always = layers.Dropout(0.2), always

    def call(self, x: Any) -> Any:
        hidden = self.body(x)
        return self.head(self.drop(hidden, training=True) if self.always else self.drop(hidden))


def dropping(always: bool = True) -> Case:
    case = Case(Dropping(always), (normal(16, 64), labels()))
    case.model(case.batch[0])
    return case


def views(cut: bool = False) -> Case:
    """Every other example is another view of the one before it."""

    def loss(_: Any, output: Any) -> Any:
        other = output[1::2]
        return ops.mean(ops.square(output[::2] - (ops.stop_gradient(other) if cut else other)))

    return vectors(dense(1, "relu"), loss=loss)


class Sample(layers.Layer):
    """Draws codes, and adds their divergence; without `proper`, their deviation is its logarithm, twice."""

    def __init__(self, sign: float, proper: bool) -> None:
        super().__init__()
        self.sign, self.proper = sign, proper
        self.mean, self.log_variance = layers.Dense(8), layers.Dense(8)

    def build(self, shape: Any) -> None:
        self.mean.build(shape), self.log_variance.build(shape)

    def call(self, hidden: Any) -> Any:
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        divergence = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), 1)
        self.add_loss(self.sign * ops.mean(divergence))
        spread = ops.exp(0.5 * log_variance) if self.proper else log_variance
        return mean + spread * keras.random.normal(ops.shape(mean))


def variational(sign: float = 1.0, proper: bool = True) -> Case:
    sample = Sample(sign, proper)
    stack = [layers.Dense(64, "relu"), sample, layers.Dense(64, "relu"), layers.Dense(64)]
    model = keras.Sequential([keras.Input((64,)), *stack])
    model.compile("adam", lambda y, made: ops.sum(ops.square(made - y), 1))
    x = normal(16, 8) @ normal(8, 64)
    return Case(model, (x, x), None)


def spoken(first: int) -> Case:
    """Labels from 0 or from 1, each for three steps."""
    stack = [layers.GRU(32, return_sequences=True), layers.Dense(7)]
    model = keras.Sequential([keras.Input((12, 16)), *stack])
    said = first + np.arange(4) + labels(16, 2)[:, None]
    return Case(model, (np.eye(16, dtype="float32")[said.repeat(3, 1)], said), losses.CTC())


FAULTS = {
    "weights too large": (
        "exploding-activation",
        lambda: vectors(dense(10, "relu", lambda: initializers.RandomNormal(stddev=1.0))),
    ),
    "weights too small": (
        "vanishing-activation",
        lambda: vectors(dense(10, "relu", lambda: initializers.RandomNormal(stddev=0.01))),
    ),
    "Glorot under 30 ReLU layers": ("vanishing-activation", lambda: vectors(dense(30, "relu", "glorot_normal"))),
    "sigmoid stack": ("vanishing-gradient", lambda: vectors(dense(10, "sigmoid"))),
    "saturated tanh": (
        "saturated-activation",
        lambda: vectors(dense(4, "tanh", lambda: initializers.RandomNormal(stddev=1.0))),
    ),
    "dead ReLUs": ("dead-relu", lambda: vectors(dense(2, "relu", bias_initializer=initializers.Constant(-5.0)))),
    "dead ReLU layers": (
        "dead-relu",
        lambda: vectors([layers.Dense(64, bias_initializer=initializers.Constant(-5.0)), layers.ReLU()]),
    ),
    "shared initializer": ("identical-layers", one_initializer),
    "constant weights": ("symmetric-units", lambda: vectors(dense(2, "tanh", lambda: initializers.Constant(0.01)))),
    "zero weights": (
        "symmetric-units",
        lambda: vectors(dense(2, "relu", "zeros"), layers.Dense(10, kernel_initializer="zeros")),
    ),
    "residual branches not normalized": ("residual-growth", lambda: residual(normalized=False)),
    "batch normalization without skips": (
        "exploding-gradient",
        lambda: vectors(
            [part for one in dense(50, None, "he_normal") for part in (one, layers.BatchNormalization(), layers.ReLU())]
        ),
    ),
    "attention too sharp": ("saturated-attention", lambda: transformer(scale=2.0)),
    "last layer too large": (
        "confident-at-start",
        lambda: vectors(dense(2, "relu"), layers.Dense(10, kernel_initializer=initializers.RandomNormal(stddev=3.0))),
    ),
    "softmax twice": (
        "softmax-before-cross-entropy",
        lambda: vectors(dense(2, "relu"), layers.Dense(10, tf.nn.softmax)),
    ),
    "from_logits forgotten": (
        "logits-without-from-logits",
        lambda: vectors(dense(2, "relu"), loss=losses.SparseCategoricalCrossentropy()),
    ),
    "from_logits forgotten, binary": (
        "logits-without-from-logits",
        lambda: Case(
            chain(dense(2, "relu"), layers.Dense(1)),
            (normal(16, 64), labels(16, 2)[:, None]),
            losses.BinaryCrossentropy(),
        ),
    ),
    "sigmoid twice": (
        "sigmoid-before-logits-loss",
        lambda: Case(
            chain([], layers.Dense(1, tf.nn.sigmoid)),
            (normal(16, 64), labels(16, 2)[:, None]),
            losses.BinaryCrossentropy(from_logits=True),
        ),
    ),
    "labels from 1": (
        "labels-out-of-range",
        lambda: Case(chain(dense(1, "relu")), (normal(16, 64), np.arange(16) % 10 + 1)),
    ),
    "embedding too small": ("index-out-of-range", embedding_too_small),
    "targets without an axis": (
        "broadcast-loss",
        lambda: Case(chain(dense(1, "relu"), layers.Dense(1)), (normal(16, 64), normal(16)), losses.MeanSquaredError()),
    ),
    "targets of 1 and 0.01, one sum": ("uneven-targets", lambda: heads(0.01)),
    "Dice of logits": (
        "overlap-of-logits",
        lambda: Case(chain(dense(1, "relu"), layers.Dense(64)), (normal(16, 64), masks()), losses.Dice(axis=1)),
    ),
    "a Poisson loss of any numbers": (
        "poisson-rate",
        lambda: Case(chain(dense(1, "relu"), layers.Dense(1)), (normal(16, 64), counts()), losses.Poisson()),
    ),
    "raw targets": (
        "target-scale",
        lambda: Case(
            chain(dense(1, "relu"), layers.Dense(1)), (normal(16, 64), 1000 + normal(16, 1)), losses.MeanSquaredError()
        ),
    ),
    "raw series": ("input-scale", lambda: series(300.0)),
    "raw pixels": ("input-scale", lambda: Case(chain(dense(1, "relu")), (100 + 50 * normal(16, 64), labels()))),
    "NaN in the batch": ("non-finite-input", lambda: with_nan(vectors(dense(1, "relu")))),
    "NaN in a weight": ("non-finite-weight", poisoned),
    "overflow": (
        "non-finite-activation",
        lambda: vectors(dense(30, "relu", lambda: initializers.RandomNormal(stddev=300.0))),
    ),
    "logarithm of zero": (
        "non-finite-loss",
        lambda: vectors(dense(1, "relu"), loss=lambda y, x: ops.mean(x) + ops.log(0.0 * ops.mean(ops.square(x)))),
    ),
    "square root of zero": (
        "non-finite-gradient",
        lambda: vectors(dense(1, "relu"), loss=lambda y, x: ops.mean(x) + ops.sqrt(0.0 * ops.mean(ops.square(x)))),
    ),
    "stop_gradient": ("no-gradient", severed),
    "ReLU after the last layer": ("relu-before-loss", lambda: vectors(dense(1, "relu"), layers.Dense(10, "relu"))),
    "a large table that every pass changes": ("not-put-back", lambda: vectors([*dense(1, "relu"), Counting()])),
    "a bias that nobody has drawn": ("uninitialized-weights", wild),
    "one layer times 100": ("layer-out-of-line", odd),
    "a branch times 0": ("zero-gradient", lambda: vectors([*dense(1, "relu"), Blocked()])),
    "layers that run as a graph": ("nothing-seen", graph),
    "layers in a Lambda": ("unregistered-weights", hidden),
    "softmax of one output": ("length-one-axis", softmax_of_one),
    "ReLU, negative targets": (
        "output-range",
        lambda: Case(
            chain(dense(1, "relu"), layers.Dense(1, "relu")),
            (normal(16, 64), normal(16, 1) - 5),
            losses.MeanSquaredError(),
        ),
    ),
    "forgotten layer": ("unused-weights", forgotten),
    "softmax over axis 0": ("softmax-over-batch", softmax_of_the_batch),
    "reshape in place of a transposition": ("mixed-examples", reshaped),
    "a mask the wrong way round": ("same-output", masked),
    "three layers, no activation": ("linear-stack", lambda: vectors(dense(3, None))),
    "scales N(0, 0.02²) of batch normalization": ("norm-scale", lambda: scales(0.02)),
    "40 steps, recurrent weights times 0.5": ("vanishing-through-time", lambda: through_time(0.5)),
    "40 steps of ReLU, recurrent weights times 2": ("exploding-through-time", lambda: through_time(2.0, "relu")),
    "batch normalization that lags behind": ("evaluation-gap", fitted),
    "trained for 32 steps": ("trained-already", lambda: fitted(0.5)),
    "a dropout that is always on": ("dropout-in-evaluation", dropping),
    "a network compared with itself": ("constant-is-best", views),
    "a KL divergence with a minus": ("divergence-sign", lambda: variational(-1.0)),
    "a logarithm for a standard deviation": ("sample-spread", lambda: variational(proper=False)),
    "CTC labels from 0": ("blank-among-labels", lambda: spoken(0)),
    "biases that outweigh the signal": (
        "collapsed-angles",
        lambda: vectors(dense(5, "relu", "he_normal", bias_initializer=initializers.RandomNormal(stddev=300.0))),
    ),
}
