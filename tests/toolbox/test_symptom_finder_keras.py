"""The tests that the symptom finder offers for Keras: each tells a network with the fault from one without it."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from keras.initializers import VarianceScaling

from snippets.activation_functions.unit_health_keras import unit_health
from snippets.exploding_gradients.clip_gradients_keras import global_norm
from snippets.exploding_gradients.finite_guard_keras import first_non_finite_layer
from snippets.vanishing_gradients.forget_bias_keras import set_forget_bias
from snippets.vanishing_gradients.layer_gradients_keras import factor_per_layer, layer_gradients
from tests.toolbox.tables import code, sections

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("seeded_keras")]

SECTIONS = sections("symptom-finder.md")
FILES = (unit_health, global_norm, first_non_finite_layer, factor_per_layer, layer_gradients)
NAMES = {"keras": keras, "ops": ops, "tf": tf, "np": np, "math": math} | {
    function.__name__: function for function in FILES
}


@pytest.fixture
def run(capsys):
    """Run the code of a section; the lines that it prints."""

    def run_code(section: str, number: int = 0, **names) -> list[str]:
        draw = np.random.default_rng(1)
        batch = {"inputs": draw.standard_normal((64, 20)).astype(np.float32), "labels": draw.integers(0, 10, 64)}
        exec(code(SECTIONS[section], "Keras")[number], NAMES | batch | names)
        return capsys.readouterr().out.splitlines()

    return run_code


def network(depth: int = 4, activation: str = "relu", scale: float = 2**0.5, last: float = 0.3) -> keras.Model:
    """Layers of 64 units with normal weights of `scale` / sqrt(fan_in), the last layer of `last` / sqrt(fan_in)."""

    def dense(units: int, scale: float, activation: str | None) -> layers.Dense:
        initializer = VarianceScaling(scale**2, "fan_in", "untruncated_normal")
        return layers.Dense(units, activation, kernel_initializer=initializer)

    hidden = [dense(64, scale, activation) for _ in range(depth - 1)]
    return keras.Sequential([keras.Input((20,)), *hidden, dense(10, last, None)])


def with_dead_layer() -> keras.Model:
    model = network()
    model.layers[1].bias.assign(ops.full((64,), -100.0))
    return model


def test_nan(run):
    assert run("nan", model=network()) == ["True", "None"]
    finite, layer = run("nan", model=network(depth=30, scale=1e4))
    assert finite == "True" and "dense" in layer
    with pytest.raises(ValueError, match="NaN"):
        run("nan", model=network(), inputs=np.full((64, 20), np.nan, np.float32))


def test_first_loss(run):
    loss, guess, std = map(float, run("first-loss", model=network())[0].split())
    assert guess == pytest.approx(math.log(10)) and abs(loss - guess) < 0.2 and std < 0.5
    loss, guess, std = map(float, run("first-loss", model=network(depth=12, scale=4.0))[0].split())
    assert loss > 10 * guess and std > 10


def test_flat_gradients(run):
    *rows, factor = run("flat", model=network())
    assert len(rows) == 4 and 0.7 < float(factor) < 1.4
    assert float(run("flat", model=network(10, "sigmoid", 1.0))[-1]) < 0.4
    assert float(run("flat", model=network(10, scale=4.0))[-1]) > 2
    with pytest.raises(ValueError, match=r"output_rms=0\.0"):
        run("flat", model=with_dead_layer())


def test_flat_outputs(run):
    assert float(run("flat", 1, model=network())[0]) > 0.1
    model = network(30, last=1.0)
    for layer in model.layers:
        layer.kernel.assign(layer.kernel * 0.408)
        layer.bias.assign(0.1 * np.random.default_rng(0).standard_normal(layer.bias.shape))
    assert float(run("flat", 1, model=model)[0]) < 0.01


def test_flat_step(run):
    changes = {}
    for rate in (0.01, 1e-7, 0.0):
        model = network()
        model.compile(
            keras.optimizers.SGD(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        changes[rate] = float(run("flat", 2, model=model)[0].split()[1])
    assert 1e-5 < changes[0.01] < 1e-2 and changes[1e-7] < 1e-6 and changes[0.0] == 0.0


def test_plateau(run):
    sums, *ratios = run("plateau", model=network())
    assert "[1. 1. 1.]" not in sums and all(float(line.split()[1]) > 0.3 for line in ratios)
    with_softmax = keras.Sequential([network(), layers.Softmax()])
    sums, *_ = run("plateau", model=with_softmax)
    assert np.allclose([float(number) for number in sums.split("[")[1].split("]")[0].split()], 1.0)
    constant = network()
    constant.layers[1].kernel.assign(ops.full((64, 64), 0.1))
    assert float(run("plateau", model=constant)[2].split()[1]) < 1e-5


def test_spikes(run):
    assert 0 < float(run("spikes", model=network())[0]) < 10 < float(run("spikes", model=network(12, scale=4.0))[0])


def test_dead(run):
    rows = run("dead", model=network())
    assert len(rows) >= 3 and all(float(row.split()[1]) < 0.1 for row in rows)
    assert run("dead", model=with_dead_layer())[1].split()[1] == "1.0"


def test_copies(run):
    shared = keras.initializers.HeNormal()
    pairs = {}
    for how in (shared, "he_normal"):
        pair = [layers.Dense(3, kernel_initializer=how) for _ in range(2)]
        for layer in pair:
            layer.build((None, 3))
        pairs[how] = run("copies", first=pair[0], second=pair[1])
    assert pairs == {shared: ["True"], "he_normal": ["False"]}


def test_memory(run):
    inputs = np.random.default_rng(0).standard_normal((4, 40, 8)).astype(np.float32)
    lstm = layers.LSTM(32)
    lstm.build(inputs.shape)

    def kept() -> float:
        printed = " ".join(run("memory", lstm=lstm, inputs=inputs))
        first, *_, last = map(float, printed.split("[")[1].split("]")[0].split())
        return first / last

    set_forget_bias(lstm, 0.0)
    closed = kept()
    set_forget_bias(lstm, 3.0)
    assert closed < 1e-6 and kept() > 1e3 * closed


def test_eval(run):
    assert len(set(run("eval", model=network()))) == 1
    normalized = keras.Sequential(
        [keras.Input((20,)), layers.Dense(30), layers.BatchNormalization(), layers.ReLU(), layers.Dense(10)]
    )
    normalized.layers[0].kernel.assign(20.0 * normalized.layers[0].kernel)
    before = normalized.get_weights()
    evaluation, training = map(float, run("eval", model=normalized))
    assert evaluation > training + 0.5
    assert all((value == old).all() for value, old in zip(normalized.get_weights(), before, strict=True))


def test_regression(run):
    model = keras.Sequential([keras.Input((20,)), network(), layers.Dense(1)])
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((64, 20)).astype(np.float32)
    same, outputs, targets, column = run("regression", model=model, inputs=inputs, targets=draw.normal(size=(64, 1)))
    low, high = map(float, outputs.split())
    assert same == "True" and low < 0 < high and 0.8 < float(targets.split()[2]) < 1.2 and float(column) < 1.5
    inputs[:, 3] = 240.0
    faulty = keras.Sequential([keras.Input((20,)), model, layers.ReLU()])
    targets = draw.normal(size=64) - 5
    same, outputs, targets, column = run("regression", model=faulty, inputs=inputs, targets=targets)
    assert same == "False" and float(outputs.split()[0]) >= 0 > float(targets.split()[0]) and float(column) == 240


def test_weights(run):
    model = network()
    sizes = [float(line.split()[1]) for line in run("weights", model=model)]
    assert len(sizes) == 8 and max(sizes) < 1
    hidden = keras.Sequential([keras.Input((20,)), layers.Dense(20)])
    model.layers[0].bias.assign(np.full(64, 3.7e30))
    inputs = keras.Input((20,))
    faulty = keras.Model(inputs, model(layers.Lambda(lambda x: hidden(x), output_shape=(20,))(inputs)))
    sizes = [float(line.split()[1]) for line in run("weights", model=faulty)]
    assert len(sizes) == 8 and not max(sizes) < 1e4


def test_mixed(run):
    assert run("mixed", model=network()) == ["0.0"]
    over_examples = keras.Sequential([keras.Input((20,)), network(), layers.Softmax(0)])
    assert float(run("mixed", model=over_examples)[0]) > 1e-4


def test_decay(run):
    assert all(float(line.split()[1]) < 0.5 for line in run("decay", model=network(), decay=1e-4))
    pulls = [float(line.split()[1]) for line in run("decay", model=network(), decay=1.0) if "kernel" in line]
    assert min(pulls[:3]) > 1  # the last layer's gradient is the largest


def test_loss(run):
    """A tanh, labels of -1, and an index that is read for all examples, beside the same as they should be."""
    draw = np.random.default_rng(0)
    targets = draw.integers(2, size=(64, 1)).astype("float32")
    binary = keras.Sequential([network(), layers.Dense(1, kernel_initializer=VarianceScaling(100.0))])
    given = {"model": binary, "targets": targets, "loss_fn": keras.losses.BinaryCrossentropy(from_logits=True)}
    shapes, outputs, labels, slopes = run("loss", **given)
    assert shapes == "(64, 1) (64, 1)" and labels == "0.0 1.0" and slopes.split()[0] == "64"
    assert max(abs(float(number)) for number in outputs.split()) > 1
    faulty = given | {"model": keras.Sequential([binary, layers.Activation("tanh")]), "targets": 2 * targets - 1}
    _, outputs, labels, _ = run("loss", **faulty)
    assert all(abs(float(number)) <= 1 for number in outputs.split()) and labels == "-1.0 1.0"
    chosen = {"model": network(), "targets": draw.integers(10, size=64)}
    one = run("loss", loss_fn=lambda a, q: ops.mean(ops.take_along_axis(q, a[:, None], axis=1) ** 2), **chosen)
    square = run("loss", loss_fn=lambda a, q: ops.mean(ops.take(q, a, axis=1) ** 2), **chosen)
    assert one[-1].split()[0] == "64" and square[-1].split()[0] == "640"


@pytest.mark.parametrize(("shift", "both"), [(0, False), (1, False), (2, False), (1, True)])
def test_language(run, shift, both):
    text = np.random.default_rng(0).integers(50, size=(8, 14))
    rnn = layers.GRU(16, return_sequences=True)
    hidden = layers.Bidirectional(rnn) if both else rnn
    model = keras.Sequential([keras.Input((12,), dtype="int32"), layers.Embedding(50, 16), hidden, layers.Dense(50)])
    given = {"tokens": text[:, :12], "targets": text[:, shift : shift + 12], "model": model}
    *shares, change = map(float, run("language", **given))
    assert [share == 1 for share in shares] == [place == shift for place in range(3)]
    assert (change > 1e-4) == both
