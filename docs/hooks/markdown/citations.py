"""Markdown extension: pages cite from `docs/references.yml`, so that a paper has one form on all of them.

`[@he2015]` at the start of a list item becomes the entry with its link, elsewhere "He et al. (2015)" with the link.
`[@]` alone on a line becomes the list of all entries, each with the pages that cite it.
"""

import re
from functools import cache
from typing import Any

import yaml
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from docs.hooks.pages import DOCS, Page, find_pages
from docs.hooks.store import ROOT

SOURCE = DOCS / "references.yml"
FIELDS = {"authors", "year", "title", "where", "arxiv", "doi", "url"}
FORMS = {
    "arxiv": re.compile(r"\d{4}\.\d{4,5}"),
    "doi": re.compile(r"10\.\d{4,}/\S+"),
    "url": re.compile(r"https://\S+"),
    "authors": re.compile(r"(?:[^,]+, [^,]+(?:, (?!and)| and |$))+|[^,]+, [^,]+ et al\."),
    "title": re.compile(r"\S.*[^.\s]"),
    "year": re.compile(r"(?:19|20)\d\d"),
}
CITED = re.compile(r"\[@([\w-]+)\]")
ITEM = re.compile(r"^(\s*[-*] )\[@([\w-]+)\]")
ALL = "[@]"

Entry = dict[str, Any]


class CitationError(ValueError):
    """What is wrong with an entry, or with a citation."""


def load(text: str) -> dict[str, Entry]:
    """The entries by their keys; `CitationError` where one has not the form that the source describes."""
    entries = yaml.safe_load(text)
    for key, entry in entries.items():
        if unknown := set(entry) - FIELDS:
            raise CitationError(f"{SOURCE.as_posix()}: {key}: no field {', '.join(sorted(unknown))}")
        for field in ("authors", "year", "title"):
            if field not in entry:
                raise CitationError(f"{SOURCE.as_posix()}: {key}: {field} is missing")
        if len(entry.keys() & {"arxiv", "doi", "url"}) != 1:
            raise CitationError(f"{SOURCE.as_posix()}: {key}: one of arxiv, doi and url is wanted")
        for field, form in FORMS.items():
            if field in entry and not form.fullmatch(str(entry[field])):
                raise CitationError(f"{SOURCE.as_posix()}: {key}: {field} reads {str(entry[field])!r}")
    return entries


@cache
def _entries(changed: int) -> dict[str, Entry]:
    """`changed` only makes an edited file a new cache entry."""
    return load((ROOT / SOURCE).read_text(encoding="utf-8"))


def entries() -> dict[str, Entry]:
    return _entries((ROOT / SOURCE).stat().st_mtime_ns)


def address(entry: Entry) -> tuple[str, str]:
    """What a reader sees of the link, and where it leads."""
    if "arxiv" in entry:
        return f"arXiv:{entry['arxiv']}", f"https://arxiv.org/abs/{entry['arxiv']}"
    if "doi" in entry:
        return f"doi:{entry['doi']}", f"https://doi.org/{entry['doi']}"
    return re.sub(r"^www\.|/.*", "", entry["url"].removeprefix("https://")), entry["url"]


def whole(entry: Entry) -> str:
    said, leads_to = address(entry)
    title = entry["title"] if entry["title"][-1] in "?!" else f"{entry['title']}."
    where = f" {entry['where']}." if "where" in entry else ""
    return f"{entry['authors']} ({entry['year']}). *{title}*{where} [{said}]({leads_to})"


def short(entry: Entry) -> str:
    """He et al. (2015), with the link."""
    families = re.findall(r"(?:^|, | and )([^,]+), [^,]+?(?=, | and | et al\.|$)", entry["authors"])
    several = len(families) > 2 or entry["authors"].endswith("et al.")
    name = f"{families[0]} et al." if several else " and ".join(families)
    return f"[{name} ({entry['year']})]({address(entry)[1]})"


def cited_on(pages: list[Page]) -> dict[str, list[Page]]:
    found: dict[str, list[Page]] = {}
    for page in pages:
        for key in dict.fromkeys(CITED.findall(page.text)):
            found.setdefault(key, []).append(page)
    return found


def listing(known: dict[str, Entry], places: dict[str, list[Page]]) -> list[str]:
    """All entries, by authors and year; the links are those of a page in `docs` itself."""
    lines = []
    for key, entry in sorted(known.items(), key=lambda one: (one[1]["authors"].lower(), one[1]["year"], one[0])):
        pages = [
            f"[{page.title}]({page.path.relative_to(DOCS).as_posix()}{'#sources' * ('sources' in page.sections)})"
            for page in places.get(key, ())
        ]
        lines.append(f"- {whole(entry)}. Cited in {', '.join(pages)}.")
        lines.append(f"{{: #{key} }}")
    return lines


class Citations(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        if not any("[@" in line for line in lines):
            return lines
        known, written = entries(), []
        for line in lines:
            if line == ALL:
                written += listing(known, cited_on(find_pages()))
                continue
            line = ITEM.sub(lambda cited: f"{cited[1]}{whole(self._entry(known, cited[2]))}.", line)
            written.append(CITED.sub(lambda cited: short(self._entry(known, cited[1])), line))
        return written

    def _entry(self, known: dict[str, Entry], key: str) -> Entry:
        if key not in known:
            raise CitationError(f"[@{key}] is cited, and {SOURCE.as_posix()} has no such entry")
        return known[key]


class CitationsExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After code is taken out (25), before what was parsed is looked for (20.5).
        md.preprocessors.register(Citations(md), "citations", 22)


def makeExtension(**settings: object) -> CitationsExtension:
    return CitationsExtension(**settings)
