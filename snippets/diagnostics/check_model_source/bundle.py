"""Writes the two files that users copy, each from the parts beside this one.

    python -m snippets.diagnostics.check_model_source.bundle

A part is a module of its own. A bundled file takes over all of it but the
docstring and the imports of other parts.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PARTS = ("limits", "report", "advice", "seen", "signals", "judge", "before")
FRAMEWORKS = ("pytorch", "keras")


PRIVATE = "# No public name has what these have."
GUARDED = "tensorflow"
"""Keras runs without it, on another backend."""
GUARD = """try:
    {}
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{{__name__}} needs TensorFlow: pip install tensorflow, and set "
        "KERAS_BACKEND=tensorflow before keras is imported"
    ) from error
"""


class Part(NamedTuple):
    docstring: str
    imports: list[ast.Import | ast.ImportFrom]
    """All but those of other parts."""
    body: str


def part(path: Path) -> Part:
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    head = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    body = lines[(head[-1] if head else tree.body[0]).end_lineno :]
    return Part(
        ast.get_docstring(tree, clean=False),
        [node for node in head if _module(node) != "snippets"],
        "\n".join(body).strip("\n"),
    )


def bundled(framework: str) -> str:
    """The text of `check_model_<framework>.py`."""
    *parts, watch = (
        part(FOLDER / f"{name}.py") for name in (*PARTS, *own_parts(framework))
    )
    return text(path(framework), watch, parts)


def own_parts(framework: str) -> list[str]:
    """Those of one framework, each behind what it imports; `watch` is the last."""
    own = sorted(FOLDER.glob(f"*_{framework}.py"))
    needs = {path.stem: _imported(path) & {one.stem for one in own} for path in own}
    return list(TopologicalSorter(needs).static_order())


def _imported(path: Path) -> set[str]:
    """The last names of the modules that a part imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {node.module.rpartition(".")[2] for node in nodes}


def text(place: Path, watch: Part, parts: list[Part], beside: str = "") -> str:
    """Of a bundled file; `beside` imports from others."""
    nodes = [node for one in (*parts, watch) for node in one.imports]
    standard = [node for node in nodes if _module(node) in sys.stdlib_module_names]
    guarded = [node for node in nodes if _module(node) == GUARDED]
    others = [node for node in nodes if node not in (*standard, *guarded)]
    head = [
        f'"""{watch.docstring}"""',
        f"# Made of the parts in {place.stem.rpartition('_')[0]}_source/: change those, then run bundle.py.",
        "\n".join(_merged(standard)),
        "\n".join(_merged(others)),
        GUARD.format("\n    ".join(_merged(guarded))) if guarded else "",
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
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for node in nodes:
        for alias in node.names:
            known = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            if isinstance(node, ast.ImportFrom):
                names.setdefault(node.module, set()).add(known)
            else:
                plain.add(known)
    lines = [f"import {name}" for name in sorted(plain)]
    told = False
    for module in sorted(names):
        if {"src", "python"} & set(module.split(".")) and not told:
            lines += ["", PRIVATE]
            told = True
        lines.append(f"from {module} import {', '.join(sorted(names[module]))}")
    return lines


if __name__ == "__main__":
    main()
