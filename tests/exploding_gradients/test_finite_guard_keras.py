import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from snippets.exploding_gradients.finite_guard_keras import FiniteGuard, first_non_finite_layer

pytestmark = pytest.mark.keras


def network() -> keras.Sequential:
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([layers.Dense(4, name="inner"), layers.BatchNormalization(), layers.Dropout(0.5)])
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, "relu", name="first"), inner, layers.Dense(2, name="last")]
    )


def test_a_healthy_model_has_no_such_layer_and_stays_as_it_was():
    model, x = network(), np.ones((3, 4), "float32")
    weights = model.get_weights()
    assert first_non_finite_layer(model, x, training=True) is None
    assert all((before == after).all() for before, after in zip(weights, model.get_weights(), strict=True))
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())


def test_the_layer_that_overflows_is_named():
    model = network()
    model.get_layer("first").kernel.assign(np.full((4, 4), 1.0))
    model.layers[1].get_layer("inner").kernel.assign(np.full((4, 4), 3e38))
    assert first_non_finite_layer(model, np.full((3, 4), 100.0, "float32")).endswith("/inner")
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())


def test_a_batch_with_nan_and_a_model_without_shapes_are_refused():
    with pytest.raises(ValueError, match="inputs must not hold NaN"):
        first_non_finite_layer(network(), np.full((1, 4), np.nan, "float32"))
    with pytest.raises(ValueError, match="model must be built first"):
        first_non_finite_layer(keras.Sequential([layers.Dense(1)]), np.ones((1, 4)))


def fit(model: keras.Model, learning_rate: float, labels: float = 0.0, every: int = 1) -> None:
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    model.fit(x, np.full((12, 2), labels, "float32"), batch_size=4, epochs=2, verbose=0, shuffle=False,
              callbacks=[FiniteGuard(every)])  # fmt: skip


def test_training_that_works_is_left_alone():
    fit(network(), 1e-3)


def test_the_first_variable_that_is_lost_is_named_with_batch_and_epoch():
    with pytest.raises(
        FloatingPointError, match=r"after batch \d of epoch 1: \d+ Inf and \d+ NaN among \d+ values in '.*'"
    ):
        fit(network(), 1e30)


def test_a_lost_loss_is_named_while_the_variables_are_finite():
    with pytest.raises(
        FloatingPointError, match="after batch 2 of epoch 2: .* in the loss, while all variables are finite"
    ):
        guard = FiniteGuard()
        guard.set_model(network())
        guard.on_epoch_begin(1)
        guard.on_train_batch_end(0, {"loss": 1.0})
        guard.on_train_batch_end(1, {"loss": np.nan})


def test_variables_are_looked_at_every_so_many_batches():
    guard = FiniteGuard(every=2)
    guard.set_model(model := network())
    model.get_layer("last").bias.assign([np.inf, 0.0])
    guard.due = 2
    guard.on_train_batch_end(1)
    with pytest.raises(
        FloatingPointError, match="after batch 3 of epoch 1: 1 Inf and 0 NaN among 2 values in '.*last/bias'"
    ):
        guard.on_train_batch_end(2)


def test_integers_are_never_lost():
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(5, 2), layers.Flatten()])
    assert first_non_finite_layer(model, np.array([[0, 1, 2]], "int32")) is None


def test_every_must_count():
    with pytest.raises(ValueError, match="every must be an integer from 1 on, got 0"):
        FiniteGuard(0)


def test_several_batches_per_call_are_looked_at_too():
    """Keras calls for batches 10, 20, ...: no multiple of ten from zero is among them."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=10)
    looks, guard = [], FiniteGuard(every=10)
    guard.set_model(model)
    model.fit(np.ones((40, 1)), np.ones((40, 1)), batch_size=1, verbose=0, callbacks=[
        guard, keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: looks.append(guard.due))
    ])  # fmt: skip
    assert looks == [19, 29, 39, 49]
    model.layers[0].bias.assign([np.nan])
    with pytest.raises(FloatingPointError, match="after batch 10 of epoch 1"):
        model.fit(np.ones((40, 1)), np.ones((40, 1)), batch_size=1, verbose=0, callbacks=[FiniteGuard(every=10)])


def test_a_complex_output_is_looked_into():
    class Transformed(layers.Layer):
        def call(self, x):
            return tf.signal.fft(tf.cast(x, tf.complex64) / 0.0)

    model = keras.Sequential([keras.Input((4,)), Transformed(name="fourier"), layers.Lambda(tf.math.real)])
    assert first_non_finite_layer(model, np.ones((3, 4), "float32")).endswith("fourier")
