"""What search engines, messengers and citing readers get from a page: each thing there, true, and of this page."""

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import html5lib
import jinja2
import pytest
import yaml
from PIL import Image

from docs.hooks.publish import cards, changelog
from docs.hooks.publish.facts import facts
from docs.hooks.store import ROOT

BASE = "http://127.0.0.1:8000/"
KINDS = {
    "chapters/": ["TechArticle", "LearningResource"],
    "labs/": ["TechArticle", "LearningResource"],
    "toolbox/": "TechArticle",
    "experiments/": "TechArticle",
    "code/": "TechArticle",
}


@pytest.fixture(scope="module")
def heads(built_site: Path) -> dict[str, Element]:
    """The parsed pages, by address, but for the one that says that there is none."""
    pages = {
        path.relative_to(built_site).as_posix().removesuffix("index.html"): path for path in built_site.rglob("*.html")
    }
    return {address: parse(path) for address, path in sorted(pages.items()) if address != "404.html"}


def parse(page: Path) -> Element:
    return html5lib.parse(page.read_text(encoding="utf-8"), namespaceHTMLElements=False)


def named(document: Element) -> dict[str, str]:
    """Of each `<meta>` its content, by its name or property."""
    metas = document.find("head").iter("meta")
    return {meta.get("name") or meta.get("property"): meta.get("content", "") for meta in metas}


def graph(document: Element) -> dict[str, dict]:
    """What the page says in JSON-LD, by type."""
    (script,) = (one for one in document.iter("script") if one.get("type") == "application/ld+json")
    found = json.loads(script.text)
    assert found["@context"] == "https://schema.org"
    return {str(part["@type"]): part for part in found["@graph"]}


def test_a_link_to_a_page_shows_its_title_its_words_and_its_card(heads, built_site):
    for address, document in heads.items():
        said = named(document)
        title = "".join(document.find("head/title").itertext())
        assert said["og:title"] and title.startswith(said["og:title"]), address
        assert said["og:description"] == said["description"], address
        assert said["og:url"] == BASE + address
        assert said["twitter:card"] == "summary_large_image"
        card = built_site / said["og:image"].removeprefix(BASE)
        assert card == built_site / "assets" / "cards" / address / "card.png"
        with Image.open(card) as image:
            assert image.size == (int(said["og:image:width"]), int(said["og:image:height"])) == (1200, 630)


def test_every_page_has_a_title_and_a_description_of_its_own(heads):
    for what in ("og:title", "og:description"):
        told = [named(document)[what] for document in heads.values()]
        assert sorted({one for one in told if told.count(one) > 1}) == [], what
    # Of a lab it is the first paragraph, which may be longer.
    told = {address: len(named(document)["description"]) for address, document in heads.items()}
    assert {address: length for address, length in told.items() if not 50 <= length <= 250} == {}


def test_structured_data_says_what_the_page_is(heads):
    assert list(graph(heads[""])) == ["WebSite"]
    for address, document in heads.items():
        if not address:
            continue
        said, title = graph(document), named(document)["og:title"]
        (article,) = (part for kind, part in said.items() if "TechArticle" in kind)
        assert article["headline"] == title and article["url"] == BASE + address
        assert article["description"] == named(document)["description"]
        assert article["isPartOf"]["@id"] == said["WebSite"]["@id"]
        for begin, kind in KINDS.items():
            assert not address.startswith(begin) or article["@type"] == kind, address


def test_bread_crumbs_lead_from_the_home_page_to_the_page(heads):
    for address, document in heads.items():
        if not address:
            continue
        way = graph(document)["BreadcrumbList"]["itemListElement"]
        assert [step["position"] for step in way] == list(range(1, len(way) + 1))
        assert [step["item"] for step in way[:1]] == [BASE] and "item" not in way[-1]
        assert all(step["item"].removeprefix(BASE) in heads for step in way[:-1]), address


def test_the_colours_around_the_page_are_those_of_the_palette(heads):
    from docs.hooks.draw import palette

    for document in heads.values():
        colours = [meta.get("content") for meta in document.iter("meta") if meta.get("name") == "theme-color"]
        assert colours == list(palette.PAPER)


def test_a_phone_finds_the_icon(heads, built_site):
    (icon,) = (link for link in heads[""].iter("link") if link.get("rel") == "apple-touch-icon")
    with Image.open(built_site / icon.get("href")) as image:
        assert image.size == (180, 180) and image.mode != "RGBA"


