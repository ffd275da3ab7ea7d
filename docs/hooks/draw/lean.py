"""A drawing of matplotlib in a third less: what no screen shows and no program asks for is left out.

Half of a compressed figure is outlines of letters. Their points become whole numbers. Each point, of a letter as of a
curve, is counted from the one before.
"""

import re

COARSER = 16
"""Letters have units of a 64th of their own grid; a point that is moved by half of so many, moves by 0.015 points."""

OUTLINE = re.compile(r'(?<= )d="([^"]+)" transform="scale\(0\.015625\)"')
CURVE = re.compile(r'(?<= )d="([^"]+)"(?! transform="scale)')
COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
"""A coordinate beyond a hundredth of a point, which no screen shows."""


def lean(svg: str) -> str:
    svg = re.sub(r"<(metadata)>.*?</\1>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = OUTLINE.sub(lambda path: f'd="{_relative(path[1], COARSER)}" transform="scale({COARSER / 64})"', svg)
    svg = re.sub(r'(?<= d=")[^"]+', lambda path: re.sub(r"\s*([A-Za-z])\s*", r"\1", path[0].strip()), svg)
    svg = re.sub(r'(?<= d=")[^"]+|translate\([^)]*\)| [xy]="[^"]*"', lambda one: LONG_NUMBER.sub(_short, one[0]), svg)
    svg = CURVE.sub(lambda path: f'd="{_relative(path[1], 0.01, "{:.2f}")}"', svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(<use href="[^"]*" )transform="translate\(([^ )]+) 0\)"', r'\1x="\2"', svg)
    svg = re.sub(r'(?<=style=")[^"]+', lambda style: re.sub(r"([:;]) ", r"\1", style[0]), svg)
    return re.sub(r">\s+<", "><", _with_short_names(svg))


def _short(number: re.Match[str]) -> str:
    return _plain(f"{float(number[0]):.2f}")


def _plain(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


def _relative(outline: str, unit: float, form: str = "") -> str:
    """The outline in whole units, each point as the way from the end of the last piece.

    `form` is how a number of the drawing is written; without one, the units are counted.
    """
    pieces = []
    here = start = (0, 0)
    for command, numbers in COMMAND.findall(outline):
        values = [round(float(number) / unit) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        steps = [value - here[place % 2] for place, value in enumerate(values)]
        if command == "z":
            pieces.append("z")
            here = start
            continue
        written = [_plain(form.format(step * unit)) if form else str(step) for step in steps]
        if command == "L" and 0 in steps:
            across, up = written
            pieces.append(f"v{up}" if steps[0] == 0 else f"h{across}")
        else:
            pieces.append(command.lower() + " ".join(written).replace(" -", "-"))
        here = points[-1]
        start = here if command == "M" else start
    return "".join(pieces)


def _with_short_names(svg: str) -> str:
    """Each id that something refers to as a letter and a number, in their order; the others are left out."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    names = {name: f"a{number}" for number, name in enumerate(used)}
    svg = re.sub(r' id="([^"]+)"', lambda one: f' id="{names[one[1]]}"' if one[1] in names else "", svg)
    return re.sub(r'((?:href="|url\()#)([^")]+)', lambda one: one[1] + names[one[2]], svg)
