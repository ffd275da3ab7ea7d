"""Writes the two files that users copy, each from the parts beside this one.

    python -m snippets.diagnostics.diagnose_source.bundle

They import `check_model`, which a user copies first, from the file beside them.
"""

import ast
from pathlib import Path

from snippets.diagnostics.check_model_source import bundle as one

FOLDER = Path(__file__).parent
PARTS = ("limits", "advice", "report", "judge", "probe", "program")
FRAMEWORKS = one.FRAMEWORKS


def bundled(framework: str) -> str:
    """The text of `diagnose_<framework>.py`."""
    files = [FOLDER / f"{name}.py" for name in (f"watch_{framework}", *PARTS)]
    watch, *parts = (one.part(path) for path in files)
    names = {name for path in files for name in _of_check_model(path)}
    names = sorted(names, key=lambda name: (not name[0].isupper(), name.lower()))
    beside = f"check_model_{framework} import {', '.join(names)}"
    return one.text(
        path(framework),
        watch,
        parts,
        f"if __package__:\n    from .{beside}\nelse:\n    from {beside}",
    )


def path(framework: str) -> Path:
    return FOLDER.parent / f"diagnose_{framework}.py"


def main() -> None:
    for framework in FRAMEWORKS:
        path(framework).write_text(bundled(framework), encoding="utf-8")


def _of_check_model(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and ".check_model_" in node.module
        for alias in node.names
    ]


if __name__ == "__main__":
    main()
