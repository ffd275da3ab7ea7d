"""Diagnose my training: what check_model sees, what the loss, the targets and
the optimizer say, and some dozen steps on trial.

    # for inputs, targets in batches: loss_fn(model(inputs), targets)
    data = (x, y)
    report = diagnose(model, data, loss_fn, optimizer, batch_size=32, epochs=10)
    # batches of a DataLoader
    report = diagnose(model, loader, loss_fn, optimizer, epochs=10)
    print(report)

Put check_model_pytorch.py beside this file. Model and optimizer are afterwards
what they were, also after an error or Ctrl-C: parameters, buffers, gradients,
state and rates of the optimizer, mode, random states. All trials together cost
at most some 400 steps.

    rate-too-high      a tenth of the rate gets below 0.7 of the loss
    steps-too-short    ten times the rate does, and rate * steps are too few

Source: the faults are those of the benchmarks of DeepFD (Cao et al., 2022) and
of Humbatova et al. (2025); the first look at a single batch is Karpathy's, "A
Recipe for Training Neural Networks" (2019).
"""

# Made of the parts in diagnose_source/: change those, then run bundle.py.

import math
import random
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset, IterableDataset

if __package__:
    from .check_model_pytorch import (
        ADVICE,
        Finding,
        ModelReport,
        _batches_of,
        _called,
        _Cuts,
        _is_mask,
        _maker,
        _own_loss,
        _plain,
        _tensors,
        _untouched,
        check_model,
    )
