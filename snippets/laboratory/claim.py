"""A statement that a page makes and an experiment measures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ClaimError(AssertionError):
    """A measured value lies outside the interval that its claim asserts, or the interval would not notice."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement, the number that decides it, the interval in which that number must lie, and what would be seen if
    the statement were false."""

    statement: str
    """What the page says, as a sentence; Markdown and `$...$` formulas are allowed."""

    value: Callable[[Any], float]
    """Takes what `measure` returned and gives the number."""

    interval: tuple[float, float]
    """Lowest and highest value that do not refute the statement, both included."""

    reason: str
    """Where the interval comes from: theory, or the spread over which seeds."""

    rival: float | Callable[[Any], float] | None = None
    """The number that one would see if the statement were false: by theory, by the nearest wrong hypothesis, or, as a
    function of what `measure` returned, on the control in the same experiment. The interval must not contain it."""

    rival_of: str = ""
    """In a few words, whose number the rival is: "Xavier", "a constant factor", "guessing"."""

    kind: str = "claim"
    """"claim", or "identity" for what holds by construction: it has no rival, and does not count as a claim."""

    budget: str = ""
    """For a number that a training left: its steps, optimizer and rate, as the end of the sentence."""

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
        if self.kind not in ("claim", "identity"):
            raise ValueError(f'kind must be "claim" or "identity", got {self.kind!r}')
        if (self.kind == "identity") != (self.rival is None):
            raise ValueError(
                f'claim "{self.statement}": give its rival, the number that one would see if it were false; '
                'only an identity, kind="identity", has none'
            )
        if (self.rival is None) != (not self.rival_of):
            raise ValueError(
                f'claim "{self.statement}": rival_of must say whose number the rival is, got {self.rival_of!r}'
            )

    def check(self, measured: Any) -> float:
        """Return the measured number, or raise `ClaimError` when it lies outside the interval (NaN always does), or
        when the interval contains the rival."""
        number = float(self.value(measured))
        lowest, highest = self.interval
        if not lowest <= number <= highest:
            raise ClaimError(
                f'claim "{self.statement}": measured {number:.6g}, asserted [{lowest:g}, {highest:g}] ({self.reason})'
            )
        if self.kind == "claim":
            self._exclude(self.rival_in(measured))
        return number

    def rival_in(self, measured: Any) -> float | None:
        """The number of the rival, which may have been measured; None for an identity."""
        rival = self.rival(measured) if callable(self.rival) else self.rival
        return None if rival is None else float(rival)

    def _exclude(self, rival: float) -> None:
        lowest, highest = self.interval
        if not (rival < lowest or highest < rival):
            raise ClaimError(
                f'claim "{self.statement}": its rival {rival:.6g} ({self.rival_of}) is no number outside of '
                f"[{lowest:g}, {highest:g}], so the interval would not notice that the statement is false"
            )
