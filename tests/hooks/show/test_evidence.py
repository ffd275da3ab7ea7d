"""How the build writes numbers and intervals on a card."""

import re

import pytest

from docs.hooks.show import evidence
from docs.hooks.show.search import WORDS


def claims(interval=(0.0, 1.0), **changed):
    claim = {"statement": "A number", "source": "Euclid", "paper": "", "measured": 0.5, "printed": "0.5",
             "interval": list(interval), "reason": "Exact.", "kind": "claim", "budget": "", "rival": 2.0,
             "rival_printed": "2", "rival_of": "Twice", "spread": None}  # fmt: skip
    record = {
        "experiment": "snippets/plane/experiment_lines.py",
        "source": changed.pop("of_all", "Euclid"),
        "claims": [claim | changed],
    }
    return evidence.claims(record)


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ((0.85, 1.0), "0.85 to 1"),
        ((-0.2, 0.2), "−0.2 to 0.2"),
        ((2.0, 2.0), "2"),
        ((1e-9, 1e7), "10<sup>−9</sup> to 10<sup>7</sup>"),
        ((3.0, "inf"), "3 to ∞"),
        ((1 - 1e-9, 1 + 1e-9), "1 ± 10<sup>−9</sup>"),
        ((0.05 - 5e-14, 0.05 + 5e-14), "0.05 ± 5\u202f×\u202f10<sup>−14</sup>"),
        ((2**0.5 - 1e-12, 2**0.5 + 1e-12), "1.414213562 ± 10<sup>−12</sup>"),
        ((1.0, 1 + 1e-10), "1 to 1 + 10<sup>−10</sup>"),
    ],
)
def test_the_two_ends_of_an_interval_can_be_told_apart(interval, shown):
    assert f"Must lie in {shown}. Exact." in claims(interval)


@pytest.mark.parametrize(
    ("interval", "ends"),
    [
        ((0.85, 1.0), ["0.85", "1"]),
        ((14.5, 18.5), ["14.5", "18.5"]),
        ((0.000479507, 0.000481429), ["4.795\u202f×\u202f10<sup>−4</sup>", "4.814\u202f×\u202f10<sup>−4</sup>"]),
        ((2.0, 2.0), ["exactly 2"]),
        ((3.0, "inf"), ["at least 3"]),
        (("-inf", 1e-7), ["at most 10<sup>−7</sup>"]),
        ((380000, 405000), ["3.8\u202f×\u202f10<sup>5</sup>", "4.05\u202f×\u202f10<sup>5</sup>"]),
        ((0.0, 1e-9), ["0", "10<sup>−9</sup>"]),
        ((2**0.5 - 1e-12, 2**0.5 + 1e-12), ["1.414… ± 10<sup>−12</sup>"]),
    ],
)
def test_a_line_shows_the_ends_with_no_digit_that_means_nothing(interval, ends):
    found = re.search(r'<span class="claim-range"[^>]*>(.*?)</span></summary>', claims(interval))[1]
    assert re.findall("<span>(.*?)</span>", found) == ends


@pytest.mark.parametrize(
    ("interval", "measured", "place"),
    [((0.0, 1.0), 0.25, "0.250"), ((1e-6, 1.0), 1e-3, "0.500"), ((0.0, "inf"), 1.0, None), ((2.0, 2.0), 2.0, None)],
)
def test_the_dot_stands_where_the_number_lies(interval, measured, place):
    """On a logarithmic line where a plain one would have the dot at its end."""
    shown = claims(interval, measured=measured)
    assert re.findall('--at:([^"]*)', shown) == ([place] if place else [])
    assert ("The line is logarithmic." in shown) == (interval == (1e-6, 1.0))


def test_claims_of_one_card_have_addresses_of_their_own():
    one = {"statement": "A number", "source": "", "paper": "", "measured": 0.5, "printed": "0.5", "interval": [0, 1],
           "reason": "Exact.", "kind": "claim", "budget": "", "rival_printed": "2", "rival_of": "Twice"}  # fmt: skip
    shown = evidence.claims({"experiment": "snippets/plane/experiment_two_lines.py", "source": "", "claims": [one] * 6})
    assert re.findall(' id="([^"]+)"', shown) == [
        "two-lines-a-number",
        *(f"two-lines-a-number-{n}" for n in range(2, 7)),
    ]
    assert shown.count('<a href="#two-lines-a-number-6"') == 1 and "3 more claims" in shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("4.7e-5 to 1.4e-4 over ten seeds.", "4.7\u202f×\u202f10<sup>−5</sup> to 1.4\u202f×\u202f10<sup>−4</sup> over"),
        ("ε = 1e-30; more", "ε\u00a0=\u00a010<sup>−30</sup>; more"),
        ("`eps=1e-5` and 1e5", "<code>eps=1e-5</code> and 10<sup>5</sup>"),
        ("$1e-5$", '<tex-formula class="katex" data-search-exclude=""><span class="katex-mathml"><math>'),
        ("1. no list, 2 < 3 & *so* on", "1. no list, 2 &lt; 3 &amp; <em>so</em> on"),
        ("the layer conv2e5 and 3.5 of them", "the layer conv2e5 and 3.5 of them"),
    ],
)
def test_numbers_in_prose_are_written_as_by_hand(written, shown):
    for place in ("statement", "reason", "source"):
        assert shown in claims(**{place: written})


def test_a_card_shows_what_would_be_seen_if_the_statement_were_false():
    shown = claims(rival_printed="0.41", rival_of="Xavier")
    assert "If it were false: Xavier: 0.41." in shown
    tied = WORDS.sub("", claims(rival_printed="-4.1e-05", rival_of="with $x$"))
    assert re.search(
        r'with <span class="tied"><tex-formula.*?</tex-formula>:</span> −4.1\u202f×\u202f10<sup>−5</sup>\.', tied
    )


def test_an_identity_is_shown_as_one_without_a_dot_on_a_line():
    shown = claims(kind="identity", rival=None, rival_printed="", rival_of="")
    assert "holds by algebra" in shown
    assert "--at" not in shown and "If it were false" not in shown


def test_the_budget_of_a_training_ends_the_sentence():
    shown = claims(budget="200 steps of SGD, learning rate 1e-3")
    assert "A number; 200 steps of SGD, learning rate 10<sup>−3</sup>" in re.sub("<[^>]*span[^>]*>", "", shown)


def test_a_card_quotes_the_spread_that_was_measured():
    spread = {"of": "Ten seeds", "lowest": "-0.1", "highest": "0.8"}
    assert "<p>Ten seeds: −0.1 to 0.8.</p>" in claims(spread=spread)
    assert "<p>Ten seeds: 0.8.</p>" in claims(spread=spread | {"lowest": "0.8"})


def test_a_card_says_what_a_longer_training_gives():
    assert "<p>With ten times the steps, one seed: 0.93.</p>" in claims(longer="0.93")
    assert "ten times" not in claims(longer="")
