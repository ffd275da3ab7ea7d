"""What the loss gets, in Keras: each planted fault is named, and the same with its cure, and healthy ones near it,
give no fault."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, ops

from snippets.diagnostics.check_model_keras import ANGLE, check_model

pytestmark = pytest.mark.keras
CLASSES = losses.SparseCategoricalCrossentropy(from_logits=True)
MASKED = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100)
LOGITS, PROBABILITIES = losses.BinaryCrossentropy(from_logits=True), losses.BinaryCrossentropy()


def network(units: int = 4, last: str | None = None) -> keras.Model:
    return keras.Sequential([keras.Input((20,)), layers.Dense(64, "relu"), layers.Dense(units, last)])


def heads(weights: Any = None, named: bool = False) -> keras.Model:
    """Two outputs of one trunk, with a compiled loss."""
    inputs = keras.Input((20,))
    hidden = layers.Dense(64, "relu")(inputs)
    model = keras.Model(inputs, [layers.Dense(1, name=name)(hidden) for name in ("one", "other")])
    model.compile("sgd", {"one": "mse", "other": "mae"} if named else ["mse", "mse"], loss_weights=weights)
    return model


def text_model(both: bool = False) -> keras.Model:
    rnn = layers.GRU(32, return_sequences=True)
    hidden = layers.Bidirectional(rnn) if both else rnn
    return keras.Sequential([keras.Input((None,), dtype="int32"), layers.Embedding(50, 32), hidden, layers.Dense(50)])


def series_model(both: bool = False) -> keras.Model:
    rnn = layers.GRU(16, return_sequences=True)
    hidden = layers.Bidirectional(rnn) if both else rnn
    return keras.Sequential([keras.Input((None, 2)), hidden, layers.Dense(2)])


def padded(units: int = 4) -> keras.Model:
    """An answer for each token; the last ones are padding."""
    stack = [layers.Embedding(50, 32, mask_zero=True), layers.Dense(units)]
    return keras.Sequential([keras.Input((12,), dtype="int32"), *stack])


def compared(last: Any = None) -> keras.Model:
    """The codes of the halves of each example, of one network; `last` is done with the second ones."""
    inputs = keras.Input((20,))
    encoder = keras.Sequential([keras.Input((10,)), layers.Dense(64, "relu"), layers.Dense(8)])
    codes = [encoder(inputs[:, :10]), encoder(inputs[:, 10:])]
    return keras.Model(inputs, [codes[0], last(codes[1]) if last else codes[1]])


def half_frozen() -> keras.Model:
    """Two encoders, of which one is not trained."""
    inputs = keras.Input((20,))
    encoders = [keras.Sequential([keras.Input((10,)), layers.Dense(8, "relu"), layers.Dense(8)]) for _ in range(2)]
    encoders[1].trainable = False
    return keras.Model(inputs, [encoders[0](inputs[:, :10]), encoders[1](inputs[:, 10:])])


def guessed(_: Any, logits: Any, cut: bool = False) -> Any:
    guess = ops.softmax(logits / 0.5)
    guess = ops.stop_gradient(guess) if cut else guess
    return ops.mean(ops.categorical_crossentropy(guess, logits, from_logits=True))


def comparison(of: Any) -> Any:
    return lambda _, output: of(*output)


def distance(one: Any, other: Any) -> Any:
    return ops.mean(ops.square(one - other))


def angle(one: Any, other: Any) -> Any:
    return -ops.mean(ops.sum(ops.normalize(one) * ops.normalize(other), 1))


def told_apart(one: Any, other: Any) -> Any:
    """SimCLR's, halved."""
    logits = ops.matmul(ops.normalize(one), ops.transpose(ops.normalize(other))) / 0.1
    return ops.mean(ops.sparse_categorical_crossentropy(ops.arange(len(one)), logits, from_logits=True))


def kept_apart(one: Any, other: Any) -> Any:
    """What VICReg keeps apart."""
    spreads = [ops.mean(ops.relu(1 - ops.sqrt(ops.var(part, 0) + 1e-4))) for part in (one, other)]
    return distance(one, other) + sum(spreads)


