"""The page of check_model lists the Keras models that the tests check, all of them."""

import pytest

from docs.hooks.store import ROOT
from tests.diagnostics.keras_models import FAULTS, HEALTHY

pytestmark = pytest.mark.keras

PAGE = (ROOT / "docs" / "toolbox" / "check-my-model.md").read_text(encoding="utf-8")


def test_the_page_names_every_healthy_model_and_their_number():
    assert f"check {len(HEALTHY)} healthy Keras models" in PAGE
    assert "; ".join(HEALTHY) in PAGE


def test_the_page_names_every_planted_fault_with_its_finding_and_their_number():
    rows = [f"| {name[0].upper()}{name[1:]} | `{code}` |" for name, (code, _) in FAULTS.items()]
    assert "\n".join(rows) in PAGE
    assert f"plant {len(FAULTS)} faults" in PAGE
