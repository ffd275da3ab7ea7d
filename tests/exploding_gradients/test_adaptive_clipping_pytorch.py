import numpy as np
import pytest
import torch
from torch import nn

from snippets.exploding_gradients import adaptive_clipping_numpy as oracle
from snippets.exploding_gradients.adaptive_clipping_pytorch import clip_adaptively_, unit_norm

SHAPES = ((6, 5), (4, 3, 2, 2), (7,), ())


def parameter(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> nn.Parameter:
    generator = torch.Generator().manual_seed(len(shape))
    made = nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
    made.grad = 0.05 * torch.randn(shape, generator=generator).to(dtype)
    return made


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("clipping", [0.01, 0.05, 10.0])
def test_clipping_agrees_with_numpy(shape, clipping):
    made = parameter(shape)
    wanted = oracle.clip_adaptively(made.grad.numpy(), made.detach().numpy(), clipping)
    clip_adaptively_([made], clipping)
    np.testing.assert_allclose(made.grad.numpy(), wanted, rtol=2e-6)


@pytest.mark.parametrize("unit_axis", [1, -3])
def test_units_may_lie_along_another_axis(unit_axis):
    made = parameter((4, 3, 2, 2))
    wanted = oracle.clip_adaptively(made.grad.numpy(), made.detach().numpy(), unit_axis=unit_axis)
    clip_adaptively_([made], unit_axis=unit_axis)
    np.testing.assert_allclose(made.grad.numpy(), wanted, rtol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype(dtype):
    made = parameter((6, 5), dtype)
    made.grad.mul_(1000.0)
    clip_adaptively_([made], 0.01)
    assert made.grad.dtype == dtype
    ratio = unit_norm(made.grad) / unit_norm(made.detach())
    assert ratio.squeeze().tolist() == pytest.approx([0.01] * 6, rel=1e-2)


def test_what_has_no_gradient_is_passed_over_and_weights_stay():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    clip_adaptively_(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    clip_adaptively_(model.parameters())
    assert torch.equal(model.weight, before)


def test_weights_of_zero_can_leave_it():
    made = nn.Parameter(torch.zeros(2, 4))
    made.grad = torch.tensor([[1.0] * 4, [0.0] * 4])
    clip_adaptively_([made], clipping=0.01, eps=1e-3)
    np.testing.assert_allclose(made.grad.numpy(), [[0.5e-5] * 4, [0.0] * 4], rtol=1e-6)  # a row of norm 0.01 eps


def test_bad_input_is_named():
    for bad in ({"clipping": 0.0}, {"eps": -1.0}):
        with pytest.raises(ValueError, match="clipping and eps must be positive"):
            clip_adaptively_([parameter((2,))], **bad)
    for axis in (7, -3):
        with pytest.raises(ValueError, match=rf"unit_axis must be an axis of shape \(6, 5\), got {axis}"):
            clip_adaptively_([parameter((6, 5))], unit_axis=axis)
    with pytest.raises(ValueError, match="parameters must yield a tensor, got an exhausted generator"):
        clip_adaptively_(tensor for tensor in [])


def test_one_tensor_counts_as_a_list_of_one():
    one, other = parameter((6, 5)), parameter((6, 5))
    clip_adaptively_(one)
    clip_adaptively_([other])
    assert torch.equal(one.grad, other.grad) and not torch.equal(one.grad, parameter((6, 5)).grad)


def test_a_limit_of_inf_leaves_the_gradient():
    made = parameter((6, 5))
    before = made.grad.clone()
    clip_adaptively_(made, clipping=float("inf"))
    assert torch.equal(made.grad, before)


def test_a_finite_gradient_has_a_finite_norm():
    made = nn.Parameter(torch.ones(1, 4))
    made.grad = torch.full((1, 4), 1e30)
    assert unit_norm(made.grad).item() == pytest.approx(2e30, rel=1e-6)
    clip_adaptively_(made)
    assert made.grad[0].tolist() == pytest.approx([0.01] * 4)
    assert unit_norm(torch.ones(2, 0)).tolist() == [[0.0], [0.0]]


def test_the_sparse_gradient_of_an_embedding_is_clipped_and_stays_sparse():
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        embedding = nn.Embedding(6, 4, sparse=sparse)
        embedding(torch.tensor([1, 1, 3])).sum().backward()
        clip_adaptively_(embedding.parameters())
        assert embedding.weight.grad.is_sparse == sparse
        found.append(embedding.weight.grad.to_dense())
    assert torch.equal(*found) and 0.0 < found[0].max() < 0.1


def test_a_fraction_is_no_axis():
    """It would differ from every axis, and the tensor would count as one unit."""
    with pytest.raises(ValueError, match="unit_axis must be an axis .* got 0.5"):
        unit_norm(torch.ones(4, 3), 0.5)


def test_gradients_that_share_memory_are_clipped_each_for_itself():
    weights = [torch.full((2, 3), 1.0), torch.full((2, 3), 10.0), torch.full((2, 3), 100.0)]
    parameters = [nn.Parameter(weight.clone()) for weight in weights]
    alone = [nn.Parameter(weight.clone()) for weight in weights]
    parameters[0].grad = parameters[1].grad = torch.full((2, 3), 50.0)
    parameters[2].grad = torch.full((1,), 50.0).expand(2, 3)
    for parameter in alone:
        parameter.grad = torch.full((2, 3), 50.0)
        clip_adaptively_(parameter)
    clip_adaptively_(parameters)
    for parameter, single in zip(parameters, alone, strict=True):
        torch.testing.assert_close(parameter.grad, single.grad)


def test_an_axis_that_one_of_them_lacks_changes_none():
    kernel, matrix = nn.Parameter(torch.ones(2, 3, 4)), nn.Parameter(torch.ones(2, 3))
    kernel.grad, matrix.grad = torch.ones(2, 3, 4), torch.ones(2, 3)
    with pytest.raises(ValueError, match="unit_axis must be an axis"):
        clip_adaptively_([kernel, matrix], unit_axis=2)
    assert (kernel.grad == 1).all()


def test_gradients_that_are_views_of_one_memory_are_clipped_each_for_itself():
    parameters, memory = [nn.Parameter(torch.ones(3)) for _ in range(2)], torch.full((3,), 3.0)
    for parameter in parameters:
        parameter.grad = memory[:]
    clip_adaptively_(parameters, 0.1)
    for parameter in parameters:
        assert parameter.grad.norm().item() == pytest.approx(0.1 * 3**0.5)


def test_a_model_or_an_optimizer_is_no_list_of_parameters():
    layer = nn.Linear(2, 2)
    for given in (layer, torch.optim.SGD(layer.parameters())):
        with pytest.raises(ValueError, match=f"parameters must be tensors, got one {type(given).__name__}"):
            clip_adaptively_(given)
