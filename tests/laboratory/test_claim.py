import math

import pytest

from snippets.laboratory.claim import Claim, ClaimError


def claim(**changes) -> Claim:
    fields = {"statement": "Twice", "value": lambda x: 2 * x, "interval": (1.0, 3.0), "reason": "arithmetic"}
    return Claim(**fields | changes)


@pytest.mark.parametrize(("measured", "number"), [(0.5, 1.0), (1, 2.0), (1.5, 3.0)])
def test_a_number_inside_its_interval_is_returned_and_both_ends_belong_to_it(measured, number):
    assert claim().check(measured) == number


@pytest.mark.parametrize("measured", [0.4999, 1.5001, math.nan, math.inf, -math.inf])
def test_a_number_outside_its_interval_refutes_the_claim(measured):
    with pytest.raises(ClaimError, match=r'claim "Twice": measured .*, asserted \[1, 3\] \(arithmetic\)'):
        claim().check(measured)


@pytest.mark.parametrize("interval", [(3.0, 1.0), (math.nan, 1.0), (0.0, math.nan)])
def test_an_interval_that_holds_nothing_is_refused(interval):
    with pytest.raises(ValueError, match="interval must be"):
        claim(interval=interval)
