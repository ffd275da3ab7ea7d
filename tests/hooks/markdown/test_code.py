"""Highlighted Python: plain for the search, coloured for the page, and an earlier build's work is found again."""

import json
import re

import markdown
import pytest
from mkdocs.config import load_config

from docs.hooks import store

SOURCE = '```python title="gain.py"\ngain = 2.0  # He\nif gain < 3: print("<b>", gain)\n```\n'


@pytest.fixture
def to_html(tmp_path, monkeypatch):
    """Markdown to HTML with the settings of the site and an empty store."""
    monkeypatch.setattr(store, "FUNCTIONS_OF_TEXT", tmp_path)
    config = load_config("mkdocs.yml")
    extensions = [name for name in config.markdown_extensions if name.startswith("pymdownx")]
    return lambda text: markdown.markdown(text, extensions=extensions, extension_configs=config.mdx_configs)


def test_what_has_no_colour_of_its_own_is_no_element(to_html):
    html = to_html(SOURCE)
    spans = re.findall(r'<span class="(\w+)">([^<]*)</span>', html)
    assert spans == [("filename", "gain.py"), ("mf", "2.0"), ("c1", "# He"), ("k", "if"), ("mi", "3"), ("nb", "print"),
                     ("s2", '"&lt;b&gt;"')]  # fmt: skip


def test_no_character_of_the_code_is_lost(to_html):
    html = to_html(SOURCE)
    plain, coloured = re.search(r"<code><!--plain-->(.*)<!--coloured (.*) coloured--></code>", html, re.DOTALL).groups()
    assert plain == 'gain = 2.0  # He\nif gain &lt; 3: print("&lt;b&gt;", gain)\n'
    assert re.sub("</?span[^>]*>", "", coloured) == plain


def test_no_code_ends_the_comment_before_its_time(to_html):
    comments = re.findall("<!--.*?-->", to_html("```python\n# --> and --!> and <!-- coloured-->\n```\n"), re.DOTALL)
    assert [comment[:12] for comment in comments] == ["<!--plain-->", "<!--coloured"]
    assert comments[1].endswith("</span>\n coloured-->")


def test_every_block_is_coloured_on_the_page_and_plain_in_the_search(built_site):
    pages = {path: path.read_text(encoding="utf-8") for path in built_site.rglob("*.html")}
    assert [path for path, page in pages.items() if "<!--plain" in page or "coloured-->" in page] == []
    shown = "".join(pages.values())
    assert '<span class="k">def</span> <span class="nf">xavier_uniform</span>(' in shown
    assert "def xavier_uniform(" not in shown
    index = json.loads((built_site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any("def xavier_uniform(" in entry["text"] for entry in index["docs"])


def test_a_block_is_found_again_by_its_code_and_its_title(to_html, tmp_path):
    first = to_html(SOURCE)
    (kept,) = tmp_path.iterdir()
    kept.write_text('{"made": "<p>from the disk</p>"}')
    assert to_html(SOURCE) == "<p>from the disk</p>"
    assert to_html(SOURCE.replace("gain.py", "scale.py")) == first.replace("gain.py", "scale.py")
    assert "3.0" in to_html(SOURCE.replace("2.0", "3.0"))
