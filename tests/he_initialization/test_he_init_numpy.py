import numpy as np
import pytest

from snippets.he_initialization.fans_numpy import pytorch_fans
from snippets.he_initialization.he_init_numpy import (
    TRUNCATED_STD,
    kaiming_normal,
    kaiming_std,
    kaiming_truncated_normal,
    kaiming_uniform,
)
from tests.laws import NORMAL, TRUNCATED, UNIFORM, assert_law

LAWS = [(kaiming_normal, NORMAL), (kaiming_uniform, UNIFORM), (kaiming_truncated_normal, TRUNCATED)]
SHAPES = [(200, 300), (64, 16, 3, 20), (300, 200), (30, 50, 40)]

every_kind = pytest.mark.parametrize("draw", [draw for draw, _ in LAWS])


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_formula(shape):
    fans = pytorch_fans(shape)
    assert kaiming_std(shape) ** 2 == pytest.approx(2 / fans.fan_in)
    assert kaiming_std(shape, mode="fan_out") ** 2 == pytest.approx(2 / fans.fan_out)
    assert kaiming_std(shape, nonlinearity="linear") ** 2 == pytest.approx(1 / fans.fan_in)
    assert kaiming_std(shape, 0.5) ** 2 == pytest.approx(2 / 1.25 / fans.fan_in)
    # The slope belongs to the leaky ReLU alone.
    assert kaiming_std(shape, 0.5, nonlinearity="relu") == kaiming_std(shape)
    # A slope of 1 is no rectifier at all.
    assert kaiming_std(shape, 1.0) == pytest.approx(kaiming_std(shape, nonlinearity="linear"))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(("draw", "law"), LAWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_follow_their_law(draw, law, shape, mode):
    assert_law(draw(shape, 0.1, mode, generator=generator()), kaiming_std(shape, 0.1, mode), law)


@every_kind
def test_relu_keeps_the_mean_square(draw):
    """20 ReLU layers of 512 units. A gain of 1 in the place of sqrt(2) would halve E h^2 in each: log 2^-20 = -14."""
    rng = generator()
    h = rng.standard_normal((512, 64))
    h *= np.sqrt(h.size) / np.linalg.norm(h)
    for _ in range(20):
        h = np.maximum(draw((512, 512), generator=rng, dtype=np.float64) @ h, 0.0)
    # Standard deviation of log E h^2: sqrt(5 L / n) = 0.44 (Hanin & Nica 2020).
    assert abs(np.log((h**2).mean())) < 6 * 0.44


def test_the_constant_of_the_cut():
    """0.87962566103423978 is what Keras and TensorFlow write."""
    assert pytest.approx(0.87962566103423978, rel=1e-14) == TRUNCATED_STD


def test_the_cut_stands_at_two_parent_deviations():
    draws = kaiming_truncated_normal((200, 300), generator=generator(), dtype=np.float64)
    edge = 2.0 / 0.87962566103423978 * kaiming_std((200, 300))
    assert 0.999 * edge < np.abs(draws).max() <= edge


@every_kind
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_dtype(draw, dtype):
    weights = draw((4, 3), generator=generator(), dtype=dtype)
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights, draw((4, 3), generator=generator(), dtype=np.float64).astype(dtype))


@every_kind
def test_the_generator_decides(draw):
    state = np.random.get_state()[1].copy()
    first, same, other = (draw((4, 3), generator=generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@every_kind
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"shape": (7,)}, r"shape .*\(7,\)"),
        ({"shape": (7, 0)}, r"(shape|tensor) must .*, got \(7, 0\)"),
        ({"shape": (7, 7), "a": np.nan}, "a must be finite, got nan"),
        ({"shape": (7, 7), "dtype": np.int32}, "dtype must be floating, got int32"),
        ({"shape": (7, 7), "dtype": np.complex64}, "dtype must be floating, got complex64"),
        ({"shape": (7, 7), "mode": "fan_avg"}, "mode .*'fan_avg'"),
        ({"shape": (7, 7), "nonlinearity": "gelu"}, "nonlinearity .*'gelu'"),
    ],
)
def test_errors_name_argument_and_value(draw, arguments, named):
    with pytest.raises(ValueError, match=named):
        draw(**arguments, generator=generator())


def test_the_integers_of_numpy_do_not_wrap():
    sizes = [4, 2**20, 2**12]
    assert kaiming_std(np.array(sizes, np.int32)) == kaiming_std(sizes)
    assert kaiming_std(np.array([100, 100, 3], np.int8), mode="fan_out") == kaiming_std([100, 100, 3], mode="fan_out")
