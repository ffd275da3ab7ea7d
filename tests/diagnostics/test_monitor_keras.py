import csv
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from snippets.diagnostics.monitor_keras import TrainingMonitor, plot_rows

pytestmark = pytest.mark.keras

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 3)).astype("float32")


def network() -> keras.Sequential:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "tanh", name="first"), layers.Dense(3, name="last")], name="net"
    )


def fit(model: keras.Model, optimizer: keras.Optimizer, *callbacks, batches: int = 3, **settings) -> None:
    """Every batch is the same, so that an epoch of `batches` can be followed by hand."""
    model.compile(optimizer, "mse", **settings)
    model.fit(*repeated(batches), batch_size=8, shuffle=False, verbose=0, callbacks=list(callbacks))


def repeated(batches: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(X, (batches, 1)), np.tile(Y, (batches, 1))


def gradients(model: keras.Model) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(X) - Y))
    return [np.asarray(tf.convert_to_tensor(part)) for part in tape.gradient(loss, model.trainable_variables)]


def norm(*arrays: np.ndarray) -> float:
    return math.sqrt(sum(float(np.sum(np.square(array.astype("float64")))) for array in arrays))


@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}], ids=str)
def test_norms_and_ratios_are_those_of_the_step(settings):
    model, twin = network(), network()
    with TrainingMonitor(every=2) as monitor:
        fit(model, keras.optimizers.AdamW(0.1, weight_decay=0.5), monitor, **settings)
    twin.compile(keras.optimizers.AdamW(0.1, weight_decay=0.5), "mse", jit_compile=False)
    assert [row["step"] for row in monitor.rows] == [0, 2]
    for step in range(3):
        before, slopes = twin.get_weights(), gradients(twin)
        twin.train_on_batch(X, Y)
        changes = [new - old for new, old in zip(twin.get_weights(), before, strict=True)]
        if step % 2 == 0:
            row = monitor.rows[step // 2]
            assert row["gradient_norm"] == pytest.approx(norm(*slopes), rel=1e-5)
            assert row["gradient_norm/net/last"] == pytest.approx(norm(*slopes[2:]), rel=1e-5)
            assert row["update_ratio"] == pytest.approx(norm(*changes) / norm(*before), rel=1e-4)
            assert row["update_ratio/net/last"] == pytest.approx(norm(*changes[2:]) / norm(*before[2:]), rel=1e-4)
    assert monitor.layers == ["net/first", "net/last"]
    assert monitor.non_finite is None and math.isnan(monitor.clipped_fraction)


def test_the_training_is_the_same_to_the_bit_and_nothing_stays_behind():
    alone, watched = network(), network()
    fit(alone, keras.optimizers.SGD(0.1, momentum=0.9), jit_compile=False)
    fit(watched, keras.optimizers.SGD(0.1, momentum=0.9), TrainingMonitor(every=1), jit_compile=False)
    assert all(np.array_equal(*pair) for pair in zip(alone.get_weights(), watched.get_weights(), strict=True))
    assert "apply" not in vars(watched.optimizer) and watched.train_function is None


def test_an_error_in_fit_gives_the_optimizer_back():
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyError

    model = network()
    with pytest.raises(KeyError), TrainingMonitor() as monitor:
        fit(model, keras.optimizers.SGD(0.1), monitor, Fails(), jit_compile=False)
    monitor.close()
    assert "apply" not in vars(model.optimizer) and len(monitor.rows) == 1


def test_several_fits_are_one_record():
    model, monitor = network(), TrainingMonitor(every=2)
    fit(model, keras.optimizers.SGD(0.1), monitor, jit_compile=False)
    model.fit(*repeated(3), batch_size=8, verbose=0, callbacks=[monitor])
    assert [row["step"] for row in monitor.rows] == [0, 2, 4]


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm", "clipvalue"])
@pytest.mark.parametrize("limit", [1e-3, 1e3])
def test_clipping_is_seen_whatever_its_rule_and_norms_are_those_before(option, limit):
    model, monitor = network(), TrainingMonitor(every=1)
    wanted = norm(*gradients(model))
    fit(model, keras.optimizers.SGD(1e-4, **{option: limit}), monitor, jit_compile=False)
    assert [row["clipped"] for row in monitor.rows] == [limit < 1] * 3
    assert monitor.clipped_fraction == (limit < 1)
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(wanted, rel=1e-5)


def test_the_first_gradient_that_is_not_finite_is_named_with_its_step():
    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                self.model.get_layer("last").kernel.assign(np.full((8, 3), 1e30))

    model, monitor = network(), TrainingMonitor(every=1)
    with pytest.warns(RuntimeWarning, match=r"step 2: the gradient of \['net/first'\] is not finite"):
        fit(model, keras.optimizers.SGD(0.1), monitor, Poison(), batches=4, jit_compile=False)
    # that of the last layer is 1e30: finite, though its square is not
    assert monitor.non_finite == (2, ["net/first"])


def test_accumulated_gradients_are_seen_once_and_whole():
    model, monitor = network(), TrainingMonitor(every=1)
    wanted = norm(*gradients(model))
    optimizer = keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2, global_clipnorm=1e-3)
    fit(model, optimizer, monitor, batches=4, jit_compile=False)
    assert [row["step"] for row in monitor.rows] == [0, 1]
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(wanted, rel=1e-5)
    assert monitor.clipped_fraction == 1.0
    assert monitor.rows[0]["update_ratio"] == pytest.approx(1e-6 / norm(*network().get_weights()), rel=1e-2)


