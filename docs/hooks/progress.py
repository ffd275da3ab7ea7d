"""What the reader of a terminal sees while the build makes things: one line per experiment, and all failures last."""

import time
import traceback

from doit.exceptions import BaseFail, UnmetDependency
from doit.task import Task

TOLD = {"measure": ("measuring", "measured"), "draw": ("drawing", "drawn")}
"""The steps that take their time, at their beginning and at their end; the others are told only if they fail."""


class Progress:
    """Tells which experiment runs, how many of how many, and its seconds; repeats all failures at the end."""

    desc = "one line per experiment"

    def __init__(self, outstream, options) -> None:
        self.outstream = outstream
        self.failures: list[str] = []
        self.started: dict[str, float] = {}
        self.finished = self.total = 0

    def write(self, text: str) -> None:
        self.outstream.write(text)
        self.outstream.flush()

    def initialize(self, tasks: dict[str, Task], selected_tasks: list[str]) -> None:
        self.total = sum(_step(task) in TOLD for task in tasks.values())

    def get_status(self, task: Task) -> None: ...

    def execute_task(self, task: Task) -> None:
        try:
            self.started[task.name] = time.monotonic()
            if _step(task) in TOLD:
                self.write(f"         {TOLD[_step(task)][0]} {_name(task)}\n")
        except Exception:
            # In a thread of doit, which hands on the words of an error and not its place.
            traceback.print_exc()
            raise

    def add_success(self, task: Task) -> None:
        self._finish(task, failed=False)

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        # A task whose input is missing has nothing to say of its own.
        if not isinstance(fail, UnmetDependency):
            self.failures.append(f"{_name(task)}\n{fail.get_msg().strip()}")
            self._finish(task, failed=True)

    def _finish(self, task: Task, failed: bool) -> None:
        if _step(task) in TOLD:
            self.finished += 1
            seconds = time.monotonic() - self.started.get(task.name, time.monotonic())
            outcome = "FAILED" if failed else TOLD[_step(task)][1]
            self.write(f"[{self.finished:3}/{self.total}] {seconds:5.1f} s  {_name(task)} {outcome}\n")

    def skip_uptodate(self, task: Task) -> None:
        self.finished += _step(task) in TOLD

    def skip_ignore(self, task: Task) -> None: ...

    def cleanup_error(self, exception: BaseFail) -> None:
        self.failures.append(exception.get_msg())

    def runtime_error(self, msg: str) -> None:
        self.failures.append(msg)

    def teardown_task(self, task: Task) -> None: ...

    def complete_run(self) -> None:
        if self.failures:
            self.write(f"\n{len(self.failures)} failed:\n\n" + "\n\n".join(self.failures) + "\n\n")


def _step(task: Task) -> str:
    """The part before the colon; nothing for a group of tasks."""
    return task.name.rpartition(":")[0]


def _name(task: Task) -> str:
    return task.name.rpartition(":")[2]
