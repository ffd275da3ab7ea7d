import math

import keras
import numpy as np
import pytest
from keras import layers

from snippets.he_initialization.fans_numpy import true_fans
from snippets.laboratory.mean_field import gaussian_mean
from snippets.weight_initialization.init_weights_keras import GAINS, init_weights, true_fan_in
from tests.laws import NORMAL, assert_law

pytestmark = pytest.mark.keras

# A layer, its input channels, and what the oracle calls it.
SUMMING = [
    (layers.Dense(5), 7, true_fans(7, 5)),
    (layers.Conv1D(4, 5, strides=2), 6, true_fans(6, 4, [5], [2])),
    (layers.Conv2D(4, (3, 2), groups=2), 6, true_fans(6, 4, [3, 2], groups=2)),
    (layers.Conv3D(3, 2), 2, true_fans(2, 3, [2, 2, 2])),
    (layers.DepthwiseConv1D(4, depth_multiplier=2), 6, true_fans(6, 12, [4], groups=6)),
    (layers.DepthwiseConv2D(3, dilation_rate=2), 6, true_fans(6, 6, [3, 3], groups=6)),
    (layers.Conv1DTranspose(4, 3), 6, true_fans(6, 4, [3], transposed=True)),
    (layers.Conv2DTranspose(4, (4, 3), strides=(2, 1)), 6, true_fans(6, 4, [4, 3], [2, 1], transposed=True)),
    (layers.Conv2DTranspose(4, 3, strides=2), 6, true_fans(6, 4, [3, 3], [2, 2], transposed=True)),
    (layers.Conv3DTranspose(3, 2, strides=2), 2, true_fans(2, 3, [2, 2, 2], [2, 2, 2], transposed=True)),
]


def small() -> keras.Sequential:
    """One of each kind that a rule covers, one of them inside a wrapper, some inside another model."""
    head = keras.Sequential([layers.Input((8,)), layers.Dense(6, name="hidden"), layers.Dense(4, name="classes")])
    return keras.Sequential(
        [
            layers.Input((12,), dtype="int32"),
            layers.Embedding(40, 16, name="embedding"),
            layers.LayerNormalization(name="layer_norm"),
            layers.SeparableConv1D(8, 3, name="separable"),
            layers.BatchNormalization(name="batch_norm"),
            layers.TimeDistributed(layers.Dense(8, use_bias=False, name="inner"), name="every_step"),
            layers.RMSNormalization(name="rms_norm"),
            layers.GlobalAveragePooling1D(),
            head,
        ]
    )


def disturbed(model: keras.Model) -> keras.Model:
    """Every weight at a value that no rule gives."""
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 3.0))
    return model


def array(tensor) -> np.ndarray:
    # Through a cast, since a variable as such and bfloat16 know less of NumPy.
    return np.array(keras.ops.cast(tensor, "float64"))


def values_of(model: keras.Model) -> list[np.ndarray]:
    return [array(variable) for variable in model.weights]


def short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


@pytest.mark.parametrize(("layer", "channels", "fans"), SUMMING, ids=lambda value: getattr(value, "name", ""))
def test_the_fan_is_the_number_of_summands(layer, channels, fans):
    """Ones times ones: each output value counts its summands; the oracle has the same number."""
    axes = 0 if isinstance(layer, layers.Dense) else len(layer.kernel_size)
    layer.build((None, *[30] * axes, channels))
    layer.set_weights([np.ones(layer.kernel.shape), np.zeros(layer.bias.shape)])
    counts = array(layer(np.ones((1, *[30] * axes, channels), "float32")))
    counts = counts[(0, *[slice(8, 14)] * axes)]  # away from the borders, whole periods of every stride here
    assert counts.mean() == pytest.approx(true_fan_in(layer)) == fans.fan_in


