"""The stand-ins for other machines do differ from this one, and a failure under one of them is a failure."""

import platform
import subprocess
import sys

import pytest

from tests import machines

pytestmark = pytest.mark.slow

x86 = pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="the switches are those of x86-64")

TELL = """
import torch
print(torch.backends.cpu.get_cpu_capability())
"""


@x86
@pytest.mark.parametrize("name", machines.machines())
def test_a_stand_in_makes_the_libraries_choose_as_it_says(name):
    environment = machines.environment(machines.X86[name], "2")
    told = subprocess.run([sys.executable, "-c", TELL], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split()[0].upper() == name


def test_a_failure_under_one_stand_in_fails_the_run_and_is_named(monkeypatch, capfd):
    calls = []
    monkeypatch.setattr(machines, "passes", lambda *call: calls.append(call) or len(calls) != 2)
    assert machines.main(some=False) == 1
    able = list(machines.machines())
    assert len(calls) == 2 * len(able)
    assert f"Failed: {able[0]} with 2 threads" in capfd.readouterr().out
    monkeypatch.setattr(machines, "passes", lambda *call: True)
    assert machines.main(some=True) == 0


def test_the_part_of_every_landing_is_one_thread_of_the_oldest_processor(monkeypatch):
    calls = []
    monkeypatch.setattr(machines, "passes", lambda *call: calls.append(call) or True)
    machines.main(some=True)
    able = machines.machines()
    assert [(settings, threads) for settings, threads, _ in calls] == [(next(iter(able.values())), "1")]


def test_one_number_of_threads_may_be_chosen(monkeypatch):
    calls = []
    monkeypatch.setattr(machines, "passes", lambda *call: calls.append(call) or True)
    machines.main(some=False, threads_of=["2"])
    assert [(settings, threads) for settings, threads, _ in calls] == [
        (one, "2") for one in machines.machines().values()
    ]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_number_of_threads_reaches_the_tests(threads):
    """Through `tests/conftest.py`, which else asks for one."""
    code = "import tests.conftest, torch; print(torch.get_num_threads())"
    command = {"args": [sys.executable, "-c", code], "cwd": machines.ROOT, "env": machines.environment({}, threads)}
    assert subprocess.run(**command, capture_output=True, text=True, check=True).stdout.split() == [threads]


@pytest.mark.parametrize(("statuses", "passed"), [((0, 0), True), ((1, 0), False), ((0, 5), False), ((-9, 0), False)])
def test_both_halves_must_pass_and_both_run(statuses, passed, monkeypatch):
    left = list(statuses)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], left.pop(0)))
    assert machines.passes({}, "1", []) is passed
    assert left == []
