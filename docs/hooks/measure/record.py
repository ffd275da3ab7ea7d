"""What was measured, as plain data: the numbers that a reader downloads, the rows of a table."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from docs.hooks.measure.experiment import Experiment
from snippets.laboratory.claim import Claim


def numbers(experiment: Experiment, claims: tuple[Claim, ...], values: list[float], measured: Any) -> str:
    """The JSON that a reader downloads and every card is made from."""
    record = {
        "experiment": experiment.path.as_posix(),
        "statement": experiment.title,
        "source": experiment.source,
        "claims": [
            {
                "statement": claim.statement,
                "kind": claim.kind,
                "budget": claim.budget,
                "source": claim.source or experiment.source,
                "paper": claim.paper,
                "measured": value,
                "printed": format(value, claim.format),
                "format": claim.format,
                "interval": [_plain(bound) for bound in claim.interval],
                "rival": _plain(claim.rival_in(measured)),
                "rival_printed": "" if claim.rival is None else format(claim.rival_in(measured), claim.format),
                "rival_of": claim.rival_of,
                "reason": claim.reason,
            }
            for claim, value in zip(claims, values, strict=True)
        ],
        "measured": _plain(measured),
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rows(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows of a table, the head first."""
    head, *body = ([*cells] for cells in table)
    if any(len(row) != len(head) for row in body):
        raise ValueError(f"table: every row must have {len(head)} cells as the head has, got {body}")
    return [head, *body]


def _plain(value: Any) -> Any:
    """Lists, dictionaries, strings and finite numbers; JSON has no Inf and no NaN, so these become words."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
