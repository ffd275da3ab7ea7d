"""Diagnose my training: what check_model sees, what the loss, the targets and
the optimizer say, and some dozen steps on trial.

    model.compile(optimizer, loss)
    # as in model.fit(x, y, batch_size=32, epochs=10)
    report = diagnose(model, x, y, batch_size=32, epochs=10)
    # batches of a tf.data.Dataset
    report = diagnose(model, dataset, epochs=10)
    print(report)

Put check_model_keras.py beside this file. The model is afterwards what it was,
also after an error or Ctrl-C: weights, moving statistics, seed generators,
optimizer, random states. All trials together cost at most some 400 steps. Needs
the TensorFlow backend.

    rate-too-high      a tenth of the rate gets below 0.7 of the loss
    steps-too-short    ten times the rate does, and rate * steps are too few

Source: the faults are those of the benchmarks of DeepFD (Cao et al., 2022) and
of Humbatova et al. (2025); the first look at a single batch is Karpathy's, "A
Recipe for Training Neural Networks" (2019).
"""

# Made of the parts in diagnose_source/: change those, then run bundle.py.

import math
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, losses, tree

try:
    import tensorflow as tf

    # No public name has what these have.
    from tensorflow.python.framework import op_callbacks
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{__name__} needs TensorFlow: pip install tensorflow, and set "
        "KERAS_BACKEND=tensorflow before keras is imported"
    ) from error


if __package__:
    from .check_model_keras import (
        ADVICE,
        Finding,
        ModelReport,
        _added,
        _is_mask,
        _leaves,
        _untouched,
        check_model,
    )
else:
    from check_model_keras import (
        ADVICE,
        Finding,
        ModelReport,
        _added,
        _is_mask,
        _leaves,
        _untouched,
        check_model,
    )

STEPS, MOST = 100, 400
"""Steps of the first trial, and of all trials together."""
ALONE, ADAM = 60, (0.01, 0.001)
"""Steps on one batch alone, shared by these rates of Adam: small networks learn
a batch at the one, deep ones at the other, whatever the given optimizer does.
"""
LOOKED_AT, WIDE = 500, 4096
"""Examples for scores and neighbors, and numbers of each."""
NOT_DONE, FINISHED = 0.5, 0.3
"""Loss over that of the best constant: below, the trial learns well enough to
ask no more; FINISHED where the trial is as long as the whole training.
"""
GUESS, NOTHING = 0.9, 0.97
"""The same: above, nothing was learned; above NOTHING by no trial at all."""
BETTER = 0.7
"""Of another trial over that of the first one: all see the same batches, so
that noise cancels, and 30 % is beyond it.
"""
WAVERS = 0.9
"""Loss of the second half over that before: above, it does not fall."""
MOVED = 0.05
"""Of the weights' norm, in the whole training along a straight line, which is
the most that can be moved.
"""
NO_BETTER, COMMON = 0.02, 0.75
"""Accuracy above that of the commonest class, while the loss falls; and the
share of that class from which on accuracy says little.
"""
CHANCE = 3.0
"""Standard errors by which neighbors must share their class more often than
chance.
"""
MOVED_BY = 6.0
"""The same where the targets are moved: six moves are tried."""
HELD_OUT, HOLDS = 50, 1.0
"""Examples, below which nothing is said of those that were held out; standard
errors by which their predictions are better than chance, if anything holds.
"""
UNREACHED = 0.05
"""Of the examples: as many may be outliers."""
UNEVEN = 0.9
"""Share of the commonest class: to say it always is right as often."""
COMMONER, ALONG = 2.0, 0.5
"""Of the commonest class over the rarest one, in number and in weight: what
balances goes the other way; and the correlation of both over all classes.
"""
ALIKE = 16
"""Examples: so many may not all have the same target."""
SMALL = 0.1
"""Median norm of an example: one-hot rows and tf-idf have 1, pixels divided by
255 twice 0.05.
"""
DROPPED = 0.75
"""Rate of a dropout: it keeps a quarter and multiplies it by four."""
OUTWEIGHED = 1.0
"""Of what the penalty does to the weights in the first step over what the loss
does: at 1 the step shrinks more than it learns. A weight decay of 1e-4 to 1e-3
lies 10 to 1000 times below.
"""
NEAR_ZERO = 1e4
"""Loss of outputs of 1e-30 over that of 0.5: a logarithm makes it 100, a
quotient 5e29.
"""
HELD = 2**28
"""Bytes of batches that are held of a loader; the trials go round in them."""


LOSS = "chapters/activation-functions/#use"
RATE = "toolbox/diagnose/#rate"

