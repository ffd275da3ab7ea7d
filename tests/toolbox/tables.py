"""The tables of the toolbox pages, as their tests read them: the page is the single source of what it states."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

TOOLBOX = Path(__file__).resolve().parents[2] / "docs" / "toolbox"


class Difference(NamedTuple):
    """One row of the page on framework differences."""

    pytorch: str
    keras: str
    agree: str
    """Cell of the last column."""

    def code(self, label: str) -> str | None:
        """The code for the framework `label` that makes it do as the other one does; None if there is none."""
        found = re.search(rf"in {label}: \[?`([^`]+)`", self.agree)
        return found and found[1]


def sections(page: str) -> dict[str, str]:
    """The text of each section of docs/toolbox/`page` that is headed `## ... { #id }`, by its id."""
    text = (TOOLBOX / page).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## .*\{ #([\w-]+) \}$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The cells of all tables of a section, without heads."""
    tables = re.findall(r"^\|[-|: ]+\|\n((?:\|.*\n)+)", section, flags=re.MULTILINE)
    return [re.split(r" *\| +", line.strip("| \n")) for table in tables for line in table.splitlines()]


def differences(*names: str) -> dict[str, Difference]:
    """The rows of these sections of the page on framework differences, by their first cell."""
    found = sections("framework-differences.md")
    return {first: Difference(*cells) for name in names for first, *cells in rows(found[name])}


def code(section: str, framework: str) -> list[str]:
    """The blocks of code in the tabs of `framework`, in their order."""
    tab = rf'^( *)=== "{framework}"\n\n((?:\1 {{4}}.*\n|\n)+)'
    contents = (found[2] for found in re.finditer(tab, section, re.MULTILINE))
    return [textwrap.dedent(re.search(r"```python\n(.*?) *```", text, re.DOTALL)[1]) for text in contents]
