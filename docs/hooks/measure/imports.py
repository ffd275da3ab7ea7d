"""What a Python file of the project imports, directly or through other files: what its result may rest on."""

import ast
import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from docs.hooks.store import ROOT, digest, recall

CODE = Path(__file__).read_text(encoding="utf-8")


def imported_files(*paths: Path) -> set[Path]:
    """The files of the project that the files `paths` import, directly or through others; relative to the root."""
    return {file for path in paths for file in map(_file_of, imported_modules(path)) if file}


def imported_modules(path: Path) -> set[str]:
    """The dotted names that `path` imports, directly or through files of the project."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        new = outline(waiting.pop()).imports - found
        found |= new
        waiting += filter(None, map(_file_of, new))
    return found


def _file_of(module: str) -> Path | None:
    file = f"{module.replace('.', '/')}.py"
    return Path(file) if module.startswith(("snippets.", "docs.")) and os.path.isfile(f"{ROOT}/{file}") else None


class Outline(NamedTuple):
    """What a Python file imports and defines; nothing where its syntax is wrong, which its run tells with the line."""

    imports: frozenset[str]
    """Dotted names; of `from a import b` both `a` and `a.b`, since `b` may be a module."""

    functions: frozenset[str]
    docstring: str

    program: str
    """A digest of what it does: of all but comments, docstrings and the look of the code."""


def outline(path: Path) -> Outline:
    return _outline_of(path, (ROOT / path).stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _outline_of(path: Path, changed: int) -> Outline:
    """Cached since experiments share files, and a live reload asks again; `changed` makes a new version a new entry."""
    text = (ROOT / path).read_text(encoding="utf-8")
    imports, functions, docstring, program = recall((CODE, text), lambda: _read_outline(text))
    return Outline(frozenset(imports), frozenset(functions), docstring, program)


def _read_outline(text: str) -> tuple[list[str], list[str], str, str]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return [], [], "", digest(text.encode())
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    docstring = ast.get_docstring(tree) or ""
    program = digest(ast.dump(_WithoutWords().visit(tree)).encode())
    return sorted(imports), functions, docstring, program


class _WithoutWords(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """A string that stands alone is a docstring, of a module or of a field."""
        return None if isinstance(node.value, ast.Constant) else node
