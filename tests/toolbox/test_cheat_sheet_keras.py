"""Each line of Keras on the cheat sheet runs, and what it makes is what its row says."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import initializers, layers, optimizers

from snippets.activation_functions.gain_keras import forward_gain
from snippets.weight_initialization.init_weights_keras import init_weights
from snippets.weight_initialization.looks_linear_keras import looks_linear
from snippets.weight_initialization.lsuv_keras import lsuv
from snippets.weight_initialization.output_bias_keras import softmax_bias
from snippets.weight_initialization.residual_scaling_keras import fixup
from tests.toolbox.cheats import Trials, cheats

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("seeded_keras")]

CHEATS = cheats()
FILES = {function.__name__: function for function in (
    forward_gain, init_weights, looks_linear, lsuv, softmax_bias, fixup)}  # fmt: skip
TRIALS = Trials()
case = TRIALS.case


def run(code: str, **names: Any) -> Any:
    """What the line gives; it changes the `names` in place."""
    return eval(code, vars(layers) | vars(initializers) | vars(optimizers) | FILES | names)


def built(layer: keras.Layer, *shape: int) -> keras.Layer:
    layer.build((None, *shape))
    return layer


@case("ReLU, linear or convolution, grouped too")
def rectifier(code):
    """The dense line, and its initializer in a grouped convolution: 64 of 128 inputs, 9 entries."""
    initializer = run(code, units=96).kernel_initializer
    layer = built(layers.Conv2D(96, 3, groups=2, kernel_initializer=initializer), 8, 8, 128)
    return layer.kernel, {"n": 64 * 9}


@case("tanh", "SELU", "very deep, tanh or linear", "output layer")
def dense(code):
    layer = built(run(code, units=200, classes=200), 200)
    return layer.kernel, {"n": 200, "m": 200}


@case("leaky ReLU of slope `a`", "sigmoid", "GELU (SiLU: 1.677)", "Transformer, pre-LN: every weight",
      "its last weight of each branch")  # fmt: skip
def initializer(code):
    sizes = {"n": 300, "m": 200, "a": 0.3, "L": 12}
    return run(code, **sizes)((300, 200)), sizes


@case("any other activation")
def other(code):
    """The output of each layer on the batch, before its activation."""
    model = keras.Sequential([keras.Input((30,)), layers.Dense(40, "mish"), layers.Dense(20)])
    batch = np.random.default_rng(0).standard_normal((500, 30)).astype(np.float32)
    run(code, model=model, batch=batch)
    first, second = model.layers
    outputs = batch @ np.asarray(first.kernel), first(batch) @ second.kernel
    return [np.std(output) for output in outputs], {}


@case("very deep, ReLU")
def very_deep(code):
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(200, "relu"), layers.Dense(200, "relu"), layers.Dense(10)]
    )
    run(code, model=model)
    return model.layers[1].kernel, {"n": 200}


@case("depthwise convolution, ReLU")
def depthwise(code):
    return built(run(code, k=9), 8, 8, 3000).kernel, {"k": 9}


@case("transposed convolution, ReLU")
def transposed(code):
    """The n that the row explains: input channels · k / stride²."""
    sizes = {"n": 64 * 9 / 2**2}
    return built(run(code, units=48, **sizes), 8, 8, 64).kernel, sizes


@case("convolution before batch norm, ReLU")
def before_batch_norm(code):
    layer = built(run(code, units=96), 8, 8, 64)
    assert layer.bias is None
    return layer.kernel, {"m": 96 * 9}


@case("last batch norm of a residual branch")
def last_batch_norm(code):
    return built(run(code), 5).gamma, {}


@case("last weight of a residual branch, no norm")
def last_weight(code):
    branches = [[built(layers.Dense(9, "relu"), 9), built(layers.Dense(9), 9)] for _ in range(3)]
    run(code, branches=branches)
    assert all(np.any(first.kernel) for first, _ in branches)
    return [np.asarray(last.kernel) for _, last in branches], {}


@case("attention by itself: each of Q, K, V, O")
def attention(code):
    layer = run(code, heads=4, d=160)
    layer.build((None, 5, 160), (None, 5, 160))
    kernels = [np.asarray(weight).ravel() for weight in layer.weights if weight.name == "kernel"]
    stds = [kernel.std() for kernel in kernels]
    assert len(stds) == 4 and max(stds) / min(stds) < 1.03
    return np.concatenate(kernels), {"d": 160}


@case("embedding by itself")
def embedding(code):
    return built(run(code, words=1000, d=64)).embeddings, {}


@case("LSTM, GRU: weight of the input")
def recurrent_input(code):
    return built(run(code, h=100), 5, 300).cell.kernel, {"n": 300}


@case("recurrent weight, gate by gate")
def recurrent(code):
    model = keras.Sequential([keras.Input((5, 30)), layers.LSTM(100), layers.Dense(2)])
    run(code, model=model)
    kernel = np.asarray(model.layers[0].cell.recurrent_kernel)
    for gate in np.split(kernel, 4, axis=1):
        assert np.allclose(gate @ gate.T, np.eye(100), atol=1e-5)
    return kernel, {"h": 100}


@case("bias of the forget gate")
def forget_gate(code):
    return np.split(np.asarray(built(run(code, h=5), 4, 3).cell.bias), 4)[1], {}


@case("its bias, unequal classes")
def output_bias(code):
    output = built(layers.Dense(3), 4)
    run(code, output=output, counts=np.array([70, 20, 10]))
    return output.bias, {"p": np.array([0.7, 0.2, 0.1])}


@case("clipping")
def clipping(code):
    """The norm of the gradient as the first step of Adam takes it over into its mean: a tenth of it."""
    optimizer = run(code)
    variables = [keras.Variable(np.zeros(3, np.float32)) for _ in range(2)]
    optimizer.build(variables)
    optimizer.apply([keras.ops.full((3,), 100.0), keras.ops.full((3,), -50.0)], variables)
    means = [np.asarray(mean) for mean in optimizer._momentums]
    return 10 * np.linalg.norm(np.concatenate(means)), {}


def test_every_row_is_tried():
    assert set(TRIALS.known) == set(CHEATS)


@pytest.mark.parametrize("network", CHEATS)
def test_the_line_does_what_the_row_says(network):
    TRIALS.check(CHEATS[network], CHEATS[network].keras)


def test_orthogonal_is_orthogonal():
    kernel = np.asarray(built(run(CHEATS["very deep, tanh or linear"].keras, units=200), 200).kernel)
    assert np.allclose(kernel @ kernel.T, np.eye(200), atol=1e-5)
