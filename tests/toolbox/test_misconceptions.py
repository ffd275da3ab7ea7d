"""Each misconception is decided by an experiment, whose number stands on the card and nowhere else."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown.extensions.toc import slugify

from docs.hooks.show.claims import experiment_of
from tests.toolbox.tables import TOOLBOX

ROOT = Path(__file__).resolve().parents[2]
TEXT = (TOOLBOX / "misconceptions.md").read_text(encoding="utf-8")


class Misconception(NamedTuple):
    """One card that opens."""

    statement: str
    verdict: str
    look: str
    """The class that colours the verdict."""
    why: str
    folder: str
    """Of the page with the proof: the chapter, or its page of all experiments."""
    topic: str
    """As the chapter's file is named."""
    anchor: str
    cards: list[Path]

    def __str__(self) -> str:
        return self.statement


def misconceptions() -> list[Misconception]:
    shape = re.compile(
        r'<details class="verdict" markdown="1">\n<summary markdown="span">“(?P<statement>.+)”</summary>\n\n'
        r"\*\*(?P<verdict>True|False)\.\*\* (?P<why>.+) "
        r"\[Proof: .+?\]\(\.\./(?P<folder>chapters|experiments)/(?P<topic>[\w-]+)\.md#(?P<anchor>[\w-]+)\)\.\n"
        r'\{ \.(?P<look>\w+) \}\n\n(?P<cards>(?:--8<-- "[^"]+"\n\n)+)</details>\n'
    )
    found = [match.groupdict() for match in shape.finditer(TEXT)]
    assert len(found) == TEXT.count("<details"), "each one has a statement, a verdict, a reason, a proof and cards"
    return [
        Misconception(**{**parts, "cards": [Path(card) for card in re.findall('"([^"]+)"', parts["cards"])]})
        for parts in found
    ]


every = pytest.mark.parametrize("misconception", misconceptions(), ids=str)


def section(page: Path, anchor: str) -> str:
    """What stands below the heading with this address, down to the next heading of its rank or above."""
    lines = page.read_text(encoding="utf-8").splitlines()
    rank = 0
    kept: list[str] = []
    for line in lines:
        heading = re.fullmatch(r"(#+) (.+?)(?: \{ #([\w-]+) \})?", line)
        if heading and rank and len(heading[1]) <= rank:
            break
        if heading and (heading[3] or slugify(heading[2], "-")) == anchor:
            rank = len(heading[1])
        if rank:
            kept.append(line)
    return "\n".join(kept)


def test_there_are_both_verdicts_and_no_statement_twice():
    statements = [misconception.statement for misconception in misconceptions()]
    assert len(statements) == len(set(statements)) >= 40
    assert {misconception.verdict for misconception in misconceptions()} == {"True", "False"}


@every
def test_the_verdict_has_its_colour(misconception):
    assert misconception.look == misconception.verdict.lower()


@every
def test_the_experiment_exists_and_belongs_to_the_chapter(misconception):
    for card in misconception.cards:
        experiment = experiment_of(card)
        assert (ROOT / experiment.path).is_file()
        assert experiment.topic.replace("_", "-") == misconception.topic


@every
def test_the_proof_is_where_the_link_leads(misconception):
    """To the section with the experiment's card; a figure of it will do where the card stands further below."""
    place = section(ROOT / "docs" / misconception.folder / f"{misconception.topic}.md", misconception.anchor)
    for card in misconception.cards:
        experiment = experiment_of(card)
        assert f'--8<-- "{experiment.card.as_posix()}"' in place, f"{misconception.anchor} does not show {experiment}"


@every
def test_numbers_stand_on_the_cards_alone(misconception):
    assert not re.search(r"\d\.\d|\d %|e-\d", misconception.why)