def drawn(deviation: Any = lambda last: ops.exp(0.5 * last)) -> keras.Model:
    """An autoencoder whose codes are drawn: what it makes, their mean, and an output that a deviation comes from."""
    inputs = keras.Input((20,))
    hidden = layers.Dense(32, "relu")(inputs)
    mean, last = layers.Dense(8)(hidden), layers.Dense(8)(hidden)
    code = Drawn(deviation)([mean, last])
    return keras.Model(inputs, [layers.Dense(20)(code), mean, last])


class Drawn(layers.Layer):
    def __init__(self, deviation: Any) -> None:
        super().__init__()
        self.deviation = deviation

    def call(self, given: Any) -> Any:
        mean, last = given
        return mean + self.deviation(last) * keras.random.normal(ops.shape(mean))


DIVERGENCES = {
    "the logarithm of a variance": (ops.exp, lambda v: v),
    "the logarithm of a deviation": (lambda v: ops.exp(2 * v), lambda v: 2 * v, ops.exp),
    "a deviation": (lambda v: ops.exp(v) ** 2, lambda v: 2 * ops.log(ops.exp(v)), ops.exp),
    "a variance": (ops.softplus, lambda v: ops.log(ops.softplus(v))),
}
"""What the variance and its logarithm are of the last output; and the deviation, if another one than exp(v / 2)."""


SCALES = np.linspace(0.9, 1.1, 32 * 8, dtype="float32").reshape(32, 8)
"""Positive numbers beside a logarithm, which are no noise."""


def divergence(grown: Any, logarithm: Any, sign: float) -> Any:
    """Of Gaussians, written in one of many ways."""

    def loss(x: Any, output: Any) -> Any:
        made, mean, last = output
        whole = ops.sum(grown(last) + ops.square(mean) - 1.0 - logarithm(last), 1) / 2
        return ops.mean(ops.square(made - x)) + sign * ops.mean(whole)

    return loss


class Nearest(layers.Layer):
    """The nearest of 512 codes, as a VQ-VAE takes it."""

    def build(self, shape: Any) -> None:
        uniform = keras.initializers.RandomUniform(-1 / 512, 1 / 512)
        self.codes = self.add_weight(shape=(512, shape[-1]), initializer=uniform, name="codes")

    def call(self, given: Any) -> Any:
        apart = ops.sum(ops.square(given[:, None] - self.codes), -1)
        code = ops.take(self.codes, ops.argmin(apart, 1), axis=0)
        self.add_loss(ops.mean(ops.square(code - ops.stop_gradient(given))))
        return given + ops.stop_gradient(code - given)


def decoder() -> keras.Model:
    """It reads its tokens beside those of another text."""
    text, tokens = keras.Input((12,), dtype="int32"), keras.Input((None,), dtype="int32")
    read = ops.mean(layers.Embedding(50, 32)(text), 1, keepdims=True)
    hidden = layers.GRU(32, return_sequences=True)(layers.Embedding(50, 32)(tokens))
    return keras.Model([text, tokens], layers.Dense(50)(hidden + read))


def speech() -> keras.Model:
    return keras.Sequential([keras.Input((12, 20)), layers.GRU(16, return_sequences=True), layers.Dense(7)])


def squared(chosen: Any) -> Any:
    return ops.mean((chosen - 1.0) ** 2)


class Attention(layers.Layer):
    """Weights of a softmax over `axis` of (examples, heads, queries, keys), times values."""

    def __init__(self, axis: int, equation: str = "") -> None:
        super().__init__()
        self.axis, self.equation = axis, equation
        self.mixed, self.drop = layers.Dense(48), layers.Dropout(0.1)

    def build(self, shape: Any) -> None:
        self.mixed.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        parts = ops.transpose(ops.reshape(self.mixed(x), (-1, 9, 3, 2, 8)), (2, 0, 3, 1, 4))
        scores = ops.matmul(parts[0], ops.swapaxes(parts[1], 2, 3)) / 8**0.5
        weights = self.drop(ops.softmax(scores, axis=self.axis), training=training)
        mixed = ops.einsum(self.equation, weights, parts[2]) if self.equation else ops.matmul(weights, parts[2])
        return ops.reshape(ops.swapaxes(mixed, 1, 2), (-1, 9, 16))


def attentive(axis: int, equation: str = "") -> keras.Model:
    hidden = [Attention(axis, equation), layers.GlobalAveragePooling1D()]
    return keras.Sequential([keras.Input((9, 16)), *hidden, layers.Dense(4)])


