"""Writes the two files that users copy, each from the parts beside this one.

    python -m snippets.diagnostics.check_model_source.bundle

A part is a module of its own. A bundled file takes over all of it but the
docstring and the imports of other parts.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PARTS = ("limits", "report", "advice", "judge", "before")
FRAMEWORKS = ("pytorch", "keras")


class Part(NamedTuple):
    docstring: str
    imports: list[ast.Import | ast.ImportFrom]
    """Of the standard library."""
    framework: str
    """The lines that import the framework, as they stand."""
    body: str


def part(path: Path) -> Part:
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    head = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    standard = [node for node in head if _module(node) in sys.stdlib_module_names]
    foreign = [
        node for node in head if node not in standard and _module(node) != "snippets"
    ]
    # A comment above the last import belongs to it.
    framework = lines[foreign[0].lineno - 1 : foreign[-1].end_lineno] if foreign else []
    body = lines[(head[-1] if head else tree.body[0]).end_lineno :]
    return Part(
        ast.get_docstring(tree, clean=False),
        standard,
        "\n".join(framework),
        "\n".join(body).strip("\n"),
    )


def bundled(framework: str) -> str:
    """The text of `check_model_<framework>.py`."""
    watch, *parts = (
        part(FOLDER / f"{name}.py") for name in (f"watch_{framework}", *PARTS)
    )
    return text(path(framework), watch, parts)


def text(place: Path, watch: Part, parts: list[Part], beside: str = "") -> str:
    """Of a bundled file; `beside` imports from others."""
    head = [
        f'"""{watch.docstring}"""',
        f"# Made of the parts in {place.stem.rpartition('_')[0]}_source/: change those, then run bundle.py.",
        "\n".join(_merged([node for one in (watch, *parts) for node in one.imports])),
        watch.framework,
        beside,
    ]
    bodies = "\n\n\n".join(one.body for one in (*parts, watch))
    return _formatted("\n\n".join(filter(None, head)) + "\n\n" + bodies + "\n", place)


def path(framework: str) -> Path:
    return FOLDER.parent / f"check_model_{framework}.py"


def main() -> None:
    for framework in FRAMEWORKS:
        path(framework).write_text(bundled(framework), encoding="utf-8")


def _formatted(code: str, place: Path) -> str:
    """As the formatter writes it that all files pass."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(place)]
    return subprocess.run(
        command, input=code, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _module(node: ast.Import | ast.ImportFrom) -> str:
    name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    return name.partition(".")[0]


def _merged(nodes: list[ast.Import | ast.ImportFrom]) -> list[str]:
    """One line for each module, in the order of the alphabet."""
    plain = {
        alias.name
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names.setdefault(node.module, set()).update(
                alias.name for alias in node.names
            )
    return [f"import {name}" for name in sorted(plain)] + [
        f"from {module} import {', '.join(sorted(names[module]))}"
        for module in sorted(names)
    ]


if __name__ == "__main__":
    main()
