import math

import numpy as np
import pytest
import torch

from snippets.diagnostics import first_pass_pytorch as module
from snippets.diagnostics.first_pass_pytorch import SETTINGS, first_pass, make_layer
from snippets.laboratory import explorer
from tests.diagnostics.first_pass import CASES, assert_prints_its_rows, assert_same_law

SEEDS = 12


def reference(settings: dict) -> list[tuple[float, float, float]]:
    """The rows of the network that the explorer is held to, with draws of another generator."""
    run = explorer.run(explorer.Settings(**settings))
    rows = zip(run.activations, run.gradients, run.weight_gradients, strict=True)
    return [tuple(map(module.rms, row)) for row in rows]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["activation"])
def test_the_law_is_that_of_the_explorer(case):
    rows, expected = (
        [run(SETTINGS | case | {"seed": seed}) for seed in range(SEEDS)] for run in (first_pass, reference)
    )
    assert_same_law(rows, expected)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated", "orthogonal"])
@pytest.mark.parametrize("scheme", module.STD)
def test_weights_have_the_deviation_of_the_scheme(scheme, distribution):
    settings = SETTINGS | {"width": 200, "scheme": scheme, "distribution": distribution, "gain": 1.5}
    weight = make_layer(settings, torch.Generator().manual_seed(0)).weight.detach()
    # 40,000 draws: a standard error of at most 0.4 %; 5 of them.
    assert weight.std().item() == pytest.approx(1.5 * module.STD[scheme](200, 200), rel=0.02)
    kurtosis = ((weight**4).mean() / (weight**2).mean() ** 2).item()
    assert kurtosis == pytest.approx({"uniform": 1.8, "truncated": 2.37}.get(distribution, 3.0), rel=0.06)


@pytest.mark.parametrize(("bias", "deviation"), [(0.0, 0.0), (0.3, 0.3), ("pytorch", 1 / math.sqrt(3 * 4000))])
def test_biases(bias, deviation):
    layer = make_layer(SETTINGS | {"width": 4000, "bias": bias}, torch.Generator().manual_seed(0))
    assert layer.bias.std().item() == pytest.approx(deviation, rel=0.06)


def test_it_begins_as_the_explorer_does():
    settings = explorer.Settings()._asdict()
    assert {name: settings[name] for name in SETTINGS} == SETTINGS


def test_a_seed_is_a_network_and_nothing_global_is_touched():
    state = torch.get_rng_state()
    assert first_pass(SETTINGS | {"seed": 3}) == first_pass(SETTINGS | {"seed": 3}) != first_pass(SETTINGS)
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_are_numbers_by_layer():
    rows = first_pass(SETTINGS | {"depth": 4}, batch=5)
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
