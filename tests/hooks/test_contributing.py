"""The contributor's guide is true: its map shows what is there, its walks name files that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = re.search(r"```mermaid\n(.*?)```", GUIDE, flags=re.DOTALL)[1]
MADE = {"docs/figures", "site", ".cache/measured", ".venv/bin/pre-commit"}
"""What only a build or an environment brings."""


def test_the_map_shows_each_part_of_the_build():
    drawn = set(re.findall(r'"(\w+)/<br>', MAP))
    assert drawn == {path.parent.name for path in ROOT.glob("docs/hooks/*/*.py")}


def test_the_map_and_the_text_name_paths_that_exist():
    named = {*re.findall(r'[\["(]([\w./-]+/[\w./-]*)[\]",<]', MAP), *re.findall(r"`([\w./-]+/[\w./-]*)`", GUIDE)}
    paths = {name.rstrip("/") for name in named} - MADE
    assert len(paths) >= 15
    assert [
        path for path in sorted(paths) if not any((base / path).exists() for base in (ROOT, ROOT / "docs/hooks"))
    ] == []


def test_the_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z-]+)", GUIDE))
    assert len(named) >= 4 and named <= targets
