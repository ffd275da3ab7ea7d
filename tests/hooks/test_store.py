"""What is stored comes back as it was, or counts as not stored."""

import os
from typing import NamedTuple

import numpy as np
import pytest

from docs.hooks import store


class Pair(NamedTuple):
    first: np.ndarray
    second: dict


def test_a_measurement_comes_back_with_its_types(tmp_path):
    pair = Pair(np.arange(3, dtype=np.float32), {1: (2, [None]), 0.5: np.float64(1) / 3})
    packed = store.pickle.dumps(pair)
    store.save(tmp_path / "one.pickle", store.Measurement('{"claims": []}', [["head"], ["cell"]], packed))

    found = store.load(tmp_path / "one.pickle")

    assert (found.record, found.table) == ({"claims": []}, [["head"], ["cell"]])
    assert repr(found.measured) == repr(pair)


def test_a_function_of_text_is_computed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FUNCTIONS_OF_TEXT", tmp_path)
    made = iter("ab")

    assert [store.recall(("code", "text"), lambda: next(made)) for _ in range(2)] == ["a", "a"]
    assert store.recall(("code", "other text"), lambda: next(made)) == "b"


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"made": null}'])
def test_a_damaged_entry_is_computed_again(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(store, "FUNCTIONS_OF_TEXT", tmp_path)
    store.recall(("text",), lambda: "once")
    [entry] = tmp_path.iterdir()
    entry.write_text(damage)

    assert store.recall(("text",), lambda: "again") == "again"


def test_an_unchanged_file_is_not_written_and_a_failed_one_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "UNFINISHED", tmp_path / "unfinished")
    file = tmp_path / "file"
    assert [store.write_if_changed(file, text) for text in ("one", "one", "two")] == [True, False, True]

    monkeypatch.setattr(store.os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_if_changed(file, "three")
    assert file.read_text() == "two" and list(store.UNFINISHED.iterdir()) == []


def test_what_a_killed_build_left_goes_and_what_another_build_writes_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "UNFINISHED", tmp_path)
    for name in ("old", "young"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "old", (0, 0))

    store.forget_unfinished()

    assert [path.name for path in tmp_path.iterdir()] == ["young"]
