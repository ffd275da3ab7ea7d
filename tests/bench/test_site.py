"""The benchmark measures a copy, compares bytes, and needs a live reload that works."""

import shutil
import subprocess
import sys

import pytest

from tests.bench.site import build, copy_project, differing, edit_to_reload, serve


def test_what_git_would_track_is_copied_and_what_the_build_made_is_not(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "docs").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=source, check=True)
    for name, text in {".gitignore": "/site/\n", "tracked ü.md": "1", "gone.md": "2", "docs/new.md": "3"}.items():
        (source / name).write_text(text)
    subprocess.run(["git", "add", "tracked ü.md", "gone.md"], cwd=source, check=True)
    (source / "gone.md").unlink()
    (source / "site").mkdir()
    (source / "site" / "index.html").write_text("made")

    copy_project(source, target)

    copied = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert copied == [".gitignore", "docs/new.md", "tracked ü.md"]


def test_files_that_differ_or_that_only_one_build_made_are_named(tmp_path):
    for project, files in {"first": {"a": "1", "b": "2", "c": "3"}, "second": {"a": "1", "b": "x", "d": "4"}}.items():
        folder = tmp_path / project / "docs" / "figures" / "topic"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        (tmp_path / project / "docs" / "index.md").write_text(project)

    found = differing(tmp_path / "first", tmp_path / "second")

    assert found == [f"docs/figures/topic/{name}" for name in "bcd"]


@pytest.fixture
def small(project):
    """The small project under the name that a plain `mkdocs build` looks for."""
    shutil.move(project.root / "mkdocs.yml", project.root / "whole.yml")
    project.write("mkdocs.yml", "INHERIT: whole.yml\nnav:\n  - index.md\n")
    return project


@pytest.mark.skipif(sys.platform == "win32", reason="ends the server with a signal of POSIX")
def test_a_saved_page_is_built_and_served_again(small):
    with serve(small.root) as address:
        for edit in range(2):
            assert edit_to_reload(small.root, address, edit) > 0, "it would have given up"


def test_a_server_that_cannot_start_tells_why(small):
    small.write("mkdocs.yml", "INHERIT: nowhere.yml\n")

    with pytest.raises(SystemExit, match="nowhere.yml"), serve(small.root):
        pass


def test_a_build_that_fails_tells_why(small):
    small.write("docs/index.md", "[nowhere](nowhere.md)\n")

    with pytest.raises(SystemExit, match="nowhere.md"):
        build(small.root)
