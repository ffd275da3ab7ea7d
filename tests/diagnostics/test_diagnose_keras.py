"""Planted faults and healthy neighbours, and that model, optimizer and random states are what they were."""

import importlib.util
import json
import math
import random
import runpy
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, optimizers

from snippets.diagnostics import diagnose_keras as snippet
from snippets.diagnostics.diagnose_keras import diagnose
from tests.diagnostics import diagnose_page, diagnose_rules

pytestmark = pytest.mark.keras


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("rule", diagnose_rules.RULES)
def test_rule(rule):
    rule(snippet)


def test_the_page_lists_every_finding_and_its_limits():
    diagnose_page.check_findings(snippet)
    diagnose_page.check_limits(snippet)


def codes(report, level="fault"):
    return [finding.code for finding in report.findings if finding.level == level]


def draw(count=256, width=8):
    x = np.random.default_rng(count).normal(size=(count, width)).astype("float32")
    return x, (x[:, 0] + x[:, 1] > 0).astype("int32")


x, y = draw()
CORNERS = (x[:, 0] * x[:, 1] > 0).astype("int32")
ONE_HOT = np.eye(2, dtype="float32")[y]
SPARSE = losses.SparseCategoricalCrossentropy(from_logits=True)


def mlp(*last, width=8, loss=SPARSE, optimizer=None):
    """The last layers are given; by default two logits."""
    stack = [layers.Dense(32, "relu"), *(last or [layers.Dense(2)])]
    return compiled([keras.Input((width,)), *stack], loss, optimizer)


def compiled(stack, loss, optimizer=None):
    model = keras.Sequential(stack)
    model.compile(optimizer or optimizers.Adam(0.01), loss)
    return model


def look(model, *data, **more):
    return diagnose(model, *data, **{"epochs": 20, "progress": False} | more)


def test_a_healthy_training_costs_one_trial_and_has_no_finding():
    report = look(mlp(), x, y)
    assert report.findings == () and report.complete
    assert [(trial.factor, len(trial.losses)) for trial in report.trials] == [(1.0, 100)]
    assert report.best_constant == pytest.approx(math.log(2), abs=0.02)
    assert report.planned == 20 * 8
    assert report.check.parameters == 8 * 32 + 32 + 32 * 2 + 2
    assert "No finding." in str(report)


def dense(*args, **more):
    return layers.Dense(*args, **more)


def by_hand(y, p):
    return -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))


PROGRAMS = {
    "steps-too-short": lambda: look(mlp(optimizer=optimizers.SGD(1e-3)), x, y),
    "rate-too-high": lambda: look(mlp(optimizer=optimizers.SGD(300.0)), x, y),
    "softmax-over-one-unit": lambda: look(mlp(dense(1, "softmax"), loss="binary_crossentropy"), x, y[:, None]),
    "targets-outside": lambda: look(mlp(dense(1, "sigmoid"), loss="binary_crossentropy"), x, 2 * y - 1),
    "labels-not-whole": lambda: look(mlp(), x, y / 2),
    "sigmoid-before-categorical": lambda: look(mlp(dense(2, "sigmoid"), loss="categorical_crossentropy"), x, ONE_HOT),
    "softmax-axis": lambda: look(
        mlp(dense(2), layers.Softmax(0), loss="categorical_crossentropy"), x, ONE_HOT, batch_size=64
    ),
    "binary-loss-for-classes": lambda: look(mlp(dense(2, "softmax"), loss="binary_crossentropy"), x, ONE_HOT),
    "relu-before-loss": lambda: look(mlp(dense(2, "relu"), loss=SPARSE), x, y),
    "linear-stack": lambda: look(
        compiled([keras.Input((8,)), dense(32), layers.Dropout(0.1), dense(2)], SPARSE), x, CORNERS
    ),
    "log-of-zero": lambda: look(
        mlp(dense(1, "sigmoid"), loss=by_hand, optimizer=optimizers.Adam(0.05)), 9 * x, y[:, None]
    ),
    "dropout-too-strong": lambda: look(mlp(layers.Dropout(0.9), dense(2)), x, y),
    "input-scale": lambda: look(mlp(), x / 255, y),
    "penalty-outweighs-loss": lambda: look(mlp(dense(2, kernel_regularizer=keras.regularizers.L2(9.0))), x, y),
    "labels-unrelated": lambda: look(mlp(), draw(2000)[0], np.random.default_rng(9).integers(2, size=2000)),
    "error": lambda: look(mlp(), x[:, :5], y),
    "labels-out-of-range": lambda: look(mlp(), x, y + 1),
    "sum-reduction": lambda: look(
        mlp(
            loss=losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
            optimizer=optimizers.Adam(0.01),
        ),
        x,
        y,
    ),
}


