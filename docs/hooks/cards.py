"""Markdown extension: an evidence card is turned into HTML once, not at every build.

A page shows what experiments measured; most of what stands on the pages of this site is that. It changes when an
experiment does, so it is kept on the disk: converting it took two thirds of the time of all Markdown.
"""

import re
from pathlib import Path

import pymdownx
from markdown import Markdown, __version__
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from pymdownx.arithmatex import ArithmatexExtension

from docs.hooks import katex, mathematics
from docs.hooks.memory import recall

# All but the links, which MkDocs checks and makes relative to the page.
CARD = re.compile(r'(?<=^<div class="evidence" markdown="1">\n).*?\n(?=<p class="evidence-links")', re.DOTALL | re.MULTILINE)
MADE_BY = (Path(__file__), Path(mathematics.__file__))
VERSION = (*(file.read_text(encoding="utf-8") for file in MADE_BY), katex.version(), __version__, pymdownx.__version__)


class RememberCards(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return CARD.sub(self._finished, "\n".join(lines)).split("\n")

    def _finished(self, card: re.Match[str]) -> str:
        return self.md.htmlStash.store(recall((*VERSION, card[0]), lambda: self._convert(card[0]))) + "\n\n"

    def _convert(self, card: str) -> str:
        """The card as the page itself would convert it."""
        arithmatex = next(each for each in self.md.registeredExtensions if isinstance(each, ArithmatexExtension))
        alone = Markdown(extensions=["md_in_html", ArithmatexExtension(**arithmatex.getConfigs()), "docs.hooks.mathematics"])
        return alone.convert(card)


class CardsExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After files are included (32) and control characters removed (30), before code (25) and HTML (20) are looked for.
        md.preprocessors.register(RememberCards(md), "cards", 28)


def makeExtension(**settings: object) -> CardsExtension:
    return CardsExtension(**settings)
