import math

import keras
import numpy as np
import pytest
from keras import layers

from snippets.vanishing_gradients import layer_gradients_keras as module
from snippets.vanishing_gradients import layer_gradients_numpy as oracle
from snippets.vanishing_gradients.layer_gradients_keras import LayerGradient, factor_per_layer, layer_gradients
from tests.vanishing_gradients.networks import WIDTHS, arrays, batch, example

pytestmark = pytest.mark.keras


def chain(activation: str, dtype: str = "float64") -> keras.Sequential:
    weights, biases = arrays()
    *hidden, last = WIDTHS[1:]
    model = keras.Sequential(
        [layers.Input((WIDTHS[0],), dtype=dtype)]
        + [layers.Dense(units, activation=activation, dtype=dtype) for units in hidden]
        + [layers.Dense(last, dtype=dtype)]
    )
    for layer, weight, bias in zip(model.layers, weights, biases, strict=True):
        layer.set_weights([weight.T, bias])
    return model


def cross_entropy(labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    return lambda output: loss(labels, output)


def normalized() -> keras.Sequential:
    """Batch statistics, dropout and a nested model: what a careless pass would leave changed."""
    return keras.Sequential(
        [
            layers.Input((5, 1)),
            layers.Conv1D(4, 3, activation=layers.LeakyReLU()),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            keras.Sequential([layers.Dense(3, activation="relu")]),
        ]
    )


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 5, 1)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", oracle.ACTIVATIONS)
def test_both_gradients_are_those_of_the_oracle(activation, dtype):
    inputs, labels = batch()
    expected = oracle.layer_gradients(
        oracle.Perceptron(*arrays(), activation), inputs, lambda z: oracle.cross_entropy_gradient(z, labels)
    )
    model = chain(activation, dtype)
    rows = layer_gradients(model, inputs.astype(dtype), cross_entropy(labels)).reached
    assert [row.name for row in rows] == [layer.path for layer in model.layers]
    for row, wanted in zip(rows, expected, strict=True):
        assert row[1:] == pytest.approx(wanted[1:], rel=1e-12 if dtype == "float64" else 1e-5)
    assert factor_per_layer(rows) == pytest.approx(oracle.factor_per_layer(expected), rel=1e-5)


def test_the_example_of_the_docstring_runs(capsys):
    inputs, labels = batch()
    names = {"model": chain("tanh", "float32"), "inputs": inputs.astype("float32"), "labels": labels}
    exec(example(module), vars(module) | names)
    assert len(capsys.readouterr().out.splitlines()) == len(WIDTHS)


def state(model: keras.Model) -> list:
    return [variable.numpy().tolist() for variable in model.variables] + [
        getattr(layer, "activation", None) for layer in model._flatten_layers()
    ]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_stays_as_it_is(training):
    model = normalized()
    before = state(model)
    rows = layer_gradients(model, images(), keras.ops.sum, training).reached
    assert state(model) == before
    assert len(rows) == 2 and layer_gradients(model, images(), keras.ops.sum, training).reached == rows
    assert layer_gradients(model, images(), keras.ops.sum, not training).reached != rows


def test_the_model_stays_as_it_is_after_an_error():
    def fail(_output):
        raise KeyError("planted")

    model = normalized()
    before = state(model)
    with pytest.raises(KeyError, match="planted"):
        layer_gradients(model, images(), fail, training=True)
    assert state(model) == before


def test_frozen_kernels_have_no_gradient_and_their_preactivations_have():
    inputs, labels = batch()
    wanted = layer_gradients(chain("tanh"), inputs, cross_entropy(labels)).reached
    model = chain("tanh")
    model.layers[0].trainable = model.layers[1].trainable = False
    rows = layer_gradients(model, inputs, cross_entropy(labels)).reached
    assert [row.output_rms for row in rows] == [row.output_rms for row in wanted]
    assert [row.weight_rms for row in rows] == [None, None, wanted[2].weight_rms, wanted[3].weight_rms]


def test_a_layer_that_runs_twice_has_two_rows_and_one_kernel_gradient():
    inputs, shared = layers.Input((5,)), layers.Dense(5, activation="tanh", kernel_initializer="ones")
    first, second = layer_gradients(
        keras.Model(inputs, shared(shared(inputs))), np.full((2, 5), 0.1), keras.ops.sum
    ).reached
    assert first.name == second.name
    assert first.output_rms != second.output_rms
    # All entries are alike: z_1 = 0.5, h_1 = tanh(0.5), z_2 = 5 h_1; two examples, each kernel entry used twice.
    h1 = math.tanh(0.5)
    delta2 = 1 - math.tanh(5 * h1) ** 2
    delta1 = 5 * delta2 * (1 - h1**2)
    assert (first.output_rms, second.output_rms) == pytest.approx((delta1, delta2), rel=1e-5)
    assert first.weight_rms == second.weight_rms == pytest.approx(2 * (0.1 * delta1 + h1 * delta2), rel=1e-5)