def test_the_report_names_every_weight_with_its_rule():
    model = disturbed(small())
    report, left = init_weights(model, seed=0)
    reached = [v for v in model.weights if v.path not in left]
    assert [(row.name, row.shape) for row in report] == [(v.path, tuple(v.shape)) for v in reached]
    assert [short(path) for path in left] == ["batch_norm/moving_mean", "batch_norm/moving_variance"]
    assert set(left.values()) == {"not trainable: frozen, or a moving average"}
    assert [(short(row.name), row.rule, row.fan_in, row.std_wanted) for row in report] == [
        ("embedding/embeddings", "embedding", 1.0, 1.0),
        ("layer_norm/gamma", "one", None, 0.0),
        ("layer_norm/beta", "zero", None, 0.0),
        ("separable/depthwise_kernel", "linear", 3.0, pytest.approx(math.sqrt(1 / 3))),
        ("separable/pointwise_kernel", "gain", 16.0, pytest.approx(math.sqrt(2 / 16))),
        ("separable/bias", "zero", None, 0.0),
        ("batch_norm/gamma", "one", None, 0.0),
        ("batch_norm/beta", "zero", None, 0.0),
        ("inner/kernel", "gain", 8.0, pytest.approx(math.sqrt(2 / 8))),
        ("rms_norm/scale", "one", None, 0.0),
        ("hidden/kernel", "gain", 8.0, pytest.approx(math.sqrt(2 / 8))),
        ("hidden/bias", "zero", None, 0.0),
        ("classes/kernel", "output", 6.0, pytest.approx(math.sqrt(1 / 6))),
        ("classes/bias", "zero", None, 0.0),
    ]
    assert all((array(v) == 3).all() for v in model.weights if v.path in left)
    for row, variable in zip(report, reached, strict=True):
        values = array(variable)
        assert row.std_measured == pytest.approx(values.std(), rel=1e-5)
        constant = {"one": 1.0, "zero": 0.0}
        assert (values == constant[row.rule]).all() if row.rule in constant else values.std() > 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_weights_follow_the_law(dtype):
    model = keras.Sequential([layers.Input((300,)), layers.Dense(200, dtype=dtype), layers.Dense(300, dtype=dtype)])
    init_weights(model, seed=0, gain=math.sqrt(2 / 1.04))
    first, second = (array(layer.kernel) for layer in model.layers)
    assert_law(first, math.sqrt(2 / 1.04 / 300), NORMAL)
    assert_law(second, math.sqrt(1 / 200), NORMAL)


def test_a_deep_stack_of_depthwise_convolutions_keeps_the_mean_square():
    """With Keras's own fan, 64 times too large here, 6 layers would lose a factor of 64^6."""
    model = keras.Sequential(
        [layers.Input((8, 8, 64))]
        + [layers.DepthwiseConv2D(3, padding="valid" if i < 3 else "same", activation="relu") for i in range(6)]
    )
    init_weights(model, seed=0, output=model.layers[-1].name)
    images = np.random.default_rng(0).standard_normal((64, 8, 8, 64)).astype(np.float32)
    h = array(model(images))
    # 4 for the output layer's gain of 1 and the zeros that padding adds. A factor of 64 per layer is log 64^6 = 25.
    assert abs(math.log(4 * (h**2).mean())) < 3


def test_the_same_seed_gives_the_same_weights_again():
    model = disturbed(small())
    first, weights = init_weights(model, seed=1).reached, values_of(model)
    assert init_weights(model, seed=1).reached == first
    assert all(np.array_equal(*pair) for pair in zip(weights, values_of(model), strict=True))
    assert init_weights(model, seed=2).reached != first


def test_flags_and_global_state_stay():
    model, state = small(), np.random.get_state()[1].copy()
    flags = [variable.trainable for variable in model.weights]
    init_weights(model, seed=0)
    assert [variable.trainable for variable in model.weights] == flags
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_frozen_layers_stay():
    model = disturbed(small())
    model.get_layer("separable").trainable = False
    reached, left = init_weights(model, seed=0)
    assert sum("separable" in path for path in left) == 3 and not any("separable" in row.name for row in reached)
    assert all((array(variable) == 3).all() for variable in model.get_layer("separable").weights)


def test_a_tied_variable_is_drawn_once_with_the_smallest_std():
    class Tied(layers.Dense):
        """A layer that uses the kernel of another."""

        def build(self, input_shape):
            self._kernel, self.bias, self.built = first.kernel, None, True

    first = layers.Dense(16, use_bias=False)
    model = keras.Sequential([layers.Input((16,)), first, Tied(16)])
    (row,) = init_weights(model, seed=0).reached
    assert (row.rule, row.std_wanted) == ("output", 0.25)


def test_a_layer_used_twice_is_drawn_once():
    inputs, shared = layers.Input((4,)), layers.Dense(4, use_bias=False)
    model = keras.Model(inputs, shared(shared(inputs)))
    assert [row.rule for row in init_weights(model, seed=0).reached] == ["output"]


