"""The colours of every figure: a light and a dark value under one name.

The series colours stay apart for readers who lack one kind of cone and reach 4.5 : 1 on the paper in both
schemes, so that a line and the words beside it may share one. `tests/hooks/draw/test_palette.py` holds both.
"""

PAPER = ("#fbfaf7", "#1b1e25")
INK = ("#22262f", "#e6e4de")
GRID = ("#dedbd3", "#3a3f4b")

SERIES = (
    ("#1b49a2", "#54a9ff"),  # C0 blue
    ("#d23a26", "#ff9b62"),  # C1 vermilion
    ("#006e50", "#3fa57f"),  # C2 green
    ("#8a3083", "#b67fc0"),  # C3 purple
    ("#5d5f00", "#ecc43a"),  # C4 olive, gold on dark
    ("#5b6270", "#c9ced8"),  # C5 grey: theory, reference lines, the paper's values
)

NAMED = {"paper": PAPER, "ink": INK, "grid": GRID} | {f"c{index}": pair for index, pair in enumerate(SERIES)}
