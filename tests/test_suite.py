"""Every test is run: pytest passes a folder with an unlucky name over, such as `build`, without a word."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests import conftest, tiers


def test_no_folder_of_tests_is_passed_over(request):
    patterns = request.config.getini("norecursedirs")
    folders = {path.parent for path in Path(__file__).parent.rglob("test_*.py")}
    assert len(folders) > 10
    assert [folder for folder in folders if any(fnmatch(folder.name, pattern) for pattern in patterns)] == []


def test_every_file_of_tests_has_the_name_that_pytest_looks_for(request):
    for path in Path(__file__).parent.rglob("*.py"):
        if "\ndef test_" in path.read_text(encoding="utf-8"):
            assert any(fnmatch(path.name, pattern) for pattern in request.config.getini("python_files")), path


def test_no_test_lies_in_a_file_that_its_half_does_not_read():
    tests = Path(__file__).parent
    marked = re.compile(r"^pytestmark = (\[\n)?.*mark[.]keras", re.MULTILINE)
    some = re.compile(r"^@every_experiment|^ +for one in EXPERIMENTS|marks?=.*mark[.]keras", re.MULTILINE)
    of_both = set()
    for path in tests.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        assert bool(marked.search(text)) == path.stem.endswith("_keras"), path
        if not marked.search(text) and some.search(text):
            of_both.add(path.relative_to(tests).as_posix())
    assert of_both == conftest.OF_BOTH_HALVES


@pytest.mark.parametrize(
    ("test", "together"),
    [
        ("tests/learn/test_quiz.py::test_one[a]", "tests/learn/test_quiz.py"),
        ("tests/learn/test_quiz.py::TestClass::test_one", "tests/learn/test_quiz.py"),
        ("tests/site/test_browser.py::test_axe[chromium-learn/]", "tests/site/test_browser.py[chromium-learn/]"),
        ("tests/site/test_browser.py::test_no_cookie[chromium-learn/]", "tests/site/test_browser.py[chromium-learn/]"),
    ],
)
def test_what_shares_a_finding_stays_in_one_process(test, together):
    assert conftest.scope(test) == together


def test_of_a_kind_one_is_asked_by_every_run():
    first, other, third = tiers.one_of_each(["labs/he/", "labs/lsuv/", "learn/"], lambda path: path.partition("/")[0])
    assert [one.marks for one in (first, other, third)] == [[], [tiers.thorough], []]


def test_what_is_divided_is_there():
    root = Path(__file__).parents[1]
    assert [file for file in conftest.DIVIDED if not (root / file).is_file()] == []
