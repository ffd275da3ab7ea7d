"""What the site says of its build is true of the commit, and stays away where there is none."""

import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import jinja2
import pytest

from docs.hooks.publish import facts


def git(folder: Path, *arguments: str, **dates: str) -> str:
    """Run git with nothing of the machine's own settings."""
    known = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **dates}
    named = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    run = subprocess.run(
        ["git", *named, *arguments], cwd=folder, env=os.environ | known, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "page.md").write_text("# One\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    day = "2025-03-09T23:30:00+0900"
    git(
        tmp_path,
        "commit",
        "--quiet",
        "--message",
        "First",
        GIT_AUTHOR_DATE=day,
        GIT_COMMITTER_DATE="2026-01-01T00:00:00Z",
    )
    return tmp_path


def test_the_commit_and_its_day(repository):
    known = facts.facts(repository)
    assert known.commit == git(repository, "rev-parse", "HEAD")
    assert known.day == "2025-03-09"
    assert not known.changed


def test_a_changed_file_is_told(repository):
    (repository / "page.md").write_text("# Two\n", encoding="utf-8")
    assert facts.facts(repository).changed


def test_an_unpacked_archive_has_no_commit(tmp_path):
    assert facts.facts(tmp_path)[:3] == ("", "", False)


def test_the_commit_of_a_repository_around_the_project_is_not_ours(repository):
    (repository / "project").mkdir()
    assert facts.facts(repository / "project")[:3] == ("", "", False)


def test_without_git_nothing_fails(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert facts.facts(repository)[:3] == ("", "", False)


def test_the_versions_are_those_that_are_installed(tmp_path):
    told = dict(facts.facts(tmp_path).versions)
    assert list(told) == ["PyTorch", "TensorFlow", "Keras", "NumPy"]
    assert version("torch").startswith(told["PyTorch"])
    assert all(re.fullmatch(r"\d+(\.\d+)+\S*", number) and "+" not in number for number in told.values())


def test_the_template_gives_the_facts_to_others(repository):
    known = facts.facts(repository)
    page = '{% from "facts.html" import commit, year, written_day %}{{ commit }} {{ year }} {{ written_day }}'
    sources = {"facts.html": facts.template(known), "page.html": page}
    shown = jinja2.Environment(loader=jinja2.DictLoader(sources)).get_template("page.html").render()
    assert shown == f"{known.commit} 2025 March 9, 2025"


def test_two_builds_of_a_commit_say_the_same(repository):
    first = facts.template(facts.facts(repository))
    os.utime(repository / "page.md", (0, 0))
    assert facts.template(facts.facts(repository)) == first
