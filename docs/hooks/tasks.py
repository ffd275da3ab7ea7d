"""The tasks of the build: what is made of what, and what each is stale by.

An experiment is measured, drawn and shown in three steps, and what is drawn is painted at last. Each step is stale by
what it reads: its files, the code of the build that it runs, and the versions of the packages that decide its result.
"""

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from doit.tools import config_changed, result_dep

from docs.hooks import actions
from docs.hooks.actions import ARCHIVE, CATALOGUE, DECK, DIGITS, DOWNLOADS, LEDGER, products_are_intact
from docs.hooks.draw import drawing, theme
from docs.hooks.learn import exercises, pages
from docs.hooks.learn.source import Source, find_sources
from docs.hooks.measure import spread
from docs.hooks.measure.experiment import Experiment, find_experiments
from docs.hooks.measure.imports import imported_files, outline
from docs.hooks.measure.run import measure
from docs.hooks.pages import find_pages, find_places
from docs.hooks.publish import cards, changelog, facts
from docs.hooks.show import catalogue, claims, evidence, findings, labs

HOOKS = Path("docs", "hooks")
KATEX = [str(HOOKS / "vendor" / "katex" / file) for file in ("katex.min.js", "katex.min.css")]
TEMPLATES = [str(HOOKS / "show" / file.name) for file in (evidence.CLAIMS, evidence.TABLE)]
SPREAD = [str(spread.TABLE), str(HOOKS / "measure" / "spread.py")]
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
            "actions": [(actions.take, [measure, experiment, experiment.measurement])],
            "file_dep": [str(experiment.path), *code("measure/run.py")],
            "targets": [str(experiment.measurement)],
            "uptodate": [config_changed(versions(*NUMERICAL) + _programs(experiment)), products_are_intact],
        }


def task_draw() -> Iterator[dict]:
    """Draw what was measured, without the colours."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(actions.take, [drawing.draw, experiment, drawing.place(experiment)])],
            "file_dep": [str(experiment.measurement), str(experiment.path), *code("draw/drawing.py")],
            "targets": [str(drawing.place(experiment))],
            "uptodate": [config_changed(versions("matplotlib") + _programs(experiment)), products_are_intact],
        }


def task_paint() -> Iterator[dict]:
    """Give what was drawn the colours of the palette."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(actions.paint, [experiment])],
            "file_dep": [str(drawing.place(experiment)), *code("draw/theme.py")],
            "targets": [str(experiment.figure)],
            "uptodate": [products_are_intact],
        }


def task_show() -> Iterator[dict]:
    """Write the card, the table and the numbers for download of what was measured."""
    for experiment in find_experiments():
        yield {
            "name": str(experiment),
            "actions": [(actions.show, [experiment])],
            "file_dep": [str(experiment.measurement), *code("show/evidence.py"), *SPREAD, *TEMPLATES, *KATEX],
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
            "actions": [(actions.write_claim, [card])],
            "file_dep": [*made_from, *code("show/claims.py"), *SPREAD, *TEMPLATES],
            "targets": [str(card)],
        }


def task_findings() -> Iterator[dict]:
    """What each finding of a tool says, and what the tests for Keras plant."""
    for tool in findings.find_tools():
        pages = sorted({str(page) for page in tool.leads_to()})
        yield {
            "name": tool.name,
            "actions": [(actions.write_findings, [tool])],
            "file_dep": [str(tool.source), *pages, *code("show/findings.py")],
            "targets": [str(tool.place(finding)) for finding in tool.advice()],
        }
    if findings.KERAS.is_file():
        yield {
            "name": findings.KERAS_LIST.name,
            "actions": [actions.write_keras_list],
            "file_dep": [str(findings.KERAS), *code("show/findings.py")],
            "targets": [str(findings.KERAS_LIST)],
        }


