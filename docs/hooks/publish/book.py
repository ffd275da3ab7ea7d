"""The whole site as one PDF, in reading order: a title page, contents, bookmarks, a number on each page.

    python -m docs.hooks.publish.book [mkdocs.yml]

Chromium prints each page of the site that is built; pypdf joins them. Of a long file to copy the book tells the length
alone. A link to a page of the site leads to its place in the book. A link to a file leads to the published site, and
nowhere where the address of that is not known.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urldefrag

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, Fit, FloatObject, NameObject, NullObject, TextStringObject

from docs.hooks.pages import DOCS, PARTS
from docs.hooks.publish import browser, facts
from docs.hooks.publish.cards import address
from docs.hooks.store import ROOT

BOOK = Path("book", "well-initialized.pdf")
FURTHER = {"experiments": "All experiments", "code": "Code"}
"""The sections of the book with the further pages, which the navigation does not list."""
WITH_FURTHER = {"chapters", "toolbox"}
TEMPLATE = Path(__file__).with_name("book.html.j2")
PATIENCE = 300_000
"""Milliseconds after which something hangs."""

LONGEST = 150
"""Lines of a file that a book shows whole: a longer one is to be copied, not read on paper."""

PREPARE = """(longest) => {
    // Not in a book: what repeats the title page.
    document.querySelectorAll(".trust").forEach((element) => element.remove())
    for (const code of document.querySelectorAll(".md-content pre")) {
        const lines = code.textContent.trimEnd().split("\\n").length
        if (lines > longest) code.textContent = `${lines} lines: the site has the file.`
    }
    // Chromium notes the places of those elements that the page itself links.
    for (const { id } of document.querySelectorAll("[id]")) {
        const link = document.createElement("a")
        link.href = "#" + encodeURIComponent(id)
        link.hidden = true
        document.body.append(link)
    }
    // On paper nothing is far from the screen.
    document.querySelectorAll("img").forEach((image) => (image.loading = "eager"))
}"""
SHOWN = "() => document.fonts.status === 'loaded' && [...document.images].every((image) => image.complete)"
HEADINGS = """() => {
    const said = (heading) => {
        const copy = heading.cloneNode(true)
        copy.querySelectorAll(".headerlink, annotation, [aria-hidden=true]").forEach((element) => element.remove())
        return copy.textContent.trim()
    }
    const sections = [...document.querySelectorAll(".md-content h2[id]")]
    return [said(document.querySelector("h1")), sections.map((heading) => [heading.id, said(heading)])]
}"""

Place = tuple[int, float, float]
"""In the book: the sheet, counted from 0, and from its left lower corner how far right and how far up, in points."""


class Leaf(NamedTuple):
    """A page of the site in the book."""

    above: tuple[str, ...]
    """The titles of the sections that it stands in, the widest first."""
    address: str
    """`chapters/he-initialization/`"""


class Printed(NamedTuple):
    leaf: Leaf
    title: str
    sections: Sequence[tuple[str, str]]
    """Id and words of each heading of the second level."""
    pdf: PdfReader


class Line(NamedTuple):
    """Of the contents."""

    depth: int
    title: str
    address: str
    """Empty for a section, which has no page of its own."""
    number: int


def leaves(config: MkDocsConfig) -> list[Leaf]:
    """All pages in reading order: those of the navigation, and after chapters and tools their further pages."""
    found: list[Leaf] = []
    for folder, group in groupby(_of_navigation(config.nav or [], ()), lambda leaf: leaf.address.partition("/")[0]):
        pages = list(group)
        found += [*pages, *_further(pages)] if folder in WITH_FURTHER else pages
    return found


def _of_navigation(nodes: Sequence[Any], above: tuple[str, ...]) -> Iterator[Leaf]:
    for node in nodes:
        title, inner = next(iter(node.items())) if isinstance(node, dict) else ("", node)
        if isinstance(inner, str):
            folder = address(DOCS / inner).as_posix()
            yield Leaf(above, "" if folder == "." else f"{folder}/")
        else:
            yield from _of_navigation(inner, (*above, title))


def _further(pages: Sequence[Leaf]) -> Iterator[Leaf]:
    for folder in PARTS[1:]:
        for name in [leaf.address.split("/")[1] for leaf in pages]:
            if (ROOT / DOCS / folder / f"{name}.md").is_file():
                yield Leaf((FURTHER[folder],), f"{folder}/{name}/")


def left_out(site: Path, pages: Sequence[Leaf]) -> list[str]:
    """The addresses of built pages that are not among `pages`."""
    built = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    return sorted(built - {leaf.address.rstrip("/") or "." for leaf in pages})


def make(config: MkDocsConfig, book: Path) -> None:
    """Print the site that `config` has built, and write it to `book`."""
    site, pages = Path(config.site_dir), leaves(config)
    if missing := left_out(site, pages):
        raise ValueError(f"these pages are not in the navigation, so the book does not have them: {', '.join(missing)}")
    with browser.served(site) as url, _sheet() as page:
        printed = [_print(page, url, leaf) for leaf in pages]
        joined = _join(page, url, config, printed)
    book.parent.mkdir(parents=True, exist_ok=True)
    joined.write(book)


@contextmanager
def _sheet() -> Iterator[Page]:
    path = browser.find()
    if not path:
        raise FileNotFoundError(f"no browser found that prints: install one of {', '.join(browser.NAMES)}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=browser.SWITCHES)
        with opened.new_context(color_scheme="light", reduced_motion="reduce") as context:
            context.set_default_timeout(PATIENCE)
            yield context.new_page()


def _print(page: Page, url: str, leaf: Leaf) -> Printed:
    page.goto(url + leaf.address)
    page.evaluate(PREPARE, LONGEST)
    page.wait_for_function(SHOWN)
    title, sections = page.evaluate(HEADINGS)
    return Printed(leaf, title, sections, _pdf(page))


def _pdf(page: Page) -> PdfReader:
    return PdfReader(io.BytesIO(page.pdf(format="A4", prefer_css_page_size=True, print_background=True)))


def _join(page: Page, url: str, config: MkDocsConfig, printed: Sequence[Printed]) -> PdfWriter:
    # How many sheets the contents take decides the numbers that they show, all of which have one width.
    sheets = len(_front(page, url, config, lines(printed, 0)).pages)
    front = _front(page, url, config, lines(printed, sheets))
    if len(front.pages) != sheets:
        raise RuntimeError(f"the contents take {sheets} sheets without their numbers, and {len(front.pages)} with them")

    writer = PdfWriter()
    places: dict[tuple[str, str], Place] = {}
    heads = [""] * sheets
    for there, pdf in (("book", front), *((one.leaf.address, one.pdf) for one in printed)):
        begin = len(writer.pages)
        places[there, ""] = (begin, 0.0, float(pdf.pages[0].mediabox.top))
        for name, place in pdf.named_destinations.items():
            number = pdf.get_destination_page_number(place)
            if number is not None:
                left, top = (float(value) for value in (place.left or 0, place.top or 0))
                places[there, unquote(name.removeprefix("/"))] = (begin + number, left, top)
        _name_places(pdf, url + there)
        writer.append(pdf, import_outline=False)
    heads += [one.title for one in printed for _ in one.pdf.pages]

    _lead(writer, url, places, "" if "//127.0.0.1" in (config.site_url or "//127.0.0.1") else str(config.site_url))
    _bookmark(writer, printed, places)
    for sheet, foot in zip(writer.pages, _show(page, url, config, heads=heads).pages, strict=True):
        sheet.merge_page(foot)
    writer.compress_identical_objects(remove_duplicates=True, remove_unreferenced=True)
    writer.add_metadata({"/Title": config.site_name, "/Subject": config.site_description or ""})
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.page_mode = "/UseOutlines"
    return writer


def lines(printed: Sequence[Printed], before: int) -> list[Line]:
    """The contents, where `before` sheets come before the first page."""
    found: list[Line] = []
    above: tuple[str, ...] = ()
    number = before + 1
    for one in printed:
        own = one.leaf.above
        same = next((depth for depth, pair in enumerate(zip(own, above, strict=False)) if pair[0] != pair[1]), None)
        start = min(len(own), len(above)) if same is None else same
        found += [Line(depth, own[depth], "", 0) for depth in range(start, len(own))]
        found.append(Line(len(own), one.title, one.leaf.address, number))
        above = own
        number += len(one.pdf.pages)
    return found


def _front(page: Page, url: str, config: MkDocsConfig, contents: Sequence[Line]) -> PdfReader:
    known = facts.facts()
    return _show(page, url, config, contents=contents, facts=known, day=facts.written(known.day))


def _show(page: Page, url: str, config: MkDocsConfig, **values: Any) -> PdfReader:
    """What the template makes of the values, printed."""
    reader = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    html = reader.get_template(TEMPLATE.name).render({"contents": (), "heads": (), "config": config, **values})
    page.route(f"{url}book", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
    page.goto(f"{url}book")
    page.wait_for_function(SHOWN)
    pdf = _pdf(page)
    page.unroute(f"{url}book")
    return pdf


def _annotations(sheet: DictionaryObject) -> list[DictionaryObject]:
    found = sheet.get("/Annots", ArrayObject()).get_object()
    return [one.get_object() for one in found]


def _name_places(pdf: PdfReader, there: str) -> None:
    """Let links within the document name their place as links of other documents do; two may have one name."""
    for sheet in pdf.pages:
        for link in _annotations(sheet):
            if "/Dest" in link:
                name = str(link.pop("/Dest")).removeprefix("/")
                target = TextStringObject(f"{there}#{name}")
                link[NameObject("/A")] = DictionaryObject(
                    {NameObject("/S"): NameObject("/URI"), NameObject("/URI"): target}
                )
    pdf.root_object.pop("/Dests", None)


def _lead(writer: PdfWriter, url: str, places: dict[tuple[str, str], Place], site: str) -> None:
    """Let each link lead to its place in the book, to the published site at `site`, or, without that, be none."""
    for sheet in writer.pages:
        kept = ArrayObject()
        for link in sheet.get("/Annots", ArrayObject()).get_object():
            action = link.get_object().get("/A", {})
            target = str(action.get("/URI", ""))
            if target.startswith(url):
                path, fragment = urldefrag(target.removeprefix(url))
                if place := places.get((path, unquote(fragment)), places.get((path, ""))):
                    number, left, top = place
                    there = [FloatObject(left), FloatObject(top), NullObject()]
                    link.get_object().pop("/A")
                    link.get_object()[NameObject("/Dest")] = ArrayObject(
                        [writer.pages[number].indirect_reference, NameObject("/XYZ"), *there]
                    )
                elif site:
                    action[NameObject("/URI")] = TextStringObject(site + target.removeprefix(url))
                else:
                    continue
            kept.append(link)
        if "/Annots" in sheet:
            sheet[NameObject("/Annots")] = kept


def _bookmark(writer: PdfWriter, printed: Sequence[Printed], places: dict[tuple[str, str], Place]) -> None:
    """A bookmark for each section of the navigation, each page, and each heading of its second level."""
    sections: dict[tuple[str, ...], Any] = {(): None}

    def add(title: str, sheet: int, parent: Any, **how: Any) -> Any:
        return writer.add_outline_item(title=title, page_number=sheet, parent=parent, **how)

    for one in printed:
        leaf = one.leaf
        begin = places[leaf.address, ""][0]
        for depth in range(1, len(leaf.above) + 1):
            path = leaf.above[:depth]
            if path not in sections:
                sections[path] = add(path[-1], begin, sections[path[:-1]], is_open=depth < 2)
        own = add(one.title, begin, sections[leaf.above], is_open=False)
        for name, words in one.sections:
            if place := places.get((leaf.address, name)):
                number, left, top = place
                add(words, number, own, fit=Fit.xyz(left, top))


def main(settings: str = "mkdocs.yml") -> int:
    config = load_config(settings)
    if not Path(config.site_dir, "index.html").is_file():
        print(f"{config.site_dir} holds no site: build it first, as `make book` does", file=sys.stderr)
        return 1
    make(config, ROOT / BOOK)
    print(f"{BOOK} holds the whole site.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
