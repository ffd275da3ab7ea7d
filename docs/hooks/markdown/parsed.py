"""Markdown extension: text that an earlier build parsed is not parsed again.

Blocks, HTML and the patterns within a line are most of the work on a page, and a save changes one page. What they make
of a text depends on that text alone, so it is kept on the disk. All that looks beyond the page comes after and is done
in every build: links, anchors, the table of contents, figures, formulas.
"""

import platform
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import markdown
import pymdownx
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

from docs.hooks.store import ROOT, keep, kept

CODE = [Path(__file__).with_name(f"{name}.py") for name in ("parsed", "code", "contract")]
"""This, and what makes HTML of a fence while the text is parsed."""
SETTINGS = ROOT / "mkdocs.yml"
# With Python's, since Markdown reads HTML by Python's own parser.
VERSION = (
    *(file.read_text(encoding="utf-8") for file in CODE),
    markdown.__version__,
    pymdownx.__version__,
    platform.python_version(),
)

Packed = list
"""An element as JSON: tag, attributes, text, tail, children."""


class FindParsed(Preprocessor):
    """Where the text is known, nothing is left to be parsed."""

    def run(self, lines: list[str]) -> list[str]:
        set_aside = list(self.md.htmlStash.rawHtmlBlocks)  # a copy: parsing sets more aside
        self.what = (*VERSION, SETTINGS.read_text(encoding="utf-8"), set_aside, lines, _documented(lines))
        self.found = kept(self.what)
        return [] if self.found else lines


def _documented(lines: list[str]) -> list[str]:
    """The text of the modules whose docstrings mkdocstrings writes between these lines."""
    modules = (line.removeprefix("::: ") for line in lines if line.startswith("::: "))
    return [ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8") for module in modules]


class PutParsed(Treeprocessor):
    """The tree and the HTML set aside for it: what was found, or else what is to be found next time."""

    def run(self, root: Element) -> Element | None:
        finder, stash = self.md.preprocessors["find-parsed"], self.md.htmlStash
        if not finder.found:
            keep(finder.what, [_pack(root), [_pack(block) for block in stash.rawHtmlBlocks]])
            return None
        tree, blocks = finder.found
        stash.rawHtmlBlocks = [_unpack(block) for block in blocks]
        stash.html_counter = len(blocks)
        return _unpack(tree)


def _pack(element: Element | str) -> Packed | str:
    if isinstance(element, str):
        return element
    return [element.tag, element.attrib, element.text, element.tail, [_pack(child) for child in element]]


def _unpack(packed: Packed | str) -> Any:
    if isinstance(packed, str):
        return packed
    tag, attributes, text, tail, children = packed
    element = Element(tag, attributes)
    element.text, element.tail = text, tail
    element.extend(map(_unpack, children))
    return element


class ParsedExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After MkDocs looked for anchors in HTML (21), before Markdown takes HTML out (20).
        md.preprocessors.register(FindParsed(md), "find-parsed", 20.5)
        # After the patterns within a line (20).
        md.treeprocessors.register(PutParsed(md), "put-parsed", 19)


def makeExtension(**settings: object) -> ParsedExtension:
    return ParsedExtension(**settings)
