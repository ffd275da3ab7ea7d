import math

import keras
import numpy as np
import pytest

from snippets.diagnostics import first_pass_keras as module
from snippets.diagnostics.first_pass_keras import SETTINGS, first_pass, make_layer
from tests.diagnostics.first_pass import assert_prints_its_rows, settings_of

pytestmark = pytest.mark.keras


def drawn(settings: dict, seed: keras.random.SeedGenerator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a layer."""
    layer = make_layer(settings, seed or keras.random.SeedGenerator(0))
    layer.build((None, settings["width"]))
    return layer.get_weights()


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated", "orthogonal"])
@pytest.mark.parametrize("scheme", module.STD)
def test_weights_have_the_deviation_of_the_scheme(scheme, distribution):
    settings = SETTINGS | {"width": 100, "scheme": scheme, "distribution": distribution, "gain": 1.5}
    kernel, _ = drawn(settings)
    # 10,000 draws: a standard error of at most 0.8 %; 5 of them.
    assert kernel.std() == pytest.approx(1.5 * module.STD[scheme](100, 100), rel=0.04)
    kurtosis = (kernel**4).mean() / (kernel**2).mean() ** 2
    assert kurtosis == pytest.approx({"uniform": 1.8, "truncated": 2.37}.get(distribution, 3.0), rel=0.12)


@pytest.mark.parametrize(("bias", "deviation"), [(0.0, 0.0), (0.3, 0.3), ("pytorch", 1 / math.sqrt(3 * 2000))])
def test_biases(bias, deviation):
    _, biases = drawn(SETTINGS | {"width": 2000, "bias": bias})
    assert biases.std() == pytest.approx(deviation, rel=0.08)


def test_it_begins_as_the_file_for_pytorch_does():
    assert settings_of("pytorch") == SETTINGS


def test_a_seed_is_a_network_and_no_two_layers_are_equal():
    assert first_pass(SETTINGS | {"seed": 3}) == first_pass(SETTINGS | {"seed": 3}) != first_pass(SETTINGS)
    seed = keras.random.SeedGenerator(0)
    assert not np.allclose(drawn(SETTINGS, seed)[0], drawn(SETTINGS, seed)[0])


def test_rows_are_numbers_by_layer():
    rows = first_pass(SETTINGS | {"depth": 4, "batch_norm": True, "skip": True}, batch=5)
    assert np.shape(rows) == (4, 3)
    assert all(isinstance(value, float) for row in rows for value in row)


@pytest.mark.parametrize("name", ["activation", "scheme", "distribution"])
def test_a_choice_that_does_not_exist_is_named(name):
    with pytest.raises(ValueError, match=f"{name} must be .*, got 'none'"):
        first_pass(SETTINGS | {name: "none"})


def test_as_a_file_it_prints_its_rows(capsys):
    assert_prints_its_rows(module, capsys)


WRONG = {"depth": 0, "width": 1.5, "gain": math.nan, "bias": -1.0, "batch_norm": "no", "skip": 2}
WRONG |= {"branch_scale": math.inf, "seed": None, "activation": ["relu"], "scheme": None}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_with_no_such_value_is_named(name):
    with pytest.raises(ValueError, match=f"{name} must be "):
        first_pass(SETTINGS | {name: WRONG[name]})


@pytest.mark.parametrize("batch", [0, 1.5, "3"])
def test_a_batch_of_no_such_size_is_named(batch):
    with pytest.raises(ValueError, match="batch must be an integer from 1 on, got"):
        first_pass(SETTINGS, batch)
    with pytest.raises(ValueError, match="batch must be 2 or more for batch_norm, got 1"):
        first_pass(SETTINGS | {"batch_norm": True}, 1)


def test_a_setting_that_there_is_not_is_not_passed_over():
    with pytest.raises(ValueError, match=r"settings must name .*'activation'.*, got .*'phi'"):
        first_pass(SETTINGS | {"phi": "relu"})
