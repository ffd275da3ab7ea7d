"""An experiment that works, for faults to be planted in, and what the build makes of it."""

import sys
from pathlib import Path

import pytest

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="plants a fault with a signal or a limit of POSIX")

PATH = "snippets/halving/experiment_sound.py"
SOUND = '''"""Halving: each step halves the value.

Source: Euclid, Elements, book X, proposition 1.
"""

import time
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from snippets.laboratory.claim import Claim


class Halving(NamedTuple):
    values: np.ndarray


def measure(seed: int = 0) -> Halving:
    return Halving(0.5 ** np.arange(10.0))


CLAIMS = (
    Claim(statement="The first step halves", value=lambda m: m.values[1], interval=(0.5, 0.5), reason="exact",
          rival=1.0, rival_of="no step"),
    Claim(statement="So does the second", value=lambda m: m.values[2], interval=(0.25, 0.25), reason="exact",
          rival=0.5, rival_of="one step"),
)


def plot(measured: Halving) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(measured.values)
    axes.set(xlabel="step", ylabel="value")
    return figure
'''
TABLE = """

def table(measured: Halving) -> list[tuple[str, ...]]:
    half = format(measured.values[1], "g")
    return [("step", "value", "what"), ("0", "—", "whole"), ("1", half, "0.5 of it")]
"""
MEASURE = "    return Halving(0.5 ** np.arange(10.0))"


def faulty(body: str) -> str:
    """The sound experiment with other first lines in `measure`."""
    return SOUND.replace(MEASURE, f"{body}\n{MEASURE}")


def figure(project, name: str) -> Path:
    return project.root / "docs" / "figures" / "halving" / f"{name}.svg"


def made(project) -> list[str]:
    """The names of all that was made of the experiments, and of what is unfinished."""
    folders = (project.root / "docs" / "figures" / "halving", project.root / ".cache" / "unfinished")
    return sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir())


def products(*names: str) -> list[str]:
    """What `made` gives when all is there of these experiments."""
    return sorted(f"{name}{end}" for name in names for end in (".json", ".md", ".svg", "-claims.md"))


def taken(run) -> list[str]:
    """The steps of the experiment `sound` that a run took, of those that take their time."""
    return [step for step in ("measured", "drawn") if f"halving/sound {step}" in run.stdout]
