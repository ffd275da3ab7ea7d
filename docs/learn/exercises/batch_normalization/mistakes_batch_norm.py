import numpy as np


def normalizes_each_example(x, gamma, beta, epsilon=1e-5):
    """every example has the mean 0, which is layer normalization: take the statistics over the batch, axis 0"""
    return gamma * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + epsilon) + beta


def divides_by_n_minus_one(x, gamma, beta, epsilon=1e-5):
    """the variances are 7/8: you divide by n - 1. Within the batch the variance is the mean square, over n"""
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + epsilon) + beta


def adds_epsilon_to_the_deviation(x, gamma, beta, epsilon=1e-5):
    """epsilon stands outside the root: it is added to the variance"""
    return gamma * (x - x.mean(0)) / (x.std(0) + epsilon) + beta


def forgets_beta(x, gamma, beta, epsilon=1e-5):
    """beta is missing: it is added last"""
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + epsilon)
