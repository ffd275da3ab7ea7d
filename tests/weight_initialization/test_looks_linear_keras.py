import keras
import numpy as np
import pytest
from keras import layers

from snippets.weight_initialization import looks_linear_numpy as oracle
from snippets.weight_initialization.looks_linear_keras import looks_linear

pytestmark = pytest.mark.keras


def array(variable) -> np.ndarray:
    # Through a cast, since a variable as such knows less of NumPy.
    return np.array(keras.ops.cast(variable, "float64"))


def chain(*widths: int, **options) -> keras.Sequential:
    hidden = [layers.Dense(width, activation="relu", **options) for width in widths[1:-1]]
    return keras.Sequential([layers.Input((widths[0],)), *hidden, layers.Dense(widths[-1], **options)])


@pytest.mark.parametrize("options", [{}, {"use_bias": False}])
def test_it_is_the_oracle_for_the_same_seed(options):
    model = chain(6, 16, 4, 5, **options)
    looks_linear(model, seed=3)
    for layer, expected in zip(model.layers, oracle.looks_linear([6, 16, 4, 5], seed=3), strict=True):
        assert array(layer.kernel).T == pytest.approx(expected, abs=1e-6)
        assert not layer.use_bias or not array(layer.bias).any()


def test_the_chain_is_a_linear_isometry():
    model = chain(6, *[12] * 50, 6)
    looks_linear(model, seed=0)
    map_as_matrix = np.array(model(np.eye(6, dtype="float32")))
    assert map_as_matrix @ map_as_matrix.T == pytest.approx(np.eye(6), abs=1e-4)


def test_what_is_no_chain_is_refused():
    with pytest.raises(ValueError, match="even.*7"):
        looks_linear(chain(4, 7, 3), seed=0)
    inputs = layers.Input((4,))
    split = keras.Model(inputs, [layers.Dense(8)(inputs), layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="4 inputs after 8"):
        looks_linear(split, seed=0)
