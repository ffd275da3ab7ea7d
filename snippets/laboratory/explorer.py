"""The network of the explorer in PyTorch: the truth that the engine in the browser is held to.

    z_l = W_l h_{l-1} + b_l,   then batch normalization of z_l where asked for (batch statistics, no scale and shift),
    h_l = phi(z_l),            or with skip connections h_l = h_{l-1} + branch_scale phi(z_l)

The twin of `docs/javascripts/explorer/engine.js` and `train.js`; both draw their weights from the generator of
`threefry.py`, so that both run the same network.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snippets.laboratory.digits import Digits
from snippets.laboratory.threefry import Stream, normal, uniform, unit_weights, words

BATCH = 32
TRAINING_BATCH = 64
CLASSES = 10
EPSILON = 1e-5
SATURATED = 0.05

ACTIVATIONS = {
    "identity": lambda z: 1.0 * z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
    "selu": functional.selu,
}

DEVIATIONS = {
    "lecun": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "xavier": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "pytorch": lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in)),
    "small": lambda fan_in, fan_out: 0.01,
    "unit": lambda fan_in, fan_out: 1.0,
}
"""Standard deviation of the weights by the name of the scheme."""


class Settings(NamedTuple):
    """What the controls of the explorer set; `docs/javascripts/explorer/types.js` says what each means."""

    depth: int = 30
    width: int = 64
    activation: str = "relu"
    scheme: str = "xavier"
    gain: float = 1.0
    distribution: str = "normal"
    bias: float | str = 0.0
    batch_norm: bool = False
    skip: bool = False
    branch_scale: float = 1.0
    seed: int = 0
    learning_rate: float = 0.02
    precision: str = "float32"

    @property
    def dtype(self) -> torch.dtype:
        return {"float32": torch.float32, "float64": torch.float64}[self.precision]


class Pass(NamedTuple):
    """Lists with one entry per layer, layer 1 first."""

    activations: list[Tensor]
    """h_l, shape (32, width)."""

    preactivations: list[Tensor]
    """W_l h_{l-1} + b_l, before batch normalization, shape (32, width)."""

    gradients: list[Tensor]
    """dL/dh_l, shape (32, width), for L = sum(G h_L) with unit normal G."""

    weight_gradients: list[Tensor]
    """dL/dW_l, shape (width, width)."""

    saturated: list[float]
    """Fraction of entries with |phi'(z)| under 0.05 times the largest slope."""

    dead: list[float]
    """Fraction of units with phi'(z) = 0 for every input."""


def draw_layer(
    settings: Settings, index: int, fan_in: int, fan_out: int
) -> tuple[Tensor, Tensor]:
    """Weight, shape (fan_out, fan_in), and bias, shape (fan_out,), of layer `index`."""
    deviation = settings.gain * DEVIATIONS[settings.scheme](fan_in, fan_out)
    weight = deviation * unit_weights(
        settings.distribution, settings.seed, index, fan_out, fan_in
    )
    if settings.bias == "pytorch":
        bias = uniform(settings.seed, Stream.BIAS, index, fan_out) / math.sqrt(
            3 * fan_in
        )
    else:
        bias = settings.bias * normal(settings.seed, Stream.BIAS, index, fan_out)
    return torch.tensor(weight, dtype=settings.dtype), torch.tensor(
        bias, dtype=settings.dtype
    )


def draw_inputs(settings: Settings) -> Tensor:
    """Unit normal, shape (32, width), but for the second row: it is at 60 degrees to the first, and as long."""
    inputs = normal(settings.seed, Stream.INPUT, 0, BATCH * settings.width).reshape(
        BATCH, settings.width
    )
    first, second = inputs[:2]
    across = second - (first @ second) / (first @ first) * first
    inputs[1] = (
        0.5 * first + math.sqrt(0.75 * (first @ first) / (across @ across)) * across
    )
    return torch.tensor(inputs, dtype=settings.dtype)


def run_layer(
    settings: Settings, h: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """h_l, W_l h_{l-1} + b_l, and what the activation function is applied to. A skip connection needs equal shapes."""
    preactivation = z = functional.linear(h, weight, bias)
    if settings.batch_norm:
        z = functional.batch_norm(z, None, None, training=True, eps=EPSILON)
    out = ACTIVATIONS[settings.activation](z)
    if settings.skip and out.shape == h.shape:
        out = h + settings.branch_scale * out
    return out, preactivation, z


def run(settings: Settings) -> Pass:
    """One forward and one backward pass."""
    h = draw_inputs(settings)
    weights, activations, preactivations, slopes = [], [], [], []
    for index in range(1, settings.depth + 1):
        weight, bias = draw_layer(settings, index, settings.width, settings.width)
        weights.append(weight.requires_grad_())
        h, preactivation, z = run_layer(settings, h, weight, bias)
        activations.append(h)
        preactivations.append(preactivation.detach())
        slopes.append(slope(settings.activation, z))
    top = normal(settings.seed, Stream.GRADIENT, 0, h.numel()).reshape(h.shape)
    gradients = torch.autograd.grad(
        h, [*activations, *weights], torch.tensor(top, dtype=settings.dtype)
    )
    limit = (
        SATURATED
        * slope(settings.activation, torch.linspace(-10.0, 10.0, 20_001)).abs().max()
    )
    return Pass(
        [h.detach() for h in activations],
        preactivations,
        list(gradients[: settings.depth]),
        list(gradients[settings.depth :]),
        [(values.abs() < limit).double().mean().item() for values in slopes],
        [(values == 0.0).all(dim=0).double().mean().item() for values in slopes],
    )


def slope(activation: str, z: Tensor) -> Tensor:
    """phi'(z), elementwise."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(ACTIVATIONS[activation](z).sum(), z)[0]


def train(settings: Settings, data: Digits, steps: int) -> tuple[list[float], float]:
    """Losses in nats, each of a batch of 64 digits before its step of plain SGD, and the accuracy on the test digits.

    The hidden layers stand between the 64 pixels and a linear readout, which is drawn as they are, as layer 0.
    """
    linear = settings._replace(activation="identity", batch_norm=False, skip=False)
    widths = [data.train_inputs.shape[1]] + [settings.width] * settings.depth
    layers = [
        (settings, *draw_layer(settings, index, fan_in, settings.width))
        for index, fan_in in enumerate(widths[:-1], 1)
    ]
    layers.append((linear, *draw_layer(linear, 0, settings.width, CLASSES)))
    parameters = [
        parameter.requires_grad_() for _, *both in layers for parameter in both
    ]

    def logits(h: np.ndarray) -> Tensor:
        h = torch.tensor(h, dtype=settings.dtype)
        for own, weight, bias in layers:
            h = run_layer(own, h, weight, bias)[0]
        return h

    optimizer = torch.optim.SGD(parameters, lr=settings.learning_rate)
    losses = []
    for step in range(steps):
        drawn = words(settings.seed, Stream.BATCH, step, TRAINING_BATCH)
        batch = (drawn / 2**32 * len(data.train_inputs)).astype(int)
        loss = functional.cross_entropy(
            logits(data.train_inputs[batch]), torch.from_numpy(data.train_labels[batch])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        right = logits(data.test_inputs).argmax(dim=1).numpy() == data.test_labels
    return losses, right.mean().item()
