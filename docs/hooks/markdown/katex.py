"""KaTeX at build: TeX in, lean HTML and MathML out, no JavaScript for the reader.

The vendored `katex.min.js` runs in an engine that is started once per process. Of its markup only what the style sheet
or a screen reader needs is kept: laying out the elements is what a page full of formulas costs.
"""

import atexit
import json
import re
import threading
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from docs.hooks.store import digest, recall

if TYPE_CHECKING:
    from py_mini_racer import MiniRacer

VENDOR = Path(__file__).parents[1] / "vendor" / "katex"
STYLE_SHEET = (VENDOR / "katex.min.css").read_text(encoding="utf-8")
STYLED = set(re.findall(r"\.([a-z][\w-]*)", STYLE_SHEET))
# Rules such as `.vlist>span>span` need an element there, of whatever class.
COUNTED = {"vlist", "delim-size1", "delim-size4", "katex-inner"}
LOW = dict(zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
ACCENTS = {"^": "\u0302", "~": "\u0303", "ˉ": "\u0304", "‾": "\u0305", "˙": "\u0307", "⃗": "\u20d7"}
HIGH = dict(zip("0123456789+-−=()inlLT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁱⁿˡᴸᵀ", strict=True))

POWER = re.compile(r"(\d)\s*\\times\s*(?=10\^)")
"""The product within a number such as 1.7 x 10^7, which stays on one line."""
APART = re.compile(r"\s*\\qquad\s*")
"""Between two formulas on one display, which a narrow screen sets below each other."""
SHORT = 12
"""Letters of a formula within a line that is not broken."""
PAIRS = (("{", "}"), ("\\begin", "\\end"), ("\\left", "\\right"))
"""What stands between two of these is no formula of its own."""

RENDER = """
function render(tex, displayMode) {
  try {
    return katex.renderToString(tex, { displayMode, output: "htmlAndMathml", strict: "error" })
  } catch (error) {
    if (error instanceof katex.ParseError) return JSON.stringify([error.rawMessage, error.position ?? 0])
    throw error
  }
}
"""


@dataclass(frozen=True)
class Formula:
    html: str
    """KaTeX's markup, trimmed: one element, or several that may stand below each other; each is well-formed XML."""
    text: str
    """The formula on one line without markup, for tables of contents, titles and search."""


class TexError(Exception):
    """KaTeX's refusal: its own words, and the position in the formula where it stopped."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message, self.position = message, position


class _Engine:
    """V8 with KaTeX in a thread that starts it, asks it and ends it.

    On processors with memory protection keys V8 lets in only the thread that started it and those begun by that one
    later; any other, the main thread at the end of Python included, ends the process with a segmentation fault.
    """

    def __init__(self) -> None:
        self._questions: SimpleQueue[tuple[Future[str], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def call(self, *question: Any) -> str:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._answer, name="KaTeX", daemon=True)
                self._thread.start()
                # Left to the end of Python, taking the engine down may hang.
                atexit.register(self.close)
        answer: Future[str] = Future()
        self._questions.put((answer, question))
        return answer.result()

    def close(self) -> None:
        self._questions.put(None)
        if self._thread:
            self._thread.join()

    def _answer(self) -> None:
        racer = None
        while asked := self._questions.get():
            answer, question = asked
            try:
                racer = racer or _start()
                answer.set_result(racer.call(*question))
            except Exception as error:  # it concerns whoever asked
                answer.set_exception(error)
        if racer:
            racer.close()


def _start() -> "MiniRacer":
    from py_mini_racer import MiniRacer  # takes its time, and a warm build sets nothing

    racer = MiniRacer()
    racer.eval((VENDOR / "katex.min.js").read_text(encoding="utf-8") + RENDER)
    return racer


_engine = _Engine()


@cache
def render(tex: str, display: bool = False) -> Formula:
    """The formula set in KaTeX; `TexError` where it is not valid LaTeX. A later build finds it again on the disk."""
    return Formula(**recall((version(), str(display), tex), lambda: asdict(_render(tex, display))))


@cache
def version() -> str:
    """What decides how a formula is set."""
    return digest(b"".join(file.read_bytes() for file in (Path(__file__), *sorted(VENDOR.glob("katex.*")))))


def _render(tex: str, display: bool) -> Formula:
    parts = APART.split(tex)
    if display and len(parts) > 1 and all(part.count(a) == part.count(b) for part in parts for a, b in PAIRS):
        _answer(tex, display)  # says where the whole is wrong
        found = [_render(part, display) for part in parts]
        return Formula("".join(one.html for one in found), " ".join(one.text for one in found))
    formula = _trimmed(_answer(tex, display), display)
    if not display and len(formula.text) <= SHORT and formula.html.count("katex-base") > 1:
        return _trimmed(_answer(f"{{{tex}}}", display), display)
    return formula


def _trimmed(answer: str, display: bool) -> Formula:
    # HTML knows the namespaces of `math` and `svg`; without them the tags stay readable here.
    root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", answer))
    katex: Any = root.find("span") if display else root
    return Formula(_markup(katex, [[], []]), " ".join(_plain(katex.find(".//math")).split()))


def _answer(tex: str, display: bool) -> str:
    """KaTeX's markup. What it refuses, it refuses as the author wrote it."""
    for said in dict.fromkeys((POWER.sub(r"\1\\times\\nobreak ", tex), tex)):
        answer = _engine.call("render", said, display)
        if answer.startswith("<"):
            return re.sub(r'<mspace></mspace>|<span class="mspace nobreak"></span>', "", answer)
    raise TexError(*json.loads(answer))


def _markup(element: Element, above: list[list[str]]) -> str:
    """Serialized without the classes that no rule styles, and without the elements that are left with nothing to say.

    `above` holds the classes of all ancestors, outermost first.
    """
    if element.tag == "semantics":  # the formula, and its TeX, which no reader asks for
        return _markup(element[0], above)
    classes = [name for name in element.get("class", "").split() if name in STYLED]
    attributes = {name: value for name, value in element.items() if name != "class"}
    if classes:
        attributes = {"class": " ".join(classes)} | attributes
    inner = escape(element.text or "", quote=False)
    for child in element:
        inner += _markup(child, [*above, classes]) + escape(child.tail or "", quote=False)
    counted = COUNTED.intersection(above[-1]) or "vlist" in above[-2]
    if not attributes and ((element.tag == "span" and not counted) or (element.tag == "mrow" and len(element) == 1)):
        return inner
    shown = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{element.tag}{shown}>{inner}</{element.tag}>"


def _plain(element: Element) -> str:
    """MathML in one line: `n_\\text{in}` as nᵢₙ, `\\frac{2}{n}` as 2/n."""
    parts = [_plain(child) for child in element]
    match element.tag:
        case "semantics":
            return parts[0]
        case "mfrac":
            return "/".join(map(_group, parts))
        case "msqrt":
            return "√" + _group("".join(parts))
        case "mover" if element.get("accent"):
            return parts[0] + ACCENTS.get(parts[1], "")
        case "msub" | "munder":
            return parts[0] + _script(parts[1], "_", LOW)
        case "msup" | "mover":
            return parts[0] + _script(parts[1], "^", HIGH)
        case "msubsup" | "munderover":
            return parts[0] + _script(parts[1], "_", LOW) + _script(parts[2], "^", HIGH)
        case "mo" if element.text and re.fullmatch("[=<>≤≥≈≠∼≪≫→∝+−]", element.text):
            return f" {element.text} "
        case "mspace":
            return " "
    return (element.text or "").strip("\u2061") + "".join(parts)


def _group(text: str) -> str:
    return text if len(text) < 2 or text.isalnum() else f"({text.strip()})"


def _script(text: str, sign: str, small: dict[str, str]) -> str:
    text = text.replace(" ", "")
    return "".join(small[letter] for letter in text) if small.keys() >= set(text) else sign + _group(text)
