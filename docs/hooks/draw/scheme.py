"""An SVG that follows the reader's light or dark scheme: its colours are custom properties of CSS.

matplotlib knows no such properties. So it draws with a stand-in for each colour, and these become names. What it draws
is the same for every palette: `theme.py` gives the names their values. Another colour of the site is `palette.py`'s.
"""

import re

STAND_INS = {
    "paper": "#fbfaf7",
    "ink": "#22262f",
    "grid": "#dedbd3",
    "c0": "#1b49a2",
    "c1": "#d23a26",
    "c2": "#006e50",
    "c3": "#8a3083",
    "c4": "#5d5f00",
    "c5": "#5b6270",
}
"""The labs, which also run elsewhere, name these colours in their code."""

SERIES = [name for name in STAND_INS if name.startswith("c")]

VALUES = "<style/>"
"""Stands in a drawing where the values of its colours are to come."""


def name_colours(svg: str) -> str:
    """The SVG with each stand-in as the custom property of its name, whose value is still to come."""
    for name, colour in STAND_INS.items():
        # Only a style can hold var(); matplotlib writes some colours as plain attributes.
        svg = re.sub(rf'(fill|stroke)="{colour}"', rf'style="\1: {colour}"', svg)
        svg = svg.replace(colour, f"var(--{name})")
    return svg.replace(">\n", f">\n{VALUES}\n", 1)
