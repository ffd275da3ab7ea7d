"""The findings of `check_model` and `diagnose` as their pages list them, in the words that the tools print.

A page includes `docs/figures/findings/<tool>/<code>.md` where the finding belongs. What the tests plant in Keras is
listed as well: a page includes `docs/figures/findings/keras.md`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.hooks.pages import DOCS, Page
from docs.hooks.store import ROOT, recall

CODE = Path(__file__).read_text(encoding="utf-8")
FINDINGS = DOCS / "figures" / "findings"
KERAS, KERAS_LIST = Path("tests", "diagnostics", "keras_models.py"), FINDINGS / "keras.md"
LINK = re.compile(r"(\w+/[a-z-]+)/#([a-z-]+)")
"""A page and a section, as a report prints them behind the address of the site."""
CODE_IN_WORDS = re.compile(
    r"""(
    [A-Za-z_]\w*=\w+(?:\.\w+)*  # training=self.training
    |(?:(?<=\s)-|\b1/)?  # -(a * b).mean(), 1/sqrt(d)
     (?:[A-Za-z_]\w*|\([^()]*\)(?=\.\w)|(?<!\S)(?=\.[a-z]))  # F.dropout(x), (a * b).mean(), .detach()
     (?:\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]|\.\w+)+
    |[A-Za-z]\w*_\w*  # log_softmax
    )""",
    re.VERBOSE,
)
"""What a report, which has no marks for it, says in code: a call, an index, an argument, a name with a dot or `_`."""


class FindingError(Exception):
    """The advice of a finding leads nowhere."""


@dataclass(frozen=True)
class Tool:
    name: str
    page: Path
    """Where its findings are listed."""
    variable: str
    """The findings by their codes: level, symptom, cause, cure, link."""

    @property
    def source(self) -> Path:
        """With what it says of PyTorch; the page has what Keras does otherwise."""
        return Path("snippets", "diagnostics", f"{self.name}_pytorch.py")

    def advice(self) -> dict[str, list[str]]:
        text = (ROOT / self.source).read_text(encoding="utf-8")
        return recall((CODE, self.variable, text), lambda: _value(self.variable, text))

    def place(self, code: str) -> Path:
        return FINDINGS / self.name / f"{code}.md"

    def entries(self) -> Iterator[tuple[Path, str]]:
        """Place and text of every finding. Raises FindingError where one leads to no section."""
        for code, (level, *words, link) in self.advice().items():
            symptom, cause, cure = map(_marked, words)
            note = " (note)" if level == "note" else ""
            read = self._link(code, link)
            yield self.place(code), f"`{code}`{note}  \n**{symptom}** {cause} *Cure:* {cure} *Read:* {read}\n"

    def leads_to(self) -> set[Path]:
        """The pages of which its findings name a section."""
        found = (LINK.fullmatch(link) for *_, link in self.advice().values())
        pages = (DOCS / f"{link[1]}.md" for link in found if link)
        return {page for page in pages if (ROOT / page).is_file()}

    def _link(self, code: str, link: str) -> str:
        found = LINK.fullmatch(link)
        page = Page(DOCS / f"{found[1]}.md") if found else None
        if not found or not page or not (ROOT / page.path).is_file() or found[2] not in page.sections:
            raise FindingError(f"{self.source.as_posix()}: {code}: no page has the section {link}")
        folder = "" if page.path.parent == self.page.parent else f"../{page.path.parent.name}/"
        address = "" if page.path == self.page else f"{folder}{page.path.name}"
        return f"[{page.name_of(found[2])}]({address}#{found[2]})"


def _marked(words: str) -> str:
    """The same words in Markdown. What is split by a pattern in parentheses has the matches at every second place."""
    pieces = CODE_IN_WORDS.split(words)
    pieces[::2] = (re.sub(r"([*_])", r"\\\1", piece) for piece in pieces[::2])
    pieces[1::2] = (f"`{piece}`" for piece in pieces[1::2])
    return "".join(pieces)


def _value(variable: str, text: str) -> dict[str, list[str]]:
    """What a module gives a variable. Of it only that is run, and the strings that have a name: no framework."""
    program: list[ast.stmt] = []
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name()], value=ast.Constant()):
                program.append(node)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)) if name == variable:
                program.append(node)
    found: dict[str, Any] = {}
    exec(compile(ast.Module(program, []), variable, "exec"), found)
    return {code: list(said) for code, said in found[variable].items()}


TOOLS = (
    Tool("check_model", DOCS / "toolbox" / "check-my-model.md", "ADVICE"),
    Tool("diagnose", DOCS / "toolbox" / "diagnose.md", "CURES"),
)


def find_tools() -> list[Tool]:
    return [tool for tool in TOOLS if (ROOT / tool.source).is_file()]


def keras_list() -> str:
    """The healthy models and planted faults of the tests for Keras. They are read, since TensorFlow takes its time."""
    healthy, faults = _dictionary("HEALTHY"), _dictionary("FAULTS")
    codes = {name: ast.literal_eval(fault.elts[0]) for name, fault in faults.items() if isinstance(fault, ast.Tuple)}
    rows = "\n".join(f"| {name[0].upper()}{name[1:]} | `{code}` |" for name, code in codes.items())
    return f"""\
The tests of this site check {len(healthy)} healthy Keras models, as their layers initialize them,
and demand that there is no finding:
{"; ".join(healthy)}.

And they plant {len(codes)} faults, each of which must be named:

| planted fault | finding |
| --- | --- |
{rows}
"""


def _dictionary(wanted: str) -> dict[str, ast.expr]:
    for node in ast.parse((ROOT / KERAS).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys, values)) if name == wanted:
                return {ast.literal_eval(key): value for key, value in zip(keys, values, strict=True) if key}
    raise FindingError(f"{KERAS.as_posix()}: {wanted} is no dictionary that is written out")
