"""What a check returns, and how it prints."""

import html
import math
import textwrap
from typing import Any, NamedTuple


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
