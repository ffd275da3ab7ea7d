import math

import numpy as np
import pytest
import torch
from torch import nn

from snippets.he_initialization import he_init_numpy as oracle
from snippets.he_initialization.fans_numpy import pytorch_fans
from snippets.he_initialization.he_init_pytorch import kaiming_normal_, kaiming_std, kaiming_uniform_
from tests.laws import NORMAL, UNIFORM, assert_law

LAWS = [(kaiming_normal_, NORMAL), (kaiming_uniform_, UNIFORM)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SHAPES = [(200, 300), (64, 16, 3, 20), (300, 200)]

every_kind = pytest.mark.parametrize("fill", [fill for fill, _ in LAWS])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("nonlinearity", ["linear", "relu", "leaky_relu"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_oracle_agrees(shape, mode, nonlinearity):
    ours = kaiming_std(shape, 0.3, mode, nonlinearity)
    assert ours == pytest.approx(oracle.kaiming_std(shape, 0.3, mode, nonlinearity), rel=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("fill", "law"), LAWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_follow_their_law(fill, law, shape, dtype):
    weight = fill(torch.empty(shape, dtype=dtype), 0.1, generator=generator())
    assert weight.dtype == dtype
    assert_law(weight.double().numpy(), oracle.kaiming_std(shape, 0.1), law)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nonlinearity", ["linear", "relu", "leaky_relu"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 2, 2), (2, 3, 4)])
@every_kind
def test_every_bit_is_that_of_torch(fill, shape, mode, nonlinearity, dtype):
    arguments = (0.3, mode, nonlinearity)
    theirs = getattr(nn.init, fill.__name__)(torch.empty(shape, dtype=dtype), *arguments, generator=generator())
    assert torch.equal(fill(torch.empty(shape, dtype=dtype), *arguments, generator=generator()), theirs)


def test_the_fans_are_those_of_torch():
    for shape in (*SHAPES, (16, 32, 3, 3), (32, 1, 3, 3)):
        assert pytorch_fans(shape) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@every_kind
def test_the_generator_decides_and_the_global_state_stays(fill):
    state = torch.get_rng_state()
    first, same, other = (fill(torch.empty(4, 3), generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@every_kind
def test_a_parameter_is_filled_in_place_and_still_learns(fill):
    weight = nn.Parameter(torch.zeros(4, 3))
    assert fill(weight, generator=generator()) is weight
    assert weight.any() and weight.requires_grad and weight.grad_fn is None
    assert torch.is_grad_enabled()


@every_kind
def test_without_memory_there_is_nothing_to_fill(fill):
    weight = torch.empty(4, 3, device="meta")
    assert fill(weight, generator=generator()) is weight


@every_kind
@pytest.mark.parametrize(
    ("shape", "arguments", "named"),
    [
        ((7,), {}, r"shape .*\(7,\)"),
        ((7, 0), {}, r"(shape|tensor) must .*, got \(7, 0\)"),
        ((7, 7), {"a": math.nan}, "a must be finite, got nan"),
        ((7, 7), {"a": math.inf}, "a must be finite, got inf"),
        ((7, 7), {"mode": "fan_avg"}, "mode .*'fan_avg'"),
        ((7, 7), {"nonlinearity": "gelu"}, "nonlinearity .*'gelu'"),
    ],
)
def test_errors_name_argument_and_value(fill, shape, arguments, named):
    with pytest.raises(ValueError, match=named):
        fill(torch.empty(shape), **arguments)


@every_kind
def test_a_weight_must_be_floating(fill):
    weight = torch.ones(4, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"tensor must be dense and floating.*int64"):
        fill(weight)
    assert weight.all()


def test_the_integers_of_numpy_do_not_wrap():
    sizes = [4, 2**20, 2**12]
    assert kaiming_std(np.array(sizes, np.int32)) == kaiming_std(sizes)
    assert kaiming_std(np.array([100, 100, 3], np.int8), mode="fan_out") == kaiming_std([100, 100, 3], mode="fan_out")
