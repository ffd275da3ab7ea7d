import numpy as np
import pytest

from snippets.batch_normalization.batch_norm_numpy import batch_norm, batch_norm_backward

SHAPES = [((7, 3), 1), ((2, 3), 1), ((5, 3, 4), 1), ((4, 3, 2, 5), 1), ((4, 2, 5, 3), -1), ((6, 3), -1)]

every_shape = pytest.mark.parametrize(("shape", "axis"), SHAPES)
both_modes = pytest.mark.parametrize("training", [True, False])


def example(shape: tuple[int, ...], seed: int = 0, dtype: type = np.float64) -> tuple[np.ndarray, ...]:
    """x away from the standard, gamma, beta, running mean, running variance."""
    rng = np.random.default_rng(seed)
    x = 2.0 + 3.0 * rng.standard_normal(shape)
    gamma, beta, mean = rng.standard_normal((3, 3))
    return tuple(array.astype(dtype) for array in (x, gamma, beta, mean, rng.uniform(0.5, 2.0, 3)))


def channels_first(x: np.ndarray, axis: int) -> np.ndarray:
    """Shape (3, N): all values of a channel in one row."""
    return np.moveaxis(x, axis, 0).reshape(3, -1)


@every_shape
def test_training_standardizes_each_channel_over_batch_and_positions(shape, axis):
    x, gamma, beta, mean, var = example(shape)
    y, _, _ = batch_norm(x, np.ones(3), np.zeros(3), mean, var, True, eps=0.0, axis=axis)
    assert channels_first(y, axis).mean(1) == pytest.approx(0, abs=1e-14)
    assert channels_first(y, axis).var(1) == pytest.approx(1, rel=1e-13)
    scaled, _, _ = batch_norm(x, gamma, beta, mean, var, True, eps=0.0, axis=axis)
    assert channels_first(scaled, axis).mean(1) == pytest.approx(beta, abs=1e-14)
    assert channels_first(scaled, axis).std(1) == pytest.approx(abs(gamma), rel=1e-13)


def test_eps_is_added_to_the_variance():
    x, _gamma, _beta, mean, var = example((50, 3))
    y, _, _ = batch_norm(x, np.ones(3), np.zeros(3), mean, var, True, eps=4.0)
    assert y.var(0) == pytest.approx(x.var(0) / (x.var(0) + 4.0))


@every_shape
def test_test_time_uses_the_running_statistics(shape, axis):
    x, gamma, beta, mean, var = example(shape)
    y, new_mean, new_var = batch_norm(x, gamma, beta, mean, var, False, eps=1e-3, axis=axis)
    rows = (channels_first(x, axis).T - mean) / np.sqrt(var + 1e-3) * gamma + beta
    np.testing.assert_allclose(channels_first(y, axis), rows.T, rtol=1e-12)
    assert new_mean is mean and new_var is var


@every_shape
def test_running_statistics_move_towards_those_of_the_batch(shape, axis):
    x, gamma, beta, mean, var = example(shape)
    rows = channels_first(x, axis)
    _, new_mean, new_var = batch_norm(x, gamma, beta, mean, var, True, momentum=0.3, axis=axis)
    assert new_mean == pytest.approx(0.7 * mean + 0.3 * rows.mean(1))
    assert new_var == pytest.approx(0.7 * var + 0.3 * rows.var(1, ddof=1))
    _, _, biased = batch_norm(x, gamma, beta, mean, var, True, momentum=0.3, axis=axis, unbiased=False)
    assert biased == pytest.approx(0.7 * var + 0.3 * rows.var(1))


@both_modes
@every_shape
def test_the_gradient_is_the_slope_of_the_loss(shape, axis, training):
    """Central differences of L = sum(w y): their error is of the order of step^2."""
    x, gamma, beta, mean, var = example(shape)
    weights = np.random.default_rng(1).standard_normal(shape)

    def loss(x, gamma, beta) -> float:
        return float((weights * batch_norm(x, gamma, beta, mean, var, training, eps=0.1, axis=axis)[0]).sum())

    gradients = batch_norm_backward(weights, x, gamma, mean, var, training, eps=0.1, axis=axis)
    arguments = [x, gamma, beta]
    for position, gradient in enumerate(gradients):
        assert gradient.shape == arguments[position].shape
        for index in np.ndindex(gradient.shape):
            step = np.zeros_like(arguments[position])
            step[index] = 1e-5
            up, down = (
                [*arguments[:position], arguments[position] + sign * step, *arguments[position + 1 :]]
                for sign in (1, -1)
            )
            assert gradient[index] == pytest.approx((loss(*up) - loss(*down)) / 2e-5, rel=1e-6, abs=1e-7)


