"""What quiz, interview sheet and exercises of a chapter include: Markdown, made of its source by templates."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from docs.hooks.learn import exercises
from docs.hooks.learn.source import Source, measured, with_numbers
from docs.hooks.measure.experiment import Experiment
from docs.hooks.pages import Page, link
from docs.hooks.show.evidence import anchor
from docs.hooks.show.prose import typeset

FOLDER = Path(__file__).parent
KINDS = ("quiz", "interview", "exercises")
TEMPLATES = [FOLDER / f"{name}.md.j2" for name in ("ways", *KINDS)]


def page(source: Source, kind: str) -> str:
    """The Markdown of one page below its heading. Raises SourceError."""
    return (
        _reader()
        .get_template(f"{kind}.md.j2")
        .render(
            source=source, chapter=chapter(source), entries=source.entries, stub=exercises.stub, body=exercises.body
        )
    )


def chapter(source: Source) -> str:
    """The title of the chapter."""
    return Page(Path("docs", "chapters", f"{source.slug}.md")).title


def shown_on(experiment: Experiment) -> list[Path]:
    """The pages that may show its figure: the chapter, and all experiments of its topic."""
    file = f"{experiment.topic.replace('_', '-')}.md"
    return [path for folder in ("chapters", "experiments") if (path := Path("docs", folder, file)).is_file()]


def to_be_seen(experiment: Experiment) -> str:
    """What its figure shows, in the words of the page that shows it; nothing if none does."""
    figure = f"figures/{experiment.topic}/{experiment.name}.svg"
    shown = (alt for path in shown_on(experiment) for alt, address in Page(path).images if address.endswith(figure))
    return next(shown, "")


@cache
def _reader() -> Environment:
    reader = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=False,  # what is written is Markdown
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reader.filters |= {"numbers": with_numbers, "evidence": evidence}
    return reader


def evidence(address: str) -> str:
    """A claim in one line, for a page two folders below the root: what was measured, and where it is proved."""
    claim = measured(address)
    ledger = f"../../toolbox/evidence-ledger.md#{anchor(claim.experiment)}"
    proved = link("The evidence", ledger, claim.experiment.name.replace("_", " "))
    return f"{claim.statement}: **{typeset(claim.printed)}**. {proved}"
