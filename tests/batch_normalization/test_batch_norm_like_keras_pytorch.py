import numpy as np
import pytest
import torch

from snippets.batch_normalization import batch_norm_numpy as oracle
from snippets.batch_normalization.batch_norm_like_keras_pytorch import (
    BatchNorm1dLikeKeras,
    BatchNorm2dLikeKeras,
    BatchNorm3dLikeKeras,
)
from tests.batch_normalization.test_batch_norm_numpy import example

KINDS = [
    (BatchNorm1dLikeKeras, (7, 3)),
    (BatchNorm1dLikeKeras, (5, 3, 4)),
    (BatchNorm2dLikeKeras, (4, 3, 2, 5)),
    (BatchNorm3dLikeKeras, (2, 3, 2, 2, 2)),
]

every_kind = pytest.mark.parametrize(("kind", "shape"), KINDS)


def loaded(kind, shape, **settings):
    """A layer and the arrays it holds."""
    arrays = example(shape, dtype=np.float32)
    layer = kind(3, **settings)
    layer.load_keras(*arrays[1:])
    return layer, arrays


@every_kind
def test_steps_of_training_are_those_of_keras(kind, shape):
    """The oracle in Keras's convention: momentum 0.99 for the old value, divisor N, eps 1e-3."""
    layer, (x, gamma, beta, mean, var) = loaded(kind, shape)
    for step in range(3):
        x = example(shape, seed=step, dtype=np.float32)[0]
        y, mean, var = oracle.batch_norm(x, gamma, beta, mean, var, True, 0.01, 1e-3, unbiased=False)
        np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-5)


@every_kind
def test_test_time_is_that_of_keras_and_changes_nothing(kind, shape):
    layer, (x, gamma, beta, mean, var) = loaded(kind, shape, momentum=0.9, epsilon=0.1)
    y, _, _ = oracle.batch_norm(x, gamma, beta, mean, var, False, eps=0.1)
    np.testing.assert_allclose(layer.eval()(torch.from_numpy(x)).detach(), y, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.running_var, var)


def test_momentum_and_epsilon_have_the_meaning_of_keras():
    layer = BatchNorm1dLikeKeras(3, momentum=0.75, epsilon=0.5)
    assert (layer.momentum, layer.eps) == (0.25, 0.5)
    default = BatchNorm1dLikeKeras(3)
    assert (default.momentum, default.eps) == (pytest.approx(0.01), 1e-3)


@every_kind
def test_gradients_are_those_of_the_formula(kind, shape):
    layer, (x, gamma, _, mean, var) = loaded(kind, shape)
    grad_y = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x_leaf = torch.from_numpy(x).requires_grad_()
    layer(x_leaf).backward(torch.from_numpy(grad_y))
    theirs = oracle.batch_norm_backward(grad_y, x, gamma, mean, var, True, 1e-3)
    for own, other in zip((x_leaf.grad, layer.weight.grad, layer.bias.grad), theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)
    assert not layer.running_var.requires_grad


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"gamma must have shape \(3,\), got \(5,\)"):
        BatchNorm1dLikeKeras(3).load_keras(*np.ones((4, 5), np.float32))


def test_without_tracking_the_statistics_stay():
    layer, (x, *_, var) = loaded(BatchNorm1dLikeKeras, (7, 3))
    layer.track_running_stats = False
    layer(torch.from_numpy(x))
    np.testing.assert_array_equal(layer.running_var, var)


def test_statistics_over_all_batches():
    """`update_bn` sets a momentum of None: the plain mean over the batches."""
    layer, batches = (
        BatchNorm1dLikeKeras(3),
        [torch.from_numpy(example((7, 3), seed=s, dtype=np.float32)[0]) for s in range(3)],
    )
    torch.optim.swa_utils.update_bn(batches, layer)
    np.testing.assert_allclose(layer.running_mean, np.mean([x.mean(0) for x in batches], axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, np.mean([x.var(0, correction=0) for x in batches], axis=0), rtol=1e-5)


def test_it_compiles_exports_and_goes_through_transforms():
    layer, (x, gamma, beta, mean, var) = loaded(BatchNorm1dLikeKeras, (7, 3))
    x = torch.from_numpy(x)
    y, mean, var = oracle.batch_norm(x.numpy(), gamma, beta, mean, var, True, 0.01, 1e-3, unbiased=False)
    torch.testing.assert_close(
        torch.compile(layer, fullgraph=True, backend="eager")(x), torch.from_numpy(y), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-5)
    state = dict(layer.named_parameters()), dict(layer.named_buffers())

    def loss(*state):
        return torch.func.functional_call(layer, state, (x,)).square().sum()

    assert torch.func.grad(loss)(*state)["bias"].isfinite().all()
    exported = torch.export.export(layer, (x,)).module()
    assert exported(x).shape == x.shape


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_it_is_traced_but_not_scripted():
    layer, x = BatchNorm1dLikeKeras(3).eval(), torch.randn(5, 3)
    assert torch.equal(torch.jit.trace(layer, x)(x), layer(x))
    with pytest.raises(RuntimeError):
        torch.jit.script(layer)


def test_gradients_accumulate_over_two_passes():
    layer, x = (
        BatchNorm1dLikeKeras(3),
        torch.randn(7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True),
    )
    (layer(x).square() + layer(2.0 * x)).sum().backward()
    assert x.grad.isfinite().all() and int(layer.num_batches_tracked) == 2


@every_kind
def test_one_value_per_channel_has_no_deviation(kind, shape):
    layer = kind(3)
    for x in (torch.ones(1, 3, *[1] * (len(shape) - 2)), torch.ones(0, *shape[1:])):
        with pytest.raises(ValueError, match="x must hold at least 2 values per channel in training"):
            layer(x)
    assert layer.running_var.tolist() == [1.0] * 3


@pytest.mark.parametrize("number", [0, -1, 2.5, "3", None])
def test_a_number_of_features_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match="num_features must be an integer from 1 on, got"):
        BatchNorm1dLikeKeras(number)


@pytest.mark.parametrize("wrong", ["abc", None, np.ones(3) * 1j, [1.0, 2.0], np.array(["a", "b", "c"])])
def test_what_is_no_real_vector_is_not_loaded(wrong):
    layer, ones = BatchNorm1dLikeKeras(3), np.ones(3)
    with pytest.raises(ValueError, match="moving_variance must "):
        layer.load_keras(ones + 1.0, ones, ones, wrong)
    assert (layer.weight == 1.0).all()
