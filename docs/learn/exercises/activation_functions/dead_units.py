import numpy as np


def dead_units(activations):
    """Share of the units behind a ReLU that are zero for every example.

    activations  array of the shape (examples, units)
    """
    return float(np.mean(np.all(activations == 0, axis=0)))
