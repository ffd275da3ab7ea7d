"""Run one experiment in a process of its own: measure, hold the claims to their intervals, draw, write.

    python -m docs.hooks.run_experiment snippets/vanishing_gradients/experiment_per_layer_factor.py

Exits with 0 after writing the products, with 1 after saying on standard output what went wrong.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import sys
import traceback
from pathlib import Path

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

TIME_LIMIT = 300
"""Seconds for the imports, and again for `measure` and what follows. The slowest experiment takes a tenth of it or less
where nothing else runs."""


def run(path: Path) -> None:
    """Raise what the experiment raises, or `ExceptionGroup` of all its claims that do not hold."""
    from docs.hooks import drawing, evidence
    from docs.hooks.experiment import ROOT, Experiment
    from docs.hooks.files import write_if_changed
    from snippets.laboratory.claim import ClaimError

    experiment = Experiment(path)
    module = importlib.import_module(experiment.module)
    limit_time(float(os.environ.get("EXPERIMENT_TIME_LIMIT", TIME_LIMIT)))
    measured = module.measure()
    values, refuted = [], []
    for claim in module.CLAIMS:
        try:
            values.append(claim.check(measured))
        except ClaimError as error:
            refuted.append(error)
    if refuted:
        raise ExceptionGroup("claims that do not hold", refuted)
    with drawing.style(salt=str(experiment)):
        svg = drawing.to_svg(module.plot(measured))
    numbers = evidence.numbers(experiment, module.CLAIMS, values, measured)
    if experiment.has_table:
        write_if_changed(ROOT / experiment.table, evidence.table(module.table(measured)))
    write_if_changed(ROOT / experiment.figure, svg)
    write_if_changed(ROOT / experiment.card, evidence.card(experiment, json.loads(numbers)))
    write_if_changed(ROOT / experiment.numbers, numbers)


def explain(error: Exception) -> str:
    """What the author of the experiment can act on: the claims, or the error and the project's own frames."""
    if isinstance(error, ExceptionGroup):
        return "\n".join(str(refuted) for refuted in error.exceptions)
    frames = [
        (Path(frame.filename).relative_to(Path.cwd()), frame)
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(Path.cwd() / folder) for folder in ("snippets", "docs"))
    ]
    # This file called the others: its own frames say something only if no other does.
    below = [(path, frame) for path, frame in frames if path.name != Path(__file__).name]
    lines = [f"{path.as_posix()}:{frame.lineno} in {frame.name}: {frame.line}" for path, frame in below or frames]
    return "\n".join([*lines, *(line.rstrip() for line in traceback.format_exception_only(error))])


def limit_time(seconds: float) -> None:
    """End the process after so many seconds from now; the fault handler names the line, on standard error."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def main(path: str) -> int:
    # A crash or a hang has no Python exception.
    faulthandler.enable()
    limit_time(TIME_LIMIT)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            run(Path(path))
    except Exception as error:
        print(explain(error))
        return 1
    return 0


if __name__ == "__main__":
    os.environ.update(SETTINGS)
    sys.exit(main(*sys.argv[1:]))
