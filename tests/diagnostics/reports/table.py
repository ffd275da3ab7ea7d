"""Run the tools on the programs of public reports and write the tables that the page shows.

python -m tests.diagnostics.reports.table pytorch
python -m tests.diagnostics.reports.table keras

With `benchmark` in their place, write those of the research benchmarks, from what was recorded of them.
"""

import csv
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
COLUMNS = ("report", "source", "fault", "said", "cured", "verdict")


def main() -> None:
    (framework,) = sys.argv[1:]
    if framework == "benchmark":
        for name, make in (("benchmark", summed), ("published", listed), ("symptoms", led)):
            (FOLDER / f"{name}.md").write_text(make(read(name)), encoding="utf-8")
        return
    rows = [row(name, report, SAID[framework]) for name, report in reports(framework).items()]
    with (FOLDER / f"{framework}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    write(framework)


def reports(framework: str) -> dict[str, Any]:
    return importlib.import_module(f"tests.diagnostics.reports.{framework}").REPORTS


def row(name: str, report: Any, said: Callable[..., list[str]]) -> tuple[str, ...]:
    faulty, cured = said(report.make, False), said(report.make, True)
    right = any(code.startswith(report.codes) for code in faulty) if report.codes else False
    verdict = "right" if right else "missed" if report.codes else "cannot be seen"
    return name, report.source, report.what, " ".join(faulty), " ".join(cured), verdict


def said_pytorch(make: Callable[[bool], tuple[Any, ...]], cured: bool) -> list[str]:
    import torch

    from snippets.diagnostics.check_model_pytorch import check_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _codes(lambda: check_model(*make(cured)))


def said_keras(make: Callable[[bool], tuple[Any, ...]], cured: bool) -> list[str]:
    import keras

    from snippets.diagnostics.diagnose_keras import diagnose

    keras.utils.set_random_seed(0)
    model, x, y, batch_size, epochs = make(cured)
    return _codes(lambda: diagnose(model, x, y, batch_size=batch_size, epochs=epochs, progress=False))


SAID = {"pytorch": said_pytorch, "keras": said_keras}


def _codes(check: Callable[[], Any]) -> list[str]:
    try:
        return [finding.code for finding in check().findings]
    except ValueError as error:
        return [str(error).partition(":")[0].replace(" ", "-")]


def write(framework: str) -> None:
    """The table in Markdown, from the one with commas."""
    (FOLDER / f"{framework}.md").write_text(written(read(framework)), encoding="utf-8")


def read(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(rows: list[dict[str, str]]) -> str:
    right = sum(line["verdict"] == "right" for line in rows)
    alarms = sum(bool(line["cured"]) for line in rows)
    lines = [
        f"{len(rows)} programs: the cause is named in {right}, {alarms} of them say something after the cure.",
        "",
        "| report | what is wrong | said | after the cure | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for line in rows:
        said, cured = (", ".join(f"`{code}`" for code in line[what].split()) for what in ("said", "cured"))
        lines.append(f"| {line['source']} | {line['fault']} | {said} | {cured} | {line['verdict']} |")
    return "\n".join(lines) + "\n"


GROUPS = {
    "real": "programs from Stack Overflow, GitHub and TheDeepChecker",
    "mutants": "mutants",
    "autotrainer": "after AutoTrainer's symptoms",
    "torch": "PyTorch",
    "healthy": "healthy",
    "healthy2": "healthy, more",
}


def summed(rows: list[dict[str, str]]) -> str:
    """Of each group of the benchmarks, how many were detected and diagnosed, and how many alarms there were."""
    lines = ["| programs | faulty | detected | diagnosed | repaired or healthy | alarms |", "| --- |" + " ---: |" * 5]
    for name, group in [*GROUPS.items(), ("all", "all")]:
        some = [line for line in rows if name in ("all", line["group"])]
        faulty = [line for line in some if line["causes"]]
        detected, diagnosed = (sum(line[what] == "True" for line in faulty) for what in ("detected", "diagnosed"))
        alarms = sum(line["alarm"] == "True" for line in some)
        if some:
            lines.append(f"| {group} | {len(faulty)} | {detected} | {diagnosed} | {len(some)} | {alarms} |")
    return "\n".join(lines) + "\n"


def led(rows: list[dict[str, str]]) -> str:
    """Of the symptom finder: from what a reader sees, the outcome that holds the cure."""
    before, now = (sum(line[when] == "yes" for line in rows) for when in ("before", "leads"))
    judged = "as the writer of the entries judges; before those that were written for the others"
    return f"{now} of {len(rows)} reports lead to the cure, {judged}, {before}.\n\n" + listed(rows)


def listed(rows: list[dict[str, str]]) -> str:
    cells = [list(rows[0]), ["---"] * len(rows[0]), *(list(line.values()) for line in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


if __name__ == "__main__":
    main()
