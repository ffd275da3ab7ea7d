"""Check my model: one forward and backward pass, a table of every layer, and
what is wrong with it.

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # loss(targets, model(inputs, training=True))
    report = check_model(model, (inputs, targets), loss)
    # the loss that the model was compiled with
    report = check_model(model, (inputs, targets))
    print(report)

The model is afterwards what it was, also after an error: weights, moving
statistics, attributes, seed generators, optimizer and random states. So is the
loss. Needs the TensorFlow backend; the pass runs eagerly.

    gain of a weight = rms(W) * sqrt(fan_in)
        1 Glorot, the default (square), 1.41 He
    factor per layer = 10^(median slope of log10(size) over the layers)
        1 is carried through any depth

Source: Glorot & Bengio (2010), equations 2 to 7, for the signals of a layer;
Schoenholz et al. (2017) for angles.
"""

# Made of the parts in check_model_source/: change those, then run bundle.py.

import html
import math
import random
import re
import statistics
import sys
import textwrap
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import (
    CellType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, losses, tree

# No public name has what these have.
from keras.src import backend
from keras.src.random.seed_generator import global_seed_generator

try:
    import tensorflow as tf

    # No public name has what these have.
    from tensorflow.python.framework import op_callbacks
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{__name__} needs TensorFlow: pip install tensorflow, and set "
        "KERAS_BACKEND=tensorflow before keras is imported"
    ) from error


DECADES = 3.0
"""Powers of ten by which a signal may fall or grow from the first layer to the
last.
"""
STEADY = 0.1
"""A factor this near to 1 per layer is no fault before twice as many decades:
ResNet-152 has 1.05 and trains.
"""
OUTSIDE = 0.05
"""Of the targets: as many may be outliers."""
DEAD, UNITS = 0.75, 32
"""Of a layer's units, if they are 32 or more. Half of them are off where all
inputs look alike to the layer, which alone does no harm; that 25 of 32 are off
by chance has the probability 0.001.
"""
FLAT = 0.1
"""An activation is saturated where its slope is below this part of its largest.
"""
SATURATED = 0.5
"""Of a layer's activations."""
PEAKED = 0.65
"""Mean largest weight of an attention: healthy ones reach 0.5. At 1 a query
reads one key, and the softmax passes no gradient.
"""
ANGLE = 1e-4
"""1 - cosine between the outputs of two examples: below it they are told apart
by their last digits.
"""
ALIKE, SUDDEN = 1e-5, 0.01
"""The output differs by less than this part of its size between examples, and
so does what all layers after one return, before which 1 - cosine is larger than
the second number.
"""
ODD = 30.0
"""A gain this many times the median of the model, or less than a tenth of that
part of it: policies start with a last layer of a hundredth, in others 15 is the
most and a 40th the least.
"""
WILD, FAINT = 1e4, 1e-20
"""Root mean square of weights that nobody has drawn."""
FORGOTTEN = 6.0
"""Powers of ten by which a recurrent layer may fade from its last step to its
first: of what is left, float32 keeps no digit beside the rest.
"""
NOISE = 0.5
"""Of scales of a normalization, |mean| over root mean square: they start at one
number, and numbers drawn around 0 have less.
"""
GAP = 1.5
"""Loss in evaluation mode over that in training mode, on the same batch."""
MIXED = 0.01
"""By which part of its size the output of an example may change with those that
stand beside it.
"""
EXCESS = 2.0
"""Nats above ln(classes): Gaussian logits of standard deviation s lie about s^2
/ 2 above, and s = 1 is usual.
"""
UNEQUAL, COLUMNS = 30.0, 16
"""Standard deviations of targets that are learned together, the largest over
the smallest: at 10, 400 steps leave a third to nearly all of the smaller one
unlearned, at 30 three quarters or more. Of targets with more columns, those of
an image or a spectrum, nothing is said.
"""
SAME = 1e-3
"""Part by which the lengths of rows may differ that were normalized to one:
those of random logits differ by more, also of 50,000 classes.
"""
LEVEL, DIGITS = 0.1, 1e-3
"""Slope of a loss at a constant answer over that at the output, where it is
least; and the part of a loss by which it is less there. A hundredth of that
part is rounding.
"""
NUMBERS = 2**22
"""Of the output: larger ones are not answered for."""
FEW = 8
"""Examples, below which a mean says nothing of a loss."""
INPUT = 20.0
"""Root mean square: standardized inputs have 1, pixels from 0 to 255 about 130.
"""
SAMPLES = 2**14
"""Entries of a tensor that its statistics are taken from: an error of 1 % in
the standard deviation.
"""
ROOM = 2**26
"""Bytes for copies of what is neither parameter nor buffer, such as data that a
model holds; as many as the parameters have, if that is more.
"""


class LayerReport(NamedTuple):
    """One run of one layer that holds weights of two or more dimensions; None
    where a number does not exist.
    """

    name: str
    """Its path in the model; a layer that runs again has " (2)", " (3)" and so
    on behind it.
    """
    kind: str
    """The class of the layer."""
    shape: tuple[int, ...]
    """Of its output (the first floating tensor in it), before an activation of
    its own.
    """
    mean: float
    std: float
    """Of all entries of the output, which is a preactivation as a rule."""
    non_finite: float
    """Fraction of the output's entries."""
    dead: float | None
    """Fraction of units that the ReLU after this layer sets to zero for every
    example.
    """
    saturated: float | None
    """Fraction of entries of the sigmoid or tanh after this layer where the
    slope is below FLAT of its largest.
    """
    peaked: float | None
    """Mean largest weight of the softmax after this layer, over queries that
    see 8 keys or more.
    """
    cosine: float | None
    """Mean cosine between the outputs of two examples of the batch."""
    gradient: float | None
    """Euclidean norm of dL/d(output)."""
    weight_gradient: float | None
    """Euclidean norm of dL/d(weights), over all uses of them."""
    ratio: float | None
    """That norm divided by the norm of the weights: times the learning rate,
    SGD's relative step.
    """
    gain: float | None
    """rms(W) * sqrt(fan_in), the largest of the layer's weights; an embedding
    has none.
    """


class Finding(NamedTuple):
    """What is wrong, how one sees it, why, and what to do."""

    code: str
    """Stable, for programs: "vanishing-gradient"."""
    level: str
    """"fault": training will suffer. "note": true, worth knowing, and fine if
    it is meant.
    """
    layers: tuple[str, ...]
    """Where, in the order of the forward pass; empty if it concerns the whole
    model.
    """
    symptom: str
    evidence: str
    """The numbers, beside the threshold."""
    cause: str
    cure: str
    link: str
    """Page and section of the site, below its address."""
    also: tuple[str, ...] = ()
    """What follows from it and goes away with it: `"<code>: <evidence>"`."""


class ModelReport(NamedTuple):
    """What one pass showed. `print(report)` gives a table of at most 100
    columns.
    """

    model: str
    parameters: int
    trainable: int
    """Number of entries that are trained."""
    loss: float
    """NaN if a finding says why it could not be computed."""
    chance_loss: float | None
    """ln(classes), if the loss is a cross-entropy: what a model that knows
    nothing should reach.
    """
    forward: float | None
    """Factor per layer of the output's root mean square."""
    backward: float | None
    """Factor per layer, towards the input, of the norm of dL/d(output)."""
    depth: int
    """Layers on the longest path from the inputs to the loss, which the factors
    follow.
    """
    layers: tuple[LayerReport, ...]
    """In the order of the forward pass."""
    findings: tuple[Finding, ...]
    """Faults first."""

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, strings and numbers alone."""
        rows = [layer._asdict() | {"shape": list(layer.shape)} for layer in self.layers]
        findings = [
            finding._asdict()
            | {"layers": list(finding.layers), "also": list(finding.also)}
            for finding in self.findings
        ]
        return self._asdict() | {"layers": rows, "findings": findings}

    def __str__(self) -> str:
        chance = "" if self.chance_loss is None else f" (chance {self.chance_loss:.3g})"
        factors = ", ".join(
            f"{direction} {factor:.3g}"
            for direction, factor in (
                ("forward", self.forward),
                ("backward", self.backward),
            )
            if factor is not None
        )
        lines = [
            *_wrapped(
                f"{self.model}: {self.parameters:,} parameters, {self.trainable:,} trained"
            ),
            *_wrapped(
                f"loss {self.loss:.4g}{chance}; factor per layer: {factors or 'none'}"
            ),
            "",
            _line("layer", *_COLUMNS),
            *self._rows(),
            "",
        ]
        for finding in self.findings:
            lines += _wrapped(
                f"{finding.level.upper()} {finding.code}: {finding.symptom}"
            )
            where = f"{_names(finding.layers)}: " if finding.layers else ""
            for word, sentence in (
                ("evidence", where + finding.evidence),
                *(("also seen", also) for also in finding.also),
                ("cause", finding.cause),
                ("cure", finding.cure),
                ("read", finding.link),
            ):
                lines += _wrapped(sentence, f"  {word:10}")
        return "\n".join([*lines, *([] if self.findings else ["No finding."])])

    def _rows(self) -> list[str]:
        """Of a long table the first and the last rows, the extreme ones, and
        some that a finding names.
        """
        kept = set(range(len(self.layers)))
        if len(kept) > _ROWS:
            kept = {
                *range(_ROWS // 2 - 10),
                *range(len(kept) - _ROWS // 2 + 10, len(kept)),
            }
            for finding in self.findings:
                kept |= set(self._places(finding)[:10])
            for column in ("std", "gradient", "ratio", "gain"):
                kept |= _extremes([getattr(layer, column) for layer in self.layers])
        names = _short_names([layer.name for layer in self.layers])
        lines, last = [], -1
        for place in sorted(kept):
            if place > last + 1:
                lines.append(f"... {place - last - 1} more in report.layers")
            lines.append(_row(names[place], self.layers[place]))
            last = place
        return lines

    def _places(self, finding: Finding) -> list[int]:
        """The rows of the layers, or of the weights, that it names."""
        return [
            place
            for place, layer in enumerate(self.layers)
            if any(
                name == layer.name or name.rpartition(mark)[0] == layer.name
                for name in finding.layers
                for mark in "./"
            )
        ]

    def _repr_html_(self) -> str:
        """What a notebook shows: the table whole, the findings above it."""
        text = html.escape
        said = "".join(
            f"<p><b>{finding.level} {text(finding.code)}</b>: {text(finding.symptom)}<br>"
            f"<code>{text(', '.join(finding.layers[:4]))}</code> {text(finding.evidence)}"
            + "".join(f"<br>also seen: {text(also)}" for also in finding.also)
            + f"<br><i>Cause:</i> {text(finding.cause)}<br><i>Cure:</i> {text(finding.cure)}</p>"
            for finding in self.findings
        )
        named = {place for finding in self.findings for place in self._places(finding)}
        rows = "".join(
            f"<tr{' style=font-weight:bold' if place in named else ''}>"
            + "".join(f"<td>{text(cell)}</td>" for cell in (layer.name, *_cells(layer)))
            + "</tr>"
            for place, layer in enumerate(self.layers)
        )
        head = "".join(f"<th>{name}</th>" for name in ("layer", *_COLUMNS))
        chance = "" if self.chance_loss is None else f" (chance {self.chance_loss:.3g})"
        return (
            f"<p>{text(self.model)}: {self.parameters:,} parameters, {self.trainable:,} trained; "
            f"loss {self.loss:.4g}{chance}</p>{said or '<p>No finding.</p>'}"
            f"<div style='max-height:30em;overflow:auto'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )

    def plot(self) -> Any:
        """A matplotlib `Figure`: the output's standard deviation and the
        gradient's norm, layer by layer.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5), layout="constrained")
        panels = figure.subplots(2, sharex=True)
        for panel, what, label in zip(
            panels,
            ("std", "gradient"),
            ("std of output", "|dL/d(output)|"),
            strict=True,
        ):
            panel.plot(
                [getattr(layer, what) or math.nan for layer in self.layers],
                "o-",
                markersize=4,
            )
            panel.set(yscale="log", ylabel=label)
        panels[1].set_xlabel("layer, in the order of the forward pass")
        return figure


_ROWS = 60
_NAME = 28
_COLUMNS = {
    "mean": 9,
    "std": 8,
    "dead": 5,
    "sat": 5,
    "peak": 5,
    "cos": 7,
    "dL/dout": 8,
    "dL/dW": 8,
    "ratio": 8,
    "gain": 8,
}


def _wrapped(text: str, start: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=start,
        subsequent_indent=" " * 12,
        break_on_hyphens=False,
    )


def _line(name: str, *cells: str) -> str:
    return f"{name:{_NAME}}" + "".join(
        f"{cell:>{width}}" for cell, width in zip(cells, _COLUMNS.values(), strict=True)
    )


def _row(name: str, layer: LayerReport) -> str:
    return _line(name, *_cells(layer))


def _cells(layer: LayerReport) -> list[str]:
    percents = (
        "" if value is None else f"{value:.0%}"
        for value in (layer.dead, layer.saturated, layer.peaked)
    )
    cosine = "" if layer.cosine is None else f"{layer.cosine:.3f}"
    sizes = (
        _short(value)
        for value in (layer.gradient, layer.weight_gradient, layer.ratio, layer.gain)
    )
    return [_short(layer.mean), _short(layer.std), *percents, cosine, *sizes]


def _short(value: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:.2g}" if 1e-3 <= abs(value) < 1e4 or not value else f"{value:.1e}"
    return text if len(text.lstrip("-")) < 8 else f"{value:.0e}"


def _short_names(names: list[str]) -> list[str]:
    """Names that fit into the table, each different from the others."""
    short = [_short_name(name) for name in names]
    for place, name in enumerate(short):
        if short.count(name) > 1:
            short[place] = f"{place}: …{names[place][len(f'{place}: …') + 1 - _NAME :]}"
    return short


def _short_name(name: str) -> str:
    # encoder.blocks.12.attention.query becomes e.b.12.attention.query, as far
    # as needed
    mark = "/" if "/" in name else "."
    parts = name.split(mark)
    for place in range(len(parts) - 1):
        if len(mark.join(parts)) >= _NAME and not parts[place].isdigit():
            parts[place] = parts[place][:1]
    name = mark.join(parts)
    return name if len(name) < _NAME else "…" + name[2 - _NAME :]


