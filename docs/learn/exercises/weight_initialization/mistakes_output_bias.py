import numpy as np


def _frequencies(labels, classes):
    return np.bincount(labels, minlength=classes) / len(labels)


def forgets_the_logarithm(labels, classes):
    """these are the frequencies: a softmax exponentiates, so take their logarithm"""
    return _frequencies(labels, classes)


def takes_log_odds(labels, classes):
    """these are log odds, which a sigmoid needs: a softmax normalizes, so the logarithm of the frequencies is enough"""
    frequencies = _frequencies(labels, classes)
    return np.log(frequencies / (1 - frequencies))


def turns_the_sign_round(labels, classes):
    """the rare classes start as the likely ones: that is the sign of a class weight, not of a bias"""
    return -np.log(_frequencies(labels, classes))


def counts_by_first_appearance(labels, classes):
    """the classes are out of order: count by class, not by first appearance"""
    counts = {}
    for label in labels.tolist():
        counts[label] = counts.get(label, 0) + 1
    return np.log(np.array(list(counts.values())) / len(labels))
