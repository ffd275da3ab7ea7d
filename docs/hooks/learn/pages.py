"""What quiz, interview sheet and exercises of a chapter include: Markdown, made of its source by templates."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from docs.hooks.learn import exercises
from docs.hooks.learn.source import Source, measured, with_numbers
from docs.hooks.pages import Page
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
    return f"{claim.statement}: **{typeset(claim.printed)}**. [The evidence]({ledger})"
