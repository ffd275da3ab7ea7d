"""The benchmark of the explorer weighs what is sent, and does without a browser; tests/site has it time passes."""

import gzip
import re
from pathlib import Path

import pytest

from docs.hooks.show.explorer import publish_modules
from tests.bench.explorer import MODULES, report, weight

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>site</title>", encoding="utf-8")
    publish_modules(ROOT / "docs" / MODULES, tmp_path / MODULES)
    return tmp_path


def test_modules_are_weighed_one_by_one_as_they_are_sent(tmp_path):
    (tmp_path / MODULES).mkdir(parents=True)
    for name in ("a.js", "b.js"):
        (tmp_path / MODULES / name).write_bytes(b"const a = 1\n" * 100)
    (tmp_path / MODULES / "data.json").write_bytes(b"[]")
    assert weight(tmp_path) == 2 * len(gzip.compress(b"const a = 1\n" * 100, 6))


def test_without_a_browser_the_weight_alone_is_told(site, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    told = report(site)
    assert re.fullmatch(r"explorer code: \d+\.\d kB gzipped, of at most 20.5\nNo Chromium is found: .*", told)
