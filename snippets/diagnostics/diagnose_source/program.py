"""How a diagnosis goes on, in either framework."""

from collections.abc import Callable
from typing import Any

import numpy as np

from snippets.diagnostics.check_model_source.report import Finding, ModelReport
from snippets.diagnostics.diagnose_source.judge import (
    _best_constant,
    _Facts,
    _judge_facts,
    _judge_looks,
    _Looks,
)
from snippets.diagnostics.diagnose_source.probe import _Clock, _Probe, _Stopped
from snippets.diagnostics.diagnose_source.report import Diagnosis, Trial, _found


class _Failed(Exception):
    """The program that is looked at, from the error that it raised."""


class _Program:
    """Model, data, loss and optimizer. A framework says how to check them, how
    to find facts and looks, and how to run a trial.
    """

    probe: _Probe
    checked: Callable[[], ModelReport | None]
    find_facts: Callable[[], Any]
    looks: Callable[[Any], _Looks]
    run: Callable[[float, int, bool], list[float]]
    unrelated: Callable[[], str]
    by_heart: Callable[[int, float], tuple[list[float], str]]
    judge_optimizer: Callable[[], list[Finding]]
    is_trained: Callable[[str], bool]
    """Does a step change the weights of a layer of this name?"""

    def __init__(self, clock: _Clock, planned: int | None) -> None:
        self.clock, self.planned = clock, planned
        self.check: ModelReport | None = None
        self.facts: _Facts | None = None
        self.found: list[Finding] = []
        self.trials: list[Trial] = []
        self.stacked = set[str]()
        """The code of linear layers in a row, if there are any."""

    def diagnosis(self) -> Diagnosis:
        constant, complete = None, True
        try:
            self.look()
            self.clock.check()
            fatal = [one.code for one in self.found if one.code.startswith(_FATAL)]
            if fatal:
                self.found.append(_found("not-tried", f"because of {fatal[0]}"))
            else:
                constant = self.facts and _best_constant(self.facts)
                self.probe = _Probe(self.run, self.clock, self.planned, constant)
                self.probe.by_heart = self.by_heart if self.facts else None
                self.trials = self.probe.trials
                known = self.faults() | {"linear-stack"} & self.stacked
                later = list(self.probe.findings(self.unrelated, known))
                if self.stacked and not self.probe.learned and not self.faults():
                    self.found = [_raised(finding) for finding in self.found]
                self.found += later
        except _Stopped:
            complete = False
        except _Failed as failed:
            self.found.append(_failure(failed.__cause__))
        return Diagnosis(
            findings=tuple(sorted(self.found, key=lambda finding: finding.level)),
            check=self.check,
            planned=self.planned,
            best_constant=constant and constant[0],
            trials=tuple(self.trials),
            cost=self.clock.spent,
            complete=complete,
        )

    def look(self) -> None:
        """All that needs no trial."""
        self.clock.tick(4, "looking at the model")
        failure, checked = None, tuple[Finding, ...]()
        try:
            self.check = self.checked()
            checked = self.check.findings if self.check else ()
        except ValueError as error:
            failure = error
        # A loss that reads beyond a table may end the process on a GPU.
        if not _BEYOND & {finding.code for finding in checked}:
            value = None
            try:
                value = self.find_facts()
            except _Failed as failed:
                failure = failure or failed.__cause__
            if self.facts:
                self.found += _judge_facts(self.facts)
            if self.ends_still():
                # A critic is to call all that a generator makes real.
                self.found = [one for one in self.found if one.code != "one-target"]
            targets = self.facts.targets if self.facts else np.zeros(0)
            self.found += _judge_looks(self.looks(value), targets)
            self.found += self.judge_optimizer()
        # Such layers may be meant: check_model tells, or what the trials show.
        level = {finding.code: finding.level for finding in checked}
        self.found = [
            finding._replace(level=level.get("linear-stack", "note"))
            if finding.code == "linear-stack"
            else finding
            for finding in self.found
        ]
        own = {finding.code for finding in self.found}
        self.stacked = {"linear-stack"} & own
        own |= {code for name in own for code in _SAME.get(name, ())}
        self.found += [finding for finding in checked if finding.code not in own]
        if failure and not self.faults():
            self.found.append(_failure(failure))

    def ends_still(self) -> bool:
        """What runs last is not trained, unlike what runs before it."""
        rows = self.check.layers if self.check else ()
        last = rows[-1].name.partition(" (")[0] if rows else ""
        return bool(rows) and not self.is_trained(last)

    def faults(self) -> set[str]:
        return {finding.code for finding in self.found if finding.level == "fault"}


_FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
)
_FATAL = (
    "error",
    "non-finite",
    "labels-out-of-range",
    "index-out-of-range",
    "labels-not-whole",
    "targets-outside",
)
"""With these a training is impossible or means nothing."""
_BEYOND = {"labels-out-of-range", "index-out-of-range"}
_SAME = {
    "softmax-over-one-unit": ("length-one-axis",),
    "softmax-axis": ("softmax-over-batch",),
}
"""What check_model says of the same fault."""


def _raised(finding: Finding) -> Finding:
    """Linear layers in a row, of a model that does not learn."""
    evidence = f"{finding.evidence}; the first trial does not learn"
    raised = finding._replace(level="fault", evidence=evidence)
    return raised if finding.code == "linear-stack" else finding


def _failure(error: Any) -> Finding:
    return _found("error", " ".join(f"{type(error).__name__}: {error}".split())[:400])