@pytest.mark.parametrize("dynamic", [True, False])
def test_scaled_losses_give_unscaled_gradients(dynamic):
    model, monitor = network(), TrainingMonitor(every=1)
    wanted = norm(*gradients(model))
    optimizer = keras.optimizers.SGD(1e-3, loss_scale_factor=None if dynamic else 128.0)
    if dynamic:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    fit(model, optimizer, monitor, jit_compile=False)
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(wanted, rel=1e-4)


def test_a_step_that_the_loss_scale_skips_is_not_seen():
    model, monitor = network(), TrainingMonitor(every=1)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), initial_scale=2.0**127)
    model.compile(optimizer, "mse", jit_compile=False)
    model.fit(np.tile(X, (12, 1)), np.full((96, 3), 1e3), batch_size=8, verbose=0, callbacks=[monitor])
    skipped = 127 - round(math.log2(float(optimizer.dynamic_scale)))
    assert 0 < skipped < 12 and [row["step"] for row in monitor.rows] == list(range(12 - skipped))
    assert monitor.non_finite is None


def test_several_steps_per_call_lose_no_look():
    model, monitor = network(), TrainingMonitor(every=3)
    fit(model, keras.optimizers.SGD(0.1), monitor, batches=12, jit_compile=False, steps_per_execution=2)
    assert [row["step"] for row in monitor.rows] == [0, 3, 6, 9]


