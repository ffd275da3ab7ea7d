"""Measure one experiment, hold its claims to their intervals, and keep what was measured.

    python -m docs.hooks.measure.run snippets/vanishing_gradients/experiment_per_layer_factor.py

Exits with 0 after that, with 1 after saying on standard output what went wrong.
"""

import pickle
import sys
from types import ModuleType
from typing import Any

from docs.hooks import store
from docs.hooks.measure import record
from docs.hooks.measure.attempt import Refuted, by_hand
from docs.hooks.measure.experiment import Experiment
from snippets.laboratory.claim import ClaimError


def measure(experiment: Experiment, module: ModuleType) -> None:
    """Raises what the experiment raises, or `Refuted` with all its claims that do not hold."""
    measured = module.measure()
    numbers = record.numbers(experiment, module.CLAIMS, _check(module, measured), measured)
    table = record.rows(module.table(measured)) if experiment.has_table else None
    packed = pickle.dumps(measured, protocol=5)
    store.save(store.ROOT / experiment.measurement, store.Measurement(numbers, table, packed))


def _check(module: ModuleType, measured: Any) -> list[float]:
    """The number of each claim."""
    values, refuted = [], []
    for claim in module.CLAIMS:
        try:
            values.append(claim.check(measured))
        except ClaimError as error:
            refuted.append(str(error))
    if refuted:
        raise Refuted("\n".join(refuted))
    return values


if __name__ == "__main__":
    sys.exit(by_hand(measure, sys.argv[1:]))
