import numpy as np


def spectral_radius(matrix):
    """The factor per step that a linear recurrent network with this matrix
    tends to: the largest absolute value of its eigenvalues."""
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))
