"""How much the number of each claim varies over seeds and processors: one table, written by `make spread`.

A row for each claim and each setting: the smallest and the largest number over the seeds. A row also holds the digest
of the code that it was measured with, so that a test can tell when it is older than its experiment.
"""

import ast
import csv
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from docs.hooks.measure.experiment import Experiment
from docs.hooks.measure.imports import imported_files
from docs.hooks.store import ROOT, write_if_changed

TABLE = Path("docs", "hooks", "measure", "spread.csv")
SHARED = {
    Path("snippets", "laboratory", f"{name}.py")
    for name in ("activations", "digits", "mean_field", "signals", "training")
}
"""What experiments share of their own code. The files to copy that they call have tests of their own."""

SEEDS = 10

UNTRAINED, LONGER = "no steps", "ten times the steps"
"""Settings of one seed that say what a number hangs on: with optimizers that do nothing, and with a longer training."""

MARGIN = 1.0
"""The rule for an interval that no theory sets: it reaches beyond the values of ten seeds by their range, times this.
The range is that of the logarithms where the largest value is more than ten times the smallest, both positive. Of a
number that is normally distributed there, the next seed lies outside once in 500 times, as `tests/test_spread.py`
computes."""

RULE = "The spread over ten seeds, and its range again beyond either end."
"""The reason of such an interval, word for word."""


class Row(NamedTuple):
    experiment: str
    code: str
    """Digest of what decides the number."""

    setting: str
    """"as it is", the name of a stand-in for another processor, `UNTRAINED` or `LONGER`."""

    seeds: int
    number: int
    """Of the claim, from 0 on in the order of the experiment."""

    claim: str
    """The words of the claim when it was measured, for the reader of the table."""

    lowest: float
    highest: float

    @property
    def of_seeds(self) -> bool:
        """Whether this is a spread over seeds, as a claim must bear it."""
        return self.setting not in (UNTRAINED, LONGER)


def read() -> list[Row]:
    """All rows, in the order of the file."""
    path = ROOT / TABLE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(experiment, code, setting, int(seeds), int(number), claim, float(lowest), float(highest))
            for experiment, code, setting, seeds, number, claim, lowest, highest in list(csv.reader(file))[1:]
        ]


def write(rows: Iterable[Row]) -> None:
    """One line for each row, sorted, so that a diff shows what changed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in sorted(rows):
        writer.writerow([*row[:-2], f"{row.lowest:.9g}", f"{row.highest:.9g}"])
    write_if_changed(ROOT / TABLE, text.getvalue())


def of(rows: Iterable[Row], experiment: Experiment) -> dict[int, list[Row]]:
    """The rows over seeds of each claim, measured with the code as it stands."""
    found: dict[int, list[Row]] = {}
    for row in _as_it_stands(rows, experiment):
        if row.of_seeds:
            found.setdefault(row.number, []).append(row)
    return found


def at(setting: str, rows: Iterable[Row], experiment: Experiment) -> dict[int, float]:
    """What one seed gave for each claim, without steps or with a longer training."""
    return {row.number: row.lowest for row in _as_it_stands(rows, experiment) if row.setting == setting}


def _as_it_stands(rows: Iterable[Row], experiment: Experiment) -> Iterator[Row]:
    code = digest(experiment)
    return (row for row in rows if row.experiment == str(experiment) and row.code == code)


def ends(rows: Iterable[Row]) -> tuple[float, float]:
    return min(row.lowest for row in rows), max(row.highest for row in rows)


def allowed(lowest: float, highest: float) -> tuple[float, float]:
    """What the rule gives for values between these two."""
    if 0 < 10 * lowest < highest:
        ratio = (highest / lowest) ** MARGIN
        return lowest / ratio, highest * ratio
    reach = MARGIN * (highest - lowest)
    return lowest - reach, highest + reach


def quoted(experiment: Experiment, record: dict[str, Any]) -> dict[str, Any]:
    """The record, each of its claims with its spread as a card prints it, or with none, and with what a longer training
    gives where the claim is of a training."""
    known, longer = of(read(), experiment), at(LONGER, read(), experiment)
    claims = []
    for number, claim in enumerate(record["claims"]):
        rows = [row for row in known.get(number, ()) if row.seeds > 1]
        lowest, highest = (format(end, claim["format"]) for end in ends(rows)) if rows else ("", "")
        settings = f", {len(rows)} kinds of processor" if len(rows) > 1 else ""
        seeds = min((row.seeds for row in rows), default=0)
        words = "Ten" if seeds == SEEDS else str(seeds)
        spread = {"of": f"{words} seeds{settings}", "lowest": lowest, "highest": highest} if rows else None
        told = format(longer[number], claim["format"]) if claim["budget"] and number in longer else ""
        claims.append(claim | {"spread": spread, "longer": told})
    return record | {"claims": claims}


def address(statement: str) -> str:
    """The statement as a part of an address: its words, digits and the letters of its formulas."""
    plain = re.sub(r"\\(operatorname|mathbb|mathcal|lVert|rVert|sqrt|partial|frac|[a-z]+)", " ", statement)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def digest(experiment: Experiment) -> str:
    """Of the code that decides the numbers: not of words, of what is drawn, or of how the code is laid out."""
    files = sorted({experiment.path, *imported_files(experiment.path) & SHARED})
    return hashlib.sha256("".join(map(_decisive, files)).encode()).hexdigest()[:12]


@cache
def _decisive(path: Path) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    cut = [
        (starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)
        for node in _idle(ast.parse(text))
        if node.end_lineno is not None and node.end_col_offset is not None  # as the parser always says
    ]
    cut += [_place(token, lines, starts) for token in _comments(text)]
    kept = bytearray(b"".join(lines))
    for start, end in cut:
        kept[start:end] = b" " * (end - start)
    return re.sub(r"[\s(),]", "", kept.decode())


def _idle(tree: ast.Module) -> list[ast.expr | ast.stmt | ast.keyword]:
    """What decides no number: docstrings, the drawing, the words and intervals of the claims."""
    found: list[ast.expr | ast.stmt | ast.keyword] = []
    for node in ast.walk(tree):
        match node:
            case (
                ast.Expr(value=ast.Constant())
                | ast.FunctionDef(name="plot" | "table")
                | ast.Import()
                | ast.ImportFrom()
            ):
                found.append(node)
            case ast.Call(func=ast.Name(id="Claim")):
                found += [keyword for keyword in node.keywords if keyword.arg != "value"]
    return found


def _comments(text: str) -> list[tokenize.TokenInfo]:
    return [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT]


def _place(token: tokenize.TokenInfo, lines: list[bytes], starts: list[int]) -> tuple[int, int]:
    row, column = token.start
    start = starts[row - 1] + len(lines[row - 1].decode()[:column].encode())
    return start, start + len(token.string.encode())
