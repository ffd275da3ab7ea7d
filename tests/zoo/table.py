"""What the zoo writes: one row for each model, in a file that the page shows."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def names(text: str) -> list[str]:
    return text.split()


def check_all(
    models: dict[str, Callable[[], Any]], runs: Callable[[Any], Any], check: Callable[[Any], Any], name: str
) -> None:
    """Check every model, print a line for each, and write the table.

    With words on the command line, only the models whose names hold one of them, whose rows are then replaced.
    A model that its library does not build, or that does not run by itself, is no row, but named below the table.
    """
    part = sys.argv[1:]
    models = {model: make for model, make in models.items() if not part or any(word in model for word in part)}
    rows, missing = [], []
    for model, make in models.items():
        try:
            runs(make())
            case = make()
        except Exception as error:
            missing.append(model)
            print(f"not built {model}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        try:
            report = check(case)
            faults = [finding for finding in report.findings if finding.level == "fault"]
            notes = [finding.code for finding in report.findings if finding.level == "note"]
            rows.append((model, report.parameters, [finding.code for finding in faults], notes))
            said = [(finding.code, finding.layers[:2], finding.evidence) for finding in report.findings]
            print(json.dumps([model, said]), flush=True)
        except Exception as error:
            rows.append((model, 0, [f"{type(error).__name__}: {str(error)[:200]}"], []))
            print(f"CRASH {model}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    table = FOLDER / f"{name}.md"
    if part:
        done = {row[0] for row in rows} | set(missing)
        rows = [row for row in read(table.read_text(encoding="utf-8")) if row[0] not in done] + rows
    table.write_text(written(rows, missing), encoding="utf-8")


def read(text: str) -> list[tuple[str, int, list[str], list[str]]]:
    """The rows of a table."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in row] for row in cells if "---" not in row[0]]
    codes = [[re.findall("`(.*?)`", cell) for cell in row[2:]] for row in cells]
    return [(row[0], int(row[1].replace(",", "")), *found) for row, found in zip(cells, codes, strict=True)]


def written(rows: list[tuple[str, int, list[str], list[str]]], missing: list[str]) -> str:
    alarms = sum(bool(faults) for _, _, faults, _ in rows)
    lines = [
        f"{len(rows)} models, {alarms} with a fault, {sum(bool(notes) for *_, notes in rows)} with a note.",
        "",
        "| model | parameters | faults | notes |",
        "| --- | ---: | --- | --- |",
    ]
    lines += [
        f"| {model} | {parameters:,} | {_codes(faults)} | {_codes(notes)} |"
        for model, parameters, faults, notes in rows
    ]
    if missing:
        lines += ["", f"Not built by their libraries from the configuration given: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _codes(codes: list[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)
