"""Of programs after public reports, `diagnose` names the cause, and is silent on the cured ones."""

import pytest

from tests.diagnostics.reports import table
from tests.diagnostics.reports.keras import REPORTS
from tests.tiers import thorough

# Of some faults Keras warns as well.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]


@thorough
@pytest.mark.parametrize("name", REPORTS)
def test_the_verdict_is_that_of_the_table(name):
    (wanted,) = (row for row in table.read("keras") if row["report"] == name)
    assert table.row(name, REPORTS[name], table.said_keras)[-1] == wanted["verdict"]
