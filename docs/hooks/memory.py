"""What an earlier build made, kept on the disk under a digest of all that decides it."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from docs.hooks.files import write_if_changed

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "made"
Made = TypeVar("Made")


def recall(what: tuple[str, ...], make: Callable[[], Made]) -> Made:
    """What `make` returned for these words, in this build or another; it must be JSON. A damaged entry is made anew."""
    kept = CACHE / f"{digest(json.dumps(what).encode())}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        return json.loads(kept.read_text(encoding="utf-8"))["made"]
    made = make()
    write_if_changed(kept, json.dumps({"made": made}))
    return made


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
