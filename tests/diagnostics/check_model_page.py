"""What the page on check_model must say, made from the snippet."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "toolbox" / "check-my-model.md"


def finding_row(code: str, advice: tuple[str, str, str, str, str]) -> str:
    """The row of the table of findings."""
    level, symptom, cause, cure, link = advice
    chapter, anchor = re.fullmatch(r"chapters/([a-z-]+)/(#[a-z]+)", link).groups()
    name = chapter.replace("-", " ").capitalize()
    cells = (f"`{code}`" + (" (note)" if level == "note" else ""), symptom, cause, f"{cure} [{name}](../chapters/{chapter}.md{anchor})")
    return "| " + " | ".join(re.sub(r"([*_|])", r"\\\1", cell) if cell != cells[0] else cell for cell in cells) + " |"


def printed_outputs() -> list[str]:
    """The reports that the page shows."""
    return re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
