"""The rules that need no step, on arrays that belong to no framework."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from snippets.diagnostics.check_model_source.report import Finding
from snippets.diagnostics.diagnose_source.limits import (
    ALIKE,
    ALONG,
    CHANCE,
    COMMONER,
    DROPPED,
    HELD_OUT,
    HOLDS,
    LOOKED_AT,
    MOVED_BY,
    NEAR_ZERO,
    OUTWEIGHED,
    SMALL,
    UNEVEN,
    UNREACHED,
    WIDE,
)
from snippets.diagnostics.diagnose_source.report import _found


class _Facts(NamedTuple):
    """What the loss compares."""

    kind: str
    """labels (class numbers), classes (a distribution over classes), binary,
    squared, absolute, hinge or other.
    """
    logits: bool
    """It has the softmax or sigmoid inside."""
    maker: str
    """The operation behind the last layer: Softmax, Sigmoid, Relu, ..."""
    output: np.ndarray
    """Of one batch, as the loss reads it, classes last."""
    targets: np.ndarray
    """All that are known, classes last."""
    value: Callable[[np.ndarray, np.ndarray], float] | None
    """The loss of given predictions (probabilities for a cross-entropy) and
    targets, in the units of the training; None if it cannot be told.
    """
    weights: np.ndarray | None = None
    """Of the classes."""
    classes: tuple[np.ndarray, np.ndarray] | None = None
    """How many examples of each class there are, and what they count in the
    mean, where examples have weights.
    """
    smoothing: float = 0.0
    unit: float = 1.0
    """The loss of a batch over its mean."""
    sums: bool = False
    ignored: float | None = None
    """A label that the loss does not count."""


class _Looks(NamedTuple):
    """What can be seen of the program beside the loss."""

    inputs: list[np.ndarray]
    normalized: bool
    """The model normalizes before its first weights."""
    stacks: list[str]
    """Pairs of linear layers."""
    drops: list[tuple[str, float]]
    penalty: float
    """What it does to the weights in the first step over what the loss does."""


_CROSS_ENTROPY = ("labels", "classes", "binary")


def _judge_facts(facts: _Facts) -> Iterator[Finding]:
    """Last activation, loss and targets against each other."""
    kind, maker, output, y = facts.kind, facts.maker, facts.output, facts.targets
    units = output.shape[-1] if output.ndim > 1 else 1
    low, high = (float(y.min()), float(y.max())) if y.size else (0.0, 0.0)
    same = y.ndim == output.ndim and y.shape[1:] == output.shape[1:]
    hard = bool(np.isin(y, (0, 1)).all())
    rows = y.reshape(-1, units).sum(-1) if same and units > 1 else np.zeros(0)
    # Some rows may be padded.
    others = float((rows != 1).mean()) if rows.size else math.nan
    exclusive = hard and others < 0.01
    if kind == "labels" and y.dtype.kind == "f" and (y != np.round(y)).any():
        shown = ", ".join(f"{value:g}" for value in np.unique(y)[:4])
        yield _found(
            "labels-not-whole", f"labels {shown}, ..., of which the loss reads int(y)"
        )
    elif kind == "labels" and y.size and not 0 <= low <= high < units:
        yield _found(
            "labels-out-of-range", f"labels {low:g} to {high:g}, {units} classes"
        )
    if kind in ("classes", "binary") and not 0 <= low <= high <= 1:
        share = float(((y < 0) | (y > 1)).mean())
        yield _found(
            "targets-outside",
            f"{share:.0%} of the targets lie outside of 0 to 1: they go from {low:.3g} to {high:.3g}",
        )
    # With a single class there is but one label.
    single = kind in ("labels", "classes") and units == 1
    if len(y) >= ALIKE and low == high and kind != "other" and not single:
        yield _found("one-target", f"all {y.size} targets are {low:g}")
    share = _commonest(kind, y, hard, exclusive, units)
    if UNEVEN <= share < 1:
        yield _found(
            "uneven-classes", f"{share:.1%} of the labels are one, limit {UNEVEN:.0%}"
        )
    inside = kind != "labels" or 0 <= low <= high < units
    turned = _turned(facts, hard, exclusive, units) if y.size and inside else ""
    if turned:
        yield _found("reversed-weights", turned)
    if maker == "Softmax" and units == 1:
        yield _found("softmax-over-one-unit", f"output of shape {output.shape}")
    elif maker == "Softmax" and (kind in _CROSS_ENTROPY or output.ndim == 2):
        sums = output.sum(-1)
        worst = sums.flat[abs(sums - 1).argmax()]
        if abs(worst - 1) > 0.01:
            yield _found(
                "softmax-axis", f"the probabilities of an example add up to {worst:.3g}"
            )
    if kind in ("labels", "classes") and units == 1:
        yield _found("one-class-cross-entropy", f"output of shape {output.shape}")
    elif kind in ("labels", "classes") and maker == "Sigmoid":
        yield _found("sigmoid-before-categorical", f"{units} sigmoids")
    if kind in _CROSS_ENTROPY and maker == "Relu":
        yield _found(
            "relu-before-loss",
            f"{(output == 0).mean():.0%} of the loss's inputs are exactly 0",
        )
    if kind == "binary" and maker == "Softmax" and exclusive:
        yield _found("binary-loss-for-classes", f"{units} classes, one true in a row")
    competing = maker == "Softmax" and (kind == "binary" or output.ndim == 2)
    if (competing or kind == "classes") and hard and others > UNREACHED:
        yield _found(
            "softmax-for-many-labels",
            f"{others:.0%} of the rows have another number of labels than one, limit {UNREACHED:.0%}",
        )
    if kind == "absolute" and maker in ("Softmax", "Sigmoid") and hard:
        yield _found("absolute-error-of-labels", f"labels 0 and 1, {maker.lower()}")
    if kind == "squared" and maker == "Softmax" and exclusive:
        yield _found("squared-error-of-classes", f"{units} classes, one true in a row")
    if kind in ("squared", "other") and same and units > 1 and len(rows) >= ALIKE:
        values = y.reshape(-1, units)
        place, column = np.nonzero(values)
        alone = np.array_equal(place, np.arange(len(rows)))
        if alone and np.ptp(values.sum(-1)) and np.ptp(column):
            yield _found(
                "zero-targets",
                f"{units} outputs, one target other than 0 in each of {len(rows)} rows, from {low:.3g} to {high:.3g}",
            )
    if kind == "hinge" and maker in ("Softmax", "Sigmoid", "Relu"):
        yield _found(
            "hinge-on-probabilities",
            f"outputs from {output.min():.3g} to {output.max():.3g}, a margin at -1 and 1",
        )
    if facts.sums:
        yield _found("sum-reduction", f"{facts.unit:.4g} times the mean")


def _commonest(
    kind: str, y: np.ndarray, hard: bool, exclusive: bool, units: int
) -> float:
    """The share of the commonest class; 0 where there are none."""
    if len(y) < ALIKE or y.dtype.kind not in "biuf":
        return 0.0
    if kind == "labels":
        return float(np.unique(y, return_counts=True)[1].max() / y.size)
    if kind == "binary" and hard and units == 1:
        return float(max(y.mean(), 1 - y.mean()))
    if kind in ("classes", "binary") and exclusive:
        return float(y.reshape(-1, units).mean(0).max())
    return 0.0


def _turned(facts: _Facts, hard: bool, exclusive: bool, units: int) -> str:
    """Evidence that common classes weigh more than rare ones, empty if not."""
    y, weights = facts.targets, facts.weights
    if facts.classes:
        counts, weights = facts.classes
    elif weights is None:
        return ""
    elif facts.kind == "labels":
        counts = np.bincount(y.reshape(-1).astype(int), minlength=units)
    elif facts.kind == "binary" and hard and units == weights.size == 1:
        counts = np.array([(y == 0).sum(), (y == 1).sum()])
        weights = np.array([1.0, weights.item()])
    elif facts.kind == "classes" and exclusive:
        counts = y.reshape(-1, units).sum(0)
    else:
        return ""
    # What weighs nothing is left out.
    known = np.flatnonzero((counts > 0) & (weights > 0)) if counts.size else counts
    if counts.size != weights.size or len(known) < 2:
        return ""
    common, rare = known[counts[known].argmax()], known[counts[known].argmin()]
    if min(counts[common] / counts[rare], weights[common] / weights[rare]) < COMMONER:
        return ""
    if np.corrcoef(np.log(counts[known]), np.log(weights[known]))[0, 1] < ALONG:
        return ""
    shown = (
        f"class {one}: {counts[one] / counts.sum():.0%} of the labels, weight {weights[one]:.3g}"
        for one in (common, rare)
    )
    return f"{'; '.join(shown)}; limit {COMMONER:g} times as much"


def _judge_looks(looks: _Looks, targets: np.ndarray) -> Iterator[Finding]:
    """Inputs, layers and penalty."""
    for what, values in (
        *(("inputs", part) for part in looks.inputs),
        ("targets", targets),
    ):
        bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(0, bool)
        if bad.any():
            count = int(bad.reshape(len(bad), -1).any(1).sum())
            yield _found(
                "non-finite-input",
                f"in {count} of {len(bad)} examples of the {what}",
            )
    for part in looks.inputs:
        table = part.ndim == 2 and part.shape[1] > 1 and targets.size == len(part)
        if table and len(part) >= ALIKE and np.ptp(targets):
            same = (part == targets.reshape(-1, 1)).all(0)
            if same.any():
                place = f"column {same.argmax()} of {part.shape[1]}"
                yield _found(
                    "target-among-inputs", f"{place}, in all {len(part)} examples"
                )
    if looks.inputs and looks.inputs[0].dtype.kind == "f" and not looks.normalized:
        size = _typical_norm(looks.inputs[0])
        if 0 < size < SMALL:
            yield _found(
                "input-scale",
                f"median norm of an example {size:.2g}, lower limit {SMALL:g}",
            )
    if looks.stacks:
        yield _found(
            "linear-stack", f"{len(looks.stacks)} pairs, limit 0", *looks.stacks
        )
    strong = {name: rate for name, rate in looks.drops if rate > DROPPED}
    if strong:
        yield _found(
            "dropout-too-strong",
            f"rate {max(strong.values()):g}, limit {DROPPED:g}",
            *strong,
        )
    if looks.penalty > OUTWEIGHED:
        yield _found(
            "penalty-outweighs-loss",
            f"in the first step {looks.penalty:.3g} times as strong, limit {OUTWEIGHED:g}",
        )


def _log_of_zero(
    outputs: np.ndarray, loss: Callable[[np.ndarray], float], step: int
) -> str:
    """Evidence that the loss of these outputs is not finite because it takes
    the logarithm of a 0, empty if it is another reason. The loss of other
    outputs tells: it is finite close to 0, where a quotient would be huge.
    """
    size = outputs.size
    if not size or not ((outputs >= 0) & (outputs <= 1)).all():
        return ""
    ends = int(((outputs == 0) | (outputs == 1)).sum())
    tiny, half, zero, one = (
        loss(np.full_like(outputs, value)) for value in (1e-30, 0.5, 0.0, 1.0)
    )
    bears = math.isfinite(half) and abs(tiny) < NEAR_ZERO * abs(half)
    if not ends or not bears or math.isfinite(zero + one):
        return ""
    return (
        f"in step {step} {ends} of {size} outputs are exactly 0 or 1; the loss of outputs 0.5 is {half:.3g}, "
        f"of 1e-30 {tiny:.3g}, of 0 {zero:.3g}, of 1 {one:.3g}"
    )


def _typical_norm(values: np.ndarray) -> float:
    some = values[_spread(len(values), 1000)].astype(np.float64)
    return float(np.median(np.linalg.norm(some.reshape(len(some), -1), axis=1)))


def _spread(count: int, most: int) -> Any:
    """Places of up to so many examples, over all of them."""
    if count <= most:
        return slice(None)
    return np.random.default_rng(0).permutation(count)[:most]


def _best_constant(facts: _Facts) -> tuple[float, float] | None:
    """The loss of the best answer that does not look at the inputs, and the
    least that can be: soft targets have an entropy of their own.
    """
    y, units = facts.targets, facts.output.shape[-1] if facts.output.ndim > 1 else 1
    if facts.value is None or not y.size:
        return None
    if facts.kind == "labels":
        counts = np.bincount(y.reshape(-1).astype(int), minlength=units).astype(float)
        if facts.weights is not None:
            counts *= facts.weights
        even = facts.smoothing / units
        share = counts / max(counts.sum(), 1e-300) * (1 - facts.smoothing) + even
        row = np.array([1 - facts.smoothing + even, *[even] * (units - 1)])
        guess, least = _entropy(share) * facts.unit, _entropy(row) * facts.unit
    else:
        width = max(1, math.prod(y.shape[1:]))
        y = y[_spread(len(y), max(2, 2**20 // width))].astype(np.float64)
        answers = [y.mean(0)]
        if facts.kind in ("classes", "binary"):
            weights = 1.0 if facts.weights is None else facts.weights
            share = answers[0] * weights
            rest = 1 - answers[0] if facts.kind == "binary" else 0.0
            total = share + rest if facts.kind == "binary" else share.sum(-1)[..., None]
            answers.append(share / np.where(total > 0, total, 1))
        else:
            answers.append(np.median(y, 0))
        guess = min(
            facts.value(np.broadcast_to(answer, y.shape), y) for answer in answers
        )
        least = 0.0 if facts.kind in ("squared", "absolute") else facts.value(y, y)
    known = math.isfinite(guess - least) and guess - least > 1e-9
    return (guess, least) if known else None


def _entropy(share: np.ndarray) -> float:
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def _as_often(counts: np.ndarray) -> np.ndarray:
    """Places of rows, each as often as it counts: padding never, a row of twice
    the weight twice as often.
    """
    whole, number = np.cumsum(counts), max(1, int((counts > 0).sum()))
    return np.searchsorted(whole, (np.arange(number) + 0.5) / number * whole[-1])


def _score(facts: _Facts, output: np.ndarray, y: np.ndarray) -> Any:
    """Accuracy above that of the commonest class, and the share of that class;
    None for other targets.
    """
    classes = _classes(facts, output, y)
    if classes is None:
        return None
    truth, guess = classes
    share = float(np.unique(truth, return_counts=True)[1].max() / truth.size)
    return float((truth == guess).mean()) - share, share


def _classes(
    facts: _Facts, output: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Those of the targets and of the predictions; None for other targets."""
    hard = bool(np.isin(y, (0, 1)).all())
    units = output.shape[-1] if output.ndim > 1 else 1
    if facts.kind == "labels" and y.size * units == output.size:
        truth, guess = y.reshape(-1), output.reshape(-1, units).argmax(-1)
        kept = truth != facts.ignored
        truth, guess = truth[kept], guess[kept]
        if not truth.size:
            return None
    elif y.shape == output.shape and units > 1 and hard and (y.sum(-1) == 1).all():
        truth, guess = y.argmax(-1).reshape(-1), output.argmax(-1).reshape(-1)
    elif output.size == y.size == len(y) and hard:
        middle = 0.0 if facts.kind == "binary" and facts.logits else 0.5
        truth, guess = y.reshape(-1), output.reshape(-1) > middle
    else:
        return None
    return truth, guess


