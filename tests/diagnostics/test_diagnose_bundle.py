"""The files of `diagnose` that users copy are those that the command writes."""

import ast
import runpy
from pathlib import Path

import pytest

from snippets.diagnostics.diagnose_source import bundle


@pytest.mark.parametrize("framework", bundle.FRAMEWORKS)
def test_a_committed_file_is_what_the_command_writes(framework):
    assert bundle.path(framework).read_text(encoding="utf-8") == bundle.bundled(framework)


def test_the_command_writes_all_files(monkeypatch):
    written = {}
    monkeypatch.setattr(Path, "write_text", lambda self, text, **_: written.update({self: text}))
    runpy.run_path(bundle.__file__, run_name="__main__")
    assert written == {bundle.path(framework): bundle.bundled(framework) for framework in bundle.FRAMEWORKS}


@pytest.mark.parametrize("framework", bundle.FRAMEWORKS)
def test_every_name_of_a_file_is_defined_once_and_used(framework):
    """Beside the framework it imports `check_model`, from the file beside it, within a package or without one."""
    tree = ast.parse(bundle.bundled(framework))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    within, without = branch.body[0], branch.orelse[0]
    assert (within.module, within.level) == (without.module, 1) == (f"check_model_{framework}", 1)
    for node in (*tree.body, within):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert "snippets" not in ast.unparse(node)
            defined += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    assert len(defined) == len(set(defined))
    assert set(defined) - used <= {"diagnose"}
