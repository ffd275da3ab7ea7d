"""What the page on `diagnose` must say, made from the snippets."""

import re
from pathlib import Path

from docs.hooks.pages import Page
from docs.hooks.store import ROOT

PAGE = (ROOT / "docs" / "toolbox" / "diagnose.md").read_text(encoding="utf-8")
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def finding_entry(code: str, advice: tuple[str, str, str, str, str]) -> str:
    """The entry in the list of findings."""
    level, symptom, cause, cure, link = (re.sub(r"([*_])", r"\\\1", word) for word in advice)
    folder, page, anchor = re.fullmatch(r"(chapters|toolbox)/([a-z-]+)/(#[a-z]+)", link).groups()
    note = " (note)" if level == "note" else ""
    name = Page(Path("docs", folder, f"{page}.md")).name_of(anchor.removeprefix("#"))
    place = {"chapters": f"../chapters/{page}.md", "toolbox": "" if page == "diagnose" else f"{page}.md"}[folder]
    return f"`{code}`{note}  \n**{symptom}** {cause} *Cure:* {cure} *Read:* [{name}]({place}{anchor})\n"


def check_findings(snippet):
    listed = PAGE.partition("{ #findings }")[2].partition("{ #limits }")[0]
    for code, advice in snippet.CURES.items():
        assert finding_entry(code, advice) in listed
        page, _, anchor = advice[-1].partition("/#")
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        assert re.search(rf"\{{ #{anchor} \}}$", text, flags=re.MULTILINE), advice[-1]
    assert len(re.findall(r"^`[a-z-]+`", listed, flags=re.MULTILINE)) == len(snippet.CURES)


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
