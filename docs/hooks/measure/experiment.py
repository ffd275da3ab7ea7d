"""Where an experiment lives, and what the build makes of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from docs.hooks.measure.imports import outline
from docs.hooks.store import ROOT


@dataclass(frozen=True)
class Experiment:
    """One file `snippets/<topic>/experiment_<name>.py`: its place, its words and its products."""

    path: Path
    """Relative to the root of the project."""

    @property
    def topic(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.stem.removeprefix("experiment_")

    def __str__(self) -> str:
        return f"{self.topic}/{self.name}"

    @property
    def module(self) -> str:
        return ".".join(self.path.with_suffix("").parts)

    @property
    def measurement(self) -> Path:
        """What was measured, for the steps after measuring alone: no page shows it."""
        return Path(".cache", "measured", self.topic, f"{self.name}.pickle")

    @property
    def figure(self) -> Path:
        return self._product(".svg")

    @property
    def numbers(self) -> Path:
        return self._product(".json")

    @property
    def claims(self) -> Path:
        return self._product("-claims.md")

    @property
    def card(self) -> Path:
        return self._product(".md")

    @property
    def table(self) -> Path:
        """Made only if the file defines `table`, a function that gives the rows of what was measured."""
        return self._product("-table.md")

    @property
    def shown(self) -> tuple[Path, ...]:
        """What is made for the readers of the numbers; all but the figure."""
        always = (self.numbers, self.claims, self.card)
        return (*always, self.table) if self.has_table else always

    @cached_property
    def has_table(self) -> bool:
        return "table" in outline(self.path).functions

    @property
    def products(self) -> tuple[Path, ...]:
        return (self.figure, *self.shown)

    @cached_property
    def title(self) -> str:
        """The statement: first paragraph of the docstring."""
        return " ".join(self._docstring.split("\n\n")[0].split())

    @cached_property
    def source(self) -> str:
        """The paragraph of the docstring that begins with "Source:", without that word, on one line."""
        for paragraph in self._docstring.split("\n\n"):
            if paragraph.startswith("Source:"):
                return " ".join(paragraph.removeprefix("Source:").split())
        raise ValueError(f"{self.path}: the docstring needs a paragraph that begins with 'Source:'")

    @cached_property
    def _docstring(self) -> str:
        docstring = outline(self.path).docstring
        if not docstring:
            raise ValueError(f"{self.path}: the file needs a docstring: the statement, then 'Source: ...'")
        return docstring

    def _product(self, suffix: str) -> Path:
        return Path("docs", "figures", self.topic, self.name + suffix)


def find_experiments() -> list[Experiment]:
    """Every experiment of the project, in the order of their paths."""
    return [Experiment(path.relative_to(ROOT)) for path in sorted(ROOT.glob("snippets/*/experiment_*.py"))]
