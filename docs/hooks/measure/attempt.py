"""One step of one experiment in a process of its own: its settings, its time limit, and its failure in words."""

import contextlib
import faulthandler
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from docs.hooks.measure.experiment import Experiment
from docs.hooks.store import ROOT

# Before any numerical library is imported: one thread, so that sums have one order and builds agree to the byte.
SETTINGS = {
    "CUDA_VISIBLE_DEVICES": "",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}

TIME_LIMIT = 900
"""Seconds for the imports, and again for the step itself. The slowest experiment takes a thirtieth of it where nothing
else runs: a machine with ten times too much to do ends no sound one."""

Step = Callable[[Experiment, ModuleType], None]
"""Takes the experiment and its module, and raises what the experiment raises."""


class Refuted(Exception):
    """Claims that do not hold; the text is all that there is to say."""


def attempt(step: Step, path: str) -> int:
    """0 where the step went well, 1 after saying on standard output what went wrong."""
    # A crash or a hang has no Python exception.
    faulthandler.enable()
    limit_time(TIME_LIMIT)
    experiment = Experiment(Path(path))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            module = importlib.import_module(experiment.module)
            limit_time(float(os.environ.get("EXPERIMENT_TIME_LIMIT", TIME_LIMIT)))
            step(experiment, module)
    except Exception as error:
        print(explain(error))
        return 1
    return 0


def limit_time(seconds: float) -> None:
    """End the process after so many seconds from now; the fault handler names the line, on standard error."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def explain(error: Exception) -> str:
    """What the author of the experiment can act on: the claims, or the error and the project's own frames."""
    if isinstance(error, Refuted):
        return str(error)
    frames = [
        (Path(frame.filename).relative_to(Path.cwd()), frame)
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(Path.cwd() / folder) for folder in ("snippets", "docs"))
    ]
    # The steps called the others: their own frames say something only if no other does.
    below = [(path, frame) for path, frame in frames if path.name not in {Path(__file__).name, "run.py"}]
    lines = [f"{path.as_posix()}:{frame.lineno} in {frame.name}: {frame.line}" for path, frame in below or frames]
    return "\n".join([*lines, *(line.rstrip() for line in traceback.format_exception_only(error))])


def by_hand(step: Step, arguments: list[str]) -> int:
    """The command of a step: `python -m <its module> <path of the experiment>`."""
    os.environ.update(SETTINGS)
    os.chdir(ROOT)
    return attempt(step, *arguments)