def bootstrapped(rewards: Any, values: Any, cut: bool = False) -> Any:
    """Each value against the reward and the value of the state after it."""
    after = ops.stop_gradient(values[1:]) if cut else values[1:]
    targets = rewards[:-1] + 0.9 * after * np.ones((31, 1), "float32")
    return ops.mean(losses.mean_squared_error(targets, values[:-1]))


def actor_critic(cut: bool, how: str, standardized: bool = False) -> Any:
    """`how` the log-probability of an action is written; the last output is the value of the state."""

    def loss(acted: Any, output: Any) -> Any:
        actions, returns = acted
        logits, advantage = output[:, :-1], returns - output[:, -1]
        weights = ops.stop_gradient(advantage) if cut else advantage
        if standardized:
            weights = (weights - ops.mean(weights)) / (ops.std(weights) + 1e-8)
        hot = ops.one_hot(actions, 4)
        logs = {
            "log_softmax": lambda: ops.sum(hot * ops.log_softmax(logits), 1),
            "log": lambda: ops.log(ops.sum(hot * ops.softmax(logits), 1)),
            "categorical": lambda: -losses.categorical_crossentropy(hot, logits, from_logits=True),
            "sparse": lambda: -tf.nn.sparse_softmax_cross_entropy_with_logits(actions, logits),
        }
        return ops.mean(advantage**2) - ops.mean(logs[how]() * weights)

    return loss


def named_crossentropy(targets: Any, output: Any) -> Any:
    return losses.binary_crossentropy(targets, output, from_logits=True)


