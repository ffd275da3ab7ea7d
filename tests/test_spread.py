"""The table of `make spread`: it is not older than the experiments, and no claim is narrower than what it holds."""

import dataclasses
import importlib
import inspect
import math
import re

import numpy as np
import pytest

from docs.hooks.measure import spread
from docs.hooks.measure.experiment import find_experiments
from docs.hooks.store import ROOT, load
from tests import spread as make_spread
from tests.experiments import every_experiment, module

ROWS = spread.read()


def claims(experiment):
    return enumerate(module(experiment).CLAIMS)


@every_experiment
def test_the_table_is_not_older_than_the_experiment(experiment):
    known = spread.of(ROWS, experiment)
    assert known, f"make spread: the table was measured with other code than {experiment} has now"
    assert len(known) == len(list(claims(experiment)))


@every_experiment
def test_ten_seeds_are_ten(experiment):
    takes_a_seed = "seed" in inspect.signature(module(experiment).measure).parameters
    for rows in spread.of(ROWS, experiment).values():
        assert {row.seeds for row in rows} == {spread.SEEDS if takes_a_seed else 1}


@every_experiment
def test_an_interval_holds_all_that_was_measured(experiment):
    known = spread.of(ROWS, experiment)
    for number, claim in claims(experiment):
        lowest, highest = spread.ends(known[number])
        digits = 1e-8 * max(abs(lowest), abs(highest))  # the table has nine
        assert claim.interval[0] - digits <= lowest and highest <= claim.interval[1] + digits, claim.statement


@every_experiment
def test_an_interval_without_a_theory_follows_the_rule(experiment):
    known = spread.of(ROWS, experiment)
    for number, claim in claims(experiment):
        if claim.reason == spread.RULE:
            lowest, highest = spread.allowed(*spread.ends(known[number]))
            # An accuracy ends at 0 and 1.
            assert claim.interval[0] <= max(lowest, 0.0) + 1e-9, claim.statement
            assert claim.interval[1] >= highest - 1e-9 or claim.interval[1] == 1.0, claim.statement


def borne(claim, lowest: float, highest: float) -> tuple[float, float]:
    """Where a build on another processor may find the number of which ten seeds gave `lowest` to `highest`.

    Another processor is another draw of a training. Ten draws that are nearly one, as of a network that stays at
    guessing, tell nothing of the rare one beside them: there the interval decides, which has its own reason.
    """
    low, high = claim.interval
    if claim.budget and 20 * (highest - lowest) < high - low:
        return low, high
    return spread.allowed(lowest, highest)


def test_ten_draws_that_are_nearly_one_leave_a_training_its_interval():
    claim = importlib.import_module("snippets.batch_normalization.experiment_covariate_shift").CLAIMS[2]
    assert borne(claim, 0.1, 0.1) == claim.interval
    assert borne(claim, 0.1, 0.12) == pytest.approx((0.08, 0.14))
    assert borne(dataclasses.replace(claim, budget=""), 0.1, 0.1) == (0.1, 0.1)


@every_experiment
def test_what_the_build_measured_lies_within_the_spread_or_its_range_beyond(experiment, built_site):
    known, measured = spread.of(ROWS, experiment), load(ROOT / experiment.measurement).measured
    for number, claim in claims(experiment):
        lowest, highest = borne(claim, *spread.ends(known[number]))
        # The last digits of an eigenvalue, and what rounding leaves of an identity, are another machine's business.
        exact = 1e-5 * max(abs(lowest), abs(highest), 0.1)
        assert lowest - exact <= claim.value(measured) <= highest + exact, claim.statement


@every_experiment
def test_a_number_that_no_step_leaves_as_it_is_names_its_budget(experiment):
    """Measured with optimizers that do nothing: what then lies outside the spread is the work of a training."""
    untrained = spread.at(spread.UNTRAINED, ROWS, experiment)
    known = spread.of(ROWS, experiment)
    for number, claim in claims(experiment):
        if number in untrained and claim.kind != "identity":
            lowest, highest = spread.allowed(*spread.ends(known[number]))
            exact = 1e-6 * max(abs(lowest), abs(highest))
            trained = not lowest - exact <= untrained[number] <= highest + exact
            assert claim.budget or not trained, f"{claim.statement}: names no budget"


@every_experiment
def test_a_number_of_the_common_training_is_known_at_ten_times_the_steps(experiment):
    """Where it then leaves its interval, the claim has named its budget."""
    if getattr(getattr(module(experiment), "train", None), "__module__", "") != "snippets.laboratory.training":
        return
    longer = spread.at(spread.LONGER, ROWS, experiment)
    for number, claim in claims(experiment):
        low, high = claim.interval
        assert claim.budget or low <= longer[number] <= high, f"{claim.statement}: names no budget"
        assert not math.isnan(longer[number]), f"{claim.statement}: cannot be read off a longer training"


def test_the_rule_raises_a_false_alarm_once_in_500_seeds():
    """Of a normal law, by simulation: ten seeds set the interval, the eleventh is tried."""
    draws = np.random.default_rng(0).standard_normal((400_000, 11))
    lowest, highest = draws[:, :10].min(axis=1), draws[:, :10].max(axis=1)
    reach = spread.MARGIN * (highest - lowest)
    outside = (draws[:, 10] < lowest - reach) | (draws[:, 10] > highest + reach)
    assert 1 / 600 < outside.mean() < 1 / 500


def test_the_digest_sees_what_is_measured_and_not_how_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "ROOT", tmp_path)
    path = tmp_path / "experiment.py"

    def decisive(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        spread._decisive.cache_clear()
        return spread._decisive(path.relative_to(tmp_path))

    code = '"""Words."""\nSTEPS = 3  # few\nCLAIMS = (Claim(statement="One", value=lambda m: m[0], interval=(0, 1)),)\n'
    same = decisive(code)
    for old, new in (("Words", "Otherwords"), ("few", "many"), ("One", "Two"), ("(0, 1)", "(0, 2)"), ("= 3", "=  3")):
        assert decisive(code.replace(old, new)) == same, old
    for old, new in (("= 3", "= 4"), ("m[0]", "m[1]")):
        assert decisive(code.replace(old, new)) != same, old


@pytest.mark.parametrize(("seeds", "stale"), [(1, False), (3, True), (10, False)])
def test_what_fewer_seeds_were_taken_of_is_measured_again(monkeypatch, seeds, stale):
    """A single seed is all that an experiment without one has."""
    (experiment,) = (e for e in find_experiments() if str(e) == "exploding_gradients/cliff")
    row = spread.Row(str(experiment), spread.digest(experiment), "as it is", seeds, 0, "one", 0.0, 1.0)
    monkeypatch.setattr(spread, "read", lambda: [row])
    assert list(make_spread._stale("as it is", "exploding_gradients/cliff", False, 10)) == [experiment] * stale


def test_the_table_is_written_as_it_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "ROOT", tmp_path)
    (tmp_path / spread.TABLE).parent.mkdir(parents=True)
    rows = [
        spread.Row("a/b", "0", "as it is", 10, 0, "one", 0.25, 1.5),
        spread.Row("a/b", "0", "AVX2", 10, 0, "one", 0.25, math.inf),
    ]
    spread.write(rows)
    assert sorted(spread.read()) == sorted(rows)
    assert re.match("experiment,code,setting", (tmp_path / spread.TABLE).read_text(encoding="utf-8"))
