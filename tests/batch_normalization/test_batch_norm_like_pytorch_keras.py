import keras
import numpy as np
import pytest
import tensorflow as tf

from snippets.batch_normalization import batch_norm_numpy as oracle
from snippets.batch_normalization.batch_norm_like_pytorch_keras import BatchNormLikePyTorch
from tests.batch_normalization.test_batch_norm_numpy import example

pytestmark = pytest.mark.keras

SHAPES = [((7, 3), -1), ((5, 4, 3), -1), ((4, 2, 5, 3), -1), ((5, 3, 4), 1), ((7, 3), 1)]

every_shape = pytest.mark.parametrize(("shape", "axis"), SHAPES)


def loaded(shape, **settings):
    """A layer and the arrays it holds."""
    arrays = example(shape, dtype=np.float32)
    layer = BatchNormLikePyTorch(**settings)
    layer.build(shape)
    layer.load_pytorch(*arrays[1:])
    return layer, arrays


@every_shape
def test_steps_of_training_are_those_of_pytorch(shape, axis):
    """The oracle in PyTorch's convention: momentum 0.1 for the new value, divisor N - 1, eps 1e-5."""
    layer, (x, gamma, beta, mean, var) = loaded(shape, axis=axis)
    for step in range(3):
        x = example(shape, seed=step, dtype=np.float32)[0]
        y, mean, var = oracle.batch_norm(x, gamma, beta, mean, var, True, axis=axis)
        np.testing.assert_allclose(layer(x, training=True), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, var, rtol=1e-5)


@every_shape
def test_test_time_is_that_of_pytorch_and_changes_nothing(shape, axis):
    layer, (x, gamma, beta, mean, var) = loaded(shape, axis=axis, eps=0.1)
    y, _, _ = oracle.batch_norm(x, gamma, beta, mean, var, False, eps=0.1, axis=axis)
    np.testing.assert_allclose(layer(x), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.moving_variance, var)


def test_momentum_and_eps_have_the_meaning_of_pytorch():
    layer = BatchNormLikePyTorch(momentum=0.25, eps=0.5)
    assert (layer.momentum, layer.epsilon) == (0.75, 0.5)
    default = BatchNormLikePyTorch()
    assert (default.momentum, default.epsilon) == (0.9, 1e-5)


def test_frozen_it_neither_uses_nor_keeps_the_statistics_of_the_batch():
    layer, (x, gamma, beta, mean, var) = loaded((7, 3))
    layer.trainable = False
    y, _, _ = oracle.batch_norm(x, gamma, beta, mean, var, False)
    np.testing.assert_allclose(layer(x, training=True), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.moving_variance, var)


def test_fit_moves_the_statistics_as_pytorch_does():
    """In a compiled graph, one epoch of one batch."""
    x = example((8, 3), dtype=np.float32)[0]
    model = keras.Sequential([keras.Input((3,)), BatchNormLikePyTorch(momentum=0.5)])
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=8, epochs=1, verbose=0)
    layer = model.layers[0]
    np.testing.assert_allclose(layer.moving_mean, 0.5 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.5 + 0.5 * x.var(0, ddof=1), rtol=1e-5)


def test_it_is_rebuilt_from_its_config():
    layer = BatchNormLikePyTorch(momentum=0.25, eps=0.5, axis=1, scale=False)
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(rebuilt) is BatchNormLikePyTorch
    assert (rebuilt.momentum, rebuilt.epsilon, rebuilt.axis, rebuilt.scale) == (0.75, 0.5, 1, False)


@pytest.mark.parametrize(("shape", "axis"), [((1, 3), -1), ((1, 1, 3), -1), ((1, 3, 1), 1)])
def test_one_value_per_channel_has_no_deviation(shape, axis):
    layer, (x, *_) = loaded(shape, axis=axis)
    with pytest.raises(ValueError, match=r"x must .* at least 2 values .*\(1, "):
        layer(x, training=True)
    assert np.isfinite(layer(x)).all()


