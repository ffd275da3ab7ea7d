"""Laws that hold for every input, drawn by Hypothesis: Keras's initializers, gains, clipping, statistics, folding."""

import math
import random

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers, ops

from snippets.activation_functions.gain_keras import backward_gain, forward_gain
from snippets.activation_functions.softmax_cross_entropy_keras import softmax_cross_entropy
from snippets.batch_normalization.batch_norm_keras import batch_norm, batch_norm_backward
from snippets.batch_normalization.batch_norm_like_pytorch_keras import BatchNormLikePyTorch
from snippets.batch_normalization.fold_batch_norm_keras import fold_batch_norm
from snippets.exploding_gradients.adaptive_clipping_keras import clip_adaptively, unit_norm
from snippets.exploding_gradients.clip_gradients_keras import clip_by_global_norm, clip_by_value, global_norm
from snippets.he_initialization.he_init_keras import HeNormal, HeUniform
from snippets.weight_initialization.delta_orthogonal_keras import DeltaOrthogonal
from snippets.weight_initialization.init_weights_keras import init_weights
from snippets.weight_initialization.looks_linear_keras import looks_linear
from snippets.weight_initialization.output_bias_keras import sigmoid_bias, softmax_bias
from snippets.xavier_initialization.packed_attention_keras import projections, xavier_attention
from snippets.xavier_initialization.xavier_init_keras import XavierNormal, XavierUniform, xavier_std

pytestmark = pytest.mark.keras

# The same examples in every run, and no limit on their time, which is the machine's.
laws = settings(derandomize=True, deadline=None, max_examples=15, database=None)

shapes = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)
dtypes = st.sampled_from(["float16", "bfloat16", "float32", "float64"])
seeds = st.integers(0, 2**31 - 1)
numbers = st.floats(-1e3, 1e3, width=32)
KINDS = [HeNormal, HeUniform, XavierNormal, XavierUniform]
every_kind = pytest.mark.parametrize("kind", KINDS)


def matrices(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, shape, elements=numbers)


def array(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(ops.cast(tensor, "float64")))


def std(initializer, shape: tuple[int, ...]) -> float:
    return (
        initializer.variance(shape) ** 0.5 if isinstance(initializer, HeNormal | HeUniform) else initializer.std(shape)
    )


@every_kind
@laws
@given(shape=shapes, dtype=dtypes, seed=seeds)
def test_initializers_keep_shape_dtype_edge_and_the_global_state(kind, shape, dtype, seed):
    state = random.getstate(), np.random.get_state()[1].copy()
    first = kind(seed=seed)
    one, same = array(first(shape, dtype)), array(kind(seed=seed)(shape, dtype))
    assert one.shape == shape and np.array_equal(one, same)
    assert keras.backend.standardize_dtype(kind(seed=seed)(shape, dtype).dtype) == dtype
    edge = math.sqrt(3) if kind in (HeUniform, XavierUniform) else 2.274
    assert np.abs(one).max() <= edge * std(first, shape) * (1 + 2**-7)
    assert random.getstate() == state[0]
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])


@every_kind
@laws
@given(a=st.floats(-3, 3), gain=st.floats(0, 100), mode=st.sampled_from(["fan_in", "fan_out"]), seed=seeds)
def test_an_initializer_is_what_its_config_says(kind, a, gain, mode, seed):
    settings = {"a": a, "mode": mode} if kind in (HeNormal, HeUniform) else {"gain": gain}
    for given_seed in (seed, None, keras.random.SeedGenerator(seed)):
        original = kind(**settings, seed=given_seed)
        rebuilt = kind.from_config(original.get_config())
        assert rebuilt.get_config() == original.get_config() and std(rebuilt, (4, 3)) == std(original, (4, 3))
        if given_seed is not None:
            np.testing.assert_array_equal(array(rebuilt((4, 3))), array(original((4, 3))))


@laws
@given(shape=shapes, seed=seeds, gain=st.just(0.0) | st.floats(1e-3, 100.0), a=st.floats(-3, 3))
def test_a_gain_and_a_slope_scale_the_draws_and_stds_follow_the_fans(shape, seed, gain, a):
    for kind in (XavierNormal, XavierUniform):
        plain, scaled = (array(kind(gain=by, seed=seed)(shape, "float64")) for by in (1.0, gain))
        np.testing.assert_allclose(scaled, gain * plain, atol=1e-300)
    for kind in (HeNormal, HeUniform):
        plain, scaled = (array(kind(a=by, seed=seed)(shape, "float64")) for by in (0.0, a))
        np.testing.assert_allclose(scaled, plain / math.sqrt(1 + a**2), rtol=1e-6)
    turned = (*shape[:-2], shape[-1], shape[-2])
    assert HeNormal(mode="fan_out").variance(turned) == HeNormal().variance(shape)
    assert xavier_std(turned) == xavier_std(shape)


