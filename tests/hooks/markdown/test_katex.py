"""The markup that KaTeX makes, trimmed: it looks the same, says the same, and is smaller; a mistake is placed."""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from docs.hooks import store
from docs.hooks.markdown import fonts, katex

pytestmark = pytest.mark.slow

FORMULAS = [
    r"x",
    r"\sqrt{2/n}",
    r"\sqrt[3]{\frac{a}{b}}",
    r"\sum_{j=1}^{n_\text{in}} W_{ij} h_j",
    r"\mathbb E\!\left[\phi\!\left(\sqrt q\,\xi\right)^2\right]",
    r"\begin{cases} z & z>0,\\ \alpha z & z\le0\end{cases}",
    r"\begin{pmatrix}\sigma_1 & \cdots\\ \vdots & \ddots\end{pmatrix}",
    r"\begin{aligned} a &= b\\ &= c\end{aligned}",
    r"\underbrace{n\operatorname{Var}W}_{=1}\overbrace{a}^n",
    r"\widetilde{W}\,\hat x\,\bar\delta\,\vec v\,\overline{x+y}\,\underline{x}",
    r"\Biggl(\Bigl[\big\{x\big\}\Bigr]\Biggr)",
    r"\left\lVert\prod_{l=1}^{L}W_l\right\rVert\le1",
    r"\mathcal L\;\mathfrak g\;\mathscr L\;\mathsf S\;\mathtt t\;\mathbf B\;\mathit{it}\;\boldsymbol\theta\;\textbf{b}",
    r"\xrightarrow{n\to\infty}\stackrel{d}{=}\binom nk\not=\boxed{x}\cancel{y}\rule{1em}{1em}\llap{x}\rlap{y}\clap{z}",
    r"\begin{array}{c|c} a & b\\ \hline c & d\end{array}",
]
every_formula = pytest.mark.parametrize("tex", FORMULAS)


def untrimmed(tex: str, display: bool = True) -> ElementTree.Element:
    root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", katex._engine.call("render", tex, display)))
    return root.find("span") if display else root


def told_by_rules(root: ElementTree.Element) -> list[tuple[str, list[str], str]]:
    """Every leaf that shows or takes room, with its style, under the styled classes of all that it stands in."""
    found = []

    def walk(element: ElementTree.Element, above: list[str]) -> None:
        here = above + sorted(set(element.get("class", "").split()) & katex.STYLED)
        style = element.get("style", "")
        if element.text or style:
            found.append((element.text or "", here, style))
        for child in element:
            walk(child, here)
            if child.tail:
                found.append((child.tail, here, ""))

    walk(root.find("span[@class='katex-html']"), [])
    return found


@every_formula
def test_trimming_keeps_every_sign_with_the_classes_and_sizes_that_style_it(tex):
    trimmed = ElementTree.fromstring(katex.render(tex, True).html)
    kept, whole = told_by_rules(trimmed), told_by_rules(untrimmed(tex))
    # Text next to text may have been joined, so the signs are compared one by one.
    assert spread(kept) == spread(whole)


def spread(told):
    return [(sign, classes) for text, classes, _ in told for sign in text] + [style for *_, style in told if style]


@every_formula
def test_trimming_keeps_the_elements_that_rules_count(tex):
    """`.vlist>span>span` and its like find the same number of elements."""
    rules = ["vlist/span", "vlist/span/span", "delim-size1/span", "delim-size4/span", "katex-inner/span"]
    trimmed = ElementTree.fromstring(katex.render(tex, True).html)
    for rule in rules:
        name, _, path = rule.partition("/")
        counts = [
            sum(len(element.findall(path)) for element in root.iter() if name in element.get("class", "").split())
            for root in (trimmed, untrimmed(tex))
        ]
        assert counts[0] == counts[1], rule


@every_formula
def test_trimming_spares_elements(tex):
    assert len(list(ElementTree.fromstring(katex.render(tex, True).html).iter())) < len(list(untrimmed(tex).iter()))


def test_the_eye_gets_html_and_the_ear_mathml_without_the_tex():
    html = katex.render(r"\sqrt{2/n}").html
    root = ElementTree.fromstring(html)
    assert root.find("span[@class='katex-mathml']/math/msqrt") is not None
    assert root.find("span[@class='katex-html']").get("aria-hidden") == "true"
    assert "sqrt{" not in html and "annotation" not in html


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("x", "x"),
        (r"n_\text{in}", "nᵢₙ"),
        (r"n_\text{out}", "nₒᵤₜ"),
        (r"\sqrt{2/n}", "√(2/n)"),
        (r"\sqrt2", "√2"),
        (r"\frac{2}{n_\text{in}+n_\text{out}}", "2/(nᵢₙ + nₒᵤₜ)"),
        (r"\sigma_w^2", "σ_w²"),
        (r"x^{a+b}", "x^(a+b)"),
        (r"10^{-3}", "10⁻³"),
        (r"\operatorname{Var}W=1", "VarW = 1"),
        (r"\hat x\approx\bar\delta", "x\u0302 ≈ δ\u0304"),
        (r"\vec v\sim\widetilde W", "v\u20d7 ∼ W\u0303"),
        (r"a<b", "a < b"),
        (r"\sum_{l=1}^{L}", "∑ₗ₌₁ᴸ"),
    ],
)
def test_plain_text_of_a_formula(tex, text):
    assert katex.render(tex).text == text


