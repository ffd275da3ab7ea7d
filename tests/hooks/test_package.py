"""The wheel holds the files to copy, can be imported from an environment of its own, and nothing else comes with it."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from docs.hooks import package
from docs.hooks.show.catalogue import find_snippets
from docs.hooks.store import ROOT
from tests.tiers import one_of_each

pytestmark = pytest.mark.slow

FRAMEWORKS = ["pytorch", "keras", "numpy"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """As pip makes it for `pip install "well-initialized @ git+..."`, with the setuptools that is here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", *command, str(ROOT)], check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory) -> Path:
    """The Python of a new environment into which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = ["pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, text=True)
    return python


def run(python: Path, code: str, **environment: str) -> str:
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=False, cwd=python.parent, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_same_files_and_the_licence(wheel: Path):
    with zipfile.ZipFile(wheel) as zipped:
        names = {name for name in zipped.namelist() if ".dist-info/" not in name}
        for path in find_snippets():
            inside = f"well_initialized/{path.stem.rpartition('_')[2]}/{path.name}"
            assert zipped.read(inside) == (ROOT / path).read_bytes()
            names.remove(inside)
        assert names == {f"well_initialized/{name}" for name in ("__init__.py", "py.typed")} | {
            f"well_initialized/{framework}/__init__.py" for framework in FRAMEWORKS
        }
        metadata = next(zipped.read(name).decode() for name in zipped.namelist() if name.endswith("METADATA"))
        assert any(name.endswith("licenses/LICENSE") for name in zipped.namelist())
        top = next(zipped.read(name).decode() for name in zipped.namelist() if name.endswith("top_level.txt"))
    assert top.split() == ["well_initialized"]
    for extra in ("pytorch", "keras", "tensorflow", "numpy"):
        assert f"Provides-Extra: {extra}\n" in metadata


def test_in_an_empty_environment_there_is_the_package_and_nothing_of_the_project(empty: Path):
    code = "import importlib.util as u, json; print(json.dumps([u.find_spec(n) is None for n in ('docs', 'snippets')]))"
    assert json.loads(run(empty, code)) == [True, True]
    assert "Snippets about gradients" in run(empty, "import well_initialized; print(well_initialized.__doc__)")


USES = {
    "pytorch": """
import torch
from well_initialized.pytorch import check_model, clip_by_global_norm_, init_weights_
model = torch.nn.Linear(3, 2)
init_weights_(model, seed=0)
model(torch.ones(1, 3)).sum().backward()
clip_by_global_norm_(model.parameters(), 1.0)
""",
    "numpy": """
import numpy as np
from well_initialized.numpy import clip_by_global_norm, kaiming_normal
from well_initialized.numpy.norms_numpy import batch_norm
clip_by_global_norm([kaiming_normal((3, 2), generator=np.random.default_rng(0))], 1.0)
""",
    "keras": """
import keras
from well_initialized.keras import HeNormal, check_model, clip_by_global_norm, init_weights
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer=HeNormal(seed=0))])
init_weights(model, seed=0)
""",
}


@pytest.mark.parametrize("framework", one_of_each(FRAMEWORKS, lambda framework: "package"))
def test_the_package_works_beside_its_framework(framework: str, empty: Path):
    """The frameworks lie in the environment of the tests; a path alone brings them, not the project in place."""
    whole = f"""
import well_initialized.{framework} as package
for name in dir(package):
    getattr(package, name)
try:
    package.nothing
except AttributeError:
    print(len(dir(package)))
"""
    beside = {"PYTHONPATH": sysconfig.get_paths()["purelib"], "TF_CPP_MIN_LOG_LEVEL": "3"}
    assert int(run(empty, USES[framework] + whole, **beside)) > 20


def test_names_that_two_files_share_stay_in_their_files():
    files = sorted(ROOT.glob("snippets/*/*_numpy.py"))
    homes = package.homes(files)
    assert homes["group_norm"] == "norms_numpy" and "batch_norm" not in homes


def test_a_checker_sees_what_is_public():
    door = package._door("numpy", sorted(ROOT.glob("snippets/*/*_numpy.py")))
    assert "    from .he_init_numpy import kaiming_std as kaiming_std\n" in door
