"""Markdown extension: long code in a sentence breaks behind a bracket, a comma, a dot or a sign, not within a word."""

import re
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

LONG = 16
"""Signs without a space that a narrow screen may not hold."""
WORD = re.compile(rf"\S{{{LONG},}}")
PLACE = re.compile(r"(?<=[(\[{,/])(?=[^\s)\]}])|(?<=[^=!<>:\s]=)(?=[^=\s])|(?<=[\w)\]]\.)(?=[a-zA-Z_])")


class BreakCode(Treeprocessor):
    def run(self, root: Element) -> None:
        for parent in list(root.iter()):
            if parent.tag != "pre":
                for code in parent.findall("code"):
                    _break(code)


def _break(code: Element) -> None:
    first, *others = WORD.sub(lambda word: PLACE.sub("\n", word[0]), code.text or "").split("\n")
    if len(code) or not others:
        return
    code.text = AtomicString(first)
    for part in others:
        SubElement(code, "wbr").tail = AtomicString(part)


class BreaksExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After the text is parsed (16).
        md.treeprocessors.register(BreakCode(md), "break-code", 15.4)


def makeExtension(**settings: object) -> BreaksExtension:
    return BreaksExtension(**settings)
