import keras
import numpy as np
import pytest
from keras import layers

from snippets.vanishing_gradients.forget_bias_keras import set_forget_bias

pytestmark = pytest.mark.keras


def built(layer: keras.Layer) -> keras.Layer:
    layer.build((None, 3) if isinstance(layer, layers.LSTMCell) else (None, 4, 3))
    return layer


def test_keras_starts_with_a_forget_bias_of_one():
    assert built(layers.LSTM(2)).cell.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert built(layers.LSTM(2, unit_forget_bias=False)).cell.bias.numpy().tolist() == [0] * 8


@pytest.mark.parametrize("layer", [layers.LSTM, layers.LSTMCell])
def test_the_forget_bias_is_set_and_the_rest_stays(layer):
    lstm = built(layer(2, bias_initializer="random_normal"))
    cell = getattr(lstm, "cell", lstm)
    before = [np.array(variable.numpy()) for variable in lstm.weights]
    assert set_forget_bias(lstm, 3.0) is lstm
    *weights, bias = [variable.numpy() for variable in lstm.weights]
    assert all(np.array_equal(*pair) for pair in zip(weights, before[:-1], strict=True))
    assert bias.tolist() == [*before[-1][:2], 3.0, 3.0, *before[-1][4:]] == cell.bias.numpy().tolist()


def test_the_slice_is_the_forget_gate():
    cell = built(layers.LSTMCell(5))
    state = [np.zeros((1, 5), "float32"), np.full((1, 5), 7.0, "float32")]
    kept = set_forget_bias(cell, 30.0)(np.zeros((1, 3), "float32"), state)[1][1]
    lost = set_forget_bias(cell, -30.0)(np.zeros((1, 3), "float32"), state)[1][1]
    assert (kept.numpy() - lost.numpy()) == pytest.approx(state[1], rel=1e-5)


def test_the_default_is_one_in_any_dtype():
    cell = set_forget_bias(built(layers.LSTMCell(2, bias_initializer="zeros", unit_forget_bias=False, dtype="float16")))
    assert cell.bias.dtype == "float16" and cell.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "layer", [layers.GRU(2), layers.LSTM(2), layers.LSTM(2, use_bias=False)], ids=["gru", "not built", "no bias"]
)
def test_what_has_no_forget_bias_is_refused(layer):
    if not isinstance(layer, layers.LSTM) or not layer.use_bias:
        built(layer)
    with pytest.raises(ValueError, match="lstm must be .*got <"):
        set_forget_bias(layer)


def test_a_value_must_be_finite():
    with pytest.raises(ValueError, match="value must be finite, got nan"):
        set_forget_bias(layers.LSTM(3), float("nan"))
