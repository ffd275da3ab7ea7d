"""What is measured rests on all that the experiment imports, in a process that is as good as a new one."""

import json
import os
import subprocess
import sys

import pytest

from docs.hooks.measure import processes
from docs.hooks.measure.experiment import find_experiments
from docs.hooks.measure.imports import imported_modules
from tests.hooks.halving import MEASURE, PATH, SOUND, figure, made, posix_only, products

pytestmark = pytest.mark.slow


def test_a_file_imported_through_another_measures_again(sound):
    sound.write("snippets/laboratory/inner.py", "SIZE = 10.0\n")
    sound.write("snippets/laboratory/outer.py", "from snippets.laboratory.inner import SIZE\n")
    source = SOUND.replace("import numpy", "from snippets.laboratory.outer import SIZE\nimport numpy").replace(
        "10.0", "SIZE"
    )
    sound.write(PATH, source)
    assert sound.make_figures().returncode == 0
    sound.write("snippets/laboratory/inner.py", "SIZE = 12.0\n")

    assert "halving/sound" in sound.make_figures().stdout
    assert len(json.loads(figure(sound, "sound").with_suffix(".json").read_text())["measured"]["values"]) == 12


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_damaged_measurement_is_measured_again(finished, damage):
    measurement = finished.root / ".cache/measured/halving/sound.pickle"
    before = measurement.read_bytes()
    measurement.unlink()
    if damage == "cut short":
        measurement.write_bytes(before[:100])

    run = finished.make_figures()

    assert run.returncode == 0, run.stdout
    assert "halving/sound measured" in run.stdout
    assert measurement.read_bytes() == before


@posix_only
def test_a_process_forked_with_pytorch_is_as_good_as_a_new_one(sound):
    """Only where an experiment needs PyTorch: with a crash's text, a signal's name and the seed of hashes."""
    torch = SOUND.replace("import numpy as np", "import torch\nimport numpy as np")
    unequal = f"torch.tensor(hash('a') - {hash_of_a_with_seed_zero()}).item()"
    crash = f"    {unequal} or __import__('ctypes').string_at(0)\n{MEASURE}"
    sound.write("snippets/halving/experiment_torch.py", torch)
    sound.write("snippets/halving/experiment_crash.py", torch.replace(MEASURE, crash))

    run = sound.make_figures()

    assert "1 failed:" in run.stdout
    assert "snippets/halving/experiment_crash.py:21 in measure: the process died of SIGSEGV" in run.stdout
    assert made(sound) == products("sound", "torch")


def hash_of_a_with_seed_zero() -> int:
    command = [sys.executable, "-c", "print(hash('a'))"]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_tensorflow_never_meets_pytorch():
    methods = {
        processes._context(experiment).get_start_method()
        for experiment in find_experiments()
        if "keras" in imported_modules(experiment.path)
    }
    assert methods == {"spawn"}
