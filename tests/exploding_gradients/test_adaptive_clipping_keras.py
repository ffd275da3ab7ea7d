import keras
import numpy as np
import pytest
from keras import ops

from snippets.exploding_gradients import adaptive_clipping_numpy as oracle
from snippets.exploding_gradients.adaptive_clipping_keras import clip_adaptively, unit_norm

pytestmark = pytest.mark.keras


def pair(shape: tuple[int, ...], dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(len(shape))
    return 0.05 * generator.standard_normal(shape).astype(dtype), generator.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(5, 6), (2, 2, 3, 4), (7,), ()])
@pytest.mark.parametrize("clipping", [0.01, 0.05, 10.0])
def test_clipping_agrees_with_numpy(shape, clipping):
    gradient, weight = (np.asarray(array) for array in pair(shape))
    wanted = oracle.clip_adaptively(gradient, weight, clipping, unit_axis=-1)
    np.testing.assert_allclose(ops.convert_to_numpy(clip_adaptively(gradient, weight, clipping)), wanted, rtol=2e-6)


def test_units_may_lie_along_another_axis():
    gradient, weight = pair((2, 2, 3, 4))
    wanted = oracle.clip_adaptively(gradient, weight, unit_axis=-2)
    np.testing.assert_allclose(clip_adaptively(gradient, weight, unit_axis=-2), wanted, rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_any_floating_dtype(dtype):
    gradient, weight = (ops.cast(array, dtype) for array in pair((5, 6), "float64"))
    clipped = clip_adaptively(gradient * 1000, weight)
    assert clipped.dtype == gradient.dtype
    ratio = ops.convert_to_numpy(unit_norm(clipped) / unit_norm(weight)).ravel()
    assert ratio == pytest.approx([0.01] * 6, rel=1e-2)


def test_weights_of_zero_can_leave_it():
    gradient = np.array([[1.0, 0.0]] * 4, np.float32)
    clipped = ops.convert_to_numpy(clip_adaptively(gradient, np.zeros((4, 2), np.float32), clipping=0.01, eps=1e-3))
    np.testing.assert_allclose(clipped, [[0.5e-5, 0.0]] * 4, rtol=1e-6)  # a column of norm 0.01 eps


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"the shape of weight, \(3,\), got \(2,\)"):
        clip_adaptively(ops.ones((2,)), ops.ones((3,)))
    for bad in ({"clipping": 0.0}, {"eps": -1.0}):
        with pytest.raises(ValueError, match="clipping and eps must be positive"):
            clip_adaptively(ops.ones((2,)), ops.ones((2,)), **bad)
    with pytest.raises(ValueError, match="gradient must have a floating dtype of 16 bits or more, got int64"):
        clip_adaptively(np.ones(2, np.int64), np.ones(2, "float32"))
    for axis in (7, -3):
        with pytest.raises(ValueError, match=rf"unit_axis must be an axis of shape \(2, 2\), got {axis}"):
            clip_adaptively(ops.ones((2, 2)), ops.ones((2, 2)), unit_axis=axis)


def test_a_limit_of_inf_leaves_the_gradient():
    gradient = np.array([[3.0, 0.0], [4.0, 0.0]], "float32")
    clipped = clip_adaptively(gradient, ops.ones((2, 2)), clipping=float("inf"))
    assert ops.convert_to_numpy(clipped).tolist() == gradient.tolist()


def test_a_finite_gradient_has_a_finite_norm():
    gradient = np.full((4, 1), 1e30, "float32")
    np.testing.assert_allclose(unit_norm(gradient), [[2e30]], rtol=1e-6)
    np.testing.assert_allclose(clip_adaptively(gradient, ops.ones((4, 1))), np.full((4, 1), 0.01), rtol=1e-6)


def test_a_fraction_is_no_axis():
    """It would differ from every axis, and the tensor would count as one unit."""
    with pytest.raises(ValueError, match="unit_axis must be an axis .* got 0.5"):
        unit_norm(np.ones((4, 3), "float32"), 0.5)


def test_a_layer_is_no_tensor():
    layer = keras.layers.Dense(2)
    with pytest.raises(ValueError, match="gradient must be a tensor or an array, got Dense"):
        clip_adaptively(layer, layer)
