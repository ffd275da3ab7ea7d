"""The formulas of the site before it is built: where LaTeX is wrong, and the fonts that its glyphs need.

They are found in the Markdown sources, as `pymdownx.arithmatex` finds them there: a complaint names the line that the
author wrote, and the fonts exist before MkDocs collects the files.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pymdownx.arithmatex import RE_SMART_DOLLAR_INLINE

from docs.hooks import katex
from docs.hooks.experiment import find_experiments
from docs.hooks.files import write_if_changed

DOCS = Path("docs")
FONTS = DOCS / "fonts" / "katex"
STYLE_SHEET = FONTS / "katex.css"
NOT_A_PAGE = {"hooks", "overrides", "figures", "downloads"}

# What is not prose: front matter, fenced code, comments, code in a line.
NOT_PROSE = re.compile(
    r"\A---\n.*?^---$"
    r"|^[ \t]*(?P<fence>`{3,}|~{3,}).*?(?:^[ \t]*(?P=fence)[ \t]*$|\Z)"
    r"|<!--.*?-->"
    r"|(?<![\\`])(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(RE_SMART_DOLLAR_INLINE)
BLOCK = re.compile(r"[ \t]*\S.*?(?=\n[ \t]*\n|\Z)", re.DOTALL)
DISPLAY = re.compile(r"\$\$((?:\\.|[^\\$])+)\$\$", re.DOTALL)
DOLLAR = re.compile(r"(?<!\\)\$")
LONE_DOLLAR = (
    "a dollar sign that is part of no formula. A formula in a line is $...$ without spaces inside the signs, one on "
    "display is $$...$$ with a blank line above and below; the sign itself is \\$."
)
BAR_IN_TABLE = "a bar ends the cell of a table, also within a formula. Write \\mid, \\lvert x\\rvert or \\lVert x\\rVert."


@dataclass(frozen=True)
class Slip:
    """Something wrong in a source."""

    line: int
    shown: str
    """The line of the formula that KaTeX stopped in; empty where there is no formula."""
    said: str


def sources() -> list[Path]:
    """All that formulas are in: the pages, and what experiments write for them."""
    pages = [page for page in sorted(DOCS.rglob("*.md")) if page.relative_to(DOCS).parts[0] not in NOT_A_PAGE]
    products = (product for experiment in find_experiments() for product in experiment.products)
    return pages + [product for product in products if product.suffix == ".md"]


def read(text: str) -> tuple[list[katex.Formula], list[Slip]]:
    """The formulas of a Markdown source, and what is wrong with others."""
    text = NOT_PROSE.sub(lambda found: re.sub(r"[^\n]", "\x02", found.group()), text)
    formulas, slips = [], []

    def take(tex: str, start: int, display: bool) -> None:
        line = text.count("\n", 0, start + len(tex) - len(tex.lstrip())) + 1
        tex = tex.strip()
        try:
            formulas.append(katex.render(tex, display))
        except katex.TexError as error:
            slips.append(_slip(tex, error, line))

    for block in BLOCK.finditer(text):
        start, content = block.start(), block.group()
        if alone := DISPLAY.fullmatch(content.strip()):
            take(alone.group(1), start + content.index("$$") + 2, display=True)
            continue
        rest = list(content)
        for found in INLINE.finditer(content):
            if found.group(3):
                take(found.group(3), start + found.start(3), display=False)
                if content.lstrip().startswith("|") and re.search(r"(?<!\\)\|", found.group(3)):
                    slips.append(Slip(text.count("\n", 0, start + found.start()) + 1, "", BAR_IN_TABLE))
                rest[found.start() : found.end()] = " " * len(found.group())
        if lone := DOLLAR.search("".join(rest)):
            slips.append(Slip(text.count("\n", 0, start + lone.start()) + 1, "", LONE_DOLLAR))
    return formulas, slips


def _slip(tex: str, error: katex.TexError, line: int) -> Slip:
    before = tex[: error.position]
    column = len(before) - before.rfind("\n") - 1
    shown = tex.splitlines()[before.count("\n")]
    said = (
        f"KaTeX cannot set this formula: {error.message}\n    {shown}\n    {' ' * column}^\n"
        "    Mend it here; what KaTeX knows is listed at https://katex.org/docs/supported"
    )
    return Slip(line + before.count("\n"), shown, said)


def complaint(source: Path, slip: Slip) -> str:
    """What is wrong, and where it was written: a card is generated, so its experiment is named."""
    place = f"{source.as_posix()}:{slip.line}"
    for experiment in find_experiments():
        if source in experiment.products:
            place = _place(experiment.path, slip.shown)
    return f"{place}: {slip.said}"


def _place(path: Path, formula: str) -> str:
    """The line of a Python file that holds the formula, in a raw string or not."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if formula and formula in line.replace("\\\\", "\\"):
            return f"{path.as_posix()}:{number}"
    return path.as_posix()


@cache
def _font_rules() -> list[tuple[set[str], dict[str, str]]]:
    """From the style sheet: an element with these classes has that font. More special rules come later."""
    rules = []
    for selectors, body in re.findall(r"([^{}]+)\{([^}]*)\}", katex.STYLE_SHEET):
        font = dict(re.findall(r"font-(family|style|weight):\"?([\w ]+)", body))
        for selector in selectors.split(",") if font else ():
            # In `.delim-size1>span` the class stands above the element: its text has no other one.
            rules.append((set(re.findall(r"\.([\w-]+)", selector.split()[-1])), font))
    return sorted((rule for rule in rules if rule[0]), key=lambda rule: len(rule[0]))


def glyphs(formula: katex.Formula) -> set[tuple[str, str]]:
    """Which characters of which font a formula shows: `("KaTeX_Math-Italic", "x")`."""
    shown: set[tuple[str, str]] = set()
    root = ElementTree.fromstring(formula.html)
    _collect(root.find("span[@class='katex-html']"), {"family": "KaTeX_Main"}, shown)
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
    return name if _vendored(name).is_file() else next(
        other for other in (f"{family}-Regular", f"{family}-Italic") if _vendored(other).is_file()
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


@lru_cache(maxsize=None)
def _cut(face: str, characters: str) -> bytes:
    from fontTools import subset  # takes its time, and a warm build cuts nothing

    options = subset.Options(flavor="woff2", hinting=False)
    font = subset.load_font(str(_vendored(face)), options)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)
    file = BytesIO()
    subset.save_font(font, file, options)
    return file.getvalue()
