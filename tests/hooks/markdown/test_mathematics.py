"""Formulas in Markdown: wherever prose stands they are set, and nowhere else."""

import json
import re

import markdown
import pytest

from docs.hooks.markdown import formulas

EXTENSIONS = [
    "abbr", "admonition", "attr_list", "footnotes", "md_in_html", "tables", "toc", "pymdownx.details",
    "pymdownx.highlight", "pymdownx.inlinehilite", "pymdownx.arithmatex", "pymdownx.superfences", "pymdownx.tabbed",
    "docs.hooks.markdown.mathematics",
]  # fmt: skip
SETTINGS = {
    "pymdownx.arithmatex": {"generic": True, "inline_syntax": ["dollar"], "block_syntax": ["dollar"]},
    "pymdownx.tabbed": {"alternate_style": True},
    "toc": {"permalink": True},
}


@pytest.fixture
def converter() -> markdown.Markdown:
    return markdown.Markdown(extensions=EXTENSIONS, extension_configs=SETTINGS)


OPENING = '<tex-formula class="katex" data-search-exclude="">'

IN_A_LINE = {
    "paragraph": "Words $x^2$ and words.",
    "paragraph of two lines": "Words $x^2 +\n1$ and words.",
    "emphasis": "Words **with $x$** and *with $y$*.",
    "link": "[The root $\\sqrt2$](nowhere.md)",
    "heading": "## Of $x$\n",
    "list": "- one $x$\n- two $y$\n",
    "table": "| symbol $s$ | meaning |\n|---|---|\n| $\\lambda$ | $\\lVert x\\rVert$ or $\\|x\\|$ |\n",
    "definition in a tab": '=== "PyTorch"\n\n    In a tab $x$.\n\n=== "Keras"\n\n    Another $y$.\n',
    "admonition": '!!! note "Of $x$"\n    Words $y$.\n',
    "details": '??? question "What is $x$?"\n    It is $y$.\n',
    "quote": "> Words $x$.\n",
    "footnote": "Words[^1].\n\n[^1]: A note $x$.\n",
    "span in HTML": '<figure markdown="1">\n<figcaption markdown="span">Caption $x$.</figcaption>\n</figure>\n',
    "card": '<div class="evidence" markdown="1">\n<p markdown="span">Of $x$</p>\n<ul markdown="1">\n<li markdown="1">\n'
    '<p markdown="span">Claim $n_\\text{in}$</p>\n</li>\n</ul>\n</div>\n',
    "less than": "As $a<b$ and $a < b$, also $x<y$ & $y>z$.",
    "less than in HTML": '<p markdown="span">As $a < b$ and $a \\lt b$.</p>\n',
}


@pytest.mark.parametrize("text", IN_A_LINE.values(), ids=IN_A_LINE.keys())
def test_every_formula_in_a_line_is_set(text, converter):
    html = converter.convert(text)

    assert html.count(OPENING) == html.count("</tex-formula>") == text.count("$") / 2
    assert html.count("<math>") == html.count('class="katex-html"') == text.count("$") / 2
    assert not re.search(r"\$|\\\(|arithmatex|\x02|\x03", html)
    assert len(formulas.read(text)[0]) == text.count("$") / 2


ON_DISPLAY = {
    "alone": "Words\n\n$$\nx^2\n$$\n\nwords",
    "on one line": "Words\n\n$$x^2$$\n\nwords",
    "list": "- item\n\n    $$\n    x^2\n    $$\n",
    "details": '??? question "What?"\n\n    $$\n    x^2\n    $$\n',
    "tab": '=== "PyTorch"\n\n    $$\n    x^2\n    $$\n',
    "several lines": "$$\n\\begin{aligned}\na &< b\\\\\n&= c\n\\end{aligned}\n$$\n",
}


