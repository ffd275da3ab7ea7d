import numpy as np
import pytest
import torch
from torch import nn

from snippets.batch_normalization import batch_norm_numpy as full
from snippets.batch_normalization.norms_numpy import batch_norm, group_norm, layer_norm, rms_norm


def example(*shape: int) -> np.ndarray:
    return 2.0 + 3.0 * np.random.default_rng(0).standard_normal(shape)


def in_torch(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    return layer.double()(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize("shape", [(8, 6), (4, 6, 5), (4, 6, 3, 2)])
def test_torch_computes_the_same(shape):
    x = example(*shape)
    batch = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    np.testing.assert_allclose(batch_norm(x), in_torch(batch(6), x))
    np.testing.assert_allclose(group_norm(x, 3), in_torch(nn.GroupNorm(3, 6), x))
    np.testing.assert_allclose(layer_norm(x), in_torch(nn.LayerNorm(shape[-1]), x), atol=1e-12)
    np.testing.assert_allclose(rms_norm(x), in_torch(nn.RMSNorm(shape[-1], eps=1e-5), x))


def test_batch_normalization_is_that_of_the_full_snippet():
    x = example(4, 6, 5)
    one, zero = np.ones(6), np.zeros(6)
    np.testing.assert_allclose(batch_norm(x), full.batch_norm(x, one, zero, zero, one, True)[0])


def test_one_group_is_layer_normalization_of_an_example():
    x = example(4, 6, 5)
    np.testing.assert_allclose(group_norm(x, 1).reshape(4, -1), layer_norm(x.reshape(4, -1)))


def test_only_batch_normalization_depends_on_the_other_examples():
    x = example(8, 6)
    for norm in (layer_norm, rms_norm, lambda rows: group_norm(rows, 2)):
        np.testing.assert_allclose(norm(x[:3]), norm(x)[:3])
    assert abs(batch_norm(x[:3]) - batch_norm(x)[:3]).max() > 0.1


def test_all_four_forget_the_scale_of_what_comes_in():
    x = example(8, 6)
    for norm in (batch_norm, layer_norm, rms_norm, lambda rows, eps: group_norm(rows, 2, eps)):
        np.testing.assert_allclose(norm(100 * x, eps=0.0), norm(x, eps=0.0))


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="groups .* 6 channels, got 4"):
        group_norm(example(2, 6), 4)


@pytest.mark.parametrize(("size", "dtype"), [(200.0, np.float16), (1e20, np.float32), (1, np.int64)])
def test_large_values_are_normalized_and_the_dtype_stays(size, dtype):
    x = (np.array([[-1, 1, -1, 1], [1, -1, -1, 1]]) * size).astype(dtype)
    for norm in (batch_norm, layer_norm, lambda x: group_norm(x, 1), rms_norm):
        y = norm(x)
        assert y.dtype == (dtype if np.issubdtype(dtype, np.floating) else np.float64)
        np.testing.assert_allclose(np.abs(y).max(), 1.0, rtol=1e-4)


def test_there_is_at_least_one_group():
    with pytest.raises(ValueError, match="groups must divide the 4 channels, got 0"):
        group_norm(np.ones((2, 4)), 0)


def test_a_single_row_is_normalized():
    np.testing.assert_allclose(layer_norm(np.array([1.0, 3.0]), eps=0.0), [-1.0, 1.0])
    np.testing.assert_allclose(rms_norm(np.array([1.0, 7.0]), eps=0.0), [0.2, 1.4])


def test_rows_without_a_feature_and_fractions_of_groups_are_refused():
    for norm in (layer_norm, rms_norm, lambda x: group_norm(x, 1)):
        with pytest.raises(ValueError, match=r"x must hold a value in every group .*, got shape \(3, 0\)"):
            norm(np.zeros((3, 0)))
    for groups in (1.5, 0.5, 4):
        with pytest.raises(ValueError, match=f"groups must divide the 6 channels, got {groups}"):
            group_norm(np.ones((4, 6)), groups)
    x = np.random.default_rng(0).standard_normal((4, 6))
    assert np.array_equal(group_norm(x, 2.0), group_norm(x, 2))