def _neighbours(
    y: np.ndarray, x: np.ndarray, shift: int = 0
) -> tuple[float, float, float] | None:
    """How often one of the five nearest neighbors has one's own class, the same
    by chance, and its standard error; of numbers, the correlation with the mean
    of the five. None for other data. `shift` moves the targets by so many
    places first.
    """
    if x.dtype.kind != "f" or len(x) < 20 or len(y) != len(x):
        return None
    y = np.roll(y.reshape(len(y), -1), shift, 0)
    if y.dtype.kind not in "biuf" or y.shape[1] > WIDE // 64:
        return None
    if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all():
        y = y.argmax(1)[:, None]
    some = np.random.default_rng(3).permutation(len(x))[:LOOKED_AT]
    values, y = x[some].reshape(len(some), -1), y[some]
    # Of a picture, some pixels will do.
    columns = np.random.default_rng(4).permutation(values.shape[1])[:WIDE]
    values = values[:, columns].astype(np.float64)
    spread = values.std(0)
    values = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    squares = np.square(values).sum(1)
    distance = squares[:, None] - 2 * values @ values.T + squares
    np.fill_diagonal(distance, np.inf)
    near = y[np.argsort(distance, 1)[:, :5]]
    whole = np.array_equal(y, np.round(y)) and len(np.unique(y)) <= 50
    if y.shape[1] > 1 or not whole:
        return _correlation(near.mean(1), y)
    labels = np.unique(y[:, 0], return_inverse=True)[1].reshape(-1)
    chance = float(np.square(np.bincount(labels) / len(labels)).sum())
    error = math.sqrt(chance * (1 - chance) / near.size)
    return float((near == y[:, None]).mean()), chance, error


