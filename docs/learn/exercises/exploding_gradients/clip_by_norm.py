import numpy as np


def clip_by_norm(gradients, limit):
    """Scale all gradients by one factor, so that their joint norm is at most
    `limit`.

    gradients  list of arrays, one for each parameter
    Returns a new list; the arrays that were given stay as they are.
    """
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    factor = min(1.0, limit / norm) if norm > 0 else 1.0
    return [factor * gradient for gradient in gradients]
