"""The search index after the build: what readers type is in it, what they do not look for is not.

Formulas stand in it as plain text, which the pages lose here. To every section come, in a field of their own, the title
of its page, its formulas as a keyboard has them, and the words that `search.yml` has for it; on the page that lists the
symbols, each Greek letter and its name. A page whose text the search leaves out (a list of references, a quiz) is found
by its title and its description. Long code goes: a reader who looks for a word does not look for the file in which it
stands twenty times. `docs/javascripts/search.js` does the rest, when a reader asks.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from unicodedata import name
from xml.etree import ElementTree

import yaml

from docs.hooks.markdown.mathematics import FOR_THE_SEARCH

INDEX = Path("search", "search_index.json")
SCRIPT = Path("javascripts", "search.js")
FIELDS = {"title": {"boost": 12}, "also": {"boost": 6}, "text": {"boost": 1}}
ALSO = Path(__file__).with_name("search.yml")
LONG = 12
"""Lines of a block of code that is no example."""

NOTATION = "toolbox/notation/"
GREEK = re.compile(r"[α-ω]", re.IGNORECASE)
ROOT_OF = re.compile(r"sqrt\(((?:[^()]|\([^()]*\))*)\)")
WORDS = re.compile(f"<{FOR_THE_SEARCH}[^>]*>[^<]*</{FOR_THE_SEARCH}>")
CODE = re.compile(r"<pre>.*?</pre>", re.DOTALL)
TITLE = re.compile(r"<h1[^>]*>(.*?)(?:<a class=\"headerlink\"|</h1>)", re.DOTALL)
DESCRIPTION = re.compile(r'<meta name="description" content="([^"]*)"')
PLACE = re.compile(r'<h[1-6] id="([^"]+)"|(<math.*?</math>)', re.DOTALL)
BOOSTS = {
    "sources": 0.2,
    "check": 0.5,
    "limits": 0.7,
    "use": 0.8,
    "answer": 1.4,
    "proof-today": 0.5,
    "proof-transfer": 0.5,
    "code": 0.7,
}
"""A list of sources holds every name; the answer of a chapter is what most ask for."""
FOLDERS = {"chapters": 1.3, "labs": 0.6, "code": 0.6, "learn": 0.6}
LISTS = {"toolbox/misconceptions/": 0.7, "toolbox/snippets/": 0.8, "": 0.5}
"""They name everything once more."""


def publish_index(site: Path) -> None:
    """Rewrite the index of the site in the folder `site`, and take what the index alone needs out of its pages."""
    for page_file in site.rglob("*.html"):
        html = page_file.read_text(encoding="utf-8")
        if (shown := WORDS.sub("", html)) != html:
            page_file.write_text(shown, encoding="utf-8")
    path = site / INDEX
    if not path.is_file():
        return
    index = json.loads(path.read_text(encoding="utf-8"))
    index["config"]["fields"] = FIELDS
    also = yaml.safe_load(ALSO.read_text(encoding="utf-8"))
    index["docs"] += _by_title(site, {entry["location"] for entry in index["docs"]})
    titles = {entry["location"]: entry["title"] for entry in index["docs"]}
    formulas: dict[str, dict[str, set[str]]] = {}
    for entry in index["docs"]:
        page, _, anchor = entry["location"].partition("#")
        if page not in formulas:
            formulas[page] = _formulas((site / page / "index.html").read_text(encoding="utf-8"), page == NOTATION)
        entry["text"] = CODE.sub(_without_long_code, entry["text"])
        known = [titles.get(page, "") if anchor else "", _with_roots(also.get(entry["location"], ""))]
        entry["also"] = " ".join(filter(None, [*known, *sorted(formulas[page].get(anchor, ()))]))
        entry["boost"] = BOOSTS.get(anchor, 1) * FOLDERS.get(page.split("/")[0], 1) * LISTS.get(page, 1)
    path.write_text(json.dumps(index, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


def _by_title(site: Path, known: set[str]) -> Iterator[dict[str, str]]:
    """The pages that are not in the index. The files of a tool are: its page is what a search should find."""
    for path in sorted(site.rglob("index.html")):
        location = f"{path.parent.relative_to(site).as_posix()}/"
        html = path.read_text(encoding="utf-8")
        if location in known or location.startswith(("./", "code/")) or not (title := TITLE.search(html)):
            continue
        description = DESCRIPTION.search(html)
        yield {"location": location, "title": title[1].strip(), "text": description[1] if description else ""}


def _without_long_code(code: re.Match[str]) -> str:
    return code[0] if code[0].count("\n") <= LONG else ""


def _with_roots(words: str) -> str:
    """A root that is written as in a program is one word more, as in a formula."""
    roots = (re.sub(r"\W", "", root.replace("/", "over")) for root in ROOT_OF.findall(words))
    return " ".join([words, *(f"sqrt{root}" for root in roots)])


def _formulas(html: str, letters: bool) -> dict[str, set[str]]:
    """By section, the short formulas of a page, each as one word; with `letters` the Greek ones and their names."""
    found: dict[str, set[str]] = {}
    anchor = ""
    for heading, math in PLACE.findall(html):
        if heading:
            anchor = unescape(heading)
            continue
        words = found.setdefault(anchor, set())
        word = as_word(math)
        if len(word) < 24 and re.search(r"sqrt|over", word):
            words.add(word)
        if letters:
            words.update(form for one in GREEK.findall(word) for form in (one, name(one).rpartition(" ")[2].lower()))
    return found


def as_word(math: str) -> str:
    """A formula in MathML as one word: the square root of 2 / n is `sqrt2overn`. `search.js` reads queries alike."""
    return re.sub(r"[^\w]", "", _typed(ElementTree.fromstring(math)))


def _typed(element: ElementTree.Element) -> str:
    parts = [_typed(child) for child in element]
    match element.tag.rpartition("}")[2]:
        case "msqrt":
            return "sqrt" + "".join(parts)
        case "mfrac":
            return "over".join(parts)
        case "msub":
            return "_".join(parts)
        case "annotation":
            return ""
    return (element.text or "").strip().replace("/", "over") + "".join(parts)
