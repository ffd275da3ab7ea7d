import keras
import numpy as np
import pytest
from keras import layers

from snippets.weight_initialization.residual_scaling_keras import fixup, gpt2_scale, zero_gamma

pytestmark = pytest.mark.keras


def array(variable) -> np.ndarray:
    # Through a cast, since a variable as such knows less of NumPy.
    return np.array(keras.ops.cast(variable, "float64"))


def branches(number: int, dense_layers: int) -> list[list[keras.Layer]]:
    many = []
    for _ in range(number):
        dense = [layers.Dense(4, kernel_initializer="ones", bias_initializer="ones") for _ in range(dense_layers)]
        branch = [layers.ReLU(), *dense, layers.LayerNormalization()]
        for layer in branch:
            layer.build((None, 4))
        many.append(branch)
    return many


def kernels(branch: list[keras.Layer]) -> list[float]:
    values = [array(layer.kernel) for layer in branch if isinstance(layer, layers.Dense)]
    assert all((kernel == kernel[0, 0]).all() for kernel in values)
    return [float(kernel[0, 0]) for kernel in values]


def test_gpt2_divides_the_last_kernel_by_the_root_of_the_number_of_branches():
    many = branches(9, dense_layers=2)
    gpt2_scale(many)
    assert all(kernels(branch) == [1.0, pytest.approx(1 / 3)] for branch in many)
    assert all((array(branch[2].bias) == 1).all() for branch in many)


@pytest.mark.parametrize(("dense_layers", "factor"), [(1, None), (2, 16**-0.5), (3, 16**-0.25)])
def test_fixup(dense_layers, factor):
    """L^(-1 / (2 m - 2)) for m layers: with 16 branches 1/4 for two, 1/2 for three."""
    many = branches(16, dense_layers)
    fixup(many)
    for branch in many:
        *others, last = kernels(branch)
        assert last == 0.0 and others == [pytest.approx(factor)] * (dense_layers - 1)


def test_zero_gamma():
    many = branches(3, dense_layers=2)
    zero_gamma(many)
    assert all(not array(branch[-1].gamma).any() and kernels(branch) == [1, 1] for branch in many)


def test_the_last_norm_of_a_branch_alone_is_zeroed():
    branch = keras.Sequential([keras.Input((4,)), *(layers.LayerNormalization() for _ in range(2))])
    assert len(zero_gamma([branch]).reached) == 1
    assert (array(branch.layers[0].gamma) == 1).all() and not array(branch.layers[1].gamma).any()


@pytest.mark.parametrize(("scale", "missing"), [(gpt2_scale, "kernel"), (fixup, "kernel"), (zero_gamma, "gamma")])
def test_a_branch_without_such_a_layer_is_refused(scale, missing):
    with pytest.raises(ValueError, match=f"branches .*{missing}.*ReLU"):
        scale([[layers.ReLU()]])


def built_layer(layer: keras.Layer, shape=(None, 4)) -> keras.Layer:
    layer.build(shape)
    return layer


def test_attention_ends_with_its_output_projection():
    attention = [keras.layers.MultiHeadAttention(2, 3) for _ in range(4)]
    tokens = np.ones((1, 2, 4), "float32")
    for layer in attention:
        layer(tokens, tokens)
    before = [layer.output_dense.kernel.numpy() for layer in attention]
    gpt2_scale([[attention[0]], attention[1], keras.Sequential([attention[2]]), [attention[3]]])
    for layer, old in zip(attention, before, strict=True):
        np.testing.assert_allclose(layer.output_dense.kernel, old / 2, rtol=1e-6)


def test_a_shared_kernel_is_scaled_once():
    shared, end = built_layer(keras.layers.Dense(4)), built_layer(keras.layers.Dense(4))
    before = shared.kernel.numpy()
    gpt2_scale([[shared]] * 4)
    np.testing.assert_allclose(shared.kernel, before / 2, rtol=1e-6)
    fixup([[shared, end]] * 4)
    np.testing.assert_allclose(shared.kernel, before / 4, rtol=1e-6)


def test_what_cannot_be_reached_is_named_before_a_change():
    plain, lora = built_layer(keras.layers.Dense(4)), built_layer(keras.layers.Dense(4))
    before = plain.kernel.numpy()
    lora.enable_lora(2)
    timed = built_layer(keras.layers.TimeDistributed(keras.layers.Dense(4)), (None, 3, 4))
    for layer in (lora, timed):
        with pytest.raises(ValueError, match="branches must hold layers with a kernel of their own, .* does not"):
            gpt2_scale([[plain], [layer]])
    with pytest.raises(ValueError, match="branches must each hold a built layer"):
        gpt2_scale([])
    np.testing.assert_array_equal(plain.kernel, before)


def test_the_report_names_what_was_reached_and_what_was_left():
    layers = [built_layer(keras.layers.Dense(4)) for _ in range(8)]
    report = fixup([layers[i : i + 2] for i in range(0, 8, 2)])
    assert report.reached == {layer.kernel.path: 0.0 if i % 2 else pytest.approx(0.5) for i, layer in enumerate(layers)}
    assert set(report.left) == {layer.bias.path for layer in layers}


def test_of_attention_fixup_takes_the_values_and_the_output():
    """Two kernels follow each other, so that four branches halve the first. Queries and keys stay."""
    many = [keras.layers.MultiHeadAttention(2, 3) for _ in range(4)]
    tokens = np.ones((1, 2, 4), "float32")
    for layer in many:
        layer(tokens, tokens)
    before = [[dense.kernel.numpy() for dense in (a.query_dense, a.key_dense, a.value_dense)] for a in many]
    fixup(many)
    for layer, (queries, keys, values) in zip(many, before, strict=True):
        np.testing.assert_array_equal(layer.query_dense.kernel, queries)
        np.testing.assert_array_equal(layer.key_dense.kernel, keys)
        np.testing.assert_allclose(layer.value_dense.kernel, values / 2, rtol=1e-6)
        assert not np.any(layer.output_dense.kernel)


@pytest.mark.parametrize("scale", [gpt2_scale, fixup, zero_gamma])
def test_one_branch_instead_of_a_list_is_refused(scale):
    for given in (
        built_layer(layers.Dense(4)),
        layers.Dense,
        [None],
        [layers.Dense],
        built_layer(layers.Dense(4)).weights,
    ):
        with pytest.raises(ValueError, match="branches must be (a list of branches|layers or lists of them), got"):
            scale(given)
