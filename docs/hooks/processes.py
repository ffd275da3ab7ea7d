"""Run a process to its end, from as many threads as one likes.

`multiprocessing` is made for one thread: to start a process it also reads the status of every other child, and a status
can be read once. The thread that waits for that child then reads nothing, which counts as exit code 255: a failure that
never was. So one lock stands around all that reads a status. The waiting, which takes the time, needs none.
"""

import threading
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

_reading_statuses = threading.Lock()


def run(process: BaseProcess) -> int:
    """Start a new process of `multiprocessing` and wait for it: its exit code, or minus the signal that ended it."""
    with _reading_statuses:
        process.start()
    wait([process.sentinel])
    with _reading_statuses:
        process.join()
    return process.exitcode
