"""What of the site's look is made of the palette: style sheet, favicon, heads of pages, the colours of figures."""

from pathlib import Path

from docs.hooks.draw.palette import NAMED, PAPER
from docs.hooks.draw.scheme import VALUES
from docs.hooks.store import ROOT, write_if_changed

SOURCES = Path(__file__).parent
STYLE_SHEET = Path("docs", "stylesheets", "palette.css")
FAVICON = Path("docs", "assets", "favicon.svg")
TEMPLATE = Path("docs", "overrides", "made", "palette.html")


def style_sheet() -> str:
    colours = "\n  ".join(f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in NAMED.items())
    return (SOURCES / STYLE_SHEET.name).read_text(encoding="utf-8").replace("/* The colours of palette.py */", colours)


def favicon() -> str:
    return painted((SOURCES / FAVICON.name).read_text(encoding="utf-8"))


def template() -> str:
    """What the head of a page says of its colours, for `{% from "made/palette.html" import paper %}`."""
    return f"{{% set paper = {list(PAPER)} %}}\n"


def paint(drawing: Path, figure: Path) -> None:
    """Write the figure: the drawing in the colours of the palette."""
    write_if_changed(ROOT / figure, painted((ROOT / drawing).read_text(encoding="utf-8")))


def painted(svg: str) -> str:
    """The SVG with the values of the colours that it names, light and dark."""
    named = [name for name in NAMED if f"var(--{name})" in svg]
    light, dark = ("".join(f"--{name}:{NAMED[name][scheme]};" for name in named) for scheme in (0, 1))
    values = f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    return svg.replace(VALUES, values, 1)