def test_the_nearest_examples_are_not_asked_where_inputs_are_no_numbers_on_a_line():
    words = np.random.default_rng(0).integers(50, size=(512, 4))
    labels = np.random.default_rng(9).integers(2, size=512)
    model = compiled([keras.Input((4,)), layers.Embedding(50, 8), layers.Flatten(), dense(2)], SPARSE)
    assert "labels-unrelated" not in codes(look(model, words, labels))


@pytest.mark.filterwarnings("ignore:(?s).*You are using a softmax over axis -1")
@pytest.mark.parametrize("code", PROGRAMS)
def test_a_planted_fault_is_named_with_a_number_beside_its_limit(code):
    report = PROGRAMS[code]()
    assert code in codes(report, "note" if code == "sum-reduction" else "fault"), report
    finding = next(one for one in report.findings if one.code == code)
    assert any(letter.isdigit() for letter in finding.evidence)
    assert all(len(line) <= 100 for line in str(report).splitlines())
    assert report.cost <= 400
    json.dumps(report.to_dict())


def functional():
    """Its second layer is read twice."""
    inputs = keras.Input((8,))
    one = dense(32)(inputs)
    two = layers.Activation("relu")(layers.Add()([one, dense(32)(one)]))
    model = keras.Model(inputs, dense(2)(two))
    model.compile(optimizers.Adam(0.01), SPARSE)
    return model


def two_outputs():
    inputs = keras.Input((8,), name="a")
    body = dense(32, "relu")(inputs)
    model = keras.Model({"a": inputs}, {"one": dense(2)(body), "two": dense(1)(body)})
    model.compile(optimizers.Adam(0.01), {"one": SPARSE, "two": "mse"})
    return model


class Eager(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = mlp()

    def call(self, x):
        return self.body(x)


def eager():
    model = Eager()
    model.build((None, 8))
    model.compile(optimizers.Adam(0.01), SPARSE, run_eagerly=True)
    return model


HEALTHY = {
    "a bottleneck": lambda: look(mlp(dense(2), dense(32, "relu"), dense(2)), x, y),
    "linear layers of a model that learns": lambda: look(
        mlp(dense(32), layers.Dropout(0.1), dense(32, "relu"), dense(2)), x, y
    ),
    "many labels to ignore": lambda: look(
        mlp(loss=losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)),
        x,
        np.where(x[:, 2] > -0.4, -1, y),
    ),
    "a layer that is read twice": lambda: look(functional(), x, y),
    "weight decay": lambda: look(mlp(optimizer=optimizers.AdamW(0.01, weight_decay=0.004)), x, y),
    "a schedule that warms up": lambda: look(
        mlp(
            optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(0.0, 400, warmup_target=0.01, warmup_steps=100))
        ),
        x,
        y,
    ),
    "small inputs and a normalization": lambda: look(
        compiled([keras.Input((8,)), layers.BatchNormalization(), dense(32, "relu"), dense(2)], SPARSE), x / 255, y
    ),
    "a small rate with time": lambda: look(mlp(optimizer=optimizers.Adam(1e-4)), x, y, epochs=2000),
    "one-hot": lambda: look(mlp(dense(2, "softmax"), loss="categorical_crossentropy"), (x, ONE_HOT)),
    "smooth labels": lambda: look(
        mlp(loss=losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)), x, ONE_HOT
    ),
    "binary logits": lambda: look(mlp(dense(1), loss=losses.BinaryCrossentropy(from_logits=True)), x, y),
    "a loss in a list": lambda: look(mlp(dense(1, "sigmoid"), loss=["mse"]), x, y),
    "regression": lambda: look(mlp(dense(1), loss="huber"), x, x[:, :1]),
    "several outputs": lambda: look(two_outputs(), {"a": x}, {"one": y, "two": x[:, :1]}),
    "a loss by hand": lambda: look(mlp(loss=lambda y, output: SPARSE(y, output)), x, y),
    "an eager model": lambda: look(eager(), x, y),
    "labels to ignore": lambda: look(
        mlp(loss=losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)),
        x,
        np.where(x[:, 2] > 1, -1, y),
    ),
    "small batches": lambda: look(mlp(), x, y, batch_size=8),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_neighbour_gives_no_fault(name):
    report = HEALTHY[name]()
    assert codes(report) == [], report
    assert report.cost <= 400


