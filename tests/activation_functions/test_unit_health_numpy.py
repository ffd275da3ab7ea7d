import math

import numpy as np
import pytest

from snippets.activation_functions.unit_health_numpy import left_slope, unit_health
from tests.activation_functions.shapes import FUNCTIONS

RELU = FUNCTIONS["relu"]


def test_a_unit_is_dead_if_no_example_reaches_it():
    # The first unit never fires, the second for one example of three, the third always; zero does not fire.
    z = np.array([[-1.0, -2.0, 3.0], [-0.5, 0.1, 1.0], [0.0, -1.0, 2.0]])
    assert unit_health(RELU, z) == (1 / 3, 5 / 9)


def test_a_channel_of_a_convolution_is_one_unit_at_all_positions():
    z = np.full((5, 2, 4, 3), -1.0)
    z[2, 1, 0, 0] = 1.0
    assert unit_health(RELU, z) == (1 / 2, 1 - 1 / 120)
    assert unit_health(RELU, np.moveaxis(z, 1, -1), unit_axis=-1) == (1 / 2, 1 - 1 / 120)


def test_sigmoids_saturate_where_their_slope_is_small_and_never_die():
    # sigma' = threshold at sigma = (1 +- sqrt(1 - 4 threshold)) / 2.
    edge = math.log((1 + math.sqrt(0.8)) / (1 - math.sqrt(0.8)))
    z = np.array([[-edge - 1e-3, -edge + 1e-3, 0.0, edge - 1e-3, edge + 1e-3]])
    assert unit_health(FUNCTIONS["sigmoid"], z) == (0.0, 2 / 5)
    assert unit_health(FUNCTIONS["sigmoid"], z, threshold=0.3).saturated == 1.0
    assert unit_health(FUNCTIONS["tanh"], z).saturated == 4 / 5


def test_a_leaky_relu_never_dies():
    assert unit_health(lambda x: np.where(x > 0, x, 0.01 * x), np.full((3, 4), -5.0)) == (0.0, 1.0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_are_derivatives_to_the_left(name):
    x = np.linspace(-8.05, 8, 60)
    numerical = (FUNCTIONS[name](x + 1e-5) - FUNCTIONS[name](x - 1e-5)) / 2e-5
    assert left_slope(FUNCTIONS[name], x) == pytest.approx(numerical, abs=1e-6)
    assert left_slope(FUNCTIONS[name], x.astype(np.float32)).dtype == np.float64


def test_a_relu_at_zero_passes_nothing():
    at_zero, before, behind = left_slope(RELU, np.array([0.0, -1e-30, 1e-30])).tolist()
    assert at_zero == before == 0.0 and behind == pytest.approx(1e-30 / 1.5e-8, rel=0.01, abs=0.0)


@pytest.mark.parametrize(
    ("shape", "threshold", "named"),
    [((3,), 0.05, r"preactivations .*\(3,\)"), ((0, 3), 0.05, r"\(0, 3\)"), ((2, 3), 0.0, r"threshold .*0\.0")],
)
def test_errors_name_argument_and_value(shape, threshold, named):
    with pytest.raises(ValueError, match=named):
        unit_health(RELU, np.zeros(shape), threshold)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_no_health(bad):
    with pytest.raises(ValueError, match="preactivations must be finite, got 1 others"):
        unit_health(RELU, np.array([[1.0, bad]]))


@pytest.mark.parametrize("axis", [0, 3, -3])
def test_the_examples_are_no_units(axis):
    with pytest.raises(ValueError, match=rf"unit_axis must be an axis of \(2, 3, 4\) after the first, got {axis}"):
        unit_health(RELU, np.ones((2, 3, 4)), unit_axis=axis)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e12])
def test_the_slope_is_right_at_points_of_any_size(scale):
    """A step that does not grow with the point would be rounded away."""
    assert left_slope(RELU, scale * np.array([-1.0, 0.0, 1.0])) == pytest.approx([0.0, 0.0, 1.0], abs=1e-7)


@pytest.mark.parametrize("axis", [-2, 0, 2, 7])
def test_only_an_axis_behind_the_first_counts_units(axis):
    with pytest.raises(ValueError, match=f"unit_axis must be an axis .* got {axis}"):
        unit_health(np.tanh, np.ones((3, 4)), unit_axis=axis)


@pytest.mark.parametrize("change", [lambda z: z[:-1], lambda z: np.concatenate([z, z])])
def test_an_activation_keeps_the_shape(change):
    with pytest.raises(ValueError, match="activation must give a real number for every point"):
        left_slope(change, np.ones((3, 4)))


def test_an_activation_that_computes_in_float32_is_measured_in_its_precision():
    z = np.random.default_rng(0).standard_normal((64, 8))
    assert unit_health(lambda x: np.tanh(x.astype(np.float32)), z) == unit_health(np.tanh, z)
    with pytest.raises(ValueError, match="in float32 or wider, got float16"):
        unit_health(lambda x: np.tanh(x.astype(np.float16)), z)


@pytest.mark.parametrize("axis", [0, 1])
def test_an_activation_over_an_axis_is_refused(axis):
    z = np.random.default_rng(0).standard_normal((64, 8))
    with pytest.raises(ValueError, match="act on every entry by itself"):
        unit_health(lambda x: np.exp(x) / np.exp(x).sum(axis, keepdims=True), z)
