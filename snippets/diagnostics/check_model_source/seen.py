"""What was seen in the pass; each framework adds how it sees."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.limits import (
    COLUMNS,
    DIGITS,
    FEW,
    LEVEL,
    OUTSIDE,
    SAME,
)
from snippets.diagnostics.check_model_source.report import Finding, LayerReport


class _Stop(Exception):
    """A finding explains why the pass cannot go on."""


class _Weight(NamedTuple):
    """One parameter of the model."""

    name: str
    trained: bool
    norm: float
    """NaN or Inf, if one of its numbers is."""
    size: int
    """How many numbers it has."""
    matrix: bool
    """It has two or more dimensions."""
    alike: bool
    """Its units, two or more, hold the same numbers."""
    copy: bool
    """Another one holds the same numbers."""
    gradient: float | None
    """The norm of its gradient, None without one."""
    gradient_alike: bool
    """The same for its gradient."""
    centred: float | None = None
    """Of the scale of a normalization, |mean| over root mean square; 0 for
    zeros."""


_RANGES = {
    "Relu": (0.0, math.inf),
    "Softplus": (0.0, math.inf),
    "Exp": (0.0, math.inf),
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
}
"""Of what an operation returns."""


def _is_one(lengths: list[float]) -> bool:
    low, high = min(lengths, default=0.0), max(lengths, default=0.0)
    return high - low < SAME * high


class _Seen:
    """What one pass showed."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        """Fields of `LayerReport`, and the names of the weights."""
        self.weights: dict[str, _Weight] = {}
        self.findings: list[Finding] = []
        self.loss = math.nan
        self.chance_loss: float | None = None
        self.excess = self.doubt = 0.0
        """Of the loss above that of guessing, and the standard error."""
        self.bounded = False
        """The logits have the size that a scale or a temperature gives them, at
        the start as later."""
        self.terms: list[list[Any]] = []
        """Of each error of a regression in the loss, the standard deviations of
        its targets, by column if they are few, and its weight in the loss."""
        self.scale = 0.0
        """The largest root mean square of an input, or of a column of it."""
        self.column = ""
        """Which one, if it is a column."""
        self.cosine: float | None = None
        """Mean cosine between two inputs."""
        self.sums = 0
        """Residual connections."""
        self.bad_input = ""
        """Where the batch holds NaN or Inf."""
        self.birth = ""
        """The first operation that made a number that is none."""
        self.idle = set[str]()
        """Weights of layers that got no example."""
        self.normalized = False
        """A normalization took part."""
        self.through_time: list[tuple[str, int, float, float]] = []
        """Of recurrent layers: name, steps, and the gradient of the last output
        with respect to the first and to the last step of the input.
        """
        self.mixed = 0.0
        """By which part of its size an output changed with its neighbors."""
        self.compared = 0
        """How often that could be told."""
        self.apart: float | None = None
        """By which part of its size the output differs between examples."""
        self.mixed_further = math.inf
        """The same of further outputs, the least of all tries: one that counts
        something else has the size of the batch by chance, and once."""
        self.rounded = False
        """What is quantized as it runs takes its scale from the whole batch."""
        self.steps = ""
        """What tells that the model was trained."""
        self.evaluation: float | None = None
        """The loss in evaluation mode."""
        self.chain: list[int] = []
        """Places of the rows on the longest path from inputs to loss."""
        self.shifts = set[int]()
        """Places from the tokens of a language model to its targets."""
        self.copies = False
        """Some places are left out, and at the others the target stands in the
        input."""
        self.rising = 0
        """Products of log-probabilities and weights by which the loss grows."""
        self.dropping: list[str] = []
        """Dropouts that are on in evaluation mode."""
        self.went_back = False
        """There was a backward pass."""
        self.cuts: list[tuple[int, bool, str]] = []
        """Where the way back ends though weights had a part in what comes in:
        the number of rows by then, whether whole numbers came out, and what
        ended it."""
        self.stop: Exception | None = None

    def find(
        self, code: str, evidence: str, *layers: str, level: str | None = None
    ) -> None:
        usual, symptom, cause, cure, link = ADVICE[code]
        self.findings.append(
            Finding(code, level or usual, layers, symptom, evidence, cause, cure, link)
        )

    def find_once(self, code: str, evidence: str, *layers: str) -> None:
        if all(finding.code != code for finding in self.findings):
            self.find(code, evidence, *layers)

    def judge_axis(self, shape: tuple[int, ...], axis: int, where: str) -> None:
        """The axis of a softmax."""
        # Attention may have a single query and a single key.
        if shape[axis] == 1 and shape[axis - 1] > 1:
            evidence = f"softmax over axis {axis % len(shape)} of a tensor of shape {tuple(shape)}"
            self.find_once("length-one-axis", evidence, where)

    def judge_range(self, maker: str, targets: Any, size: int) -> None:
        low, high = _RANGES.get(maker, (-math.inf, math.inf))
        outside = float(((targets < low) | (targets > high)).sum()) / max(size, 1)
        if outside > OUTSIDE:
            span = f"{outside:.0%} of the targets lie outside of {low:g} to {high:g}, where {maker.lower()} ends"
            self.find("output-range", f"{span}; limit {OUTSIDE:.0%}")

    def look_at_logits(self, lengths: list[float], apart: float) -> None:
        """The lengths of their rows, and the largest difference in a column."""
        self.bounded |= _is_one(lengths) and apart > lengths[0] / 10

    def look_at_product(self, rows: list[float], others: list[float]) -> None:
        """Of rows and others that do not come from the examples, the lengths:
        the products may be cosines, and a scale."""
        unit = any(abs(part[0] - 1) < SAME for part in (rows, others) if part)
        self.bounded |= unit and _is_one(rows) and _is_one(others)

    def judge_targets(self, targets: Any, low: float, high: float) -> None:
        """Of a loss that means something in a range alone."""
        share = float(((targets < low - 1e-3) | (targets > high + 1e-3)).sum())
        if share:
            share /= math.prod(targets.shape)
            span = f"from {float(targets.min()):.3g} to {float(targets.max()):.3g}"
            self.find_once(
                "targets-outside",
                f"{share:.0%} of the targets lie outside of {low:g} to {high:g}: they go {span}",
            )

    def look_at_term(self, targets: Any, weight: float) -> list[Any]:
        """Targets of a regression, an array or a tensor."""
        few = targets.ndim == 2 and targets.shape[1] <= COLUMNS
        parts = [targets[:, place] for place in range(targets.shape[1] if few else 0)]
        spreads = [(float(part.std()), abs(part).max()) for part in parts or [targets]]
        # A few examples, or the digits of a constant, have no spread.
        many = targets.shape[0] >= FEW
        term = [[one for one, size in spreads if many and one > SAME * size], weight]
        self.terms.append(term)
        return term

    def judge_rate(self, maker: str, logarithm: bool, low: float) -> None:
        """What a Poisson loss is given, and whether it takes the logarithm."""
        positive = logarithm and _RANGES.get(maker) == (0.0, math.inf)
        if positive or (not logarithm and low < 0):
            given = f"exp() of a {maker.lower()}: no rate below 1"
            given = given if positive else f"rates down to {low:.3g}"
            self.find_once("poisson-rate", f"the loss takes {given}")

    def judge_constants(
        self,
        value: float,
        slope: float,
        constants: list[tuple[float, float]],
        near: list[float],
        apart: float,
    ) -> None:
        """The loss and its slope; the same of answers that do not look at the
        examples; losses near to these; and that of answers that differ between
        examples alone."""
        losses = [loss for loss, _ in constants]
        low = min(losses)
        less = DIGITS * max(value - low, abs(value))
        rounding = max(less / 100, 1e-6)
        if (
            value - low > max(less, 10 * rounding)
            and max(losses) - low < rounding
            and min(*near, apart) > low - rounding
            and max(near) - low < (value - low) / 2
            and all(flat < LEVEL * slope for _, flat in constants)
        ):
            evidence = f"loss {value:.3g}; {low:.3g} where all examples have one answer, whichever"
            self.find("constant-is-best", evidence)

    def judge_own_target(self, same: bool) -> None:
        """Whether both sides of a cross-entropy have the same last weight."""
        if same:
            evidence = "a distribution as the target of a cross-entropy, from the last layer of the output"
            self.find_once("target-with-gradient", evidence)

    def judge_signs(self, turned: list[bool]) -> None:
        """Which divergences have a minus."""
        if any(turned):
            self.find("divergence-sign", f"in {sum(turned)} terms of the loss")

    def judge_spread(
        self, sample: float | None, loss: float | None, *names: str
    ) -> None:
        """The powers of exp(an output): a standard deviation in a sample, and a
        variance in the loss. 0 is no exponential, None is not known."""
        if None not in (sample, loss) and loss and abs(2 * sample - loss) > SAME:
            spread = f"exp({sample:g} * x)" if sample else "x"
            evidence = f"noise times {spread} in the sample, a variance of exp({loss:g} * x) in the loss"
            self.find_once("sample-spread", evidence, *names)

    def judge_blank(self, count: int, labels: int, blank: int) -> None:
        """How many labels of a CTC loss are the blank."""
        if count:
            evidence = f"{count} of {labels} labels are {blank}, the blank"
            self.find_once("blank-among-labels", evidence)

    def judge_shift(self, causal: bool) -> None:
        """How far the targets of a language model stand from its inputs."""
        if 0 in self.shifts and (causal or self.copies):
            hidden = " that the loss counts" if self.copies else ""
            evidence = (
                f"the target at each place{hidden} is the token that stands there"
            )
            self.find("unshifted-targets", evidence)
        elif 2 in self.shifts and 1 not in self.shifts:
            evidence = "the target at each place is the token two places on"
            self.find("unshifted-targets", evidence)

    def judge_neighbours(self, first: float, further: float, apart: float) -> None:
        """By which part of its size the first output of an example changed with
        those beside it, and the most of the further outputs; and by which part
        the outputs of the examples differ."""
        self.compared += 1
        self.mixed = max(self.mixed, first)
        self.apart = max(self.apart or 0.0, apart)
        self.mixed_further = min(self.mixed_further, further)

    def look_at_scale(self, whole: float, columns: list[float]) -> None:
        """Of what the first weights read. One raw column among standardized
        ones is lost in the mean."""
        largest = max(columns, default=0.0)
        if max(whole, largest) > self.scale:
            self.scale = max(whole, largest)
            self.column = (
                f"column {columns.index(largest)}, " if largest > whole else ""
            )

    def judge_broadcast(self, one: Any, other: Any, result: Any) -> None:
        """What a loss written by hand does with output and targets of as many
        numbers in another shape.
        """
        size = math.prod(one)
        if (
            len(one) != len(other)
            and size == math.prod(other)
            and math.prod(result) > size
        ):
            self.find_once(
                "broadcast-loss",
                f"shapes {tuple(one)} and {tuple(other)} become {tuple(result)}",
            )

    def quietly(
        self, look: Callable[..., None] | None, *args: Any, **kwargs: Any
    ) -> None:
        """A look that fails neither stops the model nor hides its own words."""
        with suppress(Exception):
            try:
                if look:
                    look(*args, **kwargs)
            except _Stop as stop:
                self.stop = stop
        if self.stop:
            raise self.stop

    def note(self, row: dict[str, Any], what: str, fraction: float) -> None:
        row[what] = max(fraction, row[what] or 0.0)

    def add(self, name: str, numbers: dict[str, Any]) -> dict[str, Any]:
        """A row for one run of a layer."""
        runs = sum(row["layer"] == name for row in self.rows)
        row = (
            dict.fromkeys(
                (
                    *LayerReport._fields,
                    *("node", "predicts", "narrow", "before", "straight"),
                )
            )
            | numbers
            | {"layer": name}
        )
        row["name"] = name + (f" ({runs + 1})" if runs else "")
        self.rows.append(row)
        return row

    def reports(self) -> tuple[LayerReport, ...]:
        reports = []
        for row in self.rows:
            weights = [self.weights[name] for name in row["weights"]]
            norms = [
                weight.gradient for weight in weights if weight.gradient is not None
            ]
            size = math.hypot(*(weight.norm for weight in weights))
            row["weight_gradient"] = gradient = math.hypot(*norms) if norms else None
            row["ratio"] = (
                None if gradient is None else gradient / size if size else math.inf
            )
            reports.append(
                LayerReport(**{key: row[key] for key in LayerReport._fields})
            )
        return tuple(reports)
