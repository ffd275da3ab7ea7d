"""The stylesheet and the figures are painted from one palette."""

import re
from pathlib import Path

from docs.hooks.draw import palette

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_stylesheet_has_the_colours_of_the_figures():
    text = (DOCS / "stylesheets" / "palette.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", text)
    assert {name: (light, dark) for name, light, dark in pairs} == palette.NAMED


def test_favicon_has_the_colours_of_the_figures():
    text = (DOCS / "assets" / "favicon.svg").read_text(encoding="utf-8")
    pairs = re.findall(r"--(c\d):(#\w{6})", text)
    light, dark = dict(pairs[:2]), dict(pairs[2:])
    assert {name: (light[name], dark[name]) for name in light} == {name: palette.NAMED[name] for name in ("c0", "c5")}


def test_every_font_in_the_stylesheet_is_in_the_folder():
    named = re.findall(r"fonts/([\w-]+\.woff2)", (DOCS / "stylesheets" / "theme.css").read_text(encoding="utf-8"))
    assert sorted(named) == sorted(file.name for file in (DOCS / "fonts").glob("*.woff2"))
