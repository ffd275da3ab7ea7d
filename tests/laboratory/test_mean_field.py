import math

import numpy as np
import pytest

from snippets.laboratory.mean_field import (
    LINEAR,
    RELU,
    SIGMOID,
    TANH,
    batch_norm_chi_linear,
    batch_norm_chi_relu,
    chi,
    fixed_variance,
    gaussian_mean,
    next_correlation,
    next_variance,
    propagate,
    relu_correlation,
)


def test_moments_of_the_normal_distribution():
    moments = [gaussian_mean(lambda xi, power=power: xi**power) for power in range(7)]
    assert moments == pytest.approx([1, 0, 1, 0, 3, 0, 15], abs=1e-12)


def test_a_kink_at_zero_costs_no_accuracy():
    assert gaussian_mean(RELU.value) == pytest.approx(1 / math.sqrt(2 * math.pi), abs=1e-14)


@pytest.mark.parametrize("activation", [SIGMOID, TANH, RELU, LINEAR])
def test_slopes_are_derivatives(activation):
    x, step = np.linspace(-3.05, 3, 50), 1e-6
    numerical = (activation.value(x + step) - activation.value(x - step)) / (2 * step)
    assert activation.slope(x) == pytest.approx(numerical, abs=1e-8)


def test_he_keeps_variance_and_gradient_of_relu():
    assert next_variance(0.7, RELU, math.sqrt(2)) == pytest.approx(0.7, rel=1e-13)
    assert chi(0.7, RELU, math.sqrt(2)) == pytest.approx(1, rel=1e-13)


def test_biases_add_their_variance():
    assert next_variance(0.5, LINEAR, 2.0, sigma_b=3.0) == pytest.approx(4 * 0.5 + 9)
    assert fixed_variance(LINEAR, 0.5, sigma_b=1.0) == pytest.approx(4 / 3)


def test_sigmoid_under_xavier_settles_where_a_long_simulation_does():
    q = fixed_variance(SIGMOID, 1.0)
    draws = np.random.default_rng(0).standard_normal(400_000) * math.sqrt(q)
    # Six standard errors: a false alarm in 5e8 seeds.
    for exact, sample in ((q, SIGMOID.value(draws) ** 2), (chi(q, SIGMOID, 1.0), SIGMOID.slope(draws) ** 2)):
        assert abs(sample.mean() - exact) < 6 * sample.std() / math.sqrt(draws.size)


def test_a_variance_that_grows_for_ever_has_no_fixed_point():
    with pytest.raises(ValueError, match="sigma_w=1.5"):
        fixed_variance(LINEAR, 1.5)


def test_a_variance_that_vanishes_settles_at_nothing():
    assert fixed_variance(LINEAR, 0.5) < 1e-29


def test_propagation_through_linear_layers_is_a_geometric_series():
    signals = propagate(LINEAR, 2.0, depth=3, q=0.5, sigma_b=1.0)
    assert signals.preactivation == pytest.approx([0.5, 3.0, 13.0])
    assert signals.activation == pytest.approx(signals.preactivation)
    assert signals.gradient == pytest.approx([16.0, 4.0, 1.0])


def test_propagation_takes_slope_and_value_of_the_layer_they_belong_to():
    first, last = propagate(TANH, 1.5, depth=2, q=0.7), propagate(TANH, 1.5, depth=1, q=0.7)
    assert first.preactivation == [0.7, next_variance(0.7, TANH, 1.5)]
    assert first.activation[0] == pytest.approx(next_variance(0.7, TANH, 1.5) / 1.5**2)
    assert first.gradient == [chi(0.7, TANH, 1.5), 1.0]
    assert last == ([0.7], first.activation[:1], [1.0])


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.5, 0.9, 1.0])
def test_correlations_of_two_inputs(c):
    assert next_correlation(c, 2.0, LINEAR, 0.7) == pytest.approx(c, abs=1e-12)
    assert next_correlation(c, 2.0, RELU, 1.0) == pytest.approx(relu_correlation(c), abs=3e-3)
    rows = np.random.default_rng(1).multivariate_normal([0, 0], [[1, c], [c, 1]], size=400_000)
    products = TANH.value(rows[:, 0]) * TANH.value(rows[:, 1]) / next_variance(1.0, TANH, 1.0)
    # Six standard errors.
    assert abs(products.mean() - next_correlation(c, 1.0, TANH, 1.0)) < 6 * products.std() / math.sqrt(len(rows))


def test_batch_normalization_multiplies_gradients():
    assert batch_norm_chi_linear(8) == pytest.approx(6 / 5)
    assert batch_norm_chi_relu(10**7) == pytest.approx(math.pi / (math.pi - 1), rel=1e-6)
    assert batch_norm_chi_relu(8) > batch_norm_chi_relu(9) > math.pi / (math.pi - 1)
    for factor in (batch_norm_chi_linear, batch_norm_chi_relu):
        with pytest.raises(ValueError, match="batch_size .* 3$"):
            factor(3)


@pytest.mark.parametrize(
    ("factor", "activation"), [(batch_norm_chi_linear, LINEAR), (batch_norm_chi_relu, RELU)], ids=["linear", "relu"]
)
def test_that_factor_is_what_one_layer_does(factor, activation):
    """One layer in the limit of infinite width, simulated: batches at the fixed point, gradients that sum to zero."""
    batch_size, draws = 8, 200_000
    rng = np.random.default_rng(0)

    def normalized(rows: np.ndarray) -> np.ndarray:
        rows = rows - rows.mean(axis=1, keepdims=True)
        return rows / rows.std(axis=1, keepdims=True)

    def centred() -> np.ndarray:
        rows = rng.standard_normal((draws, batch_size))
        return rows - rows.mean(axis=1, keepdims=True)

    # The variance that the layer before leaves in each direction orthogonal to the mean.
    spread = activation.value(normalized(centred())).var(axis=1, ddof=1).mean()
    z = math.sqrt(spread) * centred()
    y, gradient = normalized(z), centred()
    passed = activation.slope(y) * gradient
    passed -= passed.mean(axis=1, keepdims=True) + y * (passed * y).mean(axis=1, keepdims=True)
    squares = (passed**2).sum(axis=1) / z.var(axis=1)
    # Six standard errors, and as much for the spread, which is a mean over the same number of draws.
    band = 12 * squares.std() / math.sqrt(draws) / (batch_size - 1)
    assert abs(squares.mean() / (batch_size - 1) - factor(batch_size)) < band < 0.1
