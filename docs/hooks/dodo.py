"""What the build makes before MkDocs reads a page: figures, evidence, downloads, the ledger.

    python -m docs.hooks.dodo

One task per experiment. It runs again when its file, a snippet it imports, the build code, the requirements or the
Python version changed, or when a product is missing or altered. A failure is never remembered; the other tasks go on,
and all failures are told at the end. Exits with 0 when everything is up to date.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from doit.exceptions import BaseFail, TaskFailed, UnmetDependency
from doit.task import Task
from doit.tools import config_changed, result_dep

from docs.hooks import catalogue, claims, formulas, measuring
from docs.hooks.evidence import ledger
from docs.hooks.experiment import ROOT, Experiment, find_experiments, imported_files
from docs.hooks.explorer import digits_json
from docs.hooks.files import write_if_changed
from docs.hooks.notebooks import write_notebook

# Relative to the root, where `main` goes: so the state can be carried to another folder, as a cache of CI does.
STATE = Path(".cache", "doit.json")
LABS_CACHE = Path(".cache", "mkdocs-jupyter")
FIGURES = Path("docs", "figures")
DOWNLOADS = Path("docs", "downloads")
LEDGER = FIGURES / "evidence-ledger.md"
CATALOGUE = FIGURES / "snippets.md"
ARCHIVE = DOWNLOADS / f"{catalogue.ARCHIVE}.zip"
DIGITS = DOWNLOADS / "explorer" / "digits.json"
BUILD_CODE = ("drawing", "evidence", "experiment", "files", "measuring", "memory", "palette", "run_experiment")
HOOKS = Path("docs", "hooks")
CARD_CODE = tuple(str(HOOKS / f"{name}.py") for name in ("claims", "evidence", "experiment"))
KATEX = HOOKS / "vendor" / "katex"
FORMULA_CODE = tuple(map(str, (HOOKS / "formulas.py", HOOKS / "katex.py", KATEX / "katex.min.js", KATEX / "katex.min.css")))


def task_experiment() -> Iterator[dict]:
    """Measure, check, draw: one task per experiment."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(measure, [experiment])],
            "file_dep": sorted(_dependencies(experiment)),
            "targets": [str(product) for product in experiment.products],
            "uptodate": [config_changed(platform.python_version()), products_are_intact],
        }


def task_ledger() -> dict:
    """The ledger of all claims."""
    experiments = find_experiments()
    made_from = [*(experiment.numbers for experiment in experiments), *catalogue.find_pages()]
    return {
        "actions": [(write_ledger, [experiments])],
        "file_dep": [*map(str, made_from), str(HOOKS / "evidence.py"), str(HOOKS / "catalogue.py")],
        "targets": [str(LEDGER)],
        "uptodate": [config_changed(str([str(experiment) for experiment in experiments]))],
    }


def task_claims() -> Iterator[dict]:
    """A card for each claim that a page shows alone."""
    for card in claims.wanted():
        experiment = claims.experiment_of(card)
        yield {
            "name": card.as_posix(),
            "actions": [(write_claim, [card])],
            "file_dep": [*CARD_CODE, *([str(experiment.numbers)] if experiment.path.is_file() else [])],
            "targets": [str(card)],
        }


def task_formulas() -> Iterator[dict]:
    """Find the formulas of every page and card, and say which of them KaTeX refuses."""
    for source in formulas.sources():
        yield {
            "name": source.as_posix(),
            "actions": [(read_formulas, [source])],
            "file_dep": [str(source), *FORMULA_CODE],
        }


def task_fonts() -> dict:
    """The fonts and the style sheet of all formulas, cut to the glyphs that these show."""
    return {
        "actions": [write_fonts],
        "getargs": {"shown": ("formulas", "glyphs")},
        "file_dep": list(FORMULA_CODE),
        "uptodate": [result_dep("formulas"), products_are_intact],
    }


def task_downloads() -> Iterator[dict]:
    """A published copy of every snippet and of the tests of those to copy, for the links beside the code."""
    for source, target in _downloads().items():
        yield {
            "name": source.as_posix(),
            "actions": [(copy, [source, target])],
            "file_dep": [str(source)],
            "targets": [str(target)],
        }