CURES = {
    "error": (
        "fault",
        "The program fails in its first steps.",
        "Shapes of data, model and loss that do not fit, data the model does not take, or a loss without a gradient.",
        "Mend what the message names: print the shapes of inputs, output and targets.",
        "toolbox/diagnose/#findings",
    ),
    "one-target": (
        "fault",
        "All targets are the same.",
        "A column that was read wrongly, labels that were cut to whole numbers, or a data set that holds one class.",
        "Look at the targets before they go into the data set; a network learns their value and nothing else.",
        "toolbox/diagnose/#findings",
    ),
    "not-in-optimizer": (
        "fault",
        "Weights that are to be trained are not the optimizer's: no step changes them.",
        "The optimizer was made before a layer was replaced or grew, or got a part of the parameters.",
        "Make the optimizer last, from model.parameters(); if these weights are meant to stay, freeze them.",
        "toolbox/symptom-finder/#weights",
    ),
    "part-not-in-optimizer": (
        "note",
        "Whole parts of the model get a gradient, and are in no group of the optimizer.",
        "Another optimizer trains them, or they are to stay as they are; or they were forgotten: the optimizer is "
        "older than they are.",
        "Freeze what is to stay: requires_grad_(False). Else make the optimizer last, from model.parameters().",
        "toolbox/symptom-finder/#weights",
    ),
    "idle-term": (
        "note",
        "A term of the loss reaches no weight that the optimizer holds: it grows and falls, and trains nothing.",
        "detach(), .data or torch.no_grad() before it, as of the fakes in a generator's own step; or another optimizer "
        "trains what it reaches.",
        "In the step of a generator give the critic the fakes themselves; detach them in the step of the critic alone.",
        "toolbox/symptom-finder/#weights",
    ),
    "labels-not-whole": (
        "fault",
        "Labels with a fraction are cut to whole numbers.",
        "Targets of a regression, or labels divided by the number of classes, under a loss that takes class numbers.",
        "Pass whole class numbers; for a regression take a squared error and a single linear output.",
        LOSS,
    ),
    "uneven-classes": (
        "note",
        "One class has nearly all examples: to name it always is right nearly always.",
        "Rare classes. The loss falls, the accuracy stays, and the rare ones may never be named.",
        "Judge by recall or balanced accuracy; weigh the rare classes more, or draw them more often.",
        "toolbox/symptom-finder/#loss",
    ),
    "reversed-weights": (
        "note",
        "Common classes weigh more in the loss than rare ones.",
        "Weights in another order than the classes, or shares in place of their inverse; rare classes hardly count.",
        "Of n examples in k classes weigh a class by n / (k * its count), in the order of the class numbers.",
        "toolbox/symptom-finder/#loss",
    ),
    "target-among-inputs": (
        "note",
        "A column of the inputs is the target.",
        "The column of the target was not taken out of the table; or a task that was made up to be easy.",
        "Drop it, and look for others that are known only after the target is.",
        "toolbox/diagnose/#findings",
    ),
    "softmax-over-one-unit": (
        "fault",
        "The last layer is a softmax over a single unit: it returns 1 for every input.",
        "A softmax makes its outputs add up to 1; of one output it leaves nothing. The loss may fall all the same.",
        "A sigmoid with binary cross-entropy for two classes; no activation for a regression.",
        LOSS,
    ),
    "softmax-axis": (
        "fault",
        "The outputs of the last softmax do not add up to 1 over the classes.",
        "It runs over another axis than that of the classes.",
        "Name the axis of the classes: dim=1 (PyTorch), axis=-1 (Keras).",
        LOSS,
    ),
    "one-class-cross-entropy": (
        "fault",
        "A cross-entropy between classes has a single class to choose from: it is 0 or cannot fall.",
        "One output unit under a loss that wants one unit for each class.",
        "Binary cross-entropy for one unit; or one unit for each class.",
        LOSS,
    ),
    "binary-loss-for-classes": (
        "fault",
        "Exclusive classes under binary cross-entropy.",
        "It judges each class on its own: with many classes, saying no to all is nearly right.",
        "Categorical cross-entropy.",
        LOSS,
    ),
    "softmax-for-many-labels": (
        "fault",
        "Several labels may be true at once, and the outputs add up to 1.",
        "A softmax lets the labels compete: two true ones get a half each at best.",
        "A sigmoid for each label, and binary cross-entropy.",
        LOSS,
    ),
    "absolute-error-of-labels": (
        "fault",
        "Classes under an absolute error.",
        "Its best answer is the commonest class and no probability; near 0 and 1 its gradient fades.",
        "Cross-entropy: binary for a sigmoid, categorical for a softmax.",
        LOSS,
    ),
    "squared-error-of-classes": (
        "fault",
        "Exclusive classes under a squared error.",
        "Behind a softmax its gradient fades where the network is confidently wrong.",
        "Categorical cross-entropy.",
        LOSS,
    ),
    "zero-targets": (
        "note",
        "Of each row of targets all numbers but one are 0: they draw the other outputs to 0.",
        "Values of actions, where the actions that were not taken have 0 for a target.",
        "Compare the output of the action that was taken alone: gather it, or mask the others.",
        LOSS,
    ),
    "hinge-on-probabilities": (
        "fault",
        "A hinge loss reads outputs that cannot reach its margin on both sides.",
        "It wants scores below -1 and above 1; the last activation stops them at 0.",
        "Remove the last activation, and use labels -1 and 1; or take cross-entropy.",
        LOSS,
    ),
    "sum-reduction": (
        "note",
        "The loss is a sum over the batch, so the step grows with the batch.",
        "reduction='sum'.",
        "A mean; or divide the learning rate by the batch size.",
        RATE,
    ),
    "linear-stack": (
        "fault",
        "Linear layers follow each other with nothing between them: together they are one linear layer.",
        "A forgotten activation.",
        "Put a ReLU or another activation between them.",
        "chapters/activation-functions/#answer",
    ),
    "dropout-too-strong": (
        "fault",
        "Dropout keeps little of the signal.",
        "A rate that was meant as the part to keep.",
        "0.1 to 0.5.",
        "toolbox/diagnose/#findings",
    ),
    "penalty-outweighs-loss": (
        "fault",
        "What is added to the loss acts more strongly than the loss itself.",
        "Weight decay or a regularizer that is too large; or an added term, such as a KL divergence, that is a sum "
        "where the loss is a mean.",
        "Divide a penalty by a hundred, or leave it out until the network fits; sum or average both alike.",
        "toolbox/diagnose/#findings",
    ),
    "rate-too-high": (
        "fault",
        "The steps are too long: a shorter step learns more from the same batches.",
        "The learning rate is too high for this model, loss, scale of data and optimizer.",
        "The rate that the evidence names; standardized inputs and targets, warm-up or clipping bear a higher one.",
        RATE,
    ),
    "non-finite-training": (
        "fault",
        "The loss becomes NaN or Inf in the first steps, at the given rate and far below it.",
        "An example with a value that an operation does not bear: log(0), 0/0, sqrt(0), an empty row; or weights "
        "that a single step spoils.",
        "Run check_model on the batch of that step: it names the operation.",
        "chapters/exploding-gradients/#use",
    ),
    "log-of-zero": (
        "fault",
        "The loss takes the logarithm of a probability of 0.",
        "A sigmoid or a softmax returns exactly 0 or 1 once it is sure, and the loss does not clip it.",
        "A loss that reads logits, without the last activation; or clip the probabilities to 1e-7 to 1 - 1e-7.",
        LOSS,
    ),
    "steps-too-short": (
        "fault",
        "The training ends before the network is done: learning rate times steps is too small.",
        "A rate too low, too few epochs, or an optimizer that is slow at this rate.",
        "A higher rate (the evidence names one that was tried), more epochs, or Adam in place of SGD.",
        RATE,
    ),
    "loss-against-score": (
        "fault",
        "The loss falls, and the predictions do not get better.",
        "Loss and predictions do not mean the same: a wrong sign, a wrong output, or targets of another form.",
        "Look at some predictions beside their targets, and at the last activation.",
        LOSS,
    ),
    "labels-unrelated": (
        "fault",
        "The labels have nothing to do with the inputs, as far as one can see.",
        "Inputs or labels were shuffled, sorted or moved by some places alone, or joined by the wrong key.",
        "Look at some examples with their labels; shuffle both by one permutation.",
        "toolbox/diagnose/#findings",
    ),
    "cannot-overfit-one-batch": (
        "fault",
        "Not even one batch alone is learned, by Adam at rates that suit most networks.",
        "The model does not see what it needs, its gradient is lost on the way, or the loss compares the wrong things.",
        "Look at the table of check_model; feed one example and follow it to the loss.",
        "toolbox/check-my-model/#columns",
    ),
    "learns-nothing": (
        "note",
        "No rate that was tried gets below the best constant answer, or the first loss where that is not known.",
        "The inputs say little about the targets, the model is too small, or it needs longer than the trials.",
        "Look at data and targets; try a model that is known to learn them.",
        "toolbox/diagnose/#findings",
    ),
    "not-tried": (
        "note",
        "No step was tried.",
        "What was found already makes a training meaningless or impossible, or there is nothing to train with.",
        "Mend the other findings first.",
        "toolbox/diagnose/#limits",
    ),
}
"""Every finding by its code: level, symptom, cause, cure, link."""


class Trial(NamedTuple):
    """Some steps from the weights as they are, after which all was put back."""

    factor: float
    """The learning rate, as a multiple of the given one."""
    alone: bool
    """All steps on one batch, by Adam, whose rate is `factor`."""
    losses: tuple[float, ...]
    """Of each step, before it is made and without penalties; the last one is
    not finite if the trial was lost.
    """

    @property
    def loss(self) -> float:
        """Mean of the last fifth of the steps, infinite if the trial was
        lost."""
        return _end(self.losses, len(self.losses))