def test_shared_frozen_unused_and_sparse_variables():
    keras.utils.set_random_seed(0)
    words = keras.Input((3,), dtype="int32")
    shared, frozen = layers.Dense(4, name="shared"), layers.Dense(4, name="frozen", trainable=False)
    hidden = layers.Embedding(6, 4, name="table")(words)
    outputs = layers.Dense(1, name="out")(frozen(shared(shared(hidden))))
    model = keras.Model(words, outputs)
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    data, targets = np.array([[1, 1, 3]]), np.ones((1, 3, 1), "float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(data) - targets))
    wanted = [norm(np.asarray(tf.convert_to_tensor(part))) for part in tape.gradient(loss, model.trainable_variables)]
    monitor = TrainingMonitor()
    model.fit(data, targets, verbose=0, callbacks=[monitor])
    assert monitor.layers == ["table", "shared", "out"]
    assert monitor.rows[0]["gradient_norm/table"] == pytest.approx(wanted[0], rel=1e-5)
    assert monitor.rows[0]["gradient_norm/shared"] == pytest.approx(math.hypot(*wanted[1:3]), rel=1e-5)


def test_a_variable_without_a_gradient_has_zero():
    class Partly(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = layers.Dense(3), layers.Dense(3)

        def call(self, inputs):
            self.unused(inputs)
            return self.used(inputs)

    model, monitor = Partly(), TrainingMonitor()
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        fit(model, keras.optimizers.SGD(0.1), monitor, jit_compile=False)
    used, unused = monitor.layers
    assert monitor.rows[0][f"gradient_norm/{unused}"] == 0 < monitor.rows[0][f"gradient_norm/{used}"]


def test_the_csv_has_one_line_per_watched_step(tmp_path):
    monitor = TrainingMonitor(every=2)
    fit(network(), keras.optimizers.SGD(0.1), monitor, jit_compile=False)
    monitor.to_csv(tmp_path / "training.csv")
    with open(tmp_path / "training.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["0", "2"] and lines[0]["clipped"] == ""
    assert float(lines[1]["update_ratio/net/last"]) == monitor.rows[1]["update_ratio/net/last"]


def test_a_writer_of_tensorboard_gets_every_number(tmp_path, monkeypatch):
    """`tf.summary.scalar` itself needs TensorBoard, which is not needed here."""
    found = {}

    def scalar(tag: str, value: float) -> None:
        assert tf.summary.should_record_summaries()
        found[tag, int(tf.summary.experimental.get_step())] = value

    monkeypatch.setattr(tf.summary, "scalar", scalar)
    monitor = TrainingMonitor(every=2, writer=tf.summary.create_file_writer(str(tmp_path)))
    fit(network(), keras.optimizers.SGD(0.1), monitor, jit_compile=False)
    assert found == {(tag, row["step"]): value for row in monitor.rows for tag, value in row.items() if tag != "step"}
    assert ("update_ratio/net/last", 2) in found


def test_the_plot_shows_every_layer_and_the_whole():
    monitor = TrainingMonitor(every=2)
    fit(network(), keras.optimizers.SGD(0.1), monitor, jit_compile=False)
    above, below = monitor.plot().axes
    assert above.get_yscale() == below.get_yscale() == "log"
    assert above.get_shared_x_axes().joined(above, below)
    assert len(above.lines) == len(below.lines) == 3
    assert list(below.lines[-1].get_ydata()) == [row["update_ratio"] for row in monitor.rows]
    assert [text.get_text() for text in above.get_legend().get_texts()] == [
        "layer net/first",
        "layer net/last",
        "all layers",
    ]


def test_a_model_that_fit_builds_is_watched_too():
    model, monitor = keras.Sequential([layers.Dense(3)]), TrainingMonitor(every=1)
    fit(model, keras.optimizers.Adam(0.1), monitor, jit_compile=False)
    assert [row["step"] for row in monitor.rows] == [0, 1, 2] and len(monitor.layers) == 1


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(ValueError, match="every must be an integer from 1 on, got 0"):
        TrainingMonitor(every=0)
    with pytest.raises(ValueError, match="nothing was recorded"):
        TrainingMonitor().plot()
    model = network()
    model.compile("sgd", "mse")
    first, second = TrainingMonitor(), TrainingMonitor()
    first.set_model(model), second.set_model(model)
    with first:
        first.on_train_begin()
        with pytest.raises(ValueError, match="already watched"):
            second.on_train_begin()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="needs the TensorFlow backend"):
        second.on_train_begin()


def noted(policy: str = "float32", **settings) -> list[str]:
    """The notes on eight steps, in which every batch is the same."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(32, "relu", dtype=policy), layers.Dense(3, dtype=policy, name="last")]
    )
    with TrainingMonitor(every=1) as monitor:
        fit(model, keras.optimizers.AdamW(1e-3, **{"weight_decay": 0.0} | settings), monitor, batches=8)
    return monitor.notes


@pytest.mark.parametrize("settings", [{}, {"policy": "mixed_float16"}, {"policy": "float16", "epsilon": 1e-2}], ids=str)
def test_there_is_nothing_to_note_of_a_usual_training(settings):
    assert noted(**settings) == []


@pytest.mark.filterwarnings("ignore:step 1. the gradient:RuntimeWarning")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"policy": "float16", "epsilon": 1e-12}, r"step 0: the gradient is finite and the update of \[.*\] is not"),
        ({"weight_decay": 200.0}, "the weights only shrink, to 0.2"),
    ],
)
def test_what_is_wrong_with_a_training_is_noted(settings, words):
    (note,) = noted(**settings)
    assert re.match(words, note)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_a_norm_is_right_where_its_squares_do_not_fit(scale):
    model, monitor = network(), TrainingMonitor(every=1)
    slopes = gradients(model)
    model.compile(keras.optimizers.SGD(0.0), lambda y, z: scale * keras.ops.mean(keras.ops.square(y - z)))
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[monitor])
    assert monitor.rows[0]["gradient_norm"] == pytest.approx(scale * norm(*slopes), rel=1e-4)
    assert monitor.non_finite is None


def test_wrong_arguments_are_named():
    for every in (math.nan, 1.5, "1", None):
        with pytest.raises(ValueError, match="every must be an integer from 1 on, got"):
            TrainingMonitor(every=every)
    with pytest.raises(ValueError, match="writer must be a summary writer, got 3"):
        TrainingMonitor(writer=3)
    with pytest.raises(ValueError, match="rows must be those of a monitor"):
        plot_rows(TrainingMonitor())
