"""The tasks of the build: what is made of what, and what each is stale by.

An experiment is measured, drawn and shown in three steps. Each is stale by what it reads: its files, the code of the
build that it runs, and the versions of the packages that decide its result.
"""

import hashlib
import platform
import shutil
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from doit.exceptions import TaskFailed
from doit.task import Task
from doit.tools import config_changed, result_dep

from docs.hooks import store
from docs.hooks.draw import theme
from docs.hooks.draw.run import draw
from docs.hooks.markdown import fonts, formulas, katex
from docs.hooks.measure import processes
from docs.hooks.measure.attempt import Step
from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.measure.imports import imported_files
from docs.hooks.measure.run import measure
from docs.hooks.pages import Page, find_pages, find_places
from docs.hooks.show import catalogue, claims, evidence, labs, prose
from docs.hooks.show.explorer import digits_json
from docs.hooks.store import ROOT, write_if_changed

MEASURED = Path(".cache", "measured")
FIGURES = Path("docs", "figures")
DOWNLOADS = Path("docs", "downloads")
LEDGER = FIGURES / "evidence-ledger.md"
CATALOGUE = FIGURES / "snippets.md"
ARCHIVE = DOWNLOADS / f"{catalogue.ARCHIVE}.zip"
DIGITS = DOWNLOADS / "explorer" / "digits.json"

HOOKS = Path("docs", "hooks")
KATEX = [str(HOOKS / "vendor" / "katex" / file) for file in ("katex.min.js", "katex.min.css")]
TEMPLATES = [str(HOOKS / "show" / file.name) for file in (evidence.CLAIMS, evidence.TABLE)]
NUMERICAL = ("keras", "numpy", "scikit-learn", "scipy", "tensorflow", "torch", "transformers")
"""The packages whose versions decide what is measured."""


@cache
def code(module: str) -> list[str]:
    """A module of the build and all files of the project that it imports."""
    own = HOOKS / module
    return sorted(map(str, {own, *imported_files(own)}))


@cache
def versions(*packages: str) -> str:
    return str((platform.python_version(), *map(version, packages)))


def task_measure() -> Iterator[dict]:
    """Measure each experiment and hold its claims to their intervals."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(take, [measure, experiment, experiment.measurement])],
            "file_dep": [*_sources(experiment), *code("measure/run.py")],
            "targets": [str(experiment.measurement)],
            "uptodate": [config_changed(versions(*NUMERICAL)), products_are_intact],
        }


def task_draw() -> Iterator[dict]:
    """Draw what was measured."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(take, [draw, experiment, experiment.figure])],
            "file_dep": [str(experiment.measurement), *_sources(experiment), *code("draw/run.py")],
            "targets": [str(experiment.figure)],
            "uptodate": [config_changed(versions("matplotlib")), products_are_intact],
        }


