"""Laws that hold for every input, drawn by Hypothesis: initializers, gains, clipping, statistics, folding."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snippets.activation_functions.gain_pytorch import backward_gain, forward_gain
from snippets.batch_normalization.batch_norm_like_keras_pytorch import BatchNorm1dLikeKeras
from snippets.batch_normalization.batch_norm_pytorch import batch_norm
from snippets.batch_normalization.fold_batch_norm_pytorch import fold_batch_norm
from snippets.exploding_gradients.adaptive_clipping_pytorch import clip_adaptively_, unit_norm
from snippets.exploding_gradients.clip_gradients_pytorch import clip_by_global_norm_, clip_by_value_, global_norm
from snippets.he_initialization.he_init_pytorch import kaiming_normal_, kaiming_std, kaiming_uniform_
from snippets.weight_initialization.delta_orthogonal_pytorch import delta_orthogonal_
from snippets.weight_initialization.init_weights_pytorch import init_weights_
from snippets.weight_initialization.looks_linear_pytorch import looks_linear_
from snippets.weight_initialization.lsuv_pytorch import lsuv_
from snippets.weight_initialization.output_bias_pytorch import sigmoid_bias, softmax_bias
from snippets.xavier_initialization.xavier_init_pytorch import xavier_normal_, xavier_std, xavier_uniform_

# The same examples in every run, and no limit on their time, which is the machine's.
laws = settings(derandomize=True, deadline=None, max_examples=25, database=None)

shapes = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)
dtypes = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])
numbers = st.floats(-1e3, 1e3, width=32)
seeds = st.integers(0, 2**31)
BATCH = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def tensors(draw, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    size = math.prod(shape)
    return torch.tensor(draw(st.lists(numbers, min_size=size, max_size=size)), dtype=dtype).reshape(shape)


FILLS = {"kaiming": (kaiming_normal_, kaiming_uniform_), "xavier": (xavier_normal_, xavier_uniform_)}


@laws
@given(shape=shapes, dtype=dtypes, seed=seeds, law=st.sampled_from(["normal", "uniform"]))
@pytest.mark.parametrize("family", FILLS)
def test_initializers_keep_shape_and_dtype_and_the_global_state(family, shape, dtype, seed, law):
    fill = FILLS[family][law == "uniform"]
    state, tensor = torch.get_rng_state(), torch.empty(shape, dtype=dtype)
    assert fill(tensor, generator=generator(seed)) is tensor
    assert (tensor.shape, tensor.dtype) == (shape, dtype) and tensor.isfinite().all()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(fill(torch.empty(shape, dtype=dtype), generator=generator(seed)), tensor)
    if law == "uniform":
        std = kaiming_std(shape) if family == "kaiming" else xavier_std(shape)
        assert tensor.double().abs().max() <= math.sqrt(3) * std * (1 + 2**-7)


@laws
@given(shape=shapes, seed=seeds, gain=st.floats(0.0, 100.0))
def test_a_gain_scales_the_draws(shape, seed, gain):
    for fill in (xavier_normal_, xavier_uniform_):
        plain, scaled = (
            fill(torch.empty(shape, dtype=torch.float64), factor, generator(seed)) for factor in (1.0, gain)
        )
        torch.testing.assert_close(scaled, gain * plain)


@laws
@given(shape=shapes, slope=st.floats(-3, 3))
def test_stds_follow_the_fans(shape, slope):
    out, into, *kernel = shape
    taps = math.prod(kernel)
    assert kaiming_std(shape, slope) == pytest.approx(math.sqrt(2 / (1 + slope**2) / (into * taps)))
    assert kaiming_std(shape, slope, "fan_out") == pytest.approx(math.sqrt(2 / (1 + slope**2) / (out * taps)))
    # Turned round, the fans change places, and Xavier does not notice.
    turned = (into, out, *kernel)
    assert kaiming_std(turned, slope, "fan_out") == kaiming_std(shape, slope)
    assert xavier_std(turned) == xavier_std(shape)
    # The harmonic mean of the two variances.
    both = 2 / (1 / kaiming_std(shape, 1.0) ** 2 + 1 / kaiming_std(shape, 1.0, "fan_out") ** 2)
    assert xavier_std(shape) ** 2 == pytest.approx(both)


@laws
@given(inputs=st.integers(1, 6), more=st.integers(0, 4), half=st.integers(0, 2), gain=st.floats(0.1, 10), seed=seeds)
def test_delta_orthogonal_keeps_the_norm_times_the_gain(inputs, more, half, gain, seed):
    shape = (inputs + more, inputs, 2 * half + 1)
    weight = delta_orthogonal_(torch.empty(shape, dtype=torch.float64), gain, generator(seed))
    matrix = weight[:, :, half]
    torch.testing.assert_close(matrix.T @ matrix, gain**2 * torch.eye(inputs, dtype=torch.float64))
    assert torch.count_nonzero(weight) == torch.count_nonzero(matrix)


@laws
@given(a=st.floats(0.1, 10), slope=st.floats(0.0, 2.0))
def test_gains_of_a_scaled_and_of_a_leaky_activation(a, slope):
    assert forward_gain(lambda z: a * z.relu()) == pytest.approx(math.sqrt(2) / a)
    leaky = nn.LeakyReLU(slope)
    for measured in (forward_gain(leaky), backward_gain(leaky)):
        assert measured == pytest.approx(math.sqrt(2 / (1 + slope**2)))


@laws
@given(first=tensors(3, 2), second=tensors(4), limit=st.floats(1e-3, 1e3))
def test_clipping_by_the_norm_keeps_the_direction_and_is_idempotent(first, second, limit):
    parameters = [torch.zeros_like(first), torch.zeros_like(second)]
    parameters[0].grad, parameters[1].grad = first.clone(), second.clone()
    before = clip_by_global_norm_(parameters, limit)
    flat = torch.cat([first.flatten(), second])
    assert before.item() == pytest.approx(torch.linalg.vector_norm(flat).item(), rel=1e-12)
    clipped = torch.cat([parameter.grad.flatten() for parameter in parameters])
    if before <= limit:
        assert torch.equal(clipped, flat)
    else:
        torch.testing.assert_close(clipped, flat * (limit / before))
    again = clip_by_global_norm_(parameters, limit)
    assert again.item() <= limit * (1 + 1e-12)
    torch.testing.assert_close(torch.cat([parameter.grad.flatten() for parameter in parameters]), clipped)


@laws
@given(gradient=tensors(4, 3), factor=st.floats(-100, 100))
def test_a_norm_is_homogeneous_and_symmetric(gradient, factor):
    assert global_norm(factor * gradient).item() == pytest.approx(abs(factor) * global_norm(gradient).item())
    torch.testing.assert_close(unit_norm(factor * gradient), abs(factor) * unit_norm(gradient))
    assert global_norm([gradient[:2], gradient[2:]]).item() == pytest.approx(global_norm(gradient).item())


@laws
@given(gradient=tensors(4, 3), limit=st.floats(1e-3, 1e3))
def test_clipping_by_value_is_idempotent_and_keeps_signs(gradient, limit):
    parameter = torch.zeros_like(gradient)
    parameter.grad = gradient.clone()
    clip_by_value_(parameter, limit)
    once = parameter.grad.clone()
    clip_by_value_(parameter, limit)
    assert torch.equal(parameter.grad, once) and once.abs().max() <= limit
    assert torch.equal(once.sign(), gradient.sign())


@laws
@given(gradient=tensors(4, 3), weight=tensors(4, 3), clipping=st.floats(1e-3, 10))
def test_adaptive_clipping_bounds_every_unit_and_is_idempotent(gradient, weight, clipping):
    weight.grad = gradient.clone()
    clip_adaptively_(weight, clipping)
    bound = clipping * unit_norm(weight).clamp(min=1e-3)
    assert (unit_norm(weight.grad) <= bound * (1 + 1e-9)).all()
    once = weight.grad.clone()
    clip_adaptively_(weight, clipping)
    torch.testing.assert_close(weight.grad, once)


@laws
@given(x=tensors(5, 3), shift=numbers, scale=st.floats(0.5, 100))
def test_batch_norm_forgets_shift_and_scale(x, shift, scale):
    ones, zeros = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    y, mean, var = batch_norm(x, ones, zeros, zeros, ones, True, momentum=1.0, eps=1e-12)
    if x.var(0).min() < 1e-3:
        return
    moved, *_ = batch_norm(scale * x + shift, ones, zeros, zeros, ones, True, eps=1e-12)
    torch.testing.assert_close(moved, y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close((mean, var), (x.mean(0), x.var(0)))


@laws
@given(x=tensors(5, 3), momentum=st.floats(0.0, 1.0))
def test_the_statistics_like_keras_are_a_mean_of_old_and_new(x, momentum):
    layer = BatchNorm1dLikeKeras(3, momentum).double()
    layer(x)
    torch.testing.assert_close(layer.running_mean, (1 - momentum) * x.mean(0))
    torch.testing.assert_close(layer.running_var, momentum + (1 - momentum) * x.var(0, correction=0))


@laws
@given(seed=seeds, inputs=st.integers(1, 5), outputs=st.integers(1, 5), bias=st.booleans(), affine=st.booleans())
def test_a_folded_layer_computes_what_both_did(seed, inputs, outputs, bias, affine):
    layer = nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    norm = nn.BatchNorm1d(outputs, affine=affine, dtype=torch.float64).eval()
    state = generator(seed)
    for values in (*layer.parameters(), *norm.parameters(), norm.running_mean, norm.running_var):
        values.data.uniform_(0.5, 2.0, generator=state)
    before = copy.deepcopy(layer.state_dict())
    x = torch.randn(4, inputs, dtype=torch.float64, generator=state)
    torch.testing.assert_close(fold_batch_norm(layer, norm)(x), norm(layer(x)))
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())


@laws
@given(seed=seeds, widths=st.lists(st.integers(1, 8), min_size=2, max_size=4))
def test_a_whole_model_is_the_same_for_a_seed_and_nothing_global_moves(seed, widths):
    def model() -> nn.Sequential:
        return nn.Sequential(*(nn.Linear(fan_in, fan_out) for fan_in, fan_out in itertools.pairwise(widths)))

    first, second = model(), model()
    state = torch.get_rng_state()
    rows = init_weights_(first, seed=seed).reached
    assert rows == init_weights_(second, seed=seed).reached
    assert torch.equal(torch.get_rng_state(), state)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [row.name for row in rows] == [name for name, _ in first.named_parameters()]


@laws
@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=6), p=st.floats(1e-6, 1 - 1e-6))
def test_output_biases_give_the_frequencies_back(counts, p):
    frequencies = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    torch.testing.assert_close(softmax_bias(torch.tensor(counts)).softmax(0), frequencies)
    assert 1 / (1 + math.exp(-sigmoid_bias(p))) == pytest.approx(p)
    assert np.isclose(sigmoid_bias(1 - p), -sigmoid_bias(p))


@pytest.mark.parametrize("function", [init_weights_, looks_linear_, lambda model, seed: lsuv_(model, BATCH, seed=seed)])
def test_a_seed_may_be_an_integer_of_numpy_and_nothing_else(function):
    models = [nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)) for _ in range(2)]
    for model, seed in zip(models, (np.int64(3), 3), strict=True):
        function(model, seed=seed)
    before = copy.deepcopy(models[1].state_dict())
    for seed in (None, "3", 3.0):
        with pytest.raises(ValueError, match="seed must be an integer of 64 bits, got"):
            function(models[1], seed=seed)
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, before[name]) and torch.equal(models[1].state_dict()[name], before[name])
