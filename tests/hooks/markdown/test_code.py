"""Highlighted Python: coloured for the page, plain in the search, and an earlier build's work is found again."""

import html
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
    spans = re.findall(r'<span class="(\w+)">([^<]*)</span>', to_html(SOURCE))
    assert spans == [("filename", "gain.py"), ("mf", "2.0"), ("c1", "# He"), ("k", "if"), ("mi", "3"), ("nb", "print"),
                     ("s2", '"&lt;b&gt;"')]  # fmt: skip


def test_no_character_of_the_code_is_lost(to_html):
    (code,) = re.findall("<code>(.*)</code>", to_html(SOURCE), re.DOTALL)
    assert html.unescape(re.sub("</?span[^>]*>", "", code)) == "\n".join(SOURCE.split("\n")[1:3]) + "\n"


def test_every_block_is_coloured_on_the_page_and_plain_in_the_search(built_site):
    shown = "".join(path.read_text(encoding="utf-8") for path in built_site.rglob("*.html"))
    assert '<span class="k">def</span> <span class="nf">xavier_uniform</span>(' in shown
    assert "def xavier_uniform(" not in shown
    index = json.loads((built_site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any("from xavier_init_numpy import" in entry["text"] for entry in index["docs"])


def test_a_block_is_found_again_by_its_code_and_its_title(to_html, tmp_path):
    first = to_html(SOURCE)
    (kept,) = tmp_path.iterdir()
    kept.write_text('{"made": "<p>from the disk</p>"}')
    assert to_html(SOURCE) == "<p>from the disk</p>"
    assert to_html(SOURCE.replace("gain.py", "scale.py")) == first.replace("gain.py", "scale.py")
    assert "3.0" in to_html(SOURCE.replace("2.0", "3.0"))
