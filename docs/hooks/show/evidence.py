"""What pages show of an experiment: its claims, its evidence card, its table, its line in the ledger.

The stored numbers become finished HTML by a template, once; the cards include it. Only the line of links stays
Markdown, so that MkDocs checks them and makes them relative to the page.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from docs.hooks.measure.experiment import Experiment
from docs.hooks.measure.spread import address
from docs.hooks.pages import link
from docs.hooks.show.prose import to_html, typeset

CLAIMS, TABLE = (Path(__file__).with_name(f"{name}.html.j2") for name in ("claims", "table"))


IDENTITY = "identity"
"""The kind of a claim that algebra decides: it holds to rounding, and no dot says where."""


SHOWN = 3
"""So many claims of a card are seen before it is opened."""


class Line(NamedTuple):
    """One claim as the template shows it; what is HTML already is `Markup`."""

    id: str
    """The fragment of its address, on whatever page it stands."""
    statement: str
    budget: str
    paper: str
    printed: str
    place: str
    """Where the dot stands, 0 to 1; empty where no dot is drawn."""
    ends: Sequence[str]
    """The ends of the interval, rounded to what tells them apart; one alone where there are not two."""
    behind: Sequence[str]
    """Paragraphs: the interval to its last digit and its reason, the rival, the source."""


def claims(record: dict[str, Any]) -> str:
    """The claims in `record`, each with its number and its interval."""
    lines = list(_lines(record))
    # A fold for one line would be as high as the line.
    return _render(CLAIMS, lines=lines, shown=len(lines) if len(lines) <= SHOWN + 1 else SHOWN)


def _lines(record: dict[str, Any]) -> Iterator[Line]:
    name = Path(record["experiment"]).stem.removeprefix("experiment_").replace("_", "-")
    taken: dict[str, int] = {}
    for claim in record["claims"]:
        id = "-".join((name, *address(claim["statement"]).split("-")[:7]))
        taken[id] = taken.get(id, 0) + 1
        identity = claim["kind"] == IDENTITY
        yield Line(
            id=id if taken[id] == 1 else f"{id}-{taken[id]}",
            statement=claim["statement"],
            budget=claim["budget"],
            paper=claim["paper"],
            printed=claim["printed"],
            place="" if identity else _place(claim),
            ends=[Markup("holds by algebra")] if identity else _ends(claim),
            behind=[Markup(text) for text in _behind(claim, record["source"])],
        )


def _behind(claim: dict[str, Any], source: str) -> Iterator[str]:
    logarithmic = " The line is logarithmic." if _is_wide(claim) else ""
    yield f"Must lie in {_interval(claim)}. {to_html(claim['reason'])}{logarithmic}"
    if claim.get("spread") and claim["kind"] != IDENTITY:
        lowest, highest = (typeset(claim["spread"][end]) for end in ("lowest", "highest"))
        yield f"{claim['spread']['of']}: {lowest}{f' to {highest}' if lowest != highest else ''}."
    if claim.get("longer"):
        yield f"With ten times the steps, one seed: {typeset(claim['longer'])}."
    if claim["rival_of"]:
        number = f": {typeset(claim['rival_printed'])}" if claim["rival_printed"] else ""
        yield to_html(f"If it were false: {claim['rival_of']}{number}.")
    if claim["source"] != source:
        yield f"Source: {to_html(claim['source'])}"


def card(experiment: Experiment, shown: str) -> str:
    """The evidence card around `shown`: claims, or a directive that includes them."""
    return f"""\
<div class="evidence" markdown="1">
<p class="evidence-title">{to_html(experiment.title)}</p>
{shown}<details class="evidence-foot" markdown="1">
<summary>Source, code and numbers</summary>
<p>{to_html(experiment.source)}</p>
<p class="evidence-links" markdown="span">{_links(experiment)}</p>
</details>
</div>
"""


def include(file: Path) -> str:
    return f'--8<-- "{file.as_posix()}"\n'


def ledger(experiments: Sequence[Experiment], places: Mapping[str, Sequence[str]], counts: Mapping[str, int]) -> str:
    """Every experiment of the site, topic by topic: where its claims stand, and how many there are.

    `places` says where cards are shown, `counts` how many claims there are, both by the path of the card.
    """
    sections = []
    for topic, group in groupby(experiments, key=lambda experiment: experiment.topic):
        title = topic.replace("_", " ").capitalize()
        sections.append(f'## {title} {{ #{topic.replace("_", "-")} }}\n\n<div class="ledger" markdown="1">\n')
        for experiment in group:
            card = experiment.card.as_posix()
            sections.append(_ledger_line(experiment, places.get(card, ()), counts[card]))
        sections.append("</div>\n")
    return "\n".join(sections)


def _ledger_line(experiment: Experiment, places: Sequence[str], count: int) -> str:
    # Links of this class stand apart: what is behind one would begin the next line.
    shown = f"{count} {'claim' if count == 1 else 'claims'}{' in ' if places else ''}{' '.join(places)}"
    return f"""\
### {experiment.title.removesuffix(".")} {{ #{anchor(experiment)} }}