def task_ledger() -> dict:
    """The ledger of all claims."""
    experiments, places = find_experiments(), find_places()
    shown = [(str(experiment), places.get(experiment.card.as_posix())) for experiment in experiments]
    return {
        "actions": [(actions.write_ledger, [experiments, places])],
        "file_dep": [*(str(experiment.card) for experiment in experiments), *code("show/evidence.py")],
        "targets": [str(LEDGER)],
        "uptodate": [config_changed(str(shown))],
    }


def task_formulas() -> Iterator[dict]:
    """Find the formulas of every page, and say which of them KaTeX refuses."""
    for page in find_pages():
        yield {
            "name": str(page),
            "actions": [(actions.read_formulas, [page])],
            "file_dep": [str(page), *code("markdown/formulas.py"), *KATEX],
        }


def task_fonts() -> dict:
    """The fonts and the style sheet of all formulas, cut to the glyphs that these show."""
    return {
        "actions": [actions.write_fonts],
        "getargs": {
            "on_pages": ("formulas", "glyphs"),
            "in_evidence": ("show", "glyphs"),
            "in_labs": ("notebooks", "glyphs"),
            "in_learn": ("learn", "glyphs"),
        },
        "file_dep": [*code("markdown/fonts.py"), *KATEX],
        "uptodate": [*map(result_dep, ("formulas", "show", "notebooks", "learn")), products_are_intact],
    }


def task_theme() -> dict:
    """The colours of the palette, where the site's look needs them."""
    sources = [str(HOOKS / "draw" / file.name) for file in (theme.STYLE_SHEET, theme.FAVICON)]
    return {
        "actions": [actions.write_theme],
        "file_dep": [*code("draw/theme.py"), *sources],
        "targets": [str(theme.STYLE_SHEET), str(theme.FAVICON), str(theme.TEMPLATE)],
        "uptodate": [products_are_intact],
    }


def task_facts() -> dict:
    """The commit that is built, its day, and the versions that measure."""
    known = facts.facts()
    return {
        "actions": [(actions.write_facts, [known])],
        "file_dep": code("publish/facts.py"),
        "targets": [str(facts.TEMPLATE)],
        "uptodate": [config_changed(str(known))],
    }


def task_changelog() -> dict:
    """What changed for readers, as its page and the feed show it."""
    source = changelog.SOURCE
    return {
        "actions": [actions.write_changelog],
        "file_dep": [*([str(source)] if source.is_file() else []), *code("publish/changelog.py")],
        "targets": [str(changelog.LIST), str(changelog.TEMPLATE)],
    }


def task_cards() -> Iterator[dict]:
    """The card that is shown beside a link to a page, stale by its words alone; the icon of the site."""
    look = [*code("publish/cards.py"), *map(str, cards.FONTS)]
    drawn_with = versions("pillow", "fonttools")
    for card in cards.find_cards():
        yield {
            "name": card.source.as_posix(),
            "actions": [(actions.write_card, [card])],
            "file_dep": look,
            "targets": [str(card.path)],
            "uptodate": [config_changed(str((drawn_with, card.words)))],
        }
    yield {
        "name": cards.ICON.name,
        "actions": [actions.write_icon],
        "file_dep": look,
        "targets": [str(cards.ICON)],
        "uptodate": [config_changed(drawn_with)],
    }


def task_downloads() -> Iterator[dict]:
    """A published copy of every snippet and of the tests of those to copy, for the links beside the code."""
    for source, target in _downloads().items():
        yield {
            "name": source.as_posix(),
            "actions": [(actions.copy, [source, target])],
            "file_dep": [str(source)],
            "targets": [str(target)],
        }


def task_catalogue() -> dict:
    """The page of all snippets."""
    snippets, places = catalogue.find_snippets(), find_places()
    shown = [(str(snippet), places.get(snippet.as_posix())) for snippet in snippets]
    return {
        "actions": [actions.write_catalogue],
        "file_dep": [*map(str, snippets), *code("show/catalogue.py")],
        "targets": [str(CATALOGUE)],
        "uptodate": [config_changed(str((shown, list(_downloads()))))],
    }


