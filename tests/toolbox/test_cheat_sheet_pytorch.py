"""Each line of PyTorch on the cheat sheet runs, and what it makes is what its row says."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snippets.activation_functions.gain_pytorch import forward_gain
from snippets.vanishing_gradients.forget_bias_pytorch import set_forget_bias_
from snippets.weight_initialization.looks_linear_pytorch import looks_linear_
from snippets.weight_initialization.lsuv_pytorch import lsuv_
from snippets.weight_initialization.output_bias_pytorch import softmax_bias
from snippets.weight_initialization.residual_scaling_pytorch import fixup_
from snippets.xavier_initialization.packed_attention_pytorch import projections, xavier_attention_
from tests.toolbox.cheats import Trials, cheats
from tests.toolbox.tables import TOOLBOX

pytestmark = pytest.mark.usefixtures("seeded_pytorch")

CHEATS = cheats()
FILES = {function.__name__: function for function in (
    forward_gain, set_forget_bias_, looks_linear_, lsuv_, softmax_bias, fixup_, xavier_attention_)}  # fmt: skip
TRIALS = Trials()
case = TRIALS.case


def run(code: str, **names: Any) -> Any:
    """What the line gives; it changes the `names` in place."""
    return eval(code, {"torch": torch, "nn": nn, "F": F} | FILES | names)


def values(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


@case("ReLU, linear or convolution, grouped too")
def rectifier(code):
    """A grouped convolution: 64 of 128 inputs, 9 entries."""
    w = nn.Conv2d(128, 96, 3, groups=2).weight
    run(code, w=w)
    return values(w), {"n": 64 * 9}


@case("leaky ReLU of slope `a`", "tanh", "sigmoid", "SELU", "GELU (SiLU: 1.677)", "Transformer, pre-LN: every weight",
      "its last weight of each branch", "embedding by itself", "output layer")  # fmt: skip
def linear(code):
    w = nn.Linear(300, 200).weight
    sizes = {"n": 300, "m": 200, "a": 0.3, "L": 12}
    run(code, w=w, **sizes)
    return values(w), sizes


@case("any other activation")
def other(code):
    """The output of each layer on the batch, before its activation."""
    model = nn.Sequential(nn.Linear(30, 40), nn.Mish(), nn.Linear(40, 20))
    batch = torch.randn(500, 30)
    run(code, model=model, batch=batch)
    return [values(model[:last](batch)).std() for last in (1, 3)], {}


@case("very deep, ReLU")
def very_deep(code):
    model = nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
    run(code, model=model)
    return values(model[2].weight), {"n": 200}


@case("very deep, tanh or linear")
def orthogonal(code):
    w = nn.Linear(200, 200).weight
    run(code, w=w)
    assert np.allclose(values(w) @ values(w).T, np.eye(200), atol=1e-5)
    return values(w), {"n": 200}


@case("depthwise convolution, ReLU")
def depthwise(code):
    w = nn.Conv2d(3000, 3000, 3, groups=3000).weight
    run(code, w=w)
    return values(w), {"k": 9}


@case("transposed convolution, ReLU")
def transposed(code):
    """The n that the row explains: input channels · k / stride²."""
    layer = nn.ConvTranspose2d(64, 48, 3, stride=2)
    sizes = {"n": 64 * 9 / 2**2}
    run(code, w=layer.weight, **sizes)
    return values(layer.weight), sizes


@case("convolution before batch norm, ReLU")
def before_batch_norm(code):
    w = nn.Conv2d(64, 96, 3, bias=False).weight
    run(code, w=w)
    return values(w), {"m": 96 * 9}


@case("last batch norm of a residual branch")
def last_batch_norm(code):
    norm = nn.BatchNorm2d(5)
    run(code, norm=norm)
    return values(norm.weight), {}


@case("last weight of a residual branch, no norm")
def last_weight(code):
    branches = [nn.Sequential(nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 9)) for _ in range(3)]
    run(code, branches=branches)
    assert all(branch[0].weight.any() for branch in branches)
    return [values(branch[2].weight) for branch in branches], {}


@case("attention by itself: each of Q, K, V, O")
def attention(code):
    layer = nn.MultiheadAttention(160, 4)
    run(code, attention=layer)
    stds = [values(weight).std() for _, weight in projections(layer)]
    assert len(stds) == 4 and max(stds) / min(stds) < 1.03
    return np.concatenate([values(weight) for _, weight in projections(layer)]), {"d": 160}


@case("LSTM, GRU: weight of the input")
def recurrent_input(code):
    w = nn.GRU(300, 100).weight_ih_l0
    run(code, w=w)
    return values(w), {"n": 300}


@case("recurrent weight, gate by gate")
def recurrent(code):
    w = nn.LSTM(30, 100).weight_hh_l0
    run(code, w=w, h=100)
    for gate in values(w).reshape(4, 100, 100):
        assert np.allclose(gate @ gate.T, np.eye(100), atol=1e-5)
    return values(w), {"h": 100}


@case("bias of the forget gate")
def forget_gate(code):
    lstm = nn.LSTM(3, 5)
    run(code, lstm=lstm)
    return values(lstm.bias_ih_l0 + lstm.bias_hh_l0)[5:10], {}


@case("its bias, unequal classes")
def output_bias(code):
    output, counts = nn.Linear(4, 3), torch.tensor([70, 20, 10])
    run(code, output=output, counts=counts)
    return values(output.bias), {"p": np.array([0.7, 0.2, 0.1])}


@case("clipping")
def clipping(code):
    model = nn.Linear(20, 20)
    (100.0 * model(torch.ones(1, 20)).sum()).backward()
    run(code, model=model)
    return sum(float(parameter.grad.square().sum()) for parameter in model.parameters()) ** 0.5, {}


def test_every_row_is_tried():
    assert set(TRIALS.known) == set(CHEATS)


@pytest.mark.parametrize("network", CHEATS)
def test_the_line_does_what_the_row_says(network):
    TRIALS.check(CHEATS[network], CHEATS[network].pytorch)


def test_the_gains_are_those_of_the_integrals():
    text = (TOOLBOX / "cheat-sheet.md").read_text(encoding="utf-8")
    assert f"std `{forward_gain(F.gelu):.3f} * √(1 / n)`" in text
    assert f"(SiLU: {forward_gain(F.silu):.3f})" in text
    assert "n = input channels · k / stride²" in text, "as the trial of the transposed convolution counts it"
