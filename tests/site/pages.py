"""The Markdown pages and snippets of the site, as the contract between them sees them."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from docs.hooks.catalogue import find_snippets as copyable

__all__ = ["Page", "copyable", "pages"]

ROOT = Path(__file__).resolve().parents[2]
NOT_A_PAGE = ("docs/hooks/", "docs/overrides/", "docs/figures/", "docs/downloads/")


@dataclass(frozen=True)
class Page:
    """One Markdown source of the site."""

    path: Path
    """Relative to the root of the project."""

    def __str__(self) -> str:
        return self.path.as_posix()

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def included(self) -> list[str]:
        """The targets of the well-formed include directives: a path, or a path and a section."""
        return re.findall(r'^\s*--8<-- "([^"\n]+)"$', self.text, flags=re.MULTILINE)

    @cached_property
    def images(self) -> list[tuple[str, str]]:
        """Alt text and address of every Markdown image."""
        return re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", self.text)


def pages() -> list[Page]:
    """Every Markdown page of the site."""
    found = (path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md")))
    return [Page(path) for path in found if not path.as_posix().startswith(NOT_A_PAGE)]
