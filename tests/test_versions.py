"""What is run with other versions covers every file of a framework."""

import pytest

from docs.hooks.show.catalogue import find_snippets, mirror
from docs.hooks.store import ROOT
from tests.versions import files_of


@pytest.mark.parametrize("framework", ["pytorch", "numpy"])
def test_every_file_but_the_diagnostics_is_held(framework: str):
    held = set(files_of(framework))
    files = [path for path in find_snippets() if path.stem.endswith(f"_{framework}") and path.parts[1] != "diagnostics"]
    assert files and {ROOT / mirror(path) for path in files} <= held
    assert any(path.parent.name == "contract" for path in held)


def test_every_file_for_keras_is_held_but_the_diagnostics_and_what_needs_tensorflow():
    (held,) = files_of("keras")
    text = held.read_text(encoding="utf-8")
    for path in find_snippets():
        if path.stem.endswith("_keras") and path.parts[1] != "diagnostics":
            assert path.stem in text or path.stem in ("layer_gradients_keras", "example_keras"), path
