import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from snippets.batch_normalization import fold_batch_norm_numpy as oracle
from snippets.batch_normalization.fold_batch_norm_keras import fold_batch_norm, fold_model

pytestmark = pytest.mark.keras

PAIRS = [
    (lambda: layers.Dense(4), {}, (3,)),
    (lambda: layers.Dense(4, use_bias=False), {"epsilon": 0.1}, (3,)),
    (lambda: layers.Conv1D(4, 2), {"center": False}, (6, 3)),
    (lambda: layers.Conv2D(8, 3, strides=2, groups=2, use_bias=False, padding="same"), {"axis": 3}, (6, 6, 4)),
    (lambda: layers.Conv3D(3, 2), {"scale": False}, (3, 3, 3, 2)),
]

every_pair = pytest.mark.parametrize(("make", "settings", "shape"), PAIRS)


def trained(model: keras.Model) -> keras.Model:
    """No longer with the values a batch normalization starts with."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def built(make, settings, shape) -> keras.Sequential:
    return trained(keras.Sequential([keras.Input(shape), make(), layers.BatchNormalization(**settings)]))


def batch(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((5, *shape)).astype(np.float32)


@every_pair
def test_one_layer_computes_what_two_did(make, settings, shape):
    model = built(make, settings, shape)
    layer, norm = model.layers
    before = layer.get_weights()
    folded = fold_batch_norm(layer, norm)
    np.testing.assert_allclose(folded(batch(shape)), model(batch(shape)), rtol=1e-4, atol=1e-4)
    assert type(folded) is type(layer) and folded.use_bias
    for own, old in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, old)


@pytest.mark.parametrize("has_bias", [True, False])
def test_the_oracle_agrees(has_bias):
    layer, norm = built(lambda: layers.Conv2D(4, 2, use_bias=has_bias), {}, (5, 5, 3)).layers
    kernel, bias = fold_batch_norm(layer, norm).get_weights()
    weight = np.moveaxis(layer.get_weights()[0], (-1, -2), (0, 1))
    theirs = oracle.fold_batch_norm(weight, layer.get_weights()[1] if has_bias else None, *norm.get_weights(), 1e-3)
    np.testing.assert_allclose(np.moveaxis(kernel, (-1, -2), (0, 1)), theirs[0], rtol=1e-5)
    np.testing.assert_allclose(bias, theirs[1], rtol=1e-5)


def test_a_model_computes_the_same_with_fewer_layers():
    block = keras.Sequential([keras.Input((6, 6, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()])
    model = trained(
        keras.Sequential([
            keras.Input((6, 6, 3)),
            layers.BatchNormalization(),
            block,
            layers.Flatten(),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.BatchNormalization(),
            layers.Dense(4, activation="relu"),
            layers.BatchNormalization(),
        ])
    )  # fmt: skip
    folded, report = fold_model(model)
    np.testing.assert_allclose(folded(batch((6, 6, 3))), model(batch((6, 6, 3))), rtol=1e-4, atol=1e-4)
    assert [type(layer).__name__ for layer in folded.layers] == [
        "BatchNormalization", "Sequential", "Flatten", "Dense", "ReLU", "BatchNormalization", "Dense",
        "BatchNormalization",
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in folded.layers[1].layers] == ["Conv2D", "ReLU"]
    at = [layer.path for layer in model.layers]
    assert report.reached == {block.layers[1].path: block.layers[0].path, at[4]: at[3]}
    assert list(report.left) == [at[0], at[6], at[8]] and report.left[at[0]] == "model starts with it"
    assert "got <ReLU" in report.left[at[6]] and "no activation before norm" in report.left[at[8]]
    assert not {id(weight) for weight in folded.weights} & {id(weight) for weight in model.weights}


def test_errors_name_what_does_not_fit():
    layer, _ = built(lambda: layers.Dense(4), {}, (3,)).layers
    narrow = built(lambda: layers.Dense(5), {}, (3,)).layers[1]
    with pytest.raises(ValueError, match="norm must have 4 features.* got 5"):
        fold_batch_norm(layer, narrow)
    with pytest.raises(ValueError, match="layer must have no activation .* 'relu'"):
        fold_batch_norm(*built(lambda: layers.Dense(4, activation="relu"), {}, (3,)).layers)
    with pytest.raises(ValueError, match="norm must normalize the last axis, got axis 1"):
        fold_batch_norm(*built(lambda: layers.Conv1D(4, 1), {"axis": 1}, (4, 4)).layers)


class Residual(keras.Sequential):
    """A Sequential with a call of its own."""

    def call(self, x, training=None, mask=None):
        return x + super().call(x, training=training, mask=mask)


def test_what_is_no_plain_pair_stays_as_it_is():
    lora = layers.Dense(4)
    block = Residual([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()])
    model = keras.Sequential([
        keras.Input((4, 4)), layers.Conv1D(4, 1), layers.BatchNormalization(axis=1), layers.Flatten(), layers.Dense(4),
        block, lora, layers.BatchNormalization(),
    ])  # fmt: skip
    lora.enable_lora(2)
    trained(model)
    folded, report = fold_model(model)
    np.testing.assert_allclose(folded(batch((4, 4))), model(batch((4, 4))), rtol=1e-4, atol=1e-4)
    assert [type(layer) for layer in folded.layers] == [type(layer) for layer in model.layers]
    conv, residual, last = (report.left[layer.path] for layer in (model.layers[1], block.layers[1], model.layers[-1]))
    assert not report.reached and len(report.left) == 3
    assert "the last axis, got axis 1" in conv and "a kernel of its own" in last
    assert residual == f"{block.path!r} has a call of its own around it"


def test_a_model_with_a_call_of_its_own_or_not_built_is_refused():
    for model in (Residual([keras.Input((4,)), layers.Dense(4)]), keras.Sequential([layers.Dense(4)])):
        with pytest.raises(ValueError, match="model must be a built Sequential without a call of its own"):
            fold_model(model)


def test_channels_first_are_folded(channels_first):
    model = built(lambda: layers.Conv1D(4, 1, **channels_first), {"axis": 1}, (4, 5))
    np.testing.assert_allclose(
        fold_batch_norm(*model.layers)(batch((4, 5))), model(batch((4, 5))), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="norm must normalize axis 1, got axis -1"):
        fold_batch_norm(*built(lambda: layers.Conv1D(4, 1, **channels_first), {}, (4, 4)).layers)


@pytest.mark.parametrize(
    ("layer", "norm", "message"),
    [
        (layers.ReLU(), layers.BatchNormalization(), "layer must be one of .*'Dense'.*got <ReLU"),
        (layers.Conv1DTranspose(4, 1), layers.BatchNormalization(), "layer must be one of .*got <Conv1DTranspose"),
        (layers.Dense(4), layers.LayerNormalization(), "norm must be a BatchNormalization, got <LayerNorm"),
        (layers.Dense(4), layers.BatchNormalization(), "layer and norm must be built"),
    ],
)
def test_other_layers_are_refused_by_name(layer, norm, message):
    with pytest.raises(ValueError, match=message):
        fold_batch_norm(layer, norm)


class Bare(keras.layers.Layer):
    """Its config names arguments that it does not take."""

    def __init__(self):
        super().__init__()

    def call(self, x):
        return x


def test_a_layer_that_cannot_be_copied_is_refused():
    model = keras.Sequential([keras.Input((3,)), Bare(), layers.Dense(2), layers.BatchNormalization()])
    with pytest.raises(ValueError, match=r"model must hold layers that their config .*, got '.*bare'"):
        fold_model(model)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, saving under NumPy 2
def test_a_folded_model_is_saved_exported_and_compiled(tmp_path):
    model = trained(keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.BatchNormalization()]))
    folded, x = fold_model(model)[0], batch((3,))
    folded.save(tmp_path / "folded.keras")
    folded.export(tmp_path / "folded", verbose=False)
    exported = tf.saved_model.load(tmp_path / "folded")
    for run in (
        keras.models.load_model(tmp_path / "folded.keras"),
        exported.serve,
        tf.function(folded, jit_compile=True),
    ):
        np.testing.assert_allclose(run(tf.constant(x, tf.float32)), model(x), rtol=1e-4, atol=1e-5)


class Bounded(layers.BatchNormalization):
    """With an activation that cuts off on one side alone."""

    above = True

    def call(self, inputs, training=None, mask=None):
        y = super().call(inputs, training=training, mask=mask)
        return ops.minimum(y, 6.0) if self.above else ops.maximum(y, -6.0)


@pytest.mark.parametrize("above", [True, False])
def test_a_norm_that_cuts_off_on_one_side_is_left(above):
    norm = type("Side", (Bounded,), {"above": above})()
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4), norm])
    assert list(fold_model(model)[1].left) == [norm.path]
