import math


def he_std(shape, negative_slope=0.0):
    """Standard deviation of He initialization.

    shape           of the weight, outputs first: (outputs, inputs) of a linear
                    layer, (outputs, inputs, height, width) of a convolution
    negative_slope  of the leaky ReLU behind the layer, 0 for ReLU
    """
    fan_in = math.prod(shape[1:])
    return math.sqrt(2 / ((1 + negative_slope**2) * fan_in))
