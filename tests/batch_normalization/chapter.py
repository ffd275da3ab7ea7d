"""The text of the chapter, as its tests read it."""

import re

from docs.hooks.pages import parts

TEXT = "\n".join(page.text for page in parts("batch-normalization"))


def differences() -> dict[str, tuple[str, str]]:
    """The table of the frameworks' differences: for each row its cells for PyTorch and for Keras."""
    table = TEXT.split("| what | PyTorch | Keras |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines()]
    return {name: (pytorch, keras) for name, pytorch, keras in rows}


def code_of(question: str) -> str:
    """The first block of code in the folded answer to the question that begins with `question`."""
    answer = TEXT.split(f'??? question "{question}')[1].split("\n??? ")[0]
    block = re.search(r" {4}```python\n(.*?) {4}```", answer, flags=re.DOTALL)[1]
    return "\n".join(line[4:] for line in block.splitlines())
