import numpy as np
import pytest

from snippets.batch_normalization.batch_norm_numpy import batch_norm
from snippets.batch_normalization.fold_batch_norm_numpy import fold_batch_norm


def statistics(seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return *rng.standard_normal((3, 4)), rng.uniform(0.5, 2.0, 4)


@pytest.mark.parametrize("has_bias", [True, False])
def test_one_layer_computes_what_two_did(has_bias):
    rng = np.random.default_rng(1)
    x, weight, bias = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    gamma, beta, mean, var = statistics()
    z = x @ weight.T + (bias if has_bias else 0.0)
    y, _, _ = batch_norm(z, gamma, beta, mean, var, False, eps=1e-3)
    folded, shift = fold_batch_norm(weight, bias if has_bias else None, gamma, beta, mean, var, 1e-3)
    np.testing.assert_allclose(x @ folded.T + shift, y)


def test_kernels_are_scaled_per_output():
    weight = np.random.default_rng(1).standard_normal((4, 3, 2, 2))
    gamma, beta, mean, var = statistics()
    folded, _ = fold_batch_norm(weight, None, gamma, beta, mean, var, 1e-3)
    np.testing.assert_allclose(folded[2], weight[2] * gamma[2] / np.sqrt(var[2] + 1e-3))


def test_vectors_must_fit_the_outputs():
    with pytest.raises(ValueError, match=r"gamma must have shape \(5,\).*\(4,\)"):
        fold_batch_norm(np.ones((5, 3)), None, *statistics(), 1e-3)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_every_vector_is_looked_at(place):
    names = ("gamma", "beta", "running_mean", "running_var")
    vectors = [np.ones(1 if i == place else 5) for i in range(4)]
    with pytest.raises(ValueError, match=rf"{names[place]} must have shape \(5,\).*\(1,\)"):
        fold_batch_norm(np.ones((5, 3)), np.ones(5), *vectors, 1e-5)
    with pytest.raises(ValueError, match=r"bias must have shape \(5,\).*\(1,\)"):
        fold_batch_norm(np.ones((5, 3)), np.ones(1), *[np.ones(5)] * 4, 1e-5)


def test_a_vector_is_no_weight():
    with pytest.raises(
        ValueError, match=r"weight must be floating, of shape \(out, in, \*kernel\), got float64 \(3,\)"
    ):
        fold_batch_norm(np.ones(3), None, *np.ones((4, 3)), 1e-5)


def test_the_dtype_is_that_of_the_weight_and_a_small_eps_counts_in_float16():
    ones, zeros = np.ones(2, np.float16), np.zeros(2, np.float16)
    weight, bias = fold_batch_norm(np.full((2, 3), 0.5, np.float16), None, ones, ones, ones, zeros, 1e-8)
    assert weight.dtype == bias.dtype == np.float16
    np.testing.assert_allclose(weight, 5_000.0, rtol=1e-3)
    np.testing.assert_allclose(bias, -9_999.0, rtol=1e-3)
    assert fold_batch_norm(np.ones((2, 3), np.float32), None, *np.ones((4, 2)), 1e-5)[0].dtype == np.float32
