"""Each file to copy is held against faults by its own tests and its cells in the tables."""

from docs.hooks.show.catalogue import find_snippets
from docs.hooks.store import ROOT
from tests import mutants


def test_the_tests_of_a_file_are_its_own_and_its_cells():
    for snippet in find_snippets():
        *files, option, chosen = mutants.tests_of(snippet)
        assert option == "-k" and files[0].endswith(f"test_{snippet.name}")
        assert all((ROOT / file).is_file() for file in files)
        name, _, framework = snippet.stem.rpartition("_")
        assert chosen == f"test_{snippet.stem} or {name}." and all(framework in file for file in files)
