"""Zensical, the successor of MkDocs and its theme, shows the same pages from the same `mkdocs.yml`.

What differs today is listed here. Of Zensical's releases, the newest that the package index can install is tried.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import html5lib
import pytest

from docs.hooks.markdown.mathematics import FOR_THE_SEARCH
from tests.tiers import thorough

ROOT = Path(__file__).resolve().parents[2]

NOT_THERE = ("labs/", "toolbox/api-")
"""It has no `mkdocs-jupyter`, and of `mkdocstrings` its own kind."""

READING_TIME = re.compile(r"(about )?\d+ min (read|with all that is folded) ?")
"""It does not give the template the Markdown of a page."""

NOT_TEXT = {"script", "style", "button", "nav", FOR_THE_SEARCH}
"""Zensical runs no code after the build: what the search alone needs stays in the pages, hidden."""


class Shown(NamedTuple):
    """What a reader sees of a page's content."""

    words: str
    figures: list[str]
    formulas: int
    code: int
    drawings: int


pytestmark = thorough


@pytest.fixture(scope="module")
def successor(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as Zensical builds it. The other build has made the figures."""
    folder = tmp_path_factory.mktemp("successor")
    for part in ("docs", "snippets", "tests/contract", "tests/diagnostics/reports", "tests/zoo"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    command = [sys.executable, "-m", "zensical", "build"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def shown(page: Path) -> Shown:
    document = html5lib.parse(page.read_text(encoding="utf-8"), namespaceHTMLElements=False)
    (article,) = document.iter("article")
    for parent in list(article.iter()):
        for child in list(parent):
            if child.tag in NOT_TEXT or "headerlink" in child.get("class", ""):
                child.clear()
    elements = list(article.iter())
    return Shown(
        words=READING_TIME.sub("", " ".join("".join(article.itertext()).split())),
        figures=[Path(element.get("src", "")).name for element in elements if element.tag == "img"],
        formulas=sum("katex-html" in element.get("class", "").split() for element in elements),
        code=sum(element.tag == "pre" for element in elements),
        drawings=sum(element.tag == "svg" for element in elements),
    )


def test_every_page_shows_the_same(built_site, successor):
    pages = [page.relative_to(built_site) for page in sorted(built_site.rglob("*.html"))]
    expected = [page for page in pages if not page.as_posix().startswith(NOT_THERE)]
    assert len(expected) > 15
    assert [page for page in expected if not (successor / page).is_file()] == []
    for page in expected:
        assert shown(successor / page) == shown(built_site / page), page
    assert sum(shown(successor / page).formulas for page in expected) > 1000
