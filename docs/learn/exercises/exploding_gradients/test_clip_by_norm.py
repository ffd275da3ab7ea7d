import numpy as np
from clip_by_norm import clip_by_norm


def gradients():
    return [np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([4.0, 0.0])]  # joint norm 5


def test_a_long_gradient_is_cut_and_keeps_its_direction():
    first, second = clip_by_norm(gradients(), 1.0)
    assert not (np.isclose(first.max(), 1) and np.isclose(second.max(), 1)), (
        "every array has the norm 1 now: take the norm of all arrays together, else the direction turns"
    )
    norm = np.sqrt(np.sum(first**2) + np.sum(second**2))
    assert not np.isclose(norm, 0.2), "the joint norm is 1/5: did you divide by the squared norm?"
    assert np.isclose(norm, 1), f"the joint norm should be 1, yours is {norm:.3g}"
    assert np.isclose(first.max() / second.max(), 3 / 4), "the direction has turned: one factor for all entries"


def test_a_short_gradient_is_left_alone():
    first, _ = clip_by_norm(gradients(), 10.0)
    assert not np.isclose(first.max(), 6), "a short gradient was stretched to the limit: the factor is at most 1"
    assert np.isclose(first.max(), 3), "a gradient shorter than the limit should stay as it is"


def test_a_gradient_of_zero():
    (zero,) = clip_by_norm([np.zeros(3)], 1.0)
    assert np.isfinite(zero).all(), "a gradient of zero became NaN: you divide by its norm"


def test_what_was_given_stays():
    given = gradients()
    clip_by_norm(given, 1.0)
    assert given[0].max() == 3, "the arrays that were given have changed: return new ones"
