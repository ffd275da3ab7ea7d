"""What is run with other versions covers every file of a framework."""

import pytest

from docs.hooks.show.catalogue import find_snippets, mirror
from docs.hooks.store import ROOT
from tests.versions import files_of


def test_every_file_for_pytorch_but_the_diagnostics_is_held():
    held = set(files_of("pytorch"))
    files = [path for path in find_snippets() if path.stem.endswith("_pytorch") and path.parts[1] != "diagnostics"]
    assert files and {ROOT / mirror(path) for path in files} <= held
    assert any(path.parent.name == "contract" for path in held)


@pytest.mark.parametrize("framework", ["keras", "numpy"])
def test_one_file_holds_the_others_but_the_diagnostics_and_what_needs_tensorflow(framework: str):
    (held,) = files_of(framework)
    text = held.read_text(encoding="utf-8")
    for path in find_snippets():
        if path.stem.endswith(f"_{framework}") and path.parts[1] != "diagnostics":
            assert path.stem in text or path.stem in ("layer_gradients_keras", "example_keras"), path
