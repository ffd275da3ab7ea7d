"""What the page on `diagnose` must say, made from the snippets."""

import re

from docs.hooks.pages import INCLUDE
from docs.hooks.show.findings import TOOLS
from docs.hooks.store import ROOT

TOOL = TOOLS[1]
PAGE = (ROOT / TOOL.page).read_text(encoding="utf-8")
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def check_findings(snippet):
    listed = PAGE.partition("{ #findings }")[2].partition("\n## ")[0]
    found = INCLUDE.findall(listed)
    assert TOOL.advice() == {code: list(said) for code, said in snippet.CURES.items()}
    assert sorted(found) == sorted(TOOL.place(code).as_posix() for code in snippet.CURES)


def check_limits(snippet):
    rules = PAGE.partition("{ #rate }")[2].partition("{ #findings }")[0]
    for words in (
        f"{snippet.STEPS} steps",
        rf"$L<{snippet.NOT_DONE}\,G$",
        rf"(${snippet.FINISHED}\,G$",
        rf"$L>{snippet.GUESS}\,G$",
        rf"less than ${snippet.BETTER}\,L$",
        f"less than {snippet.MOVED:.0%} of their norm".replace("%", " %"),
        f"within {snippet.NO_BETTER:.0%} of".replace("%", " %"),
        rf"gets below ${snippet.NOTHING}\,G$",
        f"{snippet.ALONE // 2} steps of Adam on a single batch, at {snippet.ADAM[0]} and at {snippet.ADAM[1]}",
    ):
        assert words in rules, words
    assert snippet.CHANCE == 3 and "three standard errors" in rules
    assert f"up to {snippet.STEPS} batches, or {snippet.HELD // 2**20} MiB" in PAGE
    assert f"at most some {snippet.MOST} steps" in PAGE


def check_report(printed: str):
    """Numbers to the digits that another processor may round otherwise; all else to the letter."""
    (shown,) = re.findall(r"^``` { \.text \.report }\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert re.sub(rf"\s*{NUMBER}", "#", shown) == re.sub(rf"\s*{NUMBER}", "#", printed)
    for ours, theirs in zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed), strict=True):
        assert abs(float(ours) - float(theirs)) <= 0.06 * abs(float(theirs))
