"""The handwritten digits that every training experiment uses.

1,797 images of 8 x 8 pixels from ten classes; they come with scikit-learn, so nothing is downloaded.
Source: Alpaydin & Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from typing import NamedTuple

import numpy as np


class Digits(NamedTuple):
    """A stratified split: a network that learned nothing scores 10 % on it."""

    train_inputs: np.ndarray
    """float32, shape (1437, 64), in standard units over all training pixels together."""

    train_labels: np.ndarray
    """int64, shape (1437,)."""

    test_inputs: np.ndarray
    """float32, shape (360, 64), scaled as the training inputs."""

    test_labels: np.ndarray
    """int64, shape (360,)."""


def load_digits() -> Digits:
    """The digits, split once and for all: the seed of an experiment moves the network, not the data."""
    from sklearn.datasets import load_digits as load_raw
    from sklearn.model_selection import train_test_split

    pixels, labels = load_raw(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=360, random_state=0, stratify=labels
    )
    # One mean and one deviation for all pixels: pixels that are always black have no deviation of their own.
    mean, deviation = train_pixels.mean(), train_pixels.std()
    return Digits(
        ((train_pixels - mean) / deviation).astype(np.float32),
        train_labels.astype(np.int64),
        ((test_pixels - mean) / deviation).astype(np.float32),
        test_labels.astype(np.int64),
    )
