"""Markdown extension: what `pymdownx.arithmatex` found is set by KaTeX, as HTML for the eye and MathML for the ear.

Until all headings are read, a formula stands in the page as one line of plain text: so tables of contents, titles and
anchors are made of words. `formulas.py` has looked at every formula before, and says where one is wrong.
"""

import re
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from docs.hooks.markdown import katex

IN_A_LINE = "tex-formula"
"""An element of its own, since Material's search takes the end of the next element of the same name for the end of what
it is to leave out."""

FOR_THE_SEARCH = "tex-words"
"""What the index has of a formula. `docs/hooks/show/search.py` takes it out of the pages after the build."""

OPENING = re.compile(r"[(\[“‘\"']*$")
CLOSING = re.compile(r"[.,;:!?)\]”’\"'%…]*")


class ReadFormulas(Treeprocessor):
    """Each formula as plain text; the KaTeX is kept for `SetFormulas`."""

    def run(self, root: Element) -> None:
        self.found: list[tuple[Element, katex.Formula]] = []
        for element in root.iter():
            if element.get("class") == "arithmatex":
                # \(...\) inline, \[...\] on display
                display = element.tag == "div"
                formula = katex.render(element.text[2:-2].strip(), display)
                element.text = AtomicString(formula.text)
                self.found.append((element, formula))
            elif element.tag == "img":
                element.set("alt", re.sub(r"\\\((.+?)\\\)", _in_words, element.get("alt", "")))


def _in_words(found: re.Match[str]) -> str:
    return katex.render(found[1].strip()).text


class SetFormulas(Treeprocessor):
    def run(self, root: Element) -> None:
        formulas = dict(self.md.treeprocessors["read-formulas"].found)
        for parent in list(root.iter()):
            for place, element in enumerate(parent):
                if element in formulas and element.tag == "span":
                    _tie(parent, place)
        for parent in list(root.iter()):
            for place, element in reversed(list(enumerate(parent))):
                if element in formulas:
                    parent.insert(place, _for_the_search(formulas[element].text))
        for element, formula in formulas.items():
            inner = formula.html
            if element.tag == "span":
                element.tag = IN_A_LINE
                inner = inner.removeprefix('<span class="katex">').removesuffix("</span>")
            element.set("class", "katex-display" if element.tag == "div" else "katex")
            element.set("data-search-exclude", "")
            element.text = self.md.htmlStash.store(inner)


def _tie(parent: Element, place: int) -> None:
    """Keep brackets and punctuation on the line of the formula that they touch, where a browser would break it."""
    formula, before = parent[place], parent[place - 1] if place else None
    ahead = (parent.text if before is None else before.tail) or ""
    opening, closing = OPENING.search(ahead)[0], CLOSING.match(formula.tail or "")[0]
    if opening or closing:
        tied = Element("span", {"class": "tied"})
        tied.text, tied.tail = opening, (formula.tail or "")[len(closing) :]
        formula.tail = closing
        tied.append(formula)
        parent[place] = tied
        ahead = ahead[: len(ahead) - len(opening)]
        if before is None:
            parent.text = ahead
        else:
            before.tail = ahead


def _for_the_search(text: str) -> Element:
    """Else a sentence would have a hole where its formula was."""
    words = Element(FOR_THE_SEARCH, {"hidden": ""})
    words.text = AtomicString(text)
    return words


class MathematicsExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After the formulas are found (20); before `toc` (5) and MkDocs (1) read the headings, and after them.
        md.treeprocessors.register(ReadFormulas(md), "read-formulas", 15)
        md.treeprocessors.register(SetFormulas(md), "set-formulas", 0.5)


def makeExtension(**settings: object) -> MathematicsExtension:
    return MathematicsExtension(**settings)
