"""What a benchmark prints: what was measured, beside its budget."""

from typing import NamedTuple


class Row(NamedTuple):
    what: str
    value: float
    budget: float | None = None
    """In the unit of the value, on two cores that have nothing else to do."""


def table(unit: str, rows: list[Row], decimals: int = 0) -> str:
    """The rows in columns: value, budget, and which part of the budget was used."""
    width = max(len(row.what) for row in rows)
    lines = [f"{'':{width}}  {unit:>7}  budget  used"]
    for row in rows:
        line = f"{row.what:{width}}  {row.value:7.{decimals}f}"
        lines.append(line if row.budget is None else f"{line}  {row.budget:6g}  {row.value / row.budget:4.0%}")
    return "\n".join(lines)