@laws
@given(inputs=st.integers(1, 6), more=st.integers(0, 4), half=st.integers(0, 2), gain=st.floats(0.1, 10), seed=seeds)
def test_delta_orthogonal_keeps_the_norm_times_the_gain(inputs, more, half, gain, seed):
    kernel = array(DeltaOrthogonal(gain=gain, seed=seed)((2 * half + 1, inputs, inputs + more), "float64"))
    np.testing.assert_allclose(kernel[half] @ kernel[half].T, gain**2 * np.eye(inputs), atol=1e-10 * gain**2)
    assert np.count_nonzero(kernel) == np.count_nonzero(kernel[half])


@laws
@given(a=st.floats(0.1, 10), slope=st.floats(0.0, 2.0))
def test_gains_of_a_scaled_and_of_a_leaky_activation(a, slope):
    assert forward_gain(lambda z: a * ops.relu(z)) == pytest.approx(math.sqrt(2) / a)
    for measured in (forward_gain, backward_gain):
        assert measured(lambda z: ops.where(z > 0, z, slope * z)) == pytest.approx(math.sqrt(2 / (1 + slope**2)))


@laws
@given(first=matrices(3, 2), second=matrices(4), limit=st.floats(1e-3, 1e3))
def test_clipping_by_the_norm_keeps_the_direction_and_is_idempotent(first, second, limit):
    flat = np.concatenate([first.ravel(), second])
    gradients = [ops.convert_to_tensor(part) for part in (first, second)]
    clipped, before = clip_by_global_norm(gradients, limit)
    before = float(before)
    assert before == pytest.approx(np.linalg.norm(flat), rel=1e-9)
    assert float(global_norm([-3.0 * part for part in gradients])) == pytest.approx(3.0 * before)
    wanted = flat if before <= limit else flat * (limit / before)
    np.testing.assert_allclose(np.concatenate([array(part).ravel() for part in clipped]), wanted, rtol=1e-9)
    again, _ = clip_by_global_norm(clipped, limit)
    for one, other in zip(again, clipped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@laws
@given(gradient=matrices(4, 3), weight=matrices(4, 3), limit=st.floats(1e-3, 1e3), axis=st.integers(-2, 1))
def test_clipping_by_value_and_by_unit_is_idempotent_and_keeps_signs(gradient, weight, limit, axis):
    (cut,) = clip_by_value(ops.convert_to_tensor(gradient), limit)
    assert np.array_equal(np.sign(cut), np.sign(gradient)) and np.abs(cut).max() <= limit
    assert np.array_equal(clip_by_value(cut, limit)[0], cut)
    bound = limit * np.maximum(unit_norm(weight, axis), 1e-3)
    short = clip_adaptively(gradient, weight, limit, unit_axis=axis)
    assert (array(unit_norm(short, axis)) <= bound * (1 + 1e-9)).all()
    np.testing.assert_allclose(clip_adaptively(short, weight, limit, unit_axis=axis), short, rtol=1e-9)


@laws
@given(x=matrices(5, 3), shift=numbers, scale=st.floats(0.5, 100), momentum=st.floats(0.0, 1.0))
def test_batch_norm_forgets_shift_and_scale(x, shift, scale, momentum):
    assume(x.var(0).min() > 1e-3)
    ones, zeros = np.ones(3), np.zeros(3)
    y, mean, var = batch_norm(x, ones, zeros, zeros, ones, True, momentum, 1e-12)
    np.testing.assert_allclose(mean, (1 - momentum) * x.mean(0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(var, momentum + (1 - momentum) * x.var(0), rtol=1e-6)
    moved = scale * x + shift
    np.testing.assert_allclose(batch_norm(moved, ones, zeros, zeros, ones, True, eps=1e-12)[0], y, rtol=1e-5, atol=1e-5)
    # A gradient can move nothing that the layer forgets.
    grad_x, *_ = map(array, batch_norm_backward(ops.cos(y), moved, ones, zeros, ones, True, 1e-12))
    np.testing.assert_allclose(grad_x.sum(0), 0, atol=1e-6)
    np.testing.assert_allclose((grad_x * (moved - moved.mean(0))).sum(0), 0, atol=1e-4)


@laws
@given(x=matrices(5, 3), momentum=st.floats(0.0, 1.0))
def test_the_statistics_like_pytorch_are_a_mean_of_old_and_new(x, momentum):
    layer = BatchNormLikePyTorch(momentum, dtype="float64")
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, momentum * x.mean(0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(layer.moving_variance, 1 - momentum + momentum * x.var(0, ddof=1), rtol=1e-6)


@laws
@given(seed=seeds, inputs=st.integers(1, 5), outputs=st.integers(1, 5), bias=st.booleans(), affine=st.booleans())
def test_a_folded_layer_computes_what_both_did(seed, inputs, outputs, bias, affine):
    layer = layers.Dense(outputs, use_bias=bias, dtype="float64")
    norm = layers.BatchNormalization(center=affine, scale=affine, dtype="float64")
    layer.build((None, inputs))
    norm.build((None, outputs))
    generator = np.random.default_rng(seed)
    for values in (*layer.variables, *norm.variables):
        values.assign(generator.uniform(0.5, 2.0, values.shape))
    before, x = [array(value) for value in layer.variables], generator.standard_normal((4, inputs))
    np.testing.assert_allclose(fold_batch_norm(layer, norm)(x), norm(layer(x), training=False), rtol=1e-6)
    assert all(np.array_equal(array(value), old) for value, old in zip(layer.variables, before, strict=True))


@laws
@given(logits=matrices(4, 3), shift=numbers, labels=arrays(np.int64, 4, elements=st.integers(0, 2)))
def test_cross_entropy_forgets_a_shift_and_its_gradient_sums_to_zero(logits, shift, labels):
    loss, gradient = softmax_cross_entropy(logits, labels)
    moved, same = softmax_cross_entropy(logits + shift, labels)
    assert float(loss) >= 0 and float(moved) == pytest.approx(float(loss), abs=1e-9)
    np.testing.assert_allclose(same, gradient, atol=1e-9)
    np.testing.assert_allclose(ops.sum(gradient, 1), 0, atol=1e-12)


@laws
@given(seed=seeds, widths=st.lists(st.integers(1, 8), min_size=2, max_size=4))
def test_a_whole_model_is_the_same_for_a_seed_and_nothing_global_moves(seed, widths):
    inputs, *outputs = widths
    first, second = (keras.Sequential([keras.Input((inputs,)), *map(layers.Dense, outputs)]) for _ in range(2))
    state = random.getstate(), np.random.get_state()[1].copy()
    rows = init_weights(first, seed=seed).reached
    init_weights(second, seed=seed)
    assert random.getstate() == state[0] and np.array_equal(np.random.get_state()[1], state[1])
    for ours, theirs in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))
    assert [row.name for row in rows] == [variable.path for variable in first.variables]


@laws
@given(halves=st.lists(st.integers(1, 6), min_size=2, max_size=4), seed=seeds)
def test_a_chain_that_looks_linear_is_an_isometry_as_long_as_it_widens(halves, seed):
    inputs, *hidden, outputs = sorted(halves)
    chain = [layers.Dense(2 * half, "relu") for half in hidden]
    model = keras.Sequential([keras.Input((inputs,)), *chain, layers.Dense(outputs)])
    looks_linear(model, seed=seed)
    h = array(model(np.eye(inputs, dtype="float32")))
    np.testing.assert_allclose(h @ h.T, np.eye(inputs), atol=1e-5)


@laws
@given(heads=st.integers(1, 3), size=st.integers(1, 4), width=st.integers(1, 6), gain=st.floats(0, 10), seed=seeds)
def test_every_projection_of_attention_stays_in_its_bound(heads, size, width, gain, seed):
    layer = layers.MultiHeadAttention(heads, size)
    layer.build((None, 3, width), (None, 3, width))
    xavier_attention(layer, gain, seed=seed)
    bound = gain * math.sqrt(6 / (width + heads * size))
    assert all(np.abs(array(dense.kernel)).max() <= bound * (1 + 1e-6) for _, dense, _ in projections(layer))


@laws
@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=6), p=st.floats(1e-6, 1 - 1e-6))
def test_output_biases_give_the_frequencies_back(counts, p):
    np.testing.assert_allclose(np.exp(softmax_bias(counts)), np.array(counts) / sum(counts), rtol=1e-4)
    assert 1 / (1 + math.exp(-sigmoid_bias(p))) == pytest.approx(p)
