"""Laws that hold for every input, drawn by Hypothesis: NumPy's initializers, gains, clipping, statistics, folding."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snippets.activation_functions.gain_numpy import backward_gain, forward_gain, gaussian_mean
from snippets.activation_functions.softmax_cross_entropy_numpy import softmax_cross_entropy
from snippets.activation_functions.unit_health_numpy import unit_health
from snippets.batch_normalization.batch_norm_numpy import batch_norm, batch_norm_backward
from snippets.batch_normalization.fold_batch_norm_numpy import fold_batch_norm
from snippets.batch_normalization.norms_numpy import group_norm, layer_norm, rms_norm
from snippets.exploding_gradients.adaptive_clipping_numpy import clip_adaptively, unit_norm
from snippets.exploding_gradients.clip_gradients_numpy import clip_by_global_norm, clip_by_value, global_norm
from snippets.he_initialization.fans_numpy import keras_fans, pytorch_fans, true_fans
from snippets.he_initialization.he_init_numpy import (
    kaiming_normal,
    kaiming_std,
    kaiming_truncated_normal,
    kaiming_uniform,
)
from snippets.weight_initialization.delta_orthogonal_numpy import delta_orthogonal
from snippets.weight_initialization.looks_linear_numpy import looks_linear
from snippets.weight_initialization.output_bias_numpy import sigmoid_bias, softmax_bias
from snippets.xavier_initialization.xavier_init_numpy import (
    xavier_normal,
    xavier_std,
    xavier_truncated_normal,
    xavier_uniform,
)

# The same examples in every run, and no limit on their time, which is the machine's.
laws = settings(derandomize=True, deadline=None, max_examples=25, database=None)

shapes = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)
dtypes = st.sampled_from([np.float16, np.float32, np.float64])
seeds = st.integers(0, 2**31)
numbers = st.floats(-1e3, 1e3, width=32)


def matrices(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, shape, elements=numbers)


FILLS = {
    "he": (kaiming_std, {"normal": kaiming_normal, "uniform": kaiming_uniform, "cut": kaiming_truncated_normal}),
    "xavier": (xavier_std, {"normal": xavier_normal, "uniform": xavier_uniform, "cut": xavier_truncated_normal}),
}
EDGES = {"normal": math.inf, "uniform": math.sqrt(3), "cut": 2.274}


@laws
@given(shape=shapes, dtype=dtypes, seed=seeds)
@pytest.mark.parametrize("law", EDGES)
@pytest.mark.parametrize("family", FILLS)
def test_initializers_keep_shape_dtype_edge_and_the_global_state(family, law, shape, dtype, seed):
    std, draw = FILLS[family][0], FILLS[family][1][law]
    state = np.random.get_state()[1].copy()
    one, same = (draw(shape, generator=np.random.default_rng(seed), dtype=dtype) for _ in range(2))
    assert (one.shape, one.dtype) == (shape, dtype) and np.array_equal(one, same)
    assert np.abs(one.astype(np.float64)).max() <= EDGES[law] * std(shape) * (1 + 2**-9)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@laws
@given(shape=shapes, seed=seeds, gain=st.floats(0.0, 100.0), slope=st.floats(-3, 3))
def test_a_gain_and_a_slope_scale_the_draws(shape, seed, gain, slope):
    for draw in FILLS["xavier"][1].values():
        plain, scaled = (draw(shape, by, generator=np.random.default_rng(seed), dtype=np.float64) for by in (1.0, gain))
        np.testing.assert_allclose(scaled, gain * plain, atol=1e-300)
    for draw in FILLS["he"][1].values():
        plain, scaled = (draw(shape, a, generator=np.random.default_rng(seed), dtype=np.float64) for a in (0.0, slope))
        np.testing.assert_allclose(scaled, plain / math.sqrt(1 + slope**2))


@laws
@given(shape=shapes)
def test_stds_follow_the_fans(shape):
    fans, turned = pytorch_fans(shape), (shape[1], shape[0], *shape[2:])
    assert kaiming_std(shape) == pytest.approx(math.sqrt(2 / fans.fan_in))
    assert kaiming_std(shape, 1.0, "fan_out") == pytest.approx(math.sqrt(1 / fans.fan_out))
    assert kaiming_std(turned, mode="fan_out") == kaiming_std(shape)
    assert xavier_std(shape) == xavier_std(turned) == pytest.approx(math.sqrt(2 / sum(fans)))
    assert keras_fans((*shape[2:], shape[1], shape[0])) == fans
    assert true_fans(shape[1], shape[0], shape[2:]) == fans


@laws
@given(
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    groups=st.integers(1, 3),
    kernel=st.lists(st.integers(1, 4), max_size=3),
    stride=st.integers(1, 3),
)
def test_transposing_a_layer_swaps_its_fans(inputs, outputs, groups, kernel, stride):
    steps = [stride] * len(kernel)
    there = true_fans(groups * inputs, groups * outputs, kernel, steps, groups)
    back = true_fans(groups * outputs, groups * inputs, kernel, steps, groups, transposed=True)
    assert there == back[::-1] and there.fan_in == inputs * math.prod(kernel)


@laws
@given(inputs=st.integers(1, 6), more=st.integers(0, 4), half=st.integers(0, 2), gain=st.floats(0.1, 10), seed=seeds)
def test_delta_orthogonal_keeps_the_norm_times_the_gain(inputs, more, half, gain, seed):
    shape = (inputs + more, inputs, 2 * half + 1)
    weight = delta_orthogonal(shape, gain, generator=np.random.default_rng(seed), dtype=np.float64)
    matrix = weight[:, :, half]
    np.testing.assert_allclose(matrix.T @ matrix, gain**2 * np.eye(inputs), atol=1e-12 * gain**2)
    assert np.count_nonzero(weight) == np.count_nonzero(matrix)


@laws
@given(halves=st.lists(st.integers(1, 6), min_size=2, max_size=5), seed=seeds)
def test_a_chain_that_looks_linear_is_an_isometry_as_long_as_it_widens(halves, seed):
    inputs, *hidden, outputs = sorted(halves)
    widths = [inputs, *(2 * half for half in hidden), outputs]
    weights, h = looks_linear(widths, seed=seed), np.eye(inputs)
    assert [weight.shape for weight in weights] == [(out, into) for into, out in itertools.pairwise(widths)]
    for weight in weights[:-1]:
        h = np.maximum(h @ weight.T, 0.0)
    h = h @ weights[-1].T
    np.testing.assert_allclose(h @ h.T, np.eye(inputs), atol=1e-12)
    # What narrows projects: no singular value above 1, as many of 1 as the narrowest place lets through.
    narrowing, h = looks_linear([6, 4, 8], seed=seed), np.eye(6)
    sizes = np.linalg.svd(np.maximum(h @ narrowing[0].T, 0.0) @ narrowing[1].T, compute_uv=False)
    np.testing.assert_allclose(sizes, [1, 1, 0, 0, 0, 0], atol=1e-12)


@laws
@given(a=st.floats(0.1, 10), slope=st.floats(0.0, 2.0), power=st.integers(0, 6))
def test_gains_of_a_scaled_and_of_a_leaky_activation(a, slope, power):
    assert forward_gain(lambda z: a * np.maximum(z, 0.0)) == pytest.approx(math.sqrt(2) / a)
    for measured in (forward_gain, backward_gain):
        assert measured(lambda z: np.where(z > 0, z, slope * z)) == pytest.approx(math.sqrt(2 / (1 + slope**2)))
    moment = 0 if power % 2 else math.prod(range(1, power, 2))
    assert gaussian_mean(lambda z: z**power) == pytest.approx(moment, abs=1e-12)


@laws
@given(first=matrices(3, 2), second=matrices(4), limit=st.floats(1e-3, 1e3))
def test_clipping_by_the_norm_keeps_the_direction_and_is_idempotent(first, second, limit):
    flat = np.concatenate([first.ravel(), second])
    clipped, before = clip_by_global_norm([first, second], limit)
    assert before == pytest.approx(np.linalg.norm(flat), rel=1e-12)
    assert global_norm([-3.0 * first, 3.0 * second]) == pytest.approx(3.0 * before)
    wanted = flat if before <= limit else flat * (limit / before)
    np.testing.assert_allclose(np.concatenate([part.ravel() for part in clipped]), wanted, rtol=1e-12)
    again, _ = clip_by_global_norm(clipped, limit)
    for one, other in zip(again, clipped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@laws
@given(gradient=matrices(4, 3), weight=matrices(4, 3), limit=st.floats(1e-3, 1e3), axis=st.integers(-2, 1))
def test_clipping_by_value_and_by_unit_is_idempotent_and_keeps_signs(gradient, weight, limit, axis):
    (cut,) = clip_by_value(gradient, limit)
    assert np.array_equal(np.sign(cut), np.sign(gradient)) and np.abs(cut).max() <= limit
    assert np.array_equal(clip_by_value(cut, limit)[0], cut)
    bound = limit * np.maximum(unit_norm(weight, axis), 1e-3)
    short = clip_adaptively(gradient, weight, limit, unit_axis=axis)
    assert (unit_norm(short, axis) <= bound * (1 + 1e-9)).all()
    np.testing.assert_allclose(clip_adaptively(short, weight, limit, unit_axis=axis), short, rtol=1e-9)
    np.testing.assert_allclose(unit_norm(-2.0 * weight, axis), 2.0 * unit_norm(weight, axis))


@laws
@given(x=matrices(5, 3), shift=numbers, scale=st.floats(0.5, 100), momentum=st.floats(0.0, 1.0))
def test_batch_norm_forgets_shift_and_scale(x, shift, scale, momentum):
    assume(x.var(0).min() > 1e-3)
    ones, zeros = np.ones(3), np.zeros(3)
    y, mean, var = batch_norm(x, ones, zeros, zeros, ones, True, momentum, 1e-12)
    np.testing.assert_allclose(mean, momentum * x.mean(0))
    np.testing.assert_allclose(var, 1 - momentum + momentum * x.var(0, ddof=1))
    moved = scale * x + shift
    np.testing.assert_allclose(batch_norm(moved, ones, zeros, zeros, ones, True, eps=1e-12)[0], y, rtol=1e-5, atol=1e-5)
    # A gradient can move nothing that the layer forgets.
    grad_x, *_ = batch_norm_backward(np.cos(y), moved, ones, zeros, ones, True, 1e-12)
    np.testing.assert_allclose(grad_x.sum(0), 0, atol=1e-6)
    np.testing.assert_allclose((grad_x * (moved - moved.mean(0))).sum(0), 0, atol=1e-4)


@laws
@given(x=matrices(4, 6), shift=numbers, scale=st.floats(0.5, 100), groups=st.sampled_from([1, 2, 3, 6]))
def test_other_norms_forget_a_scale_and_but_for_one_a_shift(x, shift, scale, groups):
    def grouped(rows):
        return group_norm(rows, groups, 0.0)

    if groups < 6:
        assume(x.reshape(4, groups, -1).var(-1).min() > 1e-3)
        np.testing.assert_allclose(grouped(scale * x + shift), grouped(x), rtol=1e-5, atol=1e-5)
    assume(np.abs(x).max(-1).min() > 1e-3 and x.var(-1).min() > 1e-3)
    np.testing.assert_allclose(layer_norm(scale * x + shift, 0.0), layer_norm(x, 0.0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rms_norm(scale * x, 0.0), rms_norm(x, 0.0), rtol=1e-9)
    np.testing.assert_allclose((rms_norm(x, 0.0) ** 2).mean(-1), 1.0)


@laws
@given(seed=seeds, inputs=st.integers(1, 5), outputs=st.integers(1, 5), has_bias=st.booleans())
def test_a_folded_layer_computes_what_both_did(seed, inputs, outputs, has_bias):
    generator = np.random.default_rng(seed)
    weight, x = generator.standard_normal((outputs, inputs)), generator.standard_normal((4, inputs))
    bias, gamma, beta, mean, var = generator.uniform(0.5, 2.0, (5, outputs))
    z = x @ weight.T + (bias if has_bias else 0.0)
    folded, shift = fold_batch_norm(weight, bias if has_bias else None, gamma, beta, mean, var, 1e-3)
    wanted, *_ = batch_norm(z, gamma, beta, mean, var, False, eps=1e-3)
    np.testing.assert_allclose(x @ folded.T + shift, wanted)


@laws
@given(logits=matrices(4, 3), shift=numbers, labels=arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_cross_entropy_forgets_a_shift_and_its_gradient_sums_to_zero(logits, shift, labels):
    loss, gradient = softmax_cross_entropy(logits, labels)
    moved, same = softmax_cross_entropy(logits + shift, labels)
    assert loss >= 0 and moved == pytest.approx(loss, abs=1e-9)
    np.testing.assert_allclose(same, gradient, atol=1e-9)
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-15)
    assert (np.sign(gradient[np.arange(4), labels]) <= 0).all()


@laws
@given(z=matrices(6, 4), shift=st.floats(-3, 3))
def test_a_relu_unit_is_dead_where_none_of_its_inputs_is_positive(z, shift):
    assume((np.abs(z + shift) > 1e-6).all())
    health = unit_health(lambda x: np.maximum(x, 0.0), z + shift)
    assert health.dead == (z + shift <= 0).all(0).mean() and health.saturated == (z + shift <= 0).mean()


@laws
@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=6), p=st.floats(1e-6, 1 - 1e-6))
def test_output_biases_give_the_frequencies_back(counts, p):
    np.testing.assert_allclose(np.exp(softmax_bias(counts)), np.array(counts) / sum(counts))
    assert 1 / (1 + math.exp(-sigmoid_bias(p))) == pytest.approx(p)
    assert np.isclose(sigmoid_bias(1 - p), -sigmoid_bias(p))
