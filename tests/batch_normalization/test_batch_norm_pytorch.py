import numpy as np
import pytest
import torch
from torch import nn

from snippets.batch_normalization import batch_norm_numpy as oracle
from snippets.batch_normalization.batch_norm_pytorch import batch_norm, batch_norm_backward
from tests.batch_normalization.test_batch_norm_numpy import example

SHAPES = [(7, 3), (2, 3), (5, 3, 4), (4, 3, 2, 5), (2, 3, 2, 2, 2)]

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_modes = pytest.mark.parametrize("training", [True, False])


def tensors(arrays) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


@both_modes
@every_shape
def test_the_oracle_agrees_in_float32(shape, training):
    arrays = example(shape, dtype=np.float32)
    ours = batch_norm(*tensors(arrays), training, 0.3, 1e-3)
    for own, other in zip(ours, oracle.batch_norm(*arrays, training, 0.3, 1e-3), strict=True):
        np.testing.assert_allclose(own.numpy(), other, rtol=1e-5, atol=1e-5)
    x, gamma, _, mean, var = arrays
    grad_y = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    ours = batch_norm_backward(*tensors([grad_y, x, gamma, mean, var]), training, 1e-3)
    for own, other in zip(ours, oracle.batch_norm_backward(grad_y, x, gamma, mean, var, training, 1e-3), strict=True):
        np.testing.assert_allclose(own.numpy(), other, rtol=1e-5, atol=1e-5)


@both_modes
@every_shape
def test_torch_computes_the_same(shape, training):
    x, gamma, beta, mean, var = tensors(example(shape))
    y, new_mean, new_var = batch_norm(x, gamma, beta, mean, var, training)
    buffers = mean.clone(), var.clone()
    theirs = nn.functional.batch_norm(x, *buffers, gamma, beta, training)
    torch.testing.assert_close(y, theirs)
    torch.testing.assert_close((new_mean, new_var), buffers)


@both_modes
@pytest.mark.parametrize("forward", ["ours", "torch"])
@every_shape
def test_autograd_finds_the_same_gradient(shape, forward, training):
    x, gamma, beta, mean, var = tensors(example(shape))
    grad_y = torch.from_numpy(np.random.default_rng(1).standard_normal(shape))
    for leaf in (x, gamma, beta):
        leaf.requires_grad_()
    if forward == "ours":
        y, _, _ = batch_norm(x, gamma, beta, mean, var, training)
    else:
        y = nn.functional.batch_norm(x, mean.clone(), var.clone(), gamma, beta, training)
    theirs = torch.autograd.grad(y, (x, gamma, beta), grad_y)
    torch.testing.assert_close(batch_norm_backward(grad_y, x, gamma, mean, var, training), theirs)


def test_the_defaults_are_those_of_torch():
    layer = nn.BatchNorm1d(3)
    x, gamma, beta, _, _ = tensors(example((7, 3), dtype=np.float32))
    with torch.no_grad():
        layer.weight.copy_(gamma)
        layer.bias.copy_(beta)
    y, mean, var = batch_norm(x, gamma, beta, torch.zeros(3), torch.ones(3), True)
    torch.testing.assert_close(y, layer(x).detach())
    torch.testing.assert_close((mean, var), (layer.running_mean, layer.running_var))


def test_running_statistics_carry_no_graph():
    x, gamma, beta, mean, var = tensors(example((7, 3)))
    _, new_mean, new_var = batch_norm(x.requires_grad_(), gamma, beta, mean, var, True)
    assert not new_mean.requires_grad and not new_var.requires_grad


@both_modes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes_are_computed_in_float32(dtype, training):
    x, gamma, beta, mean, var = (tensor.to(dtype) for tensor in tensors(example((64, 3))))
    x = 200 * x
    y, _, _ = batch_norm(x, gamma, beta, mean, var, training)
    exact, _, _ = batch_norm(x.double(), gamma.double(), beta.double(), mean.double(), var.double(), training)
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), exact, rtol=2e-2, atol=2e-2)
    assert batch_norm_backward(x, x, gamma, mean, var, training)[0].dtype == dtype


def test_one_value_per_channel_has_no_deviation():
    x, gamma, beta, mean, var = tensors(example((1, 3)))
    with pytest.raises(ValueError, match=r"x must .* at least 2 values .*\(1, 3\)"):
        batch_norm(x, gamma, beta, mean, var, True)
    assert batch_norm(x, gamma, beta, mean, var, False)[0].isfinite().all()


def test_shapes_and_dtypes_that_do_not_fit_are_named():
    x, *channels = example((7, 3))
    for place, name in enumerate(("gamma", "beta", "running_mean", "running_var")):
        wrong = [array[:1] if i == place else array for i, array in enumerate(channels)]
        with pytest.raises(ValueError, match=rf"{name} must .*of shape \(3,\),.* \(1,\)"):
            batch_norm(torch.from_numpy(x), *map(torch.from_numpy, wrong), True)
    gamma, _, mean, var = map(torch.from_numpy, channels)
    with pytest.raises(ValueError, match=r"grad_y must .*like x of \(7, 3\).* got .*\(1, 3\)"):
        batch_norm_backward(torch.from_numpy(x[:1]), torch.from_numpy(x), gamma, mean, var, True)
    with pytest.raises(ValueError, match=r"x must be dense, floating.*int64"):
        batch_norm(torch.from_numpy(x.astype("int64")), *map(torch.from_numpy, channels), True)
    with pytest.raises(ValueError, match=r"x must .*\(3,\)"):
        batch_norm(torch.from_numpy(x[0]), *map(torch.from_numpy, channels), False)
    for eps in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"eps must be finite and not negative, got {eps}"):
            batch_norm(torch.from_numpy(x), *map(torch.from_numpy, channels), True, eps=eps)
    with pytest.raises(ValueError, match=r"x must hold at least 2 values per channel in training, got shape \(0, 3\)"):
        batch_norm(torch.from_numpy(x[:0]), *map(torch.from_numpy, channels), True)


def test_gradients_in_float16_are_summed_in_float32():
    x = torch.randn(70_000, 1, generator=torch.Generator().manual_seed(0)).half()
    ones, zeros = torch.ones(1), torch.zeros(1)
    *_, grad_beta = batch_norm_backward(torch.ones_like(x), x, ones, zeros, ones, training=True)
    assert grad_beta.item() == 70_000
