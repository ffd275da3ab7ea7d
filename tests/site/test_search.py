"""What readers type into the search: the first answer is the right section, by the worker that the site ships."""

import json
import re
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page

from docs.hooks.show import search

pytestmark = pytest.mark.browser

QUERIES = yaml.safe_load(Path(__file__).with_name("queries.yml").read_text(encoding="utf-8"))

ASK = """async ([script, queries]) => {
    const { Asker } = await import("/javascripts/search.js")
    const index = JSON.parse(document.body.innerText)
    let answer
    const asker = new Asker(new Worker(script), (message) => answer(message))
    const ask = (message) => new Promise((resolve) => { answer = resolve; asker.ask(message) })
    await ask({ type: 0, data: { ...index, options: { suggest: false } } })
    const first = []
    for (const data of queries) first.push((await ask({ type: 2, data })).data.items[0]?.[0].location)
    return first
}"""


@pytest.fixture(scope="module")
def titles(built_site) -> dict[str, str]:
    """The address of every page that the index knows, by its title."""
    index = json.loads((built_site / search.INDEX).read_text(encoding="utf-8"))
    pages = {entry["location"]: entry["title"] for entry in index["docs"] if "#" not in entry["location"]}
    return {re.sub("<[^>]*>", "", title): address for address, title in pages.items() if address}


@pytest.fixture(scope="module")
def answers(browser, site_url, built_site, titles) -> dict[str, str | None]:
    """The first result of every query; from a place where nothing holds the worker back."""
    (script,) = built_site.rglob("workers/search.*.js")
    queries = [*QUERIES, *titles]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site_url + search.INDEX.as_posix())
        address = "/" + script.relative_to(built_site).as_posix()
        return dict(zip(queries, page.evaluate(ASK, [address, list(map(str, queries))]), strict=True))


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_the_right_section_is_first(answers, query):
    found = answers[query]
    right = QUERIES[query]
    if found and any(one.startswith("chapters/") for one in right):
        found = re.sub("^(experiments|code)/", "chapters/", found)  # a further page of a chapter
    assert found is not None and any(found == one if "#" in one else found.startswith(one) for one in right), found


def test_every_page_is_found_by_its_title(answers, titles):
    assert {title: answers[title] for title, address in titles.items() if answers[title] != address} == {}


def test_every_page_is_in_the_index(built_site, titles):
    """But the files of the tools, whose pages are what a search should find, and the landing page."""
    pages = {f"{path.parent.relative_to(built_site).as_posix()}/" for path in built_site.rglob("index.html")}
    left_out = {page for page in pages - set(titles.values()) if not page.startswith("./")}
    assert left_out == {"code/check-my-model/", "code/diagnose/"}


def test_every_address_is_one(built_site):
    """Of the words that are added to sections, and of the answers expected here."""
    index = json.loads((built_site / search.INDEX).read_text(encoding="utf-8"))
    known = {entry["location"] for entry in index["docs"]}
    wanted = {
        *yaml.safe_load(search.ALSO.read_text(encoding="utf-8")),
        *(one for right in QUERIES.values() for one in right),
    }
    assert wanted - known == set()


def test_whole_files_are_not_searched(built_site):
    index = json.loads((built_site / search.INDEX).read_text(encoding="utf-8"))
    for entry in index["docs"]:
        for code in search.CODE.findall(entry["text"]):
            assert code.count("\n") <= search.LONG, entry["location"]


@pytest.mark.parametrize("path", ["", "chapters/he-initialization/", "404.html"])
def test_a_reader_with_a_slip_of_the_finger(page: Page, site_url, path):
    page.goto(site_url + path)
    page.keyboard.press("/")
    page.keyboard.type("xaviar initialisation")
    first = page.locator(".md-search-result__link").first
    first.wait_for(state="visible")
    assert "xavier-initialization" in first.get_attribute("href")


def test_the_newest_query_alone_is_answered(page: Page, site_url):
    page.goto(site_url)
    found = page.evaluate("""async () => {
        const { Asker } = await import("/javascripts/search.js")
        const worker = { postMessage() {} }
        const answered = []
        const asker = new Asker(worker, ({ type, data }) => answered.push([type, data.items?.length]))
        asker.words = new Map([["he", 1], ["hello", 1]])
        for (const data of ["he", "hel", "hello"]) asker.ask({ type: 2, data })
        const item = { location: "a/", title: "A", text: "", score: 1, terms: {} }
        worker.onmessage({ data: { type: 3, data: { items: [] } } })
        worker.onmessage({ data: { type: 3, data: { items: [[item]] } } })
        return answered
    }""")
    assert found == [[3, 1]]