def test_a_label_to_ignore_counts_for_no_best_constant():
    """It is that of the labels that count, however many others there are."""
    ignored = np.where(x[:, 2] > -0.4, -1, y)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    share = ignored[ignored >= 0].mean()
    wanted = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    assert look(mlp(loss=loss), x, ignored).best_constant == pytest.approx(wanted, rel=1e-5)


def test_an_added_term_may_outweigh_the_loss():
    class Divergence(layers.Layer):
        def call(self, x):
            self.add_loss(tf.reduce_mean(tf.reduce_sum(x**2, -1)))
            return x

    report = look(mlp(dense(32), Divergence(), dense(2)), x, y)
    (found,) = (finding for finding in report.findings if finding.code == "penalty-outweighs-loss")
    assert "KL divergence" in found.cause


class Error(layers.Layer):
    """Adds the squared error between its inputs."""

    def call(self, pair):
        self.add_loss(tf.reduce_mean(tf.square(pair[0] - pair[1])))
        return pair[1]


def autoencoder(rate, penalty=None):
    inputs = keras.Input((8,))
    hidden = layers.Dense(32, "relu", kernel_regularizer=penalty)(inputs)
    model = keras.Model(inputs, Error()([inputs, dense(8)(hidden)]))
    model.compile(optimizers.Adam(rate))
    return model


@pytest.mark.parametrize("data", [(x,), (x, x), (tf.data.Dataset.from_tensor_slices(x).batch(32),)])
def test_what_layers_add_is_the_loss_of_a_model_that_is_compiled_without_one(data):
    found = [look(autoencoder(rate), *data, epochs=20) for rate in (0.01, 10.0)]
    assert list(map(codes, found)) == [[], ["rate-too-high"]]
    first = float(tf.reduce_mean(tf.square(x[:32] - autoencoder(0.01)(x[:32]))))
    assert found[0].trials[0].losses[0] == pytest.approx(first, rel=0.3)
    penalized = autoencoder(0.01, keras.regularizers.L2(10.0))
    assert "penalty-outweighs-loss" in codes(look(penalized, *data))


def test_without_a_loss_there_is_nothing_to_diagnose():
    nothing = keras.Sequential([keras.Input((8,)), dense(2)])
    nothing.compile("adam")
    with pytest.raises(ValueError, match="compiled with an optimizer and a loss, got 'sequential"):
        look(nothing, x)


def noisy(optimizer):
    """Has all that a step changes beside weights."""
    stack = [keras.Input((8,)), dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2), dense(2)]
    return compiled(stack, SPARSE, optimizer)


