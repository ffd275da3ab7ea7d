import numpy as np


def _mean(values):
    z = np.linspace(-12, 12, 240_001)
    return np.sum(values(z) * np.exp(-(z**2) / 2)) / np.sum(np.exp(-(z**2) / 2))


def subtracts_the_mean(activation):
    """for ReLU you return 1.71: the next layer sees the mean square, so do not subtract the mean"""
    return 1 / np.sqrt(_mean(lambda z: activation(z) ** 2) - _mean(activation) ** 2)


def forgets_the_root(activation):
    """for ReLU you return 2, which is the gain of the variance: the weights get its root"""
    return 1 / _mean(lambda z: activation(z) ** 2)


def returns_what_is_left(activation):
    """for ReLU you return what is left: the gain makes up for it, so 1 over it"""
    return np.sqrt(_mean(lambda z: activation(z) ** 2))
