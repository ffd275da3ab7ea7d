"""The rules, on numbers and names that belong to no framework."""

import math
import statistics
from typing import Any, NamedTuple

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.limits import (
    ANGLE,
    DEAD,
    DECADES,
    EXCESS,
    INPUT,
    PEAKED,
    SATURATED,
    STEADY,
)
from snippets.diagnostics.check_model_source.report import Finding, LayerReport


class _Weight(NamedTuple):
    """One parameter of the model."""

    name: str
    trained: bool
    norm: float
    """NaN or Inf, if one of its numbers is."""
    alike: bool
    """Its units, two or more, hold the same numbers."""
    copy: bool
    """Another one holds the same numbers."""
    gradient: float | None
    """The norm of its gradient, None without one."""
    gradient_alike: bool
    """The same for its gradient."""


class _Seen:
    """What one pass showed."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        """Fields of `LayerReport`, and the names of the weights."""
        self.weights: dict[str, _Weight] = {}
        self.findings: list[Finding] = []
        self.loss = math.nan
        self.chance_loss: float | None = None
        self.excess = 0.0
        """Of the loss above that of guessing."""
        self.scale = 0.0
        """The largest root mean square of an input."""
        self.cosine: float | None = None
        """Mean cosine between two inputs."""
        self.sums = 0
        """Residual connections."""
        self.bad_input = ""
        """Where the batch holds NaN or Inf."""

    def find(self, code: str, evidence: str, *layers: str) -> None:
        level, symptom, cause, cure, link = ADVICE[code]
        self.findings.append(Finding(code, level, layers, symptom, evidence, cause, cure, link))

    def note(self, row: dict[str, Any], what: str, fraction: float) -> None:
        row[what] = max(fraction, row[what] or 0.0)

    def add(self, name: str, numbers: dict[str, Any]) -> dict[str, Any]:
        """A row for one run of a layer."""
        runs = sum(row["layer"] == name for row in self.rows)
        row = dict.fromkeys(LayerReport._fields) | numbers | {"layer": name}
        row["name"] = name + (f" ({runs + 1})" if runs else "")
        self.rows.append(row)
        return row

    def reports(self) -> tuple[LayerReport, ...]:
        reports = []
        for row in self.rows:
            weights = [self.weights[name] for name in row["weights"]]
            norms = [weight.gradient for weight in weights if weight.gradient is not None]
            size = math.hypot(*(weight.norm for weight in weights))
            row["weight_gradient"] = gradient = math.hypot(*norms) if norms else None
            row["ratio"] = None if gradient is None else gradient / size if size else math.inf
            reports.append(LayerReport(**{key: row[key] for key in LayerReport._fields}))
        return tuple(reports)


def _judge(seen: _Seen, layers: tuple[LayerReport, ...]) -> tuple[Finding, ...]:
    """All findings; what only follows from another one is left out."""
    find, weights = seen.find, seen.weights.values()
    same = [weight.name for weight in weights if weight.copy]
    if same:
        find("identical-layers", f"{len(same)} weights equal another one", *same)
    bad_weights = [weight.name for weight in weights if not math.isfinite(weight.norm)]
    bad_layers = [layer for layer in layers if layer.non_finite]
    bad_gradients = [weight.name for weight in weights if not math.isfinite(weight.gradient or 0.0)]
    if seen.bad_input:
        find("non-finite-input", seen.bad_input)
    elif bad_weights:
        find("non-finite-weight", f"{len(bad_weights)} of {len(weights)}", *bad_weights)
    elif bad_layers:
        find("non-finite-activation", f"{bad_layers[0].non_finite:.0%} of the output", bad_layers[0].name)
    elif not math.isfinite(seen.loss) and _went_back(seen):
        find("non-finite-loss", f"loss {seen.loss}")
    elif bad_gradients:
        find("non-finite-gradient", f"{len(bad_gradients)} of {len(weights)}", *bad_gradients)
    else:
        _judge_signals(seen, layers)
        _judge_reach(seen, layers)
    return tuple(sorted(seen.findings, key=lambda finding: finding.level))


def _went_back(seen: _Seen) -> bool:
    """False if a finding says why there was no loss."""
    return any(weight.gradient is not None for weight in seen.weights.values())


def _judge_signals(seen: _Seen, layers: tuple[LayerReport, ...]) -> None:
    find = seen.find
    if seen.scale > INPUT:
        find("input-scale", f"root mean square {seen.scale:.3g}, limit {INPUT:g}")
    # A zero layer that has a gradient is none of them.
    symmetric = [weight.name for weight in seen.weights.values() if weight.alike and weight.gradient_alike]
    if symmetric:
        find("symmetric-units", "the units of the weight are equal, and those of its gradient", *symmetric)
    dead = [] if symmetric else _beyond(seen, "dead-relu", "dead", DEAD, layers)
    _beyond(seen, "saturated-activation", "saturated", SATURATED, layers)
    _beyond(seen, "saturated-attention", "peaked", PEAKED, layers)
    gains = [layer.gain for layer in layers if layer.gain is not None]
    typical = f"; median gain {statistics.median_high(gains):.2g}" if gains else ""
    for sizes, fades, grows in (
        ([layer.std for layer in layers], "vanishing-activation",
         "residual-growth" if seen.sums >= 3 else "exploding-activation"),
        ([layer.gradient for layer in reversed(layers)], "vanishing-gradient", "exploding-gradient"),
    ):  # fmt: skip
        slope = _slope(sizes)
        decades = slope * (len(sizes) - 1)
        limit = DECADES if abs(10**slope - 1) > STEADY else 2 * DECADES
        if abs(decades) > limit and not symmetric:
            find(
                grows if decades > 0 else fades,
                f"10^{decades:+.1f} over {len(layers)} layers, limit 10^{math.copysign(limit, decades):+g}{typical}",
            )
    # An output layer may start at zero: all its outputs are then alike, and the
    # next step changes that.
    cosines = (seen.cosine, *(layer.cosine for layer in layers if layer.gain))
    angles = [1 - cosine for cosine in cosines if cosine is not None]
    if len(angles) > 1 and _collapse(angles) and not symmetric and not dead:
        find("collapsed-angles", f"1 - cosine falls from {angles[0]:.1e} to {angles[-1]:.1e}, limit {ANGLE:g}")
    if seen.excess > EXCESS:
        find("confident-at-start", f"{seen.excess:.3g} above ln(classes) = {seen.chance_loss:.2f}, limit {EXCESS:g}")


def _collapse(angles: list[float]) -> bool:
    if angles[-1] >= min(ANGLE, angles[0] / 100):
        return False
    # A stream that starts as a parameter, such as a class token, is alike for
    # all examples from the start, while others beside it are not.
    first = next(place for place, angle in enumerate(angles) if angle < ANGLE)
    return max(angles[first:]) < 100 * ANGLE


def _beyond(seen: _Seen, code: str, what: str, limit: float, layers: tuple[LayerReport, ...]) -> list[str]:
    over = {layer.name: fraction for layer in layers if (fraction := getattr(layer, what) or 0.0) > limit}
    if over:
        seen.find(code, f"{what} up to {max(over.values()):.0%}, limit {limit:.0%}", *over)
    return list(over)


def _judge_reach(seen: _Seen, layers: tuple[LayerReport, ...]) -> None:
    trained = [weight for weight in seen.weights.values() if weight.trained]
    unused = [weight.name for weight in trained if weight.gradient is None]
    if not _went_back(seen):
        return
    severed = list[str]()
    for layer, row in zip(layers, seen.rows, strict=True):
        reached = [seen.weights[name].gradient is not None for name in row["weights"] if seen.weights[name].trained]
        if any(reached):
            break
        severed += [layer.name] if reached else []
    if severed:
        seen.find("no-gradient", "no path from the loss to their weights", *severed)
    elif unused:
        seen.find("unused-weights", f"{len(unused)} of {len(trained)} trained tensors", *unused)


def _slope(sizes: list[float | None]) -> float:
    """Median slope (Theil and Sen) of log10(size) over the index, which no
    single layer can bend; 0 without two.
    """
    points = [(i, math.log10(size)) for i, size in enumerate(sizes) if size and math.isfinite(size)]
    points = points[:: 1 + len(points) // 200]
    slopes = [(y - b) / (x - a) for place, (x, y) in enumerate(points) for a, b in points[:place]]
    return statistics.median(slopes) if slopes else 0.0


def _factor(sizes: list[float | None]) -> float | None:
    return 10 ** _slope(sizes) if sum(bool(size) for size in sizes) > 1 else None