def test_layers_inside_a_custom_layer_are_found():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(4), layers.Dense(4)

        def call(self, x):
            return self.second(self.first(x))

    model = keras.Sequential([layers.Input((4,)), Block()])
    assert [row.rule for row in init_weights(model, seed=0).reached] == ["gain", "zero", "output", "zero"]


def test_gains_keep_a_preactivation_of_variance_one():
    """By the definition, on the laboratory's exact integrals; tanh has the gain that keeps the gradient at zero."""
    assert GAINS["tanh"] == 1.0
    for name in GAINS.keys() - {"tanh"}:
        function = getattr(keras.activations, name)
        options = {"approximate": False} if name == "gelu" else {}
        mean_square = gaussian_mean(lambda xi, phi=function, options=options: array(phi(xi, **options)) ** 2)
        assert GAINS[name] == pytest.approx(mean_square**-0.5, abs=1e-6), name


def test_the_fan_of_an_einsum_is_the_number_of_summands():
    for equation, shape, output_shape, fan_in in [
        ("abc,cde->abde", (5, 7), (5, 3, 2), 7),
        ("abde,dec->abc", (5, 3, 2), (5, 7), 6),
        ("...x,xy->...y", (5, 7), 4, 7),
    ]:
        layer = layers.EinsumDense(equation, output_shape)
        layer.build((None, *shape))
        layer.set_weights([np.ones(layer.kernel.shape)])
        counts = array(layer(np.ones((1, *shape), "float32")))
        assert (counts == true_fan_in(layer)).all() and true_fan_in(layer) == fan_in


def with_attention(**options) -> keras.Model:
    inputs = layers.Input((5, 128))
    attention = layers.MultiHeadAttention(4, 16, value_dim=8, name="attention", **options)
    return keras.Model(inputs, attention(layers.Dense(128, name="before")(inputs), inputs))


def test_projections_of_attention_have_gain_one_and_the_output_is_found_before_them():
    model = disturbed(with_attention())
    rows = {short(row.name): row for row in init_weights(model, seed=0).reached}
    for name, fan_in in [("query", 128.0), ("key", 128.0), ("value", 128.0), ("attention_output", 32.0)]:
        assert rows[f"{name}/kernel"][2:5] == ("linear", fan_in, 1 / math.sqrt(fan_in))
        assert rows[f"{name}/bias"].rule == "zero"
        assert rows[f"{name}/kernel"].std_measured == pytest.approx(1 / math.sqrt(fan_in), rel=0.05)
    assert rows["before/kernel"].rule == "output"


RECURRENT = [
    (layers.Bidirectional(layers.LSTM(8)), 4),
    (layers.RNN([layers.LSTMCell(8), layers.LSTMCell(8)]), 4),
    (layers.GRU(8), 3),
    (layers.GRU(8, reset_after=False), 3),
    (layers.SimpleRNN(8), 1),
]


@pytest.mark.parametrize(("layer", "gates"), RECURRENT, ids=lambda value: getattr(value, "name", ""))
def test_recurrent_kernels_are_orthogonal_in_every_gate_and_only_forget_gates_have_a_bias(layer, gates):
    model = disturbed(keras.Sequential([layers.Input((5, 6)), layer]))
    report = init_weights(model, seed=0).reached
    assert {row.rule for row in report} == {"linear", "orthogonal", "forget" if gates == 4 else "zero"}
    for row, variable in zip(report, model.weights, strict=True):
        values = array(variable)
        assert row.std_measured == pytest.approx(row.std_wanted, rel=0.35 if row.rule == "linear" else 0.05)
        if row.rule == "linear":
            assert (row.fan_in, row.std_wanted) == (len(values), 1 / math.sqrt(len(values)))
        if row.rule == "orthogonal":
            assert row.fan_in == 8
            assert values.shape == (8, gates * 8)
            for gate in np.split(values, gates, axis=1):
                np.testing.assert_allclose(gate.T @ gate, np.eye(8), atol=1e-6)
            assert len({gate.sum() for gate in np.split(values, gates, axis=1)}) == gates
        if row.rule == "forget":
            assert values.tolist() == [0] * 8 + [1] * 8 + [0] * 16


