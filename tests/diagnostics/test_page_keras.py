"""What the page of check_model says of Keras is what the tests check: all of it."""

import pytest

from docs.hooks.pages import Page
from docs.hooks.show import findings
from tests.diagnostics.keras_models import FAULTS, HEALTHY

pytestmark = pytest.mark.keras

LIST = findings.keras_list()


def test_the_page_shows_the_list():
    assert findings.KERAS_LIST.as_posix() in Page(findings.TOOLS[0].page).included


def test_the_list_names_every_healthy_model_and_their_number():
    assert f"check {len(HEALTHY)} healthy Keras models" in LIST
    assert "; ".join(HEALTHY) in LIST


def test_the_list_names_every_planted_fault_with_its_finding_and_their_number():
    rows = [f"| {name[0].upper()}{name[1:]} | `{code}` |" for name, (code, _) in FAULTS.items()]
    assert "\n".join(rows) in LIST
    assert f"plant {len(FAULTS)} faults" in LIST
