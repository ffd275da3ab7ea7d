"""The rules, on numbers and names that belong to no framework."""

import math
import statistics

from snippets.diagnostics.check_model_source.limits import (
    ANGLE,
    DECADES,
    EXCESS,
    FAINT,
    FORGOTTEN,
    GAP,
    INPUT,
    MIXED,
    NOISE,
    ODD,
    PEAKED,
    SATURATED,
    STEADY,
    UNEQUAL,
    WILD,
)
from snippets.diagnostics.check_model_source.report import Finding, LayerReport
from snippets.diagnostics.check_model_source.seen import _Seen
from snippets.diagnostics.check_model_source.signals import (
    _beyond,
    _collapse,
    _cut,
    _ends,
    _folded,
    _followers,
    _is_chosen,
    _is_plain,
    _judge_dead,
    _judge_reach,
    _may_be_faint,
    _opens,
    _slope,
)


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
    counted = [term for term in seen.terms if term[1]]
    spreads = [spread for term in counted for spread in term[0]]
    alike = len({weight for _, weight in counted}) == 1
    if alike and max(spreads, default=0.0) > UNEQUAL * min(spreads, default=0.0):
        evidence = f"standard deviations from {min(spreads):.2g} to {max(spreads):.2g}"
        find("uneven-targets", f"{evidence}, limit {UNEQUAL:g} times")
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
    if (
        len(angles) > 1
        and _collapse(angles)
        and not (symmetric or dead or _is_chosen(seen, layers))
    ):
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
    chosen = _is_chosen(seen, layers)
    if (cut := _cut(seen, layers)) and not (opening or symmetric or chosen):
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
