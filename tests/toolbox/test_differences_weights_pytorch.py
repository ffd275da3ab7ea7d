"""How PyTorch draws first weights: its column on the page of differences, each cell measured, each code run."""

import numpy as np
import pytest
import torch
from torch import nn

from snippets.vanishing_gradients.forget_bias_pytorch import set_forget_bias_
from snippets.xavier_initialization.packed_attention_pytorch import xavier_attention_
from tests.laws import NORMAL, TRUNCATED
from tests.toolbox.measures import Law, MeasureTests, PyTorchMeasures, law, nearest, number, uniform
from tests.toolbox.tables import differences

N, M, H, D = 300, 200, 100, 128
"""Inputs and outputs of a layer, units of an LSTM, width of attention."""

pytestmark = pytest.mark.usefixtures("seeded_pytorch")

ROWS = differences("weights", "initializers")
NAMES = {"torch": torch, "nn": nn, "n": N, "m": M, "h": H, "d": D}
NAMES |= {"set_forget_bias_": set_forget_bias_, "xavier_attention_": xavier_attention_}
MEASURES = PyTorchMeasures(ROWS, NAMES)
row = MEASURES.row


def values(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


# The first weights


@row("linear layer: weight", "nn.Linear(n, m)")
def linear_weight(make):
    glorot = uniform(r"$U(\pm\sqrt{6/(n+m)})$", (6 / (N + M)) ** 0.5)
    return law(values(make().weight), uniform(r"$U(\pm1/\sqrt n)$", N**-0.5), glorot)


@row("linear layer: bias", "nn.Linear(n, m)")
def linear_bias(make):
    biases = np.concatenate([values(make().bias) for _ in range(40)])
    return law(biases, uniform(r"$U(\pm1/\sqrt n)$", N**-0.5))


@row("convolution: weight", "nn.Conv2d(64, 32, 3)")
def convolution_weight(make):
    n, m = 64 * 9, 32 * 9
    glorot = uniform(r"$U(\pm\sqrt{6/(n+m)})$", (6 / (n + m)) ** 0.5)
    return law(values(make().weight), uniform(r"$U(\pm1/\sqrt n)$", n**-0.5), glorot)


@row("convolution: bias", "nn.Conv2d(64, 400, 3)")
def convolution_bias(make):
    biases = np.concatenate([values(make().bias) for _ in range(30)])
    return law(biases, uniform(r"$U(\pm1/\sqrt n)$", (64 * 9) ** -0.5))


@row("embedding", "nn.Embedding(1000, 64)")
def embedding(make):
    return law(values(make().weight), Law(r"$\mathcal N(0,1)$", 1.0, NORMAL), uniform(r"$U(\pm0.05)$", 0.05))


@row("LSTM: weight of the input", "nn.LSTM(n, h)")
def lstm_input(make):
    glorot = uniform(r"$U(\pm\sqrt{6/(n+4h)})$", (6 / (N + 4 * H)) ** 0.5)
    return law(values(make().weight_ih_l0), uniform(r"$U(\pm1/\sqrt h)$", H**-0.5), glorot)


@row("LSTM: recurrent weight", "nn.LSTM(n, h)")
def lstm_recurrent(make):
    weight = values(make().weight_hh_l0)
    if np.allclose(weight.T @ weight, np.eye(H), atol=1e-5):
        return "orthogonal, all gates as one matrix"
    return law(weight, uniform(r"$U(\pm1/\sqrt h)$", H**-0.5))


@row("LSTM: bias of the forget gate", "nn.LSTM(4, 400)")
def forget_bias(make):
    layer = make()
    bias = values(layer.bias_ih_l0 + layer.bias_hh_l0)[400:800]
    if np.ptp(bias) == 0:
        return number(bias[0])
    # Two uniform laws on ±1/20 add up to a triangular one of standard deviation 0.041: 0.008 is four standard errors.
    assert abs(bias.mean()) < 0.008 and bias.std() == pytest.approx(0.05 * (2 / 3) ** 0.5, rel=0.15)
    return "random, mean 0"


@row("LSTM: bias vectors", "nn.LSTM(4, 3)")
def bias_vectors(make):
    layer = make()
    count = sum(name.startswith("bias") for name, _ in layer.named_parameters())
    outputs = []
    for name in ("bias_ih_l0", "bias_hh_l0"):
        other = make()
        other.load_state_dict(layer.state_dict())
        getattr(other, name).data += 1.0
        outputs.append(values(other(torch.ones(2, 4))[0]))
    return f"{count}, which are added" if np.allclose(*outputs, atol=1e-6) else str(count)


@row("attention: weights of queries, keys, values", "nn.MultiheadAttention(d, 4)")
def attention_packed(make):
    old, glorot = uniform(r"$U(\pm\sqrt{6/4d})$", (6 / 4 / D) ** 0.5), uniform(r"$U(\pm\sqrt{6/2d})$", (3 / D) ** 0.5)
    (text,) = {law(values(block), old, glorot) for block in make().in_proj_weight.chunk(3)}
    return text


@row("attention: weight of the output", "nn.MultiheadAttention(d, 4)")
def attention_output(make):
    old, glorot = uniform(r"$U(\pm1/\sqrt d)$", D**-0.5), uniform(r"$U(\pm\sqrt{6/2d})$", (3 / D) ** 0.5)
    return law(values(make().out_proj.weight), old, glorot)


@row("He, normal: `kaiming_normal_`, `HeNormal`", 'nn.init.kaiming_normal_(torch.empty(m, n), nonlinearity="relu")')
def he_normal(make):
    sigma = (2 / N) ** 0.5
    cut = Law("normal, cut at 2.27 σ, std σ", sigma, TRUNCATED)
    return law(values(make()), cut, Law("normal, std σ", sigma, NORMAL))


@row("truncated normal, asked for std 0.1: cut at", "nn.init.trunc_normal_(torch.empty(m, n), std=0.1)")
def truncated_at(make):
    at_std_0_1 = make().abs().max().item()
    # A cut at 2 is 20 standard deviations away. Wider weights meet it.
    met = at_std_0_1 if at_std_0_1 < 0.3 else nn.init.trunc_normal_(torch.empty(M, N), std=10.0).abs().max().item()
    return number(round(met, 2))


@row("truncated normal, asked for std 0.1: std", "nn.init.trunc_normal_(torch.empty(m, n), std=0.1)")
def truncated_std(make):
    return number(make().std(), ".1g")


@row("normal without arguments: std", "nn.init.normal_(torch.empty(m, n))")
def plain_normal(make):
    return number(make().std(), ".1g")


@row("uniform without arguments", "nn.init.uniform_(torch.empty(m, n))")
def plain_uniform(make):
    weight = make()
    return f"from {number(round(weight.min().item(), 3))} to {number(round(weight.max().item(), 3))}"


@row("one initializer for two layers of one shape", "nn.init.kaiming_normal_")
def shared(make):
    initializer = make()
    first, second = (initializer(torch.empty(M, N)) for _ in range(2))
    return "the same weights twice" if torch.equal(first, second) else "two draws"


@row("`fan_in` of a depthwise 3 × 3 convolution of 16 channels (9 in truth)", "nn.Conv2d(16, 16, 3, groups=16)")
def depthwise_fan(make):
    weight = make().weight.data
    draws = [nn.init.kaiming_normal_(weight, nonlinearity="relu").clone() for _ in range(200)]
    return nearest(2 / torch.stack(draws).var().item(), 9, 144)


class TestMeasures(MeasureTests):
    measures = MEASURES