else:
    from check_model_pytorch import (
        ADVICE,
        Finding,
        ModelReport,
        _batches_of,
        _called,
        _Cuts,
        _is_mask,
        _maker,
        _own_loss,
        _plain,
        _tensors,
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
    model: nn.Module,
    data: Any,
    loss_fn: Callable[[Any, Any], Tensor] | None,
    optimizer: torch.optim.Optimizer,
    *,
    batch_size: int | None = None,
    epochs: int | None = None,
    max_norm: float | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Say what keeps `model` from learning `data` with this loss and optimizer.

    `data` is a pair `(x, y)` of all examples, where each may be a tensor, or a
    tuple or dict of tensors; or a `DataLoader`, or a `Dataset`. A batch of it
    is used as in `check_model`: `loss_fn(model(inputs), targets)`, and without
    `loss_fn` the loss is the `loss` of `model(**batch)`. `batch_size` belongs
    to pairs and datasets, `epochs` is the length of the training (without it,
    nothing is said of the length), and `max_norm` that of
    `clip_grad_norm_`, if the training clips. Of a learning rate with a schedule
    the highest one is tried. Batches are moved to the device of the model.
    Ctrl-C ends the trials, and the report says what is known.

    Raises ValueError for an argument that is not what it should be. A model
    that fails on its data is a finding.
    """
    _check_arguments(model, data, loss_fn, optimizer, batch_size, epochs, max_norm)
    trains = model.training
    with _Clock(progress) as clock, _untouched(model, None, loss_fn):
        model.train()
        device = next(model.parameters()).device
        batches, per_epoch, examples = _batches(data, batch_size, device)
        planned = None if epochs is None or per_epoch is None else epochs * per_epoch
        training = _Training(
            clock,
            planned,
            model,
            loss_fn,
            optimizer,
            max_norm,
            batches,
            examples,
        )
        if not trains:
            evidence = "model.training is False; the trials are made in training mode"
            training.found.append(_found("evaluation-mode", evidence))
        return training.diagnosis()


def _check_arguments(
    model: Any,
    data: Any,
    loss_fn: Any,
    optimizer: Any,
    batch_size: Any,
    epochs: Any,
    max_norm: Any,
) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    parts = list(model.parameters())
    if not parts or any(
        isinstance(part, nn.parameter.UninitializedParameter) for part in parts
    ):
        raise ValueError(
            f"model must have parameters (run a lazy model once before), got {type(model).__name__}"
        )
    if isinstance(loss_fn, type) or not (loss_fn is None or callable(loss_fn)):
        raise ValueError(
            f"loss_fn must be a function or an instance such as nn.MSELoss(), got {loss_fn!r}"
        )
    if not hasattr(optimizer, "param_groups"):
        raise ValueError(
            f"optimizer must be a torch optimizer, got {type(optimizer).__name__}"
        )
    own = {id(weight) for weight in model.parameters()}
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    if not any(id(weight) in own for weight in held):
        raise ValueError(
            f"optimizer must hold parameters of the model, got {len(held)} others: make it after the model"
        )
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm!r}")
    loader = isinstance(data, DataLoader)
    if loader and batch_size is not None:
        raise ValueError(
            f"batch_size must be left to the DataLoader, got {batch_size!r}"
        )
    if not loader and batch_size is None:
        raise ValueError("batch_size must be given for data that is no DataLoader")
    if loader or isinstance(data, Dataset):
        return
    if not (isinstance(data, tuple | list) and len(data) == 2):
        got = (
            f"{len(data)} items"
            if isinstance(data, tuple | list)
            else type(data).__name__
        )
        raise ValueError(
            f"data must be a pair (x, y), a Dataset or a DataLoader, got {got}"
        )
    sizes = [len(part) if part.dim() else 0 for part in _tensors(data)]
    if len(sizes) < 2:
        got = " and ".join(type(part).__name__ for part in data)
        raise ValueError(
            f"data must hold tensors, torch.as_tensor(values) of an array, got {got}"
        )
    if len(set(sizes)) > 1 or not sizes[0]:
        raise ValueError(
            f"data must hold an example at least, and as many inputs as targets, got {sizes}"
        )


def _batches(
    data: Any, batch_size: int | None, device: torch.device
) -> tuple[list[Callable[[], Any]], int | None, Any]:
    """Up to STEPS batches, the number of them in an epoch, and all examples as
    a pair, if they are at hand.
    """
    if isinstance(data, Dataset) and not isinstance(data, DataLoader):
        shuffled = not isinstance(data, IterableDataset)
        data = DataLoader(data, batch_size, shuffle=shuffled)
    if isinstance(data, DataLoader):
        try:
            per_epoch = len(data)
        except TypeError:  # of a stream
            per_epoch = None
        held = list(_held(data))
        if not held:
            raise ValueError("data must hold a batch at least, got an empty loader")
        return [partial(_moved, batch, device) for batch in held], per_epoch, None
    count = len(next(_tensors(data)))
    draw, places = np.random.default_rng(1), []
    while len(places) < STEPS:
        order = torch.as_tensor(draw.permutation(count))
        # A rest of one example is more than batch normalization can bear.
        parts = [part for part in order.split(batch_size) if len(part) == batch_size]
        places += parts or [order]
    return (
        [lambda place=place: _moved(_taken(data, place), device) for place in places],
        -(-count // batch_size),
        data,
    )


def _held(loader: DataLoader[Any]) -> Iterator[Any]:
    """The first batches of a loader."""
    held, batches = 0, _batches_of(loader)
    try:
        for count, batch in enumerate(batches):
            held += sum(part.numel() * part.element_size() for part in _tensors(batch))
            if count and (count >= STEPS or held > HELD):
                return
            yield batch
    finally:
        batches.close()


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure, its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_mapped(part, change) for part in value]
    return value


def _moved(batch: Any, device: torch.device) -> Any:
    return _mapped(batch, lambda part: part.to(device))


def _taken(data: Any, place: Tensor) -> Any:
    return _mapped(data, lambda part: part[place.to(part.device)])


@dataclass
class _Call:
    """Of a loss of torch."""

    func: Any
    output: Tensor
    target: Tensor
    settings: dict[str, Any]
    result: Any = None
    """None if it failed."""


class _Losses(TorchFunctionMode):
    """The losses of torch that a loss calls, and what it gives them."""

    def __init__(self, cuts: _Cuts) -> None:
        super().__init__()
        self.cuts = cuts
        self.calls: list[_Call] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name, place = getattr(func, "__name__", ""), getattr(func, "__module__", "")
        known = name in _KINDS and place == "torch.nn.functional"
        if known:
            self.calls.append(_Call(func, *args[:2], kwargs))
        result = func(*args, **kwargs)
        if known:
            self.calls[-1].result = result
        self.cuts.look(name, result, [*args, *kwargs.values()])
        return result


_KINDS = {
    "cross_entropy": "labels",
    "nll_loss": "labels",
    "binary_cross_entropy": "binary",
    "binary_cross_entropy_with_logits": "binary",
    "mse_loss": "squared",
    "l1_loss": "absolute",
    "smooth_l1_loss": "other",
    "huber_loss": "other",
    "multi_margin_loss": "hinge",
    "hinge_embedding_loss": "hinge",
}


class _Training(_Program):
    """How they make a step in PyTorch."""

    def __init__(
        self,
        clock: _Clock,
        planned: int | None,
        model: nn.Module,
        loss_fn: Any,
        optimizer: Any,
        max_norm: float | None,
        batches: list[Any],
        examples: Any,
    ) -> None:
        super().__init__(clock, planned)
        self.model, self.loss_fn = model, loss_fn
        self.optimizer, self.max_norm = optimizer, max_norm
        self.batches, self.examples = batches, examples
        self.output: Any = None
        """Of the last step."""
        self.weighted = False
        """The loss adds up what a loss of torch gives for each example."""
        self.cuts = _Cuts()
        self.reached = set[int]()
        """Weights that get a gradient, by identity."""
        self.terms: list[tuple[str, set[int]]] = []
        """Of the loss: what made each, and the weights that it reaches."""

    def judge_optimizer(self) -> list[Finding]:
        """Weights that get a gradient, and are in no group of the optimizer.

        Whole parts may be meant: another optimizer trains them, or they stay.
        """
        own = dict(self.model.named_parameters())
        held = [
            part for group in self.optimizer.param_groups for part in group["params"]
        ]
        known = {id(part) for part in held}
        strays = {
            name: part
            for name, part in own.items()
            if id(part) not in known and id(part) in self.reached
        }
        if not strays:
            return []
        part_of = _part_of(self.model)
        trained = {part_of(name) for name, part in own.items() if id(part) in known}
        # A layer that was replaced is still in the optimizer.
        ours = {id(part) for part in own.values()}
        widths = {
            part.shape[1:] for part in held if id(part) not in ours and part.dim() > 1
        }
        replaced = any(
            part.shape[1:] in widths for part in strays.values() if part.dim() > 1
        )
        split = any(part_of(name) in trained for name in strays)
        evidence = f"{len(strays)} weights in no group of the optimizer"
        if replaced:
            evidence += (
                ", which holds weights of the same width that are not the model's"
            )
        code = "not-in-optimizer" if split or replaced else "part-not-in-optimizer"
        found = [_found(code, evidence, *strays)]
        names = {id(part): name for name, part in own.items()}
        some = any(known & reached for _, reached in self.terms)
        for maker, reached in self.terms if some else ():
            others = [names[part] for part in names if part in reached]
            if others and not known & reached:
                what = f"{maker} reaches {len(others)} weights, 0 of the optimizer's"
                found.append(_found("idle-term", what, *others))
        return found

    def held(self) -> list[Tensor]:
        """The weights of the model that the optimizer trains."""
        groups = self.optimizer.param_groups
        known = {id(part) for group in groups for part in group["params"]}
        return [
            part
            for part in self.model.parameters()
            if part.requires_grad and id(part) in known
        ]

    def is_trained(self, name: str) -> bool:
        known = {id(part) for part in self.held()}
        layer = dict(self.model.named_modules()).get(name, self.model)
        return any(id(part) in known for part in layer.parameters())

    def checked(self) -> ModelReport:
        batch, some = self.batches[0](), self.some_examples()
        if len(next(_tensors(some))) != len(next(_tensors(batch))):
            # Some models take batches of one size alone.
            with suppress(ValueError):
                return check_model(self.model, some, self.loss_fn)
        return check_model(self.model, batch, self.loss_fn)

    def some_examples(self) -> Any:
        """A batch as the training draws it, but not a small one."""
        batch = self.batches[0]()
        if self.examples is None or len(next(_tensors(batch))) >= 32:
            return batch
        count = len(next(_tensors(self.examples)))
        order = np.random.default_rng(0).permutation(count)[:32]
        device = next(self.model.parameters()).device
        return _moved(_taken(self.examples, torch.as_tensor(order)), device)

    def both(self, batch: Any) -> tuple[Any, Tensor]:
        """Output and loss."""
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        inputs, targets = batch if pair else (batch, batch)
        output = _called(self.model, inputs)
        if self.loss_fn is None:
            return output, _own_loss(output)
        return output, _own_loss(self.loss_fn(output, targets))

    def watched(self, batch: Any) -> tuple[Any, _Call | None, Any]:
        """Output and loss, the one call of a loss of torch in it, and what
        failed.
        """
        both, failure = (None, None), None
        with _Losses(self.cuts) as seen:
            try:
                both = self.both(batch)
            except _FAILURES as error:
                failure = error
        return both, seen.calls[0] if len(seen.calls) == 1 else None, failure

    def find_facts(self) -> Tensor | None:
        """Fill `facts`; return the loss of a batch, with its graph."""
        self.clock.tick(1, "looking at the loss")
        batch = self.batches[0]()
        with _untouched(self.model, None, self.loss_fn):
            (_, value), call, failure = self.watched(batch)
        if call:
            self.facts = self.facts_of(call, batch, value)
        if isinstance(value, Tensor):
            self.reached = _reached(value.grad_fn)
            self.terms = [
                (type(term).__name__.partition("Backward")[0], _reached(term))
                for term in _terms(value.grad_fn)
            ]
        if failure:
            raise _Failed from failure
        return value

    def facts_of(self, call: _Call, batch: Any, value: Tensor | None) -> _Facts:
        func, settings, kind = call.func, call.settings, _kind(call)
        counts = _counts(call, value)
        self.weighted = counts is not None
        if counts is not None:
            output, targets = _rows(call, counts)
            parts = [targets, *(part for _, part in self.more_rows())]
            same = [part for part in parts if part.shape[1:] == targets.shape[1:]]
            targets = torch.cat(same)
        else:
            output, targets = call.output, self.all_targets(call.target, batch)
            if kind == "classes" or (kind != "labels" and _adds_up(output)):
                targets = _last(targets)
            if kind in ("labels", "classes") or _adds_up(output):
                output = _last(output)
        if kind == "labels":
            targets = targets[targets != settings.get("ignore_index", -100)]
        weights = settings.get("pos_weight" if kind == "binary" else "weight")
        unit = self.unit(call, value)
        return _Facts(
            kind=kind,
            logits=func.__name__
            in ("cross_entropy", "binary_cross_entropy_with_logits"),
            maker=_maker(call.output),
            output=_numbers(output),
            targets=_numbers(targets),
            value=unit and partial(_value, func, settings, kind, unit),
            weights=None if weights is None else _numbers(weights),
            smoothing=settings.get("label_smoothing", 0.0) if kind == "labels" else 0.0,
            unit=unit or 1.0,
            sums=settings.get("reduction") == "sum",
            ignored=settings.get("ignore_index", -100) if kind == "labels" else None,
        )

    def more_rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Of some further batches, the rows that count."""
        for make in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with _untouched(self.model, None, self.loss_fn):
                (_, value), call, _ = self.watched(make())
            if call is not None:
                yield _rows(call, _counts(call, value))

    def all_targets(self, target: Tensor, batch: Any) -> Tensor:
        """As the loss reads them: of all examples if it reads them as they are,
        else of some batches.
        """
        if self.examples is not None and isinstance(self.examples[1], Tensor):
            same = batch[1].numel() == target.numel()
            if same and torch.equal(batch[1].reshape(-1), target.reshape(-1)):
                return self.examples[1].reshape(-1, *target.shape[1:])
        parts = [target]
        for make in self.batches[1:8]:
            self.clock.tick(0.4, "looking at the targets")
            with torch.no_grad(), _untouched(self.model, None, self.loss_fn):
                _, call, _ = self.watched(make())
            if call and call.target.shape[1:] == target.shape[1:]:
                parts.append(call.target)
        return torch.cat(parts)

    def unit(self, call: Any, value: Any) -> float | None:
        """The loss over the mean of its one part, None if there is more to
        it."""
        units = []
        for make in self.batches[:2]:
            if units:
                self.clock.tick(0.4, "looking at the loss")
                with (
                    torch.set_grad_enabled(self.weighted),
                    _untouched(self.model, None, self.loss_fn),
                ):
                    (_, value), call, _ = self.watched(make())
            if call is None or not isinstance(value, Tensor) or value.numel() != 1:
                return None
            counts = _counts(call, value)
            if counts is None:
                settings = {**call.settings, "reduction": "mean"}
                mean = call.func(call.output, call.target, **settings).item()
            else:
                mean = ((counts * call.result).sum() / counts.sum()).item()
            units.append(value.item() / mean if mean else math.nan)
        return units[0] if math.isclose(units[0], units[-1], rel_tol=1e-3) else None

    def looks(self, value: Tensor | None) -> _Looks:
        inputs = list(_tensors(self.examples[0])) if self.examples else []
        graph = value.grad_fn if isinstance(value, Tensor) else None
        return _Looks(
            inputs=[
                _numbers(part)
                for part in inputs
                if part.is_floating_point() and not _is_mask(part)
            ],
            normalized=_is_norm(
                next(
                    part
                    for part in self.model.modules()
                    if next(part.parameters(recurse=False), None) is not None
                )
            ),
            stacks=_stacks(graph, self.model, self.cuts),
            drops=[
                (name, part.p)
                for name, part in self.model.named_modules()
                if isinstance(part, nn.modules.dropout._DropoutNd)
            ],
            penalty=0.0 if graph is None else self.penalty(),
        )

    def penalty(self) -> float:
        """What weight decay does in the first step over what the loss does."""
        groups = self.optimizer.param_groups
        if not any(group.get("weight_decay") for group in groups):
            return 0.0
        moves = []
        for kept in (0, 1):
            with self.trial_of(1.0):
                for group in groups:
                    group["weight_decay"] *= kept
                weights = [weight for group in groups for weight in group["params"]]
                before = [weight.detach().clone() for weight in weights]
                self.step(self.batches[0], "looking at the penalty", self.optimizer)
                moves.append(
                    [
                        new.detach() - old
                        for new, old in zip(weights, before, strict=True)
                    ]
                )
        learned = _length(moves[0])
        shrunk = _length([one - other for one, other in zip(*moves, strict=True)])
        return shrunk / learned if learned else 0.0

    @contextmanager
    def trial_of(self, factor: float) -> Iterator[None]:
        """Whatever steps are made inside, at a multiple of the rate, all comes
        back.
        """
        groups = self.optimizer.param_groups
        with _untouched(self.model, None, self.loss_fn) as before:
            before.owned |= {
                id(part) for part in _tensors([*self.optimizer.state.values()])
            }
            before.owned |= {id(part) for group in groups for part in group["params"]}
            before.look([("optimizer", self.optimizer)])
            torch.manual_seed(0)
            random.seed(0)
            np.random.seed(0)
            for group in groups:
                # With a schedule, the rate may be low only now.
                peak = [group.get(name) or 0.0 for name in _RATES]
                group["lr"] = max(peak) * factor
            yield

    def step(
        self, make: Callable[[], Any], doing: str, optimizer: torch.optim.Optimizer
    ) -> float:
        """One step of the optimizer; the loss before it."""
        batch, losses = make(), list[float]()

        def closure() -> Tensor:
            self.clock.tick(1, doing)
            optimizer.zero_grad()
            output, value = self.both(batch)
            if not losses:
                self.output = output
            value.backward()
            if self.max_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
            losses.append(value.item())
            return value

        try:
            optimizer.step(closure)
        except _FAILURES as error:
            raise _Failed from error
        return losses[0]

    def run(self, factor: float, steps: int, alone: bool) -> list[float]:
        """The losses of a trial."""
        first = not self.probe.trials
        doing = f"rate x {factor:g}" + (" on one batch" if alone else "")
        losses = list[float]()
        with self.trial_of(1.0 if alone else factor):
            weights = self.held()
            optimizer = torch.optim.Adam(weights, factor) if alone else self.optimizer
            before = [weight.detach().clone() for weight in weights]
            enough = self.clock.spent + steps
            # An optimizer may need the loss several times in a step.
            while self.clock.spent < enough and not self.clock.stopped:
                place = 0 if alone else len(losses) % len(self.batches)
                try:
                    losses.append(self.step(self.batches[place], doing, optimizer))
                except _Failed:
                    if first and not self.ran_away(self.batches[place]):
                        raise
                    losses.append(math.inf)
                    break
                if not math.isfinite(losses[-1]):
                    if first:
                        self.probe.zeros = self.log_of_zero(place, len(losses))
                    break
                if first and len(losses) == self.probe.own:
                    enough += self.rate()
            moves = [
                new.detach() - old for new, old in zip(weights, before, strict=True)
            ]
            self.probe.moved.append(_length(moves) / max(_length(before), 1e-30))
        return losses

    def ran_away(self, make: Callable[[], Any]) -> bool:
        """Does the model return numbers that are none? Losses and distributions
        may refuse them.
        """
        batch, parts = make(), [*self.held()]
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        with torch.no_grad(), suppress(*_FAILURES):
            parts += _tensors(_called(self.model, batch[0] if pair else batch))
        return not all(bool(part.isfinite().all()) for part in parts)

    def log_of_zero(self, place: int, step: int) -> str:
        """Evidence that the last step took the logarithm of a 0."""
        batch, output = self.batches[place](), self.output
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        evidence = ""

        def loss(values: np.ndarray) -> float:
            given = torch.as_tensor(values, dtype=output.dtype, device=output.device)
            return float(self.loss_fn(given, batch[1] if pair else batch))

        with torch.no_grad(), suppress(*_FAILURES):
            if self.loss_fn is not None and isinstance(output, Tensor):
                evidence = _log_of_zero(_numbers(output), loss, step)
        return evidence

    def rate(self) -> float:
        """Fill in loss and accuracy of some examples, in both modes; return
        what it cost."""
        spent = self.clock.spent
        count = len(next(_tensors(self.batches[0]()), ()))
        some = self.batches[: max(1, LOOKED_AT // max(count, 1))]
        for training in (False, True):
            rated = self.rated(some, training)
            if rated is None:
                # A forward pass with gradients inside needs them here too.
                break
            values, outputs, targets = rated
            if not training:
                self.probe.settled = sum(values) / len(values)
            if outputs is not None:
                self.probe.scores.append(_score(self.facts, outputs, targets))
        return self.clock.spent - spent

    def rated(
        self, batches: list[Callable[[], Any]], training: bool
    ) -> tuple[list[float], Any, Any] | None:
        """Losses, and outputs and targets if the loss is known; None if it
        fails."""
        values, outputs, targets = [], [], []
        for make in batches:
            self.clock.tick(0.4, "rating")
            self.model.train(training)
            with torch.set_grad_enabled(self.weighted):
                (output, value), call, failure = self.watched(make())
            if failure:
                return None
            values.append(value.item())
            if call and self.facts:
                counts = _counts(call, value)
                # The sign of an output may be turned in the loss.
                if isinstance(output, Tensor) and output.shape == call.output.shape:
                    call.output = output
                output, target = _rows(call, counts)
                outputs.append(output.detach())
                targets.append(target)
        if len({part.shape[1:] for part in outputs}) != 1:
            return values, None, None
        return values, _numbers(torch.cat(outputs)), _numbers(torch.cat(targets))

    def unrelated(self) -> str:
        """Evidence that labels have nothing to do with inputs."""
        pairs = [self.examples] if self.examples else [make() for make in self.batches]
        if not self.facts or any(
            not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs
        ):
            return ""
        parts = [[next(_tensors(part), None) for part in pair] for pair in pairs]
        if (
            len(
                {
                    tuple(one is not None and one.shape[1:] for one in part)
                    for part in parts
                }
            )
            > 1
        ):
            return ""
        x, y = (torch.cat(part) for part in zip(*parts, strict=True))
        return _unrelated(_numbers(y), _numbers(x))

    def by_heart(self, steps: int, low: float) -> tuple[list[float], str]:
        """The losses of a training on two thirds of the examples, until it is
        as low, and evidence that nothing of it holds for the others."""
        losses, evidence = list[float](), ""
        kept, others = self.apart()
        if not kept or not others:
            return losses, evidence
        with self.trial_of(1.0):
            while len(losses) < steps and not self.clock.stopped:
                make = kept[len(losses) % len(kept)]
                losses.append(self.step(make, "some held out", self.optimizer))
                some = losses[-len(kept) :]
                if len(some) == len(kept) and sum(some) < low * len(kept):
                    break
            rated = self.rated(others, training=False)
            if rated and rated[1] is not None:
                evidence = _not_held(self.facts, *rated[1:])
        return losses, evidence

    def apart(self) -> tuple[list[Any], list[Any]]:
        """Batches of two thirds of the examples, and of the others."""
        if self.examples is None:
            cut = len(self.batches) * 2 // 3
            return self.batches[:cut], self.batches[cut:]
        count = len(next(_tensors(self.examples)))
        size = len(next(_tensors(self.batches[0]())))
        order = torch.as_tensor(np.random.default_rng(2).permutation(count))
        cut, device = count * 2 // 3, next(self.model.parameters()).device
        return tuple(
            [
                lambda place=place: _moved(_taken(self.examples, place), device)
                for place in part.split(size)
                if len(place) == min(size, len(part))
            ]
            for part in (order[:cut], order[cut : cut + LOOKED_AT])
        )


_RATES = ("lr", "initial_lr", "max_lr")


def _numbers(tensor: Tensor) -> np.ndarray:
    tensor = _plain(tensor).cpu()
    return (
        tensor.numpy() if tensor.dtype is not torch.bfloat16 else tensor.float().numpy()
    )


def _last(tensor: Tensor) -> Tensor:
    """Classes last, which a cross-entropy has second."""
    return tensor.movedim(1, -1) if tensor.dim() > 1 else tensor


def _kind(call: _Call) -> str:
    """As `_Facts` has it."""
    kind = _KINDS[call.func.__name__]
    soft = kind == "labels" and call.target.is_floating_point()
    return "classes" if soft else kind


def _counts(call: _Call, value: Any) -> Tensor | None:
    """Of what a loss gives for each example, or for each step of it, how much
    it counts in the whole: 0 where a mask leaves it out. None if all count
    alike, or if there is more to the loss.
    """
    parts = call.result
    scalar = isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad
    if not scalar or parts is None or not parts.dim() or not parts.requires_grad:
        return None
    (counts,) = torch.autograd.grad(value, parts, retain_graph=True, allow_unused=True)
    if counts is None or bool((counts < 0).any()) or not bool(counts.any()):
        return None
    whole = (counts * parts).sum().item()
    even = bool((counts == counts.flatten()[0]).all())
    if even or not math.isclose(whole, value.item(), rel_tol=1e-3):
        return None
    return counts


def _rows(call: _Call, counts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Output and targets, classes last; each as often as it counts."""
    kind, output, target = _kind(call), call.output, call.target
    if kind in ("labels", "classes"):
        output, target = _last(output), _last(target) if kind == "classes" else target
        if counts is not None:
            output = output.flatten(0, -2)
            target = target.flatten(0, len(counts.shape) - 1)
    elif counts is not None and output.shape == target.shape == counts.shape:
        if output.dim() > 1 and bool((counts == counts[..., :1]).all()):
            output, target = output.flatten(0, -2), target.flatten(0, -2)
            counts = counts[..., 0]
        else:
            output, target = output.reshape(-1, 1), target.reshape(-1, 1)
    else:
        counts = None
    if counts is None:
        return output, target
    places = torch.as_tensor(_as_often(_numbers(counts.flatten())))
    return output[places.to(output.device)], target[places.to(target.device)]


def _adds_up(output: Tensor) -> bool:
    """Pictures of probabilities: of all channels they make 1."""
    if output.dim() < 3 or _maker(output) != "Softmax":
        return False
    return bool(((output.detach().sum(1) - 1).abs() < 1e-2).all())


def _value(
    func: Any,
    settings: dict[str, Any],
    kind: str,
    unit: float,
    answer: np.ndarray,
    targets: np.ndarray,
) -> float:
    """The loss of an answer, a probability for a cross-entropy."""
    given, wanted = torch.tensor(answer), torch.tensor(targets)
    if func.__name__ == "binary_cross_entropy_with_logits":
        given = given.clamp(1e-9, 1 - 1e-9).logit()
    elif kind == "classes":
        given, wanted = (
            given.clamp_min(1e-30).log().movedim(-1, 1),
            wanted.movedim(-1, 1),
        )
    settings = _mapped(settings, lambda part: part.cpu().double())
    return unit * func(given, wanted, **{**settings, "reduction": "mean"}).item()


def _length(tensors: list[Tensor]) -> float:
    return math.hypot(*(torch.linalg.vector_norm(part).item() for part in tensors))


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__


def _part_of(model: nn.Module) -> Callable[[str], str]:
    """Names the part of a model that a weight belongs to: the child that holds
    it. Where one child holds all, it is a wrapper, and its children count.
    """
    names, prefix = [name for name, _ in model.named_parameters()], ""
    while True:
        firsts = {name[len(prefix) :].partition(".")[0] for name in names}
        deeper = f"{prefix}{next(iter(firsts))}."
        if len(firsts) > 1 or not all(name.startswith(deeper) for name in names):
            # Weights that the model holds itself are one part.
            return lambda name: name[len(prefix) :].rpartition(".")[0].partition(".")[0]
        prefix = deeper


def _reached(graph: Any) -> set[int]:
    """The tensors that a backward pass from here gives a gradient, by
    identity."""
    nodes, todo, found = set(), [graph], set[int]()
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        found.add(id(getattr(node, "variable", None)))
        todo += [source for source, _ in node.next_functions]
    return found


def _terms(graph: Any) -> Iterator[Any]:
    """What a loss adds up, without constant factors."""
    todo = [graph]
    while todo:
        node = todo.pop()
        sources = [source for source, _ in getattr(node, "next_functions", ())]
        given = [source for source in sources if source is not None]
        kind = type(node).__name__.partition("Backward")[0]
        scaled = kind in ("Mul", "Div", "Neg") and len(given) == 1
        # Of a stack of losses; what else is reduced is a loss by itself.
        stacked = kind in ("Sum", "Mean") and "Stack" in type(given[0]).__name__
        if scaled or stacked or kind in ("Add", "Sub", "Stack"):
            todo += given
        elif node is not None:
            yield node


_PASSED = (
    "View",
    "UnsafeView",
    "Reshape",
    "NativeDropout",
    "Mul",
    "Squeeze",
    "Unsqueeze",
    "Alias",
    "Clone",
    "ToCopy",
)
"""Operations that leave two linear layers one."""


def _stacks(graph: Any, model: nn.Module, cuts: _Cuts) -> list[str]:
    """Pairs of linear layers of which the second one reads the first one alone,
    and which are no bottleneck.
    """
    named = {
        id(part.weight): (name, part)
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear)
    }
    nodes, todo, readers = set(), [graph], dict[Any, int]()
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        for source, _ in node.next_functions:
            readers[source] = readers.get(source, 0) + 1
            todo.append(source)
    found = {}
    for node in nodes:
        after, source = _linear(node, named)
        while source is not None and readers[source] == 1 and _is_passed(source):
            source = next(one for one, _ in source.next_functions if one is not None)
        before, _ = _linear(source, named)
        if after and before and readers[source] == 1:
            first, second = before[1], after[1]
            through = first.out_features == second.in_features
            # The first of two factors of a matrix has no bias.
            wide = first.out_features >= min(first.in_features, second.out_features)
            # What a loss reads past the graph is a layer of its own.
            alone = through and wide and not cuts.end_at(first.weight)
            if alone and first.bias is not None:
                found[before[0]] = f"{before[0]} and {after[0]}"
    return [found[name] for name, _ in named.values() if name in found]


def _is_passed(node: Any) -> bool:
    sources = [source for source, _ in node.next_functions if source is not None]
    name = type(node).__name__.partition("Backward")[0]
    return name in _PASSED and len(sources) == 1


def _linear(node: Any, named: dict[int, Any]) -> tuple[Any, Any]:
    """The linear layer that a node of the graph is, and what it reads."""
    name = type(node).__name__.partition("Backward")[0]
    if name not in ("Addmm", "Mm"):
        return None, None
    read, weight = [source for source, _ in node.next_functions][-2:]
    while weight is not None and not hasattr(weight, "variable"):
        weight = weight.next_functions[0][0] if weight.next_functions else None
    layer = named.get(id(weight.variable)) if weight is not None else None
    return layer, read if layer else None


if __name__ == "__main__":
    torch.manual_seed(0)
    inputs = torch.randn(512, 20)
    labels = (inputs[:, 0] + inputs[:, 1] > 0).long()
    network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
    slow = torch.optim.SGD(network.parameters(), lr=1e-3)
    pair, loss = (inputs, labels), nn.CrossEntropyLoss()
    print(diagnose(network, pair, loss, slow, batch_size=32, epochs=10))
