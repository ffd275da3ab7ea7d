import math

import numpy as np
import pytest
import torch
from torch import nn

from snippets.xavier_initialization import xavier_init_numpy as oracle
from snippets.xavier_initialization.xavier_init_pytorch import (
    calculate_gain,
    xavier_normal_,
    xavier_std,
    xavier_uniform_,
)
from tests.laws import NORMAL, UNIFORM, assert_law

LAWS = [(xavier_normal_, NORMAL), (xavier_uniform_, UNIFORM)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SHAPES = [(200, 300), (64, 16, 3, 20), (300, 200)]

every_kind = pytest.mark.parametrize("fill", [fill for fill, _ in LAWS])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("gain", [1.0, 5 / 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_oracle_agrees(shape, gain):
    assert xavier_std(shape, gain) == pytest.approx(oracle.xavier_std(shape, gain), rel=1e-15)


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_those_of_torch_and_of_the_oracle(nonlinearity):
    assert calculate_gain(nonlinearity) == nn.init.calculate_gain(nonlinearity) == oracle.calculate_gain(nonlinearity)
    for slope in (0.2, 0.0, 1.0):
        assert calculate_gain(nonlinearity, slope) == nn.init.calculate_gain(nonlinearity, slope)
        assert calculate_gain(nonlinearity, slope) == oracle.calculate_gain(nonlinearity, slope)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("fill", "law"), LAWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_follow_their_law(fill, law, shape, dtype):
    weight = fill(torch.empty(shape, dtype=dtype), 1.5, generator())
    assert weight.dtype == dtype
    assert_law(weight.double().numpy(), oracle.xavier_std(shape, 1.5), law)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gain", [1.0, 5 / 3, 0.0])
@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 2, 2), (2, 3, 4)])
@every_kind
def test_every_bit_is_that_of_torch(fill, shape, gain, dtype):
    theirs = getattr(nn.init, fill.__name__)(torch.empty(shape, dtype=dtype), gain, generator())
    assert torch.equal(fill(torch.empty(shape, dtype=dtype), gain, generator()), theirs)


def test_the_default_of_linear_is_not_xavier_but_what_xavier_replaced():
    """n Var W = 1/3, Glorot & Bengio (2010), equation 15."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = nn.Linear(300, 300).weight
    assert_law(weight.detach().numpy(), 1 / math.sqrt(3 * 300), UNIFORM)


@every_kind
def test_the_generator_decides_and_the_global_state_stays(fill):
    state = torch.get_rng_state()
    first, same, other = (fill(torch.empty(4, 3), generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@every_kind
def test_without_a_generator_the_global_one_decides(fill):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        weight = fill(torch.empty(4, 3))
    assert torch.equal(weight, fill(torch.empty(4, 3), generator=generator(5)))


@every_kind
def test_a_parameter_is_filled_in_place_and_still_learns(fill):
    weight = nn.Parameter(torch.zeros(4, 3))
    assert fill(weight, generator=generator()) is weight
    assert weight.any() and weight.requires_grad and weight.grad_fn is None
    assert torch.is_grad_enabled()


@every_kind
def test_a_weight_on_the_meta_device_stays_there(fill):
    weight = torch.empty(4, 3, device="meta")
    assert fill(weight) is weight


@every_kind
@pytest.mark.parametrize(
    ("shape", "gain", "named"),
    [
        ((7,), 1.0, r"shape .*\(7,\)"),
        ((7, 0), 1.0, r"shape .*\(7, 0\)"),
        ((7, 7), -1.0, "gain .*-1.0"),
        ((7, 7), math.nan, "gain .*nan"),
        ((7, 7), math.inf, "gain .*inf"),
    ],
)
def test_errors_name_argument_and_value(fill, shape, gain, named):
    with pytest.raises(ValueError, match=named):
        fill(torch.empty(shape), gain)


def test_an_activation_without_a_gain_is_refused():
    with pytest.raises(ValueError, match="nonlinearity .*'gelu'"):
        calculate_gain("gelu")


def test_a_slope_must_be_finite():
    with pytest.raises(ValueError, match="param must be a finite number, got nan"):
        calculate_gain("leaky_relu", float("nan"))
    assert calculate_gain("tanh", float("nan")) == 5.0 / 3.0


@every_kind
def test_a_weight_must_be_floating(fill):
    with pytest.raises(ValueError, match=r"tensor must be dense and floating.*int64"):
        fill(torch.ones(4, 3, dtype=torch.int64))


@pytest.mark.parametrize("param", [True, [1], {"a": "b"}, "0.1"])
def test_a_slope_is_a_number(param):
    with pytest.raises(ValueError, match="param must be a finite number, got"):
        calculate_gain("leaky_relu", param)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose3d", "leaky_relu"])
def test_all_names_of_torch_are_known(name):
    assert calculate_gain(name) == nn.init.calculate_gain(name) == calculate_gain(name, None)


def test_the_integers_of_numpy_do_not_wrap():
    sizes = [2**12, 2**20, 2**12]
    assert xavier_std(np.array(sizes, np.int32)) == xavier_std(sizes)
