"""The built site: every link leads somewhere, nothing of the source shows through, the HTML is valid."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urldefrag, urlencode, urljoin, urlparse
from xml.etree.ElementTree import Element

import html5lib
import pytest

from docs.hooks.measure.experiment import find_experiments
from docs.hooks.show import evidence
from snippets.laboratory.explorer import ACTIVATIONS, DEVIATIONS, Settings

BASE = "http://127.0.0.1:8000/"
SHOWN_AS_IS = {"annotation", "code", "pre", "script", "style", "template"}
"""Elements whose text is not prose: code and the TeX that a formula carries for screen readers."""


@pytest.fixture(scope="session")
def documents(built_site: Path) -> dict[str, Element]:
    """The parsed pages by their path in the site."""
    files = sorted(built_site.rglob("*.html"))
    return {path.relative_to(built_site).as_posix(): _parse(path) for path in files}


@cache
def _parse(path: Path) -> Element:
    return html5lib.parse(path.read_text(encoding="utf-8"), namespaceHTMLElements=False)


def address(page: str) -> str:
    return urljoin(BASE, page.removesuffix("index.html"))


def references(document: Element) -> set[str]:
    """All that the page points to: links, images, style sheets, scripts."""
    found = set()
    for element in document.iter():
        for attribute in ("href", "src", "srcset", "poster"):
            if value := element.get(attribute):
                found.add(value)
    return found


def test_all_pages_are_there(documents):
    chapters = [page for page in documents if page.startswith("chapters/")]
    assert len(chapters) >= 7
    assert {"index.html", "404.html", "toolbox/evidence-ledger/index.html"} <= set(documents)


@pytest.mark.parametrize("folder", ["experiments", "code"])
def test_a_further_page_says_the_number_of_its_chapter(documents, folder):
    def place(page: str) -> str:
        return documents[page].find(".//p[@class='chapter-place']/span").text

    chapters = [page for page in documents if page.startswith("chapters/")]
    assert len(set(map(place, chapters))) == len(chapters)
    for page in chapters:
        assert place(page.replace("chapters", folder, 1)) == place(page)


@pytest.mark.parametrize("folder", ["experiments", "code"])
def test_a_further_page_leads_on_at_its_end(documents, folder):
    """No navigation holds it: to where it left the chapter, and to the next one."""
    (menu,) = documents["index.html"].findall(".//ol[@class='questions']")
    chapters = [link.get("href").strip("/").rpartition("/")[2] for link in menu.iter("a")]
    for chapter, following in zip(chapters, [*chapters[1:], None], strict=True):
        document = documents[f"{folder}/{chapter}/index.html"]
        (end,) = document.findall(".//p[@class='learn-next']")
        ways = [link.get("href") for link in end.iter("a")]
        assert ways[0].endswith(f"chapters/{chapter}/#{'use' if folder == 'experiments' else 'recap'}")
        assert [way.strip("/").rpartition("/")[2] for way in ways[1:]] == ([following] if following else [])


def test_the_landing_page_leads_to_every_chapter_and_tool(documents):
    said = {
        card.get("href"): "".join(words.itertext()).strip()
        for card in documents["index.html"].iter("a")
        for words in card.findall("span[@class='questions-question']")
    }
    wanted = {page.removesuffix("index.html") for page in documents if page.startswith(("chapters/", "toolbox/"))}
    assert set(said) == wanted and all(said.values())


def test_every_reference_leads_somewhere(documents, built_site):
    """A fragment with an equals sign is no place but a state of the explorer: see the next test."""
    broken = []
    for page, document in documents.items():
        for reference in references(document):
            target, fragment = urldefrag(urljoin(address(page), reference))
            if not target.startswith(BASE):
                continue
            path = unquote(urlparse(target).path).lstrip("/")
            file = built_site / path / "index.html" if path == "" or path.endswith("/") else built_site / path
            if not file.is_file():
                broken.append(f"{page}: {reference}")
            elif fragment and file.suffix == ".html" and not fragment.startswith("__") and "=" not in fragment:
                ids = {element.get("id") for element in _parse(file).iter()}
                if unquote(fragment) not in ids:
                    broken.append(f"{page}: {reference} (no such place)")
    assert broken == []


def test_every_state_of_the_explorer_is_one(documents):
    """Names and choices are those of its settings; the explorer itself would name what it cannot read."""
    names = set(Settings._fields)
    fields = {"activation": set(ACTIVATIONS), "scheme": set(DEVIATIONS)}
    found = 0
    for document in documents.values():
        states = [urldefrag(reference).fragment for reference in references(document)]
        for element in document.iter("init-explorer"):
            own = {name: value for name, value in element.attrib.items() if name not in {"controls", "against"}}
            states.append(f"{urlencode(own)}/{element.get('against', '')}")
        for state in filter(lambda state: "=" in state, states):
            for name, value in parse_qsl(state.strip("/").replace("/", "&"), strict_parsing=True):
                assert name in names and value in fields.get(name, {value}), state
                found += 1
    assert found > 50


@pytest.mark.parametrize("old", (Path(__file__).with_name("addresses.txt")).read_text(encoding="utf-8").split())
def test_an_old_address_still_has_its_place(documents, old):
    """Sections that moved to a further page left a link to their new place, which carries the old name."""
    page, _, name = old.partition("#")
    ids = {element.get("id") for element in documents[f"{page}index.html"].iter()}
    assert name in ids


PUNCTUATION = re.compile(r"[.,;:!?)\]”’%…]")


def test_no_line_begins_with_the_punctuation_behind_a_formula(documents):
    """A browser may break a line behind a formula, unless what follows is tied to it."""
    loose = [
        f"{page}: {formula.tail[:20]}"
        for page, document in documents.items()
        for parent in document.iter()
        for formula in parent.findall("tex-formula")
        if PUNCTUATION.match(formula.tail or "") and "tied" not in parent.get("class", "").split()
    ]
    assert loose == []


SAYS_NOTHING = {"", "here", "this", "link", "more", "read more", "details", "source", "the source", "see", "click here"}


def test_a_link_says_where_it_leads(documents):
    """Whoever hears the links of a page one after the other can tell those apart that lead to two places of the site.

    A mark behind a heading belongs to the heading, and the link inside an open claim to the claim. The pages of
    signatures list one class after the other.
    """
    vague = []
    for page, document in documents.items():
        if page.startswith("toolbox/api-"):
            continue
        leads: dict[str, set[str]] = {}
        article = next(document.iter("article"))
        own = {link for claim in article.iter("details") for link in claim.iter("a")
               if claim.get("class") == "claim" and link.get("href") == f"#{claim.get('id')}"}  # fmt: skip
        for link in article.iter("a"):
            target = urljoin(address(page), link.get("href", ""))
            if link.get("href") and link.get("class") != "headerlink" and link not in own and target.startswith(BASE):
                leads.setdefault(spoken(link), set()).add(target)
        vague += [f"{page}: {name!r}" for name in leads if name.lower() in SAYS_NOTHING]
        vague += [f"{page}: {name!r} leads to {sorted(places)}" for name, places in leads.items() if len(places) > 1]
    assert vague == []


def spoken(link: Element) -> str:
    """Its name for who cannot see it."""
    if label := link.get("aria-label"):
        return label

    def parts(element: Element):
        if element.tag != "annotation":
            yield element.text or element.get("alt") or ""
            for child in element:
                yield from parts(child)
                yield child.tail or ""

    return " ".join("".join(parts(link)).split())


def test_a_chapter_says_once_what_may_be_skipped(documents):
    for page, document in documents.items():
        said = " ".join(" ".join(prose(document.find("body"))).split()).count("may be skipped at first")
        assert said == page.startswith("chapters/"), page


def test_nothing_is_loaded_from_elsewhere(documents):
    for page, document in documents.items():
        for element in document.iter():
            loads = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}.get(element.tag)
            value = element.get(loads, "") if loads else ""
            if element.tag == "link" and element.get("rel") in {"canonical", "prev", "next"}:
                continue
            assert urljoin(address(page), value).startswith((BASE, "data:")), f"{page} loads {value}"


def test_style_sheets_load_nothing_from_elsewhere(built_site):
    for sheet in built_site.rglob("*.css"):
        for target in re.findall(r"url\(['\"]?([^'\")]+)", sheet.read_text(encoding="utf-8")):
            assert not re.match(r"(https?:)?//", target), f"{sheet.name} loads {target}"


def test_no_source_shows_through(documents):
    """No include directive, no formula delimiter, no TeX command and no attribute list in the text of a page."""
    raw = re.compile(r"--8<--|\\[^\w\s]|\\[a-zA-Z]{2,}|\$(?!\d)|\{ ?[.#:]|\]\(|markdown=|^:::|\?\?\?|==")
    for page, document in documents.items():
        for text in prose(document.find("body")):
            assert not (found := raw.search(text)), f"{page}: {found.group()!r} in {text.strip()[:120]!r}"


def prose(element: Element):
    if element.tag in SHOWN_AS_IS:
        return
    if element.text:
        yield element.text
    for child in element:
        yield from prose(child)
        if child.tail:
            yield child.tail


def test_ids_are_unique(documents):
    for page, document in documents.items():
        counts = Counter(element.get("id") for element in document.iter() if element.get("id"))
        assert [name for name, count in counts.items() if count > 1] == [], page


def test_images_have_alt_text_and_a_size(documents):
    for page, document in documents.items():
        for image in document.iter("img"):
            assert image.get("alt") is not None, f"{page}: {image.get('src')}"
            if image.get("src", "").endswith(".svg") and "figures/" in image.get("src"):
                assert image.get("alt") and image.get("width") and image.get("height"), f"{page}: {image.get('src')}"


def test_html_is_well_formed(built_site):
    """The parser of the HTML standard has nothing to mend."""
    for path in sorted(built_site.rglob("*.html")):
        parser = html5lib.HTMLParser()
        parser.parse(path.read_text(encoding="utf-8"))
        assert [(place, code) for place, code, _ in parser.errors] == [], path.relative_to(built_site)


def test_every_page_says_what_it_is(documents):
    for page, document in documents.items():
        if page != "404.html":
            assert len(list(document.iter("h1"))) == 1, page
            assert any(meta.get("name") == "description" and meta.get("content") for meta in document.iter("meta")), (
                page
            )
            assert document.get("lang") == "en", page


def test_every_formula_is_shown(built_site):
    pages = [path.read_text(encoding="utf-8") for path in built_site.rglob("*.html")]
    assert sum(page.count('<span class="katex-mathml"><math') for page in pages) > 100


def test_the_search_index_holds_words_and_no_formulas(built_site):
    index = json.loads((built_site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any("gradient" in entry["text"] for entry in index["docs"])
    for entry in index["docs"]:
        assert not re.search(r"\\[a-zA-Z]{2,}|\$\$|annotation", entry["title"] + entry["text"]), entry["location"]


def test_the_ledger_leads_to_every_claim_and_its_value(documents):
    """To the section with the card of the experiment, on whatever page it stands."""
    ledger = documents["toolbox/evidence-ledger/index.html"]
    listed = {element.get("id") for element in ledger.iter("h3")}
    led_to = {urldefrag(urljoin(address("toolbox/evidence-ledger/index.html"), one)).url for one in references(ledger)}
    shown = {page: text_of(document) for page, document in documents.items() if address(page) in led_to}
    for experiment in find_experiments():
        assert evidence.anchor(experiment) in listed
        claims = json.loads((Path(__file__).resolve().parents[2] / experiment.numbers).read_text())["claims"]
        assert claims
        for claim in claims:
            printed = re.sub(r"<[^>]+>", "", evidence.typeset(claim["printed"]))
            words = re.split(r"[$`*]", claim["statement"])[0].strip()
            assert any(printed in text and words in text for text in shown.values()), claim["statement"]


def text_of(document: Element) -> str:
    """A space that keeps two words on one line is a space."""
    return "".join(document.find("body").itertext()).replace("\u00a0", " ")


def test_build_code_is_not_published(built_site):
    published = {path.relative_to(built_site).as_posix() for path in built_site.rglob("*") if path.is_file()}
    assert not [path for path in published if path.startswith(("hooks/", "overrides/")) or path.endswith(".pyc")]
