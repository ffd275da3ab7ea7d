"""What `check_model` says of one case, in the few numbers that its page shows."""

import math
from typing import NamedTuple

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import Case, build


class Checked(NamedTuple):
    """One model, one pass."""

    layers: int
    """Runs of modules with weights."""
    parameters: int
    forward: float
    """log10 of what the layers together multiply the spread of the outputs by; NaN where there is no factor."""
    backward: float
    """The same for the gradient on its way back."""
    excess: float
    """Loss minus ln(classes), in nats; NaN without a cross-entropy or a loss."""
    faults: tuple[str, ...]
    """Codes of the findings of level "fault"."""
    notes: tuple[str, ...]


def checked(case: Case) -> Checked:
    # The masks of dropout come from the global generator.
    report = build(lambda: check_model(*case), seed=0)
    codes = {
        level: tuple(
            finding.code for finding in report.findings if finding.level == level
        )
        for level in ("fault", "note")
    }
    forward, backward = (
        math.nan if factor is None else (report.depth - 1) * math.log10(factor)
        for factor in (report.forward, report.backward)
    )
    excess = (
        math.nan if report.chance_loss is None else report.loss - report.chance_loss
    )
    return Checked(
        len(report.layers),
        report.parameters,
        forward,
        backward,
        excess,
        codes["fault"],
        codes["note"],
    )