def state(model):
    parts = [part.numpy() for part in (*model.variables, *model.optimizer.variables)]
    states = [layer.seed_generator.state.numpy() for layer in model.layers if hasattr(layer, "seed_generator")]
    return [*parts, *states, np.random.get_state()[1], np.array(random.getstate()[1])]


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(30.0, momentum=0.9, weight_decay=0.1),
        lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(1e-6, 100, 0.9)),
    ],
)
@pytest.mark.parametrize("trained", [False, True])
def test_the_model_is_bit_for_bit_what_it_was(make, trained):
    model = noisy(make())
    if trained:
        model.fit(x, y, epochs=1, verbose=0)
    before, built = state(model), model.optimizer.built
    report = look(model, x, y, epochs=1)
    assert report.trials
    assert same(before, state(model)) and model.optimizer.built == built
    model.fit(x, y, epochs=1, verbose=0)
    assert not same(before, state(model))


class Breaks(losses.Loss):
    """Does something in the step with this number."""

    def __init__(self, step, what):
        super().__init__()
        self.step, self.what, self.calls = step, what, []

    def call(self, y, output):
        BREAKS.append(0)
        if len(BREAKS) == self.step:
            self.what()
        return losses.sparse_categorical_crossentropy(y, output, from_logits=True)


BREAKS = []


def fail(error):
    raise error


def broken(step, what):
    BREAKS.clear()
    model = noisy(optimizers.SGD(1e-4))
    model.compile(optimizers.SGD(1e-4), Breaks(step, what), run_eagerly=True)
    return model


def frozen():
    model = mlp()
    model.trainable = False
    return model


def test_an_error_in_a_step_is_a_finding_and_all_comes_back():
    model = broken(40, lambda: fail(ValueError("shapes\ndo not fit")))
    before = state(model)
    report = look(model, x, y)
    assert codes(report) == ["error"]
    assert "ValueError: shapes do not fit" in str(report)
    assert same(before, state(model))


def refusing(targets, output):
    tf.debugging.assert_all_finite(output, "the output holds NaN or Inf")
    return losses.mean_squared_error(targets, output)


def test_a_trial_whose_output_the_loss_refuses_is_lost_and_no_error_of_the_program():
    drawn = np.random.default_rng(0).normal(size=(len(x), 1)).astype("float32")
    report = look(mlp(layers.Dense(1), optimizer=optimizers.SGD(0.05), loss=refusing), x, drawn)
    assert math.inf in [trial.loss for trial in report.trials if trial.factor > 1]
    assert "error" not in codes(report), report
    report = look(mlp(layers.Dense(1), optimizer=optimizers.SGD(30.0), loss=refusing), x, x[:, :1])
    assert report.trials[0].loss == math.inf
    assert "rate-too-high" in codes(report) and "error" not in codes(report), report


@pytest.mark.parametrize("step", [1, 40])
def test_ctrl_c_gives_what_is_known_and_all_comes_back(step):
    model = broken(step, lambda: signal.raise_signal(signal.SIGINT))
    before, handler = state(model), signal.getsignal(signal.SIGINT)
    report = look(model, x / 1000, y, epochs=1)
    assert not report.complete and "Ended by Ctrl-C" in str(report)
    assert "input-scale" in codes(report)
    assert same(before, state(model))
    assert signal.getsignal(signal.SIGINT) is handler


def test_another_thread_and_progress(capsys, monkeypatch):
    def refuse(*_):
        raise ValueError("signal only works in main thread")

    monkeypatch.setattr(snippet.signal, "signal", refuse)
    monkeypatch.setattr(snippet.time, "monotonic", iter(range(10_000)).__next__)
    assert look(mlp(), x, y, progress=True).findings == ()
    shown = capsys.readouterr().err
    assert "\n" not in shown and "of at most 400 steps, rate x 1" in shown


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 8

    def __getitem__(self, place):
        return x[place * 32 : place * 32 + 32], y[place * 32 : place * 32 + 32]


class Endless(Batches):
    @property
    def num_batches(self):
        return None


