import math

import pytest

from snippets.laboratory.claim import Claim, ClaimError


def claim(**changes) -> Claim:
    fields = {"statement": "Twice", "value": lambda x: 2 * x, "interval": (1.0, 3.0), "reason": "arithmetic",
              "rival": 4.0, "rival_of": "squared"}  # fmt: skip
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


def test_an_interval_that_contains_the_rival_would_notice_nothing():
    with pytest.raises(ClaimError, match=r'claim "Twice": its rival 3 \(squared\) is no number outside of \[1, 3\]'):
        claim(rival=3.0).check(1.0)


def test_a_rival_may_be_measured_in_the_same_experiment():
    assert claim(rival=lambda x: x**2 + 3.0).rival_in(1.5) == 5.25
    assert claim(rival=lambda x: x**2 + 3.0).check(1.5) == 3.0
    with pytest.raises(ClaimError, match="its rival 2.25"):
        claim(rival=lambda x: x**2).check(1.5)


def test_a_rival_that_is_no_number_excludes_nothing():
    with pytest.raises(ClaimError, match="its rival nan"):
        claim(rival=math.nan).check(1.0)


def test_an_identity_has_no_rival_and_is_held_to_its_interval():
    identity = claim(kind="identity", rival=None, rival_of="")
    assert identity.check(1.0) == 2.0 and identity.rival_in(1.0) is None
    with pytest.raises(ClaimError, match="measured 4"):
        identity.check(2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rival": None}, "give its rival"),
        ({"kind": "identity"}, "give its rival"),
        ({"rival_of": ""}, "rival_of must say"),
        ({"kind": "padding"}, "kind must be"),
    ],
)
def test_a_claim_says_what_would_refute_it(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)
