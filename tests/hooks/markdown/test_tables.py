"""Cells that a phone stacks carry the name of their column; those of other tables do not."""

import markdown

from docs.hooks.markdown import tables

TABLE = """\
| what you see | `test` | cure |
|---|---|---|
| a *spike* | norm | clip |
| NaN | | stop |
"""


def to_html(text: str) -> str:
    return markdown.markdown(text, extensions=["tables", "md_in_html", tables.__name__])


def test_each_cell_has_the_name_of_its_column():
    html = to_html(f'<div class="stacked" markdown="1">\n{TABLE}\n</div>')
    for name, cell in [("what you see", "a <em>spike</em>"), ("test", "norm"), ("cure", "clip"), ("test", "")]:
        assert f'<td data-column="{name}">{cell}</td>' in html
    assert "<th data-column" not in html


def test_another_table_is_left_alone():
    assert "data-column" not in to_html(TABLE)
