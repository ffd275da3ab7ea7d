"""The copy of the site for a disk, in Chromium by `file:`: all that the site does, and nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from playwright.sync_api import Browser, Page, expect

from docs.hooks.publish import offline

CHAPTER = "chapters/he-initialization/index.html"
EXPLORER = "toolbox/explorer/index.html"


@pytest.fixture(scope="module")
def copy(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a disk")  # a space and all
    for name, content in offline.files(built_site).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def reader(copy: Path, browser: Browser) -> Iterator[Page]:
    """A page that notes what it asks for outside the folder, and what the browser complains of."""
    wrong: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        inside = (copy.as_uri(), "data:", "blob:")
        page.on("request", lambda one: None if one.url.startswith(inside) else wrong.append(one.url))
        page.on("requestfailed", lambda one: wrong.append(f"{one.url}: {one.failure}"))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
    assert wrong == []


def visit(page: Page, copy: Path, path: str) -> None:
    page.goto((copy / path).as_uri())


def test_every_link_leads_to_a_file_of_the_copy(copy: Path):
    pages = {path.relative_to(copy).as_posix(): path.read_text(encoding="utf-8") for path in copy.rglob("*.html")}
    ids = {name: set(re.findall(r'\sid="([^"]+)"', html)) for name, html in pages.items()}
    broken, followed = [], 0
    for name, html in pages.items():
        for link in re.findall(r'<a\b[^>]*?\shref="([^"]+)"', html):
            target, fragment = urldefrag(urljoin(f"file:///{name}", link))
            if not target.startswith("file:"):
                continue
            path = unquote(urlparse(target).path).lstrip("/")
            followed += 1
            named = fragment and "=" not in fragment and not fragment.startswith("__")
            if not (copy / path).is_file():
                broken.append(f"{name}: {link}")
            elif path in ids and named and unquote(fragment) not in ids[path]:
                broken.append(f"{name}: {link} (no such place)")
    assert broken == []
    assert followed > 1000


@pytest.mark.browser
class TestInChromium:
    @pytest.mark.parametrize("path", ["index.html", CHAPTER, "labs/he-initialization/index.html"])
    def test_a_page_shows_its_fonts_formulas_and_figures(self, reader, copy, path):
        visit(reader, copy, path)
        reader.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
        reader.wait_for_function("[...document.images].every((image) => image.complete)")
        reader.evaluate("document.fonts.ready")
        shown = "[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)"
        assert reader.evaluate(shown) == []
        fonts = "[...document.fonts].filter((font) => font.status === 'loaded').map((font) => font.family)"
        loaded = {family.strip('"') for family in reader.evaluate(fonts)}
        assert any("Serif" in family for family in loaded), loaded
        assert path != CHAPTER or "KaTeX_Math" in loaded

    def test_the_explorer_measures_and_trains(self, reader, copy):
        visit(reader, copy, EXPLORER)
        reader.locator("init-explorer").scroll_into_view_if_needed()
        expect(reader.locator("init-explorer .verdict")).not_to_be_empty()
        reader.locator("[name=train]").click()
        expect(reader.locator(".trained")).to_contain_text("of the test digits right")

    def test_the_explorer_gives_its_program(self, reader, copy):
        visit(reader, copy, EXPLORER)
        reader.locator("init-explorer").scroll_into_view_if_needed()
        reader.get_by_role("button", name="Copy as PyTorch").click()
        expect(reader.locator(".told")).not_to_be_empty()

    def test_what_there_is_to_play_with_comes(self, reader, copy):
        visit(reader, copy, EXPLORER)
        place = reader.locator("[data-play]").first
        place.scroll_into_view_if_needed()
        expect(place.locator("svg").first).to_be_visible()

    def test_links_that_scripts_make_lead_to_pages(self, reader, copy):
        visit(reader, copy, CHAPTER)
        reader.locator("init-explorer").scroll_into_view_if_needed()
        reader.get_by_role("link", name="All controls").click()
        expect(reader).to_have_url(re.compile(r"/toolbox/explorer/index\.html#"))

    def test_the_search_settles_what_is_meant_and_leads_there(self, reader, copy):
        visit(reader, copy, CHAPTER)
        reader.locator("[name=query]").fill("glorto")  # a slip that Material's search does not know
        result = reader.locator(".md-search-result__link").first
        expect(result).to_have_attribute("href", re.compile(r"/chapters/xavier-initialization/index\.html"))
        result.click()
        expect(reader.locator("h1")).to_contain_text("Xavier")

    def test_a_quiz_keeps_its_score(self, reader, copy):
        visit(reader, copy, "learn/he-initialization/quiz/index.html")
        reader.locator(".quiz-question .choice summary").first.click()
        expect(reader.locator(".quiz-score")).to_be_visible()
