"""Markdown extension: what belongs together stays on one line: a number and its percent sign, 8 × 8, γ = 1."""

import re
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

TOGETHER = re.compile(
    r"(?<=\d) (?=%)|(?<=\d) (?=× \d)|(?<=\d ×) (?=\d)|(?<=\d\u00a0×) (?=\d)"
    r"|(?<=\b[^\W\d_]) (?== −?\d)|(?<=\b[^\W\d_] =) (?=−?\d)|(?<=\b[^\W\d_]\u00a0=) (?=−?\d)"
)
CODE = {"code", "pre"}


class KeepTogether(Treeprocessor):
    def run(self, root: Element) -> None:
        _keep(root)


def _keep(element: Element) -> None:
    """In the text of the element and of all that it holds, but for code and formulas."""
    if element.tag in CODE or element.get("class") == "arithmatex":
        return
    element.text = element.text and TOGETHER.sub("\u00a0", element.text)
    for child in element:
        _keep(child)
        child.tail = child.tail and TOGETHER.sub("\u00a0", child.tail)


class SpacesExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After the text is parsed (16), and while formulas are no text yet (15).
        md.treeprocessors.register(KeepTogether(md), "keep-together", 15.5)


def makeExtension(**settings: object) -> SpacesExtension:
    return SpacesExtension(**settings)
