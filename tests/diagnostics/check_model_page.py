"""What the page on check_model must say, made from the snippet."""

import re
from pathlib import Path

from docs.hooks.pages import Page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "toolbox" / "check-my-model.md"


def finding_entry(code: str, advice: tuple[str, str, str, str, str]) -> str:
    """The entry in the list of findings."""
    level, symptom, cause, cure, link = (re.sub(r"([*_])", r"\\\1", word) for word in advice)
    folder, page, anchor = re.fullmatch(r"(chapters|experiments|code|toolbox)/([a-z-]+)/(#[a-z]+)", link).groups()
    note = " (note)" if level == "note" else ""
    name = Page(Path("docs", folder, f"{page}.md")).name_of(anchor.removeprefix("#"))
    place = f"{page}.md{anchor}" if folder == "toolbox" else f"../{folder}/{page}.md{anchor}"
    place = place.removeprefix("check-my-model.md")
    return f"`{code}`{note}  \n**{symptom}** {cause} *Cure:* {cure} *Read:* [{name}]({place})\n"


def printed_outputs() -> list[str]:
    """The reports that the page shows."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^``` { \.text \.report }\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
