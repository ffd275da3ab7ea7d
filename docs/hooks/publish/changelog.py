"""What changed for readers, from `docs/changelog.yml`: the list that its page shows, and the values for the feed."""

import json
from pathlib import Path
from typing import Any

import yaml

from docs.hooks.publish.facts import written
from docs.hooks.store import ROOT

SOURCE = Path("docs", "changelog.yml")
LIST = Path("docs", "figures", "changelog.md")
TEMPLATE = Path("docs", "overrides", "made", "changelog.html")

Entry = dict[str, Any]


class ChangelogError(ValueError):
    """What is wrong with an entry."""


def load(text: str) -> list[Entry]:
    """The entries, newest first; `ChangelogError` where one lacks something or stands in the wrong place."""
    entries = yaml.safe_load(text)
    for entry in entries:
        entry["day"] = str(entry["day"])
        if set(entry) != {"day", "title", "changes"} or not entry["title"] or not entry["changes"]:
            raise ChangelogError(f"{SOURCE.as_posix()}: {entry['day']}: day, title and changes are wanted")
    days = [entry["day"] for entry in entries]
    if days != sorted(set(days), reverse=True):
        raise ChangelogError(f"{SOURCE.as_posix()}: each day once, the newest first")
    return entries


def entries() -> list[Entry]:
    """Those of this project; a part of it may have none."""
    path = ROOT / SOURCE
    return load(path.read_text(encoding="utf-8")) if path.is_file() else []


def listing(known: list[Entry]) -> str:
    """For the page: a section for each day, whose address the feed names."""
    sections = (
        f"## {written(entry['day'])}: {entry['title'][0].lower()}{entry['title'][1:]} {{ #day-{entry['day']} }}\n\n"
        + "".join(f"- {change}\n" for change in entry["changes"])
        for entry in known
    )
    return "\n".join(sections)


def template(known: list[Entry]) -> str:
    """The entries as a variable of a template."""
    return f"{{% set changes = {json.dumps(known)} %}}\n"