@pytest.mark.parametrize("text", ON_DISPLAY.values(), ids=ON_DISPLAY.keys())
def test_every_formula_on_display_is_set_in_one_container(text, converter):
    html = converter.convert(text)

    assert html.count('<div class="katex-display"') == html.count("<math") == 1
    assert not re.search(r"\$|\\\[|arithmatex|<p>\s*<div", html)
    assert len(formulas.read(text)[0]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "A book for \\$5 and one for \\$6.",
        "Code `$x$` and ``a ` $y$``.",
        "```python\ncost = '$x$'\n```",
        '=== "PyTorch"\n\n    ```python title="x.py"\n    cost = "$x$"\n    ```\n',
        "~~~\n$$\nx\n$$\n~~~",
        "<!-- a remark: $x$ -->\n\nWords.",
    ],
)
def test_what_is_no_formula_is_left_alone(text, converter):
    assert "katex" not in converter.convert(text)
    assert formulas.read(text) == ([], [])


def test_front_matter_is_no_place_for_formulas():
    assert formulas.read("---\nquestion: What is $x$?\n---\n# Page\n") == ([], [])


@pytest.mark.parametrize(
    ("text", "tied"),
    [
        ("is $x$, then", '<p>is <span class="tied">F,</span> then</p>'),
        ("the mean ($x$).", '<p>the mean <span class="tied">(F).</span></p>'),
        ("($x$) and ($y$)", '<p><span class="tied">(F)</span> and <span class="tied">(F)</span></p>'),
        (
            "**bold** $x$, $y$; z",
            '<p><strong>bold</strong> <span class="tied">F,</span> <span class="tied">F;</span> z</p>',
        ),
        ("is $x$ alone", "<p>is F alone</p>"),
        ("*$x$*.", "<p><em>F</em>.</p>"),
    ],
)
def test_punctuation_stays_on_the_line_of_its_formula(text, tied, converter):
    assert re.sub(f"<tex-words.*?</tex-words>{OPENING}.*?</tex-formula>", "F", converter.convert(text)) == tied


def test_headings_are_named_in_words(converter):
    html = converter.convert("# The $\\sigma_w^2$ of it\n\n## Why $a<b$ and **$x$** { #why }\n")

    (first,) = converter.toc_tokens
    assert (first["name"], first["children"][0]["name"]) == ("The σ_w² of it", "Why a &lt; b and x")
    assert '<h2 id="why">Why <tex-words hidden="">a &lt; b</tex-words><tex-formula class="katex" ' in html


def test_a_formula_read_aloud_is_mathml_and_seen_is_html(converter):
    html = converter.convert("Words $x$.")

    assert '<span class="katex-mathml"><math><mi>x</mi></math></span>' in html
    assert '<span class="katex-html" aria-hidden="true">' in html


def test_an_image_described_with_a_formula_is_described_in_words(converter):
    assert 'alt="falls by √(2/n) per layer"' in converter.convert("![falls by $\\sqrt{2/n}$ per layer](x.svg)")


def test_pages_do_not_mix(converter):
    converter.convert("Words $x$.")
    converter.reset()

    assert "katex" not in converter.convert("Words.")


SMALL_PAGE = "# Small $n_\\text{in}$\n\nWords $\\sqrt2$ and words.\n\n$$\n\\sum_i x_i\n$$\n\n## Part $y$\n\nMore.\n"


def test_formulas_stand_in_the_search_as_words_and_in_the_pages_without_them(project):
    project.write("docs/index.md", SMALL_PAGE)

    assert project.build_site().returncode == 0

    index = json.loads((project.root / "site/search/search_index.json").read_text(encoding="utf-8"))
    found = [(entry["title"], entry["text"]) for entry in index["docs"]]
    assert found == [("Small nᵢₙ", "<p>Words √2 and words.</p> ∑ᵢxᵢ"), ("Part y", "<p>More.</p>")]
    page = (project.root / "site/index.html").read_text(encoding="utf-8")
    assert "tex-words" not in page
    assert page.count(f'{OPENING}<span class="katex-mathml"><math>') == 3
    displayed = '<div class="katex-display" data-search-exclude=""><span class="katex"><span class="katex-mathml"><math'
    assert page.count(displayed) == 1
    assert re.search(r'href="#part-y" class="md-nav__link">\s*<span class="md-ellipsis">\s*Part y\s*<', page)
    assert "<title>Small nᵢₙ</title>" in page or "<title>Well Initialized</title>" in page
