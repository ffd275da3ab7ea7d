"""Writing files so that an interrupted build leaves no half of one."""

import contextlib
import os
import tempfile
from pathlib import Path

UNFINISHED = Path(__file__).resolve().parents[2] / ".cache" / "unfinished"


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
