"""What a first visit to a page costs, of which one sheet; and that the fonts have its letters."""

import re
import unicodedata
from html import unescape
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser

from docs.hooks.store import ROOT
from tests.site.conftest import Server
from tests.tiers import one_of_each, thorough

LABS = [f"labs/{file.stem}/" for file in sorted((ROOT / "docs" / "labs").glob("*.py"))]
CHAPTERS = [f"chapters/{file.stem}/" for file in sorted((ROOT / "docs" / "chapters").glob("*.md"))]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
FIRST_VISIT, FIRST_LAB = 150_000, 200_000
"""Bytes with heads, compressed as a host of static pages does. A lab holds its drawings."""
REQUESTS = 30

NEAR = "innerHeight + 1250"
"""Chromium loads an image that is to be loaded late when it is this near to the screen."""
LOADED = f"""() => document.fonts.status === "loaded" && [...document.images].every(
    (image) => image.complete || image.getBoundingClientRect().top > {NEAR})"""


@pytest.mark.browser
@pytest.mark.parametrize("viewport", [pytest.param(PHONE, id="phone"), pytest.param(WIDE, id="wide", marks=thorough)])
@pytest.mark.parametrize("path", ["", *CHAPTERS, *one_of_each(LABS, lambda path: "lab")])
def test_a_first_visit_is_light(browser: Browser, server: Server, path, viewport):
    server.sent.clear()
    with browser.new_context(viewport=viewport) as context:
        page = context.new_page()
        page.goto(server.url + path, wait_until="networkidle")
        page.wait_for_function(LOADED)
        page.wait_for_load_state("networkidle")
    total = sum(size for _, size in server.sent)
    listing = "\n".join(f"{size:7} {name}" for name, size in sorted(server.sent, key=lambda sent: -sent[1]))
    print(f"{path}: {total / 1000:.0f} kB in {len(server.sent)} requests\n{listing}")
    names = [name for name, _ in server.sent]
    # A worker has modules of its own: one that it wants while the page still waits for it is asked for by both.
    twice = {name for name in names if names.count(name) > 1 and not name.startswith("/javascripts/explorer/")}
    assert not twice, "nothing is asked for twice"
    assert total <= (FIRST_LAB if path in LABS else FIRST_VISIT)
    assert len(server.sent) <= REQUESTS


def test_every_page_has_one_sheet(built_site: Path):
    for path in built_site.rglob("*.html"):
        links = re.findall(r'<link rel="stylesheet" href="([^"]+)">', path.read_text(encoding="utf-8"))
        assert len(links) == 1, path
        assert (path.parent / links[0]).is_file() or links[0].startswith("/stylesheets/"), path


def test_the_fonts_have_every_letter_of_the_pages(built_site: Path):
    """Signs may come from another font; a letter of another font in the midst of a word is seen."""
    said = set[str]()
    for path in built_site.rglob("*.html"):
        html = re.sub(r"<(script|style).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        said.update(unescape(re.sub(r"<[^>]+>", "", html)))
    letters = {one for one in said if one.isalpha() and "LATIN" in unicodedata.name(one) and one < "\u0180"}
    for font in (ROOT / "docs" / "fonts").glob("initialized-sans-*.woff2"):
        assert letters - set(map(chr, TTFont(font).getBestCmap())) == set(), f"cut {font.name} anew with these"
