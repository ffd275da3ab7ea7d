"""What the page on check_model shows."""

import re

from docs.hooks.show.findings import TOOLS
from docs.hooks.store import ROOT

PAGE = ROOT / TOOLS[0].page


def printed_outputs() -> list[str]:
    """The reports that the page shows."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^``` { \.text \.report }\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
