import math

import numpy as np
import pytest

from snippets.exploding_gradients.adaptive_clipping_numpy import clip_adaptively, unit_norm


def test_a_unit_is_a_row():
    assert unit_norm(np.array([[3.0, 4.0], [0.0, 2.0]])).tolist() == [[5.0], [2.0]]
    assert unit_norm(np.array([[3.0, 4.0], [0.0, 2.0]]), unit_axis=-1).tolist() == [[3.0, math.sqrt(20.0)]]
    assert unit_norm(np.ones((2, 3, 2, 2))).shape == (2, 1, 1, 1)


def test_a_vector_is_one_unit():
    assert unit_norm(np.array([3.0, 4.0])).tolist() == [5.0]
    assert unit_norm(np.array(-2.0)).tolist() == 2.0


def test_each_unit_is_cut_to_its_own_limit():
    weight = np.array([[3.0, 4.0], [0.0, 20.0]])
    clipped = clip_adaptively(np.array([[0.6, 0.8], [0.1, 0.0]]), weight, clipping=0.01)
    assert clipped[0] == pytest.approx([0.03, 0.04])  # norm 1, limit 0.05: the direction stays
    assert clipped[1] == pytest.approx([0.1, 0.0])  # norm 0.1, limit 0.2


def test_weights_of_zero_can_leave_it():
    assert clip_adaptively(np.ones(1), np.zeros(1)) == pytest.approx([0.01 * 1e-3])
    assert clip_adaptively(np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_the_dtype_stays():
    assert clip_adaptively(np.ones((2, 3), np.float16), np.ones((2, 3), np.float16)).dtype == np.float16


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"the shape of weight, \(3,\), got \(2,\)"):
        clip_adaptively(np.ones(2), np.ones(3))
    for bad in ({"clipping": 0.0}, {"eps": -1.0}, {"clipping": math.nan}):
        with pytest.raises(ValueError, match="clipping and eps must be positive"):
            clip_adaptively(np.ones(2), np.ones(2), **bad)
    with pytest.raises(ValueError, match="gradient must have a floating dtype, got int64"):
        clip_adaptively(np.ones(2, np.int64), np.ones(2))
    for axis in (7, -3):
        with pytest.raises(ValueError, match=rf"unit_axis must be an axis of shape \(2, 2\), got {axis}"):
            clip_adaptively(np.ones((2, 2)), np.ones((2, 2)), unit_axis=axis)


def test_a_limit_of_inf_leaves_the_gradient():
    gradient = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert clip_adaptively(gradient, np.ones((2, 2)), clipping=math.inf).tolist() == gradient.tolist()
    assert clip_adaptively(gradient, np.full((2, 2), math.inf)).tolist() == gradient.tolist()


def test_a_finite_gradient_has_a_finite_norm():
    assert unit_norm(np.full((1, 4), 1e200)) == pytest.approx(2e200)
    assert clip_adaptively(np.full((1, 4), 1e200), np.ones((1, 4))) == pytest.approx(0.01)
    assert unit_norm(np.zeros((2, 0))).tolist() == [[0.0], [0.0]]
