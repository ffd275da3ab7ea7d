"""The files that users copy are those that the command writes."""

import ast
import runpy
from pathlib import Path

import pytest

from snippets.diagnostics.check_model_source import bundle


@pytest.mark.parametrize("framework", bundle.FRAMEWORKS)
def test_a_committed_file_is_what_the_command_writes(framework):
    assert bundle.path(framework).read_text(encoding="utf-8") == bundle.bundled(framework)


def test_the_command_writes_both_files(monkeypatch):
    written = {}
    monkeypatch.setattr(Path, "write_text", lambda self, text, **_: written.update({self: text}))
    runpy.run_path(bundle.__file__, run_name="__main__")
    assert written == {bundle.path(framework): bundle.bundled(framework) for framework in bundle.FRAMEWORKS}


@pytest.mark.parametrize("framework", bundle.FRAMEWORKS)
def test_a_bundled_file_stands_alone_and_defines_nothing_twice(framework):
    tree = ast.parse(bundle.bundled(framework))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "snippets" not in {bundle._module(node) for node in imports}
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("framework", bundle.FRAMEWORKS)
def test_every_name_of_a_bundled_file_is_used(framework):
    """A part that only the other framework needs has no place in it."""
    text = bundle.bundled(framework)
    tree = ast.parse(text)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    assert defined - used == set() | ({"check_model"} - used)
