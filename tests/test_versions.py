"""What is run with other versions covers every file of a framework."""

import pytest

from docs.hooks.show.catalogue import find_snippets, mirror
from docs.hooks.store import ROOT
from tests.versions import OF_TENSORFLOW, files_of


@pytest.mark.parametrize("framework", ["pytorch", "keras", "numpy"])
def test_every_file_but_the_diagnostics_is_held(framework: str):
    held = set(files_of(framework))
    files = [path for path in find_snippets() if path.stem.endswith(f"_{framework}") and path.parts[1] != "diagnostics"]
    assert files and {ROOT / mirror(path) for path in files} <= held
    assert any(path.parent.name == "contract" for path in held)


def test_on_another_backend_what_asks_for_tensorflow_is_passed_over(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    held = files_of("keras")
    assert held and not [path for path in held if set(OF_TENSORFLOW) & set(path.parts)]
