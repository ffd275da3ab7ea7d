"""How Keras draws first weights: its column on the page of differences, each cell measured, each code run."""

import keras
import numpy as np
import pytest
from keras import initializers, layers

from tests.laws import NORMAL, TRUNCATED
from tests.toolbox.measures import Law, Measures, MeasureTests, law, nearest, number, uniform
from tests.toolbox.tables import differences

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("seeded_keras")]

N, M, H, D = 300, 200, 100, 128
"""Inputs and outputs of a layer, units of an LSTM, width of attention."""

ROWS = differences("weights", "initializers")
NAMES = vars(layers) | vars(initializers) | {"n": N, "m": M, "h": H, "d": D, "shared": initializers.HeNormal()}
MEASURES = Measures(ROWS, NAMES)
row = MEASURES.row


def built(layer: keras.Layer, *shape: int) -> keras.Layer:
    layer.build((None, *shape))
    return layer


# The first weights


@row("linear layer: weight", "Dense(m)")
def linear_weight(make):
    glorot = uniform(r"$U(\pm\sqrt{6/(n+m)})$", (6 / (N + M)) ** 0.5)
    return law(built(make(), N).kernel, uniform(r"$U(\pm1/\sqrt n)$", N**-0.5), glorot)


@row("linear layer: bias", "Dense(m)")
def linear_bias(make):
    biases = np.concatenate([built(make(), N).bias for _ in range(50)])
    return law(biases, uniform(r"$U(\pm1/\sqrt n)$", N**-0.5))


@row("convolution: weight", "Conv2D(32, 3)")
def convolution_weight(make):
    n, m = 64 * 9, 32 * 9
    glorot = uniform(r"$U(\pm\sqrt{6/(n+m)})$", (6 / (n + m)) ** 0.5)
    return law(built(make(), 8, 8, 64).kernel, uniform(r"$U(\pm1/\sqrt n)$", n**-0.5), glorot)


@row("convolution: bias", "Conv2D(32, 3)")
def convolution_bias(make):
    return law(built(make(), 8, 8, 64).bias)


@row("embedding", "Embedding(1000, 64)")
def embedding(make):
    values = built(make()).embeddings
    return law(values, Law(r"$\mathcal N(0,1)$", 1.0, NORMAL), uniform(r"$U(\pm0.05)$", 0.05))


@row("LSTM: weight of the input", "LSTM(h)")
def lstm_input(make):
    glorot = uniform(r"$U(\pm\sqrt{6/(n+4h)})$", (6 / (N + 4 * H)) ** 0.5)
    return law(built(make(), 5, N).cell.kernel, uniform(r"$U(\pm1/\sqrt h)$", H**-0.5), glorot)


@row("LSTM: recurrent weight", "LSTM(h)")
def lstm_recurrent(make):
    kernel = np.asarray(built(make(), 5, N).cell.recurrent_kernel)
    assert kernel.shape == (H, 4 * H)
    return {True: "orthogonal, all gates as one matrix"}[np.allclose(kernel @ kernel.T, np.eye(H), atol=1e-5)]


@row("LSTM: bias of the forget gate", "LSTM(h)")
def forget_bias(make):
    input_gate, forget, cell, output = np.split(np.asarray(built(make(), 5, 4).cell.bias), 4)
    assert np.ptp(forget) == 0 and not np.any([input_gate, cell, output])
    return number(forget[0])


@row("LSTM: bias vectors", "LSTM(3)")
def bias_vectors(make):
    return str(sum("bias" in weight.name for weight in built(make(), 5, 4).weights))


def attention(layer: keras.Layer) -> keras.Layer:
    layer.build((None, 5, D), (None, 5, D))
    return layer


@row("attention: weights of queries, keys, values", "MultiHeadAttention(4, d // 4)")
def attention_inputs(make):
    old, glorot = uniform(r"$U(\pm\sqrt{6/4d})$", (6 / 4 / D) ** 0.5), uniform(r"$U(\pm\sqrt{6/2d})$", (3 / D) ** 0.5)
    query, _, key, _, value, *_ = attention(make()).weights
    (text,) = {law(kernel, old, glorot) for kernel in (query, key, value)}
    return text


@row("attention: weight of the output", "MultiHeadAttention(4, d // 4)")
def attention_output(make):
    old, glorot = uniform(r"$U(\pm1/\sqrt d)$", D**-0.5), uniform(r"$U(\pm\sqrt{6/2d})$", (3 / D) ** 0.5)
    return law(attention(make()).weights[-2], old, glorot)


# Initializers


@row("He, normal: `kaiming_normal_`, `HeNormal`", "HeNormal()")
def he_normal(make):
    sigma = (2 / N) ** 0.5
    cut = Law("normal, cut at 2.27 σ, std σ", sigma, TRUNCATED)
    return law(make()((N, M)), cut, Law("normal, std σ", sigma, NORMAL))


@row("truncated normal, asked for std 0.1: cut at", "TruncatedNormal(stddev=0.1)")
def truncated_at(make):
    return number(round(float(np.abs(make()((N, M))).max()), 2))


@row("truncated normal, asked for std 0.1: std", "TruncatedNormal(stddev=0.1)")
def truncated_std(make):
    std = float(np.std(make()((N, M))))
    return number(round(std, 3 if std < 0.095 else 2))


@row("normal without arguments: std", "RandomNormal()")
def plain_normal(make):
    return number(np.std(make()((N, M))), ".1g")


@row("uniform without arguments", "RandomUniform()")
def plain_uniform(make):
    weight = np.asarray(make()((N, M)))
    return f"from {number(round(float(weight.min()), 3))} to {number(round(float(weight.max()), 3))}"


@row("one initializer for two layers of one shape", "Dense(m, kernel_initializer=shared)")
def shared(make):
    first, second = (np.asarray(built(make(), N).kernel) for _ in range(2))
    return "the same weights twice" if (first == second).all() else "two draws"


@row("`fan_in` of a depthwise 3 × 3 convolution of 16 channels (9 in truth)",
     'DepthwiseConv2D(3, depthwise_initializer="he_normal")')  # fmt: skip
def depthwise_fan(make):
    draws = [built(make(), 8, 8, 16).kernel for _ in range(200)]
    return nearest(2 / np.var(draws), 9, 144)


class TestMeasures(MeasureTests):
    measures = MEASURES
