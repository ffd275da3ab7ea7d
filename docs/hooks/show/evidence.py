"""What pages show of an experiment: its claims, its evidence card, its table, its section of the ledger.

The stored numbers become finished HTML by a template, once; cards and ledger include it. Only the line of links stays
Markdown, so that MkDocs checks them and makes them relative to the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from re import fullmatch
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from docs.hooks.measure.experiment import Experiment
from docs.hooks.show.prose import to_html, typeset

CLAIMS, TABLE = (Path(__file__).with_name(f"{name}.html.j2") for name in ("claims", "table"))


def claims(record: dict[str, Any]) -> str:
    """The claims in `record`, each with its number and its interval, and their source."""
    return _render(CLAIMS, record=record)


def card(experiment: Experiment, shown: str) -> str:
    """The evidence card around `shown`: claims, or a directive that includes them."""
    title = f'<p class="evidence-title">{to_html(experiment.title)}</p>\n'
    all_evidence = f"[All evidence](../toolbox/evidence-ledger.md#{anchor(experiment)})"
    return _card(title + shown, f"{_links(experiment)} {all_evidence}")


def include(file: Path) -> str:
    return f'--8<-- "{file.as_posix()}"\n'


def ledger(experiments: Sequence[Experiment], places: Mapping[str, Sequence[str]]) -> str:
    """Every claim of the site, topic by topic and experiment by experiment; `places` says where cards are shown."""
    sections = []
    for topic, group in groupby(experiments, key=lambda experiment: experiment.topic):
        title = topic.replace("_", " ").capitalize()
        sections.append(f"## {title} {{ #{topic.replace('_', '-')} }}\n")
        sections += [_ledger_section(experiment, places.get(experiment.card.as_posix(), ())) for experiment in group]
    return "\n".join(sections)


def _ledger_section(experiment: Experiment, places: Sequence[str]) -> str:
    shown = "".join(f", shown in {link}" for link in places)
    links = f"Measured by `{experiment.path.as_posix()}`{shown}. {_links(experiment)}"
    heading = f"### {experiment.title.removesuffix('.')} {{ #{anchor(experiment)} }}"
    return f"{heading}\n\n{_card(include(experiment.claims), links)}"


def _card(shown: str, links: str) -> str:
    return f"""\
<div class="evidence" markdown="1">
{shown}<p class="evidence-links" markdown="span">{links}</p>
</div>
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
        "interval": _interval,
        "place": _place,
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
    return bool(fullmatch(r"[-−]?[\d.]+(e[-+]\d+)?|—", cell))


def texts(record: dict[str, Any], rows: Sequence[Sequence[str]] | None) -> Iterator[str]:
    """All that stands on card and table in the words of the author."""
    yield from (record["statement"], record["source"])
    for claim in record["claims"]:
        yield from (claim["statement"], claim["budget"], claim["reason"], claim["rival_of"], claim["source"])
    for row in rows or ():
        yield from row


def _links(experiment: Experiment) -> str:
    numbers = experiment.numbers.relative_to("docs").as_posix()
    return (
        f"[The experiment](../downloads/{experiment.topic}/{experiment.path.name}){{ download }} "
        f"[Its numbers](../{numbers}){{ download }}"
    )


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


def _place(claim: dict[str, Any]) -> str:
    """Where the measured number lies in its interval, 0 to 1, for the dot that the stylesheet draws below."""
    lowest, highest = claim["interval"]
    if isinstance(lowest, str) or isinstance(highest, str) or lowest == highest:
        return ""
    return f"{(claim['measured'] - lowest) / (highest - lowest):.3f}"
