"""All cards of the site as one package for Anki, a deck for each chapter, made of the entries that the pages show.

A card keeps its identity by chapter and id, so whoever imports a later deck keeps what they learnt.
"""

import html
import io
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import genanki
import markdown

from docs.hooks.draw import palette
from docs.hooks.learn import pages
from docs.hooks.learn.source import Source, measured, with_numbers
from docs.hooks.measure.experiment import Experiment
from docs.hooks.store import ROOT, write_if_changed

TITLE = "Well Initialized"
DECK, MODEL = 1_786_204_501, 1_786_204_500
"""Anki knows decks and models by number: drawn once, never to change."""

UNDATED = 1_767_225_600
"""The first second of 2026, for a deck that no commit dates: Anki makes its numbers of cards from it."""

QUIET = palette.SERIES[5]
STYLE = f"""\
.card {{ font: 1.1rem/1.5 sans-serif; text-align: left; max-width: 38rem; margin: auto; }}
.decides {{ color: {QUIET[0]}; font-size: 0.85em; }}
.nightMode .decides {{ color: {QUIET[1]}; }}
img {{ max-width: 100%; color-scheme: light; background: {palette.PAPER[0]}; }}
"""


@cache
def _model() -> genanki.Model:
    return genanki.Model(
        MODEL,
        TITLE,
        fields=[{"name": "Front"}, {"name": "Back"}],
        templates=[{"name": "Card", "qfmt": "{{Front}}", "afmt": '{{Front}}<hr id="answer">{{Back}}'}],
        css=STYLE,
    )


def write(sources: Iterable[Source], target: Path, second: int = 0) -> None:
    """Write the deck of all sources to `target`, the same bytes for the same sources and second. Raises SourceError.

    Anki takes over a changed card only from a deck that was made later: `second` says when, in seconds since 1970.
    """
    decks: list[genanki.Deck] = []
    figures: dict[str, Path] = {}
    for number, source in enumerate(sources, 1):
        deck = genanki.Deck(DECK + number, f"{TITLE}::{pages.chapter(source)}")
        for note in _notes(source, figures):
            deck.add_note(note)
        decks.append(deck)
    with tempfile.TemporaryDirectory() as folder:
        media = []
        for name, figure in figures.items():
            media.append(os.path.join(folder, name))
            Path(media[-1]).write_bytes((ROOT / figure).read_bytes())
        package = os.path.join(folder, "deck.apkg")
        genanki.Package(decks, media_files=media).write_to_file(package, timestamp=second or UNDATED)
        write_if_changed(target, _without_times(Path(package)))


def _without_times(package: Path) -> bytes:
    """The bytes of a zip whose members do not tell when they were written."""
    target = io.BytesIO()
    with zipfile.ZipFile(package) as read, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            written.writestr(zipfile.ZipInfo(name), read.read(name), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _notes(source: Source, figures: dict[str, Path]) -> Iterator[genanki.Note]:
    """The notes of a chapter; the figures that they show are added to `figures`, by the name they have in the deck."""

    def image(experiment: Experiment, alt: str) -> str:
        file = f"well-initialized-{experiment.topic}-{experiment.name}.svg"
        figures[file] = experiment.figure
        return f'<p><img src="{file}" alt="{html.escape(alt)}"></p>'

    def evidence(addresses: list[str]) -> str:
        """What was measured, and the figure of the first experiment that draws one."""
        told = "".join(map(_decides, addresses))
        seen = (
            (one, alt)
            for one in (measured(address).experiment for address in addresses)
            if (alt := pages.to_be_seen(one))
        )
        return told + next((image(*one) for one in seen), "")

    for question in source.entries.quiz:
        front, right = to_html(question.ask), question.right
        back = f"<p><b>{_inner(right.text)}</b></p>{to_html(right.why)}"
        if question.figure:
            topic, _, name = question.figure.experiment.partition("/")
            front += image(Experiment(Path("snippets", topic, f"experiment_{name}.py")), question.figure.alt)
            back += _decides(right.claim)
        else:
            back += evidence([right.claim])
        choices = "".join(f"<li>{_inner(choice.text)}</li>" for choice in question.shuffled)
        yield _note(source, "quiz", question.id, f"{front}<ul>{choices}</ul>", back)
    for answer in source.entries.interview:
        back = to_html(answer.half_a_minute) + evidence(answer.claims)
        yield _note(source, "interview", answer.id, to_html(answer.ask), back)


def _note(source: Source, kind: str, name: str, front: str, back: str) -> genanki.Note:
    return genanki.Note(
        model=_model(),
        fields=[front, back],
        guid=genanki.guid_for(TITLE, source.slug, kind, name),
        tags=[source.slug, kind],
    )


def _decides(address: str) -> str:
    claim = measured(address)
    return f'<p class="decides">{_inner(f"{claim.statement}: {claim.printed}.")}</p>'


def to_html(text: str) -> str:
    """Markdown as HTML; formulas as Anki writes them."""
    settings = {"pymdownx.arithmatex": {"generic": True, "inline_syntax": ["dollar"], "block_syntax": ["dollar"]}}
    return markdown.markdown(
        with_numbers(text), extensions=["tables", "fenced_code", *settings], extension_configs=settings
    )


def _inner(text: str) -> str:
    return to_html(text).removeprefix("<p>").removesuffix("</p>")
