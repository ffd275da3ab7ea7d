"""A statement that a page makes and an experiment measures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ClaimError(AssertionError):
    """A measured value lies outside the interval that its claim asserts."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement, the number that decides it, and the interval in which that number must lie."""

    statement: str
    """What the page says, as a sentence; Markdown and `$...$` formulas are allowed."""

    value: Callable[[Any], float]
    """Takes what `measure` returned and gives the number."""

    interval: tuple[float, float]
    """Lowest and highest value that do not refute the statement, both included."""

    reason: str
    """Where the interval comes from: theory, or the spread over which seeds."""

    paper: str = ""
    """What the source says: its number, or a word such as "converges". Empty when the source gives neither."""

    source: str = ""
    """Authors, year, section or equation. Empty means the source of the whole experiment."""

    format: str = ".3g"
    """How the number is printed, as in `format(value, ".3g")`."""

    def __post_init__(self) -> None:
        lowest, highest = self.interval
        if not lowest <= highest:
            raise ValueError(f"interval must be (lowest, highest), got {self.interval}")

    def check(self, measured: Any) -> float:
        """Return the measured number, or raise `ClaimError` when it lies outside the interval (NaN always does)."""
        number = float(self.value(measured))
        lowest, highest = self.interval
        if not lowest <= number <= highest:
            raise ClaimError(
                f'claim "{self.statement}": measured {number:.6g}, asserted [{lowest:g}, {highest:g}] ({self.reason})'
            )
        return number
