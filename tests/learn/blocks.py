"""The Python code in the prose of a lab."""

import re
from pathlib import Path


def python_blocks(lab: Path) -> list[str]:
    prose = re.sub(r"^# ?", "", lab.read_text("utf-8"), flags=re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```$", prose, re.DOTALL | re.MULTILINE)
