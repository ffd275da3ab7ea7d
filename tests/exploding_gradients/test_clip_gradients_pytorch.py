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
def test_what_is_not_finite_is_told_and_left_on_demand(bad):
    made = parameters()
    made[0].grad[0, 0] = bad
    before = gradients(made)
    with pytest.raises(FloatingPointError, match=f"the norm {bad}"):
        clip_by_global_norm_(made, 1.0, error_if_nonfinite=True)
    for one, other in zip(gradients(made), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_becomes_what_torch_makes_of_it(bad):
    ours, theirs = parameters(), parameters()
    ours[0].grad[0, 0] = theirs[0].grad[0, 0] = bad
    norm = clip_by_global_norm_(ours, 1.0)
    np.testing.assert_equal(norm.item(), nn.utils.clip_grad_norm_(theirs, 1.0).item())
    for one, other in zip(gradients(ours), gradients(theirs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isnan(gradients(ours)[0]).any()


def test_a_scaler_skips_the_step_with_an_inf_in_the_order_of_the_page():
    model = nn.Linear(2, 1)
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    (scaler.scale(model(torch.ones(1, 2)).sum()) * math.inf).backward()
    scaler.unscale_(optimizer)
    clip_by_global_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model.weight, before) and scaler.get_scale() == 512.0


def test_one_tensor_counts_as_a_list_of_one():
    made = nn.Parameter(torch.ones(2, 2))
    made.grad = torch.full((2, 2), 3.0)
    assert global_norm(made.grad).item() == 6.0
    clip_by_value_(made, 2.0)
    assert made.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert clip_by_global_norm_(made, 1.0).item() == 4.0
    assert made.grad.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_a_generator_that_was_used_up_is_told():
    model = nn.Linear(3, 2)
    for clip in (clip_by_global_norm_, clip_by_value_):
        used_up = model.parameters()
        list(used_up)
        with pytest.raises(ValueError, match="parameters must yield a tensor, got an exhausted generator"):
            clip(used_up, 1.0)
    with pytest.raises(ValueError, match="tensors must yield a tensor"):
        global_norm(tensor for tensor in [])


@pytest.mark.parametrize(("size", "dtype"), [(1e30, torch.float32), (1e-30, torch.float32), (1e200, torch.float64)])
def test_a_finite_gradient_has_a_finite_norm(size, dtype):
    made = nn.Parameter(torch.ones(4, dtype=dtype))
    made.grad = torch.full((4,), size, dtype=dtype)
    assert clip_by_global_norm_(made, size / 5).item() == pytest.approx(2.0 * size, rel=1e-6, abs=0.0)
    assert made.grad.tolist() == pytest.approx([size / 10] * 4, rel=1e-5, abs=0.0)


def test_a_limit_of_inf_only_measures():
    made = parameters()
    before = gradients(made)
    assert clip_by_global_norm_(made, math.inf).item() == pytest.approx(oracle.global_norm(before), rel=1e-6)
    clip_by_value_(made, math.inf)
    for one, other in zip(gradients(made), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_empty_counts_as_zero():
    empty = nn.Parameter(torch.ones(0, 3))
    empty.grad = torch.ones(0, 3)
    assert clip_by_global_norm_([empty], 1.0).item() == 0.0
    assert global_norm([torch.tensor([3.0, 4.0]), None, empty.grad]).item() == 5.0


@pytest.mark.parametrize("clip", [clip_by_global_norm_, clip_by_value_])
def test_the_sparse_gradient_of_an_embedding_is_clipped(clip):
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        embedding = nn.Embedding(6, 4, sparse=sparse)
        embedding(torch.tensor([1, 1, 3])).sum().backward()
        assert embedding.weight.grad.is_sparse == sparse
        clip(embedding.parameters(), 1.5)
        found.append(embedding.weight.grad.to_dense())
    assert torch.allclose(*found, rtol=1e-6) and found[0].abs().max() < 2.0
    twice = torch.sparse_coo_tensor([[1, 1]], [1.0, 1.0], (3,), check_invariants=True)
    assert global_norm(twice).item() == 2.0


def test_a_compiled_step_gives_the_same_numbers():
    made = parameters()[:-1]
    wanted, _ = oracle.clip_by_global_norm(gradients(made), 0.5)
    torch.compile(clip_by_global_norm_, fullgraph=True, backend="eager")(made, 0.5)
    for one, other in zip(gradients(made), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_factor_that_float16_rounds_to_zero_still_scales():
    parameter = torch.zeros(10_000, dtype=torch.float16)
    parameter.grad = torch.full_like(parameter, 6e4)
    clip_by_global_norm_(parameter, 0.01)
    np.testing.assert_allclose(parameter.grad.float(), 1e-4, rtol=0.01)


def test_a_parameter_that_is_named_twice_counts_once():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert clip_by_global_norm_([parameter, parameter], 1.0).item() == pytest.approx(5.0)
    np.testing.assert_allclose(parameter.grad, [0.6, 0.8])


def test_a_gradient_that_two_parameters_hold_is_scaled_once():
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    first.grad = second.grad = torch.tensor([3.0, 4.0])
    clip_by_global_norm_([first, second], 1.0)
    for parameter in (first, second):
        torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8]) / math.sqrt(2))


@pytest.mark.parametrize("clip", [clip_by_global_norm_, clip_by_value_])
def test_a_gradient_whose_entries_share_memory_is_clipped(clip):
    """That of a sum is one number, expanded."""
    parameter, plain = nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(3, 4))
    (parameter.grad,) = torch.autograd.grad(7 * parameter.sum(), parameter)
    assert parameter.grad.stride() == (0, 0)
    plain.grad = torch.full((3, 4), 7.0)
    clip(parameter, 0.5)
    clip(plain, 0.5)
    torch.testing.assert_close(parameter.grad, plain.grad)