def test_datasets():
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(256).batch(32)
    report = look(mlp(), dataset)
    assert report.findings == () and report.planned == 160
    report = look(mlp(), dataset.repeat())
    assert report.findings == () and report.planned is None
    ragged = tf.data.Dataset.from_generator(
        lambda: ((np.ones((4, size)), np.ones((4, size), "int32")) for size in (3, 5, 3, 4)),
        output_signature=(tf.TensorSpec((4, None)), tf.TensorSpec((4, None), tf.int32)),
    )
    words = compiled([keras.Input((None,)), layers.Reshape((-1, 1)), dense(8, "relu"), dense(2)], SPARSE)
    assert look(words, ragged).trials
    weighted = tf.data.Dataset.from_tensor_slices((x, y, np.ones(256, "float32"))).batch(48)
    assert look(mlp(), weighted).findings == ()
    assert look(mlp(), Batches()).planned == 160
    with pytest.raises(ValueError, match="x must hold a batch at least, got an empty dataset"):
        look(mlp(), dataset.take(0))
    with pytest.raises(ValueError, match="batch_size must be left to the dataset, got 32"):
        look(mlp(), dataset, batch_size=32)


def test_a_large_batch_is_held_alone(monkeypatch):
    monkeypatch.setattr(snippet, "HELD", 3000)
    report = look(mlp(), tf.data.Dataset.from_tensor_slices((x, y)).batch(32))
    assert report.trials[0].losses[-1] < 0.01  # two batches, again and again


class Mixing(layers.Layer):
    """Gives each example the numbers of another one, in training alone, where the check of one pass does not see it."""

    def call(self, x, training=False):
        return tf.random.shuffle(x) if training else x


def test_a_model_that_mixes_its_examples_cannot_overfit_one_batch():
    x, y = draw(4000)
    stack = [keras.Input((8,)), Mixing(), dense(32, "relu"), dense(2)]
    report = look(compiled(stack, SPARSE), x, y, batch_size=64)
    assert codes(report) == ["cannot-overfit-one-batch"], report
    assert 300 < report.cost <= 400
    report = look(compiled(stack, SPARSE), tf.data.Dataset.from_tensor_slices((x, y)).batch(64))
    assert codes(report) == ["cannot-overfit-one-batch"], report


def test_what_no_rate_learns_is_a_note():
    inputs = np.random.default_rng(0).uniform(size=(4000, 1)).astype("float32")
    labels = (np.sin(150 * inputs[:, 0]) > 0).astype("int32")
    report = look(mlp(width=1, optimizer=optimizers.SGD(0.01)), inputs, labels, batch_size=4)
    assert codes(report, "note") == ["learns-nothing"] and codes(report) == [], report


def test_a_loss_that_is_lost_at_any_rate():
    calls = []

    def lost(y, output):
        calls.append(0)
        return SPARSE(y, output) * (math.nan if len(calls) > 12 else 1.0)

    model = mlp(loss=lost)
    model.compile(optimizers.Adam(0.01), lost, run_eagerly=True)
    assert codes(look(model, x, y)) == ["non-finite-training"]


def below(y, output):
    return tf.reduce_mean(output**2) - 5.0


def exploding(y, output):
    return -tf.reduce_mean(tf.exp(tf.exp(output)))


def test_a_loss_below_zero():
    assert codes(look(mlp(dense(1), loss=below, optimizer=optimizers.SGD(0.01)), x, y)) == []
    assert codes(look(mlp(dense(1), loss=below, optimizer=optimizers.SGD(30.0)), x, y)) == ["rate-too-high"]
    assert codes(look(mlp(dense(1), loss=exploding, optimizer=optimizers.SGD(1e9)), x, y)) == ["non-finite-training"]


def test_a_model_of_one_batch_size_is_looked_at_with_that():
    """A recurrent layer that keeps its state from batch to batch has a state for each example."""
    stack = [keras.Input(batch_shape=(16, 8, 1)), layers.LSTM(16, stateful=True), layers.Dense(2)]
    report = look(compiled(stack, SPARSE), x[..., None], y, batch_size=16)
    assert codes(report) == [] and report.check


class OwnStep(keras.Sequential):
    """The cross-entropy by hand, or the compiled loss; `named` is what the step calls it."""

    named, compiled_loss = "loss", False

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            output = self(x, training=True)
            value = self.compute_loss(x, y, output) if self.compiled_loss else SPARSE(y, output)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        if not hasattr(self, "mean"):
            return {self.named: value}
        self.mean.update_state(value)
        return {self.named: self.mean.result()}


