"""Markdown extension: a figure's image gets its size from the drawing and is loaded when it comes near.

A figure and the card that follows it become one element, which may stand side by side and stays on one sheet of paper.

The page writes `![what is to be seen](../figures/<topic>/<name>.svg)`. Width and height keep the text from jumping
when the image arrives; reading them here keeps them true when the drawing changes.
"""

import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

DOCS = Path(__file__).resolve().parents[2]


class FigureSizes(Treeprocessor):
    def run(self, root: Element) -> None:
        for image in root.iter("img"):
            _, found, name = image.get("src", "").partition("figures/")
            path = DOCS / "figures" / name
            # A missing file is left to MkDocs, which names the page.
            if found and name.endswith(".svg") and path.is_file():
                width, height = _size(path, path.stat().st_mtime_ns)
                for key, value in (("width", width), ("height", height), ("loading", "lazy")):
                    image.set(key, image.get(key, value))


class FiguresWithCards(Treeprocessor):
    def run(self, root: Element) -> None:
        for figure, card in list(pairwise(root)):
            if figure.tag == "figure" and card.get("class") == "evidence":
                place = list(root).index(figure)
                pair = Element("div", {"class": "shown"})
                pair.extend((figure, card))
                pair.tail, figure.tail, card.tail = card.tail, "\n", "\n"
                root.remove(figure)
                root.remove(card)
                root.insert(place, pair)


@lru_cache
def _size(path: Path, changed: int) -> tuple[str, str]:
    """Width and height in CSS pixels; `changed` only makes a new drawing a new cache entry."""
    *_, width, height = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', path.read_text(encoding="utf-8")).groups()
    return str(round(float(width) * 4 / 3)), str(round(float(height) * 4 / 3))


class FiguresExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # Before MkDocs resolves the relative paths, which it does last.
        md.treeprocessors.register(FigureSizes(md), "figure-sizes", 5)
        md.treeprocessors.register(FiguresWithCards(md), "figures-with-cards", 4)


def makeExtension(**settings: object) -> FiguresExtension:
    return FiguresExtension(**settings)
