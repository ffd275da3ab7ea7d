"""A chapter is short, on the screen and on paper."""

import re
import zlib

import pytest
from playwright.sync_api import Browser

from tests.site.test_browser import CHAPTERS, open_page

pytestmark = pytest.mark.browser

SCREEN = {"width": 1280, "height": 900}
SCREENS, SHEETS = 8, 10
"""What the core of a chapter may take, of screens, and a whole chapter of sheets of A4."""
LEAST_GLYPHS = 60
"""A sheet with less is nearly empty."""


@pytest.fixture
def page(browser: Browser):
    with browser.new_context(viewport=SCREEN, reduced_motion="reduce") as context:
        yield context.new_page()


@pytest.mark.parametrize("path", CHAPTERS)
def test_the_core_of_a_chapter_is_read_in_one_sitting(page, site_url, path):
    """From the top of the page to the end of the recap."""
    open_page(page, site_url + path)
    page.evaluate("document.fonts.ready")
    height = page.locator("#limits").evaluate("(end) => end.getBoundingClientRect().top + scrollY")
    print(f"{path}: {height / SCREEN['height']:.2f} screens")
    assert height <= SCREENS * SCREEN["height"]


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_on_paper_is_short_and_has_no_empty_sheet(page, site_url, path):
    open_page(page, site_url + path)
    page.evaluate("document.fonts.ready")
    glyphs = list(shown_on_sheets(page.pdf(format="A4", prefer_css_page_size=True)))
    print(f"{path}: {len(glyphs)} sheets, {glyphs}")
    assert len(glyphs) <= SHEETS
    assert min(glyphs) >= LEAST_GLYPHS


def shown_on_sheets(pdf: bytes):
    """How many strings each page of a PDF by Chromium shows."""
    objects = {int(number): text for number, text in re.findall(rb"\n(\d+) 0 obj(.*?)\nendobj", pdf, re.DOTALL)}
    for text in objects.values():
        if re.search(rb"/Type /Page\b", text):
            content = objects[int(re.search(rb"/Contents (\d+)", text)[1])]
            stream = re.search(rb"stream\r?\n(.*)\r?\nendstream", content, re.DOTALL)[1]
            yield len(re.findall(rb"T[jJ]\b", zlib.decompressobj().decompress(stream)))
