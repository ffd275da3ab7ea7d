"""Markdown extension: the cells of a table in `<div class="stacked" markdown="1">` know the names of their columns.

Four columns of words leave a phone a word to a line. `tables.css` gives each cell a line of its own there, behind the
name of its column, which it takes from the cell.
"""

from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor


class ColumnNames(Treeprocessor):
    def run(self, root: Element) -> None:
        for place in root.iter("div"):
            if "stacked" in place.get("class", "").split():
                for table in place.iter("table"):
                    _name_columns(table)


def _name_columns(table: Element) -> None:
    names = ["".join(head.itertext()) for head in table.iter("th")]
    for row in table.iter("tr"):
        for name, cell in zip(names, row, strict=True):
            if cell.tag == "td":
                cell.set("data-column", name)


class TablesExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # After the text of the heads is parsed (16 to 20).
        md.treeprocessors.register(ColumnNames(md), "column-names", 4.5)


def makeExtension(**settings: object) -> TablesExtension:
    return TablesExtension(**settings)
