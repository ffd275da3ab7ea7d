import numpy as np


def counts_zeros(activations):
    """you count zeros: half of them are normal behind a ReLU. A dead unit is zero for all examples"""
    return np.mean(activations == 0)


def takes_the_other_axis(activations):
    """you look for examples that switch off all units: take the other axis"""
    return np.mean(np.all(activations == 0, axis=1))


def asks_for_one_example(activations):
    """one example can switch off a unit without its being dead: it must be zero for all"""
    return np.mean(np.any(activations == 0, axis=0))


def takes_small_for_zero(activations):
    """a unit that is on, however little, gets a gradient: it is not dead"""
    return np.mean(np.all(np.abs(activations) < 1e-6, axis=0))


def takes_the_mean(activations):
    """a mean of 0 does not mean that every value is 0"""
    return np.mean(activations.mean(axis=0) == 0)
