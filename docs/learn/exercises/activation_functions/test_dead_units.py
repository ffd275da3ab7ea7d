import numpy as np
from dead_units import dead_units

# Four examples, five units. The first unit is dead. The last example switches all units off.
ACTIVATIONS = np.array([[0, 1, 0, 2, 0], [0, 0, 3, 1, 0], [0, 0, 0, 1, 4], [0, 0, 0, 0, 0.0]])


def test_dead_means_zero_for_every_example():
    found = dead_units(ACTIVATIONS)
    assert found != 14 / 20, (
        "you count zeros: half of them are normal behind a ReLU. A dead unit is zero for all examples"
    )
    assert found != 1 / 4, "you look for examples that switch off all units: take the other axis"
    assert found != 1.0, "one example can switch off a unit without its being dead: it must be zero for all"
    assert found != 1, "give the share, not the number"
    assert abs(found - 1 / 5) < 1e-12, f"one unit of five is dead, you say {found:.3g}"


def test_a_small_activation_is_not_dead():
    assert dead_units(np.full((3, 2), 1e-12)) == 0, "a unit that is on, however little, gets a gradient: it is not dead"


def test_a_mean_of_zero_is_not_dead():
    assert dead_units(np.array([[-1.0], [1.0]])) == 0, "a mean of 0 does not mean that every value is 0"
