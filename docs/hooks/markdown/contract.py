"""A table of what functions do with bad input, from the text that the tests read: see `tests/contract/table.py`.

Each cell has the name of its column with it, which a narrow screen shows in place of the head.
"""

from html import escape
from typing import NamedTuple

from markdown import Markdown


class Block(NamedTuple):
    """The lines up to an empty one: a kind of input, its columns, and a row for each function and argument."""

    kind: str
    columns: list[str]
    rows: list[list[str]]
    """`file.function`, the argument, and a sign for each column."""


def blocks(source: str) -> list[Block]:
    """Raises ValueError where a row has not one sign for each column."""
    found = []
    for block in source.strip().split("\n\n"):
        (kind, *columns), *rows = (line.split() for line in block.splitlines())
        for row in rows:
            if len(row) != 2 + len(columns):
                raise ValueError(f"{' '.join(row[:2])}: must have {len(columns)} signs, got {len(row) - 2}")
        found.append(Block(kind, columns, rows))
    return found


def fence(source: str, language: str, css_class: str, options: dict, md: Markdown, **others: object) -> str:
    """For `pymdownx.superfences`: the language `contract`. The search leaves it out, as it does long code."""
    return f'<div class="{css_class}">{"".join(map(_table, blocks(source)))}</div>'


def _table(block: Block) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (block.kind, *block.columns))
    rows = "".join(_row(row, block.columns) for row in block.rows)
    return f"<table data-search-exclude><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(row: list[str], columns: list[str]) -> str:
    function, argument, *signs = row
    name = escape(function).replace(".", ".<wbr>")
    cells = zip(columns, signs, strict=True)
    return (
        f'<tr><th scope="row"><code>{name}</code> {escape(argument)}</th>'
        + "".join(f'<td data-column="{escape(column)}">{escape(sign)}</td>' for column, sign in cells)
        + "</tr>"
    )
