"""Each file to copy is held against faults by its own tests and its cells in the tables."""

from pathlib import Path

from docs.hooks.show.catalogue import find_snippets
from docs.hooks.store import ROOT
from tests import mutants


def test_a_file_may_have_several_files_of_tests():
    own, *_ = mutants.tests_of(Path("snippets/diagnostics/check_model_pytorch.py"))
    names = {Path(file).name for file in own}
    assert {"test_check_model_pytorch.py", "test_findings_pytorch.py", "test_losses_pytorch.py"} <= names


def test_the_tests_of_a_file_are_its_own_and_its_laws_and_its_cells():
    for snippet in find_snippets():
        name, _, framework = snippet.stem.rpartition("_")
        own, *laws, (*files, option, chosen) = mutants.tests_of(snippet)
        assert (option, chosen) == ("-k", f"{name}.") and own[0].endswith(f"test_{snippet.name}")
        assert all(file == [f"tests/contract/test_laws_{framework}.py"] for file in laws)
        assert all((ROOT / file).is_file() and framework in file for file in [*own, *files])
