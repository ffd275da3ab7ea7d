"""The card of a page, which social networks and messengers show beside a link to it: 1200 by 630 pixels.

Pillow draws it: the title in the site's serif, the question or description below, the mark through all layers. It is a
pure function of its words, the fonts and the version of Pillow; nothing of the time or the machine is in it.
"""

import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from docs.hooks.draw import palette
from docs.hooks.pages import DOCS, find_pages
from docs.hooks.show.labs import find_labs
from docs.hooks.store import ROOT

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

CARDS = DOCS / "assets" / "cards"
ICON = DOCS / "assets" / "touch-icon.png"
SERIF = DOCS / "fonts" / "initialized-serif-600.woff2"
SANS = DOCS / "hooks" / "vendor" / "source-sans-3" / "SourceSans3-Regular.ttf"
FONTS = (SERIF, SANS)

WIDTH, HEIGHT = 1200, 630
MARGIN = 84
COLOURS = 32
"""Of the image: three inks on one paper and what lies between them at their edges."""

NAME = "Well Initialized"
KINDS = {
    "chapters": "Question {}",
    "experiments": "Experiments",
    "code": "Code",
    "labs": "Lab",
    "toolbox": "Toolbox",
    "learn": "Learn",
}
"""What a page is, by its folder."""


@dataclass(frozen=True)
class Card:
    path: Path
    """Of the image, relative to the root of the project."""
    source: Path
    """Of the page."""

    @property
    def words(self) -> tuple[str, str, str]:
        """Kind, title and a line or two on what the page answers; the site's name where a page has no title."""
        text = (ROOT / self.source).read_text(encoding="utf-8")
        kind, number = KINDS.get(self.source.relative_to(DOCS).parts[0], ""), _number(self.source)
        if self.source.suffix == ".py":
            lab = re.search(r"^# # (?:Lab: )?(.+)\n#\n((?:# .+\n)+)", text, re.MULTILINE)
            title, said = lab.groups() if lab else (self.source.stem, "")
            return kind, _plain(title), _plain(said.replace("\n# ", " ").removeprefix("# "))
        front = _front(text)
        title = re.search(r"^# (.+)$", text, re.MULTILINE)
        said = front.get("question") or front.get("description") or ""
        kind = kind.format(number) if number or "{" not in kind else ""
        return kind, _plain(title[1] if title else NAME), _plain(said)


def _front(text: str) -> dict[str, Any]:
    """The front matter of a page; empty where MkDocs would not read it either."""
    found = re.match(r"---\n(.*?)^---$", text, re.DOTALL | re.MULTILINE)
    try:
        front = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError:
        return {}
    return front if isinstance(front, dict) else {}


def _plain(markdown: str) -> str:
    """A line of Markdown without its marks."""
    words = re.sub(r"\{[^}]*\}|\[([^\]]*)\]\([^)]*\)|[*`$]", r"\1", markdown)
    return " ".join(words.split())


def _number(source: Path) -> int:
    """The place of a chapter in the navigation; 0 for another page."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    chapters = re.findall(r"^ +- (chapters/.+\.md)$", settings, re.MULTILINE)
    name = source.relative_to(DOCS).as_posix()
    return chapters.index(name) + 1 if name in chapters else 0


def find_cards() -> list[Card]:
    """A card for each page, under the page's address: `chapters/he-initialization/card.png`."""
    pages = [page.path for page in find_pages()] + find_labs()
    return [Card(CARDS / address(path) / "card.png", path) for path in pages]


def address(source: Path) -> Path:
    """Of a page in the site: its folder."""
    page = source.relative_to(DOCS)
    return page.parent if page.stem == "index" else page.with_suffix("")