def test_robots_find_the_sitemap(built_site):
    lines = (built_site / "robots.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["User-agent: *", "Allow: /"] and f"Sitemap: {BASE}sitemap.xml" in lines


@pytest.mark.skipif(not facts().second, reason="no commit dates an unpacked archive")
def test_the_days_of_the_sitemap_are_the_commits(built_site):
    """With today's, two builds of one commit would differ."""
    days = re.findall("<lastmod>(.*)</lastmod>", (built_site / "sitemap.xml").read_text(encoding="utf-8"))
    assert set(days) == {datetime.fromtimestamp(facts().second, UTC).date().isoformat()}


def trust(document: Element) -> str:
    (footer,) = (one for one in document.iter("footer") if one.get("class") == "trust")
    return " ".join("".join(footer.itertext()).split())


def test_every_page_says_what_measured_it(heads):
    known = facts()
    for address, document in heads.items():
        said = trust(document)
        for name, number in known.versions:
            assert f"{name} {number}" in said, address
        assert (known.commit[:7] in said) if known.commit else ("commit" not in said)


def test_every_page_has_an_entry_to_cite_it(heads):
    keys = set()
    for address, document in heads.items():
        (entry,) = re.findall(r"@misc\{([\w-]+), (.*) \}", trust(document))
        fields = dict(re.findall(r"(\w+) += (\{.*?\}|\{\{.*?\}\})(?:,|$)", entry[1]))
        assert {"title", "author", "note"} <= set(fields), address
        assert entry[1].count("{") == entry[1].count("}")
        assert "127.0.0.1" not in entry[1], "a machine's own address is nobody else's"
        keys.add(entry[0])
    assert len(keys) == len(heads)


def test_where_the_repository_is_unknown_no_link_leads_to_it(heads):
    assert all("Edit this page" not in trust(document) for document in heads.values())


def test_links_to_mend_a_page_appear_with_the_address_of_the_repository(project):
    project.write(
        "docs/chapters/one.md", '---\nquestion: Why?\ndescription: "It\'s <one> & \'two\'."\n---\n# One & "two"\n'
    )
    project.write("small.yml", "INHERIT: mkdocs.yml\nnav:\n  - index.md\n  - Chapters:\n      - chapters/one.md\n")
    repository, site = "https://github.com/reader/proofs", "https://reader.github.io/proofs/"
    built = project.run("mkdocs", "build", "-f", "small.yml", REPO_URL=repository, SITE_URL=site)
    assert built.returncode == 0, built.stdout
    document = parse(project.root / "site" / "chapters" / "one" / "index.html")
    links = {link.get("href") for link in document.iter("a")}
    assert f"{repository}/edit/main/docs/chapters/one.md" in links
    assert f"{repository}/issues/new?title=On+chapters/one/" in links
    said = named(document)
    assert (said["og:title"], said["og:description"]) == ('One & "two"', "It's <one> & 'two'.")
    assert said["og:image"] == f"{site}assets/cards/chapters/one/card.png"
    assert graph(document)["['TechArticle', 'LearningResource']"]["headline"] == 'One & "two"'
    assert f"url = {{{site}chapters/one/}}" in trust(document)
    assert "commit" not in trust(document), "there is no git in this folder"


def test_the_source_that_one_edits_is_there(built_site):
    """By its address each page names its file; those that are made of a common file name that one."""
    template = (ROOT / "docs" / "overrides" / "partials" / "trust.html").read_text(encoding="utf-8")
    facts_template = (ROOT / "docs" / "overrides" / "made" / "facts.html").read_text(encoding="utf-8")
    shown = jinja2.Environment(loader=jinja2.DictLoader({"trust": template, "made/facts.html": facts_template}))
    for card in cards.find_cards():
        folder = cards.address(card.source).as_posix()
        page = {"url": "" if folder == "." else f"{folder}/", "title": "Title", "meta": {}}
        config = {"repo_url": "https://github.com/reader/proofs", "site_url": BASE}
        (source,) = re.findall('edit/main/([^"]+)"', shown.get_template("trust").render(page=page, config=config))
        assert (ROOT / source).is_file(), source


ATOM = "{http://www.w3.org/2005/Atom}"


def test_the_feed_is_atom(built_site):
    """What RFC 4287 asks of a feed and its entries, each link led somewhere."""
    text = (built_site / "feed.xml").read_text(encoding="utf-8")
    feed = ElementTree.fromstring(text)
    assert feed.tag == f"{ATOM}feed" and text.startswith("<?xml")
    known = changelog.entries()
    found = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in found] == [entry["title"] for entry in known]
    ids = [part.findtext(f"{ATOM}id") for part in (feed, *found)]
    assert len(set(ids)) == len(ids) and all(one.startswith(BASE) for one in ids)
    for part in (feed, *found):
        assert datetime.fromisoformat(part.findtext(f"{ATOM}updated")).tzinfo, "RFC 3339, with the zone"
        for link in part.findall(f"{ATOM}link"):
            target, _, place = link.get("href").removeprefix(BASE).partition("#")
            file = built_site / (f"{target}index.html" if target.endswith("/") else target)
            assert file.is_file() and (not place or f'id="{place}"' in file.read_text(encoding="utf-8"))
    assert feed.findtext(f"{ATOM}updated") == found[0].findtext(f"{ATOM}updated") == f"{known[0]['day']}T00:00:00Z"
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    for entry, told in zip(found, known, strict=True):
        (content,) = entry.findall(f"{ATOM}content")
        items = html5lib.parseFragment(content.text, namespaceHTMLElements=False).iter("li")
        assert content.get("type") == "html" and ["".join(item.itertext()) for item in items] == told["changes"]


def test_every_page_leads_to_the_feed(heads, built_site):
    for address, document in heads.items():
        (link,) = (one for one in document.iter("link") if one.get("type") == "application/atom+xml")
        assert (built_site / address / link.get("href")).resolve() == (built_site / "feed.xml").resolve()


def test_what_github_reads_to_cite_agrees_with_the_site():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f"site_name: {citation['title']}\n" in settings
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert str(citation["date-released"]) == changelog.entries()[0]["day"]
    assert citation["license"] == "MIT" and "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert citation["authors"] == [{"name": "The Well Initialized authors"}]
    assert {"cff-version", "message", "title", "authors"} <= set(citation), "what the format asks for"
