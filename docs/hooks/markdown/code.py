"""Highlighted Python with fewer elements, highlighted once.

Names, punctuation, operators and spaces have no colour of their own here. They are three quarters of the spans that
Pygments writes, and a page is lighter without them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pygments
import pymdownx
from markdown import Markdown
from pygments.filter import Filter
from pygments.lexer import Lexer
from pygments.token import Name, Operator, Punctuation, Text, Whitespace, _TokenType

from docs.hooks.store import ROOT, recall

Token = tuple[_TokenType, str]
CODE = Path(__file__)
SETTINGS = ROOT / "mkdocs.yml"
VERSION = (CODE.read_text(encoding="utf-8"), pygments.__version__, pymdownx.__version__)


class Uncoloured(Filter):
    def filter(self, lexer: Lexer, stream: Iterable[Token]) -> Iterator[Token]:
        for kind, text in stream:
            yield Text if kind in (Name, Punctuation, Operator, Whitespace) else kind, text


UNCOLOURED = Uncoloured()


def fence(source: str, language: str, css_class: str, options: dict, md: Markdown, **others: object) -> str:
    """The block as `pymdownx.superfences` would write it without this; `mkdocs.yml` says for which language."""
    highlight = md.preprocessors["fenced_code_block"].highlight
    what = (*VERSION, SETTINGS.read_text(encoding="utf-8"), source, language, repr(options), repr(others))

    return recall(what, lambda: highlight(src=source, language=language, options=options, md=md, **others))
