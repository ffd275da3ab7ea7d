import math
import runpy

import keras
import numpy as np
import pytest

from snippets.he_initialization import example_keras
from snippets.he_initialization.example_keras import he_initialized_model
from tests.laws import TRUNCATED, assert_law

pytestmark = pytest.mark.keras


def models(number: int) -> list[keras.Sequential]:
    keras.utils.set_random_seed(0)
    return [he_initialized_model() for _ in range(number)]


def kernels(model: keras.Sequential) -> list[np.ndarray]:
    return [layer.kernel.numpy() for layer in model.layers]


def test_kernels_follow_their_laws_and_biases_are_zero():
    many = models(20)
    for number, gain in enumerate((2.0, 2.0, 1.0)):
        assert_law(np.stack([kernels(model)[number] for model in many]), math.sqrt(gain / 64), TRUNCATED)
    assert not any(layer.bias.numpy().any() for model in many for layer in model.layers)


def test_the_shapes_are_those_of_the_docstring():
    (model,) = models(1)
    assert model(np.zeros((3, 64), np.float32)).shape == (3, 10)


def test_layers_of_equal_shape_have_kernels_of_their_own():
    (model,) = models(1)
    for same_kind in (model, keras.models.clone_model(model)):
        first, second, _ = kernels(same_kind)
        assert (first != second).any()


def test_the_mean_square_is_kept():
    """Mean of 50 networks, which scatters by about sqrt(5 * 2 / 64 / 50) = 6 %; without the ReLUs it would be 4."""
    rows = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
    squares = [np.mean(keras.ops.convert_to_numpy(model(rows)) ** 2) for model in models(50)]
    assert np.mean(squares) == pytest.approx(1.0, abs=0.25)


def test_the_old_way_to_name_the_input_shape_is_warned_of():
    """The reason for keras.Input: if that changes, the page is to be corrected."""
    with pytest.warns(UserWarning, match="input_shape"):
        keras.layers.Dense(64, input_shape=(64,))


def test_run_as_a_script_it_shows_what_it_keeps(capsys):
    runpy.run_path(example_keras.__file__, run_name="__main__")
    inputs, logits = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines())
    assert inputs == pytest.approx(1.0, abs=0.05)
    assert logits == pytest.approx(1.0, abs=0.75)


def test_a_new_dense_layer_is_as_the_chapter_says():
    layer = keras.layers.Dense(3)
    assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
    assert isinstance(layer.bias_initializer, keras.initializers.Zeros)


def test_importing_it_prints_nothing(capsys):
    runpy.run_path(example_keras.__file__, run_name="example_keras")
    assert not capsys.readouterr().out