def test_a_norm_of_zero_stays_whatever_the_limit():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    clip_by_global_norm_(parameter, 1e-50)  # 0 in float32, and 0 / 0 is NaN
    assert not parameter.grad.any()


def test_a_limit_beyond_float16_cuts_only_what_is_infinite():
    parameter = nn.Parameter(torch.zeros(2, dtype=torch.float16))
    parameter.grad = torch.tensor([6e4, math.inf], dtype=torch.float16)
    clip_by_value_(parameter, 7e4)
    assert parameter.grad.tolist() == [6e4, 65504.0]


def test_gradients_with_and_without_values_have_no_norm():
    here, nowhere = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, device="meta"))
    here.grad, nowhere.grad = torch.ones(2), torch.ones(2, device="meta")
    with pytest.raises(ValueError, match="parameters, must hold values, got one on the meta device"):
        clip_by_global_norm_([here, nowhere], 0.5)
    assert here.grad.tolist() == [1.0, 1.0]


def test_a_norm_whose_reciprocal_overflows_is_clipped():
    parameter = nn.Parameter(torch.ones(4))
    parameter.grad = torch.full((4,), 1e-40)
    clip_by_global_norm_(parameter, 2e-41)
    torch.testing.assert_close(parameter.grad, torch.full((4,), 1e-41), rtol=1e-3, atol=0)


def test_gradients_that_are_views_of_one_memory_are_scaled_once():
    first, second = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    memory = torch.full((3,), 3.0)
    first.grad, second.grad = memory[:], memory.view(3)
    norm = clip_by_global_norm_([first, second], 1.0)
    assert norm.item() == pytest.approx(54**0.5)
    assert global_norm([first.grad, second.grad]).item() == pytest.approx(1.0)


def test_gradients_that_lie_side_by_side_in_one_memory_stay_there():
    memory = torch.full((6,), 3.0)
    parameters = [nn.Parameter(torch.zeros(3)) for _ in range(2)]
    for parameter, part in zip(parameters, memory.split(3), strict=True):
        parameter.grad = part
    clip_by_global_norm_(parameters, 1.0)
    assert memory.norm().item() == pytest.approx(1.0)


@pytest.mark.parametrize("clip", [clip_by_global_norm_, clip_by_value_])
def test_a_model_or_an_optimizer_is_no_list_of_parameters(clip):
    layer = nn.Linear(2, 2)
    for given in (layer, torch.optim.SGD(layer.parameters())):
        with pytest.raises(ValueError, match=f"parameters must be tensors, got one {type(given).__name__}"):
            clip(given, 1.0)


def test_a_limit_at_the_end_of_the_range_is_one():
    """Above it, where a norm is Inf, it would be none."""
    parameter = nn.Parameter(torch.zeros(4))
    parameter.grad = torch.full((4,), 3e38)
    clip_by_global_norm_([parameter], torch.finfo(torch.float32).max)
    assert parameter.grad[0].item() == pytest.approx(torch.finfo(torch.float32).max / 2)
