"""The table of bad input is the one that the tests hold: every sign stands with its row and its column."""

import re

import pytest

from docs.hooks.markdown import contract
from tests.contract import table

SOURCE = "numbers       nan -1\nhe_init.std a  x  <\n\nnames  unknown\na.b c     !\n"


def read(html: str) -> list[tuple[str, str, str]]:
    """Row, column and sign of every cell."""
    found = []
    for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", html):
        name = re.sub("<[^>]+>", "", row.partition("</th>")[0])
        found += [(name, column, sign) for column, sign in re.findall(r'<td data-column="([^"]+)">([^<]+)</td>', row)]
    return found


def fence(source: str) -> str:
    return contract.fence(source, "contract", "contract", {}, None)


def test_a_cell_has_its_row_and_its_column():
    html = fence(SOURCE)
    assert read(html) == [("he_init.std a", "nan", "x"), ("he_init.std a", "-1", "&lt;"), ("a.b c", "unknown", "!")]
    assert re.findall(r'<th scope="col">([^<]+)', html) == ["numbers", "nan", "-1", "names", "unknown"]


@pytest.mark.parametrize("framework", ["pytorch", "keras", "numpy"])
def test_every_cell_that_is_tested_is_shown(framework: str):
    source = (table.Path(table.__file__).parent / f"{framework}.txt").read_text(encoding="utf-8")
    assert read(fence(source)) == [(cell.row, cell.column, cell.sign) for _, cell in table.cells(framework)]


def test_a_row_without_a_sign_for_each_column_is_named():
    with pytest.raises(ValueError, match="he_init.std a: must have 2 signs, got 1"):
        contract.blocks("numbers nan -1\nhe_init.std a x")
