"""The experiments as tests take them. Those that import TensorFlow are marked: they run apart from PyTorch."""

import importlib
from typing import Any

import pytest

from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.measure.imports import imported_modules


def uses_keras(experiment: Experiment) -> bool:
    return any(name.partition(".")[0] in {"keras", "tensorflow"} for name in imported_modules(experiment.path))


EXPERIMENTS = [
    pytest.param(experiment, id=str(experiment), marks=[pytest.mark.keras] if uses_keras(experiment) else [])
    for experiment in find_experiments()
]
every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS)


def module(experiment: Experiment) -> Any:
    return importlib.import_module(experiment.module)
