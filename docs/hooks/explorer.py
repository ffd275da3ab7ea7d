"""The digits as the explorer loads them when it is asked to train."""

import json

import numpy as np

LEVELS = 16
"""A pixel is a whole number from 0 to 16."""


def digits_json() -> str:
    """All images, the 360 test images last: a letter for each pixel ("a" for 0, "q" for 16), a digit for each label."""
    from snippets.laboratory.digits import load_digits

    data = load_digits()
    images = np.concatenate([data.train_inputs, data.test_inputs]).ravel()
    darkest = images.min()
    levels = np.rint((images - darkest) / (images.max() - darkest) * LEVELS).astype(np.uint8)
    labels = np.concatenate([data.train_labels, data.test_labels])
    return json.dumps({"levels": (levels + ord("a")).tobytes().decode(), "labels": "".join(map(str, labels))})
