"""What the tasks of the build do: each brings one product up to date, or says what failed.

What an action returns is what doit remembers of it: digests of the products, so that a damaged one is made again, and
the glyphs that the fonts have to show.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from doit.exceptions import TaskFailed
from doit.task import Task

from docs.hooks import store
from docs.hooks.draw import drawing, theme
from docs.hooks.learn import exercises, pages
from docs.hooks.learn.source import Source, SourceError
from docs.hooks.markdown import fonts, formulas, katex
from docs.hooks.measure import processes, spread
from docs.hooks.measure.attempt import Step
from docs.hooks.measure.experiment import Experiment
from docs.hooks.pages import Page
from docs.hooks.publish import cards, changelog, facts
from docs.hooks.show import catalogue, claims, evidence, findings, labs, prose
from docs.hooks.show.explorer import digits_json
from docs.hooks.store import ROOT, write_if_changed

MEASURED = Path(".cache", "measured")
FIGURES = Path("docs", "figures")
DOWNLOADS = Path("docs", "downloads")
LEDGER = FIGURES / "evidence-ledger.md"
CATALOGUE = FIGURES / "snippets.md"
ARCHIVE = DOWNLOADS / f"{catalogue.ARCHIVE}.zip"
DECK = DOWNLOADS / "learn" / "well-initialized.apkg"
DIGITS = DOWNLOADS / "explorer" / "digits.json"

Remembered = dict[str, dict[str, str]]


def take(step: Step, experiment: Experiment, product: Path) -> Remembered | TaskFailed:
    """Take a step in a process of its own; the digest of what it made is what doit remembers."""
    if failure := processes.failure(step, experiment):
        return TaskFailed(failure)
    return {"products": _digests([product])}


def paint(experiment: Experiment) -> Remembered:
    theme.paint(drawing.place(experiment), experiment.figure)
    return {"products": _digests([experiment.figure])}


def show(experiment: Experiment) -> Remembered | TaskFailed:
    """Remembered are the products and the characters that each font has to show."""
    measurement = store.load(experiment.measurement)
    record, table = spread.quoted(experiment, measurement.record), measurement.table
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
        write_if_changed(card, claims.card(card, spread.quoted(experiment, store.load(experiment.measurement).record)))
    except claims.ClaimNotFoundError as error:
        return TaskFailed(str(error))
    return None


def write_findings(tool: findings.Tool) -> TaskFailed | None:
    try:
        for place, text in tool.entries():
            write_if_changed(place, text)
    except findings.FindingError as error:
        return TaskFailed(str(error))
    return None


def write_keras_list() -> TaskFailed | None:
    try:
        write_if_changed(findings.KERAS_LIST, findings.keras_list())
    except findings.FindingError as error:
        return TaskFailed(str(error))
    return None


def write_ledger(experiments: list[Experiment], places: dict[str, list[str]]) -> None:
    counts = {
        experiment.card.as_posix(): len(store.load(experiment.measurement).record["claims"])
        for experiment in experiments
    }
    write_if_changed(LEDGER, evidence.ledger(experiments, places, counts))


def read_formulas(page: Page) -> Remembered | TaskFailed:
    """Check the formulas of a page; what doit remembers is the characters that each font has to show."""
    found, slips = formulas.read(page.text)
    if slips:
        return TaskFailed("\n".join(f"{page}:{slip.line}: {slip.said}" for slip in slips))
    return {"glyphs": _glyphs(found)}


def write_lab(lab: Path, notebook: Path) -> Remembered | TaskFailed:
    """Write the notebook of a lab, and a copy of both for download. Remembered are the characters of its formulas."""
    found, slips = formulas.read(labs.prose(lab))
    if slips:
        return TaskFailed("\n".join(f"{lab.as_posix()}:{slip.line}: {slip.said}" for slip in slips))
    labs.write_notebook(lab, notebook)
    for file in (lab, notebook):
        copy(file, DOWNLOADS / "labs" / file.name)
    return {"glyphs": _glyphs(found)}


def write_fonts(**glyphs: Remembered) -> Remembered:
    """Each holds the glyphs of every source of its kind."""
    sources = [source for kind in glyphs.values() for source in kind.values()]
    faces = _by_face((face, char) for source in sources for face, text in source.items() for char in text)
    return {"products": _digests(fonts.write_fonts(faces))}


def _glyphs(found: Iterable[katex.Formula]) -> dict[str, str]:
    return _by_face(glyph for formula in found for glyph in fonts.glyphs(formula))


def _by_face(shown: Iterable[tuple[str, str]]) -> dict[str, str]:
    faces: dict[str, set[str]] = {}
    for face, character in shown:
        faces.setdefault(face, set()).add(character)
    return {face: "".join(sorted(characters)) for face, characters in sorted(faces.items())}


def write_theme() -> Remembered:
    write_if_changed(theme.STYLE_SHEET, theme.style_sheet())
    write_if_changed(theme.FAVICON, theme.favicon())
    write_if_changed(theme.TEMPLATE, theme.template())
    return {"products": _digests([theme.STYLE_SHEET, theme.FAVICON, theme.TEMPLATE])}


def write_facts(known: facts.Facts) -> None:
    write_if_changed(facts.TEMPLATE, facts.template(known))


def write_changelog() -> TaskFailed | None:
    try:
        known = changelog.entries()
    except changelog.ChangelogError as error:
        return TaskFailed(str(error))
    write_if_changed(changelog.LIST, changelog.listing(known))
    write_if_changed(changelog.TEMPLATE, changelog.template(known))
    return None


def write_card(card: cards.Card) -> None:
    write_if_changed(card.path, cards.draw(*card.words))


def write_icon() -> None:
    write_if_changed(cards.ICON, cards.icon())


def write_catalogue() -> TaskFailed | None:
    try:
        write_if_changed(CATALOGUE, catalogue.catalogue())
    except catalogue.CatalogueError as error:
        return TaskFailed(str(error))
    return None


def write_archive() -> None:
    write_if_changed(ARCHIVE, catalogue.archive())


def learn_products(source: Source) -> list[Path]:
    """The includes of its three pages, then stub and test of each exercise with code."""
    included = [FIGURES / "learn" / source.slug / f"{kind}.md" for kind in pages.KINDS]
    own = DOWNLOADS / "learn" / source.slug
    return included + [own / f"{part}{name}.py" for name in source.code for part in ("", "test_")]


def write_learn(source: Source) -> Remembered | TaskFailed:
    """Remembered are the products and the characters that each font has to show."""
    try:
        found = source.check()
        made = [pages.page(source, kind) for kind in pages.KINDS]
        for name in source.code:
            made += [exercises.stub(source, name) + "\n", (ROOT / exercises.tests(source, name)).read_text("utf-8")]
    except (SourceError, FileNotFoundError) as error:
        return TaskFailed(str(error))
    products = learn_products(source)
    for product, text in zip(products, made, strict=True):
        write_if_changed(product, text)
    return {"products": _digests(products), "glyphs": _glyphs(found)}


def write_deck(sources: list[Source], second: int) -> TaskFailed | None:
    from docs.hooks.learn import deck

    try:
        deck.write(sources, DECK, second)
    except SourceError as error:
        return TaskFailed(str(error))
    return None


def write_digits() -> None:
    write_if_changed(DIGITS, digits_json())


def copy(source: Path, target: Path) -> None:
    write_if_changed(target, source.read_bytes())


def products_are_intact(task: Task, values: Remembered) -> bool:
    """Whether each product still holds the bytes that the task wrote."""
    products = values.get("products", {})
    intact = (Path(path).is_file() and digest == _digest(Path(path)) for path, digest in products.items())
    return bool(products) and all(intact)


def _digests(products: Iterable[Path]) -> dict[str, str]:
    return {str(product): _digest(product) for product in products}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
