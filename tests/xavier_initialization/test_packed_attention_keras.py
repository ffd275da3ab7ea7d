import math
import runpy

import keras
import numpy as np
import pytest

from snippets.xavier_initialization import packed_attention_keras
from snippets.xavier_initialization import xavier_init_numpy as oracle
from snippets.xavier_initialization.packed_attention_keras import projections, xavier_attention
from snippets.xavier_initialization.xavier_init_keras import XavierUniform
from tests.laws import UNIFORM, assert_law

pytestmark = pytest.mark.keras

KINDS = {"plain": {}, "no bias": {"use_bias": False}, "vdim": {"value_dim": 20}, "output": {"output_shape": (12, 20)}}
every_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


def attention(**options) -> keras.layers.MultiHeadAttention:
    layer = keras.layers.MultiHeadAttention(num_heads=8, key_dim=30, **options)
    tokens = np.zeros((1, 3, 240), "float32")
    layer(tokens, tokens)
    return layer


def array(variable) -> np.ndarray:
    return np.array(keras.ops.cast(variable, "float64"))


def kernels(layer) -> list[np.ndarray]:
    return [array(dense.kernel) for _, dense, _ in projections(layer)]


@every_kind
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_each_projection_follows_xavier(options, gain):
    layer = xavier_attention(attention(**options), gain, seed=0)
    for _, dense, axes in projections(layer):
        shape = dense.kernel.shape
        fan_in, fan_out = math.prod(shape[:axes]), math.prod(shape[axes:])
        # Only the output projection sums over heads: an input of 240 numbers, or 8 heads.
        assert fan_in in (240, 8 * 30, 8 * 20)
        assert_law(array(dense.kernel), oracle.xavier_std((fan_out, fan_in), gain), UNIFORM)


def test_names_and_order():
    assert [name for name, _, _ in projections(attention())] == ["q", "k", "v", "out"]


def test_biases_are_zero():
    layer = xavier_attention(attention(bias_initializer="ones"), seed=0)
    assert not any(array(dense.bias).any() for _, dense, _ in projections(layer))


def test_a_seeded_initializer_makes_equal_projections_and_this_function_does_not():
    """The trap of the chapter: if Keras mends it, the docstring is to be corrected."""
    for seeded in (keras.initializers.GlorotUniform(seed=0), XavierUniform(seed=0)):
        layer = attention(kernel_initializer=seeded)
        q, k, v, _ = kernels(layer)
        assert np.array_equal(q, k) and np.array_equal(k, v)
        q, k, v, _ = kernels(xavier_attention(layer, seed=0))
        assert (q != k).any() and (k != v).any() and (q != v).any()


def test_keras_counts_the_fans_of_initializers_derived_from_its_own_right_and_of_others_as_convolutions():
    ours, theirs = attention(kernel_initializer=XavierUniform(seed=0)), attention()
    assert_law(array(theirs.query_dense.kernel), math.sqrt(2 / (240 + 240)), UNIFORM)
    assert_law(array(ours.query_dense.kernel), math.sqrt(2 / (240 + 240)), UNIFORM)
    other = attention(kernel_initializer=Other())
    assert_law(array(other.query_dense.kernel), math.sqrt(2 / (240 * 8 + 240 * 30)), UNIFORM)


class Other(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.initializers.GlorotUniform(seed=0)(shape, dtype)


def test_the_seed_decides_and_the_global_state_stays():
    keras.utils.set_random_seed(3)
    state = np.random.get_state()[1].copy()
    first, same, other = (kernels(xavier_attention(attention(), seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, same, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_errors_name_argument_and_value():
    with pytest.raises(ValueError, match="attention .*called on a batch.*MultiHeadAttention"):
        xavier_attention(keras.layers.MultiHeadAttention(2, 3), seed=0)
    with pytest.raises(ValueError, match="attention .*Dense"):
        xavier_attention(keras.layers.Dense(3), seed=0)
    for gain in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"gain .*{gain}"):
            xavier_attention(attention(), gain, seed=0)


def test_run_by_itself_it_shows_the_difference(capsys):
    runpy.run_path(packed_attention_keras.__file__, run_name="__main__")
    assert capsys.readouterr().out.splitlines() == ["W_Q equals W_K: True", "W_Q equals W_K: False"]


def test_a_kernel_that_is_computed_from_others_is_refused():
    layer = attention()
    layer.key_dense.enable_lora(2)
    before = kernels(layer)[0]
    with pytest.raises(ValueError, match="attention must hold a kernel of its own in 'k'"):
        xavier_attention(layer, seed=0)
    assert (kernels(layer)[0] == before).all()


def test_without_a_gain_it_is_one():
    plain, named = (xavier_attention(attention(), **gain, seed=0) for gain in ({}, {"gain": 1.0}))
    for ours, wanted in zip(kernels(plain), kernels(named), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_importing_it_prints_nothing(capsys):
    runpy.run_path(packed_attention_keras.__file__, run_name="packed_attention_keras")
    assert not capsys.readouterr().out
