"""What the build writes down about an experiment: its numbers, its evidence card, its rows of the ledger."""

import dataclasses
import json
import math
from html import escape
from typing import Any

from docs.hooks.experiment import ROOT, Experiment
from snippets.laboratory.claim import Claim


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
    claims = "\n".join(_card_claim(claim) for claim in record["claims"])
    return f"""\
<div class="evidence" markdown="1">
<p class="evidence-title" markdown="span">{record["statement"]}</p>
<ul class="evidence-claims" markdown="1">
{claims}
</ul>
<p class="evidence-source" markdown="span">Source: {record["source"]}</p>
<p class="evidence-links" markdown="span">[The experiment]({_download(experiment)}){{ download }} \
[Its numbers](../{experiment.numbers.relative_to("docs").as_posix()}){{ download }} \
[All evidence](../toolbox/evidence-ledger.md#{anchor(experiment)})</p>
</div>
"""


def _card_claim(claim: dict[str, Any]) -> str:
    paper = f"<div><dt>Paper</dt><dd>{escape(claim['paper'])}</dd></div>\n" if claim["paper"] else ""
    return f"""\
<li markdown="1">
<p class="evidence-statement" markdown="span">{claim["statement"]}</p>
<dl>
{paper}<div><dt>This build</dt><dd>{claim["printed"]}</dd></div>
<div><dt>Must lie in</dt><dd>{_interval(claim)}</dd></div>
</dl>
<p class="evidence-reason" markdown="span">{claim["reason"]}</p>
</li>"""


def ledger(experiments: list[Experiment]) -> str:
    """Every claim of the site, experiment by experiment, from the numbers on disk."""
    return "\n".join(_ledger_section(experiment) for experiment in experiments)


def _ledger_section(experiment: Experiment) -> str:
    record = json.loads((ROOT / experiment.numbers).read_text(encoding="utf-8"))
    rows = "\n".join(
        f"| {claim['statement']} | {claim['source']} | {claim['paper'] or '–'} | {claim['printed']} "
        f"| {_interval(claim)} | {claim['reason']} |"
        for claim in record["claims"]
    )
    return f"""\
### {record["statement"]} {{ #{anchor(experiment)} }}

[`{experiment.path.as_posix()}`]({_download(experiment)}){{ download }}

| Statement | Source | Paper | This build | Must lie in | Why this interval |
|---|---|---|---|---|---|
{rows}
"""


def anchor(experiment: Experiment) -> str:
    """The fragment of an experiment's section in the ledger."""
    return str(experiment).replace("/", "-").replace("_", "-")


def _interval(claim: dict[str, Any]) -> str:
    lowest, highest = claim["interval"]
    return f"{lowest:g}" if lowest == highest else f"{_bound(lowest)} to {_bound(highest)}"


def _bound(bound: float | str) -> str:
    return {"inf": "∞", "-inf": "−∞"}[bound] if isinstance(bound, str) else f"{bound:g}"


def _download(experiment: Experiment) -> str:
    return f"../downloads/{experiment.topic}/{experiment.path.name}"
