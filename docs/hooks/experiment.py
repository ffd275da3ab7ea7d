"""Where an experiment lives, what the build makes of it, and which files it rests on."""

import ast
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from docs.hooks.memory import recall

ROOT = Path(__file__).resolve().parents[2]
CODE = Path(__file__).read_text(encoding="utf-8")


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
    def figure(self) -> Path:
        return self._product(".svg")

    @property
    def numbers(self) -> Path:
        return self._product(".json")

    @property
    def card(self) -> Path:
        return self._product(".md")

    @property
    def table(self) -> Path:
        """Made only if the file defines `table`, a function that gives the rows of what was measured."""
        return self._product("-table.md")

    @cached_property
    def has_table(self) -> bool:
        return "table" in _outline(self.path).functions

    @property
    def products(self) -> tuple[Path, ...]:
        always = (self.figure, self.numbers, self.card)
        return (*always, self.table) if self.has_table else always

    @cached_property
    def title(self) -> str:
        """The statement: first line of the docstring."""
        return self._docstring.splitlines()[0]

    @cached_property
    def source(self) -> str:
        """The paragraph of the docstring that begins with "Source:", without that word, on one line."""
        for paragraph in self._docstring.split("\n\n"):
            if paragraph.startswith("Source:"):
                return " ".join(paragraph.removeprefix("Source:").split())
        raise ValueError(f"{self.path}: the docstring needs a paragraph that begins with 'Source:'")

    @cached_property
    def _docstring(self) -> str:
        docstring = ast.get_docstring(ast.parse((ROOT / self.path).read_text(encoding="utf-8")))
        if not docstring:
            raise ValueError(f"{self.path}: the file needs a docstring: the statement, then 'Source: ...'")
        return docstring

    def _product(self, suffix: str) -> Path:
        return Path("docs", "figures", self.topic, self.name + suffix)


def find_experiments() -> list[Experiment]:
    """Every experiment of the project, in the order of their paths."""
    return [Experiment(path.relative_to(ROOT)) for path in sorted(ROOT.glob("snippets/*/experiment_*.py"))]


def imported_files(path: Path) -> set[Path]:
    """The files below `snippets/` that `path` imports, directly or through others; relative to the root."""
    return set(filter(None, map(_file_of, imported_modules(path))))


def imported_modules(path: Path) -> set[str]:
    """The dotted names that `path` imports, directly or through files below `snippets/`."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        new = _outline(waiting.pop()).imports - found
        found |= new
        waiting += filter(None, map(_file_of, new))
    return found


def _file_of(module: str) -> Path | None:
    file = f"{module.replace('.', '/')}.py"
    return Path(file) if module.startswith("snippets.") and os.path.isfile(f"{ROOT}/{file}") else None


class Outline(NamedTuple):
    """What a Python file imports and defines; nothing where its syntax is wrong, which its run tells with the line."""

    imports: frozenset[str]
    """Dotted names; of `from a import b` both `a` and `a.b`, since `b` may be a module."""

    functions: frozenset[str]


def _outline(path: Path) -> Outline:
    return _outline_of(path, (ROOT / path).stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _outline_of(path: Path, changed: int) -> Outline:
    """Cached since experiments share files, and a live reload asks again; `changed` makes a new version a new entry."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return Outline(*map(frozenset, recall((CODE, text), lambda: _read_outline(text))))


def _read_outline(text: str) -> tuple[list[str], list[str]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return [], []
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(imports), [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
