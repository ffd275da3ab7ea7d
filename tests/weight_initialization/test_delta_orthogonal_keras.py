import keras
import numpy as np
import pytest

from snippets.weight_initialization.delta_orthogonal_keras import DeltaOrthogonal

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (5, 4, 9), (1, 3, 5, 4, 4), (3, 6)])
def test_one_tap_is_orthogonal_and_the_others_are_zero(shape):
    kernel = np.array(DeltaOrthogonal(gain=1.5, seed=0)(shape))
    assert kernel.shape == shape
    middle = kernel[tuple(size // 2 for size in shape[:-2])]
    assert middle @ middle.T == pytest.approx(1.5**2 * np.eye(shape[-2]), abs=1e-5)
    assert np.count_nonzero(kernel) == np.count_nonzero(middle) == shape[-2] * shape[-1]
    np.testing.assert_array_equal(middle, keras.initializers.Orthogonal(gain=1.5, seed=0)(shape[-2:]))


def test_fifty_convolutions_keep_the_norm_of_an_image():
    image = np.random.default_rng(0).standard_normal((1, 10, 10, 8)).astype("float32")
    h = image
    for seed in range(50):
        h = keras.layers.Conv2D(8, 3, padding="same", kernel_initializer=DeltaOrthogonal(seed=seed))(h)
    assert np.linalg.norm(h) == pytest.approx(np.linalg.norm(image), rel=1e-5)


def test_it_is_rebuilt_from_its_config():
    original = DeltaOrthogonal(gain=2.0, seed=5)
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(original))
    assert type(rebuilt) is DeltaOrthogonal
    np.testing.assert_array_equal(rebuilt((3, 4, 4)), original((3, 4, 4)))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_dtype(dtype):
    kernel = DeltaOrthogonal(seed=0)((3, 4, 4), dtype)
    assert keras.backend.standardize_dtype(kernel.dtype) == dtype
    matrix = np.array(keras.ops.cast(kernel, "float64"))[1]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=0.02)


@pytest.mark.parametrize(("shape", "named"), [((3, 4, 3), "outputs"), ((3, 2, 4, 4), "odd")])
def test_shapes_without_such_a_kernel_are_refused(shape, named):
    with pytest.raises(ValueError, match=named):
        DeltaOrthogonal()(shape)


def test_other_shapes_dtypes_and_gains_are_refused():
    for shape in ((4,), (0, 4)):
        with pytest.raises(ValueError, match=r"shape must be \(\*kernel, in, out\), integers from 1 on, got \("):
            DeltaOrthogonal()(shape)
    with pytest.raises(ValueError, match="dtype must be floating, of 16 bits or more, got 'int64'"):
        DeltaOrthogonal()((3, 3, 4), "int64")
    with pytest.raises(ValueError, match="gain must be finite and not negative, got nan"):
        DeltaOrthogonal(gain=float("nan"))((3, 3, 4))


@pytest.mark.parametrize("seed", [True, 2**63])
def test_a_seed_that_no_generator_takes_is_named(seed):
    with pytest.raises(ValueError, match=f"seed must be an integer of 64 bits, got {seed}"):
        DeltaOrthogonal(seed=seed)