def _extremes(values: list[float | None]) -> set[int]:
    """The places of the smallest and of the largest number."""
    there = [place for place, value in enumerate(values) if value is not None]
    return (
        {min(there, key=values.__getitem__), max(there, key=values.__getitem__)}
        if there
        else set()
    )


def _names(layers: tuple[str, ...]) -> str:
    return ", ".join(layers[:4]) + (
        f" and {len(layers) - 4} more" if len(layers) > 4 else ""
    )


ADVICE = {
    "non-finite-input": (
        "fault",
        "The batch holds NaN or Inf.",
        "A missing value, a division by zero or a logarithm of zero in the data.",
        "Clean the data: ask isfinite(x).all() of every batch.",
        "chapters/exploding-gradients/#use",
    ),
    "input-scale": (
        "fault",
        "The inputs are far from unit scale.",
        "Raw pixels or raw features: initializers assume inputs with mean 0 and variance 1.",
        "Standardize: x = (x - mean) / std, with the numbers of the training set.",
        "chapters/he-initialization/#why",
    ),
    "index-out-of-range": (
        "fault",
        "An embedding is asked for a row that it does not have.",
        "A vocabulary or a maximal length that is smaller than what the data holds.",
        "Make the table one row longer than the largest index, or cut the inputs.",
        "chapters/weight-initialization/#use",
    ),
    "labels-out-of-range": (
        "fault",
        "A label names a class that the model does not have.",
        "Labels that count from 1, too few outputs, or a padding value that the loss is not told to ignore.",
        "Labels go from 0 to classes - 1: count again, or widen the last layer.",
        "chapters/activation-functions/#use",
    ),
    "blank-among-labels": (
        "fault",
        "A label of a CTC loss is its blank: the loss takes it for nothing said.",
        "Classes that count from 0, which is the blank by default; or padding within the length of the targets.",
        "Count the classes from 1 and give the model one output more; or name another blank (PyTorch: blank=).",
        "toolbox/symptom-finder/#loss",
    ),
    "softmax-before-cross-entropy": (
        "fault",
        "The loss takes logits and gets probabilities.",
        "The loss has a softmax of its own; after a second one the logits can differ by at most 1.",
        "Give the loss the logits: take the last softmax away, and apply it where you need probabilities.",
        "chapters/activation-functions/#use",
    ),
    "sigmoid-before-logits-loss": (
        "fault",
        "The loss takes logits and gets probabilities.",
        "The loss has a sigmoid of its own; after a second one no prediction leaves 0.5 to 0.73.",
        "Give the loss the logits: take the last sigmoid away, and apply it where you need probabilities.",
        "chapters/activation-functions/#use",
    ),
    "tanh-before-loss": (
        "fault",
        "A tanh stands between the last layer and a cross-entropy.",
        "It ends at -1 and 1: as a logit it says 27 % to 73 % at most, and half of what it returns is no probability.",
        "Remove the tanh and give the loss the logits; where the loss takes probabilities, a sigmoid or softmax.",
        "chapters/activation-functions/#use",
    ),
    "sigmoid-before-categorical": (
        "fault",
        "A sigmoid for each class under a loss for exclusive classes.",
        "The loss wants one distribution over the classes; sigmoids give each class a probability of its own.",
        "A softmax over the classes (PyTorch: none, the loss has it); for labels that may be true at once, "
        "binary cross-entropy.",
        "chapters/activation-functions/#use",
    ),
    "targets-outside": (
        "fault",
        "Targets lie outside of what the loss takes.",
        "Labels -1 and 1 under a loss for 0 and 1, or the other way round; class numbers or a regression under "
        "cross-entropy.",
        "Labels as the loss wants them (one-hot for classes); for a regression a squared error, no last activation.",
        "chapters/activation-functions/#use",
    ),
    "swapped-arguments": (
        "fault",
        "The loss gets the targets in place of the output, and the output in place of the targets.",
        "PyTorch's losses take (output, targets), those of Keras (targets, output).",
        "Exchange the two arguments of the loss.",
        "chapters/activation-functions/#use",
    ),
    "index-for-all": (
        "fault",
        "The loss reads the entries of all examples from each example.",
        "output[:, index] with one index an example gives a square: each example with the index of every other one.",
        "One entry of each: output.gather(1, index[:, None])[:, 0] (PyTorch), ops.take_along_axis (Keras).",
        "chapters/weight-initialization/#use",
    ),
    "unshifted-targets": (
        "fault",
        "The targets of a language model are not the next tokens.",
        "Targets that equal the inputs, which the model only has to copy; or a shift in the data, and another in the "
        "model's loss.",
        "inputs = tokens[:, :-1], targets = tokens[:, 1:]; a model of transformers shifts by itself: labels = "
        "input_ids. Of a masked model, the input holds the mask.",
        "toolbox/symptom-finder/#language",
    ),
    "future-visible": (
        "fault",
        "A model that is to predict the next token, or the next value of a series, can see it.",
        "Attention without a causal mask, a mask that points the other way, or a recurrent layer in both directions.",
        "A causal mask: is_causal=True (PyTorch), use_causal_mask=True (Keras); one direction.",
        "toolbox/symptom-finder/#language",
    ),
    "attention-axis": (
        "fault",
        "The weights of an attention do not add up to 1 over what they weigh.",
        "A softmax over the queries, the heads or the batch, where the keys were meant.",
        "A softmax over the last axis, that of the keys, before the product with the values.",
        "chapters/activation-functions/#use",
    ),
    "policy-sign": (
        "note",
        "The loss grows with log-probabilities times weights: training makes what has a positive weight rarer.",
        "A minus that was forgotten in a policy gradient or a likelihood. With costs as weights it is meant.",
        "loss = -(log_probability * advantage).mean().",
        "toolbox/check-my-model/#limits",
    ),
    "divergence-sign": (
        "fault",
        "The KL divergence of the latent variables has a minus: training makes it larger, without limit.",
        "A forgotten minus: 1 + log_var - mean^2 - exp(log_var) is -2 times the divergence.",
        "loss = reconstruction + divergence, divergence = -0.5 * (1 + log_var - mean**2 - exp(log_var)).sum().",
        "toolbox/symptom-finder/#loss",
    ),
    "sample-spread": (
        "note",
        "A sample has another spread than its divergence in the loss counts.",
        "mean + log_var * noise, where an exponential was forgotten; or exp(log_var) * noise, which takes a variance "
        "for a standard deviation.",
        "sample = mean + exp(0.5 * log_var) * noise.",
        "toolbox/symptom-finder/#loss",
    ),
    "constant-is-best": (
        "note",
        "No answer has less loss than one and the same for all examples, and training may go there.",
        "Outputs of one network are compared, and nothing keeps examples apart: a target that is not cut off (SimSiam, "
        "BYOL, a teacher that is trained), or pairs of which none is to differ.",
        "target.detach() (PyTorch), ops.stop_gradient(target) (Keras); pairs that differ; or a term for the spread. "
        "Where another optimizer holds the target, it is cut off already.",
        "toolbox/symptom-finder/#loss",
    ),
    "target-with-gradient": (
        "note",
        "The target of a prediction carries a gradient to the same weights.",
        "A bootstrapped target, reward + discount * value of the next state, or a guessed label that is not cut off.",
        "torch.no_grad() around the target (PyTorch), ops.stop_gradient(target) (Keras). A residual-gradient method "
        "means it, and so does what makes an entropy small.",
        "toolbox/symptom-finder/#loss",
    ),
    "advantage-with-gradient": (
        "note",
        "The weight of a log-probability carries a gradient: the loss of the actor trains the critic.",
        "An advantage, return - value, that is not cut off: it falls where the critic calls good actions no better.",
        "advantage.detach() (PyTorch), ops.stop_gradient(advantage) (Keras); the critic has a loss of its own.",
        "toolbox/symptom-finder/#loss",
    ),
    "poisson-rate": (
        "fault",
        "The Poisson loss takes a rate for its logarithm, or a logarithm for a rate.",
        "nn.PoissonNLLLoss takes the logarithm unless log_input=False; the Poisson loss of Keras takes the rate.",
        "PyTorch: log_input=False for a rate, or no last activation. Keras: softplus or exponential as the last one.",
        "chapters/activation-functions/#use",
    ),
    "overlap-of-logits": (
        "fault",
        "An overlap, such as Dice or IoU, is taken of outputs that may go below 0.",
        "It wants probabilities: the sum of the outputs stands below, and may be 0 or negative.",
        "A sigmoid (one class, or several at once) or a softmax (exclusive classes) before the overlap.",
        "chapters/activation-functions/#use",
    ),
    "relu-before-loss": (
        "fault",
        "The logits pass through a ReLU.",
        "An activation after the last layer: negative logits become 0 and get no gradient.",
        "Remove the activation after the last layer.",
        "chapters/activation-functions/#use",
    ),
    "broadcast-loss": (
        "fault",
        "Output and targets have different shapes, and the loss broadcasts them.",
        "(B, 1) against (B,) compares every prediction with every target.",
        "Give both one shape: output[:, 0], or targets[:, None].",
        "chapters/weight-initialization/#use",
    ),
    "output-range": (
        "fault",
        "The last activation cannot return what the targets ask for.",
        "A ReLU, sigmoid, tanh or softmax after the last layer of a regression.",
        "Remove the last activation, or scale the targets into its range.",
        "chapters/activation-functions/#use",
    ),
    "length-one-axis": (
        "fault",
        "A softmax or a normalization runs over an axis of length one: its result is a constant.",
        "The wrong axis, or a softmax after a single output.",
        "Name the axis of those that compete; a single output takes a sigmoid.",
        "chapters/activation-functions/#use",
    ),
    "unregistered-weights": (
        "fault",
        "Weights take part that are not the model's: no optimizer gets them.",
        "Layers in a plain list or dict, in a closure or Lambda, or made anew in every forward pass.",
        "Make them attributes of the model, in a list of layers that the framework knows.",
        "chapters/weight-initialization/#use",
    ),
    "softmax-over-batch": (
        "fault",
        "A softmax runs over the examples of the batch, which have nothing to do with each other.",
        "Axis 0, or axes that were moved before.",
        "Run it over the axis of the classes or keys, usually the last one.",
        "chapters/activation-functions/#use",
    ),
    "mixed-examples": (
        "fault",
        "What the model says of an example depends on the others of its batch.",
        "A reshape where two axes should be exchanged, or a layer that takes the axis of the batch for that of time.",
        "Exchange axes by transpose or permute, not by reshape; tell recurrent and attention layers the batch's axis.",
        "toolbox/symptom-finder/#flat",
    ),
    "same-output": (
        "fault",
        "The output is the same for every example.",
        "What tells the examples apart ends at one place: a mask that is the wrong way round, so that padding alone "
        "takes part; one index for all; a constant in place of the input.",
        "Print what the named layer reads for two examples, and what the mask lets through: in PyTorch True takes part "
        "in scaled_dot_product_attention, and is left out as key_padding_mask.",
        "toolbox/symptom-finder/#flat",
    ),
    "linear-stack": (
        "fault",
        "No activation stands between layers: together they are one linear layer.",
        "An activation that was forgotten.",
        "Put one between each two layers, such as a ReLU, with the initialization for it.",
        "chapters/activation-functions/#answer",
    ),
    "norm-scale": (
        "fault",
        "The scales of normalization layers are zero, or drawn around zero.",
        "An initializer for weights that ran over all parameters.",
        "Set the scales of all normalization layers to 1, and their biases to 0.",
        "chapters/batch-normalization/#use",
    ),
    "vanishing-through-time": (
        "note",
        "Of the first steps of a sequence, nothing reaches the last output of a recurrent layer.",
        "Every step multiplies the gradient by the recurrent weights, and by forget gates that stand half open.",
        "An LSTM whose forget gates have a bias of 1 or more, shorter sequences, or attention.",
        "code/vanishing-gradients/#forget",
    ),
    "exploding-through-time": (
        "fault",
        "The gradient of a recurrent layer grows from its last step to its first.",
        "Recurrent weights with a spectral radius above 1, and an activation without bounds.",
        "Orthogonal recurrent weights and tanh; clip the gradient's norm.",
        "chapters/exploding-gradients/#use",
    ),
    "evaluation-gap": (
        "fault",
        "On the same batch, the loss is far higher in evaluation mode.",
        "The running statistics of batch normalization lag behind, or were taken from tiny batches or other data.",
        "Measure them anew, or let them follow faster: a momentum of 0.1 (PyTorch) or 0.9 (Keras).",
        "chapters/batch-normalization/#check",
    ),
    "trained-already": (
        "note",
        "The weights are not at their initial values; the limits are those of a model before its first step.",
        "The model was trained or loaded. Where signals are large only now, the steps were too long.",
        "Check the model as it is built; if that has no finding, take a tenth of the learning rate.",
        "toolbox/check-my-model/#limits",
    ),
    "target-scale": (
        "fault",
        "The targets are far from unit scale.",
        "A regression on raw targets: the first gradients are as large as the targets.",
        "Standardize the targets and undo it on the predictions.",
        "chapters/exploding-gradients/#use",
    ),
    "uneven-targets": (
        "note",
        "Targets of very different size are learned by one loss: the small ones hardly count.",
        "Several columns or outputs, each in its own unit, and a plain sum or mean of their errors.",
        "Standardize each column and each output on its own, and undo it on the predictions; or weigh the terms.",
        "toolbox/symptom-finder/#regression",
    ),
    "nothing-seen": (
        "note",
        "No layer of the model was seen: there is no finding, and no all-clear.",
        "A traced, scripted, exported or functional model, whose layers do not run as modules.",
        "Check the model before it is traced or exported.",
        "toolbox/check-my-model/#limits",
    ),
    "nothing-trains": (
        "note",
        "No weight of the model is to be trained, so there was no backward pass.",
        "The model is frozen, or quantized for inference.",
        "If it should train, unfreeze it, or check it before it is quantized; for a new head, leave that trainable.",
        "toolbox/check-my-model/#limits",
    ),
    "uninitialized-weights": (
        "fault",
        "Weights hold numbers that no initializer draws.",
        "A tensor from torch.empty, or a model made on the device meta, that nobody has initialized.",
        "Initialize every parameter: nn.init, or reset_parameters() of each module.",
        "chapters/weight-initialization/#use",
    ),
    "zero-gradient": (
        "note",
        "Weights that the loss reaches get a gradient of exactly zero.",
        "An operation after them is flat: a softmax over one entry, ReLUs that are all off, a clamp, a factor of 0.",
        "Look at what follows these weights, and at the axis of each softmax and norm.",
        "experiments/vanishing-gradients/#underflow",
    ),
    "layer-out-of-line": (
        "fault",
        "The weights of a layer are far larger or smaller than those of the others.",
        "A scale or an initializer that was meant for another layer, or weights that were multiplied twice.",
        "Draw the weights of this layer by the rule of the layers before and after it.",
        "chapters/weight-initialization/#use",
    ),
    "non-finite-weight": (
        "fault",
        "Weights are NaN or Inf.",
        "An earlier step overflowed, or the initializer divided by zero.",
        "Draw the weights again; guard the steps against non-finite gradients.",
        "chapters/exploding-gradients/#use",
    ),
    "non-finite-activation": (
        "fault",
        "NaN or Inf appears on the way forward.",
        "Activations outgrew the number format (65504 in float16), or an operation before it is log(0), 0/0, or the "
        "softmax of a row that a mask left empty.",
        "Look at the layers before: where they grow, scale the weights down or normalize; else guard the operation.",
        "chapters/exploding-gradients/#answer",
    ),
    "non-finite-loss": (
        "fault",
        "The loss is NaN or Inf though every layer's output is finite.",
        "log(0) or a division by zero in the loss, or a batch in which every target is ignored.",
        "Use the losses that take logits; look at the targets of this batch.",
        "chapters/activation-functions/#use",
    ),
    "vanishing-activation": (
        "fault",
        "The signal fades on the way forward.",
        "Weights too small for the activation and nothing that normalizes, or a normalization whose scale is small.",
        "He initialization for ReLU and its kin, Xavier for tanh; or a normalization layer with scale 1.",
        "chapters/he-initialization/#answer",
    ),
    "exploding-activation": (
        "fault",
        "The signal grows on the way forward.",
        "Weights too large for the activation and nothing that normalizes, or a normalization whose scale is large.",
        "He initialization for ReLU and its kin, Xavier for tanh; or a normalization layer with scale 1.",
        "chapters/exploding-gradients/#answer",
    ),
    "residual-growth": (
        "fault",
        "The signal grows from one residual block to the next.",
        "Every block adds a branch as large as its input, and nothing normalizes the branch.",
        "Normalize the input of every branch, or let it start at zero or at 1/sqrt(blocks) of its size.",
        "chapters/weight-initialization/#answer",
    ),
    "vanishing-gradient": (
        "fault",
        "The gradient fades on the way back: the first layers hardly learn.",
        "Every layer multiplies it by its weights and its slopes: small weights, sigmoids, or saturation.",
        "ReLU with He initialization, tanh with Xavier; or residual connections with normalization.",
        "chapters/vanishing-gradients/#answer",
    ),
    "exploding-gradient": (
        "fault",
        "The gradient grows on the way back: the first layers take too large steps.",
        "Every layer multiplies it by its weights and its slopes; batch normalization without skips alone does so.",
        "Scale the weights down (He, Xavier); add residual connections; clip the gradient's norm.",
        "chapters/exploding-gradients/#answer",
    ),
    "dead-relu": (
        "fault",
        "Most units of a ReLU layer are zero for every example: no gradient passes, their weights stay.",
        "A large negative bias, a step that was too large, or inputs far from mean zero.",
        "Biases at 0; a lower learning rate or warm-up; a leaky ReLU or GELU; none after a last layer.",
        "chapters/activation-functions/#answer",
    ),
    "saturated-activation": (
        "fault",
        "Most sigmoids or tanhs stand where their slope is nearly zero.",
        "Preactivations too large: weights, biases or inputs.",
        "Xavier initialization and standardized inputs; look at the gain: 1 is Xavier.",
        "chapters/activation-functions/#answer",
    ),
    "saturated-attention": (
        "fault",
        "Attention looks at one key only: its softmax is saturated.",
        "Scores are not divided by sqrt(head size), or the weights of queries and keys are too large.",
        "softmax(q @ k.T / sqrt(d)), or the attention of the framework, which does so.",
        "chapters/activation-functions/#proof",
    ),
    "collapsed-angles": (
        "fault",
        "Different examples look the same to the last layers.",
        "Biases outweigh a fading signal, or sigmoids whose mean is far from zero: depth draws all inputs together.",
        "He or Xavier with zero biases; residual connections; normalization over the batch.",
        "chapters/vanishing-gradients/#proof",
    ),
    "symmetric-units": (
        "fault",
        "All units of a layer have the same weights and the same gradient: they stay one unit for ever.",
        "Weights set to zero or another constant.",
        "Draw the weights at random; zero is for biases (and for the last layer of a residual branch).",
        "chapters/weight-initialization/#answer",
    ),
    "confident-at-start": (
        "fault",
        "The first loss is far above that of guessing: the model is confidently wrong.",
        "The last layer's weights or inputs are too large.",
        "Scale the last layer down until the logits' standard deviation is at most 1.",
        "chapters/weight-initialization/#use",
    ),
    "unused-weights": (
        "note",
        "Weights that are to be trained and that this loss does not use.",
        "A head or a branch that this batch does not reach, or a layer that was forgotten in the forward pass.",
        "Use it, or drop it; distributed training may wait for it for ever.",
        "chapters/vanishing-gradients/#use",
    ),
    "dropout-in-evaluation": (
        "note",
        "Dropout is on in evaluation mode: predictions change from call to call.",
        "F.dropout(x) without training=self.training, dropout_p of an attention that is given at all times (PyTorch), "
        "or training=True in the call of a layer (Keras). A sample of predictions (Monte Carlo) means it.",
        "F.dropout(x, p, self.training), or nn.Dropout; dropout_p=p if self.training else 0 (PyTorch); a Dropout layer "
        "without training=True (Keras).",
        "toolbox/symptom-finder/#eval",
    ),
    "not-put-back": (
        "note",
        "The pass changed something that the check could not put back.",
        "It is large, and neither a parameter nor a buffer, of which alone the check makes copies of any size.",
        "Build the model anew before you train it; make what changes a buffer.",
        "toolbox/check-my-model/#limits",
    ),
}
"""Every finding by its code: level, symptom, cause, cure, link."""


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


