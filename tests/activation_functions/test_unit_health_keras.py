import keras
import numpy as np
import pytest
from keras import layers

from snippets.activation_functions import unit_health_numpy as oracle
from snippets.activation_functions.unit_health_keras import unit_health
from tests.activation_functions.shapes import FUNCTIONS

pytestmark = pytest.mark.keras


def draws(*shape: int) -> np.ndarray:
    return 3 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_oracle_agrees(name):
    z = draws(3, 20, 5)
    ((_, *ours),) = unit_health(keras.Sequential([keras.Input((20, 5)), layers.Activation(name)]), z).reached
    assert ours == list(oracle.unit_health(FUNCTIONS[name], z, unit_axis=-1))


def small() -> keras.Model:
    """Activations as arguments, as layers and in a nested model; the output is linear."""
    return keras.Sequential([
        keras.Input((4,)),
        layers.Dense(8, activation="relu", name="first"),
        keras.Sequential([keras.Input((8,)), layers.Dense(6, name="plain"), layers.ReLU(name="second")]),
        layers.LeakyReLU(name="third"),
        layers.Dense(3),
    ])  # fmt: skip


def test_dead_units_are_counted_layer_by_layer_in_the_order_of_the_pass():
    model = small()
    model.get_layer("first").bias.assign([-1e6, -1e6, 0, 0, 0, 0, 0, 0])
    plain = model.layers[1].get_layer("plain")
    plain.kernel.assign(np.zeros((8, 6)))
    plain.bias.assign([-1, 0, 0, 1, 1, 1])
    first, second, third = unit_health(model, draws(64, 4)).reached
    assert (first.name, first.dead) == ("first", 2 / 8)
    assert (second.name, second.dead, second.saturated) == ("second", 3 / 6, 3 / 6)
    assert (third.name, third.dead) == ("third", 0.0)


def test_the_model_stays_as_it_was():
    model, inputs = small(), draws(8, 4)
    before, weights = model(inputs), model.get_weights()
    activation = model.get_layer("first").activation
    unit_health(model, inputs)
    assert model.get_layer("first").activation is activation
    assert "call" not in vars(model.get_layer("third"))
    assert np.array_equal(model(inputs), before)
    assert all(np.array_equal(old, new) for old, new in zip(weights, model.get_weights(), strict=True))


def test_all_is_put_back_when_the_model_fails():
    model = small()
    activation = model.get_layer("first").activation
    with pytest.raises(ValueError, match="incompatible|shape"):
        unit_health(model, draws(2, 5))
    assert model.get_layer("first").activation is activation


def test_a_layer_that_is_called_twice_has_two_rows():
    shared, inputs = layers.Dense(3, activation="tanh", name="shared"), keras.Input((3,))
    rows = unit_health(keras.Model(inputs, shared(shared(inputs))), draws(8, 3)).reached
    assert [row.name for row in rows] == ["shared", "shared"]


def test_what_has_no_activation_is_refused():
    model = keras.Sequential([keras.Input((5, 4)), layers.LSTM(3), layers.Dense(3, activation="softmax")])
    with pytest.raises(ValueError, match="model must have a layer with an activation"):
        unit_health(model, draws(2, 5, 4))


def test_a_threshold_must_be_positive():
    with pytest.raises(ValueError, match=r"threshold .*-1"):
        unit_health(small(), draws(5, 4), threshold=-1)


class Block(layers.Layer):
    """A layer of one's own that holds another."""

    def __init__(self):
        super().__init__()
        self.inside = layers.Dense(4, activation="relu", name="inside")

    def call(self, x):
        return self.inside(x)


def test_what_is_inside_of_other_layers_is_seen():
    timed = layers.TimeDistributed(layers.Dense(4, activation="tanh", name="timed"))
    model = keras.Sequential(
        [keras.Input((5, 4)), Block(), timed, layers.Bidirectional(layers.GRU(3)), layers.ReLU(name="end")]
    )
    reached, left = unit_health(model, draws(2, 5, 4))
    assert {row.name for row in reached} == {"inside", "timed", "end"}
    recurrent = "recurrent: its activations run at every step"
    assert left.pop(model.layers[0].path) == "of your own: only the layers inside of it are seen"
    assert len(left) == 4 and set(left.values()) == {recurrent}


