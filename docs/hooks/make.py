"""Make what is to be there before MkDocs reads a page: figures, evidence, downloads, fonts.

    python -m docs.hooks.make

A failure is never remembered; the other tasks go on, and all failures are told at the end. Exits with 0 when everything
is up to date.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from doit.task import Task

from docs.hooks import actions, tasks
from docs.hooks.draw import drawing
from docs.hooks.measure import processes
from docs.hooks.progress import Progress
from docs.hooks.publish import cards
from docs.hooks.show import labs
from docs.hooks.store import ROOT, forget_unfinished

# Relative to the root, where `main` goes: so the state can be carried to another folder, as a cache of CI does.
STATE = Path(".cache", "doit.json")


class Tasks(ModuleTaskLoader):
    """The tasks of the build. They share the process's standard output and error, which doit would replace around
    each: its threads restore each other's replacement, and what is written afterwards, such as a traceback, is lost."""

    def load_tasks(self, cmd, pos_args: list[str]) -> list[Task]:
        loaded = super().load_tasks(cmd, pos_args)
        for task in loaded:
            task.io.capture = False
        remove_what_nobody_makes(loaded)
        return loaded


def remove_what_nobody_makes(loaded: list[Task]) -> None:
    """Delete what was made of experiments, snippets, labs and pages that are gone."""
    made = {Path(target) for task in loaded for target in task.targets}
    for folder in (actions.MEASURED, drawing.DRAWN, actions.FIGURES, actions.DOWNLOADS, cards.CARDS):
        for path in folder.rglob("*.*"):
            if path.is_file() and path not in made:
                path.unlink()


def forget_damaged_caches() -> None:
    """A cache cut short would stop doit or mkdocs-jupyter; without it, everything is made anew."""
    STATE.parent.mkdir(exist_ok=True)
    for cache in (STATE, *labs.CACHE.glob("*.json")):
        if not _is_sound(cache):
            cache.unlink(missing_ok=True)


def _is_sound(cache: Path) -> bool:
    try:
        entries = json.loads(cache.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(entries, dict) and (cache != STATE or all(isinstance(task, dict) for task in entries.values()))


def main() -> int:
    """Bring everything up to date; 0 when that worked."""
    settings = {
        "backend": "json",
        "continue": True,
        "dep_file": str(STATE),
        "num_process": os.cpu_count() or 1,
        "par_type": "thread",
        "reporter": Progress,
        "verbosity": 0,
    }
    with contextlib.chdir(ROOT), processes.settings():
        forget_damaged_caches()
        forget_unfinished()
        return DoitMain(Tasks(vars(tasks)), extra_config={"GLOBAL": settings}).run(["run"])


if __name__ == "__main__":
    sys.exit(main())
