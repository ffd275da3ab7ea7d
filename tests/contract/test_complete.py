"""Every public function of the copyable files stands in the tables."""

import ast
import re

import pytest

from docs.hooks.show.catalogue import find_snippets
from docs.hooks.store import ROOT
from tests.contract.table import SIGNS, cells

# No input of these can be bad: they take none, or hold what a function returns.
WITHOUT_INPUT = {"gaussian_rule", "he_initialized_model", "HeInitializedModel", "Fans", "Health", "LayerGradient"}
WITHOUT_INPUT |= {"Part", "Perceptron", "Report", "Row", "Rule"}
# For these stands the one of the same base class.
SIBLINGS = {"BatchNorm2dLikeKeras": "BatchNorm1dLikeKeras", "BatchNorm3dLikeKeras": "BatchNorm1dLikeKeras"}


def public(framework: str) -> set[str]:
    """`file.function` of all copyable files but those of the diagnostics, whose inputs are whole trainings."""
    found = set()
    for path in find_snippets():
        name, _, of = path.stem.rpartition("_")
        if of == framework and path.parent.name != "diagnostics":
            for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    found |= (
                        {f"{name}.{SIBLINGS.get(node.name, node.name)}"} if node.name not in WITHOUT_INPUT else set()
                    )
    return found


@pytest.mark.parametrize("framework", ["pytorch", "keras", "numpy"])
def test_every_public_function_has_a_row(framework: str):
    in_the_tables = {cell.function for _, cell in cells(framework)}
    assert public(framework) == in_the_tables


def test_the_page_explains_every_sign():
    page = (ROOT / "docs" / "toolbox" / "bad-input.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(.)` \|", page, re.MULTILINE)) == sorted(SIGNS)
