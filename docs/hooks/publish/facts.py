"""What the site says of its own build: the commit that was measured, its day, the versions that measured it.

The day is the commit's, not today's: two builds of one commit are the same to the byte. Templates import the facts, so
that both MkDocs and its successor show them. Without git, in an unpacked archive, commit and day are empty.
"""

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from docs.hooks.store import ROOT

TEMPLATE = Path("docs", "overrides", "made", "facts.html")
MEASURING = {"PyTorch": "torch", "TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy"}
"""The packages whose versions a reader asks for."""


class Facts(NamedTuple):
    commit: str
    """All forty digits; empty where there is no git."""
    day: str
    """Of the commit, in the time zone of its author: 2026-11-29."""
    changed: bool
    """Whether a tracked file differs from the commit."""
    versions: list[tuple[str, str]]
    second: int = 0
    """When the commit was made, in seconds since 1970; 0 where there is no git."""


def facts(root: Path = ROOT) -> Facts:
    versions = [(name, version(package).partition("+")[0]) for name, package in MEASURING.items()]
    try:
        # Not those of a repository that the project happens to lie in.
        if not Path(_git(root, "rev-parse", "--show-toplevel")).samefile(root):
            return Facts("", "", False, versions)
        commit, day, second = _git(root, "log", "-1", "--format=%H %as %ct").split()
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
        return Facts(commit, day, changed, versions, int(second))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return Facts("", "", False, versions)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def template(known: Facts) -> str:
    """The facts as variables of a template, for `{% from "made/facts.html" import commit %}`."""
    values = known._asdict() | {"year": known.day[:4], "written_day": written(known.day)}
    return "".join(f"{{% set {name} = {json.dumps(value)} %}}\n" for name, value in values.items())


MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""Not `strftime`, which asks the reader's locale."""


def written(day: str) -> str:
    """A day in words: `2026-11-29` is November 29, 2026."""
    if not day:
        return ""
    year, month, number = day.split("-")
    return f"{MONTHS[int(month) - 1]} {int(number)}, {year}"
