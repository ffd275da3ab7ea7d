import numpy as np
from batch_norm import batch_norm

X = np.random.default_rng(0).normal([5, -3, 0], [2, 0.5, 10], size=(8, 3))
ONE, ZERO = np.ones(3), np.zeros(3)


def test_each_feature_is_normalized_over_the_batch():
    out = batch_norm(X, ONE, ZERO)
    assert not np.allclose(out.mean(axis=1), 0), (
        "every example has the mean 0, which is layer normalization: take the statistics over the batch, axis 0"
    )
    assert np.allclose(out.mean(axis=0), 0), f"the features have the means {out.mean(axis=0)} instead of 0"
    variances = out.var(axis=0)
    assert not np.allclose(variances, 7 / 8, atol=1e-3), (
        "the variances are 7/8: you divide by n - 1. Within the batch the variance is the mean square, over n"
    )
    assert np.allclose(variances, 1, atol=1e-3), f"the features have the variances {variances} instead of 1"


def test_gamma_and_beta():
    out = batch_norm(X, np.array([2.0, 1, 1]), np.array([0, 0, 7.0]))
    assert not np.isclose(out[:, 2].mean(), 0), "beta is missing: it is added last"
    assert not np.isclose(out[:, 0].std(), 1, atol=1e-3), "gamma is missing: it scales what was normalized"
    assert np.isclose(out[:, 0].std(), 2, atol=1e-3) and np.isclose(out[:, 2].mean(), 7), (
        "scale by gamma first, then add beta"
    )


def test_epsilon_stands_under_the_root():
    small = 1e-3 * np.array([[1.0, 1, 1], [-1, -1, -1]])  # variance 1e-6, a tenth of epsilon
    found = batch_norm(small, ONE, ZERO)[0, 0]
    assert not np.isclose(found, 1e-3 / (1e-3 + 1e-5)), "epsilon stands outside the root: it is added to the variance"
    assert not np.isclose(found, 1), "epsilon is missing"
    assert np.isclose(found, 1e-3 / np.sqrt(1.1e-5)), (
        f"for a variance of 1e-6 the value is 0.3015, yours is {found:.4g}"
    )
