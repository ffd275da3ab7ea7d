"""A lean drawing shows the same: its outlines lie where they were, and what is referred to is there."""

import re

import pytest

from docs.hooks.draw.lean import COARSER, lean

LETTER = """M 525 0
L 525 3110
L 960 3110
Q 1178 2842 1408 3014
Q 1638 3187 1907 -87
z
M 787 3750
C 633 3750 534 3846 435 3942
L 100 200
z
"""


def points(outline: str) -> list[tuple[float, float]]:
    """The points of an outline, from the first, whether it is written in steps or in places."""
    found, here, start = [], (0.0, 0.0), (0.0, 0.0)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", outline):
        values = list(map(float, re.findall(r"-?[\d.]+", numbers)))
        if command in "zZ":
            here = start
        elif command in "hv":
            here = (here[0] + values[0], here[1]) if command == "h" else (here[0], here[1] + values[0])
            found.append(here)
        else:
            origin = here if command.islower() else (0.0, 0.0)
            found += [(origin[0] + x, origin[1] + y) for x, y in zip(values[::2], values[1::2], strict=True)]
            here = found[-1]
        start = here if command in "mM" else start
    return found


def test_an_outline_lies_where_it_was():
    svg = lean(f'<path id="SourceSans3-1" d="{LETTER}" transform="scale(0.015625)"/><use href="#SourceSans3-1"/>')
    outline, scale = re.search(r'd="([^"]+)" transform="scale\(([\d.]+)\)"', svg).groups()
    assert float(scale) == COARSER / 64
    wanted = points(LETTER)
    assert len(points(outline)) == len(wanted) == 12
    for (x, y), (new_x, new_y) in zip(wanted, points(outline), strict=True):
        assert (new_x * COARSER, new_y * COARSER) == (
            pytest.approx(x, abs=COARSER / 2),
            pytest.approx(y, abs=COARSER / 2),
        )


def test_a_curve_lies_where_it_was():
    """A hundredth is rounded once at each point: along the way the errors do not add up."""
    curve = (
        "M 68.784 146.2235 " + " ".join(f"L {68.784 + 0.337 * n} {146.2 - 0.1234 * n * n}" for n in range(1, 60)) + " z"
    )
    path = lean(f'<path d="{curve}" clip-path="url(#a)"/>')
    drawn = re.search(r'd="([^"]+)"', path)[1]
    assert len(path) < 0.7 * len(curve)
    assert points(drawn) == [(pytest.approx(x, abs=0.0051), pytest.approx(y, abs=0.0051)) for x, y in points(curve)]


def test_only_what_is_referred_to_has_a_name():
    svg = '<g id="figure_1"><path id="p49" d="M 0 0 "/><use xlink:href="#p49"/><g clip-path="url(#p49)"/></g>'
    assert lean(svg) == '<g><path id="a0" d="m0 0"/><use href="#a0"/><g clip-path="url(#a0)"/></g>'


def test_numbers_no_screen_shows_are_cut():
    svg = (
        '<use x="46.00574" y="1.5" transform="translate(43.02574 -215.918) scale(0.12 -0.12)"/><path d="M 1.23456 2"/>'
    )
    assert lean(svg) == (
        '<use x="46.01" y="1.5" transform="translate(43.03 -215.92) scale(0.12 -0.12)"/><path d="m1.23 2"/>'
    )


def test_colours_and_widths_stay():
    svg = '<!-- 0.5 -->\n<path d="M 0 0 " style="fill: none; stroke: var(--c0); stroke-width: 0.8"/>\n'
    assert lean(svg).strip() == '<path d="m0 0" style="fill:none;stroke:var(--c0);stroke-width:0.8"/>'


def test_letters_stand_where_they_stood():
    svg = '<use xlink:href="#a" transform="translate(49.703125 0)"/><g transform="translate(1 0)"/>'
    assert lean(svg) == '<use href="#a0" x="49.7"/><g transform="translate(1 0)"/>'
