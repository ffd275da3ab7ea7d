"""How the build writes numbers and intervals on a card."""

import re

import pytest

from docs.hooks.show import evidence


def claims(interval=(0.0, 1.0), **changed):
    claim = {"statement": "A number", "source": "Euclid", "paper": "", "measured": 0.5, "printed": "0.5",
             "interval": list(interval), "reason": "Exact.", "kind": "claim", "budget": "", "rival": 2.0,
             "rival_printed": "2", "rival_of": "Twice", "spread": None}  # fmt: skip
    record = {"source": changed.pop("of_all", "Euclid"), "claims": [claim | changed]}
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
    assert f">{shown}</dd>" in claims(interval)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("4.7e-5 to 1.4e-4 over ten seeds.", "4.7\u202f×\u202f10<sup>−5</sup> to 1.4\u202f×\u202f10<sup>−4</sup> over"),
        ("ε = 1e-30; more", "ε = 10<sup>−30</sup>; more"),
        ("`eps=1e-5` and 1e5", "<code>eps=1e-5</code> and 10<sup>5</sup>"),
        ("$1e-5$", '<tex-formula class="katex" data-search-exclude=""><span class="katex-mathml"><math>'),
        ("1. no list, 2 < 3 & *so* on", "1. no list, 2 &lt; 3 &amp; <em>so</em> on"),
        ("the layer conv2e5 and 3.5 of them", "the layer conv2e5 and 3.5 of them"),
    ],
)
def test_numbers_in_prose_are_written_as_by_hand(written, shown):
    for place in ("statement", "reason"):
        assert shown in claims(**{place: written})
    assert shown in claims(source=written)
    assert shown in claims(of_all=written)


def test_a_card_shows_what_would_be_seen_if_the_statement_were_false():
    shown = claims(rival_printed="0.41", rival_of="Xavier")
    assert "<dt>If not</dt><dd>0.41</dd>" in shown and "If not: Xavier." in shown


def test_an_identity_is_shown_as_one_without_a_dot_on_a_line():
    shown = claims(kind="identity", rival=None, rival_printed="", rival_of="")
    assert "<dt>By construction</dt>" in shown
    assert "--at" not in shown and "If not" not in shown


def test_the_budget_of_a_training_ends_the_sentence():
    shown = claims(budget="200 steps of SGD, learning rate 1e-3")
    assert "A number; 200 steps of SGD, learning rate 10<sup>−3</sup>" in re.sub("<[^>]*span[^>]*>", "", shown)


def test_a_card_quotes_the_spread_that_was_measured():
    spread = {"of": "Ten seeds", "lowest": "-0.1", "highest": "0.8"}
    assert "<dt>Ten seeds</dt><dd>−0.1 to 0.8</dd>" in claims(spread=spread)
    assert "<dt>Ten seeds</dt><dd>0.8</dd>" in claims(spread=spread | {"lowest": "0.8"})
