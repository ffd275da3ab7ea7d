"""The page says what the code says: the report that it shows, the findings, and where they lead."""

import re
import runpy

import pytest
import torch

from docs.hooks.pages import Page
from docs.hooks.show.findings import TOOLS
from snippets.diagnostics import check_model_pytorch as snippet
from snippets.laboratory.healthy_models import HEALTHY
from tests.diagnostics.check_model_page import PAGE, printed_outputs

TOOL = TOOLS[0]
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def test_the_report_on_the_page_is_the_one_that_is_printed(capsys):
    """Numbers to the digits that another processor may round otherwise; all else to the letter."""
    with torch.random.fork_rng():
        runpy.run_path(snippet.__file__, run_name="__main__")
    printed = capsys.readouterr().out
    (shown,) = printed_outputs()
    # Some of the numbers are rounding alone: 1 - cosine near 1e-15, and means near 0.
    assert re.sub(rf" *{NUMBER}", "#", shown) == re.sub(rf" *{NUMBER}", "#", printed)
    for ours, theirs in zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=0.06, abs=1e-12)


@pytest.mark.parametrize("code", snippet.ADVICE)
def test_the_page_lists_every_finding(code):
    assert TOOL.advice()[code] == list(snippet.ADVICE[code])
    listed = Page(TOOL.page).included
    assert listed.count(TOOL.place(code).as_posix()) == 1, "include it where it belongs"


def test_numbers_in_the_prose():
    text = PAGE.read_text(encoding="utf-8")
    assert f"{len(HEALTHY)} real architectures" in text
    assert f"{len(HEALTHY)} architectures" in text
    assert f"limits at minus {snippet.DECADES:g} and plus {snippet.DECADES:g}" in text
    for name, limit in (("dead", snippet.DEAD), ("sat", snippet.SATURATED), ("peak", snippet.PEAKED)):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"below {limit:.0%}".replace("%", " %") in row
    assert f"{snippet.SAMPLES:,} entries" in text
    assert snippet.FLAT == 0.1 and "a tenth of its largest" in text
