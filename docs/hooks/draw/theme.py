"""What of the site's look is made of the palette: the style sheet with its colours, and the favicon."""

import re
from collections.abc import Collection
from pathlib import Path

from docs.hooks.draw.palette import NAMED

SOURCES = Path(__file__).parent
STYLE_SHEET = Path("docs", "stylesheets", "palette.css")
FAVICON = Path("docs", "assets", "favicon.svg")


def style_sheet() -> str:
    colours = "\n  ".join(f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in NAMED.items())
    return (SOURCES / STYLE_SHEET.name).read_text(encoding="utf-8").replace("/* The colours of palette.py */", colours)


def favicon() -> str:
    source = (SOURCES / FAVICON.name).read_text(encoding="utf-8")
    return source.replace("<style/>", scheme_style([name for name in NAMED if f"var(--{name})" in source]))


def follow_scheme(svg: str) -> str:
    """The SVG with each colour of the palette as a custom property that has a light and a dark value."""
    for name, (light, _) in NAMED.items():
        # Only a style can hold var(); matplotlib writes some colours as plain attributes.
        svg = re.sub(rf'(fill|stroke)="{light}"', rf'style="\1: {light}"', svg)
        svg = svg.replace(light, f"var(--{name})")
    return svg.replace(">\n", f">\n{scheme_style()}\n", 1)


def scheme_style(names: Collection[str] = NAMED.keys()) -> str:
    """The style of an SVG that follows the reader's scheme: each colour under its name, light and dark."""
    light, dark = ("".join(f"--{name}:{NAMED[name][scheme]};" for name in names) for scheme in (0, 1))
    return f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
