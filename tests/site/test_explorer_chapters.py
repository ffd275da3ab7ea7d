"""The explorer in the chapters: live at the setting that shows the chapter's point, in the room kept for it."""

import re

import pytest
from playwright.sync_api import Page, expect

from docs.hooks.pages import find_pages
from tests.site.test_browser import PHONE

pytestmark = pytest.mark.browser

POINTS = {
    "vanishing-gradients": r"The gradient vanishes\. Gradients shrink on the way down: a factor of 0\.2\d+ per layer",
    "xavier-initialization": r"The gradient vanishes\. Gradients shrink .* a factor of 0\.5\d+ per layer",
    "activation-functions": r"Signal and gradient change their size\. .* Activations grow on the way up",
    "exploding-gradients": r"The signal overflows\. .* They are Inf in float32 from layer 6[2-6] up",
    "weight-initialization": r"The gradient vanishes\. Gradients shrink .* \(theory: 0\.5\)",
    "batch-normalization": r"The gradient explodes\. .* Activations keep their size",
    "he-initialization": r"Signal and gradient keep their size\.",
}
"""What the explorer says in these chapters; in another it may say anything."""

CHAPTERS = [page for page in find_pages() if page.path.parent.name == "chapters"]
EXPLORED = [page.path.stem for page in CHAPTERS if "<init-explorer" in page.text]
"""A chapter may do without."""

STATE = "(({ settings, pinned }) => [settings, pinned.settings])(document.querySelector('init-explorer'))"


def test_the_points_are_those_of_chapters_with_an_explorer():
    assert set(POINTS) <= set(EXPLORED)


@pytest.mark.parametrize("chapter", EXPLORED)
def test_a_chapter_is_live_at_its_point(page: Page, site_url, chapter):
    page.goto(f"{site_url}chapters/{chapter}/")
    page.locator("init-explorer").scroll_into_view_if_needed()
    page.locator("init-explorer.live").wait_for()
    words = page.locator(".verdict").inner_text()
    assert re.match(POINTS.get(chapter, "."), words), words
    settings = page.evaluate(STATE)

    assert fits(page)
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    assert fits(page)

    page.emulate_media(media="print")
    # What there is to play with stays off paper; the picture is there.
    assert page.locator("#picture ~ * img").first.is_visible()
    assert not page.locator(".explorer").is_visible()
    page.emulate_media(media="screen")

    page.locator("a[href*='toolbox/explorer/#depth']").wait_for()
    page.get_by_role("link", name="All controls").click()
    page.locator("init-explorer.live").wait_for()
    assert page.evaluate(STATE) == settings
    expect(page.locator(".verdict")).to_have_text(words)


def fits(page: Page) -> bool:
    """Nothing below is pushed down: the room that the style sheet keeps is enough."""
    room = page.locator("init-explorer").evaluate("(element) => parseFloat(getComputedStyle(element).minHeight)")
    return page.locator(".explorer").bounding_box()["height"] <= room
