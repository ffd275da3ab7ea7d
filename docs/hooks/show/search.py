"""The search index after the build: what readers type is in it, what they do not look for is not.

To every section come, in a field of their own, the title of its page, its formulas as a keyboard has them, and the
words that `search.yml` has for it. Long code goes: a reader who looks for a word does not look for the file in which
it stands twenty times. `docs/javascripts/search.js` does the rest, when a reader asks.
"""

import json
import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import yaml

INDEX = Path("search", "search_index.json")
SCRIPT = Path("javascripts", "search.js")
FIELDS = {"title": {"boost": 12}, "also": {"boost": 6}, "text": {"boost": 1}}
ALSO = Path(__file__).with_name("search.yml")
LONG = 12
"""Lines of a block of code that is no example."""

CODE = re.compile(r"<pre>.*?</pre>", re.DOTALL)
PLACE = re.compile(r'<h[1-6] id="([^"]+)"|(<math.*?</math>)', re.DOTALL)
BOOSTS = {
    "sources": 0.2,
    "check": 0.5,
    "limits": 0.7,
    "use": 0.8,
    "answer": 1.4,
    "proof-today": 0.5,
    "proof-transfer": 0.5,
}
"""A list of sources holds every name; the answer of a chapter is what most ask for."""
FOLDERS = {"chapters": 1.3, "labs": 0.6, "code": 0.6}
LISTS = {"toolbox/misconceptions/": 0.7, "toolbox/snippets/": 0.8, "": 0.5}
"""They name everything once more."""


def publish_index(site: Path) -> None:
    """Rewrite the index of the site in the folder `site`."""
    path = site / INDEX
    if not path.is_file():
        return
    index = json.loads(path.read_text(encoding="utf-8"))
    index["config"]["fields"] = FIELDS
    also = yaml.safe_load(ALSO.read_text(encoding="utf-8"))
    titles = {entry["location"]: entry["title"] for entry in index["docs"]}
    formulas: dict[str, dict[str, set[str]]] = {}
    for entry in index["docs"]:
        page, _, anchor = entry["location"].partition("#")
        if page not in formulas:
            formulas[page] = _formulas((site / page / "index.html").read_text(encoding="utf-8"))
        entry["text"] = CODE.sub(_without_long_code, entry["text"])
        known = [titles.get(page, "") if anchor else "", also.get(entry["location"], "")]
        entry["also"] = " ".join(filter(None, [*known, *sorted(formulas[page].get(anchor, ()))]))
        entry["boost"] = BOOSTS.get(anchor, 1) * FOLDERS.get(page.split("/")[0], 1) * LISTS.get(page, 1)
    path.write_text(json.dumps(index, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


def _without_long_code(code: re.Match[str]) -> str:
    return code[0] if code[0].count("\n") <= LONG else ""


def _formulas(html: str) -> dict[str, set[str]]:
    """By section, the short formulas of a page, each as one word."""
    found: dict[str, set[str]] = {}
    anchor = ""
    for heading, math in PLACE.findall(html):
        if heading:
            anchor = unescape(heading)
        elif len(word := as_word(math)) < 24:
            found.setdefault(anchor, set()).add(word)
    return {anchor: {word for word in words if re.search(r"sqrt|over", word)} for anchor, words in found.items()}


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
