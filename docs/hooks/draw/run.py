"""Draw the figure of one experiment from what was measured.

    python -m docs.hooks.draw.run snippets/vanishing_gradients/experiment_per_layer_factor.py

Exits with 0 after that, with 1 after saying on standard output what went wrong.
"""

import sys
from types import ModuleType

from docs.hooks.draw.drawing import draw, place
from docs.hooks.draw.theme import paint
from docs.hooks.measure.attempt import by_hand
from docs.hooks.measure.experiment import Experiment


def draw_and_paint(experiment: Experiment, module: ModuleType) -> None:
    draw(experiment, module)
    paint(place(experiment), experiment.figure)


if __name__ == "__main__":
    sys.exit(by_hand(draw_and_paint, sys.argv[1:]))