def task_archive() -> dict:
    """All snippets in one file to download."""
    sources = ["LICENSE", *map(str, catalogue.find_snippets())]
    return {
        "actions": [actions.write_archive],
        "file_dep": [*sources, *code("show/catalogue.py")],
        "targets": [str(ARCHIVE)],
        "uptodate": [config_changed(str(sources))],
    }


def task_learn() -> Iterator[dict]:
    """The quiz, the interview sheet and the exercises of each chapter."""
    for one in find_sources():
        yield {
            "name": one.slug,
            "actions": [(actions.write_learn, [one])],
            "file_dep": [*_of_source(one), *map(str, pages.TEMPLATES), *code("learn/pages.py"), *KATEX],
            "targets": list(map(str, actions.learn_products(one))),
            "uptodate": [products_are_intact],
        }


def task_deck() -> Iterator[dict]:
    """The cards of all chapters, for Anki."""
    if sources := find_sources():
        made_from = {file for one in sources for file in _of_source(one)}
        shown = {experiment for one in sources for experiment in one.experiments}
        figures = {str(experiment.figure) for experiment in shown}
        shown_on = {str(page) for experiment in shown for page in pages.shown_on(experiment)}
        second = facts.facts().second
        yield {
            "name": DECK.name,
            "actions": [(actions.write_deck, [sources, second])],
            "file_dep": sorted({*made_from, *figures, *shown_on, *code("learn/deck.py")}),
            "targets": [str(DECK)],
            "uptodate": [config_changed(str((versions("genanki"), second)))],
        }


def task_digits() -> dict:
    """The data that the explorer trains on."""
    return {
        "actions": [actions.write_digits],
        "file_dep": code("show/explorer.py"),
        "targets": [str(DIGITS)],
        "uptodate": [config_changed(versions("numpy", "scikit-learn"))],
    }


def task_notebooks() -> Iterator[dict]:
    """Every lab as a notebook, and both to download."""
    for lab in labs.find_labs():
        notebook = lab.with_suffix(".ipynb")
        yield {
            "name": lab.as_posix(),
            "actions": [(actions.write_lab, [lab, notebook])],
            "file_dep": [str(lab), *code("show/labs.py"), *KATEX],
            "targets": [str(notebook), *(str(DOWNLOADS / "labs" / file.name) for file in (lab, notebook))],
        }


def task_labs() -> dict:
    """Have labs executed again when what they run and are shown with changed: mkdocs-jupyter sees their text alone."""
    return {
        "actions": [labs.forget_executed],
        "file_dep": [*map(str, (HOOKS / "show" / "jupyter").rglob("*.*")), *code("show/labs.py"), *KATEX],
        "uptodate": [config_changed(versions(*NUMERICAL, "matplotlib", "mkdocs-jupyter", "nbconvert"))],
    }


def _of_source(one: Source) -> list[str]:
    """What the pages of a chapter are made of."""
    written = [file(one, name) for name in one.code for file in (exercises.solution, exercises.tests)]
    measurements = [str(experiment.measurement) for experiment in one.experiments]
    return [str(one.path), *measurements, *map(str, filter(Path.is_file, written))]


def _programs(experiment: Experiment) -> str:
    """What the files do that the experiment imports. A sentence in one of them measures nothing again."""
    return str([(str(file), outline(file).program) for file in sorted(imported_files(experiment.path))])


def _downloads() -> dict[Path, Path]:
    tests = filter(Path.is_file, map(catalogue.mirror, catalogue.find_snippets()))
    snippets = sorted(Path("snippets").glob("*/*.py"))
    return {source: DOWNLOADS / source.relative_to("snippets") for source in snippets} | {
        test: DOWNLOADS / test for test in tests
    }
