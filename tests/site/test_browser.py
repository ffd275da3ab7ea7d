"""The site in Chromium, as a reader meets it: by sight, by keyboard, by screen reader, on paper, without JavaScript."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from docs.hooks.draw import palette
from docs.hooks.pages import PARTS
from tests.site.conftest import PATIENCE, serve
from tests.tiers import one_of_each

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
AXE = (ROOT / "tests" / "site" / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
CHAPTERS = [f"chapters/{file.stem}/" for file in sorted((ROOT / "docs" / "chapters").glob("*.md"))]
PAGES = [
    "",
    "404.html",
    "changelog/",
    "references/",
    *CHAPTERS,
    *(f"{folder}/{file.stem}/" for folder in PARTS[1:] for file in sorted((ROOT / "docs" / folder).glob("*.md"))),
    *(f"toolbox/{file.stem}/" for file in sorted((ROOT / "docs" / "toolbox").glob("*.md"))),
    "learn/",
    *(f"learn/{file.parent.name}/{file.stem}/" for file in sorted((ROOT / "docs" / "learn").glob("*/*.md"))),
    *(f"labs/{file.stem}/" for file in sorted((ROOT / "docs" / "labs").glob("*.py"))),
]


def kind_of(path: str) -> str:
    """Pages of one kind come from one template and are of like parts. Every chapter and every tool is its own kind."""
    folder, _, page = path.strip("/").rpartition("/")
    if folder in {"code", "experiments", "labs"}:
        return folder
    return page if folder.startswith("learn/") else path


every_page = pytest.mark.parametrize("path", one_of_each(PAGES, kind_of))
CODE_CHAPTER = "chapters/he-initialization/"
OTHER_CODE_CHAPTER = "chapters/vanishing-gradients/"
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


NARROW = {"width": 320, "height": 640}
UNFOLD = "document.querySelectorAll('details').forEach((details) => (details.open = true))"
DOUBLED = "html { font-size: 250% !important }"
"""Text at 200 %: the theme sets 125 %, and all sizes follow."""

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
"""By how many pixels the page scrolls sideways, and the elements that are to blame."""

THIN = """() => {
    const seen = new Set()
    const isNew = (what) => !seen.has(what) && seen.add(what)
    const place = (element) => element === document.body
        ? "" : `${place(element.parentElement)}>${element.localName}.${element.className}`
    for (const token of document.querySelectorAll("pre span:not(:has(*))"))
        if (!isNew(place(token))) token.replaceWith(token.textContent)
    for (const formula of document.querySelectorAll(".katex"))
        if (!isNew(place(formula))) formula.textContent = "x"
    const shape = (node) => node.nodeType === Node.TEXT_NODE ? (node.data.trim() && "text") : node.localName
        ? `<${node.localName} ${[...node.attributes].map(({name, value}) =>
            /^(class|role|style|type)$/.test(name) ? `${name}=${value}` : `${name}${value && "="}`)}>${
            [...node.childNodes].map(shape).join("")}</>` : ""
    for (const list of document.querySelectorAll("main :is(tbody, ul, ol, article, section, details)")) {
        const seen = new Set()
        for (const row of [...list.children])
            if (row.matches("tr, li, p") && !row.querySelector("[id], input")) {
                const alike = shape(row)
                if (seen.has(alike)) row.remove()
                seen.add(alike)
            }
    }
}"""
"""Leaves one of each where many are alike, since axe asks every element, and most are signs of formulas and of code.

