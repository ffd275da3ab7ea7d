"""The stylesheet and the figures are painted from one palette."""

import re
from pathlib import Path

from docs.hooks.draw import palette, theme
from tests.site.conftest import SHEETS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_stylesheet_has_the_colours_of_the_figures():
    pairs = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", theme.style_sheet())
    assert {name: (light, dark) for name, light, dark in pairs} == palette.NAMED


def test_favicon_has_the_colours_of_the_figures():
    pairs = re.findall(r"--(c\d):(#\w{6})", theme.favicon())
    light, dark = dict(pairs[:2]), dict(pairs[2:])
    assert {name: (light[name], dark[name]) for name in light} == {name: palette.NAMED[name] for name in ("c0", "c5")}


def test_the_site_has_both(built_site):
    favicon = built_site / theme.FAVICON.relative_to("docs")
    assert favicon.read_text(encoding="utf-8") == theme.favicon()
    (sheet,) = (built_site / "stylesheets").glob("home.*.css")
    found = re.findall(r"--(\w+):light-dark\((#\w{6}), (#\w{6})\)", sheet.read_text(encoding="utf-8"))
    assert {"paper", "ink"} <= {name for name, *_ in found}
    assert all(palette.NAMED[name] == tuple(pair) for name, *pair in found)


def test_every_style_sheet_is_linked():
    """The explorer's comes with its script."""
    files = {f"stylesheets/{file.name}" for file in (DOCS / "stylesheets").glob("*.css")}
    assert files - {"stylesheets/explorer.css"} == set(SHEETS)


def test_every_font_in_a_style_sheet_is_in_the_folder():
    sheets = "".join((DOCS / sheet).read_text(encoding="utf-8") for sheet in SHEETS)
    named = re.findall(r"fonts/([\w-]+\.woff2)", sheets)
    assert sorted(named) == sorted(file.name for file in (DOCS / "fonts").glob("*.woff2"))
