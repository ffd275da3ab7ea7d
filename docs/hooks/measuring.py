"""Every experiment in a process of its own: started, waited for, and its failure put into words.

Importing PyTorch takes longer than most experiments do. So a process that needs it is forked from one that has imported
it and done nothing else; every other process starts empty. PyTorch and TensorFlow never meet.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from docs.hooks import processes, run_experiment
from docs.hooks.experiment import ROOT, Experiment, imported_modules

FORK = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"

IMPORTED_BEFORE_THE_FORK = [
    "torch",
    "torch._dynamo",  # what the first optimizer imports
    "sklearn.datasets",
    "sklearn.model_selection",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
]


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """The environment of the processes: Python and the libraries read it when they start."""
    wanted = run_experiment.SETTINGS | {
        "PYTHONDONTWRITEBYTECODE": "1",  # the live reload watches `snippets/` too
        "PYTHONHASHSEED": "0",
    }
    with mock.patch.dict(os.environ, wanted):
        yield


def failure(experiment: Experiment) -> str:
    """Run the experiment and wait for it; what went wrong and what to do about it, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        said, complained = Path(folder, "stdout"), Path(folder, "stderr")
        # Daemons end with an interrupted build.
        process = _context(experiment).Process(
            target=_run, args=(str(experiment.path), str(said), str(complained)), daemon=True
        )
        if status := processes.run(process):
            return _explain(experiment, status, _read(said), _read(complained))
    return ""


def _context(experiment: Experiment) -> multiprocessing.context.BaseContext:
    if "torch" not in imported_modules(experiment.path):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context(FORK)
    context.set_forkserver_preload(IMPORTED_BEFORE_THE_FORK)
    return context


def _run(path: str, said: str, complained: str) -> None:
    """In the new process: the text of libraries and of a crash, which Python does not write, is kept as well."""
    for descriptor, file in ((1, said), (2, complained)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(ROOT)
    raise SystemExit(run_experiment.main(path))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _explain(experiment: Experiment, status: int, said: str, complained: str) -> str:
    where = re.search(r'File "[^"]*?(snippets/[^"]+)", line (\d+) in (\w+)', complained)
    place = "{}:{} in {}".format(*where.groups()) if where else str(experiment.path)
    if "Timeout (" in complained:
        limit = os.environ.get("EXPERIMENT_TIME_LIMIT", run_experiment.TIME_LIMIT)
        return f"{place}: still running after {limit} s. Make the experiment smaller, or find out where it hangs."
    if status < 0:
        name = signal.Signals(-status).name
        return f"{place}: the process died of {name}. Run it by hand to see more: {_by_hand(experiment)}"
    explained = said.strip() or complained.strip()[-2000:]
    return f"{explained}\nCorrect it, then try it alone: {_by_hand(experiment)}"


def _by_hand(experiment: Experiment) -> str:
    return f"python -m docs.hooks.run_experiment {experiment.path.as_posix()}"
