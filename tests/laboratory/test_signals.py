import math

import torch
from torch import nn

from snippets.laboratory.signals import rms, signals
from snippets.laboratory.training import multilayer_perceptron


def chain(activation=nn.Tanh) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    return multilayer_perceptron([5, 4, 3, 2], activation, lambda w: nn.init.normal_(w, generator=generator)).double()


def inputs() -> torch.Tensor:
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_forward_values_are_those_of_the_model():
    model, x = chain(), inputs()
    first, second, last = signals(model, x, torch.sum)
    assert torch.equal(first.preactivation, model[0](x))
    assert torch.equal(first.activation, torch.tanh(first.preactivation))
    assert torch.equal(second.activation, torch.tanh(model[2](first.activation)))
    assert torch.equal(last.activation, last.preactivation)
    assert torch.equal(last.activation, model(x))


def test_deltas_follow_the_backward_recursion():
    model, x = chain(), inputs()
    first, second, last = signals(model, x, lambda output: output.square().sum() / 2)
    assert torch.allclose(last.delta, last.preactivation)
    assert torch.allclose(second.delta, last.delta @ model[4].weight * (1 - second.activation**2))
    assert torch.allclose(first.delta, second.delta @ model[2].weight * (1 - first.activation**2))
    assert torch.allclose(second.weight_gradient, second.delta.T @ first.activation)
    assert torch.allclose(first.weight_gradient, first.delta.T @ x)


def test_the_model_keeps_its_gradients_and_nothing_hangs_on_the_graph():
    model = chain()
    layers = signals(model, inputs(), torch.sum)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(value.requires_grad for layer in layers for value in layer)


def test_rms():
    assert math.isclose(rms(torch.tensor([3.0, 4.0])), math.sqrt(12.5))
