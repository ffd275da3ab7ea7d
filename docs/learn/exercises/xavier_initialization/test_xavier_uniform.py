import math

import numpy as np
from xavier_uniform import xavier_uniform

FAN_IN, FAN_OUT = 300, 500
STD = math.sqrt(2 / (FAN_IN + FAN_OUT))  # 0.05


def draw():
    return xavier_uniform(FAN_IN, FAN_OUT, np.random.default_rng(0))


def test_shape_and_mean():
    weights = draw()
    assert weights.shape != (FAN_IN, FAN_OUT), "the shape is turned round: outputs come first"
    assert weights.shape == (FAN_OUT, FAN_IN), f"the shape should be {(FAN_OUT, FAN_IN)}, yours is {weights.shape}"
    assert abs(weights.mean()) < 0.1 * STD, "the mean is not 0: the law lies on both sides of it"


def test_standard_deviation():
    ratio = draw().std() / STD
    assert abs(ratio - 1 / math.sqrt(3)) > 0.02, (
        "your std is sqrt(3) too small: a uniform law on (-b, b) has the std b/sqrt(3), so b is larger than the std"
    )
    assert abs(ratio - 1 / math.sqrt(2)) > 0.02, "your std is sqrt(2) too small: the two fans are averaged, not added"
    assert abs(ratio - math.sqrt(4 / 3)) > 0.02, "your std fits fan_in alone: the way back needs fan_out too"
    assert abs(ratio - 1) < 0.02, f"the std should be sqrt(2/(fan_in + fan_out)), yours is {ratio:.3g} times that"


def test_law():
    largest = np.abs(draw()).max() / STD
    assert largest < 1.75, "some weights lie beyond the bound of a uniform law of this std: is your law normal?"
    assert largest > 1.7, "no weight comes near the bound: is your law uniform?"


def test_the_generator_is_used():
    first, second = (xavier_uniform(3, 2, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(first, second), "two generators give the same weights: draw from the one you are given"
