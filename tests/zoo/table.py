"""What the zoo writes: one row for each model, in a file that the page shows."""

import json
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

    A model that its library does not build, or that does not run by itself, is no row, but named below the table.
    """
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
    (FOLDER / f"{name}.md").write_text(written(rows, missing), encoding="utf-8")


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
