"""Of programs after public reports, the tools name the cause, and are silent on the cured ones and on healthy ones."""

import pytest
import torch

from docs.hooks.store import ROOT
from snippets.diagnostics.check_model_pytorch import check_model
from tests.diagnostics.reports import table
from tests.diagnostics.reports.healthy import cases
from tests.diagnostics.reports.pytorch import REPORTS

SYMPTOMS = ROOT / "docs" / "toolbox" / "symptom-finder.md"

# Of some faults PyTorch warns as well.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_the_table_is_that_of_these_programs():
    for framework in ("pytorch", "keras"):
        rows = table.read(framework)
        assert (table.FOLDER / f"{framework}.md").read_text(encoding="utf-8") == table.written(rows)
        if framework == "pytorch":
            assert [row["report"] for row in rows] == list(REPORTS)
    for name, make in (("benchmark", table.summed), ("published", table.listed), ("symptoms", table.led)):
        assert (table.FOLDER / f"{name}.md").read_text(encoding="utf-8") == make(table.read(name))


@pytest.mark.parametrize("row", table.read("symptoms"), ids=lambda row: row["report"])
def test_the_symptom_finder_has_the_outcome_that_a_report_leads_to(row):
    text = SYMPTOMS.read_text(encoding="utf-8")
    section = text.partition(f"{{ #{row['section']} }}")[2].partition("\n## ")[0]
    assert f'??? outcome "{row["outcome"]}"' in section


def test_programs_of_the_tables_are_looked_up_in_the_symptom_finder_too():
    looked_up = [row["report"] for row in table.read("symptoms") if row["source"].startswith("table")]
    assert looked_up == [row["report"] for framework in ("pytorch", "keras") for row in table.read(framework)]


@pytest.mark.parametrize("name", REPORTS)
def test_the_verdict_is_that_of_the_table(name):
    (wanted,) = (row for row in table.read("pytorch") if row["report"] == name)
    found = table.row(name, REPORTS[name], table.said_pytorch)
    assert dict(zip(table.COLUMNS, found, strict=True)) == wanted
    assert not wanted["cured"] and (wanted["verdict"] == "right" or not REPORTS[name].codes)


@pytest.mark.parametrize("name", cases())
def test_a_healthy_program_gives_no_finding(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not check_model(*cases()[name]()).findings
