import numpy as np
from spectral_radius import spectral_radius


def test_a_shear():
    found = spectral_radius(np.array([[0.5, 10.0], [0.0, 0.5]]))
    assert not np.isclose(found, np.linalg.norm([[0.5, 10.0], [0.0, 0.5]], 2)), (
        "that is the largest singular value: what one step can do. Over many steps the eigenvalues decide"
    )
    assert np.isclose(found, 0.5), f"both eigenvalues are 0.5, you return {found:.3g}"


def test_a_negative_eigenvalue():
    found = spectral_radius(np.diag([0.5, -2.0]))
    assert not np.isclose(found, 0.5), "an eigenvalue of -2 doubles the gradient too: take absolute values"
    assert np.isclose(found, 2), f"the radius of diag(0.5, -2) is 2, you return {found:.3g}"


def test_a_rotation():
    angle = 0.3
    rotation = 1.1 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = spectral_radius(rotation)
    assert not np.isclose(found, 1.1 * np.cos(angle)), (
        "that is the real part of a complex eigenvalue: its absolute value is the factor"
    )
    assert np.isclose(found, 1.1), f"a rotation times 1.1 has the radius 1.1, you return {found:.3g}"
