"""Check my model: one forward and backward pass, a table of every layer, and
what is wrong with it.

    # loss_fn(model(inputs), targets)
    report = check_model(model, (inputs, targets), nn.CrossEntropyLoss())
    # Hugging Face: model(**batch).loss
    report = check_model(model, batch)
    print(report)

The model is afterwards what it was, also after an error: parameters, gradients,
buffers, attributes, mode, hooks and random states. So are the batch and the
loss.

    gain of a weight = rms(W) * sqrt(fan_in)
        0.58 nn.Linear's default, 1 Xavier (square), 1.41 He
    factor per layer = 10^(median slope of log10(size) over the layers)
        1 is carried through any depth

Source: Glorot & Bengio (2010), equations 2 to 7, for the signals of a layer;
Schoenholz et al. (2017) for angles.
"""

# Made of the parts in check_model_source/: change those, then run bundle.py.

import copy
import html
import math
import random
import re
import statistics
import sys
import textwrap
import traceback
import weakref
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from types import (
    CellType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset

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


def _is_numpy(generator: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(generator, numpy.random.Generator)


def _dense(gradient: Tensor | None) -> Tensor | None:
    return (
        gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
    )


_ORDER = "the output comes first; of a tuple, lambda output, targets: loss(output[0], targets)"


def _steps(model: nn.Module, norms: dict[Tensor, str]) -> str:
    """What tells that a model is not at its start."""
    for name, module in model.named_modules():
        seen = getattr(module, "num_batches_tracked", None)
        if isinstance(seen, Tensor) and seen.numel() == 1 and seen > 0:
            return f"{name} has seen {int(seen)} batches"
    for scale, name in norms.items():
        values = _plain(scale).double()
        drawn = max(_centred(scale), _rms(scale)) < NOISE
        # Some libraries draw them near 1.
        if len(values) > 1 and values.std() > 0.05 * values.mean().abs() and not drawn:
            return f"the scales of {name} differ"
    return ""


def _centred(scale: Tensor) -> float:
    values = _plain(scale).double()
    size = values.square().mean().sqrt().item()
    return abs(values.mean().item()) / size if size else 0.0


def _change(
    model: nn.Module, inputs: Any, axis: int, examples: int, count: int, watched: int
) -> tuple[float, float, float] | None:
    """By which part of its size the first output of one example changes with
    the others, the most of the further outputs, and by which part the first
    differs between examples; None if that cannot be told.
    """
    if not (picks := _neighbours(examples, count, watched)):
        return None
    count, outputs = min(count, examples), []
    # The first ones once more: a model that remembers answers otherwise.
    for pick in (*picks, picks[0]):
        torch.manual_seed(0)
        random.seed(0)
        tensors = [
            tensor
            for tensor in _tensors(_called(model, _taken(inputs, axis, examples, pick)))
            if tensor.is_floating_point() and count in tensor.shape[:2]
        ]
        place = axis if tensors[0].shape[axis : axis + 1] == (count,) else 1 - axis
        # Each against each: similarities, as contrastive losses take them.
        if tensors[0].shape[1 - place : 2 - place] == (count,):
            return None
        outputs.append(
            [
                tensor.movedim(place, 0)
                for tensor in tensors
                if tensor.shape[place : place + 1] == (count,)
                and tensor.shape[1 - place : 2 - place] != (count,)
            ]
        )
    if len({len(tensors) for tensors in outputs}) > 1:
        return None
    changes, apart = [], 0.0
    for first, moved, again in zip(*outputs, strict=True):
        if not torch.equal(first, again) or first.shape != moved.shape:
            return None
        # Below float32, the digits in common cover the rest.
        fine = 1e-3 if first.element_size() > 2 else 1.0
        first, moved = first.double(), moved.double()
        # What all examples have in common, such as a bias, says nothing.
        spread, whole = (
            part.abs().max().item() for part in (first - first.mean(0), first)
        )
        change = (first[watched] - moved[watched]).abs().max().item()
        apart = apart if changes else spread / (whole or 1.0)
        changes.append(change / (max(spread, fine * whole) or 1.0))
    if not math.isfinite(sum(changes)):
        return None
    return changes[0], max(changes[1:], default=0.0), apart


def _taken(value: Any, axis: int, examples: int, pick: list[int]) -> Any:
    """Of inputs, some examples."""
    if isinstance(value, Mapping):
        return {
            name: _taken(part, axis, examples, pick) for name, part in value.items()
        }
    if type(value) in (tuple, list):
        return type(value)(_taken(part, axis, examples, pick) for part in value)
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if value.dim() <= axis or value.shape[axis] != examples or value.is_nested:
        # Edges of a graph join its nodes, which are no examples.
        if value.is_floating_point():
            return value
        raise ValueError("indices")
    if value.shape[:2] == (examples, examples):
        raise ValueError("each against each")
    return value.index_select(axis, torch.tensor(pick, device=value.device))


def _texts(inputs: Any) -> list[Tensor]:
    """Whole numbers, a row for each text."""
    if isinstance(inputs, Mapping):
        other = re.compile("label|target|mask|type|position")
        inputs = [part for name, part in inputs.items() if not other.search(str(name))]
    whole = [part for part in _tensors(inputs) if part.dtype in (torch.long, torch.int)]
    return [part for part in whole if part.dim() == 2]


def _series(inputs: list[Tensor], targets: list[Tensor]) -> Tensor | None:
    """Numbers (examples, places, ...), of which the targets are the next ones,
    all or the first of each place.
    """
    for given in filter(_is_plain_memory, inputs):
        for target in filter(_is_plain_memory, targets):
            if (
                given.is_floating_point()
                and given.dim() > 2
                and given.shape[1] >= FEW
                and given.shape[:-1] == target.shape[:-1]
            ):
                known = given[..., : target.shape[-1]]
                later = torch.equal(known[:, 1:], target[:, :-1].to(given))
                if later and not torch.equal(known[:, 1:], known[:, :-1]):
                    return given
    return None


def _is_plain_memory(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def _exchanged(value: Any, old: Tensor, new: Tensor) -> Any:
    """Inputs with another tensor in the place of one."""
    if isinstance(value, Mapping):
        return {name: _exchanged(part, old, new) for name, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_exchanged(part, old, new) for part in value)
    return new if value is old else value


def _by_place(tensor: Tensor, length: int) -> Tensor | None:
    """What is said of each token: (texts, places, ...), from (texts, classes,
    places) too."""
    if not tensor.is_floating_point() or tensor.dim() < 3:
        return None
    axis = next((axis for axis in (1, 2) if tensor.shape[axis] == length), None)
    return None if axis is None else tensor.movedim(axis, 1)


def _sign_of_log(node: Any) -> int:
    """1 of log-probabilities, -1 of what is their negative, 0 of all else."""
    sign, turned = 1, False
    while node is not None:
        name = type(node).__name__.partition("Backward")[0]
        sources = [source for source, _ in node.next_functions]
        if name in ("Log", "LogSoftmax", "LogSigmoid"):
            return sign
        if name in ("NllLoss", "NllLoss2D", "BinaryCrossEntropy"):
            return -sign
        if name == "Sub":
            names = [type(source).__name__ for source in sources]
            if names[-1].startswith("Logsumexp"):
                return sign
            # That of a normal distribution, as torch.distributions writes it.
            sources = sources if names[0].startswith(("Sub", "Div")) else []
        elif name == "Pow":
            return -sign if turned else 0
        elif name == "Neg":
            sign, turned = -sign, True
        elif name not in (*_SHAPES, "Gather", "Index", "Sum", "Div"):
            return 0
        node = sources[0] if sources else None
    return 0


def _way_round(loss_fn: Any, output: Any, targets: Any) -> str:
    try:
        if _floating(loss_fn(targets, output)):
            return "the other way round it works: pass lambda output, targets: loss_fn(targets, output)"
    except Exception:
        pass
    return _ORDER


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _columns(tensor: Tensor) -> list[float]:
    """The root mean square of each feature of a table."""
    if tensor.dim() != 2 or tensor.shape[1] > 2**12:
        return []
    return _plain(tensor)[:SAMPLES].double().square().mean(0).sqrt().tolist()


def _linear(module: nn.Module) -> tuple[int, ...]:
    """The shape of the weight of a layer that is nothing but linear."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and (
        getattr(module, "groups", 1) == 1
    ):
        return tuple(_out_first(module, module.weight).shape)
    return ()


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    several = isinstance(inputs, tuple | list)
    if several and not isinstance(inputs, nn.utils.rnn.PackedSequence):
        return model(*inputs)
    return model(inputs)


def _own_loss(output: Any) -> Any:
    """The loss that a model returns, alone, by its name, or in parts."""
    if isinstance(output, Mapping) and "loss" not in output:
        # Detectors return one loss for each of their tasks.
        parts = [part for name, part in output.items() if "loss" in str(name)]
        return (
            sum(parts)
            if parts
            and all(isinstance(part, Tensor) and part.numel() == 1 for part in parts)
            else None
        )
    if isinstance(output, Mapping):
        return output["loss"]
    if isinstance(output, Tensor) or hasattr(output, "loss"):
        return getattr(output, "loss", output)
    if not isinstance(output, tuple | list):
        return None
    # (loss, output), (logits, loss), or the loss and numbers to log.
    numbers = [part for part in output if _floating(part) and part.numel() == 1]
    learned = [part for part in numbers if part.requires_grad] or numbers
    return learned[0] if len(learned) == 1 else None


def _is_mask(tensor: Tensor) -> bool:
    """Added to scores: 0 where one may look, -inf or a large negative number
    elsewhere.
    """
    tensor = _plain(tensor)
    return bool(((tensor == 0) | (tensor <= -1000)).all()) and bool((tensor < 0).any())


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Of a nested tensor, the number of its parts."""
    return (tensor.size(0),) if tensor.is_nested else tuple(tensor.shape)


def _plain(tensor: Tensor) -> Tensor:
    """The numbers of a tensor of any layout and format, without a gradient."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()])
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    return (
        tensor.float()
        if tensor.is_floating_point() and tensor.element_size() == 1
        else tensor
    )


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        AttributeError,
    ) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(f"{what()}: {error}") from error


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, dicts and dataclasses (so also in
    packed sequences and in outputs of transformers).
    """
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value) and not isinstance(value, type | Mapping):
        yield from _tensors(vars(value))
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _weights(module: nn.Module) -> list[Tensor]:
    """The module's own parameters of two or more dimensions, those behind
    parametrizations included.
    """
    if isinstance(
        module, nn.utils.parametrize.ParametrizationList | torch.jit.ScriptModule
    ):
        return []
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [
            weight
            for part in module.parametrizations.values()
            for weight in part.parameters(recurse=False)
        ]
    return [
        weight
        for weight in own
        if weight.dim() > 1 and weight.numel() and weight.is_floating_point()
    ]


def _out_first(module: nn.Module, weight: Tensor) -> Tensor:
    """The weight with its output units along the first dimension, as `Linear`
    has it.
    """
    swapped = (
        isinstance(module, nn.modules.conv._ConvTransposeNd)
        or type(module).__name__ == "Conv1D"
    )
    return weight.transpose(0, 1) if swapped else weight


def _gain(module: nn.Module, weights: list[Tensor]) -> float | None:
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return None
    gains = []
    for weight in weights:
        units = _out_first(module, weight.detach())
        # Experts stand behind each other: (experts, units, fan_in).
        number = (
            units.numel() // units.shape[-1]
            if units.dim() == 3 and not _is_conv(module)
            else len(units)
        )
        # Rows that all say the same, such as the rates of a state space, were
        # not drawn.
        if len(weights) == 1 or not _alike(units, 0.0):
            gains.append(_norm(units) / math.sqrt(number))
    return max(gains, default=None)


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.conv._ConvNd | nn.Bilinear)


def _twins(named: list[tuple[str, Tensor]]) -> set[str]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[Any, list[tuple[str, Tensor]]] = {}
    for name, weight in named:
        if weight.dim() > 1 and weight.numel() > 1:
            corner = tuple(
                weight.detach()[(slice(2),) * weight.dim()].flatten().tolist()
            )
            # Not drawn are also frozen tables of sines, targets that follow
            # another model, and rows that all say the same.
            if (
                len(set(corner)) > 1
                and weight.requires_grad
                and not torch.equal(weight[0], weight[-1])
            ):
                seen.setdefault((weight.shape, weight.dtype, corner), []).append(
                    (name, weight)
                )
    return {
        name
        for group in seen.values()
        for name, weight in group
        if any(other is not weight and torch.equal(other, weight) for _, other in group)
    }


def _alike(units: Tensor, within: float) -> bool:
    """Two or more rows that hold the same numbers, up to a part of the
    largest.
    """
    units = _plain(units)
    if len(units) < 2 or (not within and not torch.equal(units[0], units[-1])):
        return False
    return bool(((units - units[:1]).abs() <= within * units.abs().max()).all())


_WHOLE = (
    *("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze"),
    *("Alias", "Clone", "ToCopy"),
)
"""Operations that neither change a number nor leave one out."""


_SHAPES = (*_WHOLE, "Select", "Slice")


def _place_of(stack: list[str]) -> str:
    """The innermost line of the program, if one of its own called PyTorch."""
    lines = [re.match(r'\s*File "(.+)", line (\d+)', part) for part in stack]
    places = [(line[1], line[2]) for line in lines if line]
    called = max(
        (at for at, line in enumerate(places) if line[0] == __file__), default=-1
    )
    others = str(Path(torch.__file__).parent)
    own = [line for line in places[called + 1 :] if not line[0].startswith(others)]
    return f", in line {own[-1][1]} of {Path(own[-1][0]).name}" if own else ""


def _places(count: int, most: int, device: torch.device) -> Any:
    """Up to `most` indices below `count`, spread so that no period of the shape
    is hit alone.
    """
    if count <= most:
        return slice(None)
    return torch.arange(most, device=device) * 1_000_003 % count


def _sample(tensor: Tensor) -> Tensor:
    """Up to SAMPLES entries, float64 on the CPU."""
    flat = _plain(tensor).reshape(-1)
    return flat[_places(len(flat), SAMPLES, flat.device)].cpu().double()


def _lengths(rows: Tensor) -> list[float]:
    """Of some of them."""
    some = _plain(rows)[_places(len(rows), FEW, rows.device)]
    return some.double().norm(dim=-1).tolist()


def _rms(tensor: Tensor) -> float:
    return _sample(tensor).square().mean().sqrt().item()


def _all_finite(tensor: Tensor | None) -> bool:
    # A sum shows a single NaN or Inf among millions, in one pass and without a
    # copy.
    return (
        tensor is None
        or not tensor.is_floating_point()
        or math.isfinite(_plain(tensor).sum(dtype=torch.float32))
    )


def _moments(values: Tensor) -> dict[str, float]:
    some = _sample(values)
    finite = some[some.isfinite()]
    return {
        "mean": finite.mean().item(),
        "std": (finite - finite.mean()).square().mean().sqrt().item(),
        "non_finite": 0.0
        if _all_finite(values)
        else 1.0 - values.isfinite().double().mean().item(),
    }


def _cosine(values: Tensor, examples: int) -> float | None:
    if values.is_nested or values.layout is not torch.strided:
        return None
    dims = [dim for dim in range(min(2, values.dim())) if values.shape[dim] == examples]
    if examples < 2 or not dims or values.dim() < 2 or not values.numel():
        return None
    some = values.movedim(dims[0], 0)[:8].flatten(1)
    if some.shape[1] < 2:
        # Between two numbers it is 1 or -1, whatever they are.
        return None
    some = some[:, _places(some.shape[1], SAMPLES // 8, some.device)].cpu().double()
    units = some / some.norm(dim=1, keepdim=True)
    number = len(units)
    cosine = (units.sum(0).square().sum().item() - number) / (number * (number - 1))
    return cosine if math.isfinite(cosine) else None


def _norm(tensor: Tensor) -> float:
    """Euclidean norm; large and small tensors are scaled first, since the
    squares of 1e-30 are zero in float32.
    """
    tensor = _plain(tensor)
    if not tensor.numel():
        return 0.0
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    norm = torch.linalg.vector_norm(tensor, dtype=dtype).item()
    if 1e-15 < norm < 1e15:
        return norm
    largest = torch.linalg.vector_norm(tensor, math.inf).item()
    if not 0 < largest < math.inf:
        return largest
    return largest * torch.linalg.vector_norm(tensor.to(dtype) / largest).item()


class _Cuts:
    """The last linear layers behind what is cut off, and compared with what is
    not: they end a part of their own. In SimSiam that is a projector, in BYOL
    that of the teacher, and a predictor reads it with nothing between.
    """

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.behind: dict[int, tuple[Any, list[Tensor]]] = {}
        """By the identity of a tensor: the tensor, and the weights of the last
        linear layers that it comes from.
        """

    def look(self, name: str, result: Any, args: list[Any]) -> None:
        given, made = _inside(args), _inside([result])
        behind = {id(part): self.last(part) for part in given}
        if name == "linear":
            behind = {0: given[1:2]}
        elif any(part.requires_grad for part in made):
            joined = any(part.requires_grad and not part.is_leaf for part in given)
            for part in given if joined else ():
                if not part.requires_grad:
                    self.weights += behind[id(part)]
        every = {id(one): one for some in behind.values() for one in some}
        for part in made if every else ():
            self.behind[id(part)] = weakref.ref(part), [*every.values()]

    def last(self, tensor: Tensor) -> list[Tensor]:
        known, weights = self.behind.get(id(tensor), (None, []))
        return weights if known and known() is tensor else []

    def end_at(self, weight: Tensor) -> bool:
        """Does a part end at this layer, or at one like it in a teacher?"""
        return any(weight.shape == one.shape for one in self.weights)


def _inside(values: list[Any]) -> list[Tensor]:
    """The tensors among some values, and in lists and tuples of them."""
    parts = [value if isinstance(value, list | tuple) else [value] for value in values]
    return [one for part in parts for one in part if isinstance(one, Tensor)]


class _Dropping(TorchFunctionMode):
    """Notes what is dropped."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name, named = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name == "scaled_dot_product_attention":
            rate = named.get("dropout_p", args[4] if len(args) > 4 else 0.0)
            training = True
        elif name in _DROPOUTS:
            rate = named.get("p", args[1] if len(args) > 1 else 0.5)
            training = named.get("training", args[2] if len(args) > 2 else True)
        else:
            rate, training = 0.0, False
        if training and rate:
            self.found.append(
                f"{name}, rate {rate:g}{_place_of(traceback.format_stack()[:-1])}"
            )
        return func(*args, **named)


class _Birth(TorchFunctionMode):
    """The first function that returns what its arguments did not hold."""

    def __init__(self, mask: bool) -> None:
        super().__init__()
        self.mask, self.place = mask, ""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        # A mask is meant.
        if (
            not self.place
            and isinstance(result, Tensor)
            and name not in ("masked_fill", "full", "where", "set")
        ):
            given = [
                part
                for part in _tensors((args, kwargs))
                if part.is_floating_point() and part.numel()
            ]
            if (
                given
                and result.is_floating_point()
                and result.numel()
                and self.born(result.detach(), given)
            ):
                low, high = (
                    min(part.min().item() for part in given),
                    max(part.max().item() for part in given),
                )
                self.place = f"; born in {name}, {given[0].dtype}, inputs {low:.3g} to {high:.3g}"
                if name in ("softmax", "log_softmax"):
                    axis = (kwargs or {}).get("dim", args[1] if len(args) > 1 else None)
                    rows = (
                        given[0]
                        .movedim(-1 if axis is None else axis, -1)
                        .flatten(0, -2)
                    )
                    if empty := int(rows.isneginf().all(-1).sum()):
                        self.place += f": {empty} of {len(rows)} rows are -inf throughout, their mask leaves nothing"
        return result

    def born(self, result: Tensor, given: list[Tensor]) -> bool:
        if not self.mask:
            return not result.isfinite().all() and all(
                part.isfinite().all() for part in given
            )
        spoiled = any((part.isnan() | part.isposinf()).any() for part in given)
        # A softmax makes NaN of -inf alone; a minus before it is no birth.
        made = result.isnan().any() or (
            result.isposinf().any() and not any(part.isneginf().any() for part in given)
        )
        return bool(made) and not spoiled


_DROPOUTS = {
    *("dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("alpha_dropout", "feature_alpha_dropout"),
}


def _graph(loss: Tensor) -> list[Any]:
    """The operations behind the loss, each after those that it reads."""
    order, seen, todo = [], set(), [(loss.grad_fn, False)]
    while todo:
        node, done = todo.pop()
        if done:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += ((source, False) for source, _ in node.next_functions)
    return order


def _maker(tensor: Tensor) -> str:
    """The operation that made the numbers of a tensor, whatever its shape."""
    node = tensor.grad_fn
    while type(node).__name__.startswith(_SHAPES):
        node = node.next_functions[0][0]
    return type(node).__name__.partition("Backward")[0]


_CHOICES = ("Gather", "Index", "Max", "Min", "Amax", "Cat", "Stack", "Expand")
"""Operations that take some of the numbers."""


def _kind(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _discounted(node: Any) -> tuple[Any, float]:
    """Of data + factor * output, the output and the factor, if it is that of a
    discount: at least 0.5, and less than 1. Else None.
    """
    added, factor = False, 1.0
    while node is not None:
        sources = [source for source, _ in node.next_functions]
        constant = len(sources) == 2 and None in sources
        if _kind(node) == "Add" and constant:
            added = True
            scale = 1.0 if sources[1] is None else node._saved_alpha
            factor = min(factor, _discount(scale))
        elif _kind(node) == "Mul" and added and constant:
            other = node._saved_self if sources[0] is None else node._saved_other
            factor = min(factor, _discount(other))
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES)):
            break
        node = next(source for source in sources if source is not None)
    # A mean over examples is that of a centre which moves slowly.
    found = added and 0.5 <= factor < 1 and _kind(node) != "Mean"
    return (node, factor) if found else (None, 1.0)


def _is_of_policy(node: Any) -> bool:
    """A log-probability, or the ratio of a new and an old probability."""
    if _kind(node) == "Exp":
        first, *rest = (
            source for source, _ in node.next_functions[0][0].next_functions
        )
        return rest == [None] and _sign_of_log(first) != 0
    return _sign_of_log(node) != 0


def _baseline(node: Any) -> Any:
    """Of data less an output, perhaps standardized, the output, if it is one of
    a layer and no probability; None of all else."""
    while True:
        sources = [source for source, _ in node.next_functions]
        if _kind(node) == "Sub" and len(sources) == 2:
            first, value = sources
            if first is None or (value is not None and _is_data_plus(first)):
                return None if _kind(value) in _PROBABILITIES else value
            if _kind(value) != "Mean":
                return None
        elif not _kind(node).startswith((*_SHAPES, *_CHOICES, "Neg", "Div")) and not (
            _kind(node) == "Mul" and None in sources
        ):
            return None
        node = next(source for source in sources if source is not None)


def _is_data_plus(node: Any) -> bool:
    """Data plus a part of an output, as the return from the value of the next
    state."""
    while _kind(node).startswith((*_SHAPES, *_CHOICES)):
        node = node.next_functions[0][0]
    sources = [source for source, _ in node.next_functions]
    return _kind(node) == "Add" and len(sources) == 2 and None in sources


def _summed(ends: Any, node: Any) -> tuple[set[Any], set[str]]:
    """What is added up, back to some ends, and the operations on the way: sums,
    and products with data."""
    found, kinds, todo = set(), set[str](), [node]
    while todo:
        node = todo.pop()
        sources = [source for source, _ in node.next_functions if source is not None]
        alone = len(sources) == 1 or _kind(node) in ("Add", "Sub")
        passes = _kind(node).startswith((*_SHAPES, *_SUMMING))
        if sources and alone and passes and node not in ends:
            kinds.add(_kind(node) + str(len(node.next_functions)))
            todo += sources
        else:
            found.add(node)
    return found, kinds


_GROWN = ("Exp", "Softplus")
"""Operations that make a variance."""

_End = tuple[Any, int]
"""An operation, and which of its results."""


def _reads(node: Any) -> list[_End]:
    """What an operation reads of what has a gradient."""
    return [end for end in node.next_functions if end[0] is not None]


def _constant(node: Any) -> Tensor | None:
    """What a product or a quotient has beside one's output."""
    if _kind(node) not in ("Mul", "Div") or len(_reads(node)) != 1:
        return None
    other = node._saved_self if node.next_functions[0][0] is None else node._saved_other
    return torch.as_tensor(1.0 if other is None else other)


def _sign(values: Tensor) -> int:
    """0 of what has several."""
    above, below = bool((values >= 0).all()), bool((values <= 0).all())
    return above - below if values.any() else 0


def _added_up(loss: Any) -> dict[_End, int]:
    """What a loss is a sum of, each with its sign; 0 if it has both."""
    found, todo = dict[_End, int](), [((loss, 0), 1)]
    while todo:
        end, sign = todo.pop()
        given, kind = _reads(end[0]), _kind(end[0])
        constant = _constant(end[0])
        if constant is not None and sign:
            todo.append((given[0], sign * _sign(constant)))
        elif kind in ("Add", "Stack", "Sub", "Rsub") and sign:
            minus = {"Sub": 1, "Rsub": 0}.get(kind)
            todo += [
                (source, -sign if place == minus else sign)
                for place, source in enumerate(end[0].next_functions)
                if source[0] is not None
            ]
        elif kind.startswith((*_WHOLE, "Neg", "Sum", "Mean")) and given and sign:
            todo.append((given[0], -sign if kind == "Neg" else sign))
        elif found.setdefault(end, sign) != sign:
            found[end] = 0
    return found


def _is_square(node: Any) -> bool:
    ends = node.next_functions
    same = _kind(node) == "Mul" and len(ends) == 2 and ends[0] == ends[1]
    return same or _kind(node) == "Pow"


def _root(end: _End) -> tuple[_End, float | None]:
    """What powers, logarithms and exponentials are of, and of exp(p * root) the
    p: 0 without an exponential, None where it cannot be told."""
    power, known, exponential = 1.0, True, False
    while True:
        node, given = end[0], _reads(end[0])
        kind, constant, square = _kind(node), _constant(node), _is_square(node)
        passes = kind.startswith((*_WHOLE, *_GROWN, "Log", "Sqrt"))
        if not given or not (passes or square or constant is not None):
            return end, (power if known else None) if exponential else 0.0
        if constant is not None:
            known &= exponential and constant.numel() == 1
            factor = constant.item() if constant.numel() == 1 else 1.0
            power *= factor if kind == "Mul" else 1 / (factor or 1.0)
        elif square:
            known &= not exponential
            power *= getattr(node, "_saved_exponent", 2.0)
        elif kind == "Sqrt":
            known &= not exponential
            power /= 2
        elif not kind.startswith(_WHOLE):
            known &= kind == "Exp" and not exponential
        exponential |= kind == "Exp"
        end = given[0]


def _divergences(loss: Any) -> list[tuple[_End, float | None, bool]]:
    """Of variance - log(variance) + mean^2 within the loss: what the variance
    is of, and as which exponential, as `_root` has them, and whether all of it
    has a minus.
    """
    terms, found = _added_up(loss), list[tuple[_End, float | None, bool]]()
    roots = {end: _root(end)[0] for end in terms}
    for grown, sign in terms.items():
        if not sign or not (_kind(grown[0]) in _GROWN or _is_square(grown[0])):
            continue
        root, power = _root(grown)
        logs = [
            end
            for end, other in terms.items()
            if other == -sign and roots[end] == root
            if _kind(end[0]).startswith("Log") or end == root
        ]
        squares = [
            end
            for end, other in terms.items()
            if other == sign and _is_square(end[0]) and roots[end] != root
        ]
        if logs and squares:
            found.append((root, power, sign < 0))
    return found


def _spreads(node: Any) -> _End | None:
    """What is multiplied by noise, numbers above and below 0; None of all
    else."""
    noise = _constant(node) if _kind(node) == "Mul" else None
    if noise is None or noise.numel() < 2 or not noise.min() < 0 < noise.max():
        return None
    return _reads(node)[0]


_SUMMING = ("Add", "Sub", "Rsub", "Sum", "Mean", "Mul", "Select", "Slice", "Index")
"""What an overlap is made of."""


_PROBABILITIES = {"Exp", "Sigmoid", "Softmax"}


def _discount(constant: Any) -> float:
    """The largest entry: 1 - done is 0 or 1, and 0 alone says nothing. What is
    below 0 is none."""
    values = torch.as_tensor(constant).double()
    return (values.max().item() or 1.0) if values.min() >= 0 else -1.0


def _last_weight(node: Any) -> Tensor:
    """The weight that the fewest operations lie between."""
    todo, seen = [], {node}
    while not hasattr(node, "variable"):
        new = [source for source, _ in node.next_functions]
        todo += [one for one in new if one is not None and one not in seen]
        seen.update(new)
        node = todo.pop(0)
    return node.variable


class _Layers(_Seen):
    """Sees every layer through hooks."""

    judged_inputs: bool

    def where(self) -> str:
        """The innermost module that was running."""
        return (
            self.running[-1]
            if self.running and self.running[-1]
            else type(self.model).__name__
        )

    def enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.running.append(name)
        self.entered.append([])
        if next(module.children(), None) is not None:
            self.quietly(self.look_at_versions, args, kwargs)
        self.normalized |= "Norm" in type(module).__name__
        if isinstance(module, nn.RNNBase) and args and isinstance(args[0], Tensor):
            self.recurrent[name] = module, args[0]
        with torch._C.DisableTorchFunction():
            self.quietly(self.look_at_input, module, args, kwargs)

    def leave(self, name: str, module: nn.Module, _: Any, output: Any) -> None:
        # A module that failed, where the model goes on, is left in between.
        given = self.entered.pop()
        while self.running.pop() != name:
            given = self.entered.pop()
        # else each of these statistics would be looked at as well
        with torch._C.DisableTorchFunction():
            self.quietly(self.look_at_overwriting, name, given, output)
            self.quietly(self.look, name or type(module).__name__, module, output)

    def look_at_versions(self, args: Any, kwargs: Any) -> None:
        given = [(tensor, tensor._version) for tensor in _tensors((args, kwargs))]
        self.entered[-1] += given

    def look_at_overwriting(
        self, name: str, given: list[tuple[Tensor, int]], output: Any
    ) -> None:
        """What a part changes and returns is its output."""
        changed = [tensor for tensor, version in given if tensor._version != version]
        if changed:
            own = {tensor.data_ptr() for tensor in _tensors(output)}
            self.overwritten += [
                (tensor, name) for tensor in changed if tensor.data_ptr() not in own
            ]

    def look_at_input(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """What the first weights read, if it comes from the data alone."""
        weights = self.owned[module]
        if (
            not self.judged_inputs
            or not weights
            or isinstance(module, nn.Embedding | nn.EmbeddingBag)
        ):
            return
        if not any(self.owned[part] for part in module.modules() if part is not module):
            for tensor in _tensors((args, kwargs)):
                if (
                    tensor.is_floating_point()
                    and not tensor.requires_grad
                    and not _is_mask(tensor)
                ):
                    self.look_at_scale(_rms(tensor), _columns(tensor))
        # What frozen layers return needs no gradient, and is no input any more.
        self.judged_inputs = all(weight.requires_grad for weight in weights)

    def look(self, name: str, module: nn.Module, output: Any) -> None:
        weights = self.owned[module]
        tensor = next(
            (tensor for tensor in _tensors(output) if tensor.is_floating_point()), None
        )
        if not weights or tensor is None:
            return
        if not tensor.numel():
            # an expert to which this batch sends nothing
            self.idle |= {self.names[weight] for weight in weights}
            return
        values = _plain(tensor)
        numbers = {
            "kind": type(module).__name__,
            "shape": _shape(tensor),
            "cosine": _cosine(values, self.examples),
            "weights": [self.names[weight] for weight in weights],
            "module": module,
        }
        row = self.add(name, _moments(values) | numbers)
        if tensor.requires_grad:
            row["node"] = tensor.grad_fn
            tensor.register_hook(
                lambda gradient: row.update(
                    gradient=None if gradient is None else _norm(gradient)
                )
            )


def _state(generator: Any) -> Any:
    if _is_numpy(generator):
        return generator.bit_generator.state
    return (
        generator.getstate()
        if isinstance(generator, random.Random)
        else generator.get_state()
    )


def _set_state(generator: Any, state: Any) -> None:
    if _is_numpy(generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def _as_written() -> Any:
    """Of a compiled model, nothing is compiled: our hooks would be as well."""
    compiles = "torch._dynamo" in sys.modules
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()


def _is_packed(module: nn.Module) -> bool:
    """Its weights are integers that no optimizer can move."""
    return ".quantized." in type(module).__module__


def _recorded(value: Any) -> Any:
    """Copies of tensors that were made in inference mode, which no graph can
    keep."""
    if all(not tensor.is_inference() for tensor in _tensors(value)):
        return value
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: _recorded(part) for name, part in value.items()}
    return type(value)(map(_recorded, value)) if type(value) in (tuple, list) else value


@contextmanager
def _untouched(model: nn.Module, batch: Any, loss_fn: Any) -> Iterator["_Tensors"]:
    """Whatever runs inside, model, batch, loss and random states come back."""
    devices = {
        parameter.device
        for parameter in model.parameters()
        if parameter.device.type != "cpu"
    }
    kind = next(iter(devices)).type if devices else "cuda"
    before = _Tensors(model)
    with _same_draws([device.index or 0 for device in devices], kind):
        try:
            before.inside = set(before.seen)
            before.look([("loss_fn", loss_fn), ("batch", batch)])
            yield before
        finally:
            before.restore()


@contextmanager
def _same_draws(devices: Sequence[int] = (), kind: str = "cuda") -> Iterator[None]:
    """Random states come back."""
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy and numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices, device_type=kind):
            yield
    finally:
        random.setstate(states[0])
        if numpy:
            numpy.random.set_state(states[1])


class _Tensors(_Before):
    kinds = (nn.Module, Tensor)

    def __init__(self, model: nn.Module) -> None:
        owned = [*model.named_parameters(), *model.named_buffers()]
        super().__init__(max(ROOM, sum(_bytes(tensor) for _, tensor in owned)))
        self.owned = {id(tensor) for _, tensor in owned}
        self.inside = set[int]()
        self.look(
            [
                *((name or "model", module) for name, module in model.named_modules()),
                *owned,
            ]
        )
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                self.keep_script(name, module)

    def keep_script(self, name: str, module: torch.jit.ScriptModule) -> None:
        """What it holds, its mode too, lies outside of Python."""
        held = module._c.dump_to_str(False, False, False)
        for part in re.findall(r"^ {4}(\w+) = ", held, re.MULTILINE):
            with suppress(Exception):  # some hold what cannot be copied
                value = getattr(module, part)
                if isinstance(value, Tensor):
                    self.look([(f"{name}.{part}", value)])
                elif not isinstance(value, nn.Module):
                    undo = partial(_set, module, part, copy.deepcopy(value))
                    self.undo.append((f"{name}.{part}", undo))

    def keep_numbers(self, name: str, value: Any) -> Callable[[], Any] | None:
        if isinstance(value, torch.Generator):
            return partial(value.set_state, value.get_state())
        if not isinstance(value, Tensor):
            return super().keep_numbers(name, value)
        self.keep_tensor(name, value)
        return None

    def keep_tensor(self, name: str, tensor: Tensor) -> None:
        copied = id(tensor) in self.owned or _bytes(tensor) <= self.room
        if copied and id(tensor) not in self.owned:
            self.room -= _bytes(tensor)
        data, trained, leaf, hooks = (
            tensor.data,
            tensor.requires_grad,
            tensor.is_leaf,
            tensor._backward_hooks,
        )
        copy = data.clone() if copied else None
        size = (
            data.untyped_storage().nbytes()
            if data.layout is torch.strided and not data.is_nested
            else 0
        )
        version = None if tensor.is_inference() else tensor._version
        grad, steps = tensor.grad if leaf else None, tensor._post_accumulate_grad_hooks
        if grad is not None:
            tensor.grad = None
        if steps:
            # Some step an optimizer in the backward pass.
            self.undo.append((name, partial(steps.update, dict(steps))))
            steps.clear()

        def undo() -> None:
            if leaf:
                if not tensor.is_leaf:
                    tensor.detach_()
                tensor.grad = grad
                tensor.requires_grad_(trained)
            if hooks is None and tensor._backward_hooks is not None:
                tensor._backward_hooks = None
            if not _same_place(tensor, data):
                tensor.data = data
            if size and data.untyped_storage().nbytes() < size:
                # Sharding frees it.
                data.untyped_storage().resize_(size)
            if copy is not None:
                if not _same(data, copy):
                    data.copy_(copy)
            elif version is not None and tensor._version != version:
                raise ValueError("no copy")

        self.undo.append((name, undo))
        if hooks is not None:
            self.undo.append(
                (
                    name,
                    partial(
                        _refill,
                        hooks,
                        OrderedDict,
                        OrderedDict.update,
                        OrderedDict(hooks),
                    ),
                )
            )


def _set(module: nn.Module, part: str, value: Any) -> None:
    if getattr(module, part) != value:
        setattr(module, part, value)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _same_place(tensor: Tensor, other: Tensor) -> bool:
    try:
        return tensor.is_set_to(other)
    except RuntimeError:  # sparse and nested tensors have no one storage
        return True


def _same(tensor: Tensor, other: Tensor) -> bool:
    try:
        return tensor.is_meta or torch.equal(tensor, other)
    except RuntimeError:  # not written for all number formats
        return False


class _History(_Seen):
    """Judges what the loss was made of."""

    def judge_leaves(self, leaves: list[Tensor], before: _Tensors) -> None:
        """Weights at the ends of the graph that are neither the model's nor the
        loss's. One that nothing leads to is made in the pass.
        """
        found = {}
        for leaf in leaves:
            known = id(leaf) in before.inside or (
                id(leaf) not in before.seen and isinstance(leaf, nn.Parameter)
            )
            if known and id(leaf) not in before.owned:
                name, _ = before.seen.get(
                    id(leaf), (f"made in the pass, of shape {_shape(leaf)}", None)
                )
                found[name] = leaf
        if found:
            self.find(
                "unregistered-weights",
                f"{len(found)} tensors that parameters() does not name",
                *sorted(found),
            )

    def judge_bootstrap(self, graph: list[Any]) -> None:
        """Differences between an output and data plus a part of another output
        of the same layer, whose square is the loss."""
        readers: dict[Any, set[str]] = {}
        for node in graph:
            for source, _ in node.next_functions:
                readers.setdefault(source, set()).add(_kind(node))
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            compares = _kind(node) in _COMPARE or (
                _kind(node) == "Sub" and readers.get(node, set()) & _SQUARE
            )
            if not compares or len(ends) != 2 or None in ends:
                continue
            for target, value in (ends, ends[::-1]):
                after, factor = _discounted(target)
                if (
                    after not in (None, value)
                    and _discounted(value)[0] is None
                    and _last_weight(after) is _last_weight(value)
                ):
                    evidence = f"data + {factor:.3g} * an output, against another output of the same layer"
                    self.find_once("target-with-gradient", evidence)

    def judge_overlap(self, graph: list[Any]) -> None:
        """Sums of products of an output and data, over sums of the output."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Div" or len(ends) != 2 or None in ends:
                continue
            look = partial(_summed, self.signed)
            (above, kinds), (below, others) = map(look, ends)
            span = self.signed.get(*above) if above == below and len(above) == 1 else ()
            if span and {"Sum1", "Mul2"} <= kinds and "Sum1" in others:
                evidence = "outputs of {}, here {:.3g} to {:.3g}".format(*span)
                self.find_once("overlap-of-logits", evidence)

    def judge_divergence(self, graph: list[Any]) -> None:
        """A KL divergence between Gaussians that the training makes larger, or
        that knows another spread than the sample has."""
        known = _divergences(graph[-1])
        powers = {root: power for root, power, _ in known}
        self.judge_signs([turned for *_, turned in known])
        for spread in map(_spreads, graph if known else ()):
            root, power = (None, None) if spread is None else _root(spread)
            if root in powers:
                names = (row["name"] for row in self.rows if row["node"] is root[0])
                self.judge_spread(power, powers[root], *names)

    def judge_advantage(self, graph: list[Any]) -> None:
        """Products of log-probabilities and data less an output, of which both
        have a gradient."""
        for node in graph:
            ends = [source for source, _ in node.next_functions]
            if _kind(node) != "Mul" or len(ends) != 2 or None in ends:
                continue
            for log, advantage in (ends, ends[::-1]):
                value = _baseline(advantage) if _is_of_policy(log) else None
                if value is not None:
                    last = _last_weight(value)
                    found = (
                        name for weight, name in self.names.items() if weight is last
                    )
                    name = next(found, f"one of shape {_shape(last)}")
                    evidence = f"log-probability * (data - an output), whose last weight is {name}"
                    self.find_once("advantage-with-gradient", evidence)

    def judge_still(self, packed: list[str]) -> None:
        """There is no way back."""
        count = len(self.parameters)
        evidence = f"{len(packed)} quantized layers" if packed else f"{count} weights"
        self.find("nothing-trains", f"{evidence}, none to be trained", *packed)
        raise _Stop

    def longest(self, graph: list[Any]) -> list[int]:
        """The rows on the path through the graph that passes the most."""
        at: dict[Any, list[int]] = {}
        for place, row in enumerate(self.rows):
            at.setdefault(row["node"], []).append(place)
        readers = Counter(source for node in graph for source, _ in node.next_functions)
        paths: dict[Any, tuple[int, Any]] = {None: (0, None)}
        path = paths[None]
        for node in graph:
            sources = (paths[source] for source, _ in node.next_functions)
            path = max(sources, key=lambda path: path[0], default=(0, None))
            for place in at.get(node, ()):
                self.rows[place]["before"] = path[1] and path[1][0]
                self.rows[place]["straight"] = self.straight(place, at, readers)
                path = path[0] + 1, (place, path[1])
            paths[node] = path
        # What frozen layers return has no graph: they come first, in order.
        places, link = list[int](), path[1]
        while link:
            places.append(link[0])
            link = link[1]
        return [*at.get(None, ()), *reversed(places)]

    def straight(
        self, place: int, at: dict[Any, list[int]], readers: Counter[Any]
    ) -> int | None:
        """The linear layer that leads to this one alone, past nothing that
        bends it, if one layer could do the work of both."""
        row = self.rows[place]
        units = _linear(row["module"])
        todo = [row["node"]] if units and row["node"] is not None else []
        while todo:
            node = todo.pop()
            if node is not row["node"] and readers[node] > 1:
                return None
            if node is not row["node"] and node in at:
                module = self.rows[at[node][0]]["module"]
                before = _linear(module)
                wide = before and before[0] >= min(math.prod(before[1:]), units[0])
                ends = wide and self.cut_off.end_at(module.weight)
                return at[node][0] if wide and not ends else None
            sources = [
                source for source, _ in node.next_functions if source is not None
            ]
            if type(node).__name__.startswith(_LINEAR) or (
                type(node).__name__.startswith(("Mul", "Div")) and len(sources) == 1
            ):
                todo += sources
        return None


_COMPARE = {"MseLoss", "SmoothL1Loss", "HuberLoss"}

_PRODUCTS = ("Addmm", "Mm", "Bmm", "Convolution")

_SQUARE = _COMPARE | {"Pow", "Abs", "Mul"}

_SCALINGS = ("Add", "Div", "MaskedFill", "Mul", "Permute", "Sub", "Transpose", "Where")
"""What stands between the products of an attention and its softmax."""

_LINEAR = (
    *_SHAPES,
    *("TBackward", "Transpose", "Permute", "Addmm", "Mm", "Convolution"),
    *("NativeDropout", "Expand"),
)
"""Operations that two linear layers are still one linear layer with."""

_SAVED = ("result", "self", "other", "input")
"""What a node keeps of its operation."""


class _Losses(_Seen):
    """Sees every loss through the functions of torch."""

    def look_at_constants(self, targets: Any, loss_fn: Any) -> None:
        """Is a loss least where all examples, and all outputs of a shape, are
        answered alike?"""
        outputs, count = list(_tensors(self.output)), self.examples
        small = sum(part.numel() for part in outputs) <= NUMBERS
        if (
            not small
            or count < FEW
            or not all(
                part.requires_grad and part.dim() > 1 and len(part) == count
                for part in outputs
            )
        ):
            return
        own = [part.detach() for part in outputs]

        def loss(parts: list[Tensor], wanted: Any = targets) -> Tensor:
            given = self.output
            for old, new in zip(outputs, parts, strict=True):
                given = _exchanged(given, old, new)
            with _same_draws():
                torch.default_generator.manual_seed(0)
                return _own_loss(loss_fn(given, wanted))

        def steep(parts: list[Tensor]) -> tuple[float, list[Tensor]]:
            """A loss and its slopes."""
            parts = [part.clone().requires_grad_() for part in parts]
            value = loss(parts)
            return value.item(), list(torch.autograd.grad(value, parts))

        order = torch.arange(count, device=own[0].device)
        moved = _taken(targets, 0, count, order.roll(1).tolist())
        # Of targets that all are alike nothing is read, either.
        if loss(own, moved).item() != loss(own).item():
            return
        value, slopes = steep(own)
        # What is cut off in the loss may be a part of an output.
        if not all(
            (slope != 0).any(0).all() and (slope != 0).flatten(1).any(1).all()
            for slope in slopes
        ):
            return
        # By shape, the output whose rows answer for all.
        firsts = {part.shape: part for part in reversed(own)}
        constants = [
            [firsts[part.shape][torch.full_like(order, row)] for part in own]
            for row in range(0, count, count // 4)
        ]
        draw, near = torch.Generator(order.device).manual_seed(0), list[float]()
        for constant in constants * 4:
            others = []
            for part in constant:
                pick = torch.randperm(count, generator=draw, device=order.device)
                others.append(0.95 * part + 0.05 * firsts[part.shape][pick])
            near.append(loss(others).item())
        apart = loss([firsts[part.shape] for part in own]).item()
        answered = [
            (low, math.hypot(*map(_norm, flat))) for low, flat in map(steep, constants)
        ]
        size = math.hypot(*map(_norm, slopes))
        self.judge_constants(value, size, answered, near, apart)

    def before_cross_entropy(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        if self.swapped(input, target):
            return
        rows = (
            input.detach().movedim(1, -1).flatten(0, -2)
            if input.dim() > 1
            else input.detach()[None]
        )
        classes = rows.shape[-1]
        self.check_labels(classes, target, ignore_index)
        self.look_at_shift(target, ignore_index)
        places = _places(len(rows), 256, rows.device)
        some = rows[places].cpu().double()
        apart = (some - some[:1]).abs().max().item() if some.numel() else 0.0
        self.look_at_logits(some.norm(dim=-1).tolist(), apart)
        if (
            classes > 1
            and (some >= 0).all()
            and ((some.sum(-1) - 1).abs() < 1e-2).all()
        ):
            self.find(
                "softmax-before-cross-entropy",
                "every row of the loss's input is >= 0 and has the sum 1",
            )
        elif _maker(input) == "Sigmoid" and classes > 1:
            self.find("sigmoid-before-categorical", f"{classes} sigmoids")
        else:
            self.look_at_activation(input)
        if target.is_floating_point():
            self.judge_targets(target.detach(), 0, 1)
            if target.requires_grad and input.requires_grad:
                ends = map(_last_weight, (target.grad_fn, input.grad_fn))
                self.judge_own_target(next(ends) is next(ends))
            labels = (
                target.movedim(1, -1).flatten(0, -2)[places]
                if target.dim() > 1
                else target[None]
            )
            losses = -(some.log_softmax(-1) * labels.cpu().double()).sum(-1)
        else:
            if target.dim() == 1 and len(target) == classes:
                # Each example against each: the logits have the size that a
                # temperature gives them, at the start as later.
                order = torch.arange(classes, device=target.device)
                self.bounded |= torch.equal(target.long(), order)
            labels = target.reshape(-1)[places].cpu().long()
            kept = labels != ignore_index
            losses = -some.log_softmax(-1)[kept].gather(1, labels[kept, None])
        if self.chance_loss is None and losses.numel():
            self.compare(losses, classes)

    def compare(self, losses: Tensor, classes: int) -> None:
        """The loss of each example with that of guessing."""
        self.chance_loss = math.log(classes)
        if losses.numel() >= FEW and not self.bounded:
            self.excess = losses.mean().item() - self.chance_loss
            self.doubt = losses.std().item() / math.sqrt(losses.numel())

    def before_nll_loss(
        self,
        input: Tensor,
        target: Tensor,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        *_: Any,
        **__: Any,
    ) -> None:
        dim = 1 if input.dim() > 1 else 0
        self.check_labels(input.shape[dim], target, ignore_index)
        self.look_at_shift(target, ignore_index)
        total = input.detach().double().logsumexp(dim)
        if (total.abs() > 1e-2).any():
            self.find(
                "nll-without-log-softmax",
                f"the probabilities of a row have the sum {total.exp().mean():.3g}",
            )

    def before_ctc_loss(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Any,
        target_lengths: Any,
        blank: int = 0,
        *_: Any,
        **__: Any,
    ) -> None:
        # Steps after the first may be padded with anything.
        total = log_probs[0].detach().double().logsumexp(-1)
        if (total.abs() > 1e-2).any():
            evidence = (
                f"the probabilities of a step have the sum {total.exp().mean():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        lengths = torch.as_tensor(target_lengths).cpu()
        known = targets.detach().cpu()
        if known.dim() == 2:
            known = known[torch.arange(known.shape[1]) < lengths[:, None]]
        self.judge_blank(int((known == blank).sum()), known.numel(), blank)

    def check_labels(self, classes: int, target: Tensor, ignore_index: int) -> None:
        labels = target[target != ignore_index]
        if (
            not target.is_floating_point()
            and labels.numel()
            and not 0 <= labels.min() <= labels.max() < classes
        ):
            self.find(
                "labels-out-of-range",
                f"labels {labels.min()} to {labels.max()}, {classes} classes",
            )
            raise _Stop

    def swapped(self, input: Tensor, target: Tensor) -> bool:
        found = target.requires_grad and not input.requires_grad
        if found:
            shapes = f"{tuple(input.shape)} without a gradient, {tuple(target.shape)} with one"
            self.find_once("swapped-arguments", shapes)
        return found

    def look_at_shift(self, target: Tensor, ignore_index: int) -> None:
        """Are the targets the tokens themselves, those next to them, or those
        after? A decoder reads its tokens beside those of another text."""
        if target.is_floating_point():
            return
        for number, tokens in enumerate(self.texts):
            for shift in (1, 0, 2) if number else range(3):
                if self.stands_at(shift, tokens, target, ignore_index):
                    self.shifts.add(shift)
                    self.tokens = tokens
                    return

    def stands_at(
        self, shift: int, tokens: Tensor, target: Tensor, ignore_index: int
    ) -> bool:
        # The loss may have left out the last ones.
        width, length = target.numel() // max(len(tokens), 1), tokens.shape[1]
        if not length - 2 <= width <= length or target.numel() % len(tokens):
            return False
        target = target.reshape(len(tokens), width)
        some = target[:, : length - shift]
        given = tokens[:, shift : shift + width]
        kept = some != ignore_index
        same = kept.sum() >= FEW and torch.equal(some[kept], given[kept])
        if same:
            # Padding is one token; what a mask leaves out is many.
            left = given[~kept].unique().numel() > 2
            self.copies |= shift == 0 and left
        return bool(same)

    def look_at_order(self, model: nn.Module, inputs: Any) -> None:
        """A causal model says of the first half of a text the same whatever
        follows."""
        half, pick = self.tokens.shape[1] // 2, [*range(len(self.tokens))][:2]
        other = self.tokens.clone()
        other[:, half:] = self.tokens[:, half:].flip(1).roll(1, 0)
        if self.copies:
            self.judge_shift(False)
            return

        def said(tokens: Tensor) -> Tensor:
            given = _exchanged(inputs, self.tokens, tokens)
            # Two texts will do, where inputs can be told apart by example.
            with suppress(ValueError):
                given = _taken(given, 0, len(tokens), pick)
            output = _called(model, given)
            parts = (_by_place(part, tokens.shape[1]) for part in _tensors(output))
            return next(part for part in parts if part is not None)

        first, last = said(self.tokens), said(other)
        apart = (first - last).abs()
        same = apart[:, :half].max() <= 1e-4 * first.abs().max()
        self.judge_shift(bool(same and apart[:, half:].max() > 0))
        if not same and 1 in self.shifts:
            self.find("future-visible", "an output changes with what comes after it")

    def before_binary_cross_entropy(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        low, high = input.min().item(), input.max().item()
        if not 0 <= low <= high <= 1 and math.isfinite(high - low):
            if _maker(input) != "Tanh":
                span = f"the loss's inputs go from {low:.3g} to {high:.3g}"
                self.find_once("bce-without-sigmoid", span)
            raise _Stop  # PyTorch would end here
        if not 0 <= target.min() <= target.max() <= 1:
            raise _Stop

    def before_kl_div(
        self,
        input: Tensor,
        target: Tensor,
        *_: Any,
        log_target: bool = False,
        **__: Any,
    ) -> None:
        if input.max() > 1e-3:
            evidence = (
                f"log-probabilities end at 0, the inputs go up to {input.max():.3g}"
            )
            self.find_once("nll-without-log-softmax", evidence)
        if not log_target:
            self.judge_targets(target.detach(), 0, 1)

    def before_poisson_nll_loss(
        self,
        input: Tensor,
        target: Tensor,
        log_input: bool = True,
        *_: Any,
        **__: Any,
    ) -> None:
        self.judge_targets(target.detach(), 0, math.inf)
        self.judge_rate(_maker(input), log_input, input.min().item())

    def before_soft_margin_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if not (target.detach().abs() == 1).all():
            span = f"from {target.min():.3g} to {target.max():.3g}"
            evidence = f"the loss wants labels -1 and 1, the labels go {span}"
            self.find_once("targets-outside", evidence)

    before_hinge_embedding_loss = before_soft_margin_loss

    def before_cosine_embedding_loss(
        self, input1: Tensor, input2: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        self.before_soft_margin_loss(input1, target)

    before_margin_ranking_loss = before_cosine_embedding_loss

    def before_binary_cross_entropy_with_logits(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if self.swapped(input, target):
            return
        self.judge_targets(target.detach(), 0, 1)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid":
            self.find_once(
                "sigmoid-before-logits-loss",
                "the loss's input is the output of a sigmoid",
            )
        loss = nn.functional.binary_cross_entropy_with_logits
        self.compare(loss(input.detach().float(), target.float(), reduction="none"), 2)

    before_multilabel_soft_margin_loss = before_binary_cross_entropy_with_logits

    def before_mse_loss(
        self, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if input.shape != target.shape:
            self.find(
                "broadcast-loss",
                f"output {tuple(input.shape)}, targets {tuple(target.shape)}",
            )
        self.judge_range(_maker(input), target, target.numel())
        size = _rms(target)
        if INPUT < size < math.inf:
            self.find(
                "target-scale", f"root mean square {size:.3g}, more than {INPUT:g}"
            )

    before_l1_loss = before_smooth_l1_loss = before_huber_loss = before_mse_loss


_REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


class _Operations(_Seen):
    """Sees every activation, product and choice by the function of torch."""

    def look_at_cut(self, name: str, result: Any, given: list[Any]) -> None:
        """Does the way back end here, of what is read later on?"""
        flat = [
            one for part in given for one in (part if type(part) is list else [part])
        ]
        tensors = [part for part in flat if isinstance(part, Tensor)]
        for part in tensors:
            known, cut = self.loose.pop(id(part), (None, None))
            if known and known() is part:
                self.cuts.append(cut)
        made = isinstance(result, Tensor) and not result.requires_grad
        if made and any(part.requires_grad for part in tensors):
            name = "data" if name == "get" else name
            place = "the loss" if self.in_loss else self.where()
            off = "" if torch.is_grad_enabled() else " under torch.no_grad()"
            what = f"{name} in {place}{off}, of shape {_shape(result)}"
            cut = len(self.rows), not result.is_floating_point(), what
            self.loose[id(result)] = weakref.ref(result), cut

    def after_any(self, result: Any, args: Any) -> None:
        tensors = [part for part in (result, *args[:2]) if isinstance(part, Tensor)]
        if len(tensors) == 3 and tensors[1].dim() != tensors[2].dim():
            # What was cut off from the output shares its numbers with it.
            own = [self.is_output(part) for part in tensors[1:]]
            if own[0] != own[1]:
                self.judge_broadcast(tensors[1].shape, tensors[2].shape, result.shape)

    def look_at_error(
        self, result: Tensor, input: Tensor, target: Tensor, *_: Any, **__: Any
    ) -> None:
        if result.requires_grad and not (result.dim() or target.requires_grad):
            term = self.look_at_term(_plain(target).cpu().double(), 0.0)
            result.register_hook(
                lambda slope: term.__setitem__(1, term[1] + slope.item())
            )

    def is_output(self, tensor: Tensor) -> bool:
        return tensor.requires_grad or (
            tensor.layout is torch.strided and tensor.data_ptr() in self.places
        )

    def look_at_sign(self, name: str, result: Any, args: Any) -> None:
        """Does the loss grow with a log-probability times a weight?"""
        if name == "neg" and not result.requires_grad:
            self.negated.append(result)
        if name not in ("mul", "rmul") or not all(
            isinstance(part, Tensor) for part in args
        ):
            return
        learned = [part for part in args if part.requires_grad]
        given = [part for part in args if not part.requires_grad]
        if len(learned) != 1 or given[0].shape != learned[0].shape:
            return
        # In -advantage * log_probability the minus is there.
        sign = -1 if any(given[0] is part for part in self.negated) else 1
        sign *= _sign_of_log(learned[0].grad_fn)
        if sign and given[0].is_floating_point():
            result.register_hook(lambda slope: self.note_slope(slope * sign))

    def note_slope(self, slope: Tensor) -> None:
        with torch._C.DisableTorchFunction():
            self.rising += bool((slope >= 0).all() and (slope > 0).any())

    def before_getitem(self, input: Tensor, index: Any) -> None:
        if isinstance(index, tuple) and len(index) == 2:
            rows, columns = index
            if rows is Ellipsis or (isinstance(rows, slice) and rows == slice(None)):
                self.look_at_index(input, columns)

    def before_index_select(self, input: Tensor, dim: int, index: Tensor) -> None:
        if dim in (1, -1):
            self.look_at_index(input, index)

    def look_at_index(self, input: Tensor, index: Any) -> None:
        """One index an example, taken from all examples. Columns that are
        chosen or ordered stand once each."""
        if (
            self.in_loss
            and isinstance(index, Tensor)
            and input.requires_grad
            and input.dim() == 2
            and not index.is_floating_point()
            and index.dtype is not torch.bool
            and index.numel() == len(input) == self.examples
            and index.numel() > len(index.unique())
        ):
            shape = (len(input), *index.shape)
            evidence = f"output {tuple(input.shape)}, index {tuple(index.shape)}, together {shape}"
            self.find_once("index-for-all", evidence)

    def after_add(self, _: Tensor, one: Any, other: Any, **__: Any) -> None:
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            self.sums += (
                one.dim() > 1
                and one.shape == other.shape
                and one.requires_grad
                and other.requires_grad
            )
            for tensor, name in self.overwritten:
                if tensor is one or tensor is other:
                    evidence = (
                        f"shape {tuple(tensor.shape)}, overwritten and then added"
                    )
                    self.find_once("overwritten-input", evidence, name)

    after_iadd = after_radd = after_add

    def after_sigmoid(self, result: Tensor, *_: Any, **__: Any) -> None:
        y = _sample(result)
        self.after_squashing(result, 4 * y * (1 - y) < FLAT)

    def after_tanh(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.after_squashing(result, 1 - _sample(result).square() < FLAT)

    def after_hardtanh(
        self,
        result: Tensor,
        _: Tensor,
        min_val: float = -1.0,
        max_val: float = 1.0,
        **__: Any,
    ) -> None:
        if min_val < 0:
            y = _sample(result)
            self.after_squashing(result, (y <= min_val) | (y >= max_val))
        else:
            self.after_relu(result)

    def after_relu(self, result: Tensor, *_: Any, **__: Any) -> None:
        values = result.detach()
        if values.dim() > 1 and values.numel():
            unit = (
                1
                if isinstance(self.rows[-1]["module"], nn.modules.conv._ConvNd)
                else values.dim() - 1
            )
            dead = values.amax([dim for dim in range(values.dim()) if dim != unit]) <= 0
            # Some of a few units may well be off for all examples.
            if len(dead) >= UNITS or dead.all():
                self.note(self.rows[-1], "dead", dead.double().mean().item())
                self.rows[-1]["narrow"] = len(dead) < UNITS

    after_relu6 = after_relu

    def after_squashing(self, result: Tensor, flat: Tensor) -> None:
        self.note(self.rows[-1], "saturated", flat.double().mean().item())
        self.squashed.append((self.rows[-1], result.data_ptr()))

    def before_normalize(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.bounded |= isinstance(input, nn.Parameter) and input.dim() > 1

    def before_linear(self, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> None:
        if weight.dim() == 2 and len(weight) != self.examples:
            rows = input.reshape(-1, input.shape[-1])
            self.look_at_product(_lengths(rows), _lengths(weight))

    def after_cosine_similarity(self, result: Tensor, *_: Any, **__: Any) -> None:
        self.bounded |= result.dim() > 1 and result.shape[-1] != self.examples

    def before_round(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.rounded |= not self.in_loss and input.shape[:1] == (self.examples,)

    def before_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        if dim is not None and input.requires_grad and not self.in_loss:
            self.judge_axis(input.shape, dim, self.where())
            examples = {
                len(input),
                self.examples,
                *(len(target) for target in self.targets),
            }
            if (
                dim in (0, -input.dim())
                and input.dim() > 1
                and len(examples) == 1
                and examples != {1}
            ):
                self.find_once(
                    "softmax-over-batch",
                    f"axis 0 of a tensor of shape {tuple(input.shape)}",
                    self.where(),
                )
        if (
            self.rows
            and dim is not None
            and input.dim() > 2
            and input.requires_grad
            and input.shape[dim] >= 8
        ):
            rows = input.detach().movedim(dim, -1).flatten(0, -2)
            self.look_at_scores(rows[_places(len(rows), 256, rows.device)])
        self.look_at_doubled("softmax", input)

    def before_log_softmax(
        self, input: Tensor, dim: int | None = None, *_: Any, **__: Any
    ) -> None:
        self.before_softmax(input, dim)
        self.look_at_activation(input)
        if _maker(input) == "Sigmoid" and dim is not None and input.shape[dim] > 1:
            self.find_once("sigmoid-before-categorical", f"{input.shape[dim]} sigmoids")

    def look_at_doubled(self, kind: str, input: Tensor, *_: Any, **__: Any) -> None:
        """A softmax or a sigmoid in a loss, of what is one's output already."""
        node = input.grad_fn
        while _kind(node).startswith((*_SHAPES, "Neg")):
            node = node.next_functions[0][0]
        if self.in_loss and _kind(node) == kind.capitalize():
            loss = {"softmax": "cross-entropy", "sigmoid": "logits-loss"}[kind]
            evidence = f"the loss takes the {kind} of the output of a {kind}"
            self.find_once(f"{kind}-before-{loss}", evidence)

    def before_logsumexp(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("softmax", input)

    def before_sigmoid(self, input: Tensor, *_: Any, **__: Any) -> None:
        self.look_at_doubled("sigmoid", input)

    before_logsigmoid = before_softplus = before_sigmoid

    def before_matmul(self, input: Any, other: Any, *_: Any, **__: Any) -> None:
        if input.dim() > 2 and other.dim() > 2:
            self.judge_weighing(input, {input.dim() - 1})
        elif other.dim() == 2:
            self.before_linear(input, other.t())

    before_bmm = before_mm = before_matmul

    def before_einsum(self, equation: str, *operands: Any) -> None:
        read, _, made = equation.replace(" ", "").partition("->")
        if len(operands) == 2 and made and "." not in read:
            for letters, operand in zip(read.split(","), operands, strict=True):
                summed = {letters.index(letter) for letter in set(letters) - set(made)}
                self.judge_weighing(operand, summed)

    def judge_weighing(self, input: Tensor, summed: set[int]) -> None:
        """Weights of an attention, made of products, belong to what they are
        multiplied with and summed over."""
        node, dims = input.grad_fn, input.dim()
        while _kind(node).startswith(("Mul", "NativeDropout", "Clone")):
            node = node.next_functions[0][0]
        if _kind(node) != "Softmax" or not summed:
            return
        axis = node._saved_dim
        axis = (axis - 2**64 if axis >= 2**63 else axis) % dims
        scores = node.next_functions[0][0]
        while _kind(scores).startswith((*_SHAPES, *_SCALINGS)):
            ends = (source for source, _ in scores.next_functions)
            scores = next(source for source in ends if source is not None)
        wide = any(input.shape[place] > 1 for place in summed)
        if _kind(scores) in ("Bmm", "Mm") and axis not in summed and wide:
            evidence = f"softmax over axis {axis} of {tuple(input.shape)}, of which axis {min(summed)} is summed over"
            self.find_once("attention-axis", evidence, self.where())

    def before_layer_norm(
        self, input: Tensor, normalized_shape: Any, *_: Any, **__: Any
    ) -> None:
        if math.prod(normalized_shape) == 1 and input.numel() > 1:
            self.find_once(
                "length-one-axis",
                f"normalization of each number of {tuple(input.shape)}",
                self.where(),
            )

    def before_scaled_dot_product_attention(
        self, query: Tensor, key: Tensor, *_: Any, scale: float | None = None, **__: Any
    ) -> None:
        if self.rows and key.shape[-2] >= 8:
            # The last queries see all keys, causal or not.
            one, all_keys = (
                part.detach().reshape(-1, *part.shape[-2:])[0] for part in (query, key)
            )
            one = one[-16:]
            self.look_at_scores(
                one @ all_keys.T * (query.shape[-1] ** -0.5 if scale is None else scale)
            )

    def look_at_scores(self, scores: Tensor) -> None:
        scores = scores.cpu().double()
        # Masks are written as -inf, as the lowest number, or as -10000.
        visible = (scores > scores.amax(-1, keepdim=True) - 5000).sum(-1) >= 8
        if visible.any():
            self.note(
                self.rows[-1],
                "peaked",
                scores[visible].softmax(-1).amax(-1).mean().item(),
            )

    def before_embedding(
        self, input: Tensor, weight: Tensor, *_: Any, **__: Any
    ) -> None:
        low, high = (int(input.min()), int(input.max())) if input.numel() else (0, 0)
        if low < 0 or high >= len(weight):
            self.find(
                "index-out-of-range",
                f"indices {low} to {high}, {len(weight)} rows",
                self.where(),
            )
            raise _Stop

    def look_at_activation(self, input: Tensor) -> None:
        """One that stands between the last layer and a cross-entropy."""
        if _maker(input) == "Tanh":
            span = f"the loss's inputs go from {input.min():.2g} to {input.max():.2g}"
            self.find_once("tanh-before-loss", span)
        elif _maker(input) == "Relu" and input.numel():
            share = (input == 0).double().mean()
            evidence = f"{share:.0%} of the loss's inputs are exactly 0"
            self.find_once("relu-before-loss", evidence)


ADVICE |= {
    "bce-without-sigmoid": (
        "fault",
        "The loss takes probabilities and gets something else.",
        "nn.BCELoss has no sigmoid of its own.",
        "Use nn.BCEWithLogitsLoss on the logits, or return their sigmoid.",
        "chapters/activation-functions/#use",
    ),
    "overwritten-input": (
        "note",
        "A branch changes its input in place, and the sum behind it adds the changed one.",
        "An activation with inplace=True that comes first in the branch: the skip connection carries its result.",
        "inplace=False in the first activation of the branch.",
        "toolbox/symptom-finder/#plateau",
    ),
    "nll-without-log-softmax": (
        "fault",
        "The loss takes log-probabilities and gets something else.",
        "nn.NLLLoss, nn.KLDivLoss and nn.CTCLoss have no softmax of their own.",
        "Use nn.CrossEntropyLoss on the logits, or return log_softmax.",
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
        ".detach(), .data, torch.no_grad(), a quantized layer or a step without gradient (argmax, round) on the way.",
        "Remove it; or freeze these layers, if that is meant: requires_grad_(False).",
        "chapters/vanishing-gradients/#use",
    ),
    "identical-layers": (
        "note",
        "Layers that are not shared hold the same numbers.",
        "One seeded initializer for many layers, copy.deepcopy of a layer, or nn.TransformerEncoder, which copies one.",
        "Draw each layer anew after building the model.",
        "chapters/he-initialization/#use",
    ),
    "evaluation-mode": (
        "note",
        "The model is in evaluation mode.",
        "model.eval(): dropout is off, and batch normalization uses its running statistics.",
        "model.train() before the check, unless this is meant.",
        "chapters/batch-normalization/#use",
    ),
}


def check_model(
    model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Tensor] | None = None
) -> ModelReport:
    """Run `model` and its loss forward and backward once, in the mode and
    precision it is in, and report.

    `batch` is a pair `(inputs, targets)`, and the loss is `loss_fn(output,
    targets)`. Inputs are a tensor, a tuple (`model(*inputs)`) or a dict
    (`model(**inputs)`). A batch that is no pair serves as both:
    `model(**batch)` and `loss_fn(output, batch)`. Without `loss_fn` the loss is
    the `loss` of the output. Of a `DataLoader` the first batch is taken, and
    its generators come back.

    Of a loss that comes with other things, such as `(loss, output)` or
    `{"loss": ..., "accuracy": ...}`, the loss counts. A model that is frozen or
    quantized throughout gets no backward pass, and the report says so.

    Raises ValueError, saying what to pass, for a model without parameters, a
    batch the model does not take, and a loss that is no scalar or has no
    gradient though there are parameters to train.
    """
    # of torch.compile: hooks see the model below
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    parameters = list(model.parameters())
    packed = [
        name
        for name, part in model.named_modules()
        if _is_packed(part) and not name.endswith("_packed_params")
    ]
    if not (parameters or packed) or any(
        nn.parameter.is_lazy(tensor) for tensor in (*parameters, *model.buffers())
    ):
        raise ValueError(
            f"model must have parameters (run a lazy model once before), got {type(model).__name__}"
        )
    if any(tensor.is_inference() for tensor in parameters):
        # No graph can keep what was built in inference mode.
        with torch.inference_mode(False):
            return check_model(copy.deepcopy(model), batch, loss_fn)
    if isinstance(loss_fn, type):
        raise ValueError(
            f"loss_fn must be a function or an instance, got the class {loss_fn.__name__}"
        )
    if isinstance(batch, DataLoader):
        with _same_draws():
            batch = next(_batches_of(batch), None)
        if batch is None:
            raise ValueError("batch must be a batch at least, got an empty DataLoader")
    held = is_dataclass(batch) and not isinstance(batch, type)
    if not (held or isinstance(batch, Tensor | Mapping | tuple | list)):
        raise ValueError(
            f"batch must be a tensor, or a tuple, list, dict or dataclass, {_way_to(batch)}, got {type(batch).__name__}"
        )
    if any(tensor.is_meta for tensor in (*parameters, *_tensors(batch))):
        raise ValueError(
            "model and batch must hold numbers, got a tensor on the device meta"
        )
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = map(_recorded, batch) if pair else [_recorded(batch)] * 2
    if hasattr(inputs, "__array__") and not isinstance(inputs, Tensor):
        raise ValueError(
            f"batch must hold tensors, {_BATCH}, got {type(inputs).__name__}"
        )
    shapes = [_shape(tensor) for tensor in _tensors(inputs)]
    if shapes and not any(map(math.prod, shapes)):
        raise ValueError(
            f"batch must hold an example at least, got inputs of shape {shapes[0]}"
        )
    watch = _Watch(model, inputs, targets)
    gradients = dict[str, Tensor | None]()
    with (
        _untouched(model, batch, loss_fn) as before,
        torch.inference_mode(False),
        torch.enable_grad(),
        _as_written(),
    ):
        try:
            value = watch.run(model, inputs, targets, loss_fn)
            watch.loss = value.item()
            if not value.requires_grad:
                watch.judge_still(packed)
            graph = _graph(value)
            watch.chain = watch.longest(graph)
            leaves = [node.variable for node in graph if hasattr(node, "variable")]
            watch.judge_leaves(leaves, before)
            watch.quietly(watch.judge_bootstrap, graph)
            watch.quietly(watch.judge_advantage, graph)
            watch.quietly(watch.judge_overlap, graph)
            watch.quietly(watch.judge_divergence, graph)
            before.look([("a tensor of the loss", leaf) for leaf in leaves])
            # Not torch.autograd.grad: checkpoints and reversible layers run
            # backward passes of their own, which write .grad.
            value.backward()
            watch.went_back = True
            gradients = {
                name: _dense(weight.grad) for name, weight in watch.parameters.items()
            }
            if not math.isfinite(watch.loss):
                watch.quietly(watch.hunt, model, inputs, targets, loss_fn)
            elif all(map(_all_finite, gradients.values())):
                watch.ask(model, inputs, targets, loss_fn)
            else:
                watch.quietly(watch.hunt_back, model, inputs, targets, loss_fn)
        except _Stop:
            pass
    watch.measure(gradients)
    if before.lost:
        watch.find("not-put-back", f"{len(before.lost)} tensors", *before.lost)
    layers = watch.reports()
    chain = [layers[place] for place in watch.chain]
    return ModelReport(
        model=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(
            parameter.numel() for parameter in parameters if parameter.requires_grad
        ),
        loss=watch.loss,
        chance_loss=watch.chance_loss,
        forward=_factor([layer.std for layer in chain]),
        backward=_factor([layer.gradient for layer in reversed(chain)]),
        depth=len(chain),
        layers=layers,
        findings=_judge(watch, layers),
    )


def _way_to(batch: Any) -> str:
    """A batch, from what holds many."""
    if isinstance(batch, Dataset):
        return "DataLoader(dataset, batch_size=32) of a Dataset"
    return "next(batches) of a generator" if isinstance(batch, Iterator) else _BATCH


def _batches_of(loader: DataLoader[Any]) -> Generator[Any, None, None]:
    """The batches of a loader, whose generators come back."""
    generators = {
        id(one): one
        for holder in (loader, loader.sampler, loader.batch_sampler, loader.dataset)
        for one in getattr(holder, "__dict__", {}).values()
        if isinstance(one, torch.Generator | random.Random) or _is_numpy(one)
    }
    states = [(one, _state(one)) for one in generators.values()]
    try:
        yield from loader
    finally:
        for one, state in states:
            _set_state(one, state)


_BATCH = "next(iter(loader)) of a DataLoader, torch.as_tensor(array) of an array"


_CALL = "a batch is (inputs, targets); inputs are (a, b) for model(a, b), {'a': a} for model(a=a); "


_CALL += "of a model that takes the labels and returns losses, ((inputs, labels), None)"


_LOSS = "pass a loss_fn(output, targets) that gives one number, for example lambda output, _: sum(output.values())"


class _Watch(_Layers, _Operations, _Losses, _History, TorchFunctionMode):
    """Sees every layer through hooks, and every activation and loss through the
    functions of torch that are called.
    """

    def __init__(self, model: nn.Module, inputs: Any, targets: Any) -> None:
        _Seen.__init__(self)
        TorchFunctionMode.__init__(self)
        self.model = model
        self.owned = {module: _weights(module) for module in model.modules()}
        self.parameters = dict(model.named_parameters())
        self.names = {parameter: name for name, parameter in self.parameters.items()}
        self.trained = {
            name
            for name, parameter in self.parameters.items()
            if parameter.requires_grad
        }
        self.running: list[str] = []
        self.entered: list[list[tuple[Tensor, int]]] = []
        """Of each that runs and has parts, its inputs and their versions."""
        self.overwritten: list[tuple[Tensor, str]] = []
        self.squashed: list[tuple[dict[str, Any], int]] = []
        self.judged_inputs = True
        self.in_loss = False
        self.inputs, self.targets = list(_tensors(inputs)), list(_tensors(targets))
        first = next(iter(self.inputs), None)
        self.examples = first.size(0) if first is not None and first.dim() else 0
        self.cosine = (
            _cosine(first, self.examples)
            if first is not None and first.is_floating_point()
            else None
        )
        bad = [
            _shape(tensor)
            for tensor in self.inputs + self.targets
            if not _all_finite(tensor) and not _is_mask(tensor)
        ]
        self.bad_input = f"in a tensor of shape {bad[0]}" if bad else ""
        self.recurrent: dict[str, tuple[nn.RNNBase, Any]] = {}
        self.negated: list[Tensor] = []
        self.cut_off = _Cuts()
        self.loose: dict[int, tuple[Any, tuple[int, bool, str]]] = {}
        """Cuts whose result nobody has read yet, by its identity."""
        self.signed: dict[Any, tuple[str, float, float]] = {}
        """Of outputs that may go below 0, what made them, and their range."""
        self.places = set[int]()
        """Where the output lies in memory."""
        self.output: Any = None
        self.texts = _texts(inputs)
        self.tokens = next(iter(self.texts), None)
        if self.tokens is None:
            self.tokens = _series(self.inputs, self.targets)
            self.shifts |= set() if self.tokens is None else {1}
        self.norms = {
            module.weight: name
            for name, module in model.named_modules()
            if "Norm" in type(module).__name__
            and isinstance(getattr(module, "weight", None), nn.Parameter)
            and module.weight.dim() == 1
        }
        self.steps = _steps(model, self.norms)
        if not model.training:
            self.find("evaluation-mode", "model.training is False")

    def run(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> Tensor:
        """The loss, a scalar with a gradient."""
        handles = []
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                # It takes no hooks of this kind.
                continue
            handles += [
                module.register_forward_pre_hook(
                    partial(self.enter, name), with_kwargs=True
                ),
                module.register_forward_hook(partial(self.leave, name)),
            ]
        given = (
            ", ".join(str(_shape(tensor)) for tensor in self.inputs)
            or type(inputs).__name__
        )
        try:
            wrong = "does not take what it is given"
            with (
                self,
                _explained(
                    lambda: (
                        f"batch of shape {given}: `{self.where()}` {wrong} ({_CALL})"
                    )
                ),
            ):
                output = _called(model, inputs)
        finally:
            for handle in handles:
                handle.remove()
        results = {
            tensor.data_ptr()
            for tensor in _tensors(output)
            if tensor.layout is torch.strided
        }
        for row, place in self.squashed:
            row["predicts"] = place in results
        self.places, self.output = results, output
        self.signed = {
            part.grad_fn: (_maker(part).lower(), part.min().item(), part.max().item())
            for part in _tensors(output)
            if part.requires_grad and part.numel()
            if part.min() < 0 or _maker(part) in _PRODUCTS
        }
        self.in_loss = True
        if loss_fn is None:
            value = _own_loss(output)
        else:
            shapes = [
                [_shape(tensor) for tensor in _tensors(of)] for of in (output, targets)
            ]
            fails = f"loss_fn(output, targets), of shapes {shapes[0]} and {shapes[1]}, fails"
            with (
                self,
                _explained(lambda: f"{fails} ({_way_round(loss_fn, output, targets)})"),
            ):
                output = loss_fn(output, targets)
            value = _own_loss(output)
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = (
                f"shape {tuple(value.shape)}"
                if isinstance(value, Tensor)
                else type(output).__name__
            )
            raise ValueError(
                f"loss_fn(output, targets), or without it the output's loss, must be a scalar, got {got}: {_LOSS}"
            )
        # A new tensor with requires_grad=True is a beginning of its own.
        own = value.grad_fn is None and all(value is not part for part in self.names)
        if self.trained and (own or not value.requires_grad):
            end = f"; it ends at {self.cuts[0][2]}" if self.cuts else ""
            raise ValueError(
                "loss has no gradient: leave parameters trainable, and do not detach in loss_fn "
                "(argmax, comparisons and NumPy do; requires_grad=True on the result brings nothing back)"
                + end
            )
        return value

    def hunt(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> None:
        """Run again and name the operation that the first NaN or Inf came from.
        -inf is the last guess: a mask may be written so.
        """
        with torch.no_grad():
            for mask in (True, False):
                with _Birth(mask) as birth:
                    output = _called(model, inputs)
                    if loss_fn is not None:
                        loss_fn(output, targets)
                self.birth = self.birth or birth.place

    def hunt_back(
        self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any
    ) -> None:
        """Run again and name the operation whose slope the first NaN or Inf of
        the way back came from."""
        # It keeps the line of the program with each operation.
        with torch.autograd.set_detect_anomaly(True, check_nan=False):
            output = _called(model, inputs)
            value = _own_loss(loss_fn(output, targets) if loss_fn else output)
            for node in _graph(value):
                node.register_hook(partial(self.look_back, node))
            value.backward()

    def look_back(self, node: Any, made: Any, given: Any) -> None:
        bad, good = (
            any(part is not None and not _all_finite(part) for part in parts)
            for parts in (made, given)
        )
        if bad and not good and not self.birth:
            self.birth = f"; born on the way back through {_kind(node).lower()}"
            held = (getattr(node, f"_saved_{one}", None) for one in _SAVED)
            known = next((one for one in held if isinstance(one, Tensor)), None)
            if known is not None and (some := known[known.isfinite()]).numel():
                self.birth += (
                    f", {known.dtype}, numbers {some.min():.3g} to {some.max():.3g}"
                )
                self.birth += "" if some.numel() == known.numel() else " and NaN or Inf"
            self.birth += _place_of(node.metadata.get("traceback_", []))

    def ask(self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any) -> None:
        """What one pass does not show: other outputs, memory, evaluation, and
        neighbors."""
        if loss_fn is not None:
            self.quietly(self.look_at_constants, targets, loss_fn)
        for name, (module, given) in self.recurrent.items():
            self.quietly(self.look_through_time, name, module, given)
        batches = any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
            for module in model.modules()
        )
        try:
            model.eval()
        except NotImplementedError:  # an exported model has one mode
            return
        with torch.no_grad(), _Dropping(self.dropping):
            if self.steps and batches:
                self.quietly(self.evaluate, model, inputs, targets, loss_fn)
            self.rounded |= any(map(_is_packed, model.modules()))
            for count in () if self.rounded else (4, 5, 6):
                if self.compared < 2:
                    self.quietly(self.look_at_neighbours, model, inputs, count)
            if self.shifts & {0, 1}:
                self.quietly(self.look_at_order, model, inputs)
            else:
                self.judge_shift(False)

    def evaluate(
        self, model: nn.Module, inputs: Any, targets: Any, loss_fn: Any
    ) -> None:
        output = _called(model, inputs)
        value = loss_fn(output, targets) if loss_fn else output
        self.evaluation = float(_own_loss(value))

    def look_through_time(self, name: str, module: nn.RNNBase, given: Any) -> None:
        """What of the last output depends on the first step, and on the
        last."""
        if given.dim() == 3:
            given = given[:FEW] if module.batch_first else given[:, :FEW]
        axis = int(given.dim() == 3 and module.batch_first)
        given = given.detach().clone().requires_grad_()
        width = getattr(module, "proj_size", 0) or module.hidden_size
        with torch.enable_grad():
            last = module(given)[0].select(axis, -1)[..., :width]
            signs = torch.cos(torch.arange(float(width), device=last.device))
            (slope,) = torch.autograd.grad((last * signs.to(last.dtype)).sum(), given)
        first, end = (_norm(slope.select(axis, place)) for place in (0, -1))
        self.through_time.append((name, given.shape[axis], first, end))

    def look_at_neighbours(self, model: nn.Module, inputs: Any, count: int) -> None:
        """Does an output change with the examples beside it?"""
        changes = []
        for axis in range(2):
            sizes = {
                tensor.shape[axis] if tensor.dim() > axis else -1
                for tensor in (self.inputs[0], *self.targets)
            }
            if len(sizes) == 1:
                (examples,) = sizes
                place = _place(self.compared, examples)
                changes.append(_change(model, inputs, axis, examples, count, place))
        # Where time goes first, the second axis is that of the examples.
        if changes and None not in changes:
            first, further, _ = map(min, zip(*changes, strict=True))
            self.judge_neighbours(first, further, changes[0][-1])

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        self.quietly(getattr(self, f"before_{name}", None), *args, **kwargs)
        result = func(*args, **kwargs)
        self.quietly(self.look_at_cut, name, result, [*args, *kwargs.values()])
        self.quietly(self.cut_off.look, name, result, [*args, *kwargs.values()])
        if self.in_loss:
            self.quietly(self.after_any, result, args)
            if name in _REGRESSIONS:
                self.quietly(self.look_at_error, result, *args, **kwargs)
            self.quietly(self.look_at_sign, name, result, args)
        elif self.rows:
            self.quietly(getattr(self, f"after_{name}", None), result, *args, **kwargs)
        return result

    def measure(self, gradients: dict[str, Tensor | None]) -> None:
        """The weights, as they are after the pass, and their gradients."""
        gains = {
            module: _gain(module, self.owned[module])
            for module in {row["module"] for row in self.rows}
        }
        for row in self.rows:
            row["gain"] = gains[row["module"]]
        twins = _twins(list(self.parameters.items()))
        owners = {
            weight: module
            for module, weights in self.owned.items()
            for weight in weights
        }
        for name, weight in self.parameters.items():
            gradient, owner = gradients.get(name), owners.get(weight)
            alike = owner is not None and _alike(
                _out_first(owner, weight.detach()), 0.0
            )
            self.weights[name] = _Weight(
                name=name,
                trained=name in self.trained,
                norm=_norm(weight.detach()),
                size=weight.numel(),
                matrix=weight.dim() > 1,
                alike=alike,
                copy=name in twins,
                gradient=None if gradient is None else _norm(gradient),
                gradient_alike=alike
                and gradient is not None
                and _alike(_out_first(owner, gradient), 1e-5),
                centred=_centred(weight) if weight in self.norms else None,
            )


if __name__ == "__main__":
    torch.manual_seed(0)
    hidden = [module for _ in range(10) for module in (nn.Linear(64, 64), nn.Sigmoid())]
    inputs, labels = torch.randn(32, 64), torch.randint(10, (32,))
    print(
        check_model(
            nn.Sequential(*hidden, nn.Linear(64, 10)),
            (inputs, labels),
            nn.CrossEntropyLoss(),
        )
    )