class Diagnosis(NamedTuple):
    """What the look at the program and some trials showed. `print` gives lines
    of at most 100 columns.
    """

    findings: tuple[Finding, ...]
    """Faults first, and of these what stands before a training first."""
    check: ModelReport | None
    """What `check_model` says, with the table of all layers; None if the model
    failed.
    """
    planned: int | None
    """Steps of the whole training, None if it has no end."""
    best_constant: float | None
    """Loss of the best answer that does not look at the inputs; None if the
    loss is none that is known.
    """
    trials: tuple[Trial, ...]
    """In their order; the first one at the given rate."""
    cost: float
    """What all of it cost, in steps."""
    complete: bool
    """False if Ctrl-C ended it."""

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, strings and numbers alone."""
        findings = [
            finding._asdict() | {"layers": list(finding.layers)}
            for finding in self.findings
        ]
        trials = [
            trial._asdict() | {"losses": list(trial.losses)} for trial in self.trials
        ]
        check = self.check and self.check.to_dict()
        return self._asdict() | {
            "findings": findings,
            "check": check,
            "trials": trials,
        }

    def __str__(self) -> str:
        planned = "" if self.planned is None else f", {self.planned} planned"
        guess = (
            ""
            if self.best_constant is None
            else f"; the best constant answer has loss {self.best_constant:.3g}"
        )
        lines = _wrapped(
            f"{len(self.trials)} trials, at the cost of {self.cost:.0f} steps{planned}{guess}"
        )
        if self.trials:
            lines.append(f"{'rate':>12}{'steps':>8}{'first loss':>12}{'last loss':>12}")
        for trial in self.trials:
            rate = f"{'Adam' if trial.alone else 'x'} {trial.factor:g}"
            where = "  on one batch" if trial.alone else ""
            lines.append(
                f"{rate:>12}{len(trial.losses):8}{trial.losses[0]:12.4g}{trial.loss:12.4g}{where}"
            )
        if not self.complete:
            lines.append("Ended by Ctrl-C: this is what was known by then.")
        lines.append("")
        for finding in self.findings:
            lines += _wrapped(
                f"{finding.level.upper()} {finding.code}: {finding.symptom}"
            )
            where = f"{', '.join(finding.layers[:4])}: " if finding.layers else ""
            for word, sentence in (
                ("evidence", where + finding.evidence),
                ("cause", finding.cause),
                ("cure", finding.cure),
                ("read", finding.link),
            ):
                lines += _wrapped(sentence, f"  {word:9}")
        return "\n".join([*lines, *([] if self.findings else ["No finding."])])


def _wrapped(text: str, start: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=start,
        subsequent_indent=" " * 11,
        break_on_hyphens=False,
    )


def _end(losses: tuple[float, ...], steps: int) -> float:
    """Mean of the last fifth of so many steps; infinite if the trial was lost
    before.
    """
    some = losses[:steps]
    if len(some) < steps or not some or not math.isfinite(some[-1]):
        return math.inf
    some = some[-max(1, steps // 5) :]
    return sum(some) / len(some)


def _found(code: str, evidence: str, *layers: str) -> Finding:
    level, symptom, cause, cure, link = CURES.get(code) or ADVICE[code]
    return Finding(
        code=code,
        level=level,
        layers=layers,
        symptom=symptom,
        evidence=evidence,
        cause=cause,
        cure=cure,
        link=link,
    )


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


class _Stopped(Exception):
    """By Ctrl-C."""


class _Clock:
    """Counts steps, shows how far it is, and takes the first Ctrl-C: what runs
    comes to its end, and everything is put back. The second one acts as always.
    """

    def __init__(self, progress: bool) -> None:
        self.progress, self.spent, self.stopped = progress, 0.0, False
        self.shown, self.last = "", 0.0

    def __enter__(self) -> "_Clock":
        try:
            self.previous = signal.signal(signal.SIGINT, self.stop)
        except ValueError:  # only the main thread gets signals
            self.previous = None
        return self

    def __exit__(self, *_: Any) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        self.show("")

    def stop(self, *_: Any) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, self.previous)

    def tick(self, cost: float, doing: str) -> None:
        self.spent += cost
        if time.monotonic() > self.last + 0.2:
            self.last = time.monotonic()
            self.show(f"diagnose: {self.spent:.0f} of at most {MOST} steps, {doing}")

    def show(self, line: str) -> None:
        if self.progress and line != self.shown:
            sys.stderr.write(
                "\r" + line.ljust(len(self.shown)) + ("" if line else "\r")
            )
            sys.stderr.flush()
            self.shown = line

    def check(self) -> None:
        if self.stopped:
            raise _Stopped


class _Probe:
    """`run(factor, steps, alone)` gives the losses of a trial and adds to
    `moved`; the first one also fills `settled`, `scores` and `zeros`.
    """

    def __init__(
        self,
        run: Callable[[float, int, bool], list[float]],
        clock: _Clock,
        planned: int | None,
        constant: tuple[float, float] | None,
    ) -> None:
        self.run, self.clock, self.planned = run, clock, planned
        self.constant = constant
        self.own = min(STEPS, planned or STEPS)
        """A training shorter than the trial ends where it ends."""
        self.trials: list[Trial] = []
        self.settled = math.inf
        """Loss in inference mode: dropout and noise are off."""
        self.scores: list[Any] = []
        """Accuracies in inference and in training mode."""
        self.moved: list[float] = []
        """Of each trial, the displacement of the weights over their norm."""
        self.learned = False
        """The first trial gets so low that no more is asked."""
        self.zeros = ""
        """Evidence that a loss was lost in the logarithm of 0."""
        self.by_heart: Callable[[int, float], tuple[list[float], str]] | None = None
        """The losses of a training on a part of the examples, of so many steps
        or until it is as low, and evidence that nothing of it holds for the
        others."""

    def trial(self, factor: float, steps: int, alone: bool = False) -> Trial:
        trial = Trial(factor, alone, tuple(self.run(factor, steps, alone)))
        self.clock.check()
        self.trials.append(trial)
        return trial

    def findings(
        self, unrelated: Callable[[], str], known: set[str]
    ) -> Iterator[Finding]:
        """`known` are the codes of faults, of which it would be no news that
        nothing is learned.
        """
        found = list(self.judged(unrelated, known))
        yield from found
        near = "" if found or known else unrelated()
        steps = int(MOST - self.clock.spent - 20)
        if near and self.by_heart and self.constant and steps >= STEPS // 2:
            guess, least = self.constant
            low = least + FINISHED * (guess - least)
            losses, held = self.by_heart(steps, low)
            end = _end(tuple(losses), len(losses))
            if held and end - least < NOT_DONE * (guess - least):
                yield _found(
                    "labels-unrelated",
                    f"after {len(losses)} steps on two thirds of the examples their loss is {end:.3g}, {held}; {near}",
                )

    def judged(
        self, unrelated: Callable[[], str], known: set[str]
    ) -> Iterator[Finding]:
        first = self.trial(1.0, STEPS)
        losses, planned, explained = first.losses, self.planned, bool(known)
        if self.zeros:
            yield _found("log-of-zero", self.zeros)
            return
        if math.isfinite(losses[-1]):
            # Steps that need the loss several times are fewer.
            self.own = min(self.own, len(losses))
        own = self.own
        if self.constant is None and (min(losses) < 0 or not losses[0]):
            # Of such a loss no ratio says anything.
            self.learned = math.isfinite(losses[-1])
            if not math.isfinite(losses[-1]):
                yield from list(self.too_high(math.inf, math.inf, 0.0)) or self.lost()
            return
        guess, least = self.constant or (losses[0], 0.0)
        scale, start = guess - least, _end(losses, min(len(losses), own)) - least
        given = _end(losses, own) - least
        start = sum(losses[:5]) / len(losses[:5]) - least
        whole = planned is not None and planned <= STEPS
        score = self.score()
        if given < NOT_DONE * scale and score and score[0] < NO_BETTER:
            yield _found(
                "loss-against-score",
                f"loss {start + least:.3g} to {given + least:.3g}, accuracy {score[0]:+.1%} from that of the commonest "
                f"class ({score[1]:.0%}), limit {NO_BETTER:+.0%}",
            )
            return
        enough = FINISHED if whole else NOT_DONE
        self.learned = min(given, self.settled - least) < enough * scale
        if self.learned:
            return
        lost = given > GUESS * scale
        if planned and self.stands_still(given, start, scale):
            found = list(self.too_short(given, start, scale, least, known))
            if not found and not self.stays_flat(explained):
                most = self.moved[0] * planned / len(losses)
                found = [
                    _found(
                        "steps-too-short",
                        f"in {planned} steps the weights move by at most {most:.2g} of their size, limit {MOVED:g}; "
                        f"loss after {own} steps {given + least:.3g}, {self.mark(guess)}",
                    )
                ]
            yield from found
            if not found and lost:
                yield from self.nothing(given, scale, least, unrelated, explained)
            return
        if lost or _wavers(losses[:own]):
            high = list(self.too_high(given, scale, least))
            yield from high
            if high:
                return
            if all(trial.loss == math.inf for trial in self.trials):
                yield from self.lost()
                return
        falls = self.heads_low(given, scale, least)
        if lost or not falls:
            # What falls to the constant may stop there: a higher rate shows.
            found = list(self.too_short(given, start, scale, least, known))
            if found and not falls:
                yield from found
            elif not found and lost:
                yield from self.nothing(given, scale, least, unrelated, explained)

    def mark(self, guess: float) -> str:
        """What losses are measured by."""
        name = "first loss" if self.constant is None else "best constant"
        return f"{name} {guess:.3g}"

    def score(self) -> Any:
        """The better one of both modes: the averages of batch normalization lag
        behind.
        """
        known = [score for score in self.scores if score]
        score = max(known, default=None)
        return score if score and score[1] < COMMON else None

    def stands_still(self, given: float, start: float, scale: float) -> bool:
        """Even in a straight line the weights hardly move, and the loss neither
        ends nor is on its way to end low.
        """
        steps = self.planned / len(self.trials[0].losses)
        heading = start - (start - given) * max(steps, 1.0)
        return (
            math.isfinite(given)
            and given > FINISHED * scale
            and heading > NOT_DONE * scale
            and self.moved[0] * steps < MOVED
        )

    def stays_flat(self, explained: bool) -> bool:
        """A higher rate moves the weights and leaves the loss where it is, or
        no rate moves them, or a known fault holds them: this says nothing of
        the steps.
        """
        given = self.trials[0].loss
        moved = any(
            move > MOVED and BETTER * given < trial.loss < given / BETTER
            for move, trial in zip(self.moved[1:], self.trials[1:], strict=True)
        )
        held = self.moved[0] == 0 and (explained or not any(self.moved))
        return moved or held

    def left(self, trials: int) -> int:
        """Steps for each of so many more trials."""
        free = MOST - self.clock.spent - ALONE - 10
        return max(10, min(STEPS, int(free / trials)))

    def too_high(self, given: float, scale: float, least: float) -> Iterator[Finding]:
        less = math.inf
        for factor, trials in ((0.1, 5), (0.01, 4)):
            if given < less < math.inf:
                return  # even shorter steps are worse still
            steps = min(self.own, self.left(trials))
            less = self.trial(factor, steps).loss - least
            falls = less < GUESS * scale or given > 3 * scale
            if less < BETTER * given and (falls or not math.isfinite(given)):
                yield _found(
                    "rate-too-high",
                    f"loss after {self.own} steps {given + least:.3g}, after {steps} at {factor:g} times the rate "
                    f"{less + least:.3g}; limit {BETTER:g} of it"
                    + (f"; {self.mark(scale + least)}" if scale < math.inf else ""),
                )
                return

    def lost(self) -> Iterator[Finding]:
        ends = [
            f"step {len(trial.losses)} at {trial.factor:g} times the rate"
            for trial in self.trials
        ]
        yield _found("non-finite-training", ", ".join(ends))

    def too_short(
        self, given: float, start: float, scale: float, least: float, known: set[str]
    ) -> Iterator[Finding]:
        """Does a longer step help, or a longer training? Beside what makes all
        steps noisy, this is no news.
        """
        if known & _NOISY:
            return
        for trial in self.longer():
            more = trial.loss - least
            if more < BETTER * given and more < GUESS * scale:
                slope = (start - given) / self.own
                needed = (start - more) / slope if slope > 0 else math.inf
                if (self.planned or 100 * STEPS) < needed:
                    plan = (
                        "" if self.planned is None else f", {self.planned} are planned"
                    )
                    yield _found(
                        "steps-too-short",
                        f"loss after {self.own} steps {given + least:.3g}, after {len(trial.losses)} at "
                        f"{trial.factor:g} times the rate {trial.loss:.3g}; the given rate needs {needed:.3g} steps "
                        f"for that{plan}",
                    )
                    return

    def heads_low(self, given: float, scale: float, least: float) -> bool:
        """As it falls in its second half, the loss ends low in the planned
        steps.
        """
        half, low = self.own // 2, False
        if self.planned is not None and self.planned > self.own and half > 1:
            fall = _end(self.trials[0].losses, half) - least - given
            fall /= self.own - half
            low = given - fall * (self.planned - self.own) < NOT_DONE * scale
        return low

    def longer(self) -> Iterator[Trial]:
        """More of the given rate, higher ones, and more of the best of
        these."""
        if self.own < len(self.trials[0].losses):
            yield self.trials[0]
        tried = list[Trial]()
        for factor, trials in ((10.0, 3), (100.0, 2), (1000.0, 1)):
            tried.append(self.trial(factor, self.left(trials)))
            yield tried[-1]
        best, steps = min(tried, key=lambda trial: trial.loss), self.left(1)
        if len(best.losses) < steps and best.loss < math.inf:
            yield self.trial(best.factor, steps)

    def nothing(
        self,
        given: float,
        scale: float,
        least: float,
        unrelated: Callable[[], str],
        explained: bool,
    ) -> Iterator[Finding]:
        best = min([given, *(trial.loss - least for trial in self.trials)])
        if best <= NOTHING * scale or explained:
            return
        rates = sorted({trial.factor for trial in self.trials})
        evidence = (
            f"the lowest loss at {', '.join(f'{rate:g}' for rate in rates)} times the rate is {best + least:.3g}, "
            f"{self.mark(scale + least)}, limit {NOTHING:g} of it"
        )
        near = unrelated()
        if near:
            yield _found("labels-unrelated", f"{near}; {evidence}")
            return
        steps = ALONE // len(ADAM)
        batch = [self.trial(rate, steps, alone=True) for rate in ADAM]
        alone = [trial.loss - least for trial in batch]
        # What still falls, far above the constant, is on its way.
        arrived = min(alone) < scale / NOTHING or all(
            _wavers(trial.losses, NOTHING) for trial in batch
        )
        if min(alone) > NOTHING * scale and arrived:
            yield _found(
                "cannot-overfit-one-batch",
                f"loss {min(alone) + least:.3g} after {steps} steps on one batch; {evidence}",
            )
            return
        yield _found(
            "learns-nothing",
            f"{evidence}; on one batch alone {min(alone) + least:.3g}",
        )


_NOISY = {"dropout-too-strong"}
"""Faults that make a loss fall slowly at any rate."""


def _wavers(losses: tuple[float, ...], limit: float = WAVERS) -> bool:
    """The second half is no better than what came before it."""
    half, opening = len(losses) // 2, len(losses) // 5
    before, after = losses[opening:half], losses[half:]
    if len(losses) < 4:
        return True
    return sum(after) / len(after) > limit * sum(before) / len(before)


class _Failed(Exception):
    """The program that is looked at, from the error that it raised."""


class _Program:
    """Model, data, loss and optimizer. A framework says how to check them, how
    to find facts and looks, and how to run a trial.
    """

    probe: _Probe
    checked: Callable[[], ModelReport | None]
    find_facts: Callable[[], Any]
    looks: Callable[[Any], _Looks]
    run: Callable[[float, int, bool], list[float]]
    unrelated: Callable[[], str]
    by_heart: Callable[[int, float], tuple[list[float], str]]
    judge_optimizer: Callable[[], list[Finding]]
    is_trained: Callable[[str], bool]
    """Does a step change the weights of a layer of this name?"""

    def __init__(self, clock: _Clock, planned: int | None) -> None:
        self.clock, self.planned = clock, planned
        self.check: ModelReport | None = None
        self.facts: _Facts | None = None
        self.found: list[Finding] = []
        self.trials: list[Trial] = []
        self.stacked = set[str]()
        """The code of linear layers in a row, if there are any."""

    def diagnosis(self) -> Diagnosis:
        constant, complete = None, True
        try:
            self.look()
            self.clock.check()
            fatal = [one.code for one in self.found if one.code.startswith(_FATAL)]
            if fatal:
                self.found.append(_found("not-tried", f"because of {fatal[0]}"))
            else:
                constant = self.facts and _best_constant(self.facts)
                self.probe = _Probe(self.run, self.clock, self.planned, constant)
                self.probe.by_heart = self.by_heart if self.facts else None
                self.trials = self.probe.trials
                known = self.faults() | {"linear-stack"} & self.stacked
                later = list(self.probe.findings(self.unrelated, known))
                if self.stacked and not self.probe.learned and not self.faults():
                    self.found = [_raised(finding) for finding in self.found]
                self.found += later
        except _Stopped:
            complete = False
        except _Failed as failed:
            self.found.append(_failure(failed.__cause__))
        return Diagnosis(
            findings=tuple(sorted(self.found, key=lambda finding: finding.level)),
            check=self.check,
            planned=self.planned,
            best_constant=constant and constant[0],
            trials=tuple(self.trials),
            cost=self.clock.spent,
            complete=complete,
        )

    def look(self) -> None:
        """All that needs no trial."""
        self.clock.tick(4, "looking at the model")
        failure, checked = None, tuple[Finding, ...]()
        try:
            self.check = self.checked()
            checked = self.check.findings if self.check else ()
        except ValueError as error:
            failure = error
        # A loss that reads beyond a table may end the process on a GPU.
        if not _BEYOND & {finding.code for finding in checked}:
            value = None
            try:
                value = self.find_facts()
            except _Failed as failed:
                failure = failure or failed.__cause__
            if self.facts:
                self.found += _judge_facts(self.facts)
            if self.ends_still():
                # A critic is to call all that a generator makes real.
                self.found = [one for one in self.found if one.code != "one-target"]
            targets = self.facts.targets if self.facts else np.zeros(0)
            self.found += _judge_looks(self.looks(value), targets)
            self.found += self.judge_optimizer()
        # Such layers may be meant: check_model tells, or what the trials show.
        level = {finding.code: finding.level for finding in checked}
        self.found = [
            finding._replace(level=level.get("linear-stack", "note"))
            if finding.code == "linear-stack"
            else finding
            for finding in self.found
        ]
        own = {finding.code for finding in self.found}
        self.stacked = {"linear-stack"} & own
        own |= {code for name in own for code in _SAME.get(name, ())}
        self.found += [finding for finding in checked if finding.code not in own]
        if failure and not self.faults():
            self.found.append(_failure(failure))

    def ends_still(self) -> bool:
        """What runs last is not trained, unlike what runs before it."""
        rows = self.check.layers if self.check else ()
        last = rows[-1].name.partition(" (")[0] if rows else ""
        return bool(rows) and not self.is_trained(last)

    def faults(self) -> set[str]:
        return {finding.code for finding in self.found if finding.level == "fault"}


_FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
)
_FATAL = (
    "error",
    "non-finite",
    "labels-out-of-range",
    "index-out-of-range",
    "labels-not-whole",
    "targets-outside",
)
"""With these a training is impossible or means nothing."""
_BEYOND = {"labels-out-of-range", "index-out-of-range"}
_SAME = {
    "softmax-over-one-unit": ("length-one-axis",),
    "softmax-axis": ("softmax-over-batch",),
}
"""What check_model says of the same fault."""


def _raised(finding: Finding) -> Finding:
    """Linear layers in a row, of a model that does not learn."""
    evidence = f"{finding.evidence}; the first trial does not learn"
    raised = finding._replace(level="fault", evidence=evidence)
    return raised if finding.code == "linear-stack" else finding


def _failure(error: Any) -> Finding:
    return _found("error", " ".join(f"{type(error).__name__}: {error}".split())[:400])


def diagnose(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    epochs: int | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Say what keeps a compiled `model` from learning these data.

    `x` and `y` are all examples as `fit` takes them: arrays, or for `x` a
    tuple, list or dictionary of arrays; or `x` is the pair `(x, y)`. Without
    `y`, `x` may be a `tf.data.Dataset` or a `PyDataset` of batches; or the
    loss is what layers add (`add_loss`), and the model is compiled without one.
    A model with a `train_step` of its own makes its steps by it.
    `batch_size` is 32 for arrays, as in `fit`; `epochs` is the length of the
    training (without it, nothing is said of the length). Of a learning rate
    with a schedule the highest one is tried. Ctrl-C ends the trials, and the
    report says what is known.

    Raises ValueError for an argument that is not what it should be, and another
    backend than TensorFlow. A model that fails on its data is a finding.
    """
    _check_arguments(model, batch_size, epochs)
    with (
        _Clock(progress) as clock,
        _untouched(model, _leaves(model), None, losses.get(_only(model.loss))),
    ):
        alone = y is None and not isinstance(x, _BATCHED)
        alone &= model.loss is None and not _is_pair(x)
        if alone:
            y = x  # No loss reads it.
        batches, per_epoch, examples = _batches(x, y, batch_size)
        planned = None if epochs is None or per_epoch is None else epochs * per_epoch
        training = _Training(clock, planned, model, batches, examples)
        training.alone = alone
        if model.loss is None and not training.own and not training.added():
            raise ValueError(_COMPILED.format(model.name))
        return training.diagnosis()