def test_an_output_on_which_the_loss_does_not_depend_has_the_gradient_zero():
    inputs = layers.Input((5,))
    model = keras.Model(inputs, [layers.Dense(3, name=name)(inputs) for name in ("used", "unused")])
    rows = layer_gradients(model, np.ones((2, 5)), lambda outputs: 3.0 * keras.ops.sum(outputs[0])).reached
    assert sorted(rows) == [LayerGradient("unused", 0.0, 0.0), LayerGradient("used", 3.0, 6.0)]


def test_recurrent_layers_have_no_row():
    model = keras.Sequential([layers.Input((4, 3)), layers.LSTM(5), layers.Dense(2)])
    reached, left = layer_gradients(model, np.ones((2, 4, 3)), keras.ops.sum)
    assert [row.name for row in reached] == [model.layers[1].path]
    cell = model.layers[0].cell
    reason = "its layer has no kernel with an activation"
    assert left == {cell.kernel.path: reason, cell.recurrent_kernel.path: reason}


def test_a_layer_that_does_not_run_is_named():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.idle = layers.Dense(4), layers.Dense(4)
            self.idle.build((None, 3))

        def call(self, x):
            return self.used(x)

    model = Idle()
    model(np.ones((2, 3)))
    left = layer_gradients(model, np.ones((2, 3)), keras.ops.sum).left
    assert left == {model.idle.kernel.path: "its layer was not called"}


def test_a_model_of_ones_own_class_works():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [layers.Dense(4, activation="tanh") for _ in range(3)]

        def call(self, x):
            for block in self.blocks:
                x = x + block(x)
            return x

    model = Own()
    model(np.ones((2, 4)))
    assert len(layer_gradients(model, np.ones((2, 4)), keras.ops.sum).reached) == 3


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_zero_infinity_and_nan_are_told_as_such(value):
    model = keras.Sequential([layers.Input((3,)), layers.Dense(3)])
    (row,) = layer_gradients(model, np.ones((2, 3)), lambda output: keras.ops.sum(output * value)).reached
    assert row.output_rms == pytest.approx(value, nan_ok=True)


def test_gradients_too_small_to_be_squared_are_still_told():
    model = keras.Sequential([layers.Input((3,), dtype="float64")])
    for _ in range(4):
        model.add(layers.Dense(3, dtype="float64"))
        model.layers[-1].set_weights([np.full((3, 3), 1e-70), np.zeros(3)])
    rows = layer_gradients(model, np.ones((2, 3)), keras.ops.sum).reached
    assert rows[0].output_rms == pytest.approx(27e-210, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [LayerGradient("0", 1.0, 1.0)],
        [LayerGradient("0", 0.0, 0.0)] * 2,
        [LayerGradient("0", float(i < 2), 0.0) for i in range(3)],
    ],
)
def test_a_factor_needs_two_rows_with_a_gradient(rows):
    with pytest.raises(ValueError, match="rows must be two or more"):
        factor_per_layer(rows)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="built first.*'unfinished'"):
        layer_gradients(keras.Sequential([layers.Dense(3)], name="unfinished"), np.ones((2, 3)), keras.ops.sum)
    with pytest.raises(ValueError, match=r"loss must return a scalar, got shape \(7, 3\)"):
        layer_gradients(chain("tanh"), batch()[0], lambda output: output)
    with pytest.raises(ValueError, match="model must run a layer .*'plain'"):
        plain = keras.Sequential([layers.Input((3,)), layers.ReLU()], name="plain")
        layer_gradients(plain, np.ones((2, 3)), keras.ops.sum)


def test_an_empty_batch_is_refused():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="inputs must hold an example"):
        layer_gradients(model, np.ones((0, 3), "float32"), keras.ops.sum)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_factor_fits_where_the_ratio_does_not(size):
    rows = [LayerGradient(str(layer), rms, None) for layer, rms in enumerate([size, 1.0, 1.0 / size])]
    assert factor_per_layer(rows) == pytest.approx(size, rel=1e-12, abs=0)
    assert factor_per_layer(iter(rows)) == factor_per_layer(rows)
