import math

from he_std import he_std


def test_a_square_layer():
    ratio = he_std((200, 200)) / 0.1
    assert not math.isclose(ratio, 0.1), "that is the variance: the standard deviation is its square root"
    assert not math.isclose(ratio, 1 / math.sqrt(2)), (
        "your std is sqrt(2) too small: did you divide by fan_in + fan_out, or forget the 2 for the ReLU?"
    )
    assert math.isclose(ratio, 1), f"for 200 inputs the std is sqrt(2/200) = 0.1, yours is {ratio:.3g} times that"


def test_outputs_do_not_enter():
    assert math.isclose(he_std((50, 200)), 0.1), (
        "it changes with the number of outputs: the shape begins with the outputs, and a unit sums over its inputs"
    )


def test_a_convolution():
    ratio = he_std((64, 8, 5, 5)) / 0.1
    assert not math.isclose(ratio, 5), (
        "your std is 5 times too large for a 5 x 5 kernel: an output sums over its pixels too"
    )
    assert math.isclose(ratio, 1), f"8 channels of 5 x 5 pixels are 200 inputs; your std is {ratio:.3g} times theirs"


def test_a_leaky_relu():
    slope = 0.5
    ratio = he_std((200, 200), slope) / math.sqrt(2 / 1.25 / 200)
    assert not math.isclose(ratio, math.sqrt(1.25 / 1.5)), (
        "the slope enters squared: it scales values, and their mean square by its square"
    )
    assert math.isclose(ratio, 1), f"for the slope 0.5 your std is {ratio:.3g} times the one that keeps the mean square"