def own_step(optimizer=None, loss=None, mean=False):
    model = OwnStep([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dropout(0.1), layers.Dense(2)])
    model.compiled_loss = loss is not None
    if mean:
        model.mean = keras.metrics.Mean()
    model.compile(optimizer or optimizers.Adam(0.01), loss)
    return model


@pytest.mark.parametrize("mean", [False, True], ids=["its own", "a mean"])
@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (lambda: optimizers.Adam(0.01), []),
        (lambda: optimizers.SGD(1e-4), ["steps-too-short"]),
        (lambda: optimizers.Adam(10.0), ["rate-too-high"]),
    ],
)
def test_a_model_with_a_step_of_its_own_makes_its_trials_by_it(optimizer, expected, mean):
    model = own_step(optimizer(), mean=mean)
    model.optimizer.build(model.trainable_variables)
    parts = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before, own = [part.numpy() for part in parts], model.optimizer
    report = look(model, x, y)
    assert codes(report) == expected
    # Its loss is known to the step alone.
    assert report.check is None and report.best_constant is None
    assert model.optimizer is own and all(map(np.array_equal, before, (part.numpy() for part in parts)))


def test_a_step_of_its_own_by_the_compiled_loss_is_judged_by_both():
    report = look(own_step(loss=SPARSE), x, y)
    assert codes(report) == [] and report.check and report.best_constant == pytest.approx(math.log(2), abs=0.02)
    report = look(own_step(loss=losses.SparseCategoricalCrossentropy()), x, y)
    assert "logits-without-from-logits" in codes(report)
    # A compiled loss that the step does not take says nothing of its constant.
    model = own_step(loss=losses.MeanSquaredError())
    model.compiled_loss = False
    assert look(model, x, y).best_constant is None


class OnInputs(keras.Sequential):
    def train_step(self, data):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(tf.square(self(data, training=True) - data))
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        return {"reconstruction_loss": value}


def test_a_step_of_its_own_gets_what_fit_gives_it():
    model = OnInputs([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(8)])
    model.compile(optimizers.Adam(0.01))
    assert codes(look(model, x)) == []


def test_a_step_without_a_loss_says_what_to_return():
    model = own_step()
    model.named = "accuracy"
    report = look(model, x, y)
    assert codes(report) == ["error"]
    assert report.findings[0].evidence == "ValueError: train_step must return its loss as 'loss', got ['accuracy']"


def test_weights_of_examples_that_go_the_wrong_way():
    rare = (x[:, 0] > 0.5).astype("int32")
    share = rare.mean()
    for weights, expected in (((1 / share, 1 / (1 - share)), ["reversed-weights"]), ((1.0, (1 - share) / share), [])):
        parts = x, rare, np.where(rare, weights[1], weights[0]).astype("float32")
        data = tf.data.Dataset.from_tensor_slices(parts).batch(32)
        assert codes(look(mlp(), data), "note") == expected


def test_weights_of_examples_with_one_hot_classes():
    rare = (x[:, 0] > 0.5).astype("int32")
    weights = np.where(rare, 1 / (1 - rare.mean()), 1 / rare.mean()).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, np.eye(2, dtype="float32")[rare], weights)).batch(32)
    model = mlp(loss=losses.CategoricalCrossentropy(from_logits=True))
    assert codes(look(model, data), "note") == ["reversed-weights"]


def two_optimizers():
    model = own_step()
    model.critic_optimizer = optimizers.Adam()
    return model


def adversaries(still):
    """What a generator makes, judged by a critic that another model trains."""
    critic = keras.Sequential([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(1)])
    critic.trainable = not still
    stack = [keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(8), critic]
    return compiled(stack, losses.BinaryCrossentropy(from_logits=True), optimizers.Adam(0.01))


def test_one_target_is_what_a_critic_gets():
    ones = np.ones((len(x), 1))
    assert codes(look(adversaries(True), x, ones)) == []
    assert "one-target" in codes(look(adversaries(False), x, ones))