@pytest.mark.parametrize(
    ("tex", "said", "position"),
    [
        (r"a+\nosuch b", "Undefined control sequence: \\nosuch", 2),
        (r"\frac{a}{b", "Unexpected end of input in a macro argument, expected '}'", 10),
        (r"a^b^c", "Double superscript", 3),
        (r"\begin{pmatrix} a \end{bmatrix}", "Mismatch", 18),
        (r"ü", "LaTeX-incompatible input", 0),
    ],
)
def test_bad_latex_is_refused_with_katexs_words_and_the_place(tex, said, position):
    with pytest.raises(katex.TexError) as refused:
        katex.render(tex)
    assert said in refused.value.message
    assert refused.value.position == position


def test_a_formula_is_found_again_on_the_disk_and_a_damaged_one_is_set_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FUNCTIONS_OF_TEXT", tmp_path)
    katex.render.cache_clear()
    formula = katex.render("x+y")
    (kept,) = tmp_path.iterdir()

    with monkeypatch.context() as without:
        without.setattr(katex, "_render", None)
        katex.render.cache_clear()
        assert katex.render("x+y") == formula
    for damage in (b"", b"[]", b"{}", b"\xff", kept.read_bytes()[:40]):
        kept.write_bytes(damage)
        katex.render.cache_clear()
        assert katex.render("x+y") == formula


def test_one_thread_starts_the_engine_asks_it_and_ends_it(monkeypatch):
    """Several that started it at once ended the process; so does one that V8 has locked out."""
    seen = []

    class Racer:
        def __init__(self) -> None:
            self.note("start")
            time.sleep(0.02)

        def note(self, what: str) -> None:
            seen.append((what, threading.current_thread().name))

        def call(self, *question: object) -> str:
            self.note("call")
            return f"{question}"

        def close(self) -> None:
            self.note("close")

    monkeypatch.setattr(katex, "_start", Racer)
    engine = katex._Engine()
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda number: engine.call(number), range(8))) == [
            f"({number},)" for number in range(8)
        ]
    engine.close()
    assert seen == [("start", "KaTeX"), *[("call", "KaTeX")] * 8, ("close", "KaTeX")]


def test_an_engine_that_does_not_start_says_why(monkeypatch):
    def fail() -> None:
        raise OSError("no such library")

    monkeypatch.setattr(katex, "_start", fail)
    engine = katex._Engine()
    for _ in range(2):
        with pytest.raises(OSError, match="no such library"):
            engine.call("render", "x", False)
    engine.close()


@pytest.mark.slow
def test_python_ends_soundly_after_another_thread_set_the_first_formula():
    """Where the processor has memory protection keys, V8 locked the main thread out and ended the process."""
    code = """
import threading
from docs.hooks.markdown import katex
thread = threading.Thread(target=katex._render, args=("x", False))
thread.start()
thread.join()
print(katex._render("y", False).text)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=store.ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "y\n", "")


@pytest.mark.parametrize(
    ("tex", "lines"),
    [
        (r"1.73205\times10^{12}", 1),
        (r"1.73205 \times 10^{-12}", 1),
        (r"1.73205\times10^{12} + 1", 2),
        (r"1.7320508\times n^{-12}", 2),
    ],
)
def test_a_number_with_a_power_of_ten_is_not_broken(tex, lines):
    html = katex.render(tex).html
    assert html.count('class="katex-base"') == lines
    assert "<mspace" not in html


@pytest.mark.parametrize(
    ("tex", "lines"), [("l=1", 1), (r"\beta\ne1", 1), (r"h_0\in\mathbb R^n", 1), ("a=b+c+d+e+f", 6), (r"\sigma_w=1", 1)]
)
def test_a_short_formula_is_not_broken_and_looks_the_same(tex, lines):
    shown = katex.render(tex)
    as_it_was = katex._trimmed(katex._answer(tex, False), False)
    assert shown.html.count('class="katex-base"') == lines < 2 or shown == as_it_was
    assert shown.text == as_it_was.text
    gaps = re.compile(r"margin-right:[\d.]+em")
    assert gaps.findall(shown.html) == gaps.findall(as_it_was.html)


def test_formulas_far_apart_on_one_display_may_stand_below_each_other():
    shown = katex.render(r"a=b,\qquad c=d", True)
    assert len(re.findall('<span class="katex">', shown.html)) == 2
    assert shown.text == "a = b, c = d"
    assert {letter for _, letter in fonts.glyphs(shown)} >= set("ab,cd")
    whole = katex.render(r"\begin{aligned}a&=b\qquad c\end{aligned}", True)
    assert len(re.findall('<span class="katex">', whole.html)) == 1
    with pytest.raises(katex.TexError) as refused:
        katex.render(r"a\qquad b\qquad \bad", True)
    assert refused.value.position == 16
