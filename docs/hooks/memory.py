"""What an earlier build made, kept on the disk under a digest of all that decides it."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from docs.hooks.files import write_if_changed

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "made"
Made = TypeVar("Made")
_used: set[str] = set()


def recall(what: tuple[Any, ...], make: Callable[[], Made]) -> Made:
    """What `make` returned for this, in this build or another; both must be JSON."""
    if (made := kept(what)) is None:
        keep(what, made := make())
    return made


def kept(what: tuple[Any, ...]) -> Any:
    """What was kept for this; None where nothing was, or where the entry is damaged."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return json.loads(_entry(what).read_text(encoding="utf-8"))["made"]
    return None


def keep(what: tuple[Any, ...], made: Any) -> None:
    write_if_changed(_entry(what), json.dumps({"made": made}))


def forget_unused() -> None:
    """Remove what this process neither looked up nor made, after a build that went through everything."""
    for entry in CACHE.iterdir():
        if entry.name not in _used:
            entry.unlink(missing_ok=True)  # another build may have been faster


def _entry(what: tuple[Any, ...]) -> Path:
    entry = CACHE / f"{digest(json.dumps(what).encode())}.json"
    _used.add(entry.name)
    return entry


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
