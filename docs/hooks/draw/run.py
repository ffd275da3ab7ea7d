"""Draw the figure of one experiment from what was measured.

    python -m docs.hooks.draw.run snippets/vanishing_gradients/experiment_per_layer_factor.py

Exits with 0 after that, with 1 after saying on standard output what went wrong.
"""

import sys
from types import ModuleType

from docs.hooks import store
from docs.hooks.measure.attempt import by_hand
from docs.hooks.measure.experiment import Experiment


def draw(experiment: Experiment, module: ModuleType) -> None:
    """Raises what the experiment raises."""
    from docs.hooks.draw import style  # matplotlib takes its time, and a warm build draws nothing

    measured = store.load(store.ROOT / experiment.measurement).measured
    with style.style(salt=str(experiment)):
        svg = style.to_svg(module.plot(measured))
    store.write_if_changed(store.ROOT / experiment.figure, svg)


if __name__ == "__main__":
    sys.exit(by_hand(draw, sys.argv[1:]))
