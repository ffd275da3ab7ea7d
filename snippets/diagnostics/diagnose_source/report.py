"""What a diagnosis returns, and how it prints."""

import math
import textwrap
from typing import Any, NamedTuple

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.report import Finding, ModelReport
from snippets.diagnostics.diagnose_source.advice import CURES


class Trial(NamedTuple):
    """Some steps from the weights as they are, after which all was put back."""

    factor: float
    """The learning rate, as a multiple of the given one."""
    alone: bool
    """All steps on one batch, by Adam, whose rate is `factor`."""
    losses: tuple[float, ...]
    """Of each step, before it is made and without penalties; the last one is
    not finite if the trial was lost.
    """

    @property
    def loss(self) -> float:
        """Mean of the last fifth of the steps, infinite if the trial was
        lost."""
        return _end(self.losses, len(self.losses))


class Diagnosis(NamedTuple):
    """What the look at the program and some trials showed. `print` gives lines
    of at most 100 columns.
    """

    findings: tuple[Finding, ...]
    """Faults first, and of these what stands before a training first."""
    check: ModelReport | None
    """What `check_model` says, with the table of all layers; None if the model
    failed.
    """
    planned: int | None
    """Steps of the whole training, None if it has no end."""
    best_constant: float | None
    """Loss of the best answer that does not look at the inputs; None if the
    loss is none that is known.
    """
    trials: tuple[Trial, ...]
    """In their order; the first one at the given rate."""
    cost: float
    """What all of it cost, in steps."""
    complete: bool
    """False if Ctrl-C ended it."""

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, strings and numbers alone."""
        findings = [
            finding._asdict() | {"layers": list(finding.layers)}
            for finding in self.findings
        ]
        trials = [
            trial._asdict() | {"losses": list(trial.losses)} for trial in self.trials
        ]
        check = self.check and self.check.to_dict()
        return self._asdict() | {
            "findings": findings,
            "check": check,
            "trials": trials,
        }

    def __str__(self) -> str:
        planned = "" if self.planned is None else f", {self.planned} planned"
        guess = (
            ""
            if self.best_constant is None
            else f"; the best constant answer has loss {self.best_constant:.3g}"
        )
        lines = _wrapped(
            f"{len(self.trials)} trials, at the cost of {self.cost:.0f} steps{planned}{guess}"
        )
        if self.trials:
            lines.append(f"{'rate':>12}{'steps':>8}{'first loss':>12}{'last loss':>12}")
        for trial in self.trials:
            rate = f"{'Adam' if trial.alone else 'x'} {trial.factor:g}"
            where = "  on one batch" if trial.alone else ""
            lines.append(
                f"{rate:>12}{len(trial.losses):8}{trial.losses[0]:12.4g}{trial.loss:12.4g}{where}"
            )
        if not self.complete:
            lines.append("Ended by Ctrl-C: this is what was known by then.")
        lines.append("")
        for finding in self.findings:
            lines += _wrapped(
                f"{finding.level.upper()} {finding.code}: {finding.symptom}"
            )
            where = f"{', '.join(finding.layers[:4])}: " if finding.layers else ""
            for word, sentence in (
                ("evidence", where + finding.evidence),
                ("cause", finding.cause),
                ("cure", finding.cure),
                ("read", finding.link),
            ):
                lines += _wrapped(sentence, f"  {word:9}")
        return "\n".join([*lines, *([] if self.findings else ["No finding."])])


def _wrapped(text: str, start: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=start,
        subsequent_indent=" " * 11,
        break_on_hyphens=False,
    )


def _end(losses: tuple[float, ...], steps: int) -> float:
    """Mean of the last fifth of so many steps; infinite if the trial was lost
    before.
    """
    some = losses[:steps]
    if len(some) < steps or not some or not math.isfinite(some[-1]):
        return math.inf
    some = some[-max(1, steps // 5) :]
    return sum(some) / len(some)


def _found(code: str, evidence: str, *layers: str) -> Finding:
    level, symptom, cause, cure, link = CURES.get(code) or ADVICE[code]
    return Finding(
        code=code,
        level=level,
        layers=layers,
        symptom=symptom,
        evidence=evidence,
        cause=cause,
        cure=cure,
        link=link,
    )
