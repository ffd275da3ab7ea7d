"""The cure that a finding names, applied to the planted fault: the finding goes away, and the network trains."""

import keras
import pytest

from snippets.diagnostics.check_model_keras import check_model
from tests.diagnostics.keras_cures import CURES, trained
from tests.diagnostics.keras_models import FAULTS
from tests.tiers import thorough

pytestmark = pytest.mark.keras


def test_every_planted_fault_has_a_cure():
    assert CURES.keys() == FAULTS.keys()


@thorough
@pytest.mark.parametrize("name", FAULTS)
def test_the_cure_that_the_finding_names_makes_it_go_away_and_the_network_trains(name):
    keras.utils.set_random_seed(0)
    code, _ = FAULTS[name]
    case = CURES[name]()
    found = {finding.code: finding for finding in check_model(*case).findings}
    assert code not in found and "fault" not in {finding.level for finding in found.values()}, found
    first, last = trained(case)
    assert last < 0.9 * first
