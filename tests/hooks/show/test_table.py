"""A table comes and goes with the function that gives its rows."""

import re

from tests.hooks.halving import PATH, SOUND, TABLE, figure, made, products


def test_a_table_is_written_if_the_experiment_has_one_and_goes_with_it(sound):
    with_table = SOUND + TABLE
    sound.write(PATH, with_table)
    assert sound.make_figures().returncode == 0
    assert made(sound) == sorted([*products("sound"), "sound-table.md"])
    table = figure(sound, "sound").with_name("sound-table.md")
    rows = re.findall("<tr>(.*?)</tr>", table.read_text(encoding="utf-8"), flags=re.DOTALL)
    right = ' style="text-align: right;"'
    assert [row.split("\n")[1:-1] for row in rows] == [
        [f"<th{right}>step</th>", f"<th{right}>value</th>", "<th>what</th>"],
        [f"<td{right}>0</td>", f"<td{right}>—</td>", "<td>whole</td>"],
        [f"<td{right}>1</td>", f"<td{right}>0.5</td>", "<td>0.5 of it</td>"],
    ]
    table.unlink()
    sound.make_figures()
    assert table.is_file()
    sound.write(PATH, SOUND)
    sound.make_figures()
    assert not table.exists()
