"""The fonts of the formulas, cut to the glyphs that these show."""

import re
from functools import cache
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from docs.hooks.markdown import katex
from docs.hooks.store import write_if_changed

FONTS = Path("docs", "fonts", "katex")
STYLE_SHEET = FONTS / "katex.css"


@cache
def _font_rules() -> list[tuple[set[str], dict[str, str]]]:
    """From the style sheet: an element with these classes has that font. More special rules come later."""
    rules: list[tuple[set[str], dict[str, str]]] = []
    for selectors, body in re.findall(r"([^{}]+)\{([^}]*)\}", katex.STYLE_SHEET):
        font = dict(re.findall(r"font-(family|style|weight):\"?([\w ]+)", body))
        # In `.delim-size1>span` the class stands above the element: its text has no other one.
        rules.extend(
            (set(re.findall(r"\.([\w-]+)", selector.split()[-1])), font)
            for selector in (selectors.split(",") if font else ())
        )
    return sorted((rule for rule in rules if rule[0]), key=lambda rule: len(rule[0]))


def glyphs(formula: katex.Formula) -> set[tuple[str, str]]:
    """Which characters of which font a formula shows: `("KaTeX_Math-Italic", "x")`."""
    shown: set[tuple[str, str]] = set()
    for html in ElementTree.fromstring(f"<span>{formula.html}</span>").findall("span/span[@class='katex-html']"):
        _collect(html, {"family": "KaTeX_Main"}, shown)
    return shown


def _collect(element: Element, font: dict[str, str], shown: set[tuple[str, str]]) -> None:
    classes = set(element.get("class", "").split())
    here = dict(font)
    for needed, declared in _font_rules():
        if needed <= classes:
            here |= declared
    face = _face(**here)
    shown |= {(face, character) for character in element.text or ""}
    for child in element:
        _collect(child, here, shown)
        shown |= {(face, character) for character in child.tail or ""}


@cache
def _face(family: str, style: str = "normal", weight: str = "400") -> str:
    """The font file; the regular one where a family has no other."""
    bold, italic = weight == "700", style == "italic"
    name = f"{family}-{'Bold' * bold}{'Italic' * italic}" if bold or italic else f"{family}-Regular"
    return (
        name
        if _vendored(name).is_file()
        else next(other for other in (f"{family}-Regular", f"{family}-Italic") if _vendored(other).is_file())
    )


def _vendored(face: str) -> Path:
    return katex.VENDOR / "fonts" / f"{face}.woff2"


def write_fonts(shown: dict[str, str]) -> list[Path]:
    """Cut each face to its characters, write the style sheet that names them, and remove other faces."""
    files = {FONTS / f"{face}.woff2": _cut(face, characters) for face, characters in sorted(shown.items())}
    files[STYLE_SHEET] = _style_sheet(shown).encode()
    for path, content in files.items():
        write_if_changed(path, content)
    for path in FONTS.iterdir():
        if path not in files:
            path.unlink()
    return list(files)


def _style_sheet(faces: dict[str, str]) -> str:
    """KaTeX's own, for the faces that are there."""

    def with_our_file(rule: re.Match[str]) -> str:
        face = re.search(r"fonts/([\w-]+)\.woff2", rule.group())[1]
        return re.sub(r"src:[^;}]*", f'src:url({face}.woff2) format("woff2")', rule.group()) if face in faces else ""

    return re.sub(r"@font-face\{[^}]*\}", with_our_file, katex.STYLE_SHEET)


@cache
def _cut(face: str, characters: str) -> bytes:
    from fontTools import subset  # takes its time, and a warm build cuts nothing

    options = subset.Options(flavor="woff2", hinting=False, name_IDs=[0])  # of its names the copyright
    font = subset.load_font(str(_vendored(face)), options)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)
    file = BytesIO()
    subset.save_font(font, file, options)
    return file.getvalue()
