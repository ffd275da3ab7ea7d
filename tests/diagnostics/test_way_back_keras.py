"""The way back, in Keras: where it ends, and where its first NaN or Inf comes from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, ops

from snippets.diagnostics.check_model_keras import check_model

pytestmark = pytest.mark.keras
NOISE, ONES = np.random.default_rng(0).normal(size=(32, 8)).astype("float32"), np.ones((32, 1), "float32")
REAL = losses.BinaryCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def generator() -> keras.Model:
    return keras.Sequential([keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(16)])


class Adversaries(keras.Model):
    """A generator that trains through its critic, with `cut` between them."""

    def __init__(self, cut) -> None:
        super().__init__()
        self.cut, self.generator = cut, generator()
        self.critic = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu"), layers.Dense(1)])

    def call(self, noise):
        return self.critic(self.cut(self.generator(noise)))


def adversaries(cut=lambda made: made) -> keras.Model:
    model = Adversaries(cut)
    model(NOISE)
    return model


def found(*checked: object) -> dict[str, str]:
    return {finding.code: finding.evidence for finding in check_model(*checked).findings}


@pytest.mark.parametrize(
    ("cut", "kind"), [(ops.stop_gradient, "StopGradient"), (ops.round, "Round"), (ops.floor, "Floor")]
)
def test_the_operation_that_ends_the_way_back_is_named(cut, kind):
    evidence = found(adversaries(cut), (NOISE, ONES), REAL)["no-gradient"]
    assert evidence.startswith(f"no path from the loss to their weights; it ends at {kind} in adversaries")
    assert evidence.endswith("of shape (32, 16)")


def test_a_way_that_ends_outside_of_tensorflow_is_named_without_a_place():
    evidence = found(adversaries(lambda made: tf.constant(made.numpy())), (NOISE, ONES), REAL)["no-gradient"]
    assert evidence == "no path from the loss to their weights"


def test_a_generator_that_its_critic_trains_is_healthy():
    assert not found(adversaries(), (NOISE, ONES), REAL)


judge = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu"), layers.Dense(1)])


def judged(wanted, made):
    return REAL(wanted, judge(made))


def test_a_network_that_the_loss_names_is_the_loss_s_own():
    """A program keeps its critic beside its generator, as a global."""
    before = judge.get_weights()
    assert not found(generator(), (NOISE, ONES), lambda wanted, made: REAL(wanted, judge(made)))
    assert not found(generator(), (NOISE, ONES), lambda wanted, made: judged(wanted, made))
    assert all(map(np.array_equal, before, judge.get_weights()))


def test_a_loss_without_any_gradient_says_where_it_ends():
    with pytest.raises(
        ValueError, match=r"stop no gradient on the way \(it ends at StopGradient in the loss, of shape"
    ):
        check_model(generator(), (NOISE, ONES), lambda wanted, made: REAL(wanted, judge(ops.stop_gradient(made))))
    with pytest.raises(ValueError, match=r"stop no gradient on the way \(it ends at Greater in the loss, of shape"):
        check_model(generator(), (NOISE, ONES), lambda _, made: tf.reduce_mean(tf.where(made > 0.5, 1.0, 0.0)))
    with pytest.raises(ValueError, match="stop no gradient on the way$"):
        check_model(generator(), (NOISE, ONES), lambda wanted, made: tf.reduce_mean(tf.constant(made.numpy())))


def rooted(epsilon):
    return lambda _, output: tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(0 * output), 1) + epsilon))


@pytest.mark.parametrize(
    "made", [lambda loss: loss, tf.function, lambda loss: tf.function(loss, jit_compile=True)], ids=["", "graph", "jit"]
)
def test_the_first_operation_whose_slope_is_no_number_is_named(made):
    """Within a function that TensorFlow compiles, too."""
    assert "non-finite-gradient" not in found(generator(), (NOISE, ONES), made(rooted(1e-6)))
    eager = tf.config.functions_run_eagerly()
    evidence = found(generator(), (NOISE, ONES), made(rooted(0.0)))["non-finite-gradient"]
    assert "; born in SqrtGrad, float32, inputs 0 to " in evidence
    assert evidence.endswith("on the way back through Sqrt of the loss")
    assert tf.config.functions_run_eagerly() == eager


def test_a_loss_that_is_no_number_within_a_compiled_function_is_followed_into_it():
    loss = tf.function(lambda _, output: tf.reduce_mean(tf.math.log(0 * output)), jit_compile=True)
    assert "born in Log, float32, inputs" in found(generator(), (NOISE, ONES), loss)["non-finite-loss"]


class Length(layers.Layer):
    def call(self, x):
        return x + ops.sqrt(ops.sum(ops.square(0 * x), -1, keepdims=True))


def test_the_layer_is_named():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8), Length(name="length"), layers.Dense(1)])
    evidence = found(model, (NOISE, ONES), losses.MeanSquaredError())["non-finite-gradient"]
    assert "on the way back through Sqrt of sequential" in evidence and evidence.endswith("/length")


class Owner(keras.Model):
    """It computes its loss itself, and takes no mode."""

    def __init__(self, epsilon) -> None:
        super().__init__()
        self.dense, self.epsilon = layers.Dense(4), epsilon

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return rooted(self.epsilon)(y, y_pred)


def test_a_loss_that_the_model_computes_is_the_one():
    for epsilon in (0.0, 1e-6):
        model = Owner(epsilon)
        model(NOISE)
        model.compile("adam", jit_compile=True)
        codes = found(model, (NOISE, ONES))
        assert ("non-finite-gradient" in codes) == (epsilon == 0)


def test_a_table_that_gets_no_number_is_seen():
    """Its gradient holds the rows that were read alone."""
    model = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 8), layers.Flatten()])
    codes = found(model, (np.arange(32).reshape(8, 4) % 9, ONES[:8]), rooted(0.0))
    assert "born in SqrtGrad" in codes["non-finite-gradient"]
