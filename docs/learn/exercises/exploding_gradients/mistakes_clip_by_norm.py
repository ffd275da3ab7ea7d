import numpy as np


def _norm(gradients):
    return np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))


def clips_each_array(gradients, limit):
    """every array has the norm 1 now: take the norm of all arrays together, else the direction turns"""
    return [gradient * min(1, limit / np.linalg.norm(gradient)) for gradient in gradients]


def stretches_short_gradients(gradients, limit):
    """a short gradient was stretched to the limit: the factor is at most 1"""
    return [gradient * limit / _norm(gradients) for gradient in gradients]


def divides_by_the_squared_norm(gradients, limit):
    """the joint norm is 1/5: did you divide by the squared norm?"""
    return [gradient * min(1, limit / _norm(gradients) ** 2) for gradient in gradients]


def divides_by_zero(gradients, limit):
    """a gradient of zero became NaN: you divide by its norm"""
    norm = _norm(gradients)
    with np.errstate(invalid="ignore"):
        return [gradient / norm * min(limit, norm) for gradient in gradients]


def changes_what_was_given(gradients, limit):
    """the arrays that were given have changed: return new ones"""
    factor = min(1, limit / max(_norm(gradients), 1e-300))
    for gradient in gradients:
        gradient *= factor
    return gradients
