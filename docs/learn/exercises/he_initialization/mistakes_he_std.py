import math


def averages_both_fans(shape, negative_slope=0.0):
    """your std is sqrt(2) too small: did you divide by fan_in + fan_out, or forget the 2 for the ReLU?"""
    pixels = math.prod(shape[2:])
    return math.sqrt(2 / ((1 + negative_slope**2) * pixels * (shape[0] + shape[1])))


def returns_the_variance(shape, negative_slope=0.0):
    """that is the variance: the standard deviation is its square root"""
    return 2 / ((1 + negative_slope**2) * math.prod(shape[1:]))


def takes_fan_out(shape, negative_slope=0.0):
    """it changes with the number of outputs: the shape begins with the outputs, and a unit sums over its inputs"""
    return math.sqrt(2 / ((1 + negative_slope**2) * shape[0] * math.prod(shape[2:])))


def forgets_the_kernel(shape, negative_slope=0.0):
    """your std is 5 times too large for a 5 x 5 kernel: an output sums over its pixels too"""
    return math.sqrt(2 / ((1 + negative_slope**2) * shape[1]))


def does_not_square_the_slope(shape, negative_slope=0.0):
    """the slope enters squared: it scales values, and their mean square by its square"""
    return math.sqrt(2 / ((1 + negative_slope) * math.prod(shape[1:])))
