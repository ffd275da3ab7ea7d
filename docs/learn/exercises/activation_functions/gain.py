import numpy as np


def gain(activation):
    """The factor on the weights that keeps the mean square of the signal at 1.

    activation  a function of NumPy arrays, applied to each number
    """
    z = np.linspace(-12, 12, 240_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    mean_square = np.sum(activation(z) ** 2 * density) * (z[1] - z[0])
    return 1 / np.sqrt(mean_square)
