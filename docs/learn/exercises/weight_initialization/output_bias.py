import numpy as np


def output_bias(labels, classes):
    """Biases of the output layer with which a softmax begins at the
    frequencies of the classes.

    labels   integers from 0 to classes - 1, each of which occurs
    Returns an array of the shape (classes,).
    """
    return np.log(np.bincount(labels, minlength=classes) / len(labels))