def _downloads() -> dict[Path, Path]:
    tests = filter(Path.is_file, map(catalogue.mirror, catalogue.find_snippets()))
    snippets = sorted(Path("snippets").glob("*/*.py"))
    return {source: DOWNLOADS / source.relative_to("snippets") for source in snippets} | {
        test: DOWNLOADS / test for test in tests
    }


def task_catalogue() -> dict:
    """The page of all snippets."""
    sources = [*map(str, catalogue.find_snippets()), *map(str, catalogue.find_pages())]
    return {
        "actions": [write_catalogue],
        "file_dep": [*sources, str(HOOKS / "catalogue.py")],
        "targets": [str(CATALOGUE)],
        "uptodate": [config_changed(str([*sources, *_downloads()]))],
    }


def task_archive() -> dict:
    """All snippets in one file to download."""
    sources = ["LICENSE", *map(str, catalogue.find_snippets())]
    return {
        "actions": [write_archive],
        "file_dep": [*sources, str(HOOKS / "catalogue.py")],
        "targets": [str(ARCHIVE)],
        "uptodate": [config_changed(str(sources))],
    }


def task_digits() -> dict:
    """The data that the explorer trains on."""
    return {
        "actions": [write_digits],
        "file_dep": ["requirements.txt", "snippets/laboratory/digits.py", str(HOOKS / "explorer.py")],
        "targets": [str(DIGITS)],
    }


def task_notebooks() -> Iterator[dict]:
    """Every lab as a notebook to download."""
    for lab in labs():
        target = _notebook(lab)
        yield {
            "name": lab.as_posix(),
            "actions": [(write_notebook, [lab, target])],
            "file_dep": [str(lab), str(HOOKS / "notebooks.py")],
            "targets": [str(target)],
        }


def task_labs() -> dict:
    """Have the labs executed again when what they run and are shown with changed: mkdocs-jupyter sees their text alone."""
    return {
        "actions": [forget_executed_labs],
        "file_dep": ["requirements.txt", *(str(file) for file in (HOOKS / "jupyter").rglob("*.*"))],
        "uptodate": [config_changed(platform.python_version())],
    }


def forget_executed_labs() -> None:
    shutil.rmtree(LABS_CACHE, ignore_errors=True)


def labs() -> list[Path]:
    return sorted(Path("docs", "labs").glob("*.py"))


def _notebook(lab: Path) -> Path:
    return DOWNLOADS / "labs" / f"{lab.stem}.ipynb"


def measure(experiment: Experiment) -> dict[str, dict[str, str]] | TaskFailed:
    """Run the experiment; the digests of its products are what doit remembers."""
    if failure := measuring.failure(experiment):
        return TaskFailed(failure)
    return {"products": {str(product): _digest(product) for product in experiment.products}}


def read_formulas(source: Path) -> dict[str, dict[str, str]] | TaskFailed:
    """Check the formulas of one source; what doit remembers is the characters that each font has to show."""
    found, slips = formulas.read(source.read_text(encoding="utf-8"))
    if slips:
        return TaskFailed("\n".join(formulas.complaint(source, slip) for slip in slips))
    return {"glyphs": _by_face(glyph for formula in found for glyph in formulas.glyphs(formula))}