def cases() -> dict[str, tuple[str, Any, Any, Any]]:
    """The code, or none; what makes the model, batch and loss."""
    draw = np.random.default_rng(0)
    x, classes = draw.normal(size=(32, 20)).astype("float32"), draw.integers(4, size=32)
    binary = draw.integers(2, size=(32, 1)).astype("float32")
    several, hot = draw.integers(2, size=(32, 4)).astype("float32"), np.eye(4, dtype="float32")[classes]
    text, weights = draw.integers(50, size=(16, 12)), draw.random((32, 1)).astype("float32")
    masked = np.where(draw.random((16, 12)) < 0.3, text, -100)
    sequences = draw.normal(size=(32, 9, 16)).astype("float32")
    turns = np.arange(24) + 6 * draw.random((16, 1))
    wave = (np.sin(turns)[..., None] + 0.1 * draw.normal(size=(16, 24, 2))).astype("float32")
    short = np.where(np.arange(12) < 5, 1 + text % 49, 0)
    rewards = draw.normal(size=32).astype("float32")
    crossed, acted = losses.CategoricalCrossentropy(), hot * weights
    one, many = lambda last=None: network(1, last), lambda last=None: network(4, last)
    columns = draw.normal(size=(32, 2)) * [1, 0.01]
    uneven = [columns[:, 1:], columns[:, :1]]
    said, spoken = draw.normal(size=(16, 12, 20)).astype("float32"), np.arange(4) + draw.integers(2, size=(16, 1))
    return {
        "labels -1 and 1": ("targets-outside", lambda: one("sigmoid"), (x, 2 * binary - 1), PROBABILITIES),
        "labels -1 and 1, logits": ("targets-outside", one, (x, 2 * binary - 1), LOGITS),
        "labels 0 and 1": ("", lambda: one("sigmoid"), (x, binary), PROBABILITIES),
        "scores as targets": ("targets-outside", lambda: many("softmax"), (x, 5 * hot), crossed),
        "a divergence from less than 0": (
            "targets-outside",
            lambda: many("softmax"),
            (x, hot - 1),
            losses.KLDivergence(),
        ),
        "a divergence": ("", lambda: many("softmax"), (x, hot), losses.KLDivergence()),
        "a class -1": ("labels-out-of-range", many, (x, np.where(classes == 0, -1, classes)), CLASSES),
        "columns of 1 and 0.01": ("uneven-targets", lambda: network(2), (x, columns), losses.MeanSquaredError()),
        "columns of 1 and 0.1": ("", lambda: network(2), (x, columns * [1, 10]), losses.Huber()),
        "outputs of 1 and 0.01": ("uneven-targets", heads, (x, uneven), None),
        "outputs of 1 and 0.01 that are weighted": ("", lambda: heads([1e4, 1.0]), (x, uneven), None),
        "outputs of 1 and 0.01 by name": ("uneven-targets", lambda: heads(named=True), (x, uneven), None),
        **{
            f"{name}, {'a minus' if sign < 0 else 'a plus'}": (
                "divergence-sign" if sign < 0 else "",
                lambda deviation=deviation: drawn(*deviation),
                (x, x),
                divergence(grown, logarithm, sign),
            )
            for name, (grown, logarithm, *deviation) in DIVERGENCES.items()
            for sign in (1.0, -1.0)
        },
        **{
            f"a deviation of {name} in the sample": (
                "" if fits else "sample-spread",
                lambda deviation=deviation: drawn(deviation),
                (x, x),
                divergence(*DIVERGENCES[f"the logarithm of a {of}"][:2], 1.0),
            )
            for name, deviation, of, fits in (
                ("exp(x / 2), a variance of exp(x)", lambda x: ops.exp(x / 2), "variance", True),
                ("exp(x / 2) at several scales", lambda x: ops.exp(x * SCALES / 2), "variance", True),
                ("sqrt(exp(x)), a variance of exp(x)", lambda x: ops.sqrt(ops.exp(x)), "variance", True),
                ("exp(x), a variance of exp(2 x)", ops.exp, "deviation", True),
                ("exp(x), a variance of exp(x)", ops.exp, "variance", False),
                ("x, a variance of exp(2 x)", lambda x: x, "deviation", False),
            )
        },
        **{
            f"the sum of a divergence behind a minus, {'twice' if sign < 0 else 'once'}": (
                "divergence-sign" if sign < 0 else "",
                drawn,
                (x, x),
                lambda y, o, sign=sign: (
                    ops.mean(ops.square(o[0] - y))
                    + ops.negative(sign * ops.mean(1.0 + o[2] - ops.square(o[1]) - ops.exp(o[2])))
                ),
            )
            for sign in (1.0, -1.0)
        },
        "a guess that is not cut off": ("target-with-gradient", many, (x, classes), guessed),
        "a guess": ("", many, (x, classes), lambda y, output: guessed(y, output, cut=True)),
        "codes compared": ("constant-is-best", compared, (x, classes), comparison(distance)),
        "codes compared by their angle": ("constant-is-best", compared, (x, classes), comparison(angle)),
        "codes compared with what is cut off": (
            "",
            compared,
            (x, classes),
            comparison(lambda one, other: distance(one, ops.stop_gradient(other))),
        ),
        "codes compared with what the model cuts off": (
            "",
            lambda: compared(lambda codes: ops.normalize(ops.stop_gradient(codes))),
            (x, classes),
            comparison(angle),
        ),
        "codes compared with those that are not trained": ("", half_frozen, (x, classes), comparison(distance)),
        "codes compared, and kept apart": ("", compared, (x, classes), comparison(kept_apart)),
        "codes compared with those of others": ("", compared, (x, classes), comparison(told_apart)),
        "codes in one output, one of them cut off in the loss": (
            "",
            many,
            (x, classes),
            lambda _, output: distance(output[:, :2], ops.stop_gradient(output[:, 2:])),
        ),
        "codes near a center": ("", many, (x, classes), lambda _, output: ops.mean(ops.square(output - 1))),
        "three examples compared": ("", compared, (x[:3], classes[:3]), comparison(distance)),
        "CTC labels from 0": ("blank-among-labels", speech, (said, spoken), losses.CTC()),
        "CTC labels from 1, padded": ("", speech, (said, np.pad(spoken + 1, ((0, 0), (0, 2)))), losses.CTC()),
        "a decoder that reads its targets": ("unshifted-targets", decoder, ([text, 49 - text], 49 - text), CLASSES),
        "a decoder": ("", decoder, ([text, 49 - text[:, :-1]], 49 - text[:, 1:]), CLASSES),
        "an overlap of logits": ("overlap-of-logits", many, (x, several), losses.Dice()),
        "an overlap of logits above 0": (
            "overlap-of-logits",
            lambda: keras.Sequential(
                [keras.Input((20,)), layers.Dense(4, bias_initializer=keras.initializers.Constant(5))]
            ),
            (x, several),
            losses.Dice(),
        ),
        "an overlap of logits by hand": (
            "overlap-of-logits",
            many,
            (x, several),
            lambda y, o: 1 - 2 * ops.sum(o[:, 1] * y[:, 1]) / (ops.sum(o[:, 1]) + ops.sum(y[:, 1]) + 1),
        ),
        "an overlap of probabilities": ("", lambda: many("sigmoid"), (x, several), losses.Dice()),
        "an overlap of probabilities in the loss": (
            "",
            many,
            (x, several),
            lambda y, o: losses.Tversky()(y, ops.sigmoid(o)),
        ),
        "an overlap with squares below": (
            "",
            many,
            (x, several),
            lambda y, o: 1 - 2 * ops.sum(o * y) / (ops.sum(ops.square(o)) + ops.sum(y)),
        ),
        "shares of a sum": ("", many, (x, several), lambda y, o: ops.mean(abs(o / (5 + ops.sum(o, 1)[:, None]) - y))),
        "a logarithm in place of the rate": ("poisson-rate", one, (x, binary), losses.Poisson()),
        "a rate": ("", lambda: one("softplus"), (x, binary), losses.Poisson()),
        "tanh before probabilities": ("tanh-before-loss", lambda: one("tanh"), (x, binary), PROBABILITIES),
        "tanh before logits": ("tanh-before-loss", lambda: one("tanh"), (x, binary), LOGITS),
        "tanh before classes": ("tanh-before-loss", lambda: many("tanh"), (x, classes), CLASSES),
        "tanh in a regression": ("", lambda: one("tanh"), (x, binary - 0.5), losses.MeanSquaredError()),
        "sigmoid before classes": ("sigmoid-before-categorical", lambda: many("sigmoid"), (x, hot), crossed),
        "sigmoid before many labels": ("", lambda: many("sigmoid"), (x, several), PROBABILITIES),
        "swapped, classes": (
            "swapped-arguments",
            lambda: many("softmax"),
            (x, hot),
            lambda y, o: losses.categorical_crossentropy(o, y),
        ),
        "swapped, logits of classes": (
            "swapped-arguments",
            many,
            (x, hot),
            lambda y, o: losses.categorical_crossentropy(o, y, from_logits=True),
        ),
        "swapped, probabilities": (
            "swapped-arguments",
            lambda: one("sigmoid"),
            (x, binary),
            lambda y, o: losses.binary_crossentropy(o, y),
        ),
        "swapped, logits": (
            "swapped-arguments",
            one,
            (x, binary),
            lambda y, o: losses.binary_crossentropy(o, y, from_logits=True),
        ),
        "not swapped, classes": (
            "",
            lambda: many("softmax"),
            (x, hot),
            lambda y, o: losses.categorical_crossentropy(y, o),
        ),
        "not swapped, logits": ("", one, (x, binary), lambda y, o: losses.binary_crossentropy(y, o, from_logits=True)),
        "logarithms of both": ("", lambda: one("softplus"), (x, binary), losses.MeanSquaredLogarithmicError()),
        "logarithms of targets": ("", one, (x, 1 + binary), lambda y, o: ops.mean((o - ops.log(y)) ** 2)),
        "weights that are logarithms": ("", one, (x, 1 + binary), lambda y, o: ops.mean(ops.log1p(y) * (o - y) ** 2)),
        "index of all": ("index-for-all", many, (x, classes), lambda a, q: squared(ops.take(q, a, axis=1))),
        "index of each": (
            "",
            many,
            (x, classes),
            lambda a, q: squared(ops.take_along_axis(q, a[:, None], axis=1)),
        ),
        "targets that are the inputs": ("unshifted-targets", text_model, (text, text), CLASSES),
        "targets that are the next tokens": ("", text_model, (text[:, :-1], text[:, 1:]), CLASSES),
        "an autoencoder of text": ("", lambda: text_model(True), (text, text), CLASSES),
        "shifted twice": ("unshifted-targets", text_model, (text[:, :-2], text[:, 2:]), CLASSES),
        "a masked model that sees the words": ("unshifted-targets", lambda: text_model(True), (text, masked), MASKED),
        "a masked model": ("", lambda: text_model(True), (np.where(masked < 0, text, 0), masked), MASKED),
        "a series in both directions": (
            "future-visible",
            lambda: series_model(True),
            (wave[:, :-1], wave[:, 1:]),
            losses.MeanSquaredError(),
        ),
        "a series in one direction": (
            "",
            series_model,
            (wave[:, :-1], wave[:, 1:]),
            losses.MeanSquaredError(),
        ),
        "an autoencoder of a series": (
            "",
            lambda: series_model(True),
            (wave, wave),
            losses.MeanSquaredError(),
        ),
        "a series that stands still": (
            "",
            lambda: series_model(True),
            (np.repeat(wave[:, :1], 24, 1), np.repeat(wave[:, :1], 24, 1)),
            losses.MeanSquaredError(),
        ),
        "both directions": ("future-visible", lambda: text_model(True), (text[:, :-1], text[:, 1:]), CLASSES),
        "classes of text with padding": ("", padded, (short, short % 4), CLASSES),
        "labels beyond the classes under a mask": (
            "labels-out-of-range",
            padded,
            (short, np.where(short, short % 4, 9)),
            CLASSES,
        ),
        "distributions for text with padding": (
            "",
            padded,
            (short, np.eye(4, dtype="float32")[short % 4]),
            losses.CategoricalCrossentropy(from_logits=True),
        ),
        "labels of text with padding": (
            "",
            lambda: padded(1),
            (short, (short % 2)[..., None].astype("float32")),
            LOGITS,
        ),
        "large numbers for padding alone": (
            "",
            lambda: padded(1),
            (short, np.where(short, short % 2, 1e4)[..., None].astype("float32")),
            losses.MeanSquaredError(),
        ),
        "large numbers for words": (
            "target-scale",
            lambda: padded(1),
            (short, np.where(short, 1e4, 0)[..., None].astype("float32")),
            losses.MeanSquaredError(),
        ),
        "a policy that gets worse": (
            "policy-sign",
            lambda: many("softmax"),
            (x, acted),
            lambda y, o: ops.mean(ops.sum(y * ops.log(o), 1)),
        ),
        "a policy": ("", lambda: many("softmax"), (x, acted), lambda y, o: -ops.mean(ops.sum(y * ops.log(o), 1))),
        "a policy, negative weights": ("", many, (x, acted), lambda y, o: ops.mean(-y * ops.log_softmax(o))),
        "attention over the queries": ("attention-axis", lambda: attentive(2), (sequences, classes), CLASSES),
        "attention over the keys": ("", lambda: attentive(3), (sequences, classes), CLASSES),
        "einsum over the queries": (
            "attention-axis",
            lambda: attentive(2, "bhqk,bhkd->bhqd"),
            (sequences, classes),
            CLASSES,
        ),
        "einsum over the keys": ("", lambda: attentive(-1, "bhqk,bhkd->bhqd"), (sequences, classes), CLASSES),
        "einsum with dots": ("", lambda: attentive(3, "...qk,...kd->...qd"), (sequences, classes), CLASSES),
        "a target from the same network": ("target-with-gradient", one, (x, weights), bootstrapped),
        "a target that is cut off": ("", one, (x, weights), lambda y, o: bootstrapped(y, o, cut=True)),
        "a target by hand": (
            "target-with-gradient",
            one,
            (x, weights),
            lambda y, o: ops.mean((o[:-1] - (y[:-1] + 0.9 * o[1:])) ** 2),
        ),
        "two views": ("constant-is-best", one, (x, weights), lambda _, o: ops.mean(ops.square(o[:16] - o[16:]))),
        "a center that moves slowly": (
            "",
            many,
            (x, weights),
            lambda _, o: ops.mean(ops.square(o - (0.1 * np.ones(4, "float32") + 0.9 * ops.mean(o, 0)))),
        ),
        "logits in a loss of one's own": (
            "logits-without-from-logits",
            one,
            (x, binary),
            lambda y, o: 2 * losses.binary_crossentropy(y, o),
        ),
        "logits of classes in a loss of one's own": (
            "logits-without-from-logits",
            many,
            (x, classes),
            lambda y, o: losses.SparseCategoricalCrossentropy()(y, o),
        ),
        "logits in a loss with a name": ("", one, (x, binary), named_crossentropy),
        "probabilities in a loss of one's own": (
            "",
            lambda: one("sigmoid"),
            (x, binary),
            lambda y, o: losses.binary_crossentropy(y, o),
        ),
        "two softmaxes in a loss of one's own": (
            "softmax-before-cross-entropy",
            lambda: many(tf.nn.softmax),
            (x, hot),
            lambda y, o: losses.categorical_crossentropy(y, o, from_logits=True),
        ),
        "ReLU before probabilities": (
            "relu-before-loss",
            lambda: one("relu"),
            (x / 10, binary),
            losses.BinaryCrossentropy(),
        ),
        "ReLU in a loss of one's own": (
            "relu-before-loss",
            lambda: many("relu"),
            (x, hot),
            lambda y, o: losses.categorical_crossentropy(y, o, from_logits=True),
        ),
        **{
            f"an advantage {state}, {how}": (
                "" if cut else "advantage-with-gradient",
                lambda: network(5),
                (x, (classes, rewards)),
                actor_critic(cut, how),
            )
            for cut, state in ((False, "with a gradient"), (True, "cut off"))
            for how in ("log_softmax", "log", "categorical", "sparse")
        },
        "a standardized advantage with a gradient": (
            "advantage-with-gradient",
            lambda: network(5),
            (x, (classes, rewards)),
            actor_critic(False, "log_softmax", standardized=True),
        ),
        "classes that are weighted by their error": (
            "",
            many,
            (x, hot),
            lambda y, o: -ops.mean((y - ops.softmax(o)) * ops.log_softmax(o)),
        ),
        "a product of outputs times data less an output": (
            "",
            lambda: network(3),
            (x, rewards),
            lambda y, o: ops.mean(o[:, 0] * o[:, 1] * (y - o[:, 2])),
        ),
        "a log-probability times a difference of outputs": (
            "",
            lambda: network(6),
            (x, hot),
            lambda y, o: -ops.mean(ops.sum(y * ops.log_softmax(o[:, :4]), 1) * (o[:, 4] - o[:, 5])),
        ),
        "a log-probability times an output": (
            "",
            lambda: network(5),
            (x, hot),
            lambda y, o: -ops.mean(ops.sum(y * ops.log_softmax(o[:, :4]), 1) * o[:, 4]),
        ),
        "a focal loss by hand": (
            "",
            many,
            (x, hot),
            lambda y, o: -ops.mean(ops.sum(y * (1 - ops.softmax(o)) ** 2 * ops.log_softmax(o), 1)),
        ),
        "softmax before TensorFlow's loss of class numbers": (
            "softmax-before-cross-entropy",
            lambda: many("softmax"),
            (x, classes),
            lambda y, o: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "softmax before TensorFlow's loss of classes": (
            "softmax-before-cross-entropy",
            lambda: many("softmax"),
            (x, hot),
            lambda y, o: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "ReLU before TensorFlow's loss": (
            "relu-before-loss",
            lambda: many("relu"),
            (x, hot),
            lambda y, o: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "sigmoid before TensorFlow's loss": (
            "sigmoid-before-logits-loss",
            lambda: one("sigmoid"),
            (x, binary),
            lambda y, o: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "sigmoid before TensorFlow's weighted loss": (
            "sigmoid-before-logits-loss",
            lambda: one("sigmoid"),
            (x, binary),
            lambda y, o: tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(y, o, 2.0)),
        ),
        "TensorFlow's loss of class numbers": (
            "",
            many,
            (x, classes),
            lambda y, o: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "TensorFlow's loss of logits": (
            "",
            one,
            (x, binary),
            lambda y, o: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "tokens in TensorFlow's loss": (
            "unshifted-targets",
            text_model,
            (text, text),
            lambda y, o: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=o)),
        ),
        "two softmaxes by hand": (
            "softmax-before-cross-entropy",
            lambda: many("softmax"),
            (x, hot),
            lambda y, o: -ops.mean(ops.sum(y * ops.log_softmax(o), 1)),
        ),
        "a sigmoid before a softplus": (
            "sigmoid-before-logits-loss",
            lambda: one("sigmoid"),
            (x, binary),
            lambda _, o: ops.mean(ops.softplus(-o)),
        ),
        "a policy of logits that gets worse": (
            "policy-sign",
            many,
            (x, acted),
            lambda y, o: ops.mean(y * ops.log_softmax(o)),
        ),
    }


@pytest.mark.parametrize("name", cases())
def test_what_the_loss_gets(name):
    keras.utils.set_random_seed(0)
    code, make, *checked = cases()[name]
    assert [finding.code for finding in check_model(make(), *checked).findings] == ([code] if code else [])


def test_what_a_model_chose_itself_may_look_the_same_at_first():
    """All inputs have the same code nearest to them, until codes and encoder come together."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).random((32, 20)).astype("float32")
    far = layers.Dense(16, bias_initializer=keras.initializers.Constant(3.0))
    stack = [far, Nearest(), layers.Dense(64, "relu"), layers.Dense(20)]
    model = keras.Sequential([keras.Input((20,)), *stack])
    model.compile("adam", "mse")
    report = check_model(model, (x, x))
    assert report.layers[-1].cosine > 1 - ANGLE
    assert not report.findings


class Prior(layers.Layer):
    """A detector's head, which computes its loss itself: its predictions start near a prior of 1 %."""

    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(64, "sigmoid", bias_initializer=keras.initializers.Constant(-4.6))

    def build(self, shape: Any) -> None:
        self.head.build(shape)

    def call(self, inputs: Any) -> Any:
        predicted = self.head(inputs)
        self.add_loss(ops.mean((predicted - 0.01) ** 2))
        return inputs


def test_the_spread_of_one_example_is_not_asked_for(recwarn):
    check_model(network(), (np.ones((1, 20), "float32"), np.array([1])), CLASSES)
    assert [str(one.message) for one in recwarn if one.category is RuntimeWarning] == []


def test_the_prior_of_a_prediction_inside_the_model_is_no_saturation():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20,))
    hidden = layers.Dense(64, "relu")(inputs)
    model = keras.Model(inputs, Prior()(hidden))
    x = np.random.default_rng(0).normal(size=(32, 20)).astype("float32")
    report = check_model(model, (x, x), lambda _, output: ops.mean(ops.square(output)) + sum(model.losses))
    assert max(layer.saturated or 0 for layer in report.layers) > 0.9
    assert not report.findings
    hidden = layers.Dense(64, "sigmoid", bias_initializer=keras.initializers.Constant(-4.6))(inputs)
    report = check_model(keras.Model(inputs, layers.Dense(1)(hidden)), (x, x[:, :1]), losses.MeanSquaredError())
    assert [finding.code for finding in report.findings] == ["saturated-activation"]


class Codes(layers.Layer):
    """Learns a center by a loss of its own, as the codes of a VQ-VAE are."""

    def build(self, shape: Any) -> None:
        self.center = self.add_weight(shape=(shape[-1],), name="center")

    def call(self, inputs: Any) -> Any:
        self.add_loss(ops.mean((inputs - self.center) ** 2))
        return inputs


def with_codes(*last: layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((20,)), layers.Dense(16, "relu"), Codes(), *last])


