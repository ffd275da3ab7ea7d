"""The colours of every figure: a light and a dark value under one name.

The series colours stay apart for the three common kinds of colour blindness and reach 4.5 : 1 on the paper in both
schemes, so that a line and the words beside it may share one. `tests/build/test_palette.py` holds both.
"""

PAPER = ("#fbfaf7", "#1b1e25")
INK = ("#22262f", "#e6e4de")
GRID = ("#dedbd3", "#3a3f4b")

SERIES = (
    ("#1f5fa8", "#7db3f0"),  # C0 blue
    ("#b8470b", "#f29b6b"),  # C1 vermilion
    ("#0b7a66", "#56c9b0"),  # C2 green
    ("#8a3f8f", "#d79ade"),  # C3 purple
    ("#806000", "#e0bd4e"),  # C4 ochre
    ("#5b6270", "#a7aebb"),  # C5 grey: theory, reference lines, the paper's values
)

NAMED = {"paper": PAPER, "ink": INK, "grid": GRID} | {f"c{index}": pair for index, pair in enumerate(SERIES)}
