"""Every step of every experiment in a process of its own: started, waited for, and its failure put into words.

Importing PyTorch takes longer than most experiments do. So a process that needs it is forked from one that has imported
it and done nothing else; every other process starts empty. PyTorch and TensorFlow never meet.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from docs.hooks.measure.attempt import SETTINGS, TIME_LIMIT, Step, attempt
from docs.hooks.measure.experiment import Experiment
from docs.hooks.measure.imports import imported_modules
from docs.hooks.store import ROOT

FORK = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"

IMPORTED_BEFORE_THE_FORK = [
    "torch",
    "torch._dynamo",  # what the first optimizer imports
    "sklearn.datasets",
    "sklearn.model_selection",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
]

_reading_statuses = threading.Lock()


def run(process: BaseProcess) -> int:
    """Start a new process of `multiprocessing` and wait for it: its exit code, or minus the signal that ended it.

    `multiprocessing` is made for one thread: to start a process it also reads the status of every other child, and a
    status can be read once. The thread that waits for that child then reads nothing, which counts as exit code 255: a
    failure that never was. So one lock stands around all that reads a status. The waiting, which takes the time, needs
    none.
    """
    with _reading_statuses:
        process.start()
    wait([process.sentinel])
    with _reading_statuses:
        process.join()
    return process.exitcode or 0


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """The environment of the processes: Python and the libraries read it when they start."""
    wanted = SETTINGS | {
        "PYTHONDONTWRITEBYTECODE": "1",  # the live reload watches `snippets/` too
        "PYTHONHASHSEED": "0",
    }
    with mock.patch.dict(os.environ, wanted):
        yield


def failure(step: Step, experiment: Experiment) -> str:
    """Take the step and wait for it; what went wrong and what to do about it, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        said, complained = Path(folder, "stdout"), Path(folder, "stderr")
        # Daemons end with an interrupted build.
        process = _context(experiment).Process(
            target=_run, args=(step, str(experiment.path), str(said), str(complained)), daemon=True
        )
        if status := run(process):
            alone = f"python -m {step.__module__.rpartition('.')[0]}.run {experiment.path.as_posix()}"
            return _explain(experiment, status, _read(said), _read(complained), alone)
    return ""


def _context(experiment: Experiment) -> Any:
    if "torch" not in imported_modules(experiment.path):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context(FORK)
    context.set_forkserver_preload(IMPORTED_BEFORE_THE_FORK)
    return context


def _run(step: Step, path: str, said: str, complained: str) -> None:
    """In the new process: the text of libraries and of a crash, which Python does not write, is kept as well."""
    for descriptor, file in ((1, said), (2, complained)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(ROOT)
    raise SystemExit(attempt(step, path))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _explain(experiment: Experiment, status: int, said: str, complained: str, alone: str) -> str:
    where = re.search(r'File "[^"]*?(snippets/[^"]+)", line (\d+) in (\w+)', complained)
    place = "{}:{} in {}".format(*where.groups()) if where else str(experiment.path)
    if "Timeout (" in complained:
        limit = os.environ.get("EXPERIMENT_TIME_LIMIT", TIME_LIMIT)
        return f"{place}: still running after {limit} s. Make the experiment smaller, or find out where it hangs."
    if status < 0:
        name = signal.Signals(-status).name
        return f"{place}: the process died of {name}. Run it by hand to see more: {alone}"
    explained = said.strip() or complained.strip()[-2000:]
    return f"{explained}\nCorrect it, then try it alone: {alone}"