_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type, ModuleType)
_CONTAINERS = (
    (OrderedDict, OrderedDict.update),
    (dict, dict.update),
    (list, list.extend),
    (set, set.update),
    (deque, deque.extend),
    (bytearray, bytearray.extend),
)
_CLOSED = (sys.stdlib_module_names | {"tensorflow"}) - {"builtins"}
"""Where locks, threads, loggers and graphs come from, whose insides are not for
us. A class that `exec` makes in a bare namespace says that it is of builtins.
"""


class _Before:
    """All that can be reached from a model through attributes, containers,
    closures and bound methods, as it is at first. A copy of the model would not
    do: hooks and losses that hold the model would still run on the original.
    """

    kinds: tuple[type, ...] = ()
    """What holds weights, in a framework."""

    def __init__(self, room: int) -> None:
        self.undo: list[tuple[str, Callable[[], Any]]] = []
        # Most containers are the empty dictionaries of modules.
        self.empty: list[Any] = []
        self.seen: dict[int, tuple[str, Any]] = {}
        self.lost: list[str] = []
        self.room = room

    def look(self, todo: list[tuple[str, Any]]) -> None:
        """The last ones are looked at first, and give the names."""
        while todo:
            name, value = todo.pop()
            if id(value) not in self.seen and not issubclass(type(value), _CONSTANTS):
                self.seen[id(value)] = name, value
                todo += self.keep(name, value)

    def restore(self) -> None:
        for container in self.empty:
            if container:
                container.clear()
        for name, undo in self.undo:
            try:
                undo()
            except (RuntimeError, TypeError, ValueError, AttributeError):
                self.lost.append(name)

    def keep(self, name: str, value: Any) -> list[tuple[str, Any]]:
        """Remember one object, and return what it holds."""
        kind = type(value)
        base, fill = next(
            (pair for pair in _CONTAINERS if issubclass(kind, pair[0])), (None, None)
        )
        if base:
            if not value and kind is base:
                self.empty.append(value)
                return []
            held = base(value)
            self.undo.append((name, partial(_refill, value, base, fill, held)))
            pairs = held.items() if isinstance(held, dict) else enumerate(held)
            parts = [
                (f"{name}.{key}" if isinstance(key, str | int) else name, part)
                for key, part in pairs
            ]
            return parts if kind is base else parts + self.keep_attributes(name, value)
        if issubclass(kind, tuple | frozenset):
            return [(name, part) for part in tuple(value)]
        if kind is MethodType:
            return [(name, value.__self__), (name, value.__func__)]
        if kind is partial:
            return [(name, value.func), (name, value.args), (name, value.keywords)]
        if kind is CellType:
            with suppress(ValueError):  # it may be empty
                self.undo.append(
                    (
                        name,
                        partial(setattr, value, "cell_contents", value.cell_contents),
                    )
                )
                return [(name, value.cell_contents)]
            return []
        if kind is FunctionType:
            parts = [
                (name, part)
                for part in (*(value.__closure__ or ()), *(value.__defaults__ or ()))
            ]
            parts += self.globals_of(value)
            return parts + self.keep_attributes(name, value)
        undo = self.keep_numbers(name, value)
        if undo:
            self.undo.append((name, undo))
        if _is_closed(kind) and kind is not SimpleNamespace:
            return []
        return self.keep_attributes(name, value)

    def globals_of(self, function: FunctionType) -> list[tuple[str, Any]]:
        """The networks that it names among the globals of its module, also by
        way of functions beside it. A whole program would lead too far."""
        held = function.__globals__
        return [
            (key, held[key])
            for key in function.__code__.co_names
            if isinstance(held.get(key), self.kinds)
            or (
                isinstance(held.get(key), FunctionType)
                and held[key].__globals__ is held
                and "site-packages" not in function.__code__.co_filename
            )
        ]

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        """How random generators and arrays become again what they are."""
        numpy = sys.modules.get("numpy")
        if isinstance(value, random.Random):
            return partial(value.setstate, value.getstate())
        if numpy and isinstance(value, numpy.random.Generator):
            return partial(
                setattr, value.bit_generator, "state", value.bit_generator.state
            )
        if (
            not numpy
            or not isinstance(value, numpy.ndarray)
            or not value.flags.writeable
            or value.dtype == object
        ):
            return None
        if value.nbytes > self.room:
            return partial(_same_sum, value, _sum(value))
        self.room -= value.nbytes
        return partial(numpy.copyto, value, value.copy())

    def keep_attributes(self, name: str, value: Any) -> list[tuple[str, Any]]:
        held = dict[str, Any]()
        with suppress(AttributeError):
            attributes = object.__getattribute__(value, "__dict__")
            held |= attributes
            self.undo.append(
                (name, partial(_refill, attributes, dict, dict.update, dict(held)))
            )
        for base in type(value).__mro__:
            slots = vars(base).items() if "__slots__" in vars(base) else ()
            for slot in (
                slot for slot, place in slots if isinstance(place, MemberDescriptorType)
            ):
                if hasattr(value, slot):
                    held[slot] = getattr(value, slot)
                    self.undo.append(
                        (name, partial(object.__setattr__, value, slot, held[slot]))
                    )
        # PyTorch keeps what a module holds in dictionaries of these names.
        inside = {"_parameters", "_modules", "_buffers"}
        return [
            (
                name if key in inside else key if name == "model" else f"{name}.{key}",
                part,
            )
            for key, part in held.items()
        ]


def _is_closed(kind: type) -> bool:
    """A package of one's own may have the name of one in the standard library,
    but what it derives from PyTorch or Keras is derived from there.
    """
    bases = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return bases[0] in _CLOSED and not {"torch", "keras"} & set(bases)


def _sum(array: Any) -> int:
    return zlib.crc32(array.tobytes())


def _same_sum(array: Any, wanted: int) -> None:
    if _sum(array) != wanted:
        raise ValueError("it was too large for a copy")


def _refill(
    container: Any, kind: Any, fill: Callable[[Any, Any], None], held: Any
) -> None:
    # The methods of the base class: those of a subclass may count or refuse.
    kind.clear(container)
    fill(container, held)


_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


@contextmanager
def _every_operation(look: Callable[..., None]) -> Iterator[None]:
    """Look at each, also at those of a tf.function, compiled or not."""
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    op_callbacks.add_op_callback(look)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(look)
        tf.config.run_functions_eagerly(eager)


