import math

import numpy as np
import pytest

from snippets.laboratory.threefry import (
    TRUNCATED_STD,
    Stream,
    normal,
    orthogonal,
    threefry_2x32,
    truncated,
    uniform,
    unit_weights,
    words,
)

# `kat_vectors` of Random123, the authors' own distribution: counter, key, answer.
KNOWN_ANSWERS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]
COUNT = 200_000


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers_of_random123(counter, key, answer):
    x, y = threefry_2x32(key, tuple(np.array([word], dtype=np.uint32) for word in counter))
    assert (x.item(), y.item()) == answer


@pytest.mark.parametrize("draw", [words, uniform, normal, truncated])
def test_a_number_depends_on_seed_stream_layer_and_index_alone(draw):
    long, short = draw(3, Stream.WEIGHT, 7, 101), draw(3, Stream.WEIGHT, 7, 40)
    assert np.array_equal(long[:40], short)
    for other in (draw(4, Stream.WEIGHT, 7, 40), draw(3, Stream.BIAS, 7, 40), draw(3, Stream.WEIGHT, 8, 40)):
        assert not np.isclose(other, short).any()


# Deterministic seeds; each bound is 5 standard errors, which one sample in 1.7 million exceeds.
@pytest.mark.parametrize("draw", [uniform, normal, truncated])
def test_mean_0_and_variance_1(draw):
    values = draw(0, Stream.WEIGHT, 1, COUNT)
    assert abs(values.mean()) < 5 / math.sqrt(COUNT)
    assert abs(values.var() - 1.0) < 5 * (values**2).std() / math.sqrt(COUNT)


def test_uniform_numbers_fill_their_interval():
    values = uniform(0, Stream.WEIGHT, 1, COUNT) / math.sqrt(3)
    assert 0.9999 < values.max() < 1.0
    assert -1.0 < values.min() < -0.9999
    share = np.histogram(values, bins=20, range=(-1, 1))[0] / COUNT
    assert np.abs(share - 0.05).max() < 5 * math.sqrt(0.05 * 0.95 / COUNT)


@pytest.mark.parametrize("bound", [0.5, 1.0, 2.0, 3.0])
def test_normal_numbers_have_the_tails_of_a_normal_distribution(bound):
    within, expected = np.abs(normal(0, Stream.WEIGHT, 1, COUNT)) < bound, math.erf(bound / math.sqrt(2))
    assert abs(within.mean() - expected) < 5 * math.sqrt(expected * (1 - expected) / COUNT)


def test_neighbours_of_one_block_are_uncorrelated():
    pairs = normal(0, Stream.WEIGHT, 1, COUNT).reshape(-1, 2)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 5 / math.sqrt(COUNT / 2)


def test_truncated_numbers_keep_those_within_two_deviations_and_redraw_the_others():
    cut, plain = truncated(0, Stream.WEIGHT, 1, COUNT), normal(0, Stream.WEIGHT, 1, COUNT)
    within = np.abs(plain) <= 2.0
    assert 1.9999 < np.abs(cut).max() * TRUNCATED_STD <= 2.0
    assert cut[within] * TRUNCATED_STD == pytest.approx(plain[within], rel=1e-15)


@pytest.mark.parametrize(("rows", "columns"), [(20, 30), (30, 20), (25, 25)])
def test_orthogonal_rows_or_columns_of_one_length(rows, columns):
    matrix = orthogonal(0, Stream.WEIGHT, 1, rows, columns)
    assert matrix.shape == (rows, columns)
    short = matrix if rows <= columns else matrix.T
    assert short @ short.T == pytest.approx(max(rows, columns) * np.eye(min(rows, columns)), abs=1e-12)


def test_orthogonal_matrices_have_no_preferred_sign():
    """Without the correction of signs LAPACK's diagonal is biased: its mean over 200 matrices is far from 0."""
    corners = [orthogonal(seed, Stream.WEIGHT, 1, 8, 8)[0, 0] for seed in range(200)]
    assert abs(np.mean(corners)) < 5 / math.sqrt(200)


def test_weights_of_each_distribution():
    assert unit_weights("uniform", 5, 2, 3, 4).ravel() == pytest.approx(uniform(5, Stream.WEIGHT, 2, 12))
    assert unit_weights("normal", 5, 2, 3, 4).ravel() == pytest.approx(normal(5, Stream.WEIGHT, 2, 12))
    assert unit_weights("truncated", 5, 2, 3, 4).ravel() == pytest.approx(truncated(5, Stream.WEIGHT, 2, 12))
    assert unit_weights("orthogonal", 5, 2, 3, 4) == pytest.approx(orthogonal(5, Stream.WEIGHT, 2, 3, 4))
