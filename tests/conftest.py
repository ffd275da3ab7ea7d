"""What several tests share: the numerical settings of the build, a small project to break, the built site."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from docs.hooks.measure.attempt import SETTINGS

ROOT = Path(__file__).resolve().parents[1]

# `tests.machines` asks for more threads, to see that nothing hangs on their number.
THREADS = os.environ.get("TEST_THREADS", "1")
os.environ.update({name: THREADS if name.endswith("_THREADS") else text for name, text in SETTINGS.items()})
os.environ["NO_MKDOCS_2_WARNING"] = "1"
# A shell that starts the tests in the background lets them, and all that they start, ignore an interruption.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = {"built_site", "project", "page", "browser", "url"}
"""What builds a site or opens a browser."""


FIRST = "test_built.py"
"""The file whose first test builds the site."""


MEASURING = {"test_claims.py", "test_experiments.py"}

DIVIDED = {"tests/diagnostics/test_cures_keras.py", "tests/site/test_browser.py"}
"""Long files whose tests share what they found for one parameter and nothing else: a fault, a page."""


OF_BOTH_HALVES = {
    "bench/test_monitor.py",
    "site/test_contract.py",
    "test_claims.py",
    "test_experiments.py",
    "test_spread.py",
}
"""Files outside `test_*_keras.py` with tests that import TensorFlow when they run."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the half that is not asked for no file is read: PyTorch and TensorFlow take seconds of every process."""
    asked = config.getoption("markexpr") or ""
    if not collection_path.name.startswith("test_") or collection_path.suffix != ".py":
        return None
    of_keras = collection_path.stem.endswith("_keras")
    if asked.startswith("not keras"):
        return of_keras or None
    if asked.startswith("keras"):
        of_both = collection_path.relative_to(ROOT / "tests").as_posix() in OF_BOTH_HALVES
        return not (of_keras or of_both) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(item.fixturenames) or item.path.name in MEASURING:
            item.add_marker(pytest.mark.slow)
    of_the_site = {item.path for item in items if "built_site" in item.fixturenames}
    # One process builds the site from the start; the others meanwhile test what does without.
    items.sort(key=lambda item: (item.path.name != FIRST, item.path in of_the_site))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: builds and browsers let their test wait."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadfile`: a file stays in one process, but what is divided may go to several."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    config.option.loadscopereorder = False  # in the order of the items, not the file of most tests first
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def scope(nodeid: str) -> str:
    """What stays in one process together with this test."""
    file, _, test = nodeid.partition("::")
    return f"{file}[{test.partition('[')[2]}" if file in DIVIDED else file


@dataclass(frozen=True)
class Project:
    """A small copy of this project in a folder of its own, for faults to be planted in."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def command(self, *arguments: str, **environment: str) -> dict:
        """Arguments for `subprocess`: a Python module run in the copy, which hides the installed project."""
        return {
            "args": [sys.executable, "-m", *arguments],
            "cwd": self.root,
            "env": {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
            | {"PYTHONPATH": str(self.root)}
            | environment,
            "text": True,
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a module to its end; standard output and error come together, as a reader sees them."""
        command = self.command(*arguments, **environment)
        # The limit ends a hang; ten times what the slowest takes on a machine with four times too much to do.
        return subprocess.run(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False)

    def make_figures(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("docs.hooks.make", **environment)

    def build_site(self) -> subprocess.CompletedProcess[str]:
        return self.run("mkdocs", "build", "--strict", "--config-file", "small.yml")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def make_project(folder: Path) -> Project:
    """The build code and the theme without the chapters: a home page, no experiment yet."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in ("hooks", "overrides", "stylesheets", "javascripts", "fonts"):
        shutil.copytree(ROOT / "docs" / part, folder / "docs" / part, ignore=ignore)
    shutil.copytree(ROOT / "snippets" / "laboratory", folder / "snippets" / "laboratory", ignore=ignore)
    for file in ("LICENSE", "mkdocs.yml", "requirements.txt"):
        shutil.copy(ROOT / file, folder)
    small = Project(folder)
    small.write("small.yml", "INHERIT: mkdocs.yml\nnav:\n  - index.md\n")
    small.write("docs/index.md", "# Small\n")
    return small


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built once as `make build` does it, by the first process that needs it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all processes share
    site, log = folder / "site", folder / "site.log"
    with FileLock(folder / "site.lock"):
        if not log.exists():
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            log.write_text("" if built.returncode == 0 else f"{built.stdout}\n{built.stderr}", encoding="utf-8")
    failure = log.read_text(encoding="utf-8")
    assert not failure, f"the site does not build:\n{failure}"
    return site


@pytest.fixture
def channels_first(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings for Keras's `Conv1D`, which then runs as its transposed twin does.

    TensorFlow itself convolves channels first only on a GPU and, on x86-64, with oneDNN.
    """
    from keras import layers, ops

    def call(layer, inputs):
        outputs = ops.conv(ops.transpose(inputs, (0, 2, 1)), layer.kernel, data_format="channels_last")
        return layer.activation(ops.transpose(outputs + layer.bias, (0, 2, 1)))

    monkeypatch.setattr(layers.Conv1D, "call", call)
    return {"data_format": "channels_first"}
