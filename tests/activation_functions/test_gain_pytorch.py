import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from snippets.activation_functions import gain_numpy as oracle
from snippets.activation_functions.gain_pytorch import backward_gain, forward_gain, gaussian_rule
from tests.activation_functions.shapes import FUNCTIONS


def named(name: str):
    return getattr(torch, name) if name in ("sigmoid", "tanh") else getattr(functional, name)


def test_the_rule_is_that_of_the_oracle():
    for ours, theirs in zip(gaussian_rule(), oracle.gaussian_rule(), strict=True):
        assert torch.allclose(ours, torch.from_numpy(theirs), rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_oracle_agrees(name):
    assert forward_gain(named(name)) == pytest.approx(oracle.forward_gain(FUNCTIONS[name]), rel=1e-12)
    assert backward_gain(named(name)) == pytest.approx(oracle.backward_gain(FUNCTIONS[name]), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_dtypes_give_it_to_their_precision(dtype):
    for gain in (forward_gain, backward_gain):
        assert gain(torch.tanh, dtype=dtype) == pytest.approx(gain(torch.tanh), rel=2 * torch.finfo(dtype).eps)


def test_it_agrees_with_calculate_gain_where_that_is_exact():
    for name, parameter, module in (("relu", None, nn.ReLU()), ("leaky_relu", 0.2, nn.LeakyReLU(0.2))):
        exact = nn.init.calculate_gain(name, parameter)
        assert forward_gain(module) == pytest.approx(exact, rel=1e-12)
        assert backward_gain(module) == pytest.approx(exact, rel=1e-12)


def test_modules_may_have_parameters_and_work_in_place():
    module = nn.PReLU(init=0.2)
    assert forward_gain(module, dtype=torch.float32) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-6)
    assert backward_gain(module, dtype=torch.float32) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-6)
    assert module.weight.grad is None
    assert backward_gain(nn.ReLU(inplace=True)) == pytest.approx(math.sqrt(2), rel=1e-12)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off_and_leaves_them_so(mode):
    with mode():
        assert backward_gain(torch.tanh) == pytest.approx(1.467414, abs=1e-6)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("gain", [forward_gain, backward_gain])
@pytest.mark.parametrize(
    ("activation", "named"),
    [
        (nn.Softmax(dim=0), "activation must act on every entry by itself and draw nothing, got Softmax"),
        (lambda x: x[::2], "activation must act on every entry by itself"),
        (lambda x: x / x.std(), "activation must act on every entry by itself"),
        (nn.Dropout(0.5), r"draw nothing, got Dropout\(p=0\.5"),
        (nn.RReLU(), "draw nothing, got RReLU"),
        (lambda x: 0 * x, r"positive and finite mean square, got 0\.0"),
        (lambda x: x * math.inf, "positive and finite mean square, got (nan|inf)"),
    ],
)
def test_what_has_no_gain_is_refused(gain, activation, named):
    with pytest.raises(ValueError, match=named):
        gain(activation)


def test_dropout_at_test_time_is_the_identity():
    for gain in (forward_gain, backward_gain):
        assert gain(nn.Dropout(0.5).eval()) == pytest.approx(1.0, rel=1e-12)


def test_a_step_has_no_backward_gain():
    with pytest.raises(ValueError, match="activation must be differentiable"):
        backward_gain(lambda x: (x > 0).to(x.dtype))


@pytest.mark.parametrize("gain", [forward_gain, backward_gain])
def test_a_dtype_must_be_floating(gain):
    with pytest.raises(ValueError, match=r"dtype must be floating, got torch\.int64"):
        gain(torch.relu, torch.int64)


def test_the_dtype_of_the_parameters_is_asked_for():
    with pytest.raises(ValueError, match=r"dtype must be that of the parameters of activation, .*float32.*float64"):
        forward_gain(nn.PReLU())
    with pytest.raises(ValueError, match=r"dtype must be a torch.dtype, got 'float32'"):
        forward_gain(torch.tanh, "float32")