def _all_finite(slope: Any) -> bool:
    if slope is None:
        return True
    return bool(np.isfinite(_array(tf.convert_to_tensor(slope))).all())


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (*_ERRORS, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{what()}: {error}") from error


def _way_round(loss_fn: Any, targets: Any, output: Any) -> str:
    try:
        loss_fn(output, targets)
    except Exception:
        return ""
    return " (the other way round it works: pass lambda targets, output: loss_fn(output, targets))"


def _kept(output: Any) -> np.ndarray:
    """Which examples, or steps of them, the mask of an output leaves to the
    loss."""
    places = tuple(output.shape)[:-1] or tuple(output.shape)
    mask = getattr(output, "_keras_mask", None)
    if mask is None or tuple(mask.shape) != places:
        return np.full(places, True)
    return _array(mask)


def _is_of_keras(loss_fn: Any) -> bool:
    """As it stands in the library, not a function of one's own around it."""
    made = loss_fn if hasattr(loss_fn, "__module__") else type(loss_fn)
    return str(getattr(made, "__module__", "")).startswith("keras.")


def _texts(inputs: Any) -> list[np.ndarray]:
    """Whole numbers, a row for each text."""
    if isinstance(inputs, dict):
        other = re.compile("label|target|mask|type|segment|position")
        inputs = [part for name, part in inputs.items() if not other.search(name)]
    whole = [part for part in _arrays(inputs) if part.dtype.kind in "iu"]
    return [part for part in whole if part.ndim == 2]


def _series(inputs: list[np.ndarray], targets: list[np.ndarray]) -> Any:
    """Numbers (examples, places, ...), of which the targets are the next ones,
    all or the first of each place.
    """
    for given in inputs:
        for target in targets:
            if (
                given.dtype.kind == "f"
                and given.ndim > 2
                and given.shape[1] >= FEW
                and given.shape[:-1] == target.shape[:-1]
            ):
                known = given[..., : target.shape[-1]]
                later = np.array_equal(known[:, 1:], target[:, :-1])
                if later and not np.array_equal(known[:, 1:], known[:, :-1]):
                    return given
    return None


def _exchanged(old: np.ndarray, new: np.ndarray, value: Any) -> Any:
    """Inputs with another array in the place of one."""
    same = np.shape(value) == old.shape and np.array_equal(value, old)
    return new if same else value


def _taken(examples: int, pick: list[int], value: Any) -> Any:
    """Of inputs, some examples."""
    return np.asarray(value)[pick] if np.shape(value)[:1] == (examples,) else value


def _born(mask: bool, result: np.ndarray, given: list[np.ndarray]) -> bool:
    if not mask:
        return not np.isfinite(result).all() and all(
            np.isfinite(part).all() for part in given
        )
    spoiled = any((np.isnan(part) | np.isposinf(part)).any() for part in given)
    # A softmax makes NaN of -inf alone; a minus before it is no birth.
    made = np.isnan(result).any() or (
        np.isposinf(result).any() and not any(np.isneginf(part).any() for part in given)
    )
    return bool(made) and not spoiled


def _scale(layer: keras.Layer) -> Any:
    """That of a normalization, if it has one."""
    if "Norm" not in type(layer).__name__:
        return None
    return next(
        (
            weight
            for weight in layer._trainable_variables
            if weight.name in ("gamma", "scale") and len(weight.shape) == 1
        ),
        None,
    )


def _centred(values: np.ndarray) -> float:
    size = float(np.sqrt(np.square(values).mean()))
    return abs(float(values.mean())) / size if size else 0.0


def _steps(model: keras.Model, parts: list[keras.Layer]) -> str:
    """What tells that a model is not at its start."""
    steps = int(model.optimizer.iterations) if getattr(model, "optimizer", None) else 0
    if steps:
        return f"its optimizer has made {steps} steps"
    for layer in parts:
        statistics = isinstance(layer, layers.BatchNormalization) and layer.built
        if statistics and _array(layer.moving_mean).any():
            return f"the moving mean of {layer.path} is not 0"
    return ""


def _is_linear(layer: keras.Layer, bends: bool = False) -> bool:
    """Nothing but linear; with `bends`, up to an activation of its own."""
    kinds = (
        layers.Dense,
        layers.EinsumDense,
        layers.Conv1D,
        layers.Conv2D,
        layers.Conv3D,
    )
    return (
        type(layer) in kinds
        and getattr(layer, "groups", 1) == 1
        and (bends or layer.activation is keras.activations.linear)
    )


def _columns(values: np.ndarray) -> list[float]:
    """The root mean square of each feature of a table."""
    if values.ndim != 2 or values.shape[1] > 2**12:
        return []
    return np.sqrt(np.square(values[:SAMPLES]).mean(0)).tolist()


def _leaves(model: keras.Model) -> list[keras.Layer]:
    """All layers but the model; a recurrent layer stands for its cell, which
    runs once per time step.
    """
    cells = {
        id(part)
        for layer in model._flatten_layers()
        if isinstance(layer, layers.RNN)
        for part in layer._flatten_layers(include_self=False)
    }
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if id(layer) not in cells
    ]


def _weights(layer: keras.Layer) -> list[Any]:
    """The layer's own weights of two or more dimensions."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    own = layer.weights if isinstance(layer, layers.RNN) else own
    return [
        weight
        for weight in own
        if len(weight.shape) > 1 and "float" in str(weight.dtype)
    ]


def _units(layer: keras.Layer, values: np.ndarray) -> np.ndarray:
    """A weight as a matrix (fan_in, units)."""
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return values.reshape(-1, math.prod(values.shape[-2:]))
    if isinstance(
        layer, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose
    ):
        values = np.moveaxis(values, -2, -1)
    elif isinstance(layer, layers.EinsumDense):
        letters, output = layer.equation.partition(",")[2].split("->")
        read = [
            axis for axis, letter in enumerate(letters.strip()) if letter not in output
        ]
        rest = [axis for axis in range(values.ndim) if axis not in read]
        return values.transpose(read + rest).reshape(
            math.prod(values.shape[axis] for axis in read), -1
        )
    return values.reshape(-1, values.shape[-1])


def _gain(layer: keras.Layer, weights: list[Any]) -> float | None:
    if isinstance(layer, layers.Embedding):
        return None
    matrices = [_units(layer, _array(weight)) for weight in weights]
    return max(_norm(units) / math.sqrt(units.shape[1]) for units in matrices)


def _twins(weights: list[Any]) -> set[int]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[bytes, list[int]] = {}
    for weight in weights:
        values = _array(weight)
        if (
            values.ndim > 1
            and values.size > 1
            and values.min() < values.max()
            and values.dtype.kind == "f"
        ):
            seen.setdefault(repr(values.shape).encode() + values.tobytes(), []).append(
                id(weight)
            )
    return {weight for same in seen.values() if len(same) > 1 for weight in same}


def _alike(units: np.ndarray, within: float) -> bool:
    """Two or more columns that hold the same numbers, up to a part of the
    largest.
    """
    return units.shape[1] > 1 and bool(
        (abs(units - units[:, :1]) <= within * abs(units).max()).all()
    )


def _arrays(values: Any) -> list[np.ndarray]:
    """The arrays of numbers in nested inputs; strings are left out."""
    found = []
    for value in tree.flatten(values):
        if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
            value = (
                value.flat_values
                if isinstance(value, tf.RaggedTensor)
                else value.values
            )
        array = np.asarray(value)
        if array.dtype.kind not in "OSU":
            found.append(_array(array))
    return found


def _is_mask(values: np.ndarray) -> bool:
    """Added to scores: 0 where one may look, -inf or a large negative number
    elsewhere.
    """
    return bool(((values == 0) | (values <= -1000)).all() and (values < 0).any())


def _array(value: Any) -> np.ndarray:
    """float64 for any floating dtype."""
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def _lengths(rows: np.ndarray) -> list[float]:
    """Of some of them."""
    some = rows[np.arange(min(FEW, len(rows))) * 1_000_003 % max(len(rows), 1)]
    return np.linalg.norm(_array(some), axis=-1).tolist()


def _sample(values: np.ndarray) -> np.ndarray:
    """Up to SAMPLES entries, spread so that no period of the shape is hit
    alone.
    """
    flat = values.reshape(-1)
    return (
        flat
        if len(flat) <= SAMPLES
        else flat[np.arange(SAMPLES) * 1_000_003 % len(flat)]
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(_sample(values).astype(np.float64)))))


def _moments(values: np.ndarray) -> dict[str, float]:
    some = _sample(values)
    finite = some[np.isfinite(some)]
    return {
        "mean": float(finite.mean()) if len(finite) else math.nan,
        "std": float(finite.std()) if len(finite) else math.nan,
        "non_finite": float(1 - np.isfinite(values).mean()),
    }


def _cosine(values: np.ndarray, examples: int) -> float | None:
    if (
        examples < 2
        or not values.size
        or values.shape[:1] != (examples,)
        or not np.isfinite(values).all()
    ):
        return None
    some = values[:8].reshape(min(8, examples), -1)
    norms = np.linalg.norm(some, axis=1, keepdims=True)
    if not norms.all() or some.shape[1] < 2:
        return None
    number, whole = len(some), (some / norms).sum(0)
    return float((np.square(whole).sum() - number) / (number * (number - 1)))


def _norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values.reshape(-1).astype(np.float64)))


_SHAPES = ("Reshape", "Squeeze", "ExpandDims", "Identity", "Cast")
"""Operations that change no number."""

_CHOICES = (
    *("StridedSlice", "GatherV2", "GatherNd", "ConcatV2", "Pack"),
    *("Max", "Min", "Maximum", "Minimum"),
)
"""Operations that take some of the numbers."""

_SUMMING = (*_SHAPES, "AddV2", "Sub", "Sum", "Mean", "Mul", "StridedSlice", "Transpose")
"""What an overlap is made of."""

_SIGNS = (*_SHAPES, "Abs", "Neg", "Select", "SelectV2")
"""What a loss of logits does with them first."""

_GROWN = ("Exp", "Softplus")
"""Operations that make a variance."""

_PRODUCTS = ("BatchMatMulV2", "BatchMatMulV3", "Einsum")

_SCALINGS = (*_SHAPES, "AddV2", "Mul", "RealDiv", "SelectV2", "Sub", "Transpose")
"""What stands between the products of an attention and its softmax."""

_REGRESSIONS = (
    *("mean_squared_error", "mean_absolute_error"),
    *("huber_loss", "huber", "log_cosh"),
)

_CUTS = ("StopGradient", "ArgMax", "ArgMin", "Ceil", "Floor", "Rint", "Round")
"""Operations without a way back."""

_COMPARISONS = ("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual")
"""Others, which stand beside most ways as masks."""

_LOGITS = {
    "SparseSoftmaxCrossEntropyWithLogits": "sparse_categorical_crossentropy",
    "SoftmaxCrossEntropyWithLogits": "categorical_crossentropy",
}
"""Losses of TensorFlow, and those of Keras that compute the same."""

_OF_POLICY = ("Log", "LogSoftmax", *_LOGITS)
"""What makes a log-probability, or its negative."""

_DROPOUTS = (
    *(layers.AlphaDropout, layers.Dropout, layers.GaussianDropout),
    *(layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
)


@contextmanager
def _untouched(
    model: keras.Model, parts: list[keras.Layer], batch: Any, loss_fn: Any
) -> Iterator["_Variables"]:
    """Whatever runs inside, model, batch, loss and random states come back."""
    states = random.getstate(), np.random.get_state()
    before = _Variables(max(ROOM, 4 * model.count_params()))
    try:
        named = [(part.path, part) for part in (*parts, model)]
        before.look(named[::-1])
        before.inside = set(before.seen)
        before.look(
            [("loss_fn", loss_fn), ("batch", batch), ("seeds", global_seed_generator())]
        )
        yield before
    finally:
        before.restore()
        random.setstate(states[0])
        np.random.set_state(states[1])


class _Variables(_Before):
    kinds = (keras.Layer, keras.Variable, tf.Variable)
    inside: set[int]
    """What the model leads to, as against the loss."""

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        if isinstance(value, tf.Variable):
            # What is read shares the memory until the variable is assigned to.
            return partial(value.assign, value.read_value())
        return super().keep_numbers(name, value)


class _Birth(_Seen):
    """Runs the model once more, and asks every operation."""

    def hunt(self, loss_fn: Any) -> None:
        """Run again and name the operation that the first NaN or Inf came from.
        -inf is the last guess: a mask may be written so.
        """
        mode = {"training": True}
        if not getattr(self.model, "_call_has_training_arg", True):
            mode = {}
        for mask in (True, False):
            found: list[str] = []
            with _every_operation(partial(self.look_for_birth, mask, found)):
                loss_fn(self.wanted, self.model(self.given, **mode))
            self.birth = self.birth or next(iter(found), "")

    def hunt_back(self, loss_fn: Any, trained: list[Any]) -> None:
        """Run again and name the operation of the way back that the first NaN
        or Inf came from."""
        made, found = dict[int, str](), list[str]()

        def note(
            kind: Any, inputs: Any, _: Any, outputs: Any, *__: Any, **___: Any
        ) -> None:
            kind = kind.decode() if isinstance(kind, bytes) else kind
            place = self.where() if self.running else "the loss"
            made.update((part._id, f"{kind} of {place}") for part in outputs)

        def look(kind: Any, inputs: Any, *more: Any, **named: Any) -> None:
            self.look_for_birth(False, found, kind, inputs, *more, **named)
            if found and not self.birth:
                read = next((made[one._id] for one in inputs if one._id in made), "")
                behind = f", on the way back through {read}" if read else ""
                self.birth = found[0] + behind

        with tf.GradientTape() as tape, _every_operation(note):
            mode = {"training": True}
            if not getattr(self.model, "_call_has_training_arg", True):
                mode = {}
            output = self.model(self.given, **mode)
            value = tf.reduce_mean(loss_fn(self.wanted, output))
        with _every_operation(look):
            tape.gradient(value, [variable.value for variable in trained])

    def look_for_birth(
        self,
        mask: bool,
        found: list[str],
        kind: str | bytes,
        inputs: Any,
        _attributes: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        kind = kind.decode() if isinstance(kind, bytes) else kind
        # A mask is meant.
        if found or graph is not None or kind in ("SelectV2", "Fill", "Where"):
            return
        with suppress(Exception):
            given, made = (
                [_array(part) for part in parts if part.dtype.is_floating]
                for parts in (inputs, outputs)
            )
            given = [part for part in given if part.size]
            if given and any(_born(mask, part, given) for part in made):
                low, high = (
                    min(part.min() for part in given),
                    max(part.max() for part in given),
                )
                place = f" of {self.where()}" if self.running else ""
                found.append(
                    f"; born in {kind}{place}, {inputs[0].dtype.name}, inputs {low:.3g} to {high:.3g}"
                )


class _History(_Seen):
    """Judges what the loss was made of."""

    def look_at_loss(
        self, kind: str, inputs: list[tf.Tensor], outputs: list[tf.Tensor]
    ) -> None:
        """Arguments that were exchanged, one index for all examples, and the
        sign of log-probabilities."""
        numbers = [value._id for value in inputs]
        learned = [number in self.learned for number in numbers]
        shapes = [tuple(value.shape) for value in inputs]
        result = outputs[0]._id
        if kind == "SoftmaxCrossEntropyWithLogits" and learned[:2] == [False, True]:
            self.find_exchange()
        elif kind == "RealDiv" and learned == [False, True]:
            self.inverse.add(result)
        elif kind in ("Log", "Log1p", "LogSoftmax"):
            if learned[0]:
                self.signs[result] = -1 if numbers[0] in self.inverse else 1
            else:
                self.logged.add(result)
            # ln(1 + exp(-|x|)) stands in the binary cross-entropy of logits x.
            exp = kind == "Log1p" and self.makers.get(numbers[0], ("", 0))[0] == "Exp"
            self.softplus |= {learned[0]} if exp else set()
        elif kind == "Neg":
            self.signs[result] = -self.signs.get(numbers[0], 0)
            self.negated |= set() if learned[0] else {result}
        elif kind in ("Sum", *_SHAPES, "GatherNd", "GatherV2"):
            self.signs[result] = self.signs.get(numbers[0], 0)
        if kind == "Mul" and sorted(learned) == [False, True]:
            values = _array(inputs[learned.index(False)])
            # 1 - done is 0 or 1, and 0 alone says nothing.
            largest = float(values.max()) or 1.0
            self.factors[result] = largest if values.min() >= 0 else -1.0
        if kind in ("Square", "Abs", "Pow", "SquaredDifference", "Mul"):
            self.look_at_bootstrap(
                result if kind == "SquaredDifference" else numbers[0]
            )
        if kind == "GatherV2" and learned[0] and int(inputs[2]) == 1:
            index = _array(inputs[1])
            if (
                math.prod(outputs[0].shape) > index.size
                and len(shapes[0]) == 2
                and index.size == shapes[0][0] == self.examples
                and index.size > len(np.unique(index))
            ):
                evidence = f"output {shapes[0]}, index {shapes[1]}, together {tuple(outputs[0].shape)}"
                self.find_once("index-for-all", evidence)
        if kind in _LOGITS and learned[0] and not self.inside_keras:
            look = partial(self.judge_crossentropy, of_keras=False)
            look(_LOGITS[kind], inputs[0], _array(inputs[1]), True)
        elif kind in ("LogSoftmax", "Softmax"):
            self.look_at_doubled("softmax", numbers[0])
        elif kind in ("Sigmoid", "Softplus"):
            self.look_at_doubled("sigmoid", numbers[0])
        elif kind == "Log1p" and learned[0]:
            # ln(1 + exp(-|x|)) of logits x
            exp = self.ways[numbers[0]]
            if exp[0] == "Exp":
                self.look_at_doubled("sigmoid", exp[1][0])
        if kind == "Mul" and learned == [True, True]:
            self.look_at_advantage(numbers)
        if kind in ("RealDiv", "DivNoNan") and learned == [True, True]:
            (above, kinds), (below, others) = map(self.summed, numbers)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum", "Mul"} <= kinds and "Sum" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)
        if kind == "Mul" and sorted(learned) == [False, True]:
            own, given = numbers if learned[0] else numbers[::-1]
            direct = self.source(own) in self.results
            if direct and self.source(given) in self.logged:
                self.find_exchange()
            self.products_of_output |= direct
            values = _array(inputs[learned.index(False)])
            turned = given in self.negated or any(
                np.array_equal(values, -target) for target in self.targets
            )
            sign = self.signs.get(own, 0) * (-1 if turned else 1)
            if sign and shapes[0] == shapes[1] and shapes[0]:
                self.products.append((outputs[0], sign))

    def summed(self, tensor: int) -> tuple[set[int], set[str]]:
        """What is added up, and the operations on the way: sums, and products
        with data."""
        found, kinds, todo = set[int](), set[str](), [tensor]
        while todo:
            tensor = todo.pop()
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            alone = len(own) == 1 or kind in ("AddV2", "Sub")
            if tensor not in self.results and alone and kind in _SUMMING:
                kinds.add(kind)
                todo += own
            else:
                found.add(self.source(tensor))
        return found, kinds

    def added_up(self, tensors: list[int]) -> dict[int, int]:
        """What a loss is a sum of, each with its sign; 0 if it has both."""
        found, todo = dict[int, int](), [(tensor, 1) for tensor in tensors]
        while todo:
            tensor, sign = todo.pop()
            kind, sources = self.ways.get(tensor, ("", []))
            own = [number for number in sources if number in self.learned]
            if kind in ("AddV2", "AddN", "Pack", "Sub") and sign:
                todo += [
                    (number, -sign if kind == "Sub" and number == sources[1] else sign)
                    for number in own
                ]
            elif tensor in self.constants and sign:
                todo.append((own[0], sign * self.constants[tensor]))
            elif kind == "Neg" and sign:
                todo.append((own[0], -sign))
            elif kind in ("Sum", "Mean", *_SHAPES) and sign and own:
                todo.append((own[0], sign))
            elif found.setdefault(tensor, sign) != sign:
                found[tensor] = 0
        return found

    def is_square(self, tensor: int) -> bool:
        kind, sources = self.ways.get(tensor, ("", []))
        return kind in ("Square", "Pow") or (kind == "Mul" and sources[0] == sources[1])

    def root(self, tensor: int) -> tuple[int, float | None]:
        """What powers, logarithms and exponentials are of, and of exp(p * root)
        the p: 0 without an exponential, None where it cannot be told."""
        power, known, exponential = 1.0, True, False
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            constant, square = tensor in self.constants, self.is_square(tensor)
            passes = kind in (*_SHAPES, *_GROWN, "Log", "Sqrt")
            if not own or not (passes or square or constant):
                break
            if constant:
                known &= exponential and tensor in self.numbers
                power *= self.numbers.get(tensor, 1.0)
            elif square:
                # Keras writes x ** 2 as a product with itself, or as a square.
                known &= not exponential and kind != "Pow"
                power *= 2
            elif kind == "Sqrt":
                known &= not exponential
                power /= 2
            elif kind not in _SHAPES:
                known &= kind == "Exp" and not exponential
            exponential |= kind == "Exp"
            tensor = own[0]
        return tensor, (power if known else None) if exponential else 0.0

    def judge_divergence(self, losses: list[int]) -> None:
        """A KL divergence between Gaussians, variance - log(variance) + mean^2,
        that the training makes larger, or that knows another spread than the
        sample has."""
        terms, powers = self.added_up(losses), dict[int, float | None]()
        roots = {tensor: self.root(tensor)[0] for tensor in terms}
        kinds, turned = {tensor: self.kind(tensor) for tensor in terms}, list[bool]()
        for grown, sign in terms.items():
            if not sign or not (kinds[grown] in _GROWN or self.is_square(grown)):
                continue
            root, power = self.root(grown)
            logged = any(
                other == -sign
                and roots[tensor] == root
                and (kinds[tensor] == "Log" or tensor == root)
                for tensor, other in terms.items()
            )
            squared = any(
                other == sign and self.is_square(tensor) and roots[tensor] != root
                for tensor, other in terms.items()
            )
            if logged and squared:
                turned.append(sign < 0)
                powers[root] = power
        self.judge_signs(turned)
        for product in self.noisy if powers else ():
            own = [part for part in self.ways[product][1] if not self.is_drawn(part)]
            root, power = self.root(own[0])
            if root in powers:
                rows = (row["name"] for row in self.rows if row["tensor"]._id == root)
                self.judge_spread(power, powers[root], *rows)

    def kind(self, tensor: int) -> str:
        return self.ways.get(tensor, ("", []))[0]

    def look_at_advantage(self, ends: list[int]) -> None:
        """A log-probability times data less an output, of which both have a
        gradient."""
        for log, advantage in (ends, ends[::-1]):
            if self.is_of_policy(log):
                weight = self.last_weight(self.baseline(advantage))
                if weight:
                    evidence = f"log-probability * (data - an output), whose last weight is {self.handles[weight]}"
                    self.find_once("advantage-with-gradient", evidence)

    def is_of_policy(self, tensor: int) -> bool:
        """A log-probability, or the ratio of a new and an old probability."""
        kinds = ("Neg", "Sum", *_SHAPES, "GatherNd", "GatherV2", "Mul", "Exp", "Sub")
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The second one is the shape.
            sources = sources[:1] if kind in _SHAPES else sources
            own = [number for number in sources if number in self.learned]
            if len(own) != 1:
                return False
            tensor = own[0]
        return self.ways.get(tensor, ("", []))[0] in _OF_POLICY

    def baseline(self, tensor: int | None) -> int | None:
        """Of data less an output, perhaps standardized, the output, if it is
        one of a layer and no probability; None of all else."""
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "Sub" and sources[1] in own:
                maker = self.ways.get(self.source(sources[1]), ("", []))[0]
                if sources[0] not in own or self.is_data_plus(sources[0]):
                    cut = maker in ("Exp", "Sigmoid", "Softmax", "StopGradient")
                    return None if cut else sources[1]
                if maker != "Mean":
                    break
            elif kind not in (*_SHAPES, *_CHOICES, "Neg", "RealDiv") and not (
                kind == "Mul" and len(own) == 1
            ):
                break
            tensor = own[0]
        return None

    def is_data_plus(self, tensor: int) -> bool:
        """Data plus a part of an output, as the return from the value of the
        next state."""
        kind, sources = self.ways.get(self.source(tensor), ("", []))
        return kind == "AddV2" and len(self.learned.intersection(sources)) == 1

    def look_at_bootstrap(self, difference: int) -> None:
        """A difference between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        kind, ends = self.ways.get(self.source(difference), ("", []))
        if kind not in ("Sub", "SquaredDifference"):
            return
        for target, value in (ends, ends[::-1]):
            after, factor = self.discounted(target)
            last = self.last_weight(value)
            if (
                after not in (None, value)
                and self.discounted(value)[0] is None
                and self.last_weight(after) == last != 0
            ):
                evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                self.find_once("target-with-gradient", evidence)

    def discounted(self, tensor: int) -> tuple[int | None, float]:
        """Of data + factor * output, the output and the factor, if it is that
        of a discount: at least 0.5, and less than 1. Else None."""
        added, factor = False, 1.0
        while tensor in self.ways:
            kind, sources = self.ways[tensor]
            own = [number for number in sources if number in self.learned]
            if kind == "AddV2" and len(own) == 1:
                added = True
            elif kind == "Mul" and added and len(own) == 1:
                factor = min(factor, self.factors.get(tensor, -1.0))
            elif kind not in (*_SHAPES, *_CHOICES):
                break
            tensor = own[0]
        # A mean over examples is that of a centre which moves slowly.
        mean = self.ways.get(tensor, ("", []))[0] == "Mean"
        found = added and 0.5 <= factor < 1 and not mean
        return (tensor, factor) if found else (None, 1.0)

    def last_weight(self, tensor: int | None) -> int:
        """The weight that the fewest operations lie between, 0 without one."""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(0), ("StopGradient", []))
            if kind == "ReadVariableOp":
                return sources[0]
            new = [number for number in sources if number not in seen]
            if kind != "StopGradient":
                seen.update(new)
                todo += new
        return 0

    def find_exchange(self) -> None:
        evidence = "the logarithm of the targets is taken, and not that of the output"
        self.find_once("swapped-arguments", evidence)


