"""Archives whose bytes depend on what is in them alone."""

import io
import zipfile
from collections.abc import Mapping


def zipped(files: Mapping[str, bytes], *, compressed: bool = False) -> bytes:
    """A zip of the files by their paths. How well it is compressed, and so its bytes, depends on the machine's zlib."""
    data = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(data, "w", method) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)  # of January 1, 1980
            entry.compress_type = method
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on Windows
            archive.writestr(entry, content)
    return data.getvalue()
