import numpy as np
import pytest

from snippets.weight_initialization.looks_linear_numpy import looks_linear, mirrored, orthogonal_factor


def forward(weights: list[np.ndarray], inputs: np.ndarray) -> np.ndarray:
    h = inputs
    for weight in weights[:-1]:
        h = np.maximum(weight @ h, 0.0)
    return weights[-1] @ h


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7)])
def test_the_factor_is_orthonormal_on_its_short_side(shape):
    q = orthogonal_factor(np.random.default_rng(0).standard_normal(shape))
    assert q.shape == shape
    gram = q @ q.T if shape[0] < shape[1] else q.T @ q
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_every_rotation_is_as_likely():
    """The mean trace of 400 uniform rotations of 4 dimensions is 0 +- 1/20; without the signs it is about -1.3."""
    generator = np.random.default_rng(0)
    traces = [np.trace(orthogonal_factor(generator.standard_normal((4, 4)))) for _ in range(400)]
    assert abs(np.mean(traces)) < 6 / 20


def test_blocks():
    block = np.array([[1.0, 2.0]])
    assert mirrored(block, rows=True, columns=True).tolist() == [[1, 2, -1, -2], [-1, -2, 1, 2]]
    assert mirrored(block, rows=True, columns=False).tolist() == [[1, 2], [-1, -2]]
    assert mirrored(block, rows=False, columns=True).tolist() == [[1, 2, -1, -2]]


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_the_chain_is_a_linear_isometry(depth):
    weights = looks_linear([6, *[12] * (depth - 1), 6], seed=0)
    assert [weight.shape for weight in weights] == list(
        zip([12] * (depth - 1) + [6], [6] + [12] * (depth - 1), strict=True)
    )
    map_as_matrix = forward(weights, np.eye(6))
    np.testing.assert_allclose(map_as_matrix.T @ map_as_matrix, np.eye(6), atol=1e-12)
    inputs = np.random.default_rng(1).standard_normal((6, 20))
    np.testing.assert_allclose(forward(weights, inputs), map_as_matrix @ inputs, atol=1e-12)


def test_the_seed_decides():
    first, same, other = (looks_linear([4, 8, 2], seed=seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, same, strict=True)) and (first[0] != other[0]).any()


@pytest.mark.parametrize("widths", [(4, 7, 8, 3), (4, 8, 7, 3)])
def test_an_odd_width_has_no_mirror(widths):
    with pytest.raises(ValueError, match="hidden widths .*7"):
        looks_linear(widths, seed=0)


@pytest.mark.parametrize("widths", [(4,), (4, 0, 2)])
def test_widths_must_make_a_chain(widths):
    with pytest.raises(ValueError, match="widths must be two or more integers from 1 on"):
        looks_linear(widths, seed=0)


def test_the_inputs_and_outputs_may_be_odd():
    assert [weight.shape for weight in looks_linear([5, 16, 3], seed=0)] == [(16, 5), (3, 16)]


def test_a_factor_is_orthonormal_whatever_the_draws():
    factor = orthogonal_factor(np.zeros((4, 3)))
    np.testing.assert_allclose(factor.T @ factor, np.eye(3))