@cache
def _font(path: Path, size: int) -> "FreeTypeFont":
    from PIL import ImageFont

    if path.suffix == ".woff2":  # FreeType may have been built without Brotli
        from fontTools.ttLib import TTFont

        font, unpacked = TTFont(ROOT / path), io.BytesIO()
        font.flavor = None
        font.save(unpacked, reorderTables=None)
        unpacked.seek(0)
        return ImageFont.truetype(unpacked, size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.truetype(ROOT / path, size, layout_engine=ImageFont.Layout.BASIC)


def draw(kind: str, title: str, said: str) -> bytes:
    """The card as PNG."""
    from PIL import Image, ImageDraw

    paper, ink, grid, blue, quiet = palette.PAPER[0], palette.INK[0], palette.GRID[0], *_inks()
    image = Image.new("RGB", (WIDTH, HEIGHT), paper)
    canvas = ImageDraw.Draw(image)
    _mark(image, (MARGIN, 62), 76)
    canvas.text((MARGIN + 96, 64), NAME, ink, _font(SERIF, 38))
    if kind:
        width = _font(SANS, 30).getlength(kind)
        canvas.text((WIDTH - MARGIN - width, 71), kind, quiet, _font(SANS, 30))
    lines, size = _fit(title, SERIF, (76, 66, 56), 3)
    y = 168
    for line in lines:
        canvas.text((MARGIN, y), line, ink, _font(SERIF, size))
        y += round(size * 1.16)
    y += 26
    lines, size = _fit(said, SANS, (38, 34, 30), 3)
    for line in lines:
        canvas.text((MARGIN, y), line, quiet, _font(SANS, size))
        y += round(size * 1.36)
    _signal(image, 560, 34, grid, blue)
    return _png(image.quantize(COLOURS, dither=Image.Dither.NONE))


def _inks() -> tuple[str, str]:
    """Blue for the signal; for what steps back the ink and a quarter of the paper."""
    ink, paper = (tuple(bytes.fromhex(colour[0][1:])) for colour in (palette.INK, palette.PAPER))
    mixed = (round(0.76 * own + 0.24 * other) for own, other in zip(ink, paper, strict=True))
    return palette.SERIES[0][0], "#{:02x}{:02x}{:02x}".format(*mixed)


def _fit(text: str, font: Path, sizes: tuple[int, ...], most: int) -> tuple[list[str], int]:
    """Lines of the text in the largest size that needs no more than `most`; what is too long even then is cut."""
    for size in sizes:
        lines = _lines(text, _font(font, size))
        if len(lines) <= most:
            return lines, size
    kept = lines[:most]
    kept[-1] = kept[-1].rsplit(" ", 1)[0].rstrip(",;:") + " …"
    return kept, sizes[-1]


def _lines(text: str, font: "FreeTypeFont") -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= WIDTH - 2 * MARGIN:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


FINE = 4
"""Curves are drawn so many times larger and then made smaller, which smooths their edges."""


def _signal(image: Any, y: int, height: int, layers: str, colour: str) -> None:
    """A signal that keeps its height through thirty layers, across the foot of the card."""
    step = WIDTH / 30
    _curve(
        image,
        (0, y - height - 16, WIDTH, 2 * height + 32),
        [step * layer for layer in range(1, 30)],
        (3, 6),
        layers,
        colour,
    )


def _mark(image: Any, place: tuple[int, int], width: int) -> None:
    x, y = place
    step = width / 4
    _curve(
        image,
        (x, y, width, round(width * 0.75)),
        [step, 2 * step, 3 * step],
        (4, 6),
        palette.GRID[0],
        palette.SERIES[0][0],
    )


def _curve(
    image: Any, box: tuple[int, int, int, int], layers: list[float], widths: tuple[int, int], line: str, colour: str
) -> None:
    """In the box: a vertical line for each layer, and a sine with a zero at each."""
    import math

    from PIL import Image, ImageDraw

    x, y, width, height = box
    fine = image.crop((x, y, x + width, y + height)).resize((width * FINE, height * FINE), Image.Resampling.NEAREST)
    canvas: ImageDraw.ImageDraw = ImageDraw.Draw(fine)
    for at in layers:
        canvas.line([(at * FINE, 0), (at * FINE, height * FINE)], line, widths[0] * FINE)
    step, middle = layers[0], height / 2
    radius = widths[1] * FINE / 2
    swing = middle - widths[1] - 2
    for pixel in range(width * FINE + 1):
        at = pixel / FINE
        level = (middle - swing * math.sin(math.pi * at / step)) * FINE
        canvas.ellipse((pixel - radius, level - radius, pixel + radius, level + radius), colour)
    image.paste(fine.resize((width, height), Image.Resampling.LANCZOS), (x, y))


def icon() -> bytes:
    """The mark on paper, for the home screen of a phone: 180 by 180 pixels."""
    from PIL import Image

    image = Image.new("RGB", (180, 180), palette.PAPER[0])
    _mark(image, (24, 40), 132)
    return _png(image.quantize(COLOURS, dither=Image.Dither.NONE))


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