def test_what_layers_add_to_a_compiled_loss_belongs_to_it():
    keras.utils.set_random_seed(0)
    x, y = np.random.default_rng(0).normal(size=(32, 20)).astype("float32"), np.arange(32) % 4
    model = with_codes(layers.Dense(4))
    assert [finding.code for finding in check_model(model, (x, y), CLASSES).findings] == ["unused-weights"]
    model.compile("adam", CLASSES)
    report = check_model(model, (x, y))
    assert not report.findings and report.loss == pytest.approx(float(CLASSES(y, model(x))), rel=1e-4)
    alone = with_codes()
    with pytest.raises(ValueError, match="not compiled with a loss"):
        check_model(alone, (x, x))
    alone.compile("adam")
    report = check_model(alone, (x, x))
    assert not report.findings and report.loss > 0
    nothing = network()
    nothing.compile("adam")
    with pytest.raises(ValueError, match="No loss to compute"):
        check_model(nothing, (x, y))


def test_a_penalty_on_weights_does_not_hide_that_the_gradient_ends():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 20)).astype("float32")
    inputs = keras.Input((20,))
    hidden = layers.Dense(16, "relu", kernel_regularizer="l2")(inputs)
    model = keras.Model(inputs, layers.Dense(4)(ops.stop_gradient(hidden)))
    model.compile("adam", CLASSES)
    assert [finding.code for finding in check_model(model, (x, np.arange(32) % 4)).findings] == ["no-gradient"]
