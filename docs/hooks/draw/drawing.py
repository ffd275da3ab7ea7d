"""A step of the build: draw what an experiment measured, without the colours, which `theme.py` gives it."""

from pathlib import Path
from types import ModuleType

from docs.hooks import store
from docs.hooks.measure.experiment import Experiment

DRAWN = Path(".cache", "drawn")


def place(experiment: Experiment) -> Path:
    """Where the drawing of an experiment lies, relative to the root."""
    return DRAWN / experiment.topic / f"{experiment.name}.svg"


def draw(experiment: Experiment, module: ModuleType) -> None:
    """Raises what the experiment raises."""
    from docs.hooks.draw import style  # matplotlib takes its time, and a warm build draws nothing

    measured = store.load(store.ROOT / experiment.measurement).measured
    with style.style(salt=str(experiment)):
        svg = style.to_svg(module.plot(measured))
    store.write_if_changed(store.ROOT / place(experiment), svg)
