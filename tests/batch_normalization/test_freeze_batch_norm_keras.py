import keras
import numpy as np
import pytest
from keras import layers

from snippets.batch_normalization.freeze_batch_norm_keras import freeze_batch_norm_

pytestmark = pytest.mark.keras


def model() -> keras.Sequential:
    keras.utils.set_random_seed(0)
    block = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    return keras.Sequential([keras.Input((4,)), block, layers.Dense(2), layers.BatchNormalization()])


def batch() -> np.ndarray:
    return 5.0 + np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)


def fitted(net: keras.Model) -> keras.Model:
    net.compile("sgd", "mse")
    net.fit(batch(), np.zeros((8, 2)), epochs=2, verbose=0)
    return net


def test_frozen_norms_change_nothing_while_the_rest_learns():
    net = model()
    norms = list(freeze_batch_norm_(net).reached.values())
    assert [norm.moving_mean.shape for norm in norms] == [(3,), (2,)]
    before = [norm.get_weights() for norm in norms]
    kernel = net.layers[1].get_weights()[0]
    fitted(net)
    for norm, old in zip(norms, before, strict=True):
        for own, was in zip(norm.get_weights(), old, strict=True):
            np.testing.assert_array_equal(own, was)
    assert (net.layers[1].get_weights()[0] != kernel).all()


def test_they_use_their_own_statistics_in_training():
    net = model()
    freeze_batch_norm_(net)
    np.testing.assert_allclose(net(batch(), training=True), net(batch(), training=False))


def test_without_it_they_move():
    """Or the test above would show nothing."""
    net = fitted(model())
    assert (net.layers[2].moving_mean.numpy() != 0).all()


def test_a_compiled_model_goes_on_as_it_was():
    """The limit that the docstring names: if that changes, it is to be corrected."""
    net = fitted(model())
    freeze_batch_norm_(net)
    before = net.layers[2].moving_mean.numpy()
    net.fit(batch(), np.zeros((8, 2)), epochs=1, verbose=0)
    assert (net.layers[2].moving_mean.numpy() != before).all()
    before = net.layers[2].moving_mean.numpy()
    fitted(net)
    np.testing.assert_array_equal(net.layers[2].moving_mean, before)


class Other(layers.Layer):
    """Another that keeps moving statistics."""

    def build(self, shape):
        self.moving_mean = self.add_weight(shape=shape[-1:], trainable=False)

    def call(self, x):
        return x - self.moving_mean


def test_it_names_what_it_froze_and_what_else_keeps_statistics():
    twins = [layers.TimeDistributed(layers.BatchNormalization(name="same")) for _ in range(2)]
    net = keras.Sequential([keras.Input((3, 4)), *twins, Other(name="other")])
    reached, left = freeze_batch_norm_(net)
    assert len(reached) == 2 and not any(norm.trainable for norm in reached.values())
    assert left == {net.layers[2].path: "keeps moving statistics, but is a Other"}
    unbuilt = [layers.TimeDistributed(layers.BatchNormalization(name="same")) for _ in range(2)]
    assert list(freeze_batch_norm_(keras.Sequential(unbuilt)).reached) == ["same", "same #1"]


class Block(layers.Layer):
    """A layer of one's own that holds a norm."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()

    def call(self, x, training=None):
        return self.norm(x, training=training)


def test_those_inside_of_other_layers_are_found():
    timed = layers.TimeDistributed(layers.BatchNormalization())
    model = keras.Sequential([keras.Input((3, 4)), Block(), timed, keras.Sequential([Block()])])
    model(np.ones((2, 3, 4)))
    assert len(freeze_batch_norm_(model).reached) == 3
    before = model.get_weights()
    model(np.ones((2, 3, 4)), training=True)
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))
