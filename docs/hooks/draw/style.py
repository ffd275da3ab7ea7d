"""From a matplotlib figure to one SVG that waits for its colours."""

import io
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
from cycler import cycler
from matplotlib import font_manager
from matplotlib.figure import Figure

from docs.hooks.draw.lean import lean
from docs.hooks.draw.scheme import SERIES, STAND_INS, name_colours

FONTS = Path(__file__).parents[1] / "vendor" / "source-sans-3"

WIDTH = 4.6
"""Inches. On a phone of 360 px a figure is shown at 0.75 of this size: 12 pt become 9 pt."""

TEXT_SIZE = 12
"""Points; the smallest text of a figure."""


def style(salt: str) -> AbstractContextManager[None]:
    """The settings under which a figure is created and saved; `salt` makes its element ids reproducible."""
    for file, weight in (("SourceSans3-Regular.ttf", 400), ("SourceSans3-SemiBold.ttf", 600)):
        entry = font_manager.FontEntry(
            fname=str(FONTS / file), name="Source Sans 3", style="normal", variant="normal",
            weight=weight, stretch="normal", size="scalable",
        )  # fmt: skip
        if entry not in font_manager.fontManager.ttflist:
            font_manager.fontManager.ttflist.append(entry)
    paper, ink, grid = (STAND_INS[name] for name in ("paper", "ink", "grid"))
    return matplotlib.rc_context(
        matplotlib.rcParamsDefault
        | {
            "axes.axisbelow": True,
            "axes.edgecolor": grid,
            "axes.facecolor": "none",
            "axes.grid": True,
            "axes.labelcolor": ink,
            "axes.labelsize": TEXT_SIZE,
            "axes.prop_cycle": cycler(color=[STAND_INS[name] for name in SERIES]),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": TEXT_SIZE,
            "axes.titleweight": 600,
            "backend": "svg",
            "figure.constrained_layout.use": True,
            "figure.facecolor": paper,
            "figure.figsize": (WIDTH, 3.2),
            "figure.titlesize": TEXT_SIZE,
            "font.family": ["Source Sans 3", "DejaVu Sans"],
            "font.size": TEXT_SIZE,
            "grid.color": grid,
            "grid.linewidth": 0.8,
            "legend.fontsize": TEXT_SIZE,
            "legend.frameon": False,
            "lines.linewidth": 2.0,
            "mathtext.fontset": "cm",
            "patch.edgecolor": paper,
            "svg.fonttype": "path",
            "svg.hashsalt": salt,
            "text.color": ink,
            "xtick.color": grid,
            "xtick.labelcolor": ink,
            "xtick.labelsize": TEXT_SIZE,
            "ytick.color": grid,
            "ytick.labelcolor": ink,
            "ytick.labelsize": TEXT_SIZE,
        }
    )


def to_svg(figure: Figure) -> str:
    """The figure as SVG text whose colours have names, and their values still to come."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    return lean(name_colours(svg))
