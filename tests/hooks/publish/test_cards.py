"""The card of a page shows its words, whole, and has the same bytes each time."""

import io
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from docs.hooks.draw import palette
from docs.hooks.publish import cards
from docs.hooks.store import ROOT

LONG = "Why do thirty layers of rectifiers that start at the scale of Xavier never begin to learn anything at all"


def test_a_card_has_the_size_that_networks_ask_for_and_is_light():
    drawn = cards.draw("Question 7", "He initialization", "Why twice the variance?")
    image = Image.open(io.BytesIO(drawn))
    assert (image.size, image.format) == ((1200, 630), "PNG")
    assert "#{:02x}{:02x}{:02x}".format(*image.convert("RGB").getpixel((3, 3))) == palette.PAPER[0]
    assert len(drawn) < 60_000


def test_the_same_words_give_the_same_bytes():
    assert cards.draw("Lab", "One", "Two") == cards.draw("Lab", "One", "Two")
    assert cards.draw("Lab", "One", "Two") != cards.draw("Lab", "One", "Three")


@pytest.mark.parametrize("words", [("", LONG, LONG), ("Toolbox", LONG * 3, LONG * 3)])
def test_long_words_stay_within_the_margins(words):
    image = Image.open(io.BytesIO(cards.draw(*words))).convert("RGB")
    paper = tuple(bytes.fromhex(palette.PAPER[0][1:]))
    for box in ((0, 0, cards.MARGIN - 4, 500), (cards.WIDTH - cards.MARGIN + 4, 0, cards.WIDTH, 500)):
        assert image.crop(box).getcolors() == [((box[2] - box[0]) * 500, paper)]


def test_what_is_too_long_is_cut_with_a_mark():
    lines, size = cards._fit(LONG * 3, cards.SANS, (38, 30), 2)
    assert len(lines) == 2 and size == 30 and lines[-1].endswith(" …")


@pytest.mark.parametrize("card", cards.find_cards(), ids=lambda card: card.source.as_posix())
def test_the_fonts_have_every_letter_of_every_card(card):
    kind, title, said = card.words
    assert title and said
    for font, text in ((cards.SERIF, title), (cards.SANS, kind + said)):
        assert set(map(ord, text)) <= set(TTFont(ROOT / font).getBestCmap()), text


def test_each_page_has_a_card_of_its_own():
    paths = [card.path for card in cards.find_cards()]
    assert len(set(paths)) == len(paths) > 50
    assert cards.CARDS / "card.png" in paths
    assert cards.CARDS / "chapters" / "he-initialization" / "card.png" in paths


def test_marks_of_markdown_are_not_drawn():
    assert cards._plain("The *mean* of `x` in [a chapter](../a.md) { #b }") == "The mean of x in a chapter"


def test_a_page_without_a_title_or_with_a_broken_front_matter_still_gets_a_card(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").touch()
    (tmp_path / "docs" / "index.md").write_text("---\na: [\n---\nWords.\n", encoding="utf-8")
    monkeypatch.setattr(cards, "ROOT", tmp_path)
    assert cards.Card(cards.CARDS / "card.png", Path("docs", "index.md")).words == ("", cards.NAME, "")