class _Layers(_Seen):
    """Sees every layer through its call."""

    def where(self) -> str:
        layer = self.running[-1][0] if self.running else self.model
        return layer.path or layer.name

    def watched(
        self, layer: keras.Layer, call: Callable[..., Any]
    ) -> Callable[..., Any]:
        weights = _weights(layer)

        def run(*arguments: Any, **keywords: Any) -> Any:
            if not tf.executing_eagerly():
                # within a tf.function, tensors have no values yet
                return call(*arguments, **keywords)
            if self.done:
                on = self.evaluating and keywords.get("training")
                if on and isinstance(layer, _DROPOUTS) and layer.rate:
                    self.dropping.append(f"{layer.path}, rate {layer.rate:g}")
                self.running.append((layer, {}))
                try:
                    return call(*arguments, **keywords)
                finally:
                    self.running.pop()
            given = [
                part
                for part in tree.flatten((arguments, keywords))
                if isinstance(part, tf.Tensor)
            ]
            if isinstance(layer, layers.Embedding):
                self.quietly(self.check_indices, layer, *arguments, **keywords)
            elif weights and (
                # Its cell is not looked into.
                isinstance(layer, layers.RNN)
                or not any(
                    _weights(part) for part in layer._flatten_layers(include_self=False)
                )
            ):
                self.quietly(self.look_at_inputs, given)
            frame = dict[str, Any].fromkeys(
                ("before", "after", "dead", "saturated", "peaked")
            ) | {"weights": weights}
            self.running.append((layer, frame))
            output = call(*arguments, **keywords)
            self.running.pop()
            self.normalized |= "Norm" in type(layer).__name__
            if isinstance(layer, layers.RNN) and given:
                self.recurrent.append((layer, call, given[0]))
            self.quietly(self.look, layer, weights, given, output, frame)
            return output

        return run

    def look_at_inputs(self, given: list[tf.Tensor]) -> None:
        """What the first weights read, if it comes from the data alone."""
        for tensor in given:
            if (
                tensor.dtype.is_floating
                and tensor._id not in self.learned
                and not _is_mask(_array(tensor))
            ):
                values = _array(tensor)
                self.look_at_scale(_rms(values), _columns(values))

    def look(
        self,
        layer: keras.Layer,
        weights: list[Any],
        given: list[tf.Tensor],
        output: Any,
        frame: dict[str, Any],
    ) -> None:
        tensors = [part for part in tree.flatten(output) if isinstance(part, tf.Tensor)]
        tensor = next((part for part in tensors if part.dtype.is_floating), None)
        if not weights or tensor is None:
            return
        if frame["before"] is not None and frame["after"] is tensor:
            tensor = frame["before"]
        values = _array(tensor)
        if not values.size:
            # an expert to which this batch sends nothing
            self.idle |= {self.names[id(weight)] for weight in weights}
            return
        path = self.path(part._id for part in (*given, *tensors))
        straight = self.straight(layer, given)
        for part in (tensor, *tensors):
            self.paths[part._id] = path[0] + 1, (len(self.rows), path[1])
            if _is_linear(layer):
                self.linear[part._id] = len(self.rows)
        self.learned |= {part._id for part in tensors}
        numbers = {
            "kind": type(layer).__name__,
            "shape": values.shape,
            "cosine": _cosine(values, self.examples),
            "gain": _gain(layer, weights),
            "weights": [self.names[id(weight)] for weight in weights],
            "tensor": tensor,
            "straight": straight,
            "units": _units(layer, _array(weights[0])).shape,
        }
        numbers |= {
            what: frame.get(what) for what in ("dead", "saturated", "peaked", "narrow")
        }
        numbers |= {"before": path[1] and path[1][0], "node": layer}
        frame["row"] = self.add(layer.path, _moments(values) | numbers)

    def look_through_time(self, layer: layers.RNN, call: Any, given: tf.Tensor) -> None:
        """What of the last output depends on the first step, and on the
        last."""
        given = tf.identity(given[:FEW])
        with tf.GradientTape() as tape:
            tape.watch(given)
            output = call(given)
            output = output[0] if isinstance(output, tuple | list) else output
            last = output[:, -1] if layer.return_sequences else output
            signs = tf.cos(tf.range(last.shape[-1], dtype="float32"))
            total = tf.reduce_sum(last * tf.cast(signs, last.dtype))
        slope = _array(tape.gradient(total, given))
        ends = (-1, 0) if layer.go_backwards else (0, -1)
        first, end = (_norm(slope[:, place]) for place in ends)
        self.through_time.append((layer.path, slope.shape[1], first, end))