def _check_arguments(model: Any, batch_size: Any, epochs: Any) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the Keras backend must be tensorflow, got {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {type(model).__name__}")
    if model.built and model.weights and not model.trainable_variables:
        raise ValueError(
            f"model must have weights to train, got {model.name!r}, which is frozen: set trainable = True in a part"
        )
    if not model.built or not model.trainable_variables:
        raise ValueError(
            f"model must have weights to train (build it, or run it on a batch once before), got {model.name!r}"
        )
    if not model.compiled:
        raise ValueError(_COMPILED.format(model.name))
    several = [
        name
        for name, part in vars(model).items()
        if isinstance(part, keras.optimizers.Optimizer) and part is not model.optimizer
    ]
    if _has_own_step(model) and several:
        raise ValueError(
            f"model must train by the optimizer that it is compiled with, got {type(model).__name__} with a train_step "
            f"of its own and {', '.join(several)}: check_model(model, batch, loss_fn) looks at it without a step"
        )
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise ValueError(f"{name} must be a positive integer, got {value!r}")


def _has_own_step(model: keras.Model) -> bool:
    return type(model).train_step is not keras.Model.train_step


def _is_pair(x: Any) -> bool:
    return isinstance(x, tuple | list) and len(x) == 2


_COMPILED = "model must be compiled with an optimizer and a loss, got {!r}"


def _only(loss: Any) -> Any:
    """The one loss of a model, None of several."""
    if isinstance(loss, dict | list | tuple):
        parts = tree.flatten(loss)
        return parts[0] if len(parts) == 1 else None
    return loss


_BATCHED = (tf.data.Dataset, keras.utils.PyDataset)


def _batches(
    x: Any, y: Any, batch_size: int | None
) -> tuple[list[Any], int | None, Any]:
    """Up to STEPS batches (inputs, targets, weights), the number of them in an
    epoch, and all examples as a pair, if they are at hand.
    """
    if isinstance(x, _BATCHED):
        if batch_size is not None:
            raise ValueError(
                f"batch_size must be left to the dataset, got {batch_size!r}"
            )
        if isinstance(x, tf.data.Dataset):
            per_epoch = int(x.cardinality())
            parts = iter(x)
        else:
            per_epoch = x.num_batches if x.num_batches is not None else -1
            parts = (
                x[place] for place in range(per_epoch if per_epoch >= 0 else STEPS)
            )
        held = list(_held(parts))
        if not held:
            raise ValueError("x must hold a batch at least, got an empty dataset")
        return held, per_epoch if per_epoch >= 0 else None, None
    if y is None:
        if not (isinstance(x, tuple | list) and len(x) == 2):
            raise ValueError(
                f"y must be given, or x must be a pair (x, y) or a dataset, got {type(x).__name__}"
            )
        x, y = x
    if any(isinstance(part, float | int | str) for part in tree.flatten((x, y))):
        raise ValueError(
            f"x and y must hold arrays, np.array(values) of a list, got {type(x).__name__} and {type(y).__name__}"
        )
    x, y = (tree.map_structure(_array, part) for part in (x, y))
    sizes = [_count(part) for part in tree.flatten((x, y))]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(
            f"x and y must hold an example at least, and as many inputs as targets, got {sizes}"
        )
    count, size = sizes[0], batch_size or 32
    draw, places = np.random.default_rng(1), []
    while len(places) < STEPS:
        order = draw.permutation(count)
        # A rest of one example is more than batch normalization can bear.
        parts = [order[start : start + size] for start in range(0, count, size)]
        places += [part for part in parts if len(part) == size] or [order]
    return (
        [(*_taken((x, y), place), None) for place in places],
        -(-count // size),
        (x, y),
    )


def _taken(data: Any, place: Any) -> Any:
    return tree.map_structure(partial(_rows, place), data)


def _rows(place: np.ndarray, part: Any) -> Any:
    """Some examples, each at most once."""
    if isinstance(part, tf.RaggedTensor):
        return tf.gather(part, place)
    if not isinstance(part, tf.SparseTensor):
        return part[place]
    new = np.full(part.shape[0], -1)
    new[place] = np.arange(len(place))
    indices = part.indices.numpy()
    indices[:, 0] = new[indices[:, 0]]
    kept = indices[:, 0] >= 0
    shape = (len(place), *part.shape[1:])
    some = tf.SparseTensor(indices[kept], part.values.numpy()[kept], shape)
    return tf.sparse.reorder(some)


_COMPOSITE = (tf.RaggedTensor, tf.SparseTensor)


def _array(part: Any) -> Any:
    return part if isinstance(part, _COMPOSITE) else np.asarray(part)


def _count(part: Any) -> int:
    """How many examples."""
    return int(part.shape[0]) if len(part.shape) else 0


def _held(parts: Iterator[Any]) -> Iterator[Any]:
    held = 0
    for count, part in enumerate(parts):
        batch = keras.utils.unpack_x_y_sample_weight(part)
        batch = tuple(
            piece if piece is None else tree.map_structure(_array, piece)
            for piece in batch
        )
        held += sum(getattr(piece, "nbytes", 0) for piece in tree.flatten(batch))
        if count and (count >= STEPS or held > HELD):
            return
        yield batch


_KINDS = {
    "sparse_categorical_crossentropy": "labels",
    "categorical_crossentropy": "classes",
    "categorical_focal_crossentropy": "classes",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "mean_squared_error": "squared",
    "mean_absolute_error": "absolute",
    "huber": "other",
    "log_cosh": "other",
    "poisson": "other",
    "hinge": "hinge",
    "squared_hinge": "hinge",
    "categorical_hinge": "hinge",
}
_PASSED = ("Identity", "Reshape", "Cast", "Transpose", "Squeeze", "ExpandDims")
_NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.Rescaling,
    layers.UnitNormalization,
)
_DROPS = (
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
_BETWEEN = (layers.Dropout, layers.GaussianNoise, layers.Reshape, layers.Identity)
"""Layers that leave two linear ones one."""


class _Training(_Program):
    """How they make a step in Keras."""

    def __init__(
        self,
        clock: _Clock,
        planned: int | None,
        model: keras.Model,
        batches: list[Any],
        examples: Any,
    ) -> None:
        super().__init__(clock, planned)
        self.model, self.batches, self.examples = model, batches, examples
        self.output: Any = None
        """Of the last step."""
        self.loss_fn = losses.get(_only(model.loss))
        self.own, self.alone = _has_own_step(model), False
        """It trains by a train_step of its own, and from inputs alone."""
        self.optimizer, self.peak = _twin(model, planned)
        self.eagerly = self.own_step if self.own else self.eager_step
        self.step = tf.function(self.eagerly, reduce_retracing=True)
        if model.run_eagerly:
            self.step = self.eagerly

    def judge_optimizer(self) -> list[Finding]:
        """The optimizer of a compiled model gets all weights that train."""
        return []

    def is_trained(self, name: str) -> bool:
        layer = next((one for one in _leaves(self.model) if one.path == name), None)
        return layer is None or bool(layer.trainable_weights)

    def checked(self) -> ModelReport | None:
        """None if the loss stands in a train_step alone."""
        if self.own and self.model.loss is None and not self.added():
            return None
        x, y, _ = self.batches[0]
        y = x if y is None else y
        if self.examples and _count(tree.flatten(x)[0]) < 32:
            # A batch as the training draws it, but not a small one; some models
            # take batches of one size alone.
            count = _count(tree.flatten(self.examples)[0])
            order = np.random.default_rng(0).permutation(count)[:32]
            with suppress(ValueError):
                return self.checked_on(*_taken(self.examples, order))
        return self.checked_on(x, y)

    def checked_on(self, x: Any, y: Any) -> ModelReport:
        if tree.is_nested(y) or _only(self.model.loss) is None:
            return check_model(self.model, (x, y))
        shape = getattr(self.model, "output_shape", None)
        if shape is None:  # of a subclass
            with suppress(*_FAILURES, tf.errors.OpError):
                shape = self.called((x,), False).shape
        return check_model(self.model, (x, _widened(y, shape or ())))

    def added(self) -> bool:
        """Do layers add to the loss?"""
        with _untouched(self.model, _leaves(self.model), None, None):
            with suppress(*_FAILURES, tf.errors.OpError):
                self.called(self.batches[0], True)
            return bool(_added(self.model))

    def losses(self, batch: Any, output: Any) -> tuple[Any, Any]:
        """Of the data, and of all penalties."""
        x, y, weights = batch
        whole = self.model.compute_loss(x=x, y=y, y_pred=output, sample_weight=weights)
        parts = self.model.losses
        if self.model.loss is None:
            # What layers add is the loss, and what is left are penalties.
            added = {id(part) for part in _added(self.model)}
            parts = [part for part in parts if id(part) not in added]
        penalty = sum((tf.cast(part, whole.dtype) for part in parts), 0.0)
        return whole - penalty, penalty

    def eager_step(self, *batch: Any) -> Any:
        """One step of the twin of the optimizer; loss and output before it."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            output = self.called(batch, True)
            bare, penalty = self.losses(batch, output)
            whole = bare + penalty
        self.optimizer.apply(
            tape.gradient(whole, [part.value for part in weights]), weights
        )
        return bare, output

    @tf.autograph.experimental.do_not_convert  # nor does fit
    def own_step(self, *batch: Any) -> Any:
        """A step of the model's own, by the twin of its optimizer: the loss
        that it returns, and no output."""
        x, y, weights = batch
        known, kept = vars(self.model), self.model.optimizer
        known["optimizer"] = self.optimizer
        try:
            # Most return the mean since the last reset.
            self.model.reset_metrics()
            pack = keras.utils.pack_x_y_sample_weight
            logs = self.model.train_step(pack(x, None if self.alone else y, weights))
        finally:
            known["optimizer"] = kept
        names = [name for name in logs if "loss" in name]
        if "loss" not in logs and len(names) != 1:
            raise ValueError(
                f"train_step must return its loss as 'loss', got {list(logs)}"
            )
        loss = logs["loss" if "loss" in logs else names[0]]
        return tf.reduce_mean(tf.cast(loss, tf.float32)), tf.zeros(())

    def is_compiled_loss(self, whole: Any) -> bool:
        """Is the loss of the model's own step the compiled one?"""
        with self.trial_of(1.0):
            own = self.one_step(self.batches[0], "looking at the loss")
        return math.isclose(own, float(whole), rel_tol=1e-3)

    def called(self, batch: Any, training: bool) -> Any:
        takes = getattr(self.model, "_call_has_training_arg", True)
        return self.model(batch[0], **({"training": training} if takes else {}))

    def find_facts(self) -> Any:
        """Fill `facts`; return the gradient norms of loss and penalty."""
        self.clock.tick(2, "looking at the loss")
        batch = tuple(tree.map_structure(_tensor, part) for part in self.batches[0])
        if self.own and self.model.loss is None:
            return None
        failure = output = bare = None
        makers = dict[int, tuple[str, int]]()

        def note(kind: Any, inputs: Any, _: Any, outputs: Any, *__: Any) -> None:
            kind = kind.decode() if isinstance(kind, bytes) else kind
            for result in outputs:
                makers[result._id] = kind, inputs[0]._id if inputs else 0

        with (
            _untouched(self.model, _leaves(self.model), None, self.loss_fn),
            tf.GradientTape(persistent=True) as tape,
        ):
            try:
                op_callbacks.add_op_callback(note)
                try:
                    output = self.called(batch, True)
                finally:
                    op_callbacks.remove_op_callback(note)
                bare, penalty = self.losses(batch, output)
            except (*_FAILURES, tf.errors.OpError) as error:
                failure = error
        if failure and self.own:
            return None
        told = failure or not self.own or self.is_compiled_loss(bare + penalty)
        if output is not None and told:
            self.facts = self.facts_of(output, makers, bare)
        if failure:
            raise _Failed from failure
        variables = [part.value for part in self.model.trainable_variables]
        norms = [
            _length(tape.gradient(value, variables)) if tf.is_tensor(value) else 0.0
            for value in (bare, penalty)
        ]
        del tape
        return norms

    def facts_of(
        self, output: Any, makers: dict[int, tuple[str, int]], bare: Any
    ) -> _Facts | None:
        """None for several outputs, and for a loss that is none of Keras's."""
        func = getattr(self.loss_fn, "fn", self.loss_fn)
        kind = _KINDS.get(getattr(func, "__name__", ""))
        if kind is None or not tf.is_tensor(output) or not self.has_one_target():
            return None
        first = self.rows(self.batches[0], output)
        y = self.all_targets() if first[2] is None else self.counted_targets(first)
        config = getattr(self.loss_fn, "get_config", dict)()
        source = output._id
        while makers.get(source, ("", 0))[0] in _PASSED:
            source = makers[source][1]
        if kind == "labels" and config.get("ignore_class") is not None:
            y = y[y != config["ignore_class"]]
        mean = partial(_mean, self.loss_fn)
        unit = None
        if bare is not None:
            plain = mean(*first[:2])
            unit = float(bare) / plain if abs(plain) > 0 else None
        return _Facts(
            kind=kind,
            logits=bool(config.get("from_logits")),
            maker=makers.get(source, ("", 0))[0],
            output=_numbers(first[1]),
            targets=y,
            value=unit and partial(_value, mean, config, kind, unit),
            classes=self.weighed(kind),
            smoothing=config.get("label_smoothing") or 0.0,
            unit=unit or 1.0,
            sums=config.get("reduction") == "sum",
            ignored=config.get("ignore_class") if kind == "labels" else None,
        )

    def has_one_target(self) -> bool:
        wanted = [self.examples] if self.examples else self.batches
        parts = [tree.flatten(part[1]) for part in wanted]
        return all(len(part) == 1 and part[0] is not None for part in parts)

    def all_targets(self) -> np.ndarray:
        wanted = [self.examples] if self.examples else self.batches
        parts = [tree.flatten(part[1])[0] for part in wanted]
        if len({part.shape[1:] for part in parts}) > 1:
            return parts[0]
        return np.concatenate(parts)

    def rows(self, batch: Any, output: Any) -> tuple[Any, Any, Any]:
        """Targets and outputs of a batch and None; where a mask or weights say
        how much each example or step of it counts, each as often as it does,
        and how much.
        """
        target, weights = tree.flatten(batch[1])[0], batch[2]
        mask = getattr(output, "_keras_mask", None)
        places = tuple(output.shape[:-1])
        if not places or tuple(target.shape[: len(places)]) != places:
            return target, output, None
        counts = np.ones(places)
        for part in (mask, weights):
            values = np.ones(()) if part is None else _numbers(part)
            if values.ndim == len(places) + 1 and values.shape[-1] == 1:
                values = values[..., 0]
            # One number for an example of many steps is Keras's (examples, 1).
            wide = zip(values.shape, places, strict=False)
            if values.ndim not in (0, len(places)) or any(
                one not in (1, whole) for one, whole in wide
            ):
                return target, output, None
            counts *= values
        if (counts == counts.flat[0]).all() or (counts < 0).any():
            return target, output, None
        chosen = _as_often(counts.reshape(-1))
        target = _numbers(target).reshape(-1, *target.shape[len(places) :])
        output = tf.reshape(output, (-1, output.shape[-1]))
        return target[chosen], tf.gather(output, chosen), counts

    def weighed(self, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        """How many examples of each class there are, and their mean weight."""
        parts = [(tree.flatten(y)[0], weights) for _, y, weights in self.batches]
        if kind not in ("labels", "classes", "binary") or any(
            weights is None or _numbers(weights).size != len(y) for y, weights in parts
        ):
            return None
        labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        if kind == "classes":
            labels = labels.argmax(-1)
        labels, weights = labels.reshape(-1), _numbers(weights).reshape(-1)
        if labels.size != weights.size or (labels != np.round(abs(labels))).any():
            return None
        labels = labels.astype(int)
        counts = np.bincount(labels)
        return counts, np.bincount(labels, weights) / np.maximum(counts, 1)

    def counted_targets(self, first: tuple[Any, Any, Any]) -> np.ndarray:
        """As often as they count, of some batches."""
        parts = [first[0]]
        for batch in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with _untouched(self.model, _leaves(self.model), None, self.loss_fn):
                parts.append(self.rows(batch, self.called(batch, False))[0])
        same = [part for part in parts if part.shape[1:] == parts[0].shape[1:]]
        return np.concatenate(same)

    def looks(self, norms: Any) -> _Looks:
        inputs = tree.flatten(self.examples[0]) if self.examples else []
        leaves = _leaves(self.model)
        first = next(
            (part for part in leaves if part.weights or isinstance(part, _NORMS)), None
        )
        return _Looks(
            inputs=[part for part in inputs if _is_float(part) and not _is_mask(part)],
            normalized=isinstance(first, _NORMS),
            stacks=_stacks(leaves),
            drops=[
                (part.name, part.rate) for part in leaves if isinstance(part, _DROPS)
            ],
            penalty=0.0 if norms is None else self.penalty(*norms),
        )

    def penalty(self, learned: float, shrunk: float) -> float:
        ratio = shrunk / learned if learned else 0.0
        decay = self.optimizer.weight_decay
        if not decay:
            return ratio
        weights = self.model.trainable_variables
        with self.trial_of(1.0):
            before = [part.numpy() for part in weights]
            self.one_step(self.batches[0], "looking at the penalty")
            after = [part.numpy() for part in weights]
        shrinks = [self.peak * decay * part for part in before]
        moves = [
            new - old + shrink
            for new, old, shrink in zip(after, before, shrinks, strict=True)
        ]
        learned = _length(moves)
        return max(ratio, _length(shrinks) / learned if learned else 0.0)

    @contextmanager
    def trial_of(self, factor: float, alone: bool = False) -> Iterator[None]:
        """Whatever steps are made inside, at a multiple of the rate or by Adam,
        all comes back.
        """
        optimizer, step = self.optimizer, self.step
        with _untouched(self.model, _leaves(self.model), None, self.loss_fn) as before:
            if alone:
                self.optimizer = keras.optimizers.Adam(factor)
                self.optimizer.build(self.model.trainable_variables)
                self.step = self.eagerly
            else:
                before.look([("optimizer", optimizer)])
                optimizer.learning_rate = self.peak * factor
            try:
                yield
            finally:
                self.optimizer, self.step = optimizer, step

    def one_step(self, batch: Any, doing: str) -> float:
        self.clock.tick(1, doing)
        try:
            tensors = (tree.map_structure(_tensor, part) for part in batch)
            loss, self.output = self.step(*tensors)
            return float(loss)
        except (*_FAILURES, tf.errors.OpError) as error:
            raise _Failed from error

    def run(self, factor: float, steps: int, alone: bool) -> list[float]:
        """The losses of a trial."""
        first = not self.probe.trials
        doing = f"rate x {factor:g}" + (" on one batch" if alone else "")
        found = list[float]()
        weights = self.model.trainable_variables
        with self.trial_of(factor, alone):
            before = [part.numpy() for part in weights]
            for place in range(steps):
                batch = self.batches[0 if alone else place % len(self.batches)]
                try:
                    found.append(self.one_step(batch, doing))
                except _Failed:
                    if first and not self.ran_away(batch):
                        raise
                    found.append(math.inf)
                    break
                if first and not math.isfinite(found[-1]):
                    self.probe.zeros = self.log_of_zero(batch[1], len(found))
                if self.clock.stopped or not math.isfinite(found[-1]):
                    break
                if first and len(found) == self.probe.own:
                    self.rate()
            moves = [
                part.numpy() - old for part, old in zip(weights, before, strict=True)
            ]
            self.probe.moved.append(_length(moves) / max(_length(before), 1e-30))
        return found

    def ran_away(self, batch: Any) -> bool:
        """Does the model return numbers that are none? Losses and operations
        may refuse them.
        """
        parts = [*self.model.trainable_variables]
        with suppress(*_FAILURES, tf.errors.OpError):
            parts += tree.flatten(self.called(batch, True))
        return not all(np.isfinite(_numbers(part)).all() for part in parts)

    def log_of_zero(self, targets: Any, step: int) -> str:
        """Evidence that the last step took the logarithm of a 0."""
        evidence = ""

        def loss(values: np.ndarray) -> float:
            return _mean(self.loss_fn, targets, tf.cast(values, self.output.dtype))

        with suppress(*_FAILURES, tf.errors.OpError):
            if self.loss_fn is not None and tf.is_tensor(self.output):
                evidence = _log_of_zero(_numbers(self.output), loss, step)
        return evidence

    def rate(self) -> None:
        """Loss and accuracy of some examples, in both modes, unless the loss is
        known to a train_step alone."""
        if self.own and not self.facts:
            return
        count = _count(tree.flatten(self.batches[0])[0])
        some = self.batches[: max(1, LOOKED_AT // max(count, 1))]
        for training in (False, True):
            values, outputs, targets = self.rated(some, training)
            if not training:
                self.probe.settled = sum(values) / len(values)
            if outputs is not None:
                self.probe.scores.append(_score(self.facts, outputs, targets))

    def rated(self, batches: list[Any], training: bool) -> tuple[list[float], Any, Any]:
        """Losses, and outputs and targets if the loss is known."""
        values, outputs, targets = [], [], []
        for batch in batches:
            self.clock.tick(0.4, "rating")
            output = self.called(batch, training)
            values.append(float(self.losses(batch, output)[0]))
            if self.facts:
                target, output, _ = self.rows(batch, output)
                outputs.append(_numbers(output))
                targets.append(target)
        if len({part.shape[1:] for part in outputs}) != 1:
            return values, None, None
        return values, np.concatenate(outputs), np.concatenate(targets)

    def unrelated(self) -> str:
        """Evidence that labels have nothing to do with inputs."""
        wanted = [self.examples] if self.examples else self.batches
        parts = [[tree.flatten(part)[0] for part in pair[:2]] for pair in wanted]
        if not self.facts or not all(_is_float(part[0]) for part in parts):
            return ""
        if len({(x.shape[1:], y.shape[1:]) for x, y in parts}) > 1:
            return ""
        x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        return _unrelated(y, x)

    def by_heart(self, steps: int, low: float) -> tuple[list[float], str]:
        """The losses of a training on two thirds of the examples, until it is
        as low, and evidence that nothing of it holds for the others."""
        found, evidence = list[float](), ""
        kept, others = self.apart()
        if not kept or not others:
            return found, evidence
        with self.trial_of(1.0):
            while len(found) < steps and not self.clock.stopped:
                found.append(self.one_step(kept[len(found) % len(kept)], "held out"))
                some = found[-len(kept) :]
                if len(some) == len(kept) and sum(some) < low * len(kept):
                    break
            _, outputs, targets = self.rated(others, training=False)
            if outputs is not None:
                evidence = _not_held(self.facts, outputs, targets)
        return found, evidence

    def apart(self) -> tuple[list[Any], list[Any]]:
        """Batches of two thirds of the examples, and of the others."""
        if self.examples is None:
            cut = len(self.batches) * 2 // 3
            return self.batches[:cut], self.batches[cut:]
        size, count = (
            _count(tree.flatten(data)[0]) for data in (self.batches[0], self.examples)
        )
        order, cut = np.random.default_rng(2).permutation(count), count * 2 // 3
        kept, others = (
            [part[start : start + size] for start in range(0, len(part), size)]
            for part in (order[:cut], order[cut : cut + LOOKED_AT])
        )
        kept = [place for place in kept if len(place) == size] or kept
        return tuple(
            [(*_taken(self.examples, place), None) for place in places]
            for places in (kept, others)
        )


def _is_float(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "f"


def _twin(model: keras.Model, planned: int | None) -> tuple[Any, float]:
    """An optimizer with the settings and the state of the model's, whose rate
    can be set, and the highest rate of its schedule.
    """
    own = model.optimizer
    own = getattr(own, "inner_optimizer", own)
    config = own.get_config()
    rate = getattr(own, "_learning_rate", config["learning_rate"])
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        places = np.linspace(0, planned or 10_000, 50).astype(int)
        peak = max(float(rate(int(place))) for place in places)
    else:
        peak = float(own.learning_rate)
    twin = type(own).from_config(config | {"learning_rate": peak})
    twin.build(model.trainable_variables)
    if own.built:
        for new, old in zip(twin.variables, own.variables, strict=False):
            if new.shape == old.shape:
                new.assign(old)
        twin.learning_rate = peak
    return twin, peak


def _tensor(part: Any) -> Any:
    kept = part is None or isinstance(part, _COMPOSITE)
    return part if kept else tf.convert_to_tensor(part)


def _numbers(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _length(parts: list[Any]) -> float:
    arrays = [
        _numbers(tf.convert_to_tensor(part)) for part in parts if part is not None
    ]
    return math.hypot(*(float(np.linalg.norm(part.reshape(-1))) for part in arrays))


def _mean(loss_fn: Any, targets: Any, output: Any) -> float:
    """Of the loss over all its parts that count, however it adds them up."""
    func = getattr(loss_fn, "call", loss_fn)
    targets = tf.cast(_widened(targets, output.shape), output.dtype)
    parts = func(targets, output)
    # The one that Keras leaves on a loss with a class that is ignored.
    counted = getattr(parts, "_keras_mask", None)
    if counted is not None:
        parts = tf.boolean_mask(parts, counted)
    return float(tf.reduce_mean(parts))


def _widened(targets: Any, shape: Any) -> Any:
    """With an axis of length one, as the model has it: a compiled loss adds
    it."""
    if len(shape) == len(targets.shape) + 1 and shape[-1] == 1:
        return targets[..., None]
    return targets


def _value(
    mean: Any,
    config: dict[str, Any],
    kind: str,
    unit: float,
    answer: np.ndarray,
    targets: np.ndarray,
) -> float:
    """The loss of an answer, a probability for a cross-entropy."""
    if kind in ("classes", "binary") and config.get("from_logits"):
        kept = np.clip(answer, 1e-9, 1 - 1e-9)
        answer = np.log(kept) - (np.log1p(-kept) if kind == "binary" else 0.0)
    return unit * mean(targets, tf.convert_to_tensor(answer))


def _stacks(leaves: list[keras.Layer]) -> list[str]:
    """Pairs of dense layers of which the second one reads the first one alone,
    and which are no bottleneck.
    """
    found = []
    for layer in leaves:
        before = _read(layer) if isinstance(layer, layers.Dense) else None
        while isinstance(before, _BETWEEN) and len(before._outbound_nodes) == 1:
            before = _read(before)
        if (
            isinstance(before, layers.Dense)
            and before.activation is keras.activations.linear
            and len(before._outbound_nodes) == 1
            and layer.kernel.shape[0] == before.units
            and before.units >= min(before.kernel.shape[0], layer.units)
        ):
            found.append(f"{before.name} and {layer.name}")
    return found


def _read(layer: keras.Layer) -> Any:
    """The layer whose output is this one's only input, in a functional
    model."""
    nodes = layer._inbound_nodes
    if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
        return None
    return nodes[0].input_tensors[0]._keras_history.operation


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(512, 20)).astype("float32")
    labels = inputs[:, 0] + inputs[:, 1] > 0
    network = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, "relu"),
            layers.Dense(1, "sigmoid"),
        ]
    )
    slow = keras.optimizers.SGD(1e-3)
    network.compile(slow, "binary_crossentropy")
    pair = inputs, labels.astype("float32")
    print(diagnose(network, *pair, batch_size=32, epochs=10))
