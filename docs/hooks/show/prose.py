"""The words of an experiment's author, as finished HTML: a line of Markdown with formulas.

What is wrong with a formula is told with the line of the author's file.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import markdown
import pymdownx

from docs.hooks.markdown import formulas, katex, mathematics, spaces
from docs.hooks.store import ROOT, recall

NOT_PROSE_OR_NUMBER = re.compile(r"(\$[^$]*\$|`[^`]*`)|(?<![\w.])-?\d+(?:\.\d+)?e[-+]?\d+(?!\w)")
# With `tables`, since a cell may escape its bars.
EXTENSIONS = ["md_in_html", "tables", "pymdownx.arithmatex", mathematics.__name__, spaces.__name__]
SETTINGS = {"pymdownx.arithmatex": {"generic": True, "inline_syntax": ["dollar"], "block_syntax": []}}
CODE = tuple(Path(file).read_text(encoding="utf-8") for file in (__file__, mathematics.__file__, spaces.__file__))


class ProseError(Exception):
    """Formulas that cannot be set; the text says where each is and why."""


def to_html(text: str) -> str:
    """The text without a block around it. Its numbers are written as by hand; what is a formula or code stays."""
    version = (*CODE, katex.version(), markdown.__version__, pymdownx.__version__)
    return recall((*version, text), lambda: _convert(NOT_PROSE_OR_NUMBER.sub(_typeset, text)))


def _convert(text: str) -> str:
    # Markdown would see a list in "1. One" if it stood alone; within a paragraph of HTML it looks for no blocks.
    html = markdown.markdown(f'<p markdown="span">{text}</p>', extensions=EXTENSIONS, extension_configs=SETTINGS)
    return html.removeprefix("<p>").removesuffix("</p>")


def _typeset(found: re.Match[str]) -> str:
    return found[1] or typeset(found[0])


def typeset(number: str) -> str:
    """A printed number as it is written by hand: `-6.8e-07` becomes −6.8 × 10⁻⁷."""
    number = number.replace("-", "−")
    parts = re.fullmatch(r"(.+)e\+?(−?)0*(\d+)", number)
    if not parts:
        return number
    mantissa, sign, digits = parts.groups()
    ten = f"10<sup>{sign}{digits}</sup>"
    return ten if mantissa == "1" else f"{mantissa}\u202f×\u202f{ten}"


def check(texts: Iterable[str], author: Path) -> list[katex.Formula]:
    """The formulas of all texts. Raises ProseError for those that cannot be set; `author` is the file they stand in."""
    found, complaints = [], []
    for text in dict.fromkeys(texts):
        good, slips = formulas.read(text)
        found += good
        complaints += [f"{_place(author, text, slip)}: {slip.said}" for slip in slips]
    if complaints:
        raise ProseError("\n".join(complaints))
    return found


def _place(author: Path, text: str, slip: formulas.Slip) -> str:
    """Where the author's file writes the text, to the line of the slip; the file alone where it computes the text."""
    for node in ast.walk(ast.parse((ROOT / author).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            before, found, _ = node.value.partition(slip.shown or text)
            if found:
                return f"{author.as_posix()}:{node.lineno + before.count(chr(10))}"
    return author.as_posix()
