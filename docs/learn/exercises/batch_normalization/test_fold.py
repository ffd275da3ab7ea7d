import numpy as np
from fold import fold

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(3, 3))
BIAS, MEAN, BETA = RNG.normal(size=(3, 3))
VARIANCE, GAMMA = RNG.uniform(0.5, 4, size=(2, 3))


def test_the_weight():
    weight, _ = fold(WEIGHT, BIAS, MEAN, VARIANCE, GAMMA, BETA)
    scale = GAMMA / np.sqrt(VARIANCE + 1e-5)
    assert not np.allclose(weight, scale * WEIGHT), (
        "the columns are scaled, which belong to the inputs: each output has its statistics, so scale the rows"
    )
    assert not np.allclose(weight, (GAMMA / (VARIANCE + 1e-5))[:, None] * WEIGHT), (
        "you divide by the variance: it is the standard deviation that is divided by"
    )
    assert np.allclose(weight, scale[:, None] * WEIGHT), (
        "each row should be multiplied by gamma / sqrt(variance + epsilon)"
    )


def test_the_bias():
    _, bias = fold(WEIGHT, BIAS, MEAN, VARIANCE, GAMMA, BETA)
    scale = GAMMA / np.sqrt(VARIANCE + 1e-5)
    assert not np.allclose(bias, BETA - scale * MEAN), "the bias of the layer is lost: it is normalized like the rest"
    assert not np.allclose(bias, scale * BIAS + BETA), "the mean is missing: at test time it is still subtracted"
    assert np.allclose(bias, scale * (BIAS - MEAN) + BETA), "the bias should be scale * (bias - mean) + beta"
