"""What holds on every backend of Keras and from the oldest version on: `tests.versions` runs this file with each."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from snippets.activation_functions.gain_keras import backward_gain, forward_gain
from snippets.activation_functions.softmax_cross_entropy_keras import softmax_cross_entropy
from snippets.activation_functions.unit_health_keras import unit_health
from snippets.batch_normalization import batch_norm_numpy as oracle
from snippets.batch_normalization.batch_norm_keras import batch_norm
from snippets.batch_normalization.batch_norm_like_pytorch_keras import BatchNormLikePyTorch
from snippets.batch_normalization.fold_batch_norm_keras import fold_model
from snippets.batch_normalization.freeze_batch_norm_keras import freeze_batch_norm_
from snippets.exploding_gradients.adaptive_clipping_keras import clip_adaptively
from snippets.exploding_gradients.clip_gradients_keras import clip_by_global_norm, clip_by_value
from snippets.exploding_gradients.finite_guard_keras import first_non_finite_layer
from snippets.he_initialization.he_init_keras import HeNormal, HeUniform
from snippets.vanishing_gradients.forget_bias_keras import set_forget_bias
from snippets.weight_initialization.delta_orthogonal_keras import DeltaOrthogonal
from snippets.weight_initialization.init_weights_keras import init_weights
from snippets.weight_initialization.looks_linear_keras import looks_linear
from snippets.weight_initialization.lsuv_keras import lsuv
from snippets.weight_initialization.output_bias_keras import softmax_bias
from snippets.weight_initialization.residual_scaling_keras import fixup, gpt2_scale, zero_gamma
from snippets.xavier_initialization.packed_attention_keras import projections, xavier_attention
from snippets.xavier_initialization.xavier_init_keras import XavierNormal, XavierUniform

pytestmark = pytest.mark.keras


def draws(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def array(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor)))


def network() -> keras.Sequential:
    parts = [layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dense(8, "relu"), layers.Dense(2)]
    return keras.Sequential([keras.Input((6,)), *parts])


@pytest.mark.parametrize("kind", [HeNormal, HeUniform, XavierNormal, XavierUniform])
def test_initializers_draw_with_their_std(kind):
    fan = 400 if kind in (HeNormal, HeUniform) else 400 + 300
    assert array(kind(seed=0)((400, 300))).std() == pytest.approx((2 / fan) ** 0.5, rel=0.02)


def test_delta_orthogonal_keeps_the_norm():
    kernel = array(DeltaOrthogonal(seed=0)((3, 3, 4, 6)))
    np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)


def test_gains():
    assert forward_gain("relu") == pytest.approx(2**0.5, rel=1e-5)
    assert backward_gain("tanh") > 1.0


def test_batch_norm_is_the_oracle():
    x, ones, zeros = draws(5, 3), np.ones(3, "float32"), np.zeros(3, "float32")
    ours = batch_norm(*map(ops.convert_to_tensor, (x, ones, zeros, zeros, ones)), True, 0.9, 1e-5)
    theirs = oracle.batch_norm(x, ones, zeros, zeros, ones, True, 0.1, axis=-1, unbiased=False)
    for value, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(array(value), wanted, rtol=1e-4, atol=1e-5)


def test_statistics_like_pytorch():
    layer, x = BatchNormLikePyTorch(), draws(5, 3)
    layer(x, training=True)
    np.testing.assert_allclose(array(layer.moving_variance), 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-4)


def test_softmax_cross_entropy_and_output_bias():
    loss, gradient = softmax_cross_entropy(ops.convert_to_tensor(np.zeros((4, 3), "float32")), np.array([0, 1, 2, 0]))
    assert float(array(loss)) == pytest.approx(np.log(3), rel=1e-5)
    np.testing.assert_allclose(array(gradient).sum(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.exp(array(softmax_bias(np.array([1, 3])))), [0.25, 0.75], rtol=1e-5)


def test_clipping():
    gradients = [ops.convert_to_tensor(np.full((2, 2), 3.0, "float32")), None]
    (clipped, none), norm = clip_by_global_norm(gradients, 3.0)
    assert none is None and float(array(norm)) == pytest.approx(6.0)
    np.testing.assert_allclose(array(clipped), 1.5, rtol=1e-5)
    np.testing.assert_allclose(array(clip_by_value(gradients, 1.0)[0]), 1.0)
    weight = keras.Variable(np.ones((2, 2), "float32"))
    np.testing.assert_allclose(array(clip_adaptively(gradients[0], weight, 0.1)), 0.1, rtol=1e-5)


def test_a_whole_model_is_initialized_seen_and_folded():
    model, x = network(), draws(32, 6)
    report, left = init_weights(model, seed=0)
    assert len(report) + len(left) == len(model.weights) and len(left) == 2
    assert array(model.layers[0].kernel).std() == pytest.approx(report[0].std_measured, rel=1e-4)
    assert len(unit_health(model, x).reached) == 2
    assert first_non_finite_layer(model, x) is None
    np.testing.assert_allclose(array(fold_model(model)[0](x)), array(model(x)), rtol=1e-3, atol=1e-4)
    assert len(freeze_batch_norm_(model).reached) == 1


def test_weights_in_place():
    chain = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(8, "relu"), layers.Dense(4)])
    assert list(looks_linear(chain, seed=0).reached.values())[::2] == ["first", "hidden", "last"]
    images = array(chain(np.eye(4, dtype="float32")))
    np.testing.assert_allclose(images @ images.T, np.eye(4), atol=1e-4)
    assert len(lsuv(chain, draws(64, 4), seed=0).reached) == 3
    branch = network()
    gpt2_scale([branch, branch])
    zero_gamma([branch])
    fixup([branch])
    assert not array(branch.layers[-1].kernel).any() and not array(branch.layers[1].gamma).any()


def test_attention_and_lstm():
    attention, tokens = layers.MultiHeadAttention(2, 8), draws(1, 3, 16)
    attention(tokens, tokens)
    xavier_attention(attention, seed=0)
    assert all(np.abs(array(dense.kernel)).max() <= (6 / 32) ** 0.5 for _, dense, _ in projections(attention))
    lstm = layers.LSTM(4)
    lstm.build((None, 3, 2))
    assert (array(set_forget_bias(lstm, 3.0).cell.bias)[4:8] == 3.0).all()
