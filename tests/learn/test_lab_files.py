"""The labs as files: the notebooks in the repository are theirs, and Binder gets the versions of the project."""

import re

import pytest

from docs.hooks.draw.scheme import STAND_INS
from docs.hooks.show import labs
from docs.hooks.show.search import WORDS
from docs.hooks.store import ROOT

every_lab = pytest.mark.parametrize("lab", labs.find_labs(), ids=lambda lab: lab.stem)


@every_lab
def test_the_notebook_in_the_repository_is_the_lab(lab, tmp_path):
    labs.write_notebook(ROOT / lab, tmp_path / "made.ipynb")
    assert (ROOT / lab).with_suffix(".ipynb").read_bytes() == (tmp_path / "made.ipynb").read_bytes(), "make figures"


@every_lab
def test_a_lab_imports_what_it_says_it_needs(lab):
    text = (ROOT / lab).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    imported = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    assert imported <= {"io", "math", "matplotlib", "torch", "IPython", "sklearn"}
    assert "needs `torch`, `scikit-learn`, `matplotlib` and Jupyter" in text


def test_binder_gets_the_versions_of_the_project():
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = re.findall(r"^\w[\w-]*==.*$", (ROOT / ".binder" / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert len(wanted) >= 3 and set(wanted) <= set(pinned)


def test_a_drawing_follows_the_scheme():
    drawn = labs.figure(
        f'<?xml version="1.0"?>\n<svg width="1">\n<path style="stroke: #000000"/><path fill="{STAND_INS["c0"]}"/></svg>'
    )
    assert drawn.startswith('<svg fill="var(--ink)"') or 'style="fill: var(--ink)"' in drawn
    assert "var(--c0)" in drawn and "#000000" not in drawn and "prefers-color-scheme:dark" in drawn


@every_lab
def test_the_colours_of_a_lab_follow_the_scheme(lab):
    """Any other would be wrong in one of the schemes."""
    assert set(re.findall(r"#[0-9a-f]{6}\b", (ROOT / lab).read_text(encoding="utf-8"))) <= set(STAND_INS.values())


def shown(text: str) -> str:
    """A paragraph of a lab as a page has it in the end."""
    return WORDS.sub("", labs.typeset(f"<p>{labs.set_apart(text)}</p>"))


def test_formulas_of_a_cell_are_set_and_code_is_not():
    html = shown("a $x_1*y_2*z$ and `$PATH`")
    assert html.startswith("<p>a <tex-formula class=") and html.endswith(" and `$PATH`</p>")
    assert "<math" in html and "$x" not in html
    display = shown("$$\ny\n$$")
    assert display.startswith('<div class="katex-display"') and display.endswith("</div>")


def test_punctuation_stays_on_the_line_of_its_formula():
    html = shown("At $x$, one ($y$) and $z$ more.")
    tied = re.findall(r'<span class="tied">(.)?<tex-formula.*?</tex-formula>(.*?)</span>', html)
    assert tied == [("", ","), ("(", ")")]
