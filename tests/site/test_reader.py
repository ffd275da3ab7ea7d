"""Every page for every reader: nothing scrolls sideways or is too small to hit; a chapter is short, also on paper."""

import re
import zlib

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.site.conftest import PATIENCE
from tests.site.test_browser import AXE, CHAPTERS, PAGES, PHONE, WIDE

pytestmark = pytest.mark.browser

NARROW = {"width": 320, "height": 640}
UNFOLD = "document.querySelectorAll('details').forEach((details) => (details.open = true))"
DOUBLED = "html { font-size: 250% !important }"
"""Text at 200 %: the theme sets 125 %, and all sizes follow."""
SCREEN = {"width": 1280, "height": 900}
SCREENS, SHEETS = 8, 10
"""What the core of a chapter may take, of screens, and a whole chapter of sheets of A4."""
LEAST_GLYPHS = 60
"""A sheet with less is nearly empty."""

SIDEWAYS = """() => {
    const width = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth <= width) return []
    const scrolls = (element) => element && element !== document.body &&
        (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement))
    const beyond = [...document.querySelectorAll("body *")].filter((element) =>
        element.getBoundingClientRect().right > width + 1 && !scrolls(element.parentElement))
    return [document.documentElement.scrollWidth - width, ...beyond.slice(0, 5).map((element) =>
        `${element.localName}.${element.getAttribute("class")}: ${element.textContent.trim().slice(0, 40)}`)]
}"""


@pytest.fixture(scope="module")
def context(browser: Browser):
    with browser.new_context(viewport=NARROW, reduced_motion="reduce") as context:
        yield context


def visit(context: BrowserContext, address: str) -> Page:
    """Open a page; an explorer in it is live."""
    page = context.new_page()
    page.goto(address)
    if page.locator("init-explorer").count():
        page.locator("init-explorer").scroll_into_view_if_needed()
        page.locator("init-explorer.live").wait_for(timeout=PATIENCE)
    return page


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways(context, site_url, path):
    page = visit(context, site_url + path)
    found = {"320 px": page.evaluate(SIDEWAYS)}
    page.evaluate(UNFOLD)
    if page.locator("init-explorer .numbers").count():
        page.locator("init-explorer .numbers td").first.wait_for(state="attached")
    found["320 px, unfolded"] = page.evaluate(SIDEWAYS)
    page.set_viewport_size(PHONE)
    found["360 px, unfolded"] = page.evaluate(SIDEWAYS)
    page.add_style_tag(content=DOUBLED)
    found["360 px, text of 200 %"] = page.evaluate(SIDEWAYS)
    page.set_viewport_size(WIDE)
    found["1280 px, text of 200 %"] = page.evaluate(SIDEWAYS)
    page.close()
    assert {how: what for how, what in found.items() if what} == {}


@pytest.mark.parametrize("path", PAGES)
def test_a_finger_hits_every_target(context, site_url, path):
    """24 by 24 px or as much room around it; links within a sentence are excepted (WCAG 2.2, 2.5.8)."""
    page = visit(context, site_url + path)
    page.set_viewport_size(PHONE)
    page.evaluate(AXE)
    page.evaluate(UNFOLD)
    found = page.evaluate("axe.run(document, {runOnly: ['target-size'], resultTypes: ['violations']})")
    page.close()
    nodes = [node for violation in found["violations"] for node in violation["nodes"]]
    assert [f"{node['target']}: {node['html'][:80]}" for node in nodes] == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_the_core_of_a_chapter_is_read_in_one_sitting(context, site_url, path):
    """From the top of the page to the end of the recap."""
    page = visit(context, site_url + path)
    page.set_viewport_size(SCREEN)
    page.evaluate("document.fonts.ready")
    height = page.locator("#limits").evaluate("(end) => end.getBoundingClientRect().top + scrollY")
    page.close()
    print(f"{path}: {height / SCREEN['height']:.2f} screens")
    assert height <= SCREENS * SCREEN["height"]


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_on_paper_is_short_and_has_no_empty_sheet(context, site_url, path):
    page = visit(context, site_url + path)
    page.evaluate("document.fonts.ready")
    glyphs = list(shown_on_sheets(page.pdf(format="A4", prefer_css_page_size=True)))
    page.close()
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