def _correlation(guess: np.ndarray, y: np.ndarray) -> tuple[float, float, float] | None:
    """The largest of all columns, that of chance, and its standard error."""
    guess, y = (
        part.reshape(len(part), -1).astype(np.float64) - part.mean(0).reshape(1, -1)
        for part in (guess, y)
    )
    sizes = np.linalg.norm(guess, axis=0) * np.linalg.norm(y, axis=0)
    if not sizes.any() or not np.isfinite(sizes).all():
        return None
    found = (guess * y).sum(0)[sizes > 0] / sizes[sizes > 0]
    return float(found.max()), 0.0, 1 / math.sqrt(len(y))


def _unrelated(y: np.ndarray, x: np.ndarray) -> str:
    """Evidence that labels have nothing to do with inputs, empty if they
    have."""
    near = _neighbours(y, x)
    if near is None or near[0] - near[1] >= CHANCE * near[2]:
        return ""
    moved = ""
    for shift in (1, -1, 2, -2, 3, -3):
        other = _neighbours(y, x, shift)
        if other and other[0] - other[1] >= MOVED_BY * other[2]:
            moved = f"; with the targets moved by {shift:+d}: {_shared(other)}"
            break
    return f"of the five nearest neighbors {_shared(near)}, limit {CHANCE:g}{moved}"


