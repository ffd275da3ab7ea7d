"""One file has every reference; pages cite from it, and nothing in it goes unused."""

import re

import markdown
import pytest

from docs.hooks.markdown import citations
from docs.hooks.markdown.citations import CitationError, cited_on, entries, load, short, whole
from docs.hooks.pages import find_pages
from docs.hooks.store import ROOT

GOOD = "he2015:\n  authors: He, K. and Sun, J.\n  year: 2015\n  title: Delving\n  arxiv: '1502.01852'\n"


def html(text: str) -> str:
    return markdown.markdown(text, extensions=["docs.hooks.markdown.citations", "pymdownx.superfences", "attr_list"])


def test_every_entry_has_its_form_and_its_place_in_the_alphabet():
    known = load((ROOT / citations.SOURCE).read_text(encoding="utf-8"))
    assert len(known) > 50 and list(known) == sorted(known)
    links = [citations.address(entry)[1] for entry in known.values()]
    assert len(set(links)) == len(links), "a paper has one entry"
    families = [citations.short(entry)[1:].split()[0].lower() for entry in known.values()]
    assert all(key.startswith(family.strip(",")) for key, family in zip(known, families, strict=True))


def test_every_entry_is_cited():
    assert set(entries()) - set(cited_on(find_pages())) == set()


def test_every_citation_has_an_entry():
    assert set(cited_on(find_pages())) - set(entries()) == set()


def test_no_page_types_what_the_file_has():
    """A link to one of the papers stands in the file alone."""
    links = {citations.address(entry)[1] for entry in entries().values()}
    for page in find_pages():
        assert links.isdisjoint(re.findall(r"\]\((https://[^)\s]+)\)", page.text)), page


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1502.01852", "1502.185", "he2015: arxiv reads '1502.185'"),
        ("arxiv: '1502.01852'", "doi: 11.1/x", "doi reads"),
        ("arxiv: '1502.01852'", "url: http://x.org", "url reads"),
        ("  arxiv: '1502.01852'\n", "", "one of arxiv, doi and url is wanted"),
        ("  arxiv:", "  doi: 10.1109/72.279181\n  arxiv:", "one of arxiv, doi and url is wanted"),
        ("He, K. and Sun, J.", "Kaiming He", "authors reads 'Kaiming He'"),
        ("title: Delving", "title: Delving.", "title reads 'Delving.'"),
        ("  title: Delving\n", "", "title is missing"),
        ("2015\n  title", "215\n  title", "year reads '215'"),
        ("  title:", "  pages: 3\n  title:", "no field pages"),
    ],
)
def test_an_entry_without_its_form_is_named(old, new, said):
    load(GOOD)
    with pytest.raises(CitationError, match=re.escape(said)):
        load(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        ("Shazeer, N.", "Shazeer"),
        ("van Laarhoven, T.", "van Laarhoven"),
        ("Ioffe, S. and Szegedy, C.", "Ioffe and Szegedy"),
        ("Zhang, H., Dauphin, Y. N. and Ma, T.", "Zhang et al."),
        ("Ma, K. W.-D. and Sohl-Dickstein, J.", "Ma and Sohl-Dickstein"),
        ("Xiao, L. et al.", "Xiao et al."),
    ],
)
def test_the_short_form_names_whom_one_would_name(authors, said):
    entry = {"authors": authors, "year": 2018, "title": "T", "arxiv": "1806.05393"}
    assert short(entry) == f"[{said} (2018)](https://arxiv.org/abs/1806.05393)"


def test_the_whole_form_ends_the_title_once():
    entry = {"authors": "A, B.", "year": 2018, "title": "Why?", "where": "ICLR", "doi": "10.1109/72.2"}
    assert whole(entry) == "A, B. (2018). *Why?* ICLR. [doi:10.1109/72.2](https://doi.org/10.1109/72.2)"


def test_a_list_item_is_the_whole_entry_and_a_word_the_short_one():
    said = html("See [@he2016b] and\n\n- [@he2015] Section 2.\n- So do [@ioffe2015].\n\n```\n[@he2015]\n```")
    assert "See <a href=" in said and ">He et al. (2016)</a> and" in said
    assert "<li>He, K., Zhang, X., Ren, S. and Sun, J. (2015). <em>Delving deep" in said
    assert ">arXiv:1502.01852</a>. Section 2.</li>" in said
    assert ">Ioffe and Szegedy (2015)</a>.</li>" in said
    assert "[@he2015]" in said, "code is left as it is"


def test_an_unknown_key_ends_the_build():
    with pytest.raises(CitationError, match=r"\[@nobody1900\]"):
        html("- [@nobody1900]")


def test_the_list_has_all_with_the_pages_that_cite_them():
    said = html("[@]")
    assert said.count("<li id=") == len(entries())
    assert re.search(r'<li id="he2015">.*chapters/he-initialization.md#sources', said)
