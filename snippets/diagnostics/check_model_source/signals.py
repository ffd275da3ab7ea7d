"""What one reads in a row of signals and gradients: where it is cut, how it grows, what it reaches."""

import math
import re
import statistics
from collections.abc import Iterable

from snippets.diagnostics.check_model_source.limits import (
    ALIKE,
    ANGLE,
    DEAD,
    ODD,
    SUDDEN,
)
from snippets.diagnostics.check_model_source.report import Finding, LayerReport
from snippets.diagnostics.check_model_source.seen import _Seen, _Weight

_FIRST = (
    *("non-finite-input", "index-out-of-range", "labels-out-of-range"),
    *("blank-among-labels", "divergence-sign"),
    *("swapped-arguments", "targets-outside"),
    *("non-finite-weight", "uninitialized-weights", "unregistered-weights"),
    *("poisson-rate", "overlap-of-logits"),
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
    "poisson-rate": {"non-finite-loss", "non-finite-gradient"},
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


def _neighbours(
    examples: int, count: int, place: int
) -> tuple[list[int], list[int]] | None:
    """Two choices of as many examples; at the place stands the same one."""
    if examples < 3:
        return None
    count = min(count, examples)
    others = [other for other in range(examples - 1, -1, -1) if other != place]
    moved = [*others[:place], place, *others[place : count - 1]]
    return list(range(count)), moved


def _place(compared: int, examples: int) -> int:
    """Of the example to look at: not at an end, where a reshape leaves what it
    mixes elsewhere, and another one the second time: beside the largest
    example, nothing that the largest one scales changes.
    """
    return min(1 + compared, examples - 2)


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


def _is_chosen(seen: _Seen, layers: tuple[LayerReport, ...]) -> bool:
    """What looks the same to layers is an entry of a table that the model chose
    before them, as the nearest code. At first all may choose the same one; the
    loss moves codes and choosers towards each other.
    """
    first = next(
        (
            place
            for place, layer in enumerate(layers)
            if layer.gain and layer.cosine is not None and 1 - layer.cosine < ANGLE
        ),
        -1,
    )
    return any(
        rows <= first for rows, _, what in seen.cuts if what[:3].lower() == "arg"
    )


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
