import numpy as np
import pytest

from snippets.laboratory.digits import load_digits


def test_shapes_and_types():
    digits = load_digits()
    assert digits.train_inputs.shape == (1437, 64) and digits.test_inputs.shape == (360, 64)
    assert digits.train_inputs.dtype == digits.test_inputs.dtype == np.float32
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int64


def test_training_pixels_are_in_standard_units():
    pixels = load_digits().train_inputs
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-5)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-5)


def test_guessing_one_class_scores_ten_percent():
    counts = np.bincount(load_digits().test_labels, minlength=10) / 360
    assert counts.min() > 0.095 and counts.max() < 0.105


def test_no_image_is_in_both_parts():
    digits = load_digits()
    train = {image.tobytes() for image in digits.train_inputs}
    assert not any(image.tobytes() in train for image in digits.test_inputs)


def test_the_split_is_always_the_same():
    assert np.array_equal(load_digits().test_labels, load_digits().test_labels)
