"""The menu of a narrow screen: a key opens it, and closed it holds no focus that nobody sees."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PLACE = "const {left, right} = document.activeElement.getBoundingClientRect(); return [left, right]"


@pytest.fixture
def narrow(page: Page, site_url) -> Page:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{site_url}chapters/he-initialization/")
    return page


def test_no_stop_of_tab_lies_beside_the_screen(narrow: Page):
    for stop in range(12):
        narrow.keyboard.press("Tab")
        left, right = narrow.evaluate(f"() => {{ {PLACE} }}")
        assert right > 0 and left < 360, f"stop {stop + 1} from {left} to {right}"


def test_a_key_opens_the_menu(narrow: Page):
    menu = narrow.get_by_role("button", name="Menu")
    chapter = narrow.get_by_role("link", name="Xavier initialization", exact=True).first
    expect(chapter).not_to_be_visible()
    menu.focus()
    narrow.keyboard.press("Enter")
    expect(chapter).to_be_visible()
    expect(chapter).to_be_in_viewport()
