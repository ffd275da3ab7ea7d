import numpy as np


def takes_the_singular_value(matrix):
    """that is the largest singular value: what one step can do. Over many steps the eigenvalues decide"""
    return np.linalg.norm(matrix, 2)


def forgets_the_sign(matrix):
    """an eigenvalue of -2 doubles the gradient too: take absolute values"""
    return np.linalg.eigvals(matrix).real.max()


def takes_the_real_part(matrix):
    """that is the real part of a complex eigenvalue: its absolute value is the factor"""
    return np.abs(np.linalg.eigvals(matrix).real).max()
