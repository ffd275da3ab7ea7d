from tests.bench.table import Row, table


def test_the_table_shows_which_part_of_the_budget_was_used():
    assert table("seconds", [Row("cold build", 94.24, 180), Row("one changed", 5.0)], decimals=1).splitlines() == [
        "             seconds  budget  used",
        "cold build      94.2     180   52%",
        "one changed      5.0",
    ]


def test_whole_numbers_unless_decimals_are_asked_for():
    assert table("ms", [Row("pass", 25.4, 100)]).splitlines() == [
        "           ms  budget  used",
        "pass       25     100   25%",
    ]
