"""The benchmark of the monitors runs both sides of each pair; what it measures is not asserted."""

import pytest

from docs.hooks import bench_monitor


@pytest.mark.parametrize("framework", ["pytorch", pytest.param("keras", marks=pytest.mark.keras)])
def test_a_pair_is_run_and_gives_a_ratio(framework, monkeypatch, capsys):
    monkeypatch.setattr(bench_monitor, "STEPS", 1)
    monkeypatch.setattr(bench_monitor, "TURNS", 2)
    first = next(getattr(bench_monitor, framework)())
    monkeypatch.setattr(bench_monitor, framework, lambda: iter([first]))

    bench_monitor.main(framework)

    heading, line = capsys.readouterr().out.splitlines()
    assert framework in heading and first.name in line and float(line.split()[-2]) > 0
