"""The short code of the pages: a few lines that call a copyable file, and below them what these print."""

import contextlib
import io
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from docs.hooks.pages import find_pages
from docs.hooks.store import ROOT

SHORT = re.compile(
    r"^(?P<indent> *)```python\n(?P<code>(?:(?! *```).*\n)+) *```\n\n *``` \{ \.text \.output \}\n"
    r"(?P<output>(?:(?! *```).*\n)+) *```$",
    re.MULTILINE,
)
IMPORTED = re.compile(r"^from (\w+_(pytorch|keras|numpy)) import", re.MULTILINE)


class Call(NamedTuple):
    """One block of code and the block of its output."""

    page: str
    snippet: Path
    """The file that it calls."""
    framework: str
    code: str
    output: str

    def __str__(self) -> str:
        return f"{self.page}-{self.snippet.stem}"


def find_calls(*frameworks: str) -> list[Call]:
    """Every call of a file for one of the frameworks, page by page."""
    return [call for page in find_pages() for call in calls_of(page.path, page.text) if call.framework in frameworks]


def calls_of(page: Path, text: str) -> list[Call]:
    found = []
    for match in SHORT.finditer(text):
        code, output = (textwrap.dedent(match[part]) for part in ("code", "output"))
        module, framework = IMPORTED.search(code).groups()
        (snippet,) = ROOT.glob(f"snippets/*/{module}.py")
        found.append(Call(page.with_suffix("").as_posix(), snippet.relative_to(ROOT), framework, code, output))
    return found


def printed_by(call: Call, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the code prints where its file lies beside it."""
    monkeypatch.syspath_prepend(str(ROOT / call.snippet.parent))
    monkeypatch.delitem(sys.modules, call.snippet.stem, raising=False)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(call.code, str(call), "exec"), {"__name__": "call"})
    monkeypatch.delitem(sys.modules, call.snippet.stem, raising=False)
    return printed.getvalue()
