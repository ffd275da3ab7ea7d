"""The formulas of a text before its page is built, and where its LaTeX is wrong.

They are found in the Markdown source, as `pymdownx.arithmatex` finds them there: so a complaint names the line that the
author wrote, and the fonts exist before MkDocs collects the files.
"""

import re
from dataclasses import dataclass

from pymdownx.arithmatex import RE_SMART_DOLLAR_INLINE

from docs.hooks.markdown import katex

# What is not prose: front matter, fenced code, comments, code in a line.
NOT_PROSE = re.compile(
    r"\A---\n.*?^---$"
    r"|^[ \t]*(?P<fence>`{3,}|~{3,}).*?(?:^[ \t]*(?P=fence)[ \t]*$|\Z)"
    r"|<!--.*?-->"
    r"|(?<![\\`])(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(RE_SMART_DOLLAR_INLINE)
BLOCK = re.compile(r"[ \t]*\S.*?(?=\n[ \t]*\n|\Z)", re.DOTALL)
DISPLAY = re.compile(r"\$\$((?:\\.|[^\\$])+)\$\$", re.DOTALL)
DOLLAR = re.compile(r"(?<!\\)\$")
LONE_DOLLAR = (
    "a dollar sign that is part of no formula. A formula in a line is $...$ without spaces inside the signs, one on "
    "display is $$...$$ with a blank line above and below; the sign itself is \\$."
)
BAR_IN_TABLE = (
    "a bar ends the cell of a table, also within a formula. Write \\mid, \\lvert x\\rvert or \\lVert x\\rVert."
)


@dataclass(frozen=True)
class Slip:
    """Something wrong in a source."""

    line: int
    shown: str
    """The line of the formula that KaTeX stopped in; empty where there is no formula."""
    said: str


def read(text: str) -> tuple[list[katex.Formula], list[Slip]]:
    """The formulas of a Markdown source, and what is wrong with others."""
    text = NOT_PROSE.sub(lambda found: re.sub(r"[^\n]", "\x02", found.group()), text)
    formulas, slips = [], []

    def take(tex: str, start: int, display: bool) -> None:
        line = text.count("\n", 0, start + len(tex) - len(tex.lstrip())) + 1
        tex = tex.strip()
        try:
            formulas.append(katex.render(tex, display))
        except katex.TexError as error:
            slips.append(_slip(tex, error, line))

    for block in BLOCK.finditer(text):
        start, content = block.start(), block.group()
        if alone := DISPLAY.fullmatch(content.strip()):
            take(alone.group(1), start + content.index("$$") + 2, display=True)
            continue
        rest = list(content)
        for found in INLINE.finditer(content):
            if found.group(3):
                take(found.group(3), start + found.start(3), display=False)
                if content.lstrip().startswith("|") and re.search(r"(?<!\\)\|", found.group(3)):
                    slips.append(Slip(text.count("\n", 0, start + found.start()) + 1, "", BAR_IN_TABLE))
                rest[found.start() : found.end()] = " " * len(found.group())
        if lone := DOLLAR.search("".join(rest)):
            slips.append(Slip(text.count("\n", 0, start + lone.start()) + 1, "", LONE_DOLLAR))
    return formulas, slips


def _slip(tex: str, error: katex.TexError, line: int) -> Slip:
    before = tex[: error.position]
    column = len(before) - before.rfind("\n") - 1
    shown = tex.splitlines()[before.count("\n")]
    said = (
        f"KaTeX cannot set this formula: {error.message}\n    {shown}\n    {' ' * column}^\n"
        "    Mend it here; what KaTeX knows is listed at https://katex.org/docs/supported"
    )
    return Slip(line + before.count("\n"), shown, said)