def test_every_rotation_is_as_likely():
    """A bare QR has a negative diagonal more often. The mean trace of 200 uniform rotations is 0 +- 6 / sqrt(200)."""
    model = keras.Sequential([layers.Input((1, 2)), layers.SimpleRNN(4, name="simple")])
    traces = []
    for seed in range(200):
        init_weights(model, seed=seed)
        traces.append(np.trace(array(model.layers[0].cell.recurrent_kernel)))
    assert abs(np.mean(traces)) < 6 / math.sqrt(200)


def test_what_keras_does_itself():
    """As the chapter says it: one orthogonal kernel for all gates, narrow embeddings, a forget gate with bias 1."""
    layer = layers.LSTM(64)
    layer.build((None, 5, 6))
    kernel = array(layer.cell.recurrent_kernel)
    assert kernel @ kernel.T == pytest.approx(np.eye(64), abs=1e-5)
    for gate in np.split(kernel, 4, axis=1):
        assert math.sqrt((gate**2).sum() / 64) == pytest.approx(0.5, rel=0.05)
    assert array(layer.cell.bias).reshape(4, 64).mean(axis=1).tolist() == [0, 1, 0, 0]
    embedding = layers.Embedding(200, 50)
    embedding.build()
    assert 0.049 < np.abs(array(embedding.embeddings)).max() <= np.float32(0.05)


def test_a_forget_gate_starts_open():
    """Zero input and state: the gate of an LSTM is sigmoid(1) = 0.731, so that much of the cell survives one step."""
    cell = layers.LSTMCell(8)
    model = keras.Sequential([layers.Input((5, 6)), layers.RNN(cell)])
    init_weights(model, seed=0)
    _, (_, after) = cell(np.zeros((1, 6), "float32"), [np.zeros((1, 8), "float32"), np.ones((1, 8), "float32")])
    assert array(after) == pytest.approx(np.full((1, 8), 1 / (1 + math.exp(-1))), abs=1e-6)


def test_what_no_rule_covers_is_left_and_told():
    model = keras.Sequential([layers.Input((5, 4, 1)), layers.ConvLSTM1D(3, 2), layers.Dense(8, name="lora")])
    model.layers[1].enable_lora(2)
    left = {short(path): why for path, why in init_weights(disturbed(model), seed=0).left.items()}
    assert left["conv_lstm_cell/kernel"] == left["lora/lora_kernel_a"] == "no rule covers it"


def test_the_output_layer_can_be_named():
    model = small()
    rules = {short(row.name): row.rule for row in init_weights(model, seed=0, output="hidden").reached}
    assert (rules["hidden/kernel"], rules["classes/kernel"]) == ("output", "gain")
    with pytest.raises(ValueError, match="gain .*-1"):
        init_weights(model, seed=0, gain=-1.0)
    with pytest.raises(ValueError, match=r"output .*\['separable', 'inner', 'hidden', 'classes'\], got 'logits'"):
        init_weights(model, seed=0, output="logits")


def test_a_name_that_two_models_use_means_the_last_of_both():
    parts = [keras.Sequential([layers.Input((4,)), layers.Dense(4, use_bias=False, name="same")]) for _ in range(2)]
    model = keras.Sequential([layers.Input((4,)), *parts])
    for output in ("same", None):
        assert [row.rule for row in init_weights(model, seed=0, output=output).reached] == ["gain", "output"]


def test_a_model_without_layers_is_fine():
    model = keras.Sequential([layers.Input((3,)), layers.LayerNormalization()])
    assert [row.rule for row in init_weights(model, seed=0).reached] == ["one", "zero"]


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="built.*'unfinished'"):
        init_weights(keras.Sequential([layers.Dense(3)], name="unfinished"), seed=0)


def test_the_first_layer_may_have_a_gain_of_one():
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64, name="a"), layers.Dense(64), layers.Dense(4)])
    report = init_weights(model, seed=0, gain=GAINS["silu"], first="a").reached
    assert [row.rule for row in report if row.fan_in] == ["linear", "gain", "output"]
    assert report[0].std_wanted == pytest.approx(1 / 8)
    with pytest.raises(ValueError, match="first must be one of .* got 'none'"):
        init_weights(model, seed=0, first="none")
    with pytest.raises(ValueError, match="gain must be positive and finite, got inf"):
        init_weights(model, seed=0, gain=float("inf"))


def test_a_layer_without_entries_is_left():
    model = keras.Sequential([keras.Input((0,)), layers.Dense(2)])
    assert "no rule covers it" in init_weights(model, seed=0).left.values()
