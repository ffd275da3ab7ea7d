"""The cure that a finding names, applied to the planted fault: the finding goes away, and the network trains."""

import pytest

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import build
from snippets.laboratory.planted_faults import FAULTS
from tests.diagnostics.cures import CURES, trained

pytestmark = pytest.mark.slow


def test_every_planted_fault_has_a_cure():
    assert CURES.keys() == FAULTS.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_the_cure_that_the_finding_names_makes_it_go_away_and_the_network_trains(name):
    code, make = FAULTS[name]
    case = build(lambda: CURES[name](make()), 0)
    found = {finding.code: finding for finding in build(lambda: check_model(*case), 0).findings}
    assert code not in found and "fault" not in {finding.level for finding in found.values()}, found
    first, last = build(lambda: trained(case), 0)
    assert last < 0.9 * first
