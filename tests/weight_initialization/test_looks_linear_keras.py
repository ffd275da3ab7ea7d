import keras
import numpy as np
import pytest
from keras import layers

from snippets.weight_initialization import looks_linear_numpy as oracle
from snippets.weight_initialization.looks_linear_keras import looks_linear, orthogonal_factor

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
        assert pytest.approx(expected, abs=1e-6) == array(layer.kernel).T
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


def test_nested_models_are_entered_in_order():
    def parts() -> list:
        return [keras.layers.Dense(8, "relu"), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]

    first, second, last = parts()
    nested = keras.Sequential([keras.Input((2,)), first, keras.Sequential([keras.Input((8,)), second]), last])
    flat = keras.Sequential([keras.Input((2,)), *parts()])
    for model in (nested, flat):
        looks_linear(model, seed=0)
    for one, other in zip(nested.weights, flat.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_write_would_not_reach_is_named_before_a_change():
    lora, shared = keras.layers.Dense(8), keras.layers.Dense(8)
    timed = keras.layers.TimeDistributed(keras.layers.Dense(8))
    for others, message in (
        ([lora], "model must hold a kernel of its own in every layer"),
        ([shared, shared], "model must hold a kernel of its own in every layer"),
        ([keras.layers.Reshape((1, 8)), timed], "a chain of Dense layers, .* is TimeDistributed"),
    ):
        out = entry = keras.Input((2,))
        first = keras.layers.Dense(8)
        for layer in (first, *others):
            out = layer(out)
        if others == [lora]:
            lora.enable_lora(2)
        before = first.kernel.numpy()
        with pytest.raises(ValueError, match=message):
            looks_linear(keras.Model(entry, out), seed=0)
        np.testing.assert_array_equal(first.kernel, before)
    with pytest.raises(ValueError, match="model must be built and hold a Dense layer"):
        looks_linear(keras.Sequential([keras.Input((2,)), keras.layers.ReLU()]), seed=0)


def test_it_says_what_it_set_and_what_it_left():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(8), layers.LayerNormalization(), layers.Dense(2)])
    reached, left = looks_linear(model, seed=0)
    assert list(reached.values()) == ["first", "zero", "last", "zero"]
    assert left == {weight.path: "belongs to no Dense" for weight in model.layers[1].weights}


def test_a_factor_is_orthonormal_whatever_the_draws():
    factor = orthogonal_factor(np.zeros((4, 3)))
    np.testing.assert_allclose(factor.T @ factor, np.eye(3))


OTHERS = {
    "tanh": [layers.Dense(8, "tanh")],
    "leaky": [layers.Dense(8), layers.LeakyReLU()],
    "elu": [keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Activation("elu")])],
}


@pytest.mark.parametrize("name", OTHERS)
def test_an_activation_that_mirrored_units_do_not_undo_is_refused(name):
    model = keras.Sequential([keras.Input((4,)), *OTHERS[name], layers.Dense(2)])
    before = model.get_weights()
    with pytest.raises(ValueError, match="model must have ReLU between its layers, got .* in "):
        looks_linear(model, seed=0)
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize(
    "hidden", [[layers.Dense(8, "gelu")], [layers.Dense(8), layers.ReLU()], [layers.Dense(8, "silu")]]
)
def test_mirrored_units_undo_these_and_the_last_layer_may_have_any(hidden):
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(4), layers.Activation("tanh")])
    looks_linear(model, seed=0)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    y = np.arctanh(array(model(x)).clip(-1 + 1e-7, 1 - 1e-7))
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), np.linalg.norm(x, axis=1), rtol=1e-2)
