import math

import numpy as np
import pytest

from snippets.xavier_initialization.xavier_init_numpy import (
    TRUNCATED_STD,
    calculate_gain,
    xavier_normal,
    xavier_std,
    xavier_truncated_normal,
    xavier_uniform,
)
from tests.laws import NORMAL, TRUNCATED, UNIFORM, assert_law

LAWS = [(xavier_normal, NORMAL), (xavier_uniform, UNIFORM), (xavier_truncated_normal, TRUNCATED)]
SHAPES = [(200, 300), (64, 16, 3, 20), (300, 200), (30, 50, 40)]

every_kind = pytest.mark.parametrize("draw", [draw for draw, _ in LAWS])


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("shape", "fans"), [((200, 300), 500), ((300, 200), 500), ((64, 16, 3, 20), 16 * 60 + 64 * 60), ((1, 5), 6)]
)
def test_the_formula(shape, fans):
    assert xavier_std(shape) ** 2 == pytest.approx(2 / fans, rel=1e-14)
    assert xavier_std(shape, 3.0) == pytest.approx(3 * xavier_std(shape), rel=1e-14)


def test_an_example_by_hand():
    """300 inputs, 100 outputs: the question at the end of the chapter."""
    assert xavier_std((100, 300)) == pytest.approx(0.0707, abs=5e-5)
    assert np.abs(xavier_uniform((100, 300), generator=generator())).max() == pytest.approx(0.1225, abs=5e-5)


def test_in_square_layers_xavier_is_lecun():
    assert xavier_std((7, 7)) == pytest.approx(1 / math.sqrt(7), rel=1e-14)


@pytest.mark.parametrize("gain", [1.0, 5 / 3])
@pytest.mark.parametrize(("draw", "law"), LAWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_follow_their_law(draw, law, shape, gain):
    assert_law(draw(shape, gain, generator=generator()), xavier_std(shape, gain), law)


@every_kind
@pytest.mark.parametrize("shape", [(256, 1024), (1024, 256)])
def test_the_two_factors_of_a_layer_are_those_of_the_chapter(draw, shape):
    """2 fan_in / (fan_in + fan_out) forward, 2 fan_out / (fan_in + fan_out) backward, 64 random signals each way.

    The sum of squares of a matrix of N entries has a relative standard deviation below sqrt(2 / N) = 0.003, one of 64
    signals through it below sqrt(2 / (64 * 256)) = 0.011: 7 % are six of both together, a false alarm in 5e8 seeds.
    """
    rng = generator()
    weight = draw(shape, generator=rng, dtype=np.float64)
    fan_out, fan_in = shape
    forward = ((weight @ rng.standard_normal((fan_in, 64))) ** 2).mean()
    backward = ((weight.T @ rng.standard_normal((fan_out, 64))) ** 2).mean()
    assert forward == pytest.approx(2 * fan_in / (fan_in + fan_out), rel=0.07)
    assert backward == pytest.approx(2 * fan_out / (fan_in + fan_out), rel=0.07)


def test_the_cut_stands_at_two_parent_deviations():
    """0.87962566103423978 is what Keras and TensorFlow write."""
    assert pytest.approx(0.87962566103423978, rel=1e-14) == TRUNCATED_STD
    draws = xavier_truncated_normal((200, 300), generator=generator(), dtype=np.float64)
    edge = 2.0 / 0.87962566103423978 * xavier_std((200, 300))
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
        ({"shape": (7, 0)}, r"shape .*\(7, 0\)"),
        ({"shape": (7, 7), "gain": -1.0}, "gain .*-1.0"),
        ({"shape": (7, 7), "gain": math.nan}, "gain .*nan"),
        ({"shape": (7, 7), "gain": math.inf}, "gain .*inf"),
    ],
)
def test_errors_name_argument_and_value(draw, arguments, named):
    with pytest.raises(ValueError, match=named):
        draw(**arguments, generator=generator())


@pytest.mark.parametrize(
    ("nonlinearity", "gain"),
    [("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("selu", 0.75), ("relu", 2**0.5), ("leaky_relu", 1.41414)],
)
def test_gains(nonlinearity, gain):
    assert calculate_gain(nonlinearity) == pytest.approx(gain, rel=1e-5)


def test_the_slope_belongs_to_the_leaky_relu_alone():
    assert calculate_gain("leaky_relu", 0.5) ** 2 == pytest.approx(2 / 1.25)
    assert calculate_gain("leaky_relu", 0.0) == calculate_gain("relu") == calculate_gain("relu", 0.5)
    assert calculate_gain("leaky_relu", 1.0) == pytest.approx(calculate_gain("linear"))


def test_an_activation_without_a_gain_is_refused():
    with pytest.raises(ValueError, match="nonlinearity .*'gelu'"):
        calculate_gain("gelu")


def test_a_slope_must_be_finite():
    with pytest.raises(ValueError, match="param must be a finite number, got nan"):
        calculate_gain("leaky_relu", float("nan"))
    assert calculate_gain("tanh", float("nan")) == 5.0 / 3.0


@every_kind
def test_a_dtype_must_be_floating(draw):
    with pytest.raises(ValueError, match="dtype must be floating, got int64"):
        draw((4, 3), generator=generator(), dtype=np.int64)


@pytest.mark.parametrize("param", [True, [1], {"a": "b"}, "0.1"])
def test_a_slope_is_a_number(param):
    with pytest.raises(ValueError, match="param must be a finite number, got"):
        calculate_gain("leaky_relu", param)


def test_the_integers_of_numpy_do_not_wrap():
    sizes = [2**12, 2**20, 2**12]
    assert xavier_std(np.array(sizes, np.int32)) == xavier_std(sizes)
