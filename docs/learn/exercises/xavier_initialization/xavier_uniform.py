import math


def xavier_uniform(fan_in, fan_out, rng):
    """Weights of Xavier initialization from a uniform law.

    rng  a `numpy.random.Generator`
    Returns an array of the shape (fan_out, fan_in).
    """
    bound = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, size=(fan_out, fan_in))