BAD = {
    "model must be a keras.Model, got str": lambda: look("model", x, y),
    "model must have weights to train": lambda: look(keras.Sequential([dense(2)]), x, y),
    "which is frozen: set trainable": lambda: look(frozen(), x, y),
    "x and y must hold arrays": lambda: look(mlp(), x.tolist(), y),
    "model must be compiled with an optimizer and a loss": lambda: look(
        keras.Sequential([keras.Input((8,)), dense(2)]), x, y
    ),
    r"own and critic_optimizer: check_model\(model, batch, loss_fn\) looks": lambda: look(two_optimizers(), x, y),
    "batch_size must be a positive integer, got 0": lambda: look(mlp(), x, y, batch_size=0),
    "epochs must be a positive integer, got True": lambda: look(mlp(), x, y, epochs=True),
    "y must be given, or x must be a pair .* got ndarray": lambda: look(mlp(), x),
    "as many inputs as targets, got \\[256, 9\\]": lambda: look(mlp(), x, y[:9]),
    "an example at least": lambda: look(mlp(), x[:0], y[:0]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_with_its_name_and_value(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="backend must be tensorflow, got jax: set KERAS_BACKEND=tensorflow"):
        look(mlp(), x, y)


@pytest.mark.parametrize("module", ["check_model_keras", "diagnose_keras"])
def test_without_tensorflow_a_file_says_what_it_needs(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    spec = importlib.util.spec_from_file_location(module, Path(snippet.__file__).with_name(f"{module}.py"))
    with pytest.raises(
        ModuleNotFoundError, match=f"{module} needs TensorFlow: .*KERAS_BACKEND=tensorflow before keras"
    ):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_both_files_in_one_folder_serve_without_a_package(monkeypatch):
    monkeypatch.syspath_prepend(Path(snippet.__file__).parent)
    spec = importlib.util.spec_from_file_location("diagnose_keras", snippet.__file__)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.diagnose(mlp(), x, y, progress=False).findings == ()
    del sys.modules["check_model_keras"]


def test_run_by_itself_it_prints_an_example(capsys, monkeypatch):
    monkeypatch.syspath_prepend(Path(snippet.__file__).parent)
    runpy.run_path(snippet.__file__, run_name="__main__")
    del sys.modules["check_model_keras"]
    assert "FAULT steps-too-short" in capsys.readouterr().out


class Bag(keras.Model):
    """The mean of the embeddings of a ragged row, or a layer on a sparse one."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.head = kind, layers.Dense(2)
        if kind == "ragged":
            self.table = layers.Embedding(30, 8)

    def call(self, inputs):
        if self.kind == "sparse":
            return self.head(tf.sparse.to_dense(inputs))
        return self.head(tf.reduce_mean(inputs.with_flat_values(self.table(inputs.flat_values)), 1))


@pytest.mark.parametrize("kind", ["ragged", "sparse"])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_ragged_and_sparse_inputs_are_taken(kind, as_dataset):
    y = np.arange(64) % 2
    rows = [[1 + label, 3, 4 + label][: 2 + label] for label in y]
    x = tf.ragged.constant(rows) if kind == "ragged" else tf.sparse.from_dense(np.eye(8, dtype="float32")[y + 1])
    model = Bag(kind)
    model(x)
    model.compile(optimizers.Adam(0.05), SPARSE)
    data = (tf.data.Dataset.from_tensor_slices((x, y)).batch(16),) if as_dataset else (x, y)
    report = diagnose(model, *data, epochs=20, progress=False, **({} if as_dataset else {"batch_size": 16}))
    assert codes(report) == [] and report.trials[0].loss < 0.3


def test_rows_of_a_sparse_tensor_are_those_of_the_dense_one():
    dense_rows = np.where(np.random.default_rng(0).random((9, 5)) < 0.4, 1.0, 0.0)
    place = np.array([7, 0, 3])
    some = snippet._rows(place, tf.sparse.from_dense(dense_rows))
    assert np.array_equal(tf.sparse.to_dense(some), dense_rows[place])
