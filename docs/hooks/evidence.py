"""What the build writes down about an experiment: its numbers, its evidence card, its rows of the ledger."""

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from docs.hooks.catalogue import showing
from docs.hooks.experiment import ROOT, Experiment
from snippets.laboratory.claim import Claim

NOT_PROSE_OR_NUMBER = re.compile(r"(\$[^$]*\$|`[^`]*`)|(?<![\w.])-?\d+(?:\.\d+)?e[-+]?\d+(?!\w)")


def numbers(experiment: Experiment, claims: tuple[Claim, ...], values: list[float], measured: Any) -> str:
    """The JSON that a reader downloads and the ledger is made from."""
    record = {
        "experiment": experiment.path.as_posix(),
        "statement": experiment.title,
        "source": experiment.source,
        "claims": [
            {
                "statement": claim.statement,
                "source": claim.source or experiment.source,
                "paper": claim.paper,
                "measured": value,
                "printed": format(value, claim.format),
                "interval": [_plain(bound) for bound in claim.interval],
                "reason": claim.reason,
            }
            for claim, value in zip(claims, values, strict=True)
        ],
        "measured": _plain(measured),
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Lists, dictionaries, strings and finite numbers; JSON has no Inf and no NaN, so these become words."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def card(experiment: Experiment, record: dict[str, Any]) -> str:
    """The evidence card, as Markdown with HTML blocks: `md_in_html` renders the formulas in it."""
    return f"""\
<div class="evidence" markdown="1">
<p class="evidence-title" markdown="span">{record["statement"]}</p>
{_claims(record)}
<p class="evidence-source" markdown="span">Source: {_prose(record["source"])}</p>
<p class="evidence-links" markdown="span">{_links(experiment)} \
[All evidence](../toolbox/evidence-ledger.md#{anchor(experiment)})</p>
</div>
"""


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells of inline Markdown. The first row is the head; columns of numbers stand to the right.

    Among numbers, a dash stands for one that does not exist.
    """
    head, *body = rows
    if any(len(row) != len(head) for row in body):
        raise ValueError(f"table: every row must have {len(head)} cells as the head has, got {body}")
    rule = ["---:" if all(map(_is_number, column)) else "---" for column in zip(*body, strict=True)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-−]?[\d.]+(e[-+]\d+)?|—", cell))


def ledger(experiments: list[Experiment]) -> str:
    """Every claim of the site, topic by topic and experiment by experiment, from the numbers on disk."""
    sections = []
    for topic, group in groupby(experiments, key=lambda experiment: experiment.topic):
        title = topic.replace("_", " ").capitalize()
        sections.append(f"## {title} {{ #{topic.replace('_', '-')} }}\n")
        sections += [_ledger_section(experiment) for experiment in group]
    return "\n".join(sections)


def _ledger_section(experiment: Experiment) -> str:
    record = json.loads((ROOT / experiment.numbers).read_text(encoding="utf-8"))
    shown = "".join(f", shown in {page}" for page in showing(experiment.card))
    return f"""\
### {record["statement"].removesuffix(".")} {{ #{anchor(experiment)} }}

<div class="evidence" markdown="1">
{_claims(record)}
<p class="evidence-source" markdown="span">Source: {_prose(record["source"])}</p>
<p class="evidence-links" markdown="span">Measured by `{experiment.path.as_posix()}`{shown}. {_links(experiment)}</p>
</div>
"""


def _claims(record: dict[str, Any]) -> str:
    claims = "\n".join(_claim(claim, record["source"]) for claim in record["claims"])
    return f'<ul class="evidence-claims" markdown="1">\n{claims}\n</ul>'


def _claim(claim: dict[str, Any], source: str) -> str:
    paper = f"<div><dt>Paper</dt><dd>{escape(claim['paper'])}</dd></div>\n" if claim["paper"] else ""
    own_source = f" Source: {claim['source']}" if claim["source"] != source else ""
    return f"""\
<li markdown="1">
<p class="evidence-statement" markdown="span">{_prose(claim["statement"])}</p>
<dl>
{paper}<div><dt>This build</dt><dd>{typeset(claim["printed"])}</dd></div>
<div><dt>Must lie in</dt><dd{_place(claim)}>{_interval(claim)}</dd></div>
</dl>
<p class="evidence-reason" markdown="span">{_prose(claim["reason"] + own_source)}</p>
</li>"""


def _links(experiment: Experiment) -> str:
    numbers = experiment.numbers.relative_to("docs").as_posix()
    return (
        f"[The experiment](../downloads/{experiment.topic}/{experiment.path.name}){{ download }} "
        f"[Its numbers](../{numbers}){{ download }}"
    )


def anchor(experiment: Experiment) -> str:
    """The fragment of an experiment's section in the ledger."""
    return str(experiment).replace("/", "-").replace("_", "-")


def _interval(claim: dict[str, Any]) -> str:
    lowest, highest = claim["interval"]
    if lowest == highest:
        return _bound(lowest)
    if _bound(lowest) != _bound(highest):
        return f"{_bound(lowest)} to {_bound(highest)}"
    # Six digits do not tell the ends apart.
    if float(f"{lowest:g}") == lowest:
        return f"{_bound(lowest)} to {_bound(lowest)} + {typeset(f'{highest - lowest:.2g}')}"
    return f"{(lowest + highest) / 2:.10g} ± {typeset(f'{(highest - lowest) / 2:.2g}')}"


def _bound(bound: float | str) -> str:
    return {"inf": "∞", "-inf": "−∞"}[bound] if isinstance(bound, str) else typeset(f"{bound:g}")


def typeset(number: str) -> str:
    """A printed number as it is written by hand: `-6.8e-07` becomes −6.8 × 10⁻⁷."""
    number = number.replace("-", "−")
    parts = re.fullmatch(r"(.+)e\+?(−?)0*(\d+)", number)
    if not parts:
        return number
    mantissa, sign, digits = parts.groups()
    ten = f"10<sup>{sign}{digits}</sup>"
    return ten if mantissa == "1" else f"{mantissa}\u202f×\u202f{ten}"


def _prose(text: str) -> str:
    """Prose with its numbers as they are written by hand; what is a formula or code stays."""
    return NOT_PROSE_OR_NUMBER.sub(lambda found: found[1] or typeset(found[0]), text)


def _place(claim: dict[str, Any]) -> str:
    """Where the measured number lies in its interval, 0 to 1, for the dot that the stylesheet draws below."""
    lowest, highest = claim["interval"]
    if isinstance(lowest, str) or isinstance(highest, str) or lowest == highest:
        return ""
    return f' style="--at:{(claim["measured"] - lowest) / (highest - lowest):.3f}"'