def test_what_the_projections_take_out():
    """Without eps the gradient is orthogonal to the constant vector and to x_hat, in each channel."""
    x, gamma, _, mean, var = example((9, 3))
    grad_y = np.random.default_rng(1).standard_normal((9, 3))
    grad_x, _, _ = batch_norm_backward(grad_y, x, gamma, mean, var, True, eps=0.0)
    x_hat = (x - x.mean(0)) / x.std(0)
    assert grad_x.sum(0) == pytest.approx(0, abs=1e-14)
    assert (grad_x * x_hat).sum(0) == pytest.approx(0, abs=1e-14)
    # And it is the projection, not merely orthogonal: the orthogonal part of grad_y is kept.
    assert grad_x * x.std(0) / gamma + grad_y.mean(0) + x_hat * (grad_y * x_hat).mean(0) == pytest.approx(grad_y)


@both_modes
@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float64, 1e-12), (np.float32, 1e-5), (np.float16, 5e-3)])
def test_dtype_is_that_of_the_input(dtype, accuracy, training):
    x, gamma, beta, mean, var = example((20, 3), dtype=dtype)
    exact = example((20, 3))
    y, _, _ = batch_norm(x, gamma, beta, mean, var, training)
    grad_x, _, _ = batch_norm_backward(np.ones_like(x), x, gamma, mean, var, training)
    assert y.dtype == grad_x.dtype == dtype
    np.testing.assert_allclose(y, batch_norm(*exact, training)[0], atol=4 * accuracy)


def test_large_float16_values_do_not_overflow():
    x = (300.0 * np.random.default_rng(0).standard_normal((64, 3))).astype(np.float16)
    one, zero = np.ones(3, np.float16), np.zeros(3, np.float16)
    y, _, _ = batch_norm(x, one, zero, zero, one, True)
    assert y.astype(float).std(0) == pytest.approx(1, rel=1e-2)


def test_the_arguments_stay_as_they_were():
    arrays = example((5, 3))
    copies = [array.copy() for array in arrays]
    batch_norm(*arrays, True)
    batch_norm_backward(arrays[0], arrays[0], arrays[1], arrays[3], arrays[4], True)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_per_channel_has_no_deviation(shape):
    x, gamma, beta, mean, var = example(shape)
    with pytest.raises(ValueError, match=r"x must .* at least 2 values .*\(1, 3"):
        batch_norm(x, gamma, beta, mean, var, True)
    with pytest.raises(ValueError, match="at least 2 values"):
        batch_norm_backward(x, x, gamma, mean, var, True)
    assert np.isfinite(batch_norm(x, gamma, beta, mean, var, False)[0]).all()


def test_shapes_and_dtypes_that_do_not_fit_are_named():
    x, *channels = example((7, 3))
    for place, name in enumerate(("gamma", "beta", "running_mean", "running_var")):
        wrong = [array[:1] if i == place else array for i, array in enumerate(channels)]
        with pytest.raises(
            ValueError, match=rf"{name} must have shape \(3,\), one per channel, and be floating, got float64 \(1,\)"
        ):
            batch_norm(x, *wrong, True)
    gamma, _, mean, var = channels
    with pytest.raises(ValueError, match=r"grad_y must be floating, of the shape of x, \(7, 3\), got float64 \(1, 3\)"):
        batch_norm_backward((x[:1]), x, gamma, mean, var, True)
    with pytest.raises(ValueError, match=r"x must be floating.*int64"):
        batch_norm((x.astype("int64")), *channels, True)
    with pytest.raises(ValueError, match=r"x must .*\(3,\)"):
        batch_norm((x[0]), *channels, False)
    for eps in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"eps must be finite and not negative, got {eps}"):
            batch_norm(x, *channels, True, eps=eps)
    with pytest.raises(ValueError, match=r"x must hold at least 2 values per channel in training, got shape \(0, 3\)"):
        batch_norm((x[:0]), *channels, True)


def test_gradients_in_float16_are_summed_in_float32():
    x = np.random.default_rng(0).standard_normal((70_000, 1)).astype(np.float16)
    ones, zeros = np.ones(1), np.zeros(1)
    *_, grad_beta = batch_norm_backward(np.ones_like(x), x, ones, zeros, ones, training=True)
    assert grad_beta == 70_000