class _Losses(_Seen):
    """Judges outputs beside targets."""

    def look_at_constants(self, loss_fn: Any) -> None:
        """Is a loss least where all examples, and all outputs of a shape, are
        answered alike?"""
        outputs, count = tree.flatten(self.output), self.examples
        small = sum(math.prod(part.shape) for part in outputs) <= NUMBERS
        trained = {part.value.handle._id for part in self.model.trainable_variables}
        if (
            not small
            or count < FEW
            or not all(
                part.shape.rank > 1
                and part.shape[0] == count
                and self.reaches(part._id, trained)
                for part in outputs
            )
        ):
            return
        own = [tf.identity(part) for part in outputs]
        seeds = global_seed_generator().state
        state = seeds.numpy()

        def loss(parts: list[tf.Tensor], wanted: Any = self.wanted) -> tf.Tensor:
            seeds.assign(state)
            given = tree.pack_sequence_as(self.output, parts)
            return tf.reduce_mean(loss_fn(wanted, given))

        def steep(parts: list[tf.Tensor]) -> tuple[float, list[np.ndarray]]:
            """A loss and its slopes."""
            with tf.GradientTape() as tape:
                tape.watch(parts)
                value = loss(parts)
            slopes = tape.gradient(value, parts, unconnected_gradients="zero")
            return float(value), [_array(slope) for slope in slopes]

        order = np.roll(np.arange(count), 1).tolist()
        moved = tree.map_structure(partial(_taken, count, order), self.wanted)
        # Of targets that all are alike nothing is read, either.
        if float(loss(own, moved)) != float(loss(own)):
            return
        value, slopes = steep(own)
        # What is cut off in the loss may be a part of an output.
        moving = [slope.reshape(count, -1) != 0 for slope in slopes]
        if not all(part.any(0).all() and part.any(1).all() for part in moving):
            return
        # By shape, the output whose rows answer for all.
        firsts = {tuple(part.shape): part for part in reversed(own)}
        rows = [firsts[tuple(part.shape)] for part in own]
        constants = [
            [tf.gather(part, [place] * count) for part in rows]
            for place in range(0, count, count // 4)
        ]
        draw, near = np.random.default_rng(0), list[float]()
        for constant in constants * 4:
            others = [
                0.95 * part + 0.05 * tf.gather(row, draw.permutation(count))
                for part, row in zip(constant, rows, strict=True)
            ]
            near.append(float(loss(others)))
        answered = [
            (low, math.hypot(*map(_norm, flat))) for low, flat in map(steep, constants)
        ]
        size, apart = math.hypot(*map(_norm, slopes)), float(loss(rows))
        self.judge_constants(value, size, answered, near, apart)

    def judge_loss(self, loss_fn: Any, output: tf.Tensor) -> None:
        """What the loss is given, against what it takes."""
        name = getattr(loss_fn, "name", getattr(loss_fn, "__name__", ""))
        settings = loss_fn.get_config() if hasattr(loss_fn, "get_config") else {}
        values, targets = _array(output), self.targets[0]
        if "crossentropy" in name and values.ndim and len(self.targets) == 1:
            logits, ignored = (
                settings.get(key) for key in ("from_logits", "ignore_class")
            )
            self.judge_crossentropy(name, output, targets, bool(logits), ignored)
        elif name == "ctc":
            # Padding stands at the end.
            later = np.cumsum(targets[:, ::-1] != 0, 1)[:, ::-1]
            self.judge_blank(int(((targets == 0) & (later > 0)).sum()), targets.size, 0)
        elif name in ("kl_divergence", "poisson") and len(self.targets) == 1:
            self.judge_targets(targets, 0, 1 if name == "kl_divergence" else math.inf)
            if name == "poisson":
                given = values[_kept(output)]
                self.judge_rate(self.maker(output), False, given.min(initial=0.0))
        elif name in _REGRESSIONS:
            self.look_at_term(targets, 1.0)
            if values.shape != targets.shape:
                self.find(
                    "broadcast-loss", f"output {values.shape}, targets {targets.shape}"
                )
            kept = _kept(output)
            if targets.shape[: kept.ndim] == kept.shape:
                targets = targets[kept]
            self.judge_range(self.maker(output), targets, targets.size)
            if _rms(targets) > INPUT:
                self.find(
                    "target-scale",
                    f"root mean square {_rms(targets):.3g}, more than {INPUT:g}",
                )

    def look_at_terms(self) -> None:
        """The errors of several outputs that a compiled loss adds up."""
        for path, loss, weight, _ in self.model._compile_loss._flat_losses:
            target = self.wanted
            for key in path:
                target = target[key]
            name = getattr(getattr(loss, "fn", loss), "__name__", "")
            if name in _REGRESSIONS:
                self.look_at_term(_array(target), 1.0 if weight is None else weight)

    def judge_crossentropy(
        self,
        name: str,
        output: tf.Tensor,
        targets: np.ndarray,
        from_logits: bool,
        ignore_class: Any = None,
        of_keras: bool = True,
    ) -> None:
        # What the softmax and the sigmoid of Keras return remembers its logits,
        # and the losses of Keras take these.
        known = getattr(output, "_keras_logits", None) if of_keras else None
        kept = _kept(output)
        logits = from_logits or known is not None
        maker = "" if known is not None else self.maker(output)
        units = output.shape[-1] if len(output.shape) > 1 else 1
        values = _array(output if known is None else known)
        if maker == "Relu":
            share = f"{(values == 0).mean():.0%} of the loss's inputs are exactly 0"
            self.find_once("relu-before-loss", share)
        if "sparse" not in name:
            self.judge_targets(targets, 0, 1)
        if "categorical" in name and self.maker(output) == "Sigmoid" and units > 1:
            self.find_once("sigmoid-before-categorical", f"{units} sigmoids")
        elif maker == "Tanh":
            span = f"the loss's inputs go from {values.min():.2g} to {values.max():.2g}"
            self.find_once("tanh-before-loss", span)
        elif "binary" in name:
            self.judge_binary(logits, maker == "Sigmoid", values, targets, kept)
        elif "categorical" in name:
            sparse = "sparse" in name
            self.judge_classes(logits, values, targets, sparse, ignore_class, kept)

    @contextmanager
    def crossentropies(self) -> Iterator[None]:
        """The cross-entropies that a loss calls, in whatever it wraps them."""
        names = [f"{kind}categorical_crossentropy" for kind in ("", "sparse_")]
        kept = {
            name: getattr(backend.nn, name) for name in (*names, "binary_crossentropy")
        }

        def seen(name: str, target: Any, output: Any, *args: Any, **kwargs: Any) -> Any:
            # Swapped arguments are seen by their operations.
            if getattr(output, "_id", None) in self.learned:
                logits = kwargs.get("from_logits", args[0] if args else False)
                targets = _array(target)
                self.quietly(self.judge_crossentropy, name, output, targets, logits)
                self.quietly(self.judge_guess, target, output)
            # Those of Keras run the operations of TensorFlow.
            self.inside_keras = True
            try:
                return kept[name](target, output, *args, **kwargs)
            finally:
                self.inside_keras = False

        for name in kept:
            setattr(backend.nn, name, partial(seen, name))
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(backend.nn, name, function)

    def judge_guess(self, target: Any, output: tf.Tensor) -> None:
        """A target that the model makes itself."""
        trained = {part.value.handle._id for part in self.model.trainable_variables}
        number = getattr(target, "_id", 0)
        if number in self.learned and self.reaches(number, trained):
            last = self.last_weight(number)
            self.judge_own_target(last == self.last_weight(output._id))

    def judge_classes(
        self,
        logits: bool,
        values: np.ndarray,
        targets: np.ndarray,
        sparse: bool,
        ignored: Any,
        counted: np.ndarray,
    ) -> None:
        classes, rows = values.shape[-1], values.reshape(-1, values.shape[-1])
        kept = counted.reshape(-1)
        if sparse:
            labels = targets.reshape(-1)
            known = (
                np.full(labels.shape, True) if ignored is None else labels != ignored
            )
            # Under a mask, too, a loss reads all labels.
            if (
                known.any()
                and not 0 <= labels[known].min() <= labels[known].max() < classes
            ):
                span = f"labels {labels[known].min():g} to {labels[known].max():g}"
                self.find_once("labels-out-of-range", f"{span}, {classes} classes")
                raise _Stop
            kept = kept & known if kept.shape == known.shape else known
            self.look_at_shift(targets, kept)
        sums_to_one = (rows >= 0).all() and (abs(rows.sum(-1) - 1) < 1e-2).all()
        if logits and sums_to_one and classes > 1:
            self.find_once(
                "softmax-before-cross-entropy",
                "every row of the loss's input is >= 0 and has the sum 1",
            )
        elif not logits and not sums_to_one and np.isfinite(rows).all():
            self.find_once(
                "logits-without-from-logits",
                f"a row of the output has the sum {rows.sum(-1).mean():.3g}, not 1",
            )
        if logits:
            shifted = rows - rows.max(-1, keepdims=True)
            scores = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        else:
            scores = np.log(np.clip(rows, 1e-7, 1))
        apart = float(abs(rows - rows[:1]).max()) if rows.size else 0.0
        self.look_at_logits(np.linalg.norm(rows, axis=-1).tolist(), apart)
        if sparse and len(labels) == classes == len(scores):
            # Each example against each.
            self.bounded |= np.array_equal(labels, np.arange(classes))
        if sparse and len(labels) == len(scores):
            costs = -scores[kept][np.arange(kept.sum()), labels[kept].astype(int)]
        elif not sparse and targets.shape == values.shape:
            costs = -(targets.reshape(rows.shape) * scores).sum(-1)[kept]
        else:
            return
        if len(costs):
            self.compare(costs, classes)

    def look_at_shift(self, target: np.ndarray, kept: np.ndarray) -> None:
        """Are the targets the tokens themselves, those next to them, or those
        after? A decoder reads its tokens beside those of another text."""
        for number, tokens in enumerate(self.texts):
            for shift in (1, 0, 2) if number else range(3):
                if self.stands_at(shift, tokens, target, kept):
                    self.shifts.add(shift)
                    self.tokens = tokens
                    return

    def stands_at(
        self, shift: int, tokens: np.ndarray, target: np.ndarray, kept: np.ndarray
    ) -> bool:
        if target.size != tokens.size:
            return False
        target, kept = (part.reshape(tokens.shape) for part in (target, kept))
        end = tokens.shape[1] - shift
        some = kept[:, :end]
        same = target[:, :end][some] == tokens[:, shift:][some]
        stands = bool(some.sum() >= FEW and same.all())
        if stands:
            # Padding is one token; what a mask leaves out is many.
            left = len(np.unique(tokens[:, shift:][~some])) > 2
            self.copies |= shift == 0 and left
        return stands

    def look_at_order(self) -> None:
        """A causal model says of the first half of a text the same whatever
        follows."""
        if self.copies:
            self.judge_shift(False)
            return
        half, some = self.tokens.shape[1] // 2, [*range(len(self.tokens))][:2]
        other = self.tokens.copy()
        other[:, half:] = np.roll(self.tokens[:, half:][:, ::-1], 1, 0)
        outputs = []
        for one in (self.tokens, other):
            given = tree.map_structure(
                partial(_exchanged, self.tokens, one), self.given
            )
            given = tree.map_structure(partial(_taken, len(one), some), given)
            output = tree.flatten(self.model(given, training=False))
            shape = (len(some), one.shape[1])
            outputs.append(
                _array(next(part for part in output if part.shape[:2] == shape))
            )
        apart = abs(outputs[0] - outputs[1])
        same = apart[:, :half].max() <= 1e-4 * abs(outputs[0]).max()
        self.judge_shift(bool(same and apart[:, half:].max() > 0))
        if not same and 1 in self.shifts:
            self.find("future-visible", "an output changes with what comes after it")

    def compare(self, costs: np.ndarray, classes: int) -> None:
        """The loss of each example with that of guessing."""
        if self.chance_loss is None:
            self.chance_loss = math.log(classes)
            if costs.size >= FEW and not self.bounded:
                self.excess = float(costs.mean()) - self.chance_loss
                self.doubt = float(costs.std(ddof=1)) / math.sqrt(costs.size)

    def judge_binary(
        self,
        logits: bool,
        doubled: bool,
        values: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        # Logits may well lie between 0 and 1: their range tells nothing.
        if logits and doubled:
            self.find_once(
                "sigmoid-before-logits-loss",
                "the loss's input is the output of a sigmoid",
            )
        elif (
            not logits
            and np.isfinite(values).all()
            and not 0 <= values.min() <= values.max() <= 1
        ):
            span = f"the loss's inputs go from {values.min():.3g} to {values.max():.3g}"
            self.find_once("logits-without-from-logits", span)
        if values.shape != targets.shape:
            return
        if logits:
            costs = (
                np.maximum(values, 0)
                - values * targets
                + np.log1p(np.exp(-abs(values)))
            )
        else:
            kept = np.clip(values, 1e-7, 1 - 1e-7)
            costs = -(targets * np.log(kept) + (1 - targets) * np.log(1 - kept))
        self.compare(costs[counted], 2)


class _Operations(_Seen):
    """Sees every operation of TensorFlow as it is recorded."""

    compared_at: str

    def reaches(self, tensor: int, weights: set[int]) -> bool:
        """Is there a way back to one of some weights?"""
        todo, seen = [tensor], {tensor}
        while todo:
            kind, sources = self.ways.get(todo.pop(), ("StopGradient", []))
            if kind == "ReadVariableOp" and sources[0] in weights:
                return True
            new = [number for number in sources if number not in seen]
            if kind not in _CUTS:
                seen.update(new)
                todo += new
        return False

    def straight(
        self, layer: keras.Layer, given: list[tf.Tensor]
    ) -> tuple[int, int] | None:
        """The linear layer that leads to this one past nothing that bends it,
        if one layer could do the work of both."""
        tensor = next((part._id for part in given if part._id in self.linear), None)
        if tensor is None or not _is_linear(layer, bends=True):
            return None
        place = self.linear[tensor]
        fan_in, middle = self.rows[place]["units"]
        units = _units(layer, _array(_weights(layer)[0])).shape[1]
        return (place, tensor) if middle >= min(fan_in, units) else None

    def path(self, tensors: Iterable[int]) -> tuple[int, Any]:
        """The most layers on the way to one of some tensors, and which."""
        paths = (self.paths.get(tensor, (0, None)) for tensor in tensors)
        return max(paths, key=lambda path: path[0], default=(0, None))

    def longest(self, tensors: list[int]) -> list[int]:
        places, link = list[int](), self.path(tensors)[1]
        while link:
            places.append(link[0])
            link = link[1]
        return places[::-1]

    def operation(
        self,
        kind: str | bytes,
        inputs: Any,
        attributes: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        """Called by TensorFlow after every operation, and for each that is put
        into a graph, where tensors have no values.
        """
        if graph is not None:
            return
        self.quietly(
            self.after,
            kind.decode() if isinstance(kind, bytes) else kind,
            inputs,
            outputs,
            attributes or (),
        )

    def after(
        self,
        kind: str,
        inputs: list[tf.Tensor],
        outputs: list[tf.Tensor],
        attributes: tuple[Any, ...] = (),
    ) -> None:
        numbers = [value._id for value in inputs]
        path = self.path(numbers)
        learned = any(
            value.dtype == tf.resource for value in inputs
        ) or not self.learned.isdisjoint(numbers)
        if (
            self.in_loss
            and len(inputs) == 2
            and (numbers[0] in self.learned) != (numbers[1] in self.learned)
        ):
            self.judge_broadcast(inputs[0].shape, inputs[1].shape, outputs[0].shape)
        self.readers.update(numbers)
        self.cuts += [self.loose.pop(one) for one in numbers if one in self.loose]
        if learned and kind in (*_CUTS, *_COMPARISONS):
            place = "the loss" if self.in_loss else self.where()
            what = f"{kind} in {place}, of shape {tuple(outputs[0].shape)}"
            cut = len(self.rows), kind != "StopGradient", what
            if kind in _CUTS:
                self.loose[outputs[0]._id] = cut
            self.compared_at = self.compared_at or what
        if kind in ("Mul", "RealDiv") and len(inputs) == 2:
            self.look_at_constant(kind, inputs, outputs[0]._id)
        if kind == "MatMul":
            turned = dict(zip(attributes[::2], attributes[1::2], strict=True))
            one, other = (part.numpy() for part in inputs)
            one = one.T if turned.get("transpose_a") else one
            other = other if turned.get("transpose_b") else other.T
            if len(other) != self.examples:
                self.look_at_product(_lengths(one), _lengths(other))
        if self.in_loss:
            self.look_at_loss(kind, inputs, outputs)
        elif kind in ("Round", "Rint"):
            self.rounded |= inputs[0].shape[:1] == (self.examples,)
        some = {
            part._id
            for part in inputs
            if part.dtype.is_floating and part._id in self.learned
        }
        if kind in (*_SHAPES, "Transpose") or (
            len(some) == 1 and kind in ("Mul", "RealDiv", "SelectV2")
        ):
            straight = next(
                (self.linear[value] for value in numbers if value in self.linear), None
            )
            if straight is not None:
                self.linear[outputs[0]._id] = straight
        of_all = kind == "Transpose" and inputs[0].shape[0] == self.examples > 1
        if of_all and _array(inputs[1])[-1] == 0:
            self.turned.add(outputs[0]._id)
        if kind == "Transpose":
            self.axes[outputs[0]._id] = int(_array(inputs[1])[-1])
        elif kind in _PRODUCTS and learned:
            named = dict(zip(attributes[::2], attributes[1::2], strict=True))
            self.look_at_weighing(inputs, named)
        for output in outputs if inputs else ():
            self.makers[output._id] = kind, numbers[0]
            if path[0]:
                self.paths[output._id] = path
            if learned:
                self.learned.add(output._id)
                self.ways[output._id] = kind, numbers
        if kind == "Softmax" and not self.in_loss:
            self.judge_axis(tuple(inputs[0].shape), -1, self.where())
            if learned and self.source(numbers[0]) in self.turned:
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0, of the {self.examples} examples",
                    self.where(),
                )
        layer, frame = self.running[-1] if self.running else (None, None)
        if layer is None or isinstance(layer, layers.RNN):
            return
        if kind == "AddV2":
            shapes = [tuple(value.shape) for value in inputs]
            self.sums += len(shapes[0]) > 1 and shapes[0] == shapes[1]
        elif kind in ("Relu", "Relu6", "Sigmoid", "Tanh", "Softmax"):
            if frame["weights"]:
                frame["before"], frame["after"] = inputs[0], outputs[0]
            row = frame if frame["weights"] else self.rows[-1] if self.rows else {}
            if row:
                self.activation(kind, row, inputs[0], outputs[0])

    def look_at_constant(self, kind: str, inputs: list[tf.Tensor], result: int) -> None:
        """Of a product of one's output and what no weight had a part in, or of
        noise, which a seed had a part in."""
        own, other = inputs
        if own._id not in self.learned or self.is_drawn(own._id):
            own, other = other, own
        drawn = self.is_drawn(other._id)
        if own._id not in self.learned or (other._id in self.learned and not drawn):
            return
        size = math.prod(other.shape)
        noise = not self.in_loss and kind == "Mul" and own.shape == other.shape
        if noise or self.in_loss or size == 1:
            low, high = float(tf.reduce_min(other)), float(tf.reduce_max(other))
            self.noisy |= {result} if noise and size > 1 and low < 0 < high else set()
            self.constants[result] = (low >= 0 < high) - (high <= 0 > low)
            if size == 1 and low:
                self.numbers[result] = low if kind == "Mul" else 1 / low

    def is_drawn(self, tensor: int) -> bool:
        kinds = (*_SHAPES, "AddV2", "Mul")
        return "Random" in self.ways.get(self.back(tensor, kinds), ("", []))[0]

    def look_at_doubled(self, kind: str, tensor: int) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        while self.ways.get(tensor, ("", []))[0] in _SIGNS:
            maker, sources = self.ways[tensor]
            tensor = sources[-1 if maker.startswith("Select") else 0]
        if self.ways.get(tensor, ("", []))[0] == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def look_at_weighing(self, inputs: list[tf.Tensor], named: dict[Any, Any]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        sums = [{len(inputs[0].shape) - (2 if named.get("adj_x") else 1)}, set[int]()]
        if "equation" in named:
            equation = named["equation"]
            read, made = (
                equation.decode() if isinstance(equation, bytes) else equation
            ).split("->")
            if "." in read:
                return
            sums = [
                {letters.index(letter) for letter in set(letters) - set(made)}
                for letters in read.split(",")
            ]
        for operand, summed in zip(inputs, sums, strict=True):
            weights = self.back(operand._id, ("Identity", "Cast", "Mul", "SelectV2"))
            axis = self.axes.get(weights, len(operand.shape) - 1)
            soft = self.back(weights, ("Transpose",))
            if self.makers.get(soft, ("", 0))[0] != "Softmax" or not summed:
                continue
            scores = self.back(self.makers[soft][1], _SCALINGS)
            product = self.makers.get(scores, ("", 0))[0]
            wide = any(operand.shape[place] > 1 for place in summed)
            if product in _PRODUCTS and axis not in summed and wide:
                shape = tuple(operand.shape)
                evidence = f"softmax over axis {axis} of {shape}, of which axis {min(summed)} is summed over"
                self.find_once("attention-axis", evidence, self.where())

    def back(self, tensor: int, kinds: tuple[str, ...]) -> int:
        """The tensor before some operations, by the first input that weights
        had a part in."""
        while tensor in self.ways and self.ways[tensor][0] in kinds:
            kind, sources = self.ways[tensor]
            # The mask of a dropout comes first, and from a variable.
            sources = sources[1:] if kind == "SelectV2" else sources
            tensor = next(number for number in sources if number in self.learned)
        return tensor

    def activation(
        self, kind: str, row: dict[str, Any], source: tf.Tensor, result: tf.Tensor
    ) -> None:
        values = _array(result)
        if kind == "Softmax":
            if values.ndim > 2 and values.shape[-1] >= 8:
                # Masks are written as large negative numbers.
                scores = _array(source)
                visible = (scores > scores.max(-1, keepdims=True) - 5000).sum(-1) >= 8
                if visible.any():
                    self.note(row, "peaked", float(values[visible].max(-1).mean()))
        elif kind in ("Sigmoid", "Tanh"):
            y = _sample(values)
            slope = 1 - y * y if kind == "Tanh" else 4 * y * (1 - y)
            self.note(row, "saturated", float((slope < FLAT).mean()))
            self.squashed.append((row, result._id))
        elif values.ndim > 1:
            dead = values.max(axis=tuple(range(values.ndim - 1))) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(row, "dead", float(dead.mean()))
                row["narrow"] = len(dead) < UNITS

    def check_indices(
        self, layer: keras.Layer, given: Any, reverse: bool = False, **_: Any
    ) -> None:
        indices = _array(given)
        if (
            not reverse
            and indices.size
            and not 0 <= indices.min() <= indices.max() < layer.input_dim
        ):
            self.find(
                "index-out-of-range",
                f"indices {indices.min():g} to {indices.max():g}, {layer.input_dim} rows",
                layer.path,
            )
            raise _Stop

    def source(self, tensor: int) -> int:
        """The tensor that holds the same numbers, before its shape changed."""
        while self.makers.get(tensor, ("", 0))[0] in _SHAPES:
            tensor = self.makers[tensor][1]
        return tensor

    def maker(self, tensor: tf.Tensor) -> str:
        """The operation that made the numbers of a tensor."""
        return self.makers.get(self.source(tensor._id), ("", 0))[0]


ADVICE |= {
    "logits-without-from-logits": (
        "fault",
        "The loss takes probabilities and gets something else.",
        "The model returns logits, and from_logits of the loss is False, its default.",
        "from_logits=True in the loss; or a softmax (sigmoid) after the last layer.",
        "chapters/activation-functions/#use",
    ),
    "non-finite-gradient": (
        "fault",
        "The loss is finite and a gradient is not.",
        "An overflow on the way back, or a slope without value: sqrt(0), a norm of zeros, 0 * inf in where.",
        "An epsilon inside the operation: sqrt(x + 1e-8). Before where, replace also the inputs that it leaves out.",
        "chapters/exploding-gradients/#use",
    ),
    "no-gradient": (
        "fault",
        "Layers that run before all others are to be trained and get no gradient.",
        "ops.stop_gradient, a trip through NumPy or a step without gradient (argmax, round) between them and the loss.",
        "Remove it; or freeze these layers, if that is meant: layer.trainable = False.",
        "chapters/vanishing-gradients/#use",
    ),
    "identical-layers": (
        "note",
        "Layers that are not shared hold the same numbers.",
        "One initializer object for many layers: every call of a Keras initializer draws the same numbers.",
        "Give each layer an initializer of its own, or its name as a string.",
        "chapters/he-initialization/#use",
    ),
}


def check_model(
    model: keras.Model, batch: Any, loss_fn: Callable[[Any, Any], Any] | None = None
) -> ModelReport:
    """Run `model` and its loss forward and backward once, with `training=True`,
    and report.

    `batch` is a pair `(inputs, targets)`; inputs are what the model takes: an
    array, or a tuple, list or dictionary of arrays. Of a `tf.data.Dataset` or a
    `PyDataset` the first batch is taken. The loss is
    `loss_fn(targets, output)`, in the order of `keras.losses`; without it, the
    compiled one, with what layers add to it (`add_loss`). A model that is
    frozen throughout gets no backward pass, and the report says so.

    Raises ValueError, saying what to pass, for a model that is not built or has
    no weights, a batch the model does not take, a loss that is no scalar or has
    no gradient, and another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the Keras backend must be tensorflow, got {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    if not model.built or not model.weights:
        raise ValueError(
            f"model must have weights (build it, or run it on a batch once before), got {model.name!r}"
        )
    if isinstance(batch, tf.data.Dataset | keras.utils.PyDataset):
        batch = _first(batch)
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        got = (
            f"{len(batch)} items"
            if isinstance(batch, tuple | list)
            else type(batch).__name__
        )
        raise ValueError(
            f"batch must be a pair (inputs, targets) without weights, {_way_to(batch)}, got {got}"
        )
    inputs, targets = batch
    bare = [part for part in tree.flatten(batch) if isinstance(part, float | int | str)]
    if bare:
        raise ValueError(
            f"batch must hold arrays, np.array(values) of a list of numbers, got a list with {bare[0]!r}"
        )
    compiled = loss_fn is None
    if loss_fn is None:
        own = type(model).compute_loss is not keras.Model.compute_loss
        loss_fn = getattr(model, "loss", None)
        if own:
            loss_fn, compiled = _computed_by(model, inputs), False
        elif loss_fn is None and not model.compiled:
            raise ValueError(
                "loss_fn must be given for a model that is not compiled with a loss"
            )
    if isinstance(loss_fn, type):
        raise ValueError(
            f"loss_fn must be a function or an instance, got the class {loss_fn.__name__}"
        )
    if loss_fn is None or isinstance(loss_fn, dict | list | tuple):
        # of several outputs, or added by layers alone: the compiled model knows
        loss_fn, compiled = _computed_by(model, inputs), False
    loss_fn = losses.get(loss_fn)
    empty = [value.shape for value in _arrays(inputs) if not value.size]
    if empty:
        raise ValueError(
            f"batch must hold an example at least, got inputs of shape {empty[0]}"
        )
    watch = _Watch(model, inputs, targets)
    trained = list(model.trainable_variables)
    slopes: list[Any] = [None] * len(trained)
    with (
        _untouched(model, watch.layers, batch, loss_fn) as before,
        tf.GradientTape() as tape,
    ):
        try:
            value = watch.run(loss_fn)
            watch.loss = float(value)
            added = [part._id for part in (_added(model) if compiled else ())]
            watch.quietly(watch.judge_divergence, [watch.whole, *added])
            if compiled:
                parts = [tf.reduce_sum(part) for part in _added(model)]
                value += sum((tf.cast(part, value.dtype) for part in parts), 0.0)
            if not trained:
                watch.judge_still()
            watch.judge_variables(tape.watched_variables(), before)
            with tape.stop_recording():
                outputs = [row["tensor"] for row in watch.rows]
                products = [product for product, _ in watch.products]
                slopes = tape.gradient(
                    value,
                    [*(variable.value for variable in trained), *outputs, *products],
                )
            if all(slope is None for slope in slopes[: len(trained)]):
                ends = [*(what for *_, what in watch.cuts), watch.compared_at]
                end = f" (it ends at {ends[0]})" if ends[0] else ""
                raise ValueError(
                    "loss has no gradient: pass a loss that depends on the output, and stop no gradient on the way"
                    + end
                )
            watch.done = watch.went_back = True
            with tape.stop_recording():
                if not math.isfinite(watch.loss):
                    watch.quietly(watch.hunt, loss_fn)
                elif all(map(_all_finite, slopes[: len(trained)])):
                    watch.ask(loss_fn)
                else:
                    watch.quietly(watch.hunt_back, loss_fn, trained)
        except _Stop:
            pass
    watch.measure(trained, slopes)
    if before.lost:
        watch.find("not-put-back", f"{len(before.lost)} values", *before.lost)
    reports = watch.reports()
    chain = [reports[place] for place in watch.chain]
    return ModelReport(
        model=model.name,
        parameters=model.count_params(),
        trainable=sum(math.prod(variable.shape) for variable in trained),
        loss=watch.loss,
        chance_loss=watch.chance_loss,
        forward=_factor([layer.std for layer in chain]),
        backward=_factor([layer.gradient for layer in reversed(chain)]),
        depth=len(chain),
        layers=reports,
        findings=_judge(watch, reports),
    )


def _added(model: keras.Model) -> list[tf.Tensor]:
    """What layers have added to the loss in the pass. Penalties on weights are
    left out: they reach every weight, wherever the gradient ends.
    """
    return [part for layer in model._flatten_layers() for part in layer._losses]


def _computed_by(model: keras.Model, inputs: Any) -> Callable[[Any, Any], Any]:
    """The loss that a model computes itself."""
    return lambda targets, output: model.compute_loss(
        x=inputs, y=targets, y_pred=output
    )


def _first(batches: Any) -> Any:
    """Of a dataset; of an empty one, nothing."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    return next(iter(batches), ())


def _way_to(batch: Any) -> str:
    """A batch, from what was given."""
    if isinstance(batch, Mapping) and "labels" in batch:
        return "(inputs, labels) of a dictionary that holds both"
    return "next(batches) of a generator or of iter(loader)"


class _Watch(_Birth, _Layers, _Operations, _History, _Losses):
    """Sees every layer through its `call`, and every activation through the
    operations that TensorFlow runs.
    """

    def __init__(self, model: keras.Model, inputs: Any, targets: Any) -> None:
        super().__init__()
        self.model, self.given, self.wanted = model, inputs, targets
        self.layers = _leaves(model)
        self.names = {id(weight): weight.path for weight in model.weights}
        self.running: list[tuple[keras.Layer, dict[str, Any]]] = []
        # By the number of a tensor: the operation and its first input, whether
        # weights had a part in it, and the layers that it went through.
        self.makers: dict[int, tuple[str, int]] = {}
        self.ways: dict[int, tuple[str, list[int]]] = {}
        """Of what weights had a part in, the operation and all its inputs."""
        self.factors: dict[int, float] = {}
        """Of a product in the loss with what is no weight's, its largest
        factor."""
        self.constants: dict[int, int] = {}
        """The sign of what is no weight's in a product or a quotient."""
        self.numbers: dict[int, float] = {}
        """The factor that it is, if it is one number."""
        self.noisy: set[int] = set()
        """Products with as many numbers, above and below 0, as there are."""
        self.output: Any = None
        self.whole = 0
        """The number of the loss, before it is a mean."""
        self.axes: dict[int, int] = {}
        """Of what was moved to the end by a transposition, the old place."""
        self.learned: set[int] = set()
        self.paths: dict[int, tuple[int, Any]] = {}
        self.squashed: list[tuple[dict[str, Any], int]] = []
        self.inputs, self.targets = _arrays(inputs), _arrays(targets)
        self.examples = (
            len(self.inputs[0]) if self.inputs and self.inputs[0].ndim else 0
        )
        self.cosine = _cosine(self.inputs[0], self.examples) if self.inputs else None
        bad = [
            value.shape
            for value in self.inputs + self.targets
            if not np.isfinite(value).all() and not _is_mask(value)
        ]
        self.bad_input = f"in an array of shape {bad[0]}" if bad else ""
        self.in_loss = self.done = False
        # By the number of a tensor: the row of the linear layer that it comes
        # straight from; and those whose last axis is that of the examples.
        self.linear: dict[int, int] = {}
        self.readers = Counter[int]()
        self.turned: set[int] = set()
        self.recurrent: list[tuple[layers.RNN, Any, tf.Tensor]] = []
        self.handles = {
            part.value.handle._id: part.path
            for part in model.weights
            if isinstance(part.value, tf.Variable)
        }
        self.inside_keras = self.evaluating = False
        self.loose: dict[int, tuple[int, bool, str]] = {}
        """Cuts whose result nobody has read yet, by the number of it."""
        self.compared_at = ""
        """The first comparison of what weights had a part in, or cut."""
        self.norms = {id(_scale(part)) for part in self.layers} - {id(None)}
        self.steps = _steps(model, self.layers)
        # Of the loss, by the number of a tensor: logarithms of what weights had
        # no part in, and the sign of those of what they had; what was negated.
        self.logged: set[int] = set()
        self.signs: dict[int, int] = {}
        self.negated: set[int] = set()
        self.inverse: set[int] = set()
        self.softplus: set[bool] = set()
        self.products_of_output = False
        self.products: list[tuple[tf.Tensor, int]] = []
        self.results: set[int] = set()
        self.signed: dict[int, tuple[str, float, float]] = {}
        """Of outputs that may go below 0, what made them, and their range."""
        self.texts = _texts(inputs)
        self.tokens = next(iter(self.texts), None)
        if self.tokens is None:
            self.tokens = _series(self.inputs, self.targets)
            self.shifts |= set() if self.tokens is None else {1}

    def run(self, loss_fn: Any) -> tf.Tensor:
        """The loss, a scalar."""
        for layer in self.layers:
            object.__setattr__(layer, "call", self.watched(layer, layer.call))
        mode = (
            {"training": True}
            if getattr(self.model, "_call_has_training_arg", True)
            else {}
        )
        shapes = ", ".join(str(value.shape) for value in self.inputs)
        op_callbacks.add_op_callback(self.operation)
        try:
            with _explained(
                lambda: (
                    f"batch of shape {shapes}: {self.where()!r} does not take what it is given"
                )
            ):
                output = self.model(self.given, **mode)
        finally:
            op_callbacks.remove_op_callback(self.operation)
        results = [
            part._id for part in tree.flatten(output) if isinstance(part, tf.Tensor)
        ]
        self.chain, self.output = self.longest(results), output
        for row in self.rows:
            # What others read as well is more than a step on the way.
            alone = row["straight"] and self.readers[row["straight"][1]] < 2
            row["straight"] = row["straight"][0] if alone else None
        self.results = sources = {self.source(result) for result in results}
        for part in tree.flatten(output):
            if isinstance(part, tf.Tensor) and part.dtype.is_floating:
                low, high = float(tf.reduce_min(part)), float(tf.reduce_max(part))
                if low < 0 or part._id in self.linear:
                    made = self.maker(part).lower(), low, high
                    self.signed[self.source(part._id)] = made
        for row, result in self.squashed:
            row.get("row", row)["predicts"] = result in sources
        own = not _is_of_keras(loss_fn)
        if isinstance(output, tf.Tensor) and not own:
            self.quietly(self.judge_loss, loss_fn, output)
        shapes = [
            [value.shape for value in self.targets],
            [tuple(part.shape) for part in tree.flatten(output)],
        ]
        with _explained(
            lambda: (
                f"loss_fn(targets, output), of shapes {shapes[0]} and {shapes[1]}, "
                f"fails{_way_round(loss_fn, self.wanted, output)}"
            )
        ):
            self.in_loss, self.inside_keras = True, not own
            op_callbacks.add_op_callback(self.operation)
            try:
                with self.crossentropies() if own else nullcontext():
                    value = tf.convert_to_tensor(loss_fn(self.wanted, output))
                    self.whole = value._id
            finally:
                op_callbacks.remove_op_callback(self.operation)
        if self.softplus == {False} and self.products_of_output:
            self.find_exchange()
        if own and tree.is_nested(output):
            self.quietly(self.look_at_terms)
        if (
            math.prod(value.shape) != 1
            and not hasattr(loss_fn, "get_config")
            and value.shape[:1] == (self.examples,)
        ):
            # a function of keras.losses gives one number per example
            value = tf.reduce_mean(value)
        if math.prod(value.shape) != 1:
            raise ValueError(
                f"loss_fn(targets, output) must be a scalar, with a reduction, got shape {tuple(value.shape)}"
            )
        return tf.reshape(value, ())

    def ask(self, loss_fn: Any) -> None:
        """What one pass does not show: other outputs, memory, evaluation, and
        neighbors."""
        self.quietly(self.look_at_constants, loss_fn)
        for layer, call, given in self.recurrent:
            self.quietly(self.look_through_time, layer, call, given)
        if self.steps and any(
            isinstance(layer, layers.BatchNormalization) for layer in self.layers
        ):
            self.quietly(self.evaluate, loss_fn)
        self.evaluating = True
        for count in () if self.rounded else (4, 5, 6):
            if self.compared < 2:
                self.quietly(self.look_at_neighbours, count)
        if self.shifts & {0, 1}:
            self.quietly(self.look_at_order)
        else:
            self.judge_shift(False)

    def evaluate(self, loss_fn: Any) -> None:
        value = loss_fn(self.wanted, self.model(self.given, training=False))
        self.evaluation = float(tf.reduce_mean(value))

    def look_at_neighbours(self, count: int) -> None:
        """Does an output change with the examples beside it?"""
        if any(value.shape[:1] != (self.examples,) for value in self.targets):
            return
        count, outputs = min(count, self.examples), []
        seeds = global_seed_generator().state
        state = seeds.numpy()
        place = _place(self.compared, self.examples)
        if not (picks := _neighbours(self.examples, count, place)):
            return
        # The first ones once more: a model that draws or remembers answers
        # otherwise.
        for pick in (*picks, picks[0]):
            random.seed(0)
            np.random.seed(0)
            seeds.assign(state)
            some = tree.map_structure(partial(_taken, self.examples, pick), self.given)
            output = self.model(some, training=False)
            outputs.append(
                [
                    (_array(part), part.dtype.size)
                    for part in tree.flatten(output)
                    if part.dtype.is_floating and part.shape[:1] == (count,)
                ]
            )
        # Each against each: similarities, as contrastive losses take them.
        if not outputs[0] or outputs[0][0][0].shape[1:2] == (count,):
            return
        changes, apart = [], 0.0
        for (first, size), (moved, _), (again, _) in zip(*outputs, strict=True):
            if not np.array_equal(first, again):
                return
            if first.shape[1:2] == (count,):
                continue
            # Below float32, the digits in common cover the rest.
            fine = 1e-3 if size > 2 else 1.0
            # What all examples have in common, such as a bias, says nothing.
            spread, whole = abs(first - first.mean(0)).max(), abs(first).max()
            change = abs(first[place] - moved[place]).max()
            apart = apart if changes else float(spread / (whole or 1.0))
            changes.append(float(change / (max(spread, fine * whole) or 1.0)))
        if math.isfinite(sum(changes)):
            further = max(changes[1:], default=0.0)
            self.judge_neighbours(changes[0], further, apart)

    def judge_still(self) -> None:
        """There is no way back."""
        self.find(
            "nothing-trains", f"{len(self.names)} weights, of which none is trainable"
        )
        raise _Stop

    def judge_variables(
        self, used: tuple[tf.Variable, ...], before: _Variables
    ) -> None:
        """Variables that the tape saw and that are neither the model's nor the
        loss's.
        """
        own = {id(variable.value) for variable in self.model.variables}
        outside = before.seen.keys() - before.inside
        strange = [variable for variable in used if id(variable) not in own | outside]
        if strange:
            names = dict.fromkeys(variable.name for variable in strange)
            self.find(
                "unregistered-weights",
                f"{len(strange)} variables that are not model.variables",
                *names,
            )

    def measure(self, trained: list[Any], slopes: list[Any]) -> None:
        """The weights and their gradients; those of the outputs follow."""
        arrays = [
            None if slope is None else _array(tf.convert_to_tensor(slope))
            for slope in slopes
        ]
        gradients = {
            id(weight): slope
            for weight, slope in zip(trained, arrays[: len(trained)], strict=True)
        }
        for row, slope in zip(self.rows, arrays[len(trained) :], strict=False):
            row["gradient"] = None if slope is None else _norm(slope)
        grown = arrays[len(trained) + len(self.rows) :]
        for (_, sign), slope in zip(self.products, grown, strict=False):
            if slope is not None:
                self.rising += bool((sign * slope >= 0).all() and slope.any())
        twins = _twins(self.model.weights)
        owners = {
            id(weight): layer for layer in self.layers for weight in _weights(layer)
        }
        for weight in self.model.weights:
            slope, owner, values = (
                gradients.get(id(weight)),
                owners.get(id(weight)),
                _array(weight),
            )
            alike = owner is not None and _alike(_units(owner, values), 0.0)
            self.weights[weight.path] = _Weight(
                name=weight.path,
                trained=id(weight) in gradients,
                norm=_norm(values),
                size=values.size,
                matrix=values.ndim > 1,
                alike=alike,
                copy=id(weight) in twins,
                gradient=None if slope is None else _norm(slope),
                gradient_alike=alike
                and slope is not None
                and _alike(_units(owner, slope), 1e-5),
                centred=_centred(values) if id(weight) in self.norms else None,
            )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(64, "sigmoid") for _ in range(10)]
    deep = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    data = np.random.default_rng(0)
    pair = data.normal(size=(32, 64)).astype("float32"), data.integers(10, size=32)
    print(
        check_model(deep, pair, losses.SparseCategoricalCrossentropy(from_logits=True))
    )