{shown} {_links(experiment, all_evidence=False)}
{{ .evidence-links }}
"""


def _render(template: Path, **values: object) -> str:
    return f"{_reader().get_template(template.name).render(values)}\n"


def _prose(text: str) -> Markup:
    return Markup(to_html(text))


def _typeset(number: str) -> Markup:
    return Markup(typeset(number))


@cache
def _reader() -> Environment:
    reader = Environment(
        loader=FileSystemLoader(CLAIMS.parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reader.filters |= {
        "prose": _prose,
        "typeset": _typeset,
    }
    return reader


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of cells of inline Markdown. The first row is the head; columns of numbers stand to the right.

    Among numbers, a dash stands for one that does not exist.
    """
    head, *body = rows
    to_the_right = [all(map(_is_number, column)) for column in zip(*body, strict=True)]
    return _render(TABLE, head=head, body=body, to_the_right=to_the_right)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-−]?[\d.]+(e[-+]\d+)?|—", cell))


def texts(record: dict[str, Any], rows: Sequence[Sequence[str]] | None) -> Iterator[str]:
    """All that stands on card and table in the words of the author."""
    yield from (record["statement"], record["source"])
    for claim in record["claims"]:
        yield from (claim["statement"], claim["budget"], claim["reason"], claim["rival_of"], claim["source"])
    for row in rows or ():
        yield from row


def _links(experiment: Experiment, *, all_evidence: bool = True) -> str:
    name = experiment.name.replace("_", " ")
    numbers = experiment.numbers.relative_to("docs").as_posix()
    links = [
        link("The experiment", f"../downloads/{experiment.topic}/{experiment.path.name}", name, download=True),
        link("Its numbers", f"../{numbers}", name, download=True),
    ]
    if all_evidence:
        links.append(link("All evidence", f"../toolbox/evidence-ledger.md#{anchor(experiment)}", name))
    return " ".join(links)


def anchor(experiment: Experiment) -> str:
    """The fragment of an experiment's section in the ledger."""
    return str(experiment).replace("/", "-").replace("_", "-")


def _interval(claim: dict[str, Any]) -> Markup:
    lowest, highest = claim["interval"]
    if lowest == highest:
        shown = _bound(lowest)
    elif _bound(lowest) != _bound(highest):
        shown = f"{_bound(lowest)} to {_bound(highest)}"
    # Six digits do not tell the ends apart.
    elif float(f"{lowest:g}") == lowest:
        shown = f"{_bound(lowest)} to {_bound(lowest)} + {typeset(f'{highest - lowest:.2g}')}"
    else:
        shown = f"{(lowest + highest) / 2:.10g} ± {typeset(f'{(highest - lowest) / 2:.2g}')}"
    return Markup(shown)


def _bound(bound: float | str) -> str:
    return {"inf": "∞", "-inf": "−∞"}[bound] if isinstance(bound, str) else typeset(f"{bound:g}")


def _ends(claim: dict[str, Any]) -> list[Markup]:
    """Both ends with as few digits as tell them apart: neither moves by more than a twentieth of what lies between."""
    lowest, highest = claim["interval"]
    if lowest == highest:
        return [Markup(f"exactly {_bound(lowest)}")]
    if isinstance(lowest, str) or isinstance(highest, str):
        return [Markup(f"at most {_short(highest)}" if isinstance(lowest, str) else f"at least {_short(lowest)}")]
    width = highest - lowest
    for digits in range(2, 6):
        rounded = [float(f"{end:.{digits}g}") for end in (lowest, highest)]
        if max(abs(rounded[0] - lowest), abs(rounded[1] - highest)) <= width / 20:
            return [Markup(_short(end, digits)) for end in (lowest, highest)]
    # Closer than five digits tell: the middle, and how far the ends are from it.
    middle, half = (lowest + highest) / 2, width / 2
    dots = "" if float(f"{middle:.4g}") == middle else "…"
    return [Markup(f"{_short(middle, 4)}{dots} ± {typeset(f'{half:.1g}')}")]


def _short(bound: float | str, digits: int = 3) -> str:
    """A number as one would say it: thousandths and millions by powers of ten."""
    if isinstance(bound, str):
        return _bound(bound)
    if bound and not 1e-3 <= abs(bound) < 1e5:
        mantissa, _, exponent = f"{bound:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return typeset(f"{mantissa}e{exponent}")
    return typeset(f"{float(f'{bound:.{digits}g}'):.10g}")


def _is_wide(claim: dict[str, Any]) -> bool:
    """Whether the interval spans so much that a dot on a plain axis would stand at its end."""
    lowest, highest = claim["interval"]
    return not isinstance(lowest, str) and not isinstance(highest, str) and lowest > 0 and highest / lowest > 30


def _place(claim: dict[str, Any]) -> str:
    """Where the measured number lies in its interval, 0 to 1, for the dot that the stylesheet draws below."""
    lowest, highest = claim["interval"]
    if isinstance(lowest, str) or isinstance(highest, str) or lowest == highest:
        return ""
    measured = claim["measured"]
    if _is_wide(claim):
        lowest, highest, measured = map(math.log, (lowest, highest, measured))
    return f"{(measured - lowest) / (highest - lowest):.3f}"
