"""Evidence cards: what stands on a page is the same whether the card was converted before or not."""

import pytest
from mkdocs.config import load_config

import markdown
from docs.hooks import evidence, memory
from docs.hooks.experiment import find_experiments


@pytest.fixture
def to_html(tmp_path, monkeypatch):
    """Markdown to HTML with the settings of the site, an empty memory, and no memory of whole pages."""
    monkeypatch.setattr(memory, "CACHE", tmp_path)
    config = load_config("mkdocs.yml")

    def convert(text, without=()):
        extensions = [name for name in config.markdown_extensions if name not in {"docs.hooks.parsed", *without}]
        return markdown.markdown(text, extensions=extensions, extension_configs=config.mdx_configs)

    return convert


def card(statement):
    claims = [
        {
            "statement": statement,
            "source": "He et al. (2015)",
            "paper": paper,
            "measured": 2.1,
            "printed": "2.1",
            "interval": interval,
            "reason": "Theory gives $\\frac{2}{n}$; `fan_in` < 3 & more.",
        }
        for paper, interval in (("two", [1, 3]), (None, [-1e-7, "inf"]))
    ]
    record = {"statement": statement, "source": "He et al. (2015), section 2.2 & equation 10", "claims": claims}
    return evidence.card(find_experiments()[0], record)


def test_a_remembered_card_is_the_one_that_the_page_would_make(to_html):
    page = "Words $x^2$.\n\n" + card("The gain $g$ of *ReLU*") + "\nBetween.\n\n" + card("`fan_in` wins")
    made = to_html(page)
    assert "<!--tex" in made
    assert "evidence-title" in made
    assert made == to_html(page) == to_html(page, without=["docs.hooks.cards"])


def test_a_card_is_found_again_by_its_text(to_html, tmp_path):
    text = card("The gain")
    to_html(text)
    kept = next(path for path in tmp_path.iterdir() if "evidence-claims" in path.read_text(encoding="utf-8"))
    kept.write_text('{"made": "<p>from the disk</p>"}')
    assert "<p>from the disk</p>" in to_html(text)
    assert "<p>from the disk</p>" not in to_html(text.replace("This build", "This measurement"))


def test_the_links_of_a_card_are_left_to_the_page(to_html, tmp_path):
    assert "download" in to_html(card("The gain"))
    assert all("evidence-links" not in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