def test_a_last_batch_of_one_leaves_the_statistics():
    """33 rows in batches of 32: compiled, the size of the last one has no error to raise."""
    x = example((33, 3), dtype=np.float32)[0]
    model = keras.Sequential([keras.Input((3,)), BatchNormLikePyTorch(momentum=0.5)])
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=32, epochs=1, verbose=0, shuffle=False)
    np.testing.assert_allclose(model.layers[0].moving_variance, 0.5 + 0.5 * x[:32].var(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(model.layers[0].moving_mean, 0.5 * x[:32].mean(0), rtol=1e-5)
    assert np.isfinite(model.predict(x, verbose=0)).all()


def test_what_a_mask_hides_does_not_count():
    layer, (x, gamma, beta, mean, var) = loaded((4, 5, 3))
    mask = np.arange(20).reshape(4, 5) % 3 > 0
    _, mean, var = oracle.batch_norm(x[mask], gamma, beta, mean, var, True)
    x[~mask] = 100.0
    layer(x, training=True, mask=mask)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, var, rtol=1e-4)
    layer(x, training=True, mask=np.arange(20).reshape(4, 5) == 3)
    np.testing.assert_allclose(layer.moving_variance, var, rtol=1e-4)


@pytest.mark.parametrize("option", ["synchronized", "renorm"])
def test_what_pytorch_does_not_do_is_refused(option):
    with pytest.raises(ValueError, match=f"{option} must be False, got True"):
        BatchNormLikePyTorch(**{option: True})


@pytest.mark.parametrize("options", [{"jit_compile": True}, {"jit_compile": False, "steps_per_execution": 2}])
def test_a_compiled_step_with_a_last_batch_of_one_leaves_finite_statistics(options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), BatchNormLikePyTorch(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", **options)
    x = np.random.default_rng(0).standard_normal((33, 2)).astype("float32")
    model.fit(x, x[:, :1], batch_size=32, shuffle=False, verbose=0)
    mean, variance = (np.array(value) for value in model.layers[1].get_weights()[2:])
    assert np.isfinite(variance).all() and (variance != 1.0).all() and (mean != 0.0).all()
    assert np.isfinite(model.predict(x, verbose=0)).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, saving under NumPy 2
def test_it_is_saved_and_exported_with_its_statistics(tmp_path):
    layer = BatchNormLikePyTorch(momentum=0.5)
    model = keras.Sequential([keras.Input((3,)), layer])
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")
    layer(x, training=True)
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "model")
    for run in (keras.models.load_model(tmp_path / "model.keras"), exported.serve):
        np.testing.assert_allclose(run(tf.constant(x)), model(x), rtol=1e-5, atol=1e-6)


def test_a_masking_layer_hides_positions_in_fit():
    x = np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]], "float32")
    norm = BatchNormLikePyTorch(momentum=1.0)
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.Masking(9.0), norm])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, x, verbose=0)
    np.testing.assert_allclose(norm.moving_mean, [2.0], rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, [1.0], rtol=1e-5)


@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_is_not_there_is_refused(axis):
    with pytest.raises(ValueError, match=rf"axis must be one of shape \(None, 3\), got {axis}"):
        BatchNormLikePyTorch(axis=axis).build((None, 3))


@pytest.mark.parametrize("wrong", ["abc", None, np.ones(3) * 1j, np.ones(2)], ids=str)
def test_what_is_no_real_vector_is_not_loaded(wrong):
    layer, ones = BatchNormLikePyTorch(), [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="weight and bias must have their place"):
        layer.load_pytorch(ones, ones, ones, ones)
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"running_var must be real, of shape \(3,\)"):
        layer.load_pytorch([2.0, 2.0, 2.0], ones, ones, wrong)
    assert (np.asarray(layer.gamma) == 1.0).all()
    layer.load_pytorch([2.0, 2.0, 2.0], ones, ones, ones)
    assert (np.asarray(layer.gamma) == 2.0).all()


@pytest.mark.parametrize("axis", [1.5, "1", None])
def test_an_axis_that_is_no_integer_is_refused(axis):
    with pytest.raises(ValueError, match="axis must be an integer, got"):
        BatchNormLikePyTorch(axis=axis)


def test_a_config_is_that_of_the_layer_it_rebuilds():
    config = BatchNormLikePyTorch(0.3).get_config()
    assert config["momentum"] == 0.3
    assert BatchNormLikePyTorch.from_config(config).get_config() == config
