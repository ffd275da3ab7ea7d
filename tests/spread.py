"""Measure every claim over ten seeds, here and on stand-ins for other processors, and write one table.

    python -m tests.spread                    what changed since the table was written, on every setting
    python -m tests.spread "as it is"         on this processor alone
    python -m tests.spread --part cliff AVX2  experiments whose name contains a text

An experiment is measured again where its code changed or fewer seeds were taken. All of them from nothing take about
twenty minutes of a core for each setting. The table is written after each experiment, so the run may be interrupted.
"""

import argparse
import importlib
import inspect
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from docs.hooks.measure import spread
from docs.hooks.measure.attempt import SETTINGS
from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.measure.imports import imported_modules
from docs.hooks.store import ROOT
from tests import machines

AS_IT_IS = "as it is"
ALL = (AS_IT_IS, spread.UNTRAINED, *machines.machines(), spread.LONGER)


def main(settings: list[str], part: str, seeds: int) -> int:
    for setting in settings or ALL:
        for keras in (False, True):
            stale = list(_stale(setting, part, keras, seeds))
            if stale:
                _measure(setting, stale, seeds)
    return 0


def _stale(setting: str, part: str, keras: bool, seeds: int) -> Iterator[Experiment]:
    """The experiments whose rows are missing, older than their code, or of fewer seeds; of one framework."""
    known = {(row.experiment, row.setting, row.code) for row in spread.read() if row.seeds == 1 or row.seeds >= seeds}
    for experiment in find_experiments():
        if part not in str(experiment) or _uses_keras(experiment) != keras:
            continue
        if (str(experiment), setting, spread.digest(experiment)) not in known:
            yield experiment


def _uses_keras(experiment: Experiment) -> bool:
    return any(name.partition(".")[0] in {"keras", "tensorflow"} for name in imported_modules(experiment.path))


def _measure(setting: str, experiments: list[Experiment], seeds: int) -> None:
    switches = machines.machines().get(setting, {})
    command = [
        sys.executable,
        "-m",
        "tests.spread",
        "--seeds",
        str(seeds),
        "--worker",
        setting,
        *map(str, (e.path for e in experiments)),
    ]
    worker = subprocess.Popen(
        command, cwd=ROOT, env=machines.environment(switches, "1") | SETTINGS, stdout=subprocess.PIPE, text=True
    )
    for line in worker.stdout:
        if not line.startswith("{"):
            continue
        found = json.loads(line)
        rows = [spread.Row(*entry) for entry in found["rows"]]
        # Read again: another run may have written meanwhile.
        others = [row for row in spread.read() if (row.experiment, row.setting) != (found["experiment"], setting)]
        spread.write(others + rows)
        print(f"{setting}: {found['experiment']}, {found['seconds']:.0f} s {found['failed']}", flush=True)
    worker.wait()


def work(setting: str, paths: list[str], seeds: int) -> None:
    """In a process of its own, whose environment makes the libraries choose their kernels: a line of JSON each."""
    for path in paths:
        experiment, started = Experiment(Path(path)), time.monotonic()
        try:
            rows, failed = list(measure(experiment, setting, seeds)), ""
        except Exception as error:  # such as a training that ends where no training took place
            rows, failed = [], f"failed: {error!r}"
        said = {"experiment": str(experiment), "rows": rows, "seconds": time.monotonic() - started, "failed": failed}
        print(json.dumps(said), flush=True)


def measure(experiment: Experiment, setting: str, of_seeds: int) -> Iterator[spread.Row]:
    module = importlib.import_module(experiment.module)
    takes_a_seed = "seed" in inspect.signature(module.measure).parameters
    one = setting in (spread.UNTRAINED, spread.LONGER)
    seeds = range(of_seeds if takes_a_seed and not one else 1)
    if setting == spread.UNTRAINED:
        stop_optimizers()
    if setting == spread.LONGER and not lengthen(module):
        return
    found = [module.measure(*[seed] if takes_a_seed else []) for seed in seeds]
    for number, claim in enumerate(module.CLAIMS):
        values = [_number(claim, measured) for measured in found]
        lowest, highest = (math.nan, math.nan) if any(map(math.isnan, values)) else (min(values), max(values))
        words = spread.address(claim.statement)
        code = spread.digest(experiment)
        yield spread.Row(str(experiment), code, setting, len(seeds), number, words, lowest, highest)


def _number(claim, measured) -> float:
    try:
        return float(claim.value(measured))
    except (ArithmeticError, StopIteration, ValueError):
        return math.nan


def stop_optimizers() -> None:
    """Optimizers of PyTorch that do nothing: what changes a number without them is no training."""
    import torch

    for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        optimizer.step = lambda self, closure=None: None


def lengthen(module) -> bool:
    """Ten times the steps of the common training loop; whether the experiment uses it."""
    from snippets.laboratory import training

    if getattr(module, "train", None) is not training.train:
        return False
    module.train = lambda *args, steps, **more: training.train(*args, steps=10 * steps, **more)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", default="", help="only experiments whose topic or name contains this")
    parser.add_argument(
        "--seeds", type=int, default=spread.SEEDS, help="fewer where time is short; the table says how many"
    )
    parser.add_argument("settings", nargs="*", help=f"of {', '.join(ALL)}; all of them if none is given")
    given = parser.parse_args()
    if given.worker:
        sys.exit(work(given.settings[0], given.settings[1:], given.seeds))
    sys.exit(main(given.settings, given.part, given.seeds))
