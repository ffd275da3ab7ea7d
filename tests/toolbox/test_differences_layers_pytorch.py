"""How PyTorch's layers work: its column on the page of differences, each cell measured, each line of code run."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.toolbox.measures import MeasureTests, PyTorchMeasures, axes, number
from tests.toolbox.tables import differences

pytestmark = pytest.mark.usefixtures("seeded_pytorch")

ROWS = differences("axes", "activations", "normalization")
NAMES = {"torch": torch, "nn": nn, "F": F, "partial": partial, "np": np}
MEASURES = PyTorchMeasures(ROWS, NAMES)
row = MEASURES.row


# Axes and shapes


@row("linear layer: axes of the weight", "nn.Linear(4, 3).weight.detach().numpy()")
def linear_axes(make):
    return axes(make().shape, **{"in": 4, "out": 3})


@row("convolution: axes of the weight", "nn.Conv2d(4, 5, (2, 3)).weight.detach().numpy()")
def convolution_axes(make):
    return axes(make().shape, **{"in": 4, "out": 5, "height": 2, "width": 3})


@row("depthwise convolution: axes of the weight", "nn.Conv2d(4, 4, (2, 3), groups=4).weight.detach().numpy()")
def depthwise_axes(make):
    return axes(make().shape, channel=4, height=2, width=3)


@row("batch of images", "np.zeros((2, 4, 5, 7), np.float32)")
def images(make):
    batch = make()
    if batch.shape[1] == 4:
        nn.Conv2d(4, 1, 1)(torch.from_numpy(batch))  # raises for any other order
    return axes(batch.shape, batch=2, channel=4, height=5, width=7)


@row("flattened image", "nn.Flatten()")
def flattened(make):
    entries = make()(torch.arange(12.0).reshape(1, 3, 2, 2))[0]  # 4 of each channel
    return "channel after channel" if entries[:4].tolist() == [0, 1, 2, 3] else "pixel after pixel"


@row("zeros around 6 × 6 pixels, stride 2, 3 × 3: PyTorch `padding=1`, Keras `\"same\"`",
     "nn.Conv2d(1, 1, 3, stride=2, padding=1)")  # fmt: skip
def padding(make):
    layer = make()
    for parameter in layer.parameters():
        nn.init.constant_(parameter, float(parameter.ndim == 4))
    sums = layer(torch.ones(1, 1, 6, 6))[0, 0]
    assert sums.shape == (3, 3)
    return {(4.0, 9.0): "above and left", (9.0, 4.0): "below and right"}[sums[0, 0].item(), sums[-1, -1].item()]


@row("zeros in the mean of average pooling at the border", "nn.AvgPool2d(3, 1, padding=1)")
def pooling(make):
    corner = make()(torch.ones(1, 1, 6, 6))[0, 0, 0, 0].item()
    return {True: "counted", False: "left out"}[corner == pytest.approx(4 / 9)]


@row("batch of sequences", "nn.LSTM(4, 3)")
def sequences(make):
    _, (state, _) = make()(torch.zeros(5, 2, 4))  # the state has one entry per sequence
    return {2: "step, batch, feature", 5: "batch, step, feature"}[state.shape[1]]


@row("a recurrent layer returns", "nn.LSTM(4, 3)")
def returned(make):
    outputs, _ = make()(torch.zeros(5, 2, 4))
    return "every step" if outputs.shape == (5, 2, 3) else "the last step"


@row("GRU: order of the gates", "nn.GRU(1, 1)")
def gru_gates(make):
    """Which third of the bias does what: an open update gate keeps the state, a closed one shows reset and new."""
    effects = {}
    for third in range(3):
        layer = make()
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
        layer.weight_hh_l0.data[2] = 1.0  # the new state sees the old one, as far as the reset gate lets it
        layer.bias_ih_l0.data[third] = 20.0
        effects[third] = layer(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 0.5))[0].item()
    kept = min(effects, key=lambda third: abs(effects[third] - 0.5))
    new = max(effects, key=lambda third: effects[third])
    assert kept != new
    return ", ".join("update" if third == kept else "new" if third == new else "reset" for third in range(3))


@row("leaky ReLU, layer: slope", "nn.LeakyReLU()")
def leaky_layer(make):
    return number(-make()(torch.tensor(-1.0)))


@row("leaky ReLU, function: slope", "F.leaky_relu")
def leaky_function(make):
    return number(-make()(torch.tensor(-1.0)))


@row("PReLU: first slope", "nn.PReLU()")
def prelu_slope(make):
    return number(abs(make()(torch.tensor([-1.0])).item()))


@row("PReLU on 8 × 4 × 4: slopes", "nn.PReLU()")
def prelu_count(make):
    return str(make().weight.numel())


@row("GELU, function: `F.gelu`, `keras.ops.gelu`", "F.gelu")
def gelu(make):
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    exact = x * torch.special.ndtr(x)
    tanh = 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    y = make()(x)
    fits = torch.allclose(y, exact), torch.allclose(y, tanh)
    return {(True, False): "exact", (False, True): "approximation by tanh"}[fits]


@row("cross-entropy takes", "nn.CrossEntropyLoss()")
def cross_entropy(make):
    probabilities = torch.tensor([[0.2, 0.8]])
    loss = make()(probabilities.log() + 3.0, torch.tensor([1])).item()
    return "logits" if loss == pytest.approx(-np.log(0.8)) else "probabilities"


@row("weighted cross-entropy: divisor of the sum", "F.cross_entropy")
def weighted(make):
    logits, labels, weights = torch.tensor([[2.0, 0], [0, 1.0]]), torch.tensor([0, 1]), torch.tensor([1.0, 3.0])
    summed = (F.cross_entropy(logits, labels, reduction="none") * weights).sum().item()
    divisor = summed / make()(logits, labels, weights).item()
    return {4: "sum of the weights", 2: "number of examples"}[round(divisor, 4)]


@row("batch norm: default `momentum`", "nn.BatchNorm1d(4)")
def batch_norm_momentum(make):
    layer = make()
    layer(torch.ones(8, 4))
    new = layer.running_mean[0].item()
    assert new == pytest.approx(layer.momentum)
    return {0.1: "0.1 of the new value", 0.01: "0.99 of the old value"}[round(new, 6)]


@row("batch norm: ε", "nn.BatchNorm1d(4)")
def batch_norm_eps(make):
    """At test time with the first running statistics: y = x / sqrt(1 + ε)."""
    layer, x = make().eval().double(), torch.ones(1, 4, dtype=torch.float64)
    return number(1 / layer(x)[0, 0].item() ** 2 - 1, ".3g")


@row("batch norm: divisor of the stored variance", "nn.BatchNorm1d(1, momentum=1.0)")
def batch_norm_variance(make):
    layer = make()
    layer(torch.tensor([[-1.0], [1.0]]))
    return {2.0: "N − 1", 1.0: "N"}[round(layer.running_var.item(), 4)]


def epsilon(layer: nn.Module, x: float) -> str:
    """ε of a layer that has seen ±x, of mean 0: y = x / sqrt(x² + ε). In float64, for all its digits."""
    y = layer.double()(torch.tensor([[x, -x, x, -x]], dtype=torch.float64))[0, 0].item()
    return number((x / y) ** 2 - x**2, ".3g")


@row("layer norm: ε", "nn.LayerNorm(4)")
def layer_norm_eps(make):
    return epsilon(make(), 0.001)


@row("group norm: ε", "nn.GroupNorm(2, 4)")
def group_norm_eps(make):
    return epsilon(make(), 0.001)


@row("RMS norm: ε in float32", "nn.RMSNorm(4)")
def rms_norm_eps(make):
    y = make()(torch.full((1, 4), 1e-4))[0, 0].item()
    return number(1e-8 / y**2 - 1e-8, ".3g")


@row("mode of a plain call, as dropout shows it", "nn.Dropout(0.5)")
def mode(make):
    return "inference" if torch.equal(make()(torch.ones(1000)), torch.ones(1000)) else "training"


@row("a batch in float64 for a float32 layer", "nn.Linear(3, 2)")
def double_batch(make):
    layer = make()
    try:
        return "is cast" if layer(torch.ones(1, 3, dtype=torch.float64)) is not None else ""
    except RuntimeError as error:
        assert "dtype" in str(error)
        return "error"


class TestMeasures(MeasureTests):
    measures = MEASURES
