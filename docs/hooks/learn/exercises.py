"""Exercises with code. The solution is the one source: the stub that a reader starts from is it without its work.

docs/learn/exercises/<topic>/<name>.py           the solution: one function <name>
docs/learn/exercises/<topic>/test_<name>.py      what the reader runs; its messages teach
docs/learn/exercises/<topic>/mistakes_<name>.py  plausible wrong solutions; the docstring of each is the message
                                                 that the test has for it
"""

import ast
from pathlib import Path

from docs.hooks.learn.source import Source
from docs.hooks.store import ROOT

FOLDER = Path("docs", "learn", "exercises")
NOTHING_YET = 'raise NotImplementedError("your turn")'


def solution(source: Source, name: str) -> Path:
    return FOLDER / source.topic / f"{name}.py"


def tests(source: Source, name: str) -> Path:
    return FOLDER / source.topic / f"test_{name}.py"


def mistakes(source: Source, name: str) -> Path:
    return FOLDER / source.topic / f"mistakes_{name}.py"


def body(source: Source, name: str) -> str:
    """The whole solution."""
    return (ROOT / solution(source, name)).read_text(encoding="utf-8").strip()


def stub(source: Source, name: str) -> str:
    """The solution up to the docstring of its function. What only the work imports stays, and helps."""
    text = body(source, name)
    function = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name)
    promise, *work = function.body
    lines = text.splitlines()
    before, after = lines[: promise.end_lineno], lines[work[-1].end_lineno :]
    return "\n".join([*before, " " * promise.col_offset + NOTHING_YET, *after])
