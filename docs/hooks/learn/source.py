"""The one source of a chapter's quiz, interview sheet, exercises and cards: `docs/learn/<slug>.yml`, held to a schema.

A text is Markdown with formulas. `[[topic/experiment/first words of a claim]]` in it stands for the number that this
build measured. A bad entry is told with its file, its id and its field.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from docs.hooks import store
from docs.hooks.markdown import formulas, katex
from docs.hooks.measure.experiment import Experiment
from docs.hooks.show import claims
from docs.hooks.show.prose import typeset
from docs.hooks.store import ROOT

LEARN = Path("docs", "learn")
NUMBER = re.compile(r"\[\[([^\[\]\n]+)\]\]")
PROSE = {"text", "why", "ask", "half_a_minute", "go_on", "title", "task", "hint", "solution"}
ADDRESS = re.compile(r"\b([a-z_]+)/([a-z_]+)/[a-z0-9-]+")


class SourceError(Exception):
    """Entries that are not as the schema wants them; the text names file and entry of each."""


def _no_longer_than(words: int) -> AfterValidator:
    def check(text: str) -> str:
        if (counted := len(text.split())) > words:
            raise ValueError(f"{counted} words; what is said in that time has at most {words}")
        return text

    return AfterValidator(check)


def _has_words(text: str) -> str:
    """What is clicked needs a name that a screen reader can say."""
    if not re.search(r"\w", re.sub(r"\$[^$]+\$", "", text)):
        raise ValueError("a formula alone; add a word, which names it for those who listen")
    return text


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Claim = Annotated[str, StringConstraints(pattern=r"^[a-z_]+/[a-z_]+/[a-z0-9][a-z0-9-]*$")]
"""Topic, experiment and the first words of one of its claims, as a page includes its card."""
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Entry):
    experiment: Annotated[str, StringConstraints(pattern=r"^[a-z_]+/[a-z_]+$")]
    alt: Annotated[Text, StringConstraints(min_length=40)]
    """What is to be seen."""


class Choice(Entry):
    text: Annotated[Text, AfterValidator(_has_words)]
    why: Text
    claim: Claim
    """What decides it."""
    right: bool = False


class Question(Entry):
    id: Slug
    ask: Text
    figure: Figure | None = None
    choices: Annotated[list[Choice], Field(min_length=3, max_length=5)]

    @model_validator(mode="after")
    def _one_is_right(self) -> "Question":
        if (found := sum(choice.right for choice in self.choices)) != 1:
            raise ValueError(f"one choice is right, not {found}")
        return self

    @property
    def right(self) -> Choice:
        return next(choice for choice in self.choices if choice.right)

    @property
    def shuffled(self) -> list[Choice]:
        """In an order that the words decide, the same in each build: the author may write the right one first."""
        return sorted(self.choices, key=lambda choice: store.digest(f"{self.id} {choice.text}".encode()))


class Answer(Entry):
    """A question of an interview."""

    id: Slug
    ask: Text
    half_a_minute: Annotated[Text, _no_longer_than(85)]
    """At 150 words a minute, with a breath."""
    go_on: Annotated[Text, _no_longer_than(225)]
    """What one goes on with, up to two minutes."""
    claims: Annotated[list[Claim], Field(min_length=1)]


class Exercise(Entry):
    id: Slug
    kind: Literal["Warm-up", "By hand", "Code", "Research"]
    title: Text
    task: Text
    hint: Text | None = None
    solution: Text
    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """The name of the file and function that the reader writes."""
    claims: list[Claim] = []


class Entries(Entry):
    """What a file holds."""

    quiz: Annotated[list[Question], Field(min_length=8)]
    interview: Annotated[list[Answer], Field(min_length=4)]
    exercises: Annotated[list[Exercise], Field(min_length=4)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Entries":
        for kind in (self.quiz, self.interview, self.exercises):
            ids = [entry.id for entry in kind]
            if twice := {name for name in ids if ids.count(name) > 1}:
                raise ValueError(f"two entries have the id {', '.join(sorted(twice))}")
        return self


@dataclass(frozen=True)
class Measured:
    """A claim with the number that this build measured."""

    experiment: Experiment
    statement: str
    printed: str


@dataclass(frozen=True)
class Source:
    """The file of one chapter."""

    path: Path
    """Relative to the root of the project."""

    @property
    def slug(self) -> str:
        return self.path.stem

    @property
    def topic(self) -> str:
        return self.slug.replace("-", "_")

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def experiments(self) -> list[Experiment]:
        """Those whose claims it names and that exist."""
        found = {Experiment(Path("snippets", topic, f"experiment_{name}.py")) for topic, name in self._named}
        return sorted((one for one in found if (ROOT / one.path).is_file()), key=str)

    @property
    def _named(self) -> set[tuple[str, str]]:
        return set(ADDRESS.findall(self.text)) | set(re.findall(r"experiment: ([a-z_]+)/([a-z_]+)", self.text))

    @cached_property
    def code(self) -> list[str]:
        """The names of its exercises with code."""
        return re.findall(r"^ +code: (\w+)$", self.text, re.MULTILINE)

    @cached_property
    def entries(self) -> Entries:
        """Raises SourceError."""
        try:
            data = yaml.load(self.text, Loader=_Loader)
        except yaml.YAMLError as error:
            raise SourceError(f"{self.path.as_posix()}: {error}") from None
        try:
            return Entries.model_validate(data)
        except ValidationError as error:
            slips = [f"{self._place(data, slip['loc'])}: {slip['msg']}" for slip in error.errors()]
            raise SourceError("\n".join(slips)) from None

    def _place(self, data: Any, location: tuple[int | str, ...]) -> str:
        """File, entry and field, as an author finds them."""
        kind, *rest = location or ("",)
        named = [self.path.as_posix(), str(kind)]
        if rest:
            index, *rest = rest
            entry = data[kind][index]
            named.append(str(entry.get("id", f"entry {int(index) + 1}") if isinstance(entry, dict) else entry))
            named += [f"{part + 1}" if isinstance(part, int) else part for part in rest]
        return ", ".join(filter(None, named))

    def check(self) -> list[katex.Formula]:
        """All formulas. Raises SourceError for one that cannot be set, and for a claim that does not exist."""
        found, slips = [], []
        for place, text in self.texts():
            good, bad = formulas.read(text)
            found += good
            slips += [f"{place}: {slip.said}" for slip in bad]
            slips += [said for address in NUMBER.findall(text) if (said := self._missing(place, address))]
        for place, address in self.claims():
            slips += filter(None, [self._missing(place, address)])
        if slips:
            raise SourceError("\n".join(slips))
        return found

    def _missing(self, place: str, address: str) -> str:
        try:
            measured(address)
        except claims.ClaimNotFoundError as error:
            return f"{place}: {error}"
        return ""

    def texts(self) -> Iterator[tuple[str, str]]:
        """All that is prose, each with its place."""
        return ((place, text) for place, field, text in self._fields if field in PROSE)

    def claims(self) -> Iterator[tuple[str, str]]:
        """The addresses of claims, each with its place."""
        return ((place, text) for place, field, text in self._fields if field in {"claim", "claims"})

    @cached_property
    def _fields(self) -> list[tuple[str, str, str]]:
        return list(_fields(self.entries.model_dump(), self.path.as_posix(), ""))


def _fields(value: Any, place: str, field: str) -> Iterator[tuple[str, str, str]]:
    """Place, field and text of every text."""
    if isinstance(value, str):
        yield place, field, value
    elif isinstance(value, dict):
        here = f"{place}, {value['id']}" if "id" in value else place
        for name, item in value.items():
            yield from _fields(item, f"{here}, {name}", name)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _fields(item, place if isinstance(item, dict) and "id" in item else f"{place}, {number}", field)


class _Loader(yaml.SafeLoader):
    """A key written twice is a slip, of which YAML says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(sorted(twice))} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def find_sources() -> list[Source]:
    return [Source(path.relative_to(ROOT)) for path in sorted((ROOT / LEARN).glob("*.yml"))]


def measured(address: str) -> Measured:
    """The claim of that address. Raises ClaimNotFoundError."""
    card = claims.CLAIMS / f"{address}.md"
    experiment = claims.experiment_of(card)
    if not (ROOT / experiment.path).is_file():
        raise claims.ClaimNotFoundError(f"{address}: there is no {experiment.path.as_posix()}")
    claim = claims.find(card, store.load(experiment.measurement).record)
    return Measured(experiment, claim["statement"], claim["printed"])


def with_numbers(text: str) -> str:
    """The text with what was measured in its places."""
    return NUMBER.sub(lambda found: typeset(measured(found[1]).printed), text)
