import math

import numpy as np
import pytest

from snippets.exploding_gradients.clip_gradients_numpy import clip_by_global_norm, clip_by_value, global_norm


def test_the_norm_is_that_of_all_arrays_together():
    assert global_norm([np.array([3.0]), np.array([[4.0], [12.0]])]) == 13.0


def test_the_norm_does_not_overflow_in_half_precision():
    assert global_norm([np.full(4, 256.0, np.float16)]) == 512.0


def test_clipping_by_norm_keeps_the_direction_and_the_ratio_of_arrays():
    gradients = [np.array([3.0]), np.array([[4.0], [12.0]])]
    (first, second), norm = clip_by_global_norm(gradients, 6.5)
    assert norm == 13.0
    assert first == pytest.approx([1.5])
    assert second.ravel() == pytest.approx([2.0, 6.0])


def test_a_short_gradient_stays_as_it_is():
    (same,), norm = clip_by_global_norm([np.array([3.0, 4.0])], 5.0)
    assert same.tolist() == [3.0, 4.0] and norm == 5.0
    (zero,), norm = clip_by_global_norm([np.zeros(3)], 1.0)
    assert zero.tolist() == [0, 0, 0] and norm == 0.0


def test_dtypes_stay():
    clipped, _ = clip_by_global_norm([np.ones(9, np.float32), np.ones(16, np.float16)], 1.0)
    assert [array.dtype for array in clipped] == [np.float32, np.float16]


def test_clipping_by_value_turns_the_direction():
    """Cut to 1, (3, 0.5) becomes (1, 0.5): the angle to the axis grows from 9.5 to 26.6 degrees."""
    (clipped,) = clip_by_value([np.array([3.0, -0.5])], 1.0)
    assert clipped.tolist() == [1.0, -0.5]
    assert math.degrees(math.atan2(0.5, 1.0)) == pytest.approx(26.565, abs=1e-3)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_limit_must_be_positive(bad):
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {bad}"):
        clip_by_global_norm([np.ones(2)], bad)
    with pytest.raises(ValueError, match=f"limit must be positive, got {bad}"):
        clip_by_value([np.ones(2)], bad)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_cannot_be_clipped(bad):
    with pytest.raises(FloatingPointError, match=f"the norm {bad}"):
        clip_by_global_norm([np.array([1.0, bad])], 1.0)


def test_one_array_counts_as_a_list_of_one():
    gradient = np.full((2, 2), 3.0)
    assert global_norm(gradient) == 6.0
    (clipped,), norm = clip_by_global_norm(gradient, 3.0)
    assert clipped.tolist() == [[1.5, 1.5], [1.5, 1.5]] and norm == 6.0
    assert clip_by_value(gradient, 1.0)[0].shape == (2, 2)
    assert clip_by_global_norm(iter([gradient]), 3.0)[0][0].tolist() == clipped.tolist()


def test_a_finite_gradient_has_a_finite_norm():
    assert global_norm([np.full(4, 1e200), np.zeros((0, 3))]) == pytest.approx(2e200)
    (clipped,), _ = clip_by_global_norm([np.full(4, 1e-200)], 1e-200)
    assert clipped == pytest.approx([0.5e-200] * 4)


def test_other_input_is_named():
    for clip in (clip_by_global_norm, clip_by_value):
        with pytest.raises(ValueError, match="gradients must have floating dtypes, got int64"):
            clip([np.array([3, 4])], 1.0)
        with pytest.raises(ValueError, match="gradients must yield an array, got an exhausted generator"):
            clip((array for array in []), 1.0)


@pytest.mark.parametrize("size", [0.4, 0.6, 0.99, 1.0])
def test_a_shorter_gradient_is_not_lengthened(size):
    (clipped,), norm = clip_by_global_norm(np.array([size, 0.0]), 1.0)
    assert clipped.tolist() == [size, 0.0] and norm == pytest.approx(size)


def test_a_factor_that_float16_rounds_to_zero_still_scales():
    gradient = np.full(10_000, 6e4, np.float16)
    (clipped,), _ = clip_by_global_norm(gradient, 0.01)
    np.testing.assert_allclose(clipped, 1e-4, rtol=0.01)


def test_a_limit_above_all_float16_changes_nothing():
    gradient = np.array([1.0, -60_000.0], np.float16)
    for limit in (70_000.0, math.inf):
        (same,) = clip_by_value(gradient, limit)
        assert same.dtype == np.float16 and np.array_equal(same, gradient)