A token of code becomes plain text, a formula a letter, where one stood before in elements of the same classes. A row,
an item or a paragraph goes where one of the same shape stands before it under the same element: the same tags with the
same attributes, the same classes, text in the same places.
"""


@dataclass(frozen=True)
class Visit:
    """What was noticed while one page was looked at, wide and narrow, light and dark."""

    errors: list[str]
    foreign: list[str]
    cookies: list[dict]
    violations: list[str]
    sideways: dict[str, list]
    """Widths at which the page scrolls sideways."""


@pytest.fixture(scope="module")
def visit(browser: Browser, site_url: str) -> Callable[[str], Visit]:
    """Look at a page once; the tests share what was seen."""

    @lru_cache
    def look(path: str) -> Visit:
        errors: list[str] = []
        foreign: list[str] = []
        with browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce") as context:
            page = context.new_page()
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: note_foreign(request.url))

            def note_foreign(url: str) -> None:
                if not url.startswith((site_url, "data:", "blob:")):
                    foreign.append(url)

            open_page(page, site_url + path)
            sideways = {}
            page.set_viewport_size(NARROW)
            sideways["320 px"] = page.evaluate(SIDEWAYS)
            # What is folded is read as well.
            page.evaluate(UNFOLD)
            if page.locator("init-explorer .numbers").count():
                page.locator("init-explorer .numbers td").first.wait_for(state="attached")
            sideways["320 px, unfolded"] = page.evaluate(SIDEWAYS)
            page.set_viewport_size(PHONE)
            sideways["360 px, unfolded"] = page.evaluate(SIDEWAYS)
            doubled = page.add_style_tag(content=DOUBLED)
            sideways["360 px, text of 200 %"] = page.evaluate(SIDEWAYS)
            page.set_viewport_size(WIDE)
            sideways["1280 px, text of 200 %"] = page.evaluate(SIDEWAYS)
            doubled.evaluate("(style) => style.remove()")
            page.evaluate(THIN)
            page.evaluate(AXE)
            violations = axe(page, "wide, light", {})
            switch_scheme(page)
            violations += axe(page, "wide, dark", {"runOnly": ["color-contrast"]})
            page.set_viewport_size(PHONE)
            # 24 by 24 px or as much room around; links within a sentence are excepted (WCAG 2.2, 2.5.8).
            on_a_phone = {"color-contrast": {"enabled": False}, "target-size": {"enabled": True}}
            violations += axe(page, "phone, dark", {"rules": on_a_phone})
            found = {how: what for how, what in sideways.items() if what}
            return Visit(errors, foreign, context.cookies(), violations, found)

    return look


def open_page(page: Page, address: str) -> None:
    """Until all that it asks for by itself is there; an explorer in it is live."""
    page.goto(address, wait_until="networkidle")
    if page.locator("init-explorer").count():
        page.locator("init-explorer").scroll_into_view_if_needed()
        page.locator("init-explorer.live").wait_for(timeout=PATIENCE)


def next_frame(page: Page) -> None:
    """Until the frame after the one that lays out what changed."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def axe(page: Page, situation: str, options: dict) -> list[str]:
    """What axe-core finds: rule, element and reason of every violation."""
    next_frame(page)  # What scrolls becomes a stop of the keyboard with it.
    found = page.evaluate("(options) => axe.run(document, {resultTypes: ['violations'], ...options})", options)
    return [
        f"{situation}: {violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def switch_scheme(page: Page) -> None:
    page.locator("[data-md-component=palette] label:visible").click()


@every_page
def test_no_error_in_the_console(visit, path):
    assert visit(path).errors == []


@every_page
def test_no_foreign_request_and_no_cookie(visit, path):
    assert visit(path).foreign == []
    assert visit(path).cookies == []


@every_page
def test_axe_finds_nothing(visit, path):
    assert visit(path).violations == []


@every_page
def test_no_page_scrolls_sideways(visit, path):
    assert visit(path).sideways == {}


def test_what_is_left_for_axe_holds_one_of_each(page: Page):
    page.set_content("""
        <p><i class="katex">1</i><i class="katex">2</i></p><p class="red"><i class="katex">3</i></p>
        <pre><code><span class="k">a</span> <span class="k">b</span> <span class="n">c</span></code></pre>
        <div class="red"><pre><code><span class="k">d</span></code></pre></div>
        <main><table><tbody><tr><td>1</td></tr><tr><td>2</td></tr><tr><td></td></tr><tr><td class="no">3</td></tr>
        <tr><td style="color: red">4</td></tr><tr><td id="mark">5</td></tr></tbody></table>
        <ul><li><a href="#a">6</a></li><li><a href="#b">7</a></li><li><a>8</a></li></ul><ul><li><a>9</a></li></ul>""")
    page.evaluate(THIN)
    assert page.locator("td").all_inner_texts() == ["1", "", "3", "4", "5"]
    assert page.locator("li").all_inner_texts() == ["6", "8", "9"]
    assert page.locator(".katex").all_inner_texts() == ["1", "x", "3"]
    assert page.locator("pre").all_inner_texts() == ["a b c", "d"]
    assert page.locator("pre span").all_inner_texts() == ["a", "c", "d"]


def test_the_repository_is_linked_without_asking_its_host(project, browser):
    built = project.run("mkdocs", "build", "-f", "small.yml", REPO_URL="https://github.com/reader/well-initialized")
    assert built.returncode == 0, built.stdout
    for server in serve(project.root / "site"):
        with browser.new_context(viewport=WIDE) as context:
            page = context.new_page()
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(server.url, wait_until="networkidle")
            assert page.locator(".md-header a[href='https://github.com/reader/well-initialized']").is_visible()
            assert [url for url in asked if not url.startswith(server.url)] == []


def test_tab_reaches_the_skip_link_the_search_and_the_frameworks(page: Page, site_url):
    page.set_viewport_size(WIDE)
    page.goto(site_url + CODE_CHAPTER)
    page.keyboard.press("Tab")
    assert page.locator(".md-skip").evaluate("(link) => link === document.activeElement")
    # It fades in.
    page.wait_for_function("getComputedStyle(document.querySelector('.md-skip')).opacity > 0.9")
    reached = []
    while "input.tabbed" not in reached and len(reached) < 300:
        page.keyboard.press("Tab")
        reached.append(focused(page))
    assert {"input.search", "input.palette", "a.nav", "input.tabbed"} <= set(reached)
    page.keyboard.press("ArrowRight")
    assert chosen_frameworks(page)[0] == "Keras"


def focused(page: Page) -> str:
    """A short name for the element that has the focus."""
    return page.evaluate("""() => {
        const element = document.activeElement
        const kinds = {search: "[name=query]", palette: "[name=__palette]", tabbed: "[name^=__tabbed]",
                       nav: ".md-nav a"}
        const kind = Object.keys(kinds).find((name) => element.matches(kinds[name]))
        return element.localName + (kind ? "." + kind : "")
    }""")


STOP = """() => {
    const stop = document.activeElement
    if (stop === document.body) return null
    const hidden = stop.matches(".md-option") // Material shows its label instead
    const shown = hidden ? stop.nextElementSibling : stop
    const box = shown.getBoundingClientRect(), { outlineStyle } = getComputedStyle(shown)
    const name = stop.ariaLabel || stop.labels?.[0]?.textContent || stop.textContent
    return [stop.outerHTML.slice(0, 80), Boolean(name.trim()), outlineStyle !== "none", shown.checkVisibility({
        opacityProperty: true, visibilityProperty: true }) && box.width > 4 && box.height > 4]
}"""
"""The element that has the focus: whether it has a name, shows the focus, and is seen."""


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_stop_of_the_keyboard_is_seen_and_named(page: Page, site_url, viewport):
    page.set_viewport_size(viewport)
    open_page(page, site_url)
    page.evaluate("scrollTo(0, 0)")
    stops = []
    while len(stops) < 150:
        page.keyboard.press("Tab")
        next_frame(page)  # what the focus sets in motion starts with it
        page.wait_for_function("document.getAnimations().every(({ playState }) => playState !== 'running')")
        if not (stop := page.evaluate(STOP)):
            break
        stops.append(stop)
    assert 30 < len(stops) < 150
    assert [stop for stop, *good in stops if not all(good)] == []


def test_what_scrolls_sideways_can_be_reached_by_keyboard(page: Page, site_url):
    page.set_viewport_size(PHONE)
    page.goto(site_url + CODE_CHAPTER, wait_until="networkidle")
    code = page.locator("pre > code:visible").first
    assert code.evaluate("(code) => code.scrollWidth > code.clientWidth && code.tabIndex === 0")


def test_the_search_finds_a_chapter(page: Page, site_url):
    page.set_viewport_size(WIDE)
    page.goto(site_url)
    page.keyboard.press("/")
    page.keyboard.type("vanishing")
    page.locator(".md-search-result__link[href*='vanishing-gradients']").first.wait_for(state="visible")


def test_the_copy_button_gives_the_whole_file(browser, site_url):
    with browser.new_context(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(site_url + CODE_CHAPTER.replace("chapters", "code"), wait_until="networkidle")
        copied = set()
        for framework in ("PyTorch", "Keras", "NumPy"):
            for label in page.locator(".tabbed-labels > label", has_text=framework).all():
                label.click()
            for block in page.locator(".tabbed-block .highlight:has(> .filename):visible").all():
                name = block.locator(".filename").inner_text()
                block.hover()
                block.locator("button[data-clipboard-target], button.md-clipboard, [data-md-type=copy]").first.click()
                text = page.evaluate("navigator.clipboard.readText()")
                (source,) = (ROOT / "snippets" / "he_initialization").glob(name)
                assert text.rstrip("\n") == source.read_text(encoding="utf-8").rstrip("\n")
                copied.add(name)
    assert {"he_init_pytorch.py", "he_init_keras.py", "he_init_numpy.py"} <= copied


@pytest.mark.parametrize("path", ["toolbox/check-my-model/", "toolbox/symptom-finder/", CODE_CHAPTER])
def test_on_a_phone_the_copy_button_lies_on_no_code(page: Page, site_url, path):
    page.set_viewport_size(PHONE)
    page.goto(f"{site_url}{path}")
    page.wait_for_selector(".md-code__nav")
    hidden = page.evaluate("""() => [...document.querySelectorAll(".md-code__nav")].map((button) => {
        const code = button.parentElement.querySelector("code")
        const first = code.getBoundingClientRect().top + parseFloat(getComputedStyle(code).paddingTop)
        return button.getBoundingClientRect().bottom - first
    })""")
    assert len(hidden) > 2
    assert max(hidden) < 1


def test_the_choice_of_framework_goes_with_the_reader(page: Page, site_url):
    page.goto(site_url + CODE_CHAPTER, wait_until="networkidle")
    page.locator(".tabbed-labels > label", has_text="Keras").first.click()
    page.goto(site_url + OTHER_CODE_CHAPTER, wait_until="networkidle")
    assert set(chosen_frameworks(page)) == {"Keras"}


def chosen_frameworks(page: Page) -> list[str]:
    """The label of the open tab of every set of tabs that offers Keras."""
    return page.locator(".tabbed-set:has(label:has-text('Keras'))").evaluate_all("""(sets) => sets.map((set) => {
        const index = [...set.querySelectorAll(":scope > input")].findIndex((input) => input.checked)
        return set.querySelectorAll(":scope > .tabbed-labels > label")[index].innerText.trim()
    })""")


def test_a_figure_follows_the_switch_against_the_systems_preference(browser, site_url):
    with browser.new_context(viewport=WIDE, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(site_url + CODE_CHAPTER, wait_until="networkidle")
        assert paper_of_first_figure(page) == palette.PAPER[1]
        page.evaluate("scrollTo(0, 0)")
        switch_scheme(page)
        assert paper_of_first_figure(page) == palette.PAPER[0]
        page.reload(wait_until="networkidle")
        assert paper_of_first_figure(page) == palette.PAPER[0]


def paper_of_first_figure(page: Page) -> str:
    image = page.locator("#picture ~ * img").first
    image.scroll_into_view_if_needed()
    image.evaluate("(image) => image.decode()")
    # Material fades its colours; a screenshot of disabled animations shows their end.
    shot = Image.open(io.BytesIO(image.screenshot(animations="disabled"))).convert("RGB")
    return "#{:02x}{:02x}{:02x}".format(*shot.getpixel((3, 3)))


def test_everything_is_there_without_javascript(browser, site_url):
    with browser.new_context(viewport=WIDE, java_script_enabled=False, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(site_url + CODE_CHAPTER)
        assert page.locator("h1").is_visible()
        assert page.locator(".answer").is_visible()
        assert page.locator(".evidence").first.is_visible()
        assert page.locator(".katex").first.is_visible()
        figure = page.locator("#picture ~ * img").first
        figure.scroll_into_view_if_needed()
        assert figure.bounding_box()["height"] > 100
        panels = page.locator(".tabbed-set").first.locator(".tabbed-block")
        assert panels.nth(0).is_visible()
        page.locator(".tabbed-labels > label", has_text="Keras").first.click()
        assert panels.nth(1).is_visible()
        assert not panels.nth(0).is_visible()
        page.locator("details > summary").first.click()
        assert page.locator("details > p").first.is_visible()


def test_the_landing_page_says_what_stands_there(browser, site_url):
    """Without JavaScript nothing moves, and no word of the hero says so."""
    said = {}
    for scripts in (True, False):
        with browser.new_context(viewport=WIDE, java_script_enabled=scripts) as context:
            page = context.new_page()
            page.goto(site_url)
            said[scripts] = page.locator(".hero").inner_text()
    assert "in your browser" in said[True] and "change Xavier to He and see" in said[True]
    assert "in your browser" not in said[False] and "change Xavier" not in said[False]
    assert "With scripts" in said[False] and "With scripts" not in said[True]


BROKEN = """(names) => {
    const rows = (node) => {
        const range = new Range()
        range.selectNodeContents(node)
        return range.getClientRects().length
    }
    const parts = names.flatMap((name) => [...name.childNodes])
    return parts.filter((part) => rows(part) > 1).map((part) => part.textContent)
}"""
"""The parts of names, which may break behind a dot, that break elsewhere."""


def test_the_table_of_bad_input_is_read_on_a_phone(page: Page, site_url):
    """Each sign beside the name of its column, and nothing to scroll."""
    page.set_viewport_size(PHONE)
    page.goto(site_url + "toolbox/bad-input/", wait_until="networkidle")
    cell = page.locator(".contract td:visible").first
    column = cell.get_attribute("data-column")
    assert column in cell.evaluate("(cell) => getComputedStyle(cell, '::before').content")
    wide = "(tables) => tables.filter((table) => table.scrollWidth > table.clientWidth + 1).length"
    assert page.locator(".contract .md-typeset__scrollwrap").evaluate_all(wide) == 0
    page.set_viewport_size(WIDE)
    assert page.locator(".contract .md-typeset__scrollwrap").evaluate_all(wide) == 0
    assert page.locator(".contract thead th").nth(1).is_visible()
    assert page.locator(".contract th code").evaluate_all(BROKEN) == []


TORN = """(codes) => codes.map((code) => {
    const nodes = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
    let torn = "", last = "", line = 0
    while (nodes.nextNode()) {
        const { data } = nodes.currentNode
        for (let at = 0; at < data.length; at++) {
            const range = new Range()
            range.setStart(nodes.currentNode, at)
            range.setEnd(nodes.currentNode, at + 1)
            const { top } = range.getBoundingClientRect()
            if (/\\w/.test(last) && /[\\w"')]/.test(data[at]) && top > line + 4) torn = code.textContent
            ;[last, line] = [data[at], top]
        }
    }
    return torn
}).filter(Boolean)"""
"""Code in a sentence of which a line ends within a word or a string."""


@pytest.mark.parametrize("path", ["toolbox/cheat-sheet/", "toolbox/framework-differences/"])
def test_code_in_a_sentence_breaks_between_its_words(page: Page, site_url, path):
    page.set_viewport_size(PHONE)
    page.goto(site_url + path, wait_until="networkidle")
    assert page.locator(".md-typeset :is(p, td, li) > code:visible").evaluate_all(TORN) == []


def test_the_next_page_is_named_in_full_on_a_phone(page: Page, site_url):
    page.set_viewport_size(PHONE)
    page.goto(site_url + "learn/", wait_until="networkidle")
    assert page.locator(".md-footer__link--next .md-ellipsis").evaluate(
        "(name) => name.scrollWidth <= name.clientWidth"
    )


@pytest.mark.parametrize("path", ["learn/"])
def test_a_table_of_links_fits_a_phone(page: Page, site_url, path):
    page.set_viewport_size(PHONE)
    page.goto(site_url + path, wait_until="networkidle")
    assert page.locator(".md-typeset__scrollwrap").first.evaluate("(wrap) => wrap.scrollWidth <= wrap.clientWidth")


@pytest.mark.parametrize("symptom", ["NaN", "2.303"])
def test_one_step_leads_from_the_landing_page_to_a_symptom_of_the_loss(page: Page, site_url, symptom):
    page.goto(site_url)
    page.locator(".hero a", has_text=symptom).click()
    page.wait_for_url("**/symptom-finder/#*")
    test = page.locator("h2:target ~ p", has_text="Test.").first
    assert 0 < test.bounding_box()["y"] < page.viewport_size["height"]


GAPS = """() => [...document.querySelectorAll(".md-content a")].filter((link) => {
    const next = link.nextSibling
    return next?.nodeType === Node.TEXT_NODE && next.data.trim() && parseFloat(getComputedStyle(link).marginInlineEnd)
}).map((link) => link.textContent + link.nextSibling.data)"""
"""Links that keep their distance although the sentence goes on behind them."""


@pytest.mark.parametrize("path", ["toolbox/snippets/", "toolbox/diagnose/", "toolbox/evidence-ledger/", CODE_CHAPTER])
def test_a_link_within_a_sentence_leaves_no_gap(page: Page, site_url, path):
    page.goto(site_url + path)
    assert page.evaluate(GAPS) == []


def test_a_table_of_words_is_stacked_on_a_phone(page: Page, site_url):
    page.set_viewport_size(PHONE)
    page.goto(site_url + "chapters/exploding-gradients/", wait_until="networkidle")
    cells = page.locator(".stacked td")
    assert min(cells.evaluate_all("(cells) => cells.map((cell) => cell.clientWidth)")) > 300
    assert "test" in cells.nth(1).evaluate("(cell) => getComputedStyle(cell, '::before').content")
    page.set_viewport_size(WIDE)
    assert page.locator(".stacked th").first.is_visible()


def test_what_was_printed_has_no_button_to_copy_it(page: Page, site_url):
    page.goto(site_url + CODE_CHAPTER, wait_until="networkidle")
    output = page.locator(".output:visible").first
    output.scroll_into_view_if_needed()
    output.locator(".md-code__nav").wait_for(state="attached")
    assert not output.locator(".md-code__nav").is_visible()


def test_in_colors_of_the_readers_own_a_claim_is_no_link(browser, site_url):
    with browser.new_context(viewport=WIDE, forced_colors="active") as context:
        page = context.new_page()
        page.goto(site_url + CODE_CHAPTER)
        text = page.locator("h1").evaluate("(text) => getComputedStyle(text).color")
        parts = page.locator("summary, summary :not(a, svg, svg *)")
        colors = set(parts.evaluate_all("(parts) => parts.map((part) => getComputedStyle(part).color)"))
        assert colors == {text}
        assert page.locator(".md-content p > a").first.evaluate("(link) => getComputedStyle(link).color") != text


@pytest.mark.parametrize("path", [path for path in PAGES if path.startswith("chapters/")])
def test_a_card_on_a_phone_is_in_columns(page: Page, site_url, path):
    """Both ends of an interval stand on one line, and words beside it do not break."""
    page.set_viewport_size(PHONE)
    page.goto(site_url + path, wait_until="networkidle")
    page.evaluate(UNFOLD)
    ranges = page.locator(".shown .claim-range:visible, .evidence .claim-range:visible").evaluate_all("""(ranges) =>
        ranges.map((range) => [...range.children].map((end) => end.getBoundingClientRect())
            .map(({ top, height }) => [top, height]))""")
    assert ranges
    for ends in ranges:
        assert len({round(top) for top, _ in ends}) == 1
        assert max(height for _, height in ends) < 30


def test_a_chapter_on_paper(page: Page, site_url):
    page.goto(site_url + CODE_CHAPTER, wait_until="networkidle")
    # Taken before, since Material opens what is folded when it hears of the paper.
    folded = page.locator("details:not([open], .evidence details) > p").first.element_handle()
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".md-header", ".md-sidebar--primary", ".md-sidebar--secondary", ".md-footer", ".md-code__nav"):
        assert not page.locator(gone).first.is_visible()
    assert folded.evaluate("(answer) => answer.checkVisibility({contentVisibilityAuto: true})")
    code = page.locator("pre > code:visible").first
    assert code.evaluate("(code) => code.scrollWidth <= code.clientWidth")
    assert page.locator("body").evaluate("(body) => getComputedStyle(body).colorScheme") == "light"


def test_the_symptom_finder_needs_no_javascript_and_no_mouse(browser, site_url):
    with browser.new_context(viewport=PHONE, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site_url + "toolbox/symptom-finder/")
        outer = page.locator("details.outcome:has(details.outcome)").first
        inner = outer.locator("details.outcome").first
        assert not inner.is_visible()
        for details in (outer, inner):
            details.locator("> summary").focus()
            page.keyboard.press("Enter")
        assert inner.locator("> p").first.is_visible()
        page.emulate_media(media="print")
        assert page.locator("details.outcome:not([open]) > p").last.is_visible()


def test_the_cheat_sheet_is_one_page_of_paper(page: Page, site_url):
    page.goto(site_url + "toolbox/cheat-sheet/", wait_until="networkidle")
    paper = page.pdf(format="A4", prefer_css_page_size=True)
    (box,) = re.findall(rb"/MediaBox \[([\d. ]+)\]", paper)
    assert [round(float(side)) for side in box.split()] == [0, 0, 595, 842]
    page.set_viewport_size({"width": 725, "height": 1054})  # A4 less its margins, in CSS pixels
    page.emulate_media(media="print")
    for cell in page.locator(".cheats td").all():
        assert cell.evaluate("(cell) => cell.checkVisibility() && cell.scrollWidth <= cell.clientWidth + 1")


def test_type_comes_from_this_site(page: Page, site_url):
    page.goto(site_url + CHAPTERS[0], wait_until="networkidle")
    loaded = page.evaluate("[...document.fonts].filter((font) => font.status === 'loaded').map((font) => font.family)")
    families = {re.sub('"', "", family) for family in loaded}
    assert {"Initialized Sans", "Initialized Serif"} <= families
