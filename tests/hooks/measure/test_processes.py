"""Processes are started and waited for from several threads, and each one's own exit code comes back."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from docs.hooks.measure import processes

RUNS = 400
"""Started and joined without the lock, one run in ten to thirty came back with 255: 400 cannot all have been lucky."""


def status(method: str, target: Callable, *arguments: object) -> int:
    """Of a process that needs nothing of this file, so that it ends at once."""
    return processes.run(multiprocessing.get_context(method).Process(target=target, args=arguments, daemon=True))


def test_no_status_is_lost_between_threads():
    expected = [3 if number % 10 == 0 else 0 for number in range(RUNS)]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda code: status(processes.FORK, os._exit, code), expected)) == expected


@pytest.mark.parametrize("method", sorted({processes.FORK, "spawn"}))
def test_the_exit_code_is_that_of_the_process(method):
    assert [status(method, os._exit, code) for code in (0, 3)] == [0, 3]
    if sys.platform != "win32":
        assert status(method, signal.raise_signal, signal.SIGKILL) == -signal.SIGKILL
