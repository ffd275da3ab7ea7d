"""The list and the values of the feed come from one file, which is in order."""

import re

import pytest

from docs.hooks.publish.changelog import ChangelogError, entries, listing, load, template

GOOD = """
- {day: 2026-11-29, title: More, changes: [A <b>, "C & 'd'"]}
- {day: 2026-11-28, title: Less, changes: [E]}
"""


def test_the_page_has_a_section_for_each_day():
    assert listing(load(GOOD)) == (
        "## November 29, 2026: more { #day-2026-11-29 }\n\n- A <b>\n- C & 'd'\n\n"
        "## November 28, 2026: less { #day-2026-11-28 }\n\n- E\n"
    )


def test_the_feed_has_the_same_words():
    assert template(load(GOOD)).startswith('{% set changes = [{"day": "2026-11-29", "title": "More"')


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2026-11-28", "2026-11-30", "the newest first"),
        ("2026-11-28", "2026-11-29", "each day once"),
        (", title: Less", "", "2026-11-28: day, title and changes are wanted"),
        ("[E]", "[]", "2026-11-28: day, title and changes are wanted"),
        ("title: Less", "title: Less, by: me", "2026-11-28: day, title and changes are wanted"),
    ],
)
def test_an_entry_out_of_order_is_named(old, new, said):
    with pytest.raises(ChangelogError, match=re.escape(said)):
        load(GOOD.replace(old, new))


def test_the_site_has_entries():
    assert len(entries()) >= 3
