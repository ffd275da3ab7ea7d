"""The rules, on numbers and names that belong to no framework."""

import math
import re
import statistics
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from snippets.diagnostics.check_model_source.advice import ADVICE
from snippets.diagnostics.check_model_source.limits import (
    ALIKE,
    ANGLE,
    DEAD,
    DECADES,
    EXCESS,
    FAINT,
    FORGOTTEN,
    GAP,
    INPUT,
    MIXED,
    NOISE,
    ODD,
    OUTSIDE,
    PEAKED,
    SATURATED,
    STEADY,
    SUDDEN,
    WILD,
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


def _judge(seen: _Seen, layers: tuple[LayerReport, ...]) -> tuple[Finding, ...]:
    """All findings; what only follows from another one is left out."""
    find, weights = seen.find, seen.weights.values()
    if not layers and any(weight.matrix for weight in weights):
        find("nothing-seen", f"{len(weights)} weights, and no layer that ran")
    # A target network is a copy by intent.
    pairs = _followers(seen.weights)
    paired = (*pairs, *pairs.values())
    same = [
        weight.name
        for weight in weights
        if weight.copy and not weight.name.startswith(paired)
    ]
    if same:
        find("identical-layers", f"{len(same)} weights equal another one", *same)
    bad_weights = [weight.name for weight in weights if not math.isfinite(weight.norm)]
    wild = [
        weight.name
        for weight in weights
        if weight.norm and not FAINT < weight.norm / weight.size**0.5 < WILD
    ]
    bad_layers = [layer for layer in layers if layer.non_finite]
    bad_gradients = [
        weight.name for weight in weights if not math.isfinite(weight.gradient or 0.0)
    ]
    if seen.bad_input:
        find("non-finite-input", seen.bad_input)
    elif bad_weights:
        find("non-finite-weight", f"{len(bad_weights)} of {len(weights)}", *bad_weights)
    elif wild:
        find(
            "uninitialized-weights",
            f"limits {FAINT:g} and {WILD:g} for the root mean square",
            *wild,
        )
    elif bad_layers:
        find(
            "non-finite-activation",
            f"{bad_layers[0].non_finite:.0%} of the output{seen.birth}",
            bad_layers[0].name,
        )
    elif not math.isfinite(seen.loss) and seen.went_back:
        find("non-finite-loss", f"loss {seen.loss}{seen.birth}")
    elif bad_gradients:
        find(
            "non-finite-gradient",
            f"{len(bad_gradients)} of {len(weights)}{seen.birth}",
            *bad_gradients,
        )
    else:
        _judge_signals(seen, layers)
        _judge_reach(seen, layers)
        _judge_ways(seen, layers)
    return _folded(seen.findings)


def _judge_signals(seen: _Seen, layers: tuple[LayerReport, ...]) -> None:
    find, weights = seen.find, seen.weights.values()
    if seen.scale > INPUT:
        size = f"{seen.column}root mean square {seen.scale:.3g}"
        find("input-scale", f"{size}, limit {INPUT:g}")
    noisy = [
        weight
        for weight in weights
        if weight.centred is not None
        and (
            max(weight.centred, weight.norm / weight.size**0.5) < NOISE
            if weight.norm
            else weight.gradient == 0
        )
    ]
    if noisy:
        sizes = [weight.norm / weight.size**0.5 for weight in noisy]
        evidence = (
            f"root mean square {sizes[0]:.2g}, |mean| {noisy[0].centred * sizes[0]:.2g}"
        )
        find("norm-scale", evidence, *(weight.name for weight in noisy))
    opening = _opens(seen)
    # A gate that is off for all examples, and what follows it, is no news.
    off = {place for place, row in enumerate(seen.rows) if row["dead"] == 1}
    idle = {
        name
        for place, row in enumerate(seen.rows)
        if {place, row["before"]} & off
        for name in row["weights"]
    }
    stuck = [
        weight
        for weight in weights
        if weight.gradient == 0
        and weight.matrix
        and weight.name not in seen.idle | idle
    ]
    # A zero layer that has a gradient is none of them.
    symmetric = [
        weight.name
        for weight in weights
        if weight.alike
        and weight.gradient_alike
        and not (opening and weight.gradient == 0)
    ]
    if symmetric:
        find(
            "symmetric-units",
            "the units of the weight are equal, and those of its gradient",
            *symmetric,
        )
    dead = [] if symmetric else _judge_dead(seen, layers)
    # The sigmoid or tanh of a prediction may well be near its ends; a model
    # that computes its losses itself does not return it.
    read = {row["before"] for row in seen.rows}
    hidden = [
        layer
        for place, (layer, row) in enumerate(zip(layers, seen.rows, strict=True))
        if not row["predicts"] and (place in read or row["node"] is None)
    ]
    _beyond(seen, "saturated-activation", "saturated", SATURATED, hidden)
    _beyond(seen, "saturated-attention", "peaked", PEAKED, layers)
    if stuck and not symmetric and not dead and not opening:
        find(
            "zero-gradient",
            f"{len(stuck)} weights with a gradient of 0",
            *(weight.name for weight in stuck),
        )
    gains = [layer.gain for layer in layers if layer.gain]
    middle = statistics.median_high(gains) if gains else 0.0
    low, high = middle / ODD / 10, middle * ODD
    odd = [
        layer
        for layer, row in zip(layers, seen.rows, strict=True)
        if layer.gain
        and len(gains) > 4
        and not low < layer.gain < high
        and _is_plain(row["weights"])
        and not (layer.gain < low and _may_be_faint(seen, layer, layers))
    ]
    if odd:
        sizes = f"gain {odd[0].gain:.2g}, median {middle:.2g}"
        find("layer-out-of-line", sizes, *(layer.name for layer in odd))
    chain = [layers[place] for place in seen.chain]
    typical = f"; median gain {middle:.2g}" if gains else ""
    confident = seen.excess - seen.doubt > EXCESS and not odd
    skips = seen.sums >= max(3, len(chain) / 4)
    for sizes, fades, grows in (
        (
            [layer.std for layer in chain],
            "vanishing-activation",
            "residual-growth" if seen.sums >= 3 else "exploding-activation",
        ),
        (
            [layer.gradient for layer in reversed(chain)],
            "vanishing-gradient",
            "exploding-gradient",
        ),
    ):
        slope = _slope(sizes)
        decades = slope * (len(sizes) - 1)
        # What the layers do one by one must be there from end to end as well:
        # branches beside the path may carry a signal past it.
        there = min(abs(decades), math.copysign(_ends(sizes), decades * _ends(sizes)))
        limit = DECADES if abs(10**slope - 1) > STEADY else 2 * DECADES
        if skips and grows == "exploding-gradient" and decades > 0:
            # Past the skips it reaches the first layers as it is: ConvMixer has
            # 10^4 and trains.
            limit = 2 * DECADES
        # Sums that outgrow the prediction spoil the training long before, and
        # smaller last weights only hide it.
        early = (
            confident and skips and not seen.normalized and grows == "residual-growth"
        )
        if early and _ends(sizes) > 1:
            there, limit = _ends(sizes), 1.0
        if there > limit and not symmetric:
            first, last = (layers[seen.chain[end]] for end in (0, -1))
            what = "std" if "activation" in fades else "gradient"
            ends = (getattr(first, what) or 0.0, getattr(last, what) or 0.0)
            span = f"{what} {ends[0]:.2g} at {first.name}, {ends[1]:.2g} at {last.name}"
            sign = math.copysign(1.0, decades)
            find(
                grows if decades > 0 else fades,
                f"{span}: 10^{sign * there:+.1f} over {len(chain)} layers, limit 10^{sign * limit:+g}{typical}",
            )
    # An output layer may start at zero: all its outputs are then alike, and the
    # next step changes that.
    cosines = (seen.cosine, *(layer.cosine for layer in layers if layer.gain))
    angles = [1 - cosine for cosine in cosines if cosine is not None]
    if len(angles) > 1 and _collapse(angles) and not symmetric and not dead:
        alike = [
            layer.name
            for layer in layers
            if layer.gain and layer.cosine is not None and 1 - layer.cosine < ANGLE
        ]
        find(
            "collapsed-angles",
            f"1 - cosine falls from {angles[0]:.1e} to {angles[-1]:.1e}, limit {ANGLE:g}",
            *alike,
        )
    if (cut := _cut(seen, layers)) and not (opening or symmetric):
        before, first = (layers[place] for place in cut)
        evidence = f"cos {before.cosine:.2f} at {before.name}, {first.cosine:.6f} at {first.name} and after it"
        find("same-output", evidence, first.name)
    if confident:
        find(
            "confident-at-start",
            f"loss {seen.excess:.3g} above ln(classes) = {seen.chance_loss:.2f}, limit {EXCESS:g}",
            *([chain[-1].name] if chain else []),
        )


def _judge_ways(seen: _Seen, layers: tuple[LayerReport, ...]) -> None:
    """What goes straight on, through time, from one example to another, and
    from training to evaluation."""
    runs: list[list[int]] = []
    for place, row in enumerate(seen.rows):
        if row["straight"] is not None:
            run = next((run for run in runs if run[-1] == row["straight"]), None)
            if run is None:
                runs.append([row["straight"], place])
            else:
                run.append(place)
    # Two may be meant, such as a matrix in two factors.
    runs = [
        run
        for run in runs
        if len(run) > 2 or all(layers[place].kind in _DENSE for place in run)
    ]
    names = [layers[place].name for run in runs for place in run]
    if names:
        long = max(map(len, runs)) > 2
        evidence = f"{max(map(len, runs))} layers in a row, limit 2"
        seen.find(
            "linear-stack",
            evidence,
            *dict.fromkeys(names),
            level=None if long else "note",
        )
    for name, steps, first, last in seen.through_time:
        if not last or not math.isfinite(first + last):
            continue
        decades = math.log10(first / last) if first else -math.inf
        code, limit = (
            ("exploding-through-time", DECADES)
            if decades > 0
            else ("vanishing-through-time", -FORGOTTEN)
        )
        if abs(decades) > abs(limit):
            sizes = f"gradient {first:.2g} at the first of {steps} steps, {last:.2g} at the last"
            seen.find(code, f"{sizes}: 10^{decades:+.1f}, limit 10^{limit:+g}", name)
    if seen.rising:
        seen.find("policy-sign", f"in {seen.rising} products of the loss")
    further = seen.mixed_further if math.isfinite(seen.mixed_further) else 0.0
    if (mixed := max(seen.mixed, further)) > MIXED:
        seen.find(
            "mixed-examples",
            f"an output changes by {mixed:.0%} of its size with the examples beside it, limit {MIXED:.0%}",
        )
    if seen.dropping:
        seen.find("dropout-in-evaluation", "; ".join(dict.fromkeys(seen.dropping)))
    if seen.steps:
        seen.find("trained-already", seen.steps)
    if seen.evaluation is not None and seen.evaluation > GAP * seen.loss > 0:
        seen.find(
            "evaluation-gap",
            f"{seen.evaluation:.3g} in evaluation mode, {seen.loss:.3g} in training mode, limit {GAP:g} times",
        )


_DENSE = ("Linear", "Dense")

_FIRST = (
    *("non-finite-input", "index-out-of-range", "labels-out-of-range"),
    *("swapped-arguments", "targets-outside"),
    *("non-finite-weight", "uninitialized-weights", "unregistered-weights"),
    *("non-finite-activation", "non-finite-loss", "non-finite-gradient"),
    *("softmax-before-cross-entropy", "sigmoid-before-logits-loss"),
    *("logits-without-from-logits", "nll-without-log-softmax", "relu-before-loss"),
    *("bce-without-sigmoid", "tanh-before-loss", "sigmoid-before-categorical"),
    *("index-for-all", "unshifted-targets"),
    *("future-visible", "attention-axis"),
    *("broadcast-loss", "output-range", "length-one-axis", "softmax-over-batch"),
    *("mixed-examples", "no-gradient", "input-scale", "target-scale"),
    *("symmetric-units", "norm-scale", "layer-out-of-line", "linear-stack"),
    *("dead-relu", "same-output", "exploding-activation", "residual-growth"),
    *("saturated-activation", "saturated-attention", "vanishing-activation"),
    *("exploding-gradient", "vanishing-gradient", "exploding-through-time"),
    *("collapsed-angles", "confident-at-start", "evaluation-gap"),
)
"""What must be mended first. An earlier one may be the cause of a later one."""

_SIGNALS = {
    *("dead-relu", "exploding-activation", "residual-growth", "vanishing-activation"),
    *("saturated-activation", "saturated-attention", "exploding-gradient"),
    *("vanishing-gradient", "collapsed-angles", "confident-at-start"),
}
_FOLLOW = {
    "unregistered-weights": {"unused-weights", "no-gradient", "linear-stack"},
    "softmax-before-cross-entropy": {"vanishing-gradient", "output-range"},
    "sigmoid-before-logits-loss": {"vanishing-gradient", "confident-at-start"},
    "logits-without-from-logits": {"confident-at-start", "zero-gradient"},
    "relu-before-loss": {"confident-at-start", "dead-relu", "zero-gradient"},
    "tanh-before-loss": {"saturated-activation", "output-range", "zero-gradient"},
    "swapped-arguments": {"confident-at-start", "zero-gradient", "vanishing-gradient"}
    | {"non-finite-gradient", "non-finite-loss"},
    "targets-outside": {"confident-at-start", "output-range", "target-scale"},
    "index-for-all": {"broadcast-loss"},
    "output-range": {"dead-relu", "zero-gradient", "saturated-activation"},
    "length-one-axis": {"zero-gradient", "vanishing-gradient", "confident-at-start"}
    | {"same-output", "saturated-activation"},
    "softmax-over-batch": {"mixed-examples"},
    "no-gradient": {"unused-weights", "zero-gradient"},
    "input-scale": _SIGNALS,
    "norm-scale": _SIGNALS
    | {"layer-out-of-line", "zero-gradient", "trained-already", "same-output"},
    "layer-out-of-line": _SIGNALS | {"zero-gradient"},
    "symmetric-units": {"identical-layers", "zero-gradient"},
    "dead-relu": {"vanishing-activation", "vanishing-gradient", "collapsed-angles"}
    | {"zero-gradient", "same-output"},
    "same-output": _SIGNALS - {"dead-relu"} | {"zero-gradient"},
    "exploding-activation": _SIGNALS - {"dead-relu"},
    "residual-growth": _SIGNALS - {"dead-relu"},
    "saturated-activation": {"vanishing-gradient", "exploding-gradient"}
    | {"collapsed-angles", "confident-at-start"},
    "vanishing-activation": {"vanishing-gradient", "collapsed-angles", "zero-gradient"},
    "vanishing-gradient": {"collapsed-angles", "zero-gradient"},
    "exploding-through-time": {"confident-at-start", "saturated-activation"},
    "collapsed-angles": {"confident-at-start"},
}
"""What goes away with a cause."""


def _folded(findings: list[Finding]) -> tuple[Finding, ...]:
    """Faults first, in the order of mending, and each once: what follows from
    one stands in its `also`."""
    order = {code: place for place, code in enumerate(_FIRST)}
    kept: list[Finding] = []
    for one in sorted(
        findings, key=lambda one: (one.level, order.get(one.code, len(order)))
    ):
        for place, cause in enumerate(kept):
            if one.code in _FOLLOW.get(cause.code, ()) and cause.level == "fault":
                said = f"{one.code}: {one.evidence}"
                kept[place] = cause._replace(also=(*cause.also, said))
                break
        else:
            kept.append(one)
    return tuple(kept)


def _neighbours(examples: int, count: int) -> tuple[list[int], list[int]] | None:
    """Two choices of as many examples; at place 1 stands the same one. It is
    not at an end, where a reshape leaves what it mixes elsewhere."""
    if examples < 3:
        return None
    count = min(count, examples)
    first = list(range(count))
    others = [place for place in range(examples - 1, -1, -1) if place != 1]
    return first, [others[0], 1, *others[1 : count - 1]]


def _may_be_faint(
    seen: _Seen, layer: LayerReport, layers: tuple[LayerReport, ...]
) -> bool:
    """The last layer, or a gate that its bias holds open."""
    last = bool(seen.chain) and layer.name == layers[seen.chain[-1]].name
    return last or abs(layer.mean) > ODD * layer.std


def _is_plain(weights: list[str]) -> bool:
    """The weights of a layer of the framework, not tables or rates that a model
    gives names of its own.
    """
    names = [name.replace("/", ".").rpartition(".")[2] for name in weights]
    return all(name.startswith("weight") or name.endswith("kernel") for name in names)


def _opens(seen: _Seen) -> bool:
    """A scale or a last layer of a branch that starts at zero, and leaves it in
    the first step: until then, no gradient passes it.
    """
    zero = [
        weight
        for weight in seen.weights.values()
        if weight.norm == 0 and weight.gradient
    ]
    return any(
        weight.matrix or not weight.name.endswith(("bias", "beta")) for weight in zero
    )


def _judge_dead(seen: _Seen, layers: tuple[LayerReport, ...]) -> list[str]:
    # A gate of a few units may be off for all examples, and the layers before
    # it learn past it.
    # Behind a scale that starts at zero, all are exactly zero until it opens.
    closed = _opens(seen)
    fatal = [
        layer
        for layer, row in zip(layers, seen.rows, strict=True)
        if not (closed and layer.std == 0)
        if not row["narrow"]
        or row["before"] is None
        or layers[row["before"]].gradient == 0
    ]
    return _beyond(seen, "dead-relu", "dead", DEAD, fatal)


def _cut(seen: _Seen, layers: tuple[LayerReport, ...]) -> tuple[int, int] | None:
    """The places of the last layer that tells the examples apart and of the
    next one, if that and all after it see no difference, nor the output.
    """
    if seen.apart is None or seen.apart > ALIKE:
        return None
    known = [place for place, layer in enumerate(layers) if layer.cosine is not None]
    for before, after in zip(known[-2::-1], known[:0:-1], strict=True):
        if 1 - layers[before].cosine > ALIKE:
            # What fades from layer to layer has other findings.
            sudden = 1 - layers[before].cosine > SUDDEN
            return (
                (before, after) if sudden and 1 - layers[after].cosine < ALIKE else None
            )
    return None


def _collapse(angles: list[float]) -> bool:
    if angles[-1] >= min(ANGLE, angles[0] / 100):
        return False
    # A stream that starts as a parameter, such as a class token, is alike for
    # all examples from the start, while others beside it are not.
    first = next(place for place, angle in enumerate(angles) if angle < ANGLE)
    return max(angles[first:]) < 100 * ANGLE


def _beyond(
    seen: _Seen, code: str, what: str, limit: float, layers: Iterable[LayerReport]
) -> list[str]:
    over = {
        layer.name: fraction
        for layer in layers
        if (fraction := getattr(layer, what) or 0.0) > limit
    }
    if over:
        seen.find(
            code, f"{what} up to {max(over.values()):.0%}, limit {limit:.0%}", *over
        )
    return list(over)


def _judge_reach(seen: _Seen, layers: tuple[LayerReport, ...]) -> None:
    trained = [weight for weight in seen.weights.values() if weight.trained]
    unused = [weight.name for weight in trained if weight.gradient is None]
    if not seen.went_back:
        # A finding says why.
        return
    severed, ran = list[str](), 0
    for layer, row in zip(layers, seen.rows, strict=True):
        reached = [
            seen.weights[name].gradient is not None
            for name in row["weights"]
            if seen.weights[name].trained
        ]
        if any(reached):
            break
        severed, ran = severed + ([layer.name] if reached else []), ran + 1
    pairs = _followers(seen.weights)
    cut = [
        name for row in seen.rows if row["layer"] in severed for name in row["weights"]
    ]
    evidence = "no path from the loss to their weights"
    if severed and all(name.startswith(tuple(pairs)) for name in cut):
        alike = ", ".join(part[:-1] for part in dict.fromkeys(pairs.values()))
        evidence += f"; {alike} is made alike and has one"
        seen.find("no-gradient", evidence, *severed, level="note")
    elif severed:
        seen.find("no-gradient", evidence + _place_of_cut(seen, ran), *severed)
    elif unused:
        seen.find(
            "unused-weights",
            f"{len(unused)} of {len(trained)} trained tensors",
            *unused,
        )


def _place_of_cut(seen: _Seen, ran: int) -> str:
    """What ended the way back behind so many layers, or within them."""
    behind = [(whole, what) for rows, whole, what in seen.cuts if rows == ran]
    within = [(whole, what) for rows, whole, what in seen.cuts if rows < ran]
    cuts = behind or within[::-1]
    # Whole numbers may be indices beside the path.
    return f"; it ends at {min(cuts, key=lambda cut: cut[0])[1]}" if cuts else ""


def _followers(weights: dict[str, _Weight]) -> dict[str, str]:
    """Parts of the model without any gradient, each with a part that is made as
    it is and has one: target networks, and teachers that follow a student.

    Blocks that stand in a row are alike as well, but for the number in their
    names.
    """
    parts = dict[str, list[_Weight]]()
    for name, weight in weights.items():
        for end in re.finditer("[./]", name):
            parts.setdefault(name[: end.end()], []).append(weight)
    alike = dict[tuple[int, ...], list[str]]()
    for part, held in parts.items():
        if all(one.gradient is not None for one in held if one.matrix):
            alike.setdefault(tuple(one.size for one in held), []).append(part)
    found = dict[str, str]()
    for part, held in parts.items():
        sizes = tuple(one.size for one in held)
        if sum(one.matrix for one in held) < 2 or any(
            one.gradient is not None for one in held
        ):
            continue
        others = [one for one in alike.get(sizes, []) if _stem(one) != _stem(part)]
        if others and not part.startswith(tuple(found)):
            found[part] = others[0]
    return found


def _stem(part: str) -> str:
    """The last name of a part without its number."""
    return re.split("[./]", part[:-1])[-1].rstrip("0123456789_")


def _slope(sizes: list[float | None]) -> float:
    """Median slope (Theil and Sen) of log10(size) over the index, which no
    single layer can bend; 0 without two.
    """
    points = [
        (i, math.log10(size))
        for i, size in enumerate(sizes)
        if size and math.isfinite(size)
    ]
    points = points[:: 1 + len(points) // 200]
    slopes = [
        (y - b) / (x - a)
        for place, (x, y) in enumerate(points)
        for a, b in points[:place]
    ]
    return statistics.median(slopes) if slopes else 0.0


def _ends(sizes: list[float | None]) -> float:
    """log10 of the last sizes over the first ones; three each of many, since
    the very last layer often has weights of its own kind.
    """
    logs = [math.log10(size) for size in sizes if size and math.isfinite(size)]
    some = 3 if len(logs) > 12 else 1
    return (
        statistics.median(logs[-some:]) - statistics.median(logs[:some])
        if logs
        else 0.0
    )


def _factor(sizes: list[float | None]) -> float | None:
    return 10 ** _slope(sizes) if sum(bool(size) for size in sizes) > 1 else None
