"""Every test is run: pytest passes a folder with an unlucky name over, such as `build`, without a word."""

from fnmatch import fnmatch
from pathlib import Path


def test_no_folder_of_tests_is_passed_over(request):
    patterns = request.config.getini("norecursedirs")
    folders = {path.parent for path in Path(__file__).parent.rglob("test_*.py")}
    assert len(folders) > 10
    assert [folder for folder in folders if any(fnmatch(folder.name, pattern) for pattern in patterns)] == []


def test_every_file_of_tests_has_the_name_that_pytest_looks_for(request):
    for path in Path(__file__).parent.rglob("*.py"):
        if "\ndef test_" in path.read_text(encoding="utf-8"):
            assert any(fnmatch(path.name, pattern) for pattern in request.config.getini("python_files")), path
