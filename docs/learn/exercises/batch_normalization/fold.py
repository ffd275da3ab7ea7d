import numpy as np


def fold(weight, bias, mean, variance, gamma, beta, epsilon=1e-5):
    """Weight and bias of one linear layer that does what a linear layer and the
    batch normalization behind it do at test time.

    weight                  array of the shape (outputs, inputs); y = weight @ x + bias
    bias, mean, variance,
    gamma, beta             arrays of the shape (outputs,)
    """
    scale = gamma / np.sqrt(variance + epsilon)
    return scale[:, None] * weight, scale * (bias - mean) + beta
