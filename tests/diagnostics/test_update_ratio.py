"""Corner cases of the experiment that its claims do not reach."""

import math

from snippets.diagnostics.experiment_update_ratio import STEPS, Run, alarm, lost, recent


def test_recent_is_the_median_of_at_most_ten_values_and_nan_spreads():
    assert recent([3.0, 1.0, 2.0]) == [3.0, 2.0, 2.0]
    assert recent(list(range(30)))[-1] == 24.5
    assert math.isnan(recent([1.0, math.nan, 1.0])[2])


def test_a_run_is_lost_from_its_last_good_loss_on():
    losses = [1.0] * 100 + [math.nan] * (STEPS - 100)
    rows = [{"step": step, "update_ratio": 0.001 if step < 50 else 0.02} for step in range(STEPS)]
    assert lost(Run(losses, rows)) == 100
    assert alarm(Run(losses, rows)) == 54  # half of the last ten values must have passed
