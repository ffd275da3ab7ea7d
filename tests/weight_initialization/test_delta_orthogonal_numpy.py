import numpy as np
import pytest

from snippets.weight_initialization.delta_orthogonal_numpy import delta_orthogonal


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", [(8, 8, 3, 3), (9, 4, 5), (4, 4, 1, 3, 5), (6, 3)])
def test_one_tap_is_orthogonal_and_the_others_are_zero(shape):
    weight = delta_orthogonal(shape, 1.5, generator=generator(), dtype=np.float64)
    middle = weight[(slice(None), slice(None), *(size // 2 for size in shape[2:]))]
    np.testing.assert_allclose(middle.T @ middle, 1.5**2 * np.eye(shape[1]), atol=1e-13)
    assert np.count_nonzero(weight) == np.count_nonzero(middle) == shape[0] * shape[1]


def test_a_convolution_with_it_keeps_the_norm():
    """Of a signal of 10 positions, wrapped around."""
    weight = delta_orthogonal((6, 4, 3), generator=generator(), dtype=np.float64)
    signal = generator(1).standard_normal((4, 10))
    output = sum(weight[:, :, tap] @ np.roll(signal, 1 - tap, axis=1) for tap in range(3))
    assert np.linalg.norm(output) == pytest.approx(np.linalg.norm(signal))


def test_every_rotation_is_as_likely():
    """The mean trace of 400 uniform rotations of 4 dimensions is 0 +- 1/20."""
    draw = generator()
    traces = [np.trace(delta_orthogonal((4, 4), generator=draw)) for _ in range(400)]
    assert abs(np.mean(traces)) < 6 / 20


def test_dtype_and_generator():
    first, same, other = (delta_orthogonal((4, 4, 3), generator=generator(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.float32
    assert (first == same).all() and (first != other).any()


@pytest.mark.parametrize(("shape", "named"), [((3, 4, 3), "outputs"), ((4, 4, 3, 2), "odd")])
def test_shapes_without_such_a_kernel_are_refused(shape, named):
    with pytest.raises(ValueError, match=named):
        delta_orthogonal(shape, generator=generator())


def test_other_shapes_dtypes_and_gains_are_refused():
    generator = np.random.default_rng(0)
    for shape in ((4,), (4, 0)):
        with pytest.raises(ValueError, match=r"shape must be \(out, in, \*kernel\), integers from 1 on, got \(4,"):
            delta_orthogonal(shape, generator=generator)
    with pytest.raises(ValueError, match="dtype must be floating, got int64"):
        delta_orthogonal((4, 3, 3), generator=generator, dtype=np.int64)
    with pytest.raises(ValueError, match="gain must be finite and not negative, got nan"):
        delta_orthogonal((4, 3, 3), np.nan, generator=generator)