def _shared(found: tuple[float, float, float]) -> str:
    """In words, with the distance from chance."""
    above = (found[0] - found[1]) / max(found[2], 1e-30)
    what = (
        f"{found[0]:.0%} share one's class, by chance {found[1]:.0%}"
        if found[1]
        else f"the mean correlates by {found[0]:.2f}"
    )
    return f"{what} ({above:+.1f} standard errors)"


def _not_held(facts: _Facts, output: np.ndarray, y: np.ndarray) -> str:
    """Evidence that predictions of examples that were held out are no better
    than chance; empty if they are, or if it cannot be told."""
    classes, found = _classes(facts, output, y), None
    if classes:
        truth, guess = (part.astype(int) for part in classes)
        known = np.unique([*truth, *guess])
        chance = sum(
            float((truth == one).mean() * (guess == one).mean()) for one in known
        )
        error = math.sqrt(max(chance * (1 - chance), 1e-12) / truth.size)
        found = float((truth == guess).mean()), chance, error
    elif facts.kind in ("squared", "absolute", "other") and output.shape == y.shape:
        found = _correlation(output, y)
    if found is None or found[0] - found[1] >= HOLDS * found[2] or len(y) < HELD_OUT:
        return ""
    above = (found[0] - found[1]) / found[2]
    what = (
        f"{found[0]:.0%} are right, by chance {found[1]:.0%}"
        if classes
        else f"the correlation with the targets is {found[0]:.2f}"
    )
    return f"of {len(y)} examples held out {what} ({above:+.1f} standard errors, limit {HOLDS:g})"
