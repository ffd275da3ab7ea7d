import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.laboratory.digits import load_digits
from snippets.laboratory.explorer import (
    ACTIVATIONS,
    BATCH,
    DEVIATIONS,
    Settings,
    draw_inputs,
    draw_layer,
    run,
    train,
)
from snippets.laboratory.threefry import Stream, words

MODULES = {
    "identity": nn.Identity(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(),
    "gelu": nn.GELU(),
    "selu": nn.SELU(),
}


def linear(settings: Settings, index: int, fan_in: int, fan_out: int) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=settings.dtype)
    layer.weight.data, layer.bias.data = draw_layer(settings, index, fan_in, fan_out)
    return layer


# Each scheme is that of the framework's own initializer. Over 40,000 weights a standard deviation is known to 0.35 %,
# the difference of two to 0.5 %; the tolerance is 6 of these.
@pytest.mark.parametrize(
    ("scheme", "initialize"),
    [
        ("lecun", lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear")),
        ("xavier", nn.init.xavier_normal_),
        ("he", nn.init.kaiming_normal_),
        ("pytorch", lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5))),
        ("small", lambda weight: nn.init.normal_(weight, std=0.01)),
        ("unit", nn.init.normal_),
    ],
)
def test_schemes_are_those_of_the_framework(scheme, initialize):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = initialize(torch.empty(100, 400)).std().item()
    weight, _ = draw_layer(Settings(scheme=scheme), 1, 400, 100)
    assert weight.std().item() == pytest.approx(expected, rel=0.03)
    assert DEVIATIONS.keys() == {"lecun", "xavier", "he", "pytorch", "small", "unit"}


def test_gain_and_bias_are_standard_deviations():
    plain, _ = draw_layer(Settings(), 1, 50, 50)
    weight, bias = draw_layer(Settings(gain=3.0, bias=0.5), 1, 50, 4000)
    assert weight[:50] * plain.std() == pytest.approx(plain * weight[:50].std(), rel=1e-5)
    assert bias.std().item() == pytest.approx(0.5, rel=0.06)


def test_the_preset_of_pytorch_is_the_interval_of_its_linear_layer():
    weight, bias = draw_layer(Settings(scheme="pytorch", distribution="uniform", bias="pytorch"), 1, 64, 5000)
    for values in (weight, bias):
        assert 0.999 / 8 < values.max().item() <= 1 / 8
        assert -1 / 8 <= values.min().item() < -0.999 / 8


def test_orthogonal_weights_of_equal_fans_are_an_orthogonal_matrix():
    weight, _ = draw_layer(Settings(scheme="lecun", distribution="orthogonal", precision="float64"), 1, 12, 12)
    assert weight @ weight.T == pytest.approx(torch.eye(12), abs=1e-12)


@pytest.mark.parametrize("width", [4, 256])
def test_the_first_two_inputs_are_60_degrees_apart_and_of_one_length(width):
    first, second = draw_inputs(Settings(width=width, precision="float64"))[:2]
    assert first @ second == pytest.approx(0.5 * first @ first)
    assert second @ second == pytest.approx(first @ first)


def test_inputs_have_unit_variance():
    assert draw_inputs(Settings(width=256)).std().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_plain_network_is_a_chain_of_modules(activation, batch_norm):
    settings = Settings(depth=3, width=8, activation=activation, bias=0.3, batch_norm=batch_norm, precision="float64")
    norm = [nn.BatchNorm1d(8, affine=False, dtype=torch.float64)] if batch_norm else []
    chain = [nn.Sequential(linear(settings, index, 8, 8), *norm, MODULES[activation]) for index in (1, 2, 3)]
    model, found = nn.Sequential(*chain), run(settings)
    out = model(draw_inputs(settings))
    assert torch.equal(found.activations[-1], out)
    out.backward(found.gradients[-1])
    for block, gradient in zip(chain, found.weight_gradients, strict=True):
        assert gradient == pytest.approx(block[0].weight.grad, rel=1e-12)


def test_a_skip_connection_adds_the_scaled_branch():
    settings = Settings(depth=2, width=8, activation="tanh", skip=True, branch_scale=0.25, precision="float64")
    found, x = run(settings), draw_inputs(settings)
    first, second = found.activations
    assert first == pytest.approx(x + 0.25 * torch.tanh(found.preactivations[0]), rel=1e-12)
    assert second == pytest.approx(first + 0.25 * torch.tanh(found.preactivations[1]), rel=1e-12)
    slope = 1 - torch.tanh(found.preactivations[1]) ** 2
    weight, _ = draw_layer(settings, 2, 8, 8)
    upper = found.gradients[1]
    assert found.gradients[0] == pytest.approx(upper + 0.25 * (upper * slope) @ weight, rel=1e-10)


def test_the_gradient_enters_with_unit_variance():
    assert run(Settings(depth=1, width=256)).gradients[0].std().item() == pytest.approx(1.0, abs=0.05)


def test_saturated_and_dead():
    found = run(Settings(depth=2, width=64, activation="relu"))
    for h, saturated, dead in zip(found.activations, found.saturated, found.dead, strict=True):
        assert saturated == (h == 0).double().mean().item()
        assert dead == (h == 0).all(dim=0).double().mean().item()
    found = run(Settings(depth=1, width=64, activation="tanh", scheme="unit"))
    z = found.preactivations[0]
    assert found.saturated[0] == pytest.approx((z.abs() > math.acosh(math.sqrt(20))).double().mean().item())
    assert len(z) == BATCH


def test_training_is_plain_sgd_on_the_digits():
    settings, data = Settings(depth=2, width=16, scheme="he", bias=0.1, precision="float64"), load_digits()
    hidden = [linear(settings, 1, 64, 16), nn.ReLU(), linear(settings, 2, 16, 16), nn.ReLU()]
    model = nn.Sequential(*hidden, linear(settings, 0, 16, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    inputs, labels = torch.from_numpy(data.train_inputs).double(), torch.from_numpy(data.train_labels)
    expected = []
    for step in range(3):
        batch = torch.tensor([int(word) * 1437 >> 32 for word in words(settings.seed, Stream.BATCH, step, 64)])
        loss = functional.cross_entropy(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    losses, accuracy = train(settings, data, steps=3)
    assert losses == pytest.approx(expected, rel=1e-12)
    right = model(torch.from_numpy(data.test_inputs).double()).argmax(dim=1) == torch.from_numpy(data.test_labels)
    assert accuracy == right.double().mean().item()


def test_training_learns():
    losses, accuracy = train(Settings(depth=2, scheme="he", learning_rate=0.1), load_digits(), steps=60)
    assert losses[0] > 2.0
    assert np.mean(losses[-10:]) < 0.5
    assert accuracy > 0.85