def task_show() -> Iterator[dict]:
    """Write the card, the table and the numbers for download of what was measured."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(show, [experiment])],
            "file_dep": [str(experiment.measurement), *code("show/evidence.py"), *TEMPLATES, *KATEX],
            "targets": list(map(str, experiment.shown)),
            "uptodate": [products_are_intact],
        }


def task_claims() -> Iterator[dict]:
    """A card for each claim that a page shows alone."""
    for card in claims.wanted():
        experiment = claims.experiment_of(card)
        # The card of all claims stands for words without a slip, of which its own task tells.
        made_from = [str(experiment.measurement), str(experiment.card)] if experiment.path.is_file() else []
        yield {
            "name": card.as_posix(),
            "actions": [(write_claim, [card])],
            "file_dep": [*made_from, *code("show/claims.py"), *TEMPLATES],
            "targets": [str(card)],
        }


def task_ledger() -> dict:
    """The ledger of all claims."""
    experiments, places = find_experiments(), find_places()
    return {
        "actions": [(write_ledger, [experiments, places])],
        "file_dep": [*(str(experiment.card) for experiment in experiments), *code("show/evidence.py")],
        "targets": [str(LEDGER)],
        "uptodate": [config_changed(str([(str(each), places.get(each.card.as_posix())) for each in experiments]))],
    }


def task_formulas() -> Iterator[dict]:
    """Find the formulas of every page, and say which of them KaTeX refuses."""
    for page in find_pages():
        yield {
            "name": str(page),
            "actions": [(read_formulas, [page])],
            "file_dep": [str(page), *code("markdown/formulas.py"), *KATEX],
        }


def task_fonts() -> dict:
    """The fonts and the style sheet of all formulas, cut to the glyphs that these show."""
    return {
        "actions": [write_fonts],
        "getargs": {"on_pages": ("formulas", "glyphs"), "in_evidence": ("show", "glyphs")},
        "file_dep": [*code("markdown/fonts.py"), *KATEX],
        "uptodate": [result_dep("formulas"), result_dep("show"), products_are_intact],
    }


def task_theme() -> dict:
    """The colours of the palette, where the site's look needs them."""
    sources = [str(HOOKS / "draw" / file.name) for file in (theme.STYLE_SHEET, theme.FAVICON)]
    return {
        "actions": [write_theme],
        "file_dep": [*code("draw/theme.py"), *sources],
        "targets": [str(theme.STYLE_SHEET), str(theme.FAVICON)],
        "uptodate": [products_are_intact],
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


def task_catalogue() -> dict:
    """The page of all snippets."""
    snippets, places = catalogue.find_snippets(), find_places()
    return {
        "actions": [write_catalogue],
        "file_dep": [*map(str, snippets), *code("show/catalogue.py")],
        "targets": [str(CATALOGUE)],
        "uptodate": [config_changed(str([*((str(each), places.get(each.as_posix())) for each in snippets), *_downloads()]))],
    }


def task_archive() -> dict:
    """All snippets in one file to download."""
    sources = ["LICENSE", *map(str, catalogue.find_snippets())]
    return {
        "actions": [write_archive],
        "file_dep": [*sources, *code("show/catalogue.py")],
        "targets": [str(ARCHIVE)],
        "uptodate": [config_changed(str(sources))],
    }


def task_digits() -> dict:
    """The data that the explorer trains on."""
    return {
        "actions": [write_digits],
        "file_dep": code("show/explorer.py"),
        "targets": [str(DIGITS)],
        "uptodate": [config_changed(versions("numpy", "scikit-learn"))],
    }


def task_notebooks() -> Iterator[dict]:
    """Every lab as a notebook to download."""
    for lab in labs.find_labs():
        target = DOWNLOADS / "labs" / f"{lab.stem}.ipynb"
        yield {
            "name": lab.as_posix(),
            "actions": [(labs.write_notebook, [lab, target])],
            "file_dep": [str(lab), *code("show/labs.py")],
            "targets": [str(target)],
        }


def task_labs() -> dict:
    """Have the labs executed again when what they run and are shown with changed: mkdocs-jupyter sees their text alone."""
    return {
        "actions": [labs.forget_executed],
        "file_dep": [str(file) for file in (HOOKS / "show" / "jupyter").rglob("*.*")],
        "uptodate": [config_changed(versions(*NUMERICAL, "matplotlib", "mkdocs-jupyter", "nbconvert"))],
    }


def take(step: Step, experiment: Experiment, product: Path) -> dict[str, dict[str, str]] | TaskFailed:
    """Take a step in a process of its own; the digest of what it made is what doit remembers."""
    if failure := processes.failure(step, experiment):
        return TaskFailed(failure)
    return {"products": _digests([product])}


def show(experiment: Experiment) -> dict[str, dict[str, str]] | TaskFailed:
    """Remembered are the products and the characters that each font has to show."""
    measurement = store.load(experiment.measurement)
    record, table = measurement.record, measurement.table
    try:
        found = prose.check(evidence.texts(record, table), experiment.path)
    except prose.ProseError as error:
        return TaskFailed(str(error))
    write_if_changed(experiment.numbers, measurement.numbers)
    write_if_changed(experiment.claims, evidence.claims(record))
    write_if_changed(experiment.card, evidence.card(experiment, evidence.include(experiment.claims)))
    if table:
        write_if_changed(experiment.table, evidence.table(table))
    return {"products": _digests(experiment.shown), "glyphs": _glyphs(found)}


def write_claim(card: Path) -> TaskFailed | None:
    experiment = claims.experiment_of(card)
    if not experiment.path.is_file():
        return TaskFailed(f"{card.as_posix()}: there is no {experiment.path.as_posix()}")
    try:
        write_if_changed(card, claims.card(card, store.load(experiment.measurement).record))
    except claims.ClaimNotFoundError as error:
        return TaskFailed(str(error))


def write_ledger(experiments: list[Experiment], places: dict[str, list[str]]) -> None:
    write_if_changed(LEDGER, evidence.ledger(experiments, places))


def read_formulas(page: Page) -> dict[str, dict[str, str]] | TaskFailed:
    """Check the formulas of a page; what doit remembers is the characters that each font has to show."""
    found, slips = formulas.read(page.text)
    if slips:
        return TaskFailed("\n".join(f"{page}:{slip.line}: {slip.said}" for slip in slips))
    return {"glyphs": _glyphs(found)}


def write_fonts(on_pages: dict[str, dict[str, str]], in_evidence: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Both hold the glyphs of every source."""
    sources = (*on_pages.values(), *in_evidence.values())
    faces = _by_face((face, char) for source in sources for face, text in source.items() for char in text)
    return {"products": _digests(fonts.write_fonts(faces))}


def _glyphs(found: Iterable[katex.Formula]) -> dict[str, str]:
    return _by_face(glyph for formula in found for glyph in fonts.glyphs(formula))


def _by_face(shown: Iterable[tuple[str, str]]) -> dict[str, str]:
    faces: dict[str, set[str]] = {}
    for face, character in shown:
        faces.setdefault(face, set()).add(character)
    return {face: "".join(sorted(characters)) for face, characters in sorted(faces.items())}


def write_theme() -> dict[str, dict[str, str]]:
    write_if_changed(theme.STYLE_SHEET, theme.style_sheet())
    write_if_changed(theme.FAVICON, theme.favicon())
    return {"products": _digests([theme.STYLE_SHEET, theme.FAVICON])}


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


def _sources(experiment: Experiment) -> list[str]:
    return sorted(map(str, {experiment.path, *imported_files(experiment.path)}))


def _downloads() -> dict[Path, Path]:
    tests = filter(Path.is_file, map(catalogue.mirror, catalogue.find_snippets()))
    snippets = sorted(Path("snippets").glob("*/*.py"))
    return {source: DOWNLOADS / source.relative_to("snippets") for source in snippets} | {
        test: DOWNLOADS / test for test in tests
    }


def products_are_intact(task: Task, values: dict[str, dict[str, str]]) -> bool:
    """Whether each product still holds the bytes that the task wrote."""
    products = values.get("products", {})
    intact = (Path(path).is_file() and digest == _digest(Path(path)) for path, digest in products.items())
    return bool(products) and all(intact)


def _digests(products: Iterable[Path]) -> dict[str, str]:
    return {str(product): _digest(product) for product in products}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