def write_fonts(shown: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """`shown` holds the glyphs of every source."""
    faces = _by_face((face, char) for source in shown.values() for face, text in source.items() for char in text)
    return {"products": {str(path): _digest(path) for path in formulas.write_fonts(faces)}}


def _by_face(shown: Iterable[tuple[str, str]]) -> dict[str, str]:
    faces: dict[str, set[str]] = {}
    for face, character in shown:
        faces.setdefault(face, set()).add(character)
    return {face: "".join(sorted(characters)) for face, characters in sorted(faces.items())}


def _dependencies(experiment: Experiment) -> set[str]:
    files = {experiment.path, Path("requirements.txt"), *imported_files(experiment.path)}
    files |= {HOOKS / f"{name}.py" for name in BUILD_CODE}
    return {str(file) for file in files}


def products_are_intact(task: Task, values: dict[str, dict[str, str]]) -> bool:
    """Whether each product still holds the bytes that the task wrote."""
    products = values.get("products", {})
    intact = (Path(path).is_file() and digest == _digest(Path(path)) for path, digest in products.items())
    return bool(products) and all(intact)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_ledger(experiments: list[Experiment]) -> None:
    write_if_changed(LEDGER, ledger(experiments))


def write_claim(card: Path) -> TaskFailed | None:
    try:
        write_if_changed(card, claims.card(card))
    except claims.ClaimNotFoundError as error:
        return TaskFailed(str(error))


def write_catalogue() -> TaskFailed | None:
    try:
        write_if_changed(CATALOGUE, catalogue.catalogue())
    except catalogue.CatalogueError as error:
        return TaskFailed(str(error))


def write_archive() -> None:
    write_if_changed(ARCHIVE, catalogue.archive())


def write_digits() -> None:
    write_if_changed(DIGITS, digits_json())


def copy(source: Path, target: Path) -> None:
    write_if_changed(target, source.read_bytes())


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
        self.total = sum(_is_experiment(task) for task in tasks.values())

    def get_status(self, task: Task) -> None: ...

    def execute_task(self, task: Task) -> None:
        try:
            self.started[task.name] = time.monotonic()
            if _is_experiment(task):
                self.write(f"         measuring {_short(task)}\n")
        except Exception:
            # In a thread of doit, which hands on the words of an error and not its place.
            traceback.print_exc()
            raise

    def add_success(self, task: Task) -> None:
        self._finish(task, "")

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        # A task whose input is missing has nothing to say of its own.
        if not isinstance(fail, UnmetDependency):
            self.failures.append(f"{_short(task)}\n{fail.get_msg().strip()}")
            self._finish(task, "FAILED")

    def _finish(self, task: Task, outcome: str) -> None:
        if _is_experiment(task):
            self.finished += 1
            seconds = time.monotonic() - self.started.get(task.name, time.monotonic())
            self.write(f"[{self.finished:3}/{self.total}] {seconds:5.1f} s  {_short(task)} {outcome}".rstrip() + "\n")

    def skip_uptodate(self, task: Task) -> None:
        self.finished += _is_experiment(task)

    def skip_ignore(self, task: Task) -> None: ...

    def cleanup_error(self, exception: BaseFail) -> None:
        self.failures.append(exception.get_msg())

    def runtime_error(self, msg: str) -> None:
        self.failures.append(msg)

    def teardown_task(self, task: Task) -> None: ...

    def complete_run(self) -> None:
        if self.failures:
            self.write(f"\n{len(self.failures)} failed:\n\n" + "\n\n".join(self.failures) + "\n\n")


def _is_experiment(task: Task) -> bool:
    return task.name.startswith("experiment:")


def _short(task: Task) -> str:
    return task.name.removeprefix("experiment:")


class Tasks(ModuleTaskLoader):
    """The tasks of this module. They share the process's standard output and error, which doit would replace around
    each: its threads restore each other's replacement, and what is written afterwards, such as a traceback, is lost."""

    def load_tasks(self, cmd, pos_args: list[str]) -> list[Task]:
        tasks = super().load_tasks(cmd, pos_args)
        for task in tasks:
            task.io.capture = False
        return tasks


def remove_what_nobody_makes() -> None:
    """Delete the figures of experiments and the copies of snippets and labs that are gone."""
    made = {product for experiment in find_experiments() for product in experiment.products}
    made |= {LEDGER, CATALOGUE, ARCHIVE, DIGITS, *_downloads().values(), *claims.wanted()}
    made |= set(map(_notebook, labs()))
    for path in (*FIGURES.rglob("*.*"), *DOWNLOADS.rglob("*.*")):
        if path.is_file() and path not in made:
            path.unlink()


def forget_damaged_caches() -> None:
    """A cache cut short would stop doit or mkdocs-jupyter; without it, everything is made anew."""
    STATE.parent.mkdir(exist_ok=True)
    for cache in (STATE, *LABS_CACHE.glob("*.json")):
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
    with contextlib.chdir(ROOT), measuring.settings():
        forget_damaged_caches()
        remove_what_nobody_makes()
        return DoitMain(Tasks(globals()), extra_config={"GLOBAL": settings}).run(["run"])


if __name__ == "__main__":
    sys.exit(main())
