import math

import numpy as np
from gain import gain


def relu(z):
    return np.maximum(z, 0)


def test_relu():
    found = gain(relu)
    assert abs(found - 2) > 0.02, "for ReLU you return 2, which is the gain of the variance: the weights get its root"
    assert abs(found - 1 / math.sqrt(2)) > 0.02, (
        "for ReLU you return what is left: the gain makes up for it, so 1 over it"
    )
    assert abs(found - 1 / math.sqrt(0.5 - 0.5 / math.pi)) > 0.02, (
        "for ReLU you return 1.71: the next layer sees the mean square, so do not subtract the mean"
    )
    assert abs(found - 1 / math.sqrt(0.5 * 2)) > 0.02, (
        "for ReLU you return 1: its negative half is 0, so only half of the mean square is left"
    )
    assert abs(found - math.sqrt(2)) < 0.01, f"the gain of ReLU is sqrt(2), you return {found:.4g}"


def test_other_activations():
    for name, activation, wanted in (
        ("the identity", lambda z: z, 1.0),
        ("tanh", np.tanh, 1.5925),
        ("the sigmoid", lambda z: 1 / (1 + np.exp(-z)), 1.8462),
    ):
        found = gain(activation)
        assert abs(found - wanted) < 0.02, f"the gain of {name} is {wanted}, you return {found:.4g}"
