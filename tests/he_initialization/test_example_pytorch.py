import math
import runpy

import pytest
import torch
from torch import nn

from snippets.he_initialization import example_pytorch
from snippets.he_initialization.example_pytorch import HeInitializedModel
from tests.laws import NORMAL, assert_law


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


def test_weights_follow_their_laws_and_biases_are_zero():
    models = [HeInitializedModel(generator(seed)) for seed in range(20)]
    for number, gain in enumerate((2.0, 2.0, 1.0)):
        weights = torch.stack([linear_layers(model)[number].weight.detach() for model in models])
        assert_law(weights.numpy(), math.sqrt(gain / 64), NORMAL)
    assert not any(layer.bias.any() for model in models for layer in linear_layers(model))


def test_the_shapes_are_those_of_the_docstring():
    assert HeInitializedModel(generator())(torch.zeros(3, 64)).shape == (3, 10)


@torch.no_grad()
def test_the_mean_square_is_kept():
    """Mean of 50 networks, which scatters by about sqrt(5 * 2 / 64 / 50) = 6 %; without the ReLUs it would be 4."""
    rows = torch.randn(256, 64, generator=generator())
    models = [HeInitializedModel(generator(seed)) for seed in range(50)]
    for outputs in ([model.hidden(rows) for model in models], [model(rows) for model in models]):
        assert torch.stack(outputs).square().mean().item() == pytest.approx(1.0, abs=0.25)


def test_the_generator_decides():
    first, same, other = (HeInitializedModel(generator(seed)).output.weight for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_weights_can_be_drawn_anew():
    model = HeInitializedModel(generator(1))
    model.output.bias.data.fill_(3.0)
    model.reset_parameters(generator(2))
    assert torch.equal(model.output.weight, HeInitializedModel(generator(2)).output.weight)
    assert not model.output.bias.any()


def test_run_as_a_script_it_shows_what_it_keeps(capsys):
    runpy.run_path(example_pytorch.__file__, run_name="__main__")
    inputs, logits = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines())
    assert inputs == pytest.approx(1.0, abs=0.05)
    assert logits == pytest.approx(1.0, abs=0.75)


def test_importing_it_prints_nothing(capsys):
    runpy.run_path(example_pytorch.__file__, run_name="example_pytorch")
    assert not capsys.readouterr().out
