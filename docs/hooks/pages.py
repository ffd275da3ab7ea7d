"""The Markdown pages of the site: what each one shows, and where."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from docs.hooks.store import ROOT

DOCS = Path("docs")
NOT_A_PAGE = {"hooks", "overrides", "figures", "downloads"}
"""Folders whose Markdown is no page: code, templates, and what the build writes for pages to include."""

PARTS = ("chapters", "experiments", "code")
"""The folders of a chapter's pages, which have one name in each. A tool has its code among them."""

INCLUDE = re.compile(r'^[ \t]*--8<-- "([^"\n]+)"$', re.MULTILINE)
SECTION = re.compile(r"^##+ (.*) \{ #([\w-]+) \}$", re.MULTILINE)


def link(words: str, target: str, about: str, *, download: bool = False) -> str:
    """Markdown of a link. Whoever hears the links of a page one after the other hears as well what it is about."""
    return f'[{words}]({target}){{ {"download " if download else ""}aria-label="{words}: {about}" }}'


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
    def title(self) -> str:
        return re.search(r"^# (.+)$", self.text, re.MULTILINE)[1]

    @cached_property
    def sections(self) -> list[str]:
        """The anchors that its author gave to its headings, in their order."""
        return [anchor for _, anchor in SECTION.findall(self.text)]

    def name_of(self, anchor: str) -> str:
        """A section as a link to it names it: "He initialization: Why". What kind of further page it is goes unsaid."""
        words = next(words for words, own in SECTION.findall(self.text) if own == anchor)
        return f"{self.title.partition(': ')[0]}: {words}"

    @cached_property
    def included(self) -> list[str]:
        """The targets of the well-formed include directives: a path, or a path and a section."""
        return INCLUDE.findall(self.text)

    @cached_property
    def images(self) -> list[tuple[str, str]]:
        """Alt text and address of every Markdown image."""
        return re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", self.text)

    @cached_property
    def places(self) -> dict[str, str]:
        """Of each included file a link to the section that is first to include it, for pages of other folders."""
        address = f"../{self.path.relative_to(DOCS).as_posix()}"
        found: dict[str, str] = {}
        for include in INCLUDE.finditer(self.text):
            above = SECTION.findall(self.text, 0, include.start())
            anchor = above[-1][1] if above else ""
            link = f"[{self.name_of(anchor)}]({address}#{anchor})" if anchor else f"[{self.title}]({address})"
            found.setdefault(include[1], link)
        return found


def parts(slug: str) -> list[Page]:
    """A chapter and its further pages: all its experiments, all its code."""
    found = (DOCS / folder / f"{slug}.md" for folder in PARTS)
    return [Page(path) for path in found if (ROOT / path).is_file()]


def find_pages() -> list[Page]:
    """Every Markdown page of the site, in the order of their paths."""
    found = (path.relative_to(ROOT) for path in sorted((ROOT / DOCS).rglob("*.md")))
    return [Page(path) for path in found if path.parts[1] not in NOT_A_PAGE]


def find_places() -> dict[str, list[str]]:
    """Of each file that pages include, a link to each page."""
    places: dict[str, list[str]] = {}
    for page in find_pages():
        for file, link in page.places.items():
            places.setdefault(file, []).append(link)
    return places
