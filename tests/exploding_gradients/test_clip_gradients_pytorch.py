import math

import numpy as np
import pytest
import torch
from torch import nn

from snippets.exploding_gradients import clip_gradients_numpy as oracle
from snippets.exploding_gradients.clip_gradients_pytorch import clip_by_global_norm_, clip_by_value_, global_norm

SHAPES = ((4, 3), (5,), (), (2, 3, 3, 3))


def parameters(scale: float = 1.0, dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in SHAPES]
    for parameter in made:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator).to(dtype)
    return [*made, nn.Parameter(torch.zeros(3))]  # the last has no gradient


def gradients(parameters: list[nn.Parameter]) -> list[np.ndarray]:
    return [parameter.grad.clone().numpy() for parameter in parameters if parameter.grad is not None]


@pytest.mark.parametrize("max_norm", [0.1, 5.0, 1e6])
def test_clipping_by_norm_agrees_with_numpy_and_with_torch(max_norm):
    ours, theirs = parameters(), parameters()
    wanted, wanted_norm = oracle.clip_by_global_norm(gradients(ours), max_norm)
    norm = clip_by_global_norm_(ours, max_norm)
    assert norm.item() == pytest.approx(wanted_norm, rel=1e-6)
    torch_norm = nn.utils.clip_grad_norm_(theirs, max_norm)
    assert norm.item() == pytest.approx(torch_norm.item(), rel=1e-6)
    for one, other, third in zip(gradients(ours), wanted, gradients(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
        np.testing.assert_allclose(one, third, rtol=1e-5)


def test_clipping_by_value_agrees_with_numpy_and_with_torch():
    ours, theirs = parameters(), parameters()
    wanted = oracle.clip_by_value(gradients(ours), 0.5)
    clip_by_value_(ours, 0.5)
    nn.utils.clip_grad_value_(theirs, 0.5)
    for one, other, third in zip(gradients(ours), wanted, gradients(theirs), strict=True):
        assert (one == other).all() and (one == third).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype(dtype):
    made = parameters(scale=300.0, dtype=dtype)
    before = global_norm(parameter.grad for parameter in made[:-1])
    assert before.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    clip_by_global_norm_(made, 1.0)
    assert all(parameter.grad.dtype == dtype for parameter in made[:-1])
    assert global_norm(parameter.grad for parameter in made[:-1]).item() == pytest.approx(1.0, rel=1e-2)


def test_the_global_norm_of_nothing_is_zero():
    assert global_norm([]).item() == 0.0
    assert clip_by_global_norm_([nn.Parameter(torch.ones(2))], 1.0).item() == 0.0


def test_a_generator_of_parameters_will_do():
    model = nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    clip_by_global_norm_(model.parameters(), 0.5)
    assert global_norm(parameter.grad for parameter in model.parameters()).item() == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_limit_must_be_positive(bad):
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {bad}"):
        clip_by_global_norm_(parameters(), bad)
    with pytest.raises(ValueError, match=f"limit must be positive, got {bad}"):
        clip_by_value_(parameters(), bad)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_is_told_and_left(bad):
    made = parameters()
    made[0].grad[0, 0] = bad
    before = gradients(made)
    with pytest.raises(FloatingPointError, match=f"the norm {bad}"):
        clip_by_global_norm_(made, 1.0)
    for one, other in zip(gradients(made), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_torch_turns_an_infinite_gradient_into_nan():
    """What the docstring says of `clip_grad_norm_`."""
    made = parameters()
    made[0].grad[0, 0] = math.inf
    nn.utils.clip_grad_norm_(made, 1.0)
    assert made[0].grad.isnan().any()
