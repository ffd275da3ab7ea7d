"""The column of Keras in the chapter's table."""

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from tests.batch_normalization.chapter import TEXT, differences

pytestmark = pytest.mark.keras


def batch(rows: int = 8) -> np.ndarray:
    return (3.0 + 2.0 * np.random.default_rng(0).standard_normal((rows, 4))).astype(np.float32)


def column() -> dict[str, str]:
    return {name: keras_cell for name, (_, keras_cell) in differences().items()}


def test_momentum():
    layer = BatchNormalization(momentum=0.25)
    layer(batch(), training=True)
    new = np.allclose(layer.moving_mean, 0.25 * batch().mean(0))
    old = np.allclose(layer.moving_mean, 0.75 * batch().mean(0))
    assert new != old
    assert column()["`momentum` is the weight of"] == ("the new value" if new else "the old value")
    assert column()["`momentum` by default"] == str(BatchNormalization().momentum)


def test_epsilon():
    assert column()["ε by default"] == str(BatchNormalization().epsilon)


def test_divisors():
    layer = BatchNormalization(momentum=0.0, epsilon=1e-12)
    y = layer(batch(), training=True)
    names = {0: "N", 1: "N − 1"}
    standardized = {ddof: (batch() - batch().mean(0)) / batch().std(0, ddof=ddof) for ddof in names}
    used = [ddof for ddof in names if np.allclose(y, standardized[ddof], atol=1e-5)]
    stored = [ddof for ddof in names if np.allclose(layer.moving_variance, batch().var(0, ddof=ddof), rtol=1e-4)]
    assert [column()["variance in training, divisor"]] == [names[ddof] for ddof in used]
    assert [column()["variance stored for test time, divisor"]] == [names[ddof] for ddof in stored]


def test_divisor_of_images():
    """TensorFlow's fused kernel once stored another variance for images."""
    images = np.random.default_rng(0).standard_normal((2, 2, 2, 4)).astype(np.float32)
    layer = BatchNormalization(momentum=0.0)
    layer(images, training=True)
    np.testing.assert_allclose(layer.moving_variance, images.var((0, 1, 2)), rtol=1e-4)


def test_axis():
    images = np.random.default_rng(0).standard_normal((5, 6, 7, 4)).astype(np.float32)
    layer = BatchNormalization()
    means = keras.ops.mean(layer(images, training=True), (0, 1, 2))
    np.testing.assert_allclose(means, np.zeros(4), atol=1e-6)
    assert column()["axis of the channels"] == str(layer.axis).replace("-", "−")


def test_plain_call():
    layer = BatchNormalization()
    running = np.allclose(layer(batch()), batch() / np.sqrt(1.001), rtol=1e-5)
    assert column()["statistics in a plain call `layer(x)`"] == ("running" if running else "of the batch")


def test_switched_off():
    layer = BatchNormalization(trainable=False)
    y = layer(batch(), training=True)
    frozen = not layer.moving_mean.numpy().any() and np.allclose(y, batch() / np.sqrt(1.001), rtol=1e-5)
    name = "parameters switched off, in training"
    assert column()[name] == ("statistics frozen and used" if frozen else "statistics still move")


def test_one_value_per_channel():
    layer = BatchNormalization(beta_initializer=keras.initializers.Constant(0.3))
    np.testing.assert_allclose(layer(batch(1), training=True), np.full((1, 4), 0.3), rtol=1e-4)
    assert column()["one value per channel in training"] == "returns β"


def test_momentum_none():
    with pytest.raises(TypeError, match="NoneType"):
        BatchNormalization(momentum=None)
    assert column()["`momentum=None`"] == "error"


def test_names():
    layer = BatchNormalization()
    layer.build((None, 4))
    names = ", ".join(f"`{weight.name}`" for weight in layer.weights)
    assert f"and Keras {names}." in TEXT
