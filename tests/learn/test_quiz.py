"""A quiz in Chromium: by keyboard, by the names a screen reader says, after a reload, without JavaScript, on paper."""

import pytest
from playwright.sync_api import Browser, Page, expect

from docs.hooks.learn.source import find_sources

pytestmark = pytest.mark.browser

SOURCE = next(source for source in find_sources() if source.slug == "he-initialization")
QUIZ = f"learn/{SOURCE.slug}/quiz/"
FIRST, SECOND = SOURCE.entries.quiz[:2]
KEPT = f"localStorage.getItem('quiz {SOURCE.slug}')"


def choices(page: Page, question: int, right: bool):
    kind = ".choice.right" if right else ".choice:not(.right)"
    return page.locator(".quiz-question").nth(question).locator(f"{kind} > summary")


def test_by_keyboard_with_feedback_and_score(page: Page, site_url):
    page.goto(site_url + QUIZ)
    assert page.evaluate(KEPT) is None
    expect(page.get_by_role("status")).to_have_count(0)
    group = page.get_by_role("group", name="What does ReLU do to it?")
    expect(group).to_be_visible()

    choices(page, 0, right=False).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"Wrong. 0 of 1 right, {len(SOURCE.entries.quiz) - 1} to go.")
    expect(group.get_by_text("Wrong.").first).to_be_visible()
    choices(page, 0, right=True).focus()
    page.keyboard.press("Enter")  # the first choice counts
    expect(group.get_by_text("Right.")).to_be_visible()
    choices(page, 1, right=True).focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text(f"Right. 1 of 2 right, {len(SOURCE.entries.quiz) - 2} to go.")

    page.reload()
    expect(page.get_by_role("status")).to_have_text(f"1 of 2 right, {len(SOURCE.entries.quiz) - 2} to go.")
    page.get_by_role("button", name="Start again").press("Enter")
    assert page.evaluate(KEPT) is None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    expect(page.locator(".choice[open]")).to_have_count(0)


def test_tab_goes_from_choice_to_choice(page: Page, site_url):
    page.goto(site_url + QUIZ)
    shown = page.locator(".quiz-question").first.locator("summary")
    shown.first.focus()
    for place in range(1, shown.count()):
        page.keyboard.press("Tab")
        expect(shown.nth(place)).to_be_focused()


@pytest.mark.parametrize("kept", ["not JSON", "3", '{"what-relu-halves": "gone"}'])
def test_what_is_kept_and_cannot_be_read_is_no_answer(page: Page, site_url, kept):
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(site_url + QUIZ)
    page.evaluate("([name, kept]) => localStorage.setItem(name, kept)", [f"quiz {SOURCE.slug}", kept])
    page.reload()
    choices(page, 0, right=True).click()
    expect(page.get_by_role("status")).to_have_text(f"Right. 1 of 1 right, {len(SOURCE.entries.quiz) - 1} to go.")
    assert errors == []


def test_without_javascript_the_answers_are_folded_and_open(browser: Browser, site_url):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site_url + QUIZ)
        expect(page.locator(".choice")).to_have_count(sum(len(each.choices) for each in SOURCE.entries.quiz))
        expect(page.get_by_text("Wrong.").first).to_be_hidden()
        choices(page, 0, right=False).first.click()
        expect(page.get_by_text("Wrong.").first).to_be_visible()
        expect(page.get_by_role("link", name="The evidence").first).to_be_visible()
        expect(page.locator(".quiz-score")).to_have_count(0)


@pytest.mark.parametrize("source", find_sources(), ids=lambda source: source.slug)
def test_an_interview_sheet_is_one_sheet_of_paper(page: Page, site_url, source):
    page.goto(f"{site_url}learn/{source.slug}/interview/", wait_until="networkidle")
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page") - pdf.count(b"/Type /Pages") == 1
