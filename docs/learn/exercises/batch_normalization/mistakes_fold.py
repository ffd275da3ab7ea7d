import numpy as np


def scales_the_columns(weight, bias, mean, variance, gamma, beta, epsilon=1e-5):
    """the columns are scaled, which belong to the inputs: each output has its statistics, so scale the rows"""
    scale = gamma / np.sqrt(variance + epsilon)
    return scale * weight, scale * (bias - mean) + beta


def divides_by_the_variance(weight, bias, mean, variance, gamma, beta, epsilon=1e-5):
    """you divide by the variance: it is the standard deviation that is divided by"""
    scale = gamma / (variance + epsilon)
    return scale[:, None] * weight, scale * (bias - mean) + beta


def loses_the_bias(weight, bias, mean, variance, gamma, beta, epsilon=1e-5):
    """the bias of the layer is lost: it is normalized like the rest"""
    scale = gamma / np.sqrt(variance + epsilon)
    return scale[:, None] * weight, beta - scale * mean


def forgets_the_mean(weight, bias, mean, variance, gamma, beta, epsilon=1e-5):
    """the mean is missing: at test time it is still subtracted"""
    scale = gamma / np.sqrt(variance + epsilon)
    return scale[:, None] * weight, scale * bias + beta
