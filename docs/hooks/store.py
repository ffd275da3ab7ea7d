"""What the build keeps on the disk, so that an interrupted build leaves no half of a file.

Two stores lie in `.cache`: what experiments measured, one file each, which the next steps read; and what is a pure
function of text, under a digest of all that decides it.
"""

import contextlib
import hashlib
import json
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = ROOT / ".cache" / "unfinished"
FUNCTIONS_OF_TEXT = ROOT / ".cache" / "made"

Made = TypeVar("Made")
_used: set[str] = set()


def write_if_changed(path: Path, content: str | bytes) -> bool:
    """Replace `path` as a whole, and only when its bytes differ: an untouched file starts no live reload.

    Returns whether the file was written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    UNFINISHED.mkdir(parents=True, exist_ok=True)
    # On the same file system, since only there is the replacement atomic; outside docs/, which the live reload watches.
    handle, temporary = tempfile.mkstemp(dir=UNFINISHED)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return True


def forget_unfinished() -> None:
    """Remove what a build that was killed an hour ago or earlier had begun to write; younger may be another build's."""
    for path in UNFINISHED.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - 3600:
                path.unlink()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


@dataclass(frozen=True)
class Measurement:
    """What one run of an experiment gave."""

    numbers: str
    """The claims with their numbers, and all that was measured, as the JSON that a reader downloads."""

    table: list[list[str]] | None
    """The rows that a page shows, as inline Markdown, the head first; None where the experiment makes none."""

    packed: bytes
    """What `measure` returned. It is unpacked to the same types, which takes the libraries of the experiment."""

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.numbers)

    @property
    def measured(self) -> Any:
        return pickle.loads(self.packed)


def save(path: Path, measurement: Measurement) -> None:
    write_if_changed(path, pickle.dumps((measurement.numbers, measurement.table, measurement.packed), protocol=5))


def load(path: Path) -> Measurement:
    return Measurement(*pickle.loads(path.read_bytes()))


def recall(what: tuple[Any, ...], make: Callable[[], Made]) -> Made:
    """What `make` returned for this, in this build or another; both must be JSON."""
    if (made := kept(what)) is None:
        keep(what, made := make())
    return made


def kept(what: tuple[Any, ...]) -> Any:
    """What was kept for this; None where nothing was, or where the entry is damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return json.loads(_entry(what).read_text(encoding="utf-8"))["made"]
    return None


def keep(what: tuple[Any, ...], made: Any) -> None:
    write_if_changed(_entry(what), json.dumps({"made": made}))


def forget_unused() -> None:
    """Remove what this process neither looked up nor made, after a build that went through everything."""
    for entry in FUNCTIONS_OF_TEXT.iterdir():
        if entry.name not in _used:
            entry.unlink(missing_ok=True)  # another build may have been faster


def _entry(what: tuple[Any, ...]) -> Path:
    entry = FUNCTIONS_OF_TEXT / f"{digest(json.dumps(what).encode())}.json"
    _used.add(entry.name)
    return entry
