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


@pytest.mark.parametrize(("scale", "missing"), [(gpt2_scale, "kernel"), (fixup, "kernel"), (zero_gamma, "gamma")])
def test_a_branch_without_such_a_layer_is_refused(scale, missing):
    with pytest.raises(ValueError, match=f"branches .*{missing}.*ReLU"):
        scale([[layers.ReLU()]])
