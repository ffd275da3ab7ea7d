"""Runs a public test of an exercise against one solution, in this process.

python -m tests.learn.exercises   prints each mistake that an exercise knows, and what its reader is told
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from docs.hooks.learn import exercises
from docs.hooks.learn.source import Source, find_sources
from docs.hooks.store import ROOT


def all_code() -> list[tuple[Source, str]]:
    return [(source, name) for source in find_sources() for name in source.code]


def load(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions(module: ModuleType) -> Iterator[Callable]:
    """Those that the file defines, in its order, without helpers."""
    return (
        value
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    )


def first_message(tests: Path, name: str, solution: Callable) -> str | None:
    """What the reader is told first if `solution` stands for the function `name`; None where all tests pass."""
    stand_in = ModuleType(name)
    setattr(stand_in, name, solution)
    before = sys.modules.get(name)
    sys.modules[name] = stand_in
    try:
        module = load(tests, f"public_{name}")
        for test in functions(module):
            if test.__name__.startswith("test_"):
                try:
                    test()
                except AssertionError as error:
                    return str(error)
    finally:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
    return None


if __name__ == "__main__":
    for of, exercise in all_code():
        for mistake in functions(load(exercises.mistakes(of, exercise), exercise)):
            told = first_message(exercises.tests(of, exercise), exercise, mistake)
            print(f"| {of.slug} | {exercise} | {mistake.__name__} | {(told or 'passes').splitlines()[0]} |", flush=True)
