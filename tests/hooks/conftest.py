"""The small project with one experiment that works: before its first build, and after it."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import ROOT, Project, make_project
from tests.hooks.halving import PATH, SOUND


@pytest.fixture
def sound(project: Project) -> Project:
    project.write(PATH, SOUND)
    return project


@pytest.fixture(scope="session")
def first_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Done once, by the first process that needs it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all processes share
    built = folder / "first-build"
    with FileLock(folder / "first-build.lock"):
        if not built.exists():
            project = make_project(folder / "first-build-unfinished")
            project.write(PATH, SOUND)
            run = project.make_figures()
            assert run.returncode == 0, run.stdout
            project.root.rename(built)
    return built


@pytest.fixture
def finished(first_build: Path, tmp_path: Path) -> Project:
    """A copy: the build finds its own again in another folder."""
    shutil.copytree(first_build, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


DRAWN_ALONE = """

@pytest.fixture(scope="session")
def built_site() -> Path:
    return ROOT / "docs"
"""
"""What stands for the built site where one figure is all that is asked of it."""


@pytest.fixture
def whole_project(tmp_path: Path) -> Project:
    """A copy of all of it, of which nothing is built."""
    no_caches = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    for folder in ("docs", "snippets", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=no_caches)
    for file in ("LICENSE", "mkdocs.yml", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path)
    with (tmp_path / "tests" / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(DRAWN_ALONE)
    return Project(tmp_path)
