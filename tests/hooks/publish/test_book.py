"""The book has every page of the site in reading order, and its contents, bookmarks and links lead where they say."""

import re
from pathlib import Path

import pytest
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from pypdf import PdfReader
from pypdf.generic import Destination

from docs.hooks.publish import book, browser
from docs.hooks.publish.book import Leaf
from tests.conftest import ROOT, Project, make_project

SETTINGS = """\
INHERIT: mkdocs.yml
nav:
  - index.md
  - Chapters:
      - chapters/first.md
      - chapters/second.md
  - Toolbox:
      - toolbox/list.md
"""
PAGES = {
    "index": "# Small\n\nRead [why](chapters/second.md#why), or [take a file](files/take.txt).\n",
    "chapters/first": "---\nquestion: What?\n---\n# First question\n\n## Answer { #answer }\n\nThis.\n",
    "chapters/second": "---\nquestion: Why?\n---\n# Second question\n\n[Below](#why).\n\n"
    + "Much is said here.\n\n" * 120
    + "## Why it is so { #why }\n\nBecause.\n\n## Answer { #answer }\n\nThat.\n",
    "experiments/first": "---\nchapter: first\n---\n# First question: all experiments\n\nNone.\n",
    "toolbox/list": "# A list\n\nOf [answers](../chapters/first.md#answer).\n\n"
    + "```\nshort = 1\n```\n\n```\n"
    + "long = 2\n" * 200
    + "```\n",
}
TITLES = ["Small", "First question", "Second question", "First question: all experiments", "A list"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small site and its book."""
    if not browser.find():
        pytest.skip("no Chromium is found that prints")
    project = make_project(tmp_path_factory.mktemp("book"))
    project.write("small.yml", SETTINGS)
    project.write("docs/files/take.txt", "a file\n")
    for name, text in PAGES.items():
        project.write(f"docs/{name}.md", text)
    run = project.build_site()
    assert run.returncode == 0, run.stdout
    run = project.run("docs.hooks.publish.book", "small.yml")
    assert run.returncode == 0, run.stdout
    return project


@pytest.fixture(scope="module")
def pdf(made: Project) -> PdfReader:
    return PdfReader(made.root / book.BOOK)


@pytest.fixture(scope="module")
def begins(pdf: PdfReader) -> dict[str, int]:
    """The number, from 1, of the sheet on which each page of the site begins, by what it shows."""
    texts = [sheet.extract_text() for sheet in pdf.pages]
    first = next(number for number, text in enumerate(texts, 1) if "Read why" in text)
    return {
        title: next(number for number, text in enumerate(texts, 1) if number >= first and title in text.splitlines())
        for title in TITLES
    }


def places(pdf: PdfReader, number: int) -> list[int | str]:
    """Where the links of a sheet lead: the number of a sheet, or an address."""
    found: list[int | str] = []
    for link in pdf.pages[number - 1].get("/Annots", []):
        link = link.get_object()
        target = link.get("/Dest")
        found.append(link["/A"]["/URI"] if target is None else pdf.get_page_number(target[0].get_object()) + 1)
    return found


@pytest.mark.browser
@pytest.mark.slow
class TestSmall:
    def test_all_pages_are_there_in_reading_order(self, begins, pdf):
        assert list(begins.values()) == sorted(begins.values())
        assert len(set(begins.values())) == len(TITLES)

    def test_the_title_page(self, pdf):
        text = pdf.pages[0].extract_text()
        assert "Well Initialized" in text and "PyTorch" in text
        assert pdf.metadata.title == "Well Initialized"

    def test_the_contents_name_each_page_with_its_number_and_lead_there(self, begins, pdf):
        contents = pdf.pages[1].extract_text()
        for title, number in begins.items():
            assert re.search(rf"^{re.escape(title)}\s*{number}$", contents, re.MULTILINE), contents
        assert places(pdf, 2) == list(begins.values())
        assert {"Chapters", "All experiments", "Toolbox"} <= set(contents.splitlines())

    def test_each_sheet_but_the_first_has_its_number(self, pdf):
        for number, sheet in enumerate(pdf.pages, 1):
            last = sheet.extract_text().strip().splitlines()[-1]
            assert last.split()[-1:] == [str(number)] if number > 1 else not last.endswith("1"), sheet.extract_text()

    def test_bookmarks_lead_to_pages_and_their_sections(self, begins, pdf):
        def told(items: list) -> list:
            return [
                told(item) if isinstance(item, list) else (item.title, pdf.get_destination_page_number(item) + 1)
                for item in items
            ]

        first, second, further = begins["First question"], begins["Second question"], begins[TITLES[3]]
        end = further - 1
        assert second < end, "the second chapter takes several sheets"
        assert told(pdf.outline) == [
            ("Small", begins["Small"]),
            ("Chapters", first),
            [
                ("First question", first),
                [("Answer", first)],
                ("Second question", second),
                [("Why it is so", end), ("Answer", end)],
            ],
            ("All experiments", further),
            [(TITLES[3], further)],
            ("Toolbox", begins["A list"]),
            [("A list", begins["A list"])],
        ]

    def test_a_bookmark_leads_to_the_height_of_its_heading(self, pdf):
        found = [item for item in flat(pdf.outline) if item.title in {"Why it is so", "Answer"}][1:]
        assert found[0].top > found[1].top > 0

    def test_a_long_file_is_told_and_not_shown(self, begins, pdf):
        text = pdf.pages[begins["A list"] - 1].extract_text()
        assert "short = 1" in text and "200 lines: the site has the file." in text and "long = 2" not in text

    def test_links_lead_to_their_place_in_the_book(self, begins, pdf):
        end = begins[TITLES[3]] - 1
        assert end in places(pdf, begins["Small"])
        assert end in places(pdf, begins["Second question"]), "a link within a page"
        assert begins["First question"] in places(pdf, begins["A list"]), "two pages have a section of this name"

    def test_a_link_to_a_file_leads_nowhere_where_the_site_is_nowhere(self, pdf):
        every = [place for number in range(1, len(pdf.pages) + 1) for place in places(pdf, number)]
        assert not [place for place in every if "127.0.0.1" in str(place)]

    def test_a_link_to_a_file_leads_to_the_published_site(self, made):
        run = made.run("docs.hooks.publish.book", "small.yml", SITE_URL="https://example.org/small/")
        assert run.returncode == 0, run.stdout
        pdf = PdfReader(made.root / book.BOOK)
        small = next(number for number, sheet in enumerate(pdf.pages, 1) if "Read why" in sheet.extract_text())
        assert "https://example.org/small/files/take.txt" in places(pdf, small)


def flat(items: list) -> list[Destination]:
    return [one for item in items for one in (flat(item) if isinstance(item, list) else [item])]


def test_without_a_site_it_says_what_to_do(tmp_path, capsys):
    settings = tmp_path / "mkdocs.yml"
    settings.write_text("site_name: Small\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    assert book.main(str(settings)) == 1
    assert "build it first" in capsys.readouterr().err


def test_a_page_that_the_book_would_lose_stops_it(tmp_path):
    for folder in (".", "chapters/one", "notes/two"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "index.html").touch()
    (tmp_path / "404.html").touch()
    assert book.left_out(tmp_path, [Leaf((), ""), Leaf((), "chapters/one/")]) == ["notes/two"]
    config = MkDocsConfig()
    config.load_dict({"site_name": "Small", "site_dir": str(tmp_path), "nav": ["index.md", "chapters/one.md"]})
    with pytest.raises(ValueError, match=r"not in the navigation.*notes/two"):
        book.make(config, Path("never"))


def test_the_book_has_every_page_of_the_site(built_site: Path):
    config = load_config(str(ROOT / "mkdocs.yml"))
    assert book.left_out(built_site, book.leaves(config)) == []