def test_what_has_no_row_is_named():
    inputs, idle = keras.Input((3,)), layers.Dense(3, activation="tanh", name="idle")
    h = layers.Dense(3, activation="relu", name="seen")(inputs)
    model = keras.Model(inputs, layers.Softmax(name="soft")(layers.Dense(3, "softmax", name="classes")(h)))
    model.idle = idle
    reached, left = unit_health(model, draws(8, 3))
    assert [row.name for row in reached] == ["seen"] and list(left.values()) == [
        "softmax: it does not act on every entry by itself"
    ] * 2 + ["did not run"]


def test_a_unit_is_a_channel_or_a_feature_at_all_positions(channels_first):
    model = keras.Sequential(
        [keras.Input((5, 5, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Dense(8, activation="relu")]
    )
    model.layers[0].bias.assign([-1e6, 0, 0, 0])
    model.layers[1].kernel.assign(np.zeros((4, 8)))
    model.layers[1].bias.assign([-1] * 2 + [1] * 6)
    assert [row.dead for row in unit_health(model, draws(6, 5, 5, 3)).reached] == [1 / 4, 2 / 8]
    first = keras.Sequential([keras.Input((3, 7)), layers.Conv1D(4, 1, **channels_first, activation="relu")])
    first.layers[0].bias.assign([-1e6, 0, 0, 0])
    assert unit_health(first, draws(6, 3, 7)).reached[0].dead == 1 / 4


@pytest.mark.parametrize("batch", [np.full((3, 4), np.nan), np.full((3, 4), np.inf), np.ones((0, 4))])
def test_what_is_no_batch_of_finite_values_is_refused(batch):
    with pytest.raises(ValueError, match="batch must give 'first' finite values"):
        unit_health(small(), batch.astype("float32"))


def test_prelu_is_seen_with_its_slopes():
    """Of a unit without slope for negative inputs none is left where all inputs are negative."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.PReLU()])
    model.layers[0].alpha.assign([0.0, 0.01, 0.25, 0.0])
    (row,) = unit_health(model, -np.ones((8, 4), "float32")).reached
    assert (row.dead, row.saturated) == (0.5, 0.75)


def test_a_layer_that_is_the_activation_of_another_has_one_row():
    built = [layers.Dense(8, activation=layers.LeakyReLU(negative_slope=0.01)), layers.Dense(8), layers.LeakyReLU(0.01)]
    model = keras.Sequential([keras.Input((4,)), *built])
    model.layers[1].set_weights([np.eye(8), np.zeros(8)])
    rows = unit_health(model, draws(64, 4)).reached
    # the second takes the positive values of the first, and the negative ones smaller
    assert [row.name for row in rows] == [model.layers[0].name, model.layers[2].name]
    assert rows[0].saturated == pytest.approx(rows[1].saturated, abs=0.01) and rows[0].dead == 0.0
    assert isinstance(model.layers[0].activation, layers.LeakyReLU)


def test_an_activation_that_computes_in_float32_is_measured_in_its_precision():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh")])
    (wanted,) = unit_health(model, draws(64, 4)).reached
    model.layers[0].activation = lambda z: keras.ops.tanh(keras.ops.cast(z, "float32"))
    (row,) = unit_health(model, draws(64, 4)).reached
    assert row.saturated == pytest.approx(wanted.saturated, abs=0.01)


@pytest.mark.parametrize("activation", ["sparsemax", lambda z: z / keras.ops.sum(z), "glu"], ids=["max", "sum", "glu"])
def test_an_activation_over_an_axis_is_refused(activation):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation)])
    with pytest.raises(ValueError, match=r"model must (act on every entry by itself|keep the shape)"):
        unit_health(model, draws(64, 4))
