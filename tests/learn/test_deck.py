"""The Anki package: a zip with a database and its figures, and cards that keep their identity."""

import json
import re
import sqlite3
import time
import zipfile
from pathlib import Path

import pytest

from docs.hooks.learn import deck
from docs.hooks.learn.source import find_sources

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> dict:
    return read(tmp_path_factory.mktemp("deck"))


def read(folder: Path) -> dict:
    """Names of the decks, notes by their identity, and the media of the package of all sources."""
    deck.write(find_sources(), folder / "deck.apkg")
    with zipfile.ZipFile(folder / "deck.apkg") as zipped:
        assert zipped.testzip() is None
        names = json.loads(zipped.read("media"))
        media = {name: zipped.read(number) for number, name in names.items()}
        zipped.extract("collection.anki2", folder)
    database = sqlite3.connect(folder / "collection.anki2")
    try:
        (decks,) = database.execute("SELECT decks FROM col").fetchone()
        notes = dict(database.execute("SELECT guid, flds FROM notes"))
        (cards,) = database.execute("SELECT count(*) FROM cards").fetchone()
    finally:
        database.close()
    return {"decks": json.loads(decks), "notes": notes, "cards": cards, "media": media}


def test_every_entry_is_a_card(package):
    entries = [entry for source in find_sources() for entry in (*source.entries.quiz, *source.entries.interview)]
    assert len(package["notes"]) == package["cards"] == len(entries)


def test_every_chapter_is_a_deck(package):
    names = {one["name"] for one in package["decks"].values()}
    assert len([name for name in names if name.startswith("Well Initialized::")]) == len(find_sources())


def test_formulas_are_written_as_anki_sets_them(package):
    text = "".join(package["notes"].values())
    assert r"\(" in text and "$" not in re.sub(r"\\\$", "", text)
    assert "[[" not in text and "--8<--" not in text


def test_figures_come_along(package):
    shown = set(re.findall(r'<img src="([^"]+)"', "".join(package["notes"].values())))
    assert shown == set(package["media"])
    assert all("<img" in note for note in package["notes"].values()), "a card without a figure"
    assert all(svg.startswith(b"<svg") for svg in package["media"].values())


def test_cards_keep_their_identity(package, tmp_path):
    assert read(tmp_path)["notes"] == package["notes"]


def test_the_same_sources_make_the_same_bytes(tmp_path, monkeypatch):
    first, second = tmp_path / "first.apkg", tmp_path / "second.apkg"
    deck.write(find_sources(), first, 1_795_000_000)
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    monkeypatch.setattr(time, "localtime", lambda seconds=tomorrow: time.gmtime(seconds))
    deck.write(find_sources(), second, 1_795_000_000)
    assert first.read_bytes() == second.read_bytes()


def test_a_later_deck_is_newer(tmp_path):
    times = []
    for second in (0, 1_795_000_000, 1_795_000_001):
        deck.write(find_sources(), tmp_path / "deck.apkg", second)
        with zipfile.ZipFile(tmp_path / "deck.apkg") as zipped:
            zipped.extract("collection.anki2", tmp_path)
        database = sqlite3.connect(tmp_path / "collection.anki2")
        times.append(database.execute("SELECT max(mod) FROM notes").fetchone()[0])
        database.close()
    assert 0 < times[0] < times[1] < times[2]
