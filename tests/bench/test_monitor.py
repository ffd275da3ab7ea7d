"""The benchmark of the monitors runs both sides of each pair; what it measures is not asserted."""

import pytest

from tests.bench import monitor


@pytest.mark.parametrize("framework", ["pytorch", pytest.param("keras", marks=pytest.mark.keras)])
def test_a_pair_is_run_and_gives_a_ratio(framework, monkeypatch, capsys):
    monkeypatch.setattr(monitor, "STEPS", 1)
    monkeypatch.setattr(monitor, "TURNS", 2)
    first = next(getattr(monitor, framework)())
    monkeypatch.setattr(monitor, framework, lambda: iter([first]))

    monitor.main(framework)

    heading, line = capsys.readouterr().out.splitlines()
    assert framework in heading and first.name in line and float(line.split()[-2]) > 0
