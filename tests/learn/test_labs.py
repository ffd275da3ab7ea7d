"""Each lab does what its text says, with its own seeds and with others.

The bounds are wide: three seeds each stayed well inside. They tell a working lab from one whose text is false.
"""

import math

import pytest
import torch
from torch import nn

from tests.learn import labs

pytestmark = pytest.mark.slow

seeds = pytest.fixture(scope="module", params=[0, 100], ids="seeds + {}".format)


@seeds
def vanishing(request):
    return labs.run("vanishing-gradients", request.param)


def test_vanishing_gradients(vanishing):
    shallow, deep = (sum(losses[-20:]) / 20 for losses in vanishing["sigmoid_losses"].values())
    assert shallow < 1.5 and deep == pytest.approx(math.log(10), abs=0.05)
    assert 0.2 < vanishing["sigmoid_factor"] < 0.25
    assert vanishing["level"] < 3 and vanishing["tanh_z"][0] / vanishing["tanh_z"][19] < 0.05
    assert vanishing["relu_accuracy"] > 0.7


def test_solutions_of_vanishing_gradients(vanishing):
    assert sum(vanishing["adam_losses"][-20:]) / 20 < 2.15
    assert vanishing["first_gradient"] / 64 > 1e-8, "the mean gradient of a weight is above Adam's ε"
    factors = vanishing["wide_factors"]
    assert factors[1] < factors[4] < factors[7] < factors[10] and 0.85 < factors[10] < 1.1
    assert vanishing["zero_from"] == {torch.float16: 13, torch.float32: 73}


@seeds
def xavier(request):
    return labs.run("xavier-initialization", request.param)


def test_xavier_initialization(xavier):
    assert all(forward + back == pytest.approx(2, abs=0.05) for forward, back in xavier["shared"].values())
    small, one, large = (xavier["sizes"][v] for v in (1 / 3, 1, 9))
    assert (small[-1] / small[0]) ** (1 / 19) == pytest.approx(1 / math.sqrt(3), rel=0.06)
    assert 0.05 < one[-1] < 0.5 < large[-1]
    assert [xavier["accuracies"][v] > 0.6 for v in (1 / 3, 1, 9)] == [False, True, False]


def test_solutions_of_xavier_initialization(xavier):
    assert xavier["bound_ratio"] == pytest.approx(1, abs=0.02)
    assert xavier["five"][nn.Sigmoid] < 0.3 < 0.7 < xavier["five"][nn.Tanh]
    (calm, learned), (saturated, guessed) = xavier["after"].values()
    assert calm < 0.8 and learned > 0.7 and saturated > 0.95 and guessed < 0.4


@seeds
def activation(request):
    return labs.run("activation-functions", request.param)


def test_activation_functions(activation):
    assert activation["gains"]["ReLU"] == pytest.approx(math.sqrt(2), abs=1e-3)
    assert activation["gains"]["tanh"] == pytest.approx(1.5925, abs=1e-3)
    by_depth = activation["by_depth"]
    assert 0.9 < by_depth["tanh"][-1] < 1.1 and 0.1 < by_depth["ReLU"][-1] < 10
    assert abs(math.log(by_depth["GELU"][-1])) > 0.7, "GELU has left 1"
    assert activation["health"][0.001][0] < 0.2 < 0.3 < activation["health"][0.1][0]
    assert activation["entropy_recovers"][-1] > 0.5 > 0.3 > activation["square_recovers"][-1]


def test_solutions_of_activation_functions(activation):
    assert activation["ratio_at_five"] == pytest.approx(36.6, abs=0.5)
    assert activation["crossing"] == pytest.approx(1.6629, abs=1e-3)
    assert activation["without_gradient"]["ReLU"] > 0.3 and activation["without_gradient"]["LeakyReLU"] == 0
    assert activation["born_dead"] == pytest.approx(activation["predicted_dead"], abs=0.05)


@seeds
def exploding(request):
    return labs.run("exploding-gradients", request.param)


def test_exploding_gradients(exploding):
    twice, he = zip(*exploding["overflow"].values(), strict=True)
    assert 12 <= twice[0] <= 17 and twice[1] == twice[2] and twice[1] > 110
    assert he == (None, None, None)
    assert exploding["results"][1.0] < 0.3 and exploding["results"][0.01] > 0.5
    assert max(exploding["norms_by_rate"][1.0]) > 1e3 > 50 > max(exploding["norms_by_rate"][0.01])
    assert exploding["clipped"][1.0] > exploding["clipped"][None] + 0.15


def test_solutions_of_exploding_gradients(exploding):
    assert 0.4 < exploding["cosine"] < 0.85
    linear = {radius: pair[0] for radius, pair in exploding["through_time"].items()}
    assert linear[0.9] < 1e-2 < linear[1.0] < 10 < linear[1.1]
    assert exploding["through_time"][1.1][1] < 50
    residual = exploding["residual"]
    assert residual["as it is"] > 1e10 and residual["over √30"] < 15 and residual["zero"] == 1


@seeds
def start(request):
    return labs.run("weight-initialization", request.param)


def test_weight_initialization(start):
    directions = {kind: found[0] for kind, found in start["symmetry"].items()}
    assert directions["zero"] == 0 and directions["constant"] == 1
    assert 1 < directions["constant with noise"] < 12 < 28 < directions["Xavier"]
    assert start["symmetry"]["Xavier"][1] > start["symmetry"]["constant"][1] + 0.3
    assert min(start["learned"][2]) > 0.7
    assert start["learned"][20][2] > 0.25 > max(start["learned"][20][0], start["learned"][20][4])
    assert start["first_losses"]["bias 0"][0] == pytest.approx(math.log(2), abs=0.1)
    assert start["first_losses"]["log odds"][0] == pytest.approx(start["entropy"], abs=0.02)


def test_solutions_of_weight_initialization(start):
    assert start["linear_accuracy"] > 0.8
    assert start["spread"]["orthogonal"] == pytest.approx(1, abs=1e-3) and start["spread"]["Gaussian"] < 1e-2
    assert start["rescued"] > start["learned"][20][0] + 0.15


@seeds
def normalized(request):
    return labs.run("batch-normalization", request.param)


def test_batch_normalization(normalized):
    assert normalized["difference"] < 1e-5
    scales = normalized["scales"]
    assert min(scales[True, scale] for scale in (1 / 8, 1, 8)) > 0.5
    assert scales[False, 1] > 0.7 and max(scales[False, 1 / 8], scales[False, 8]) < 0.3
    assert normalized["same"] < 0.01
    he, slow, fast = (sum(losses[-20:]) for losses in normalized["compared"].values())
    assert fast == pytest.approx(he, rel=0.01) and slow > 1.3 * he
    assert abs(normalized["lag"][0.1][0] - normalized["lag"][0.1][1]) < 0.1
    assert normalized["lag"][0.01][0] > normalized["lag"][0.01][1] + 0.08


def test_solutions_of_batch_normalization(normalized):
    assert normalized["pair"].round().tolist() == [[-1, 1], [1, -1]]
    assert normalized["batch_sizes"][2] < 0.6 < 0.8 < normalized["batch_sizes"][64]
    assert 1.1 < normalized["growth"] < 1.3
    assert normalized["fold_error"] < 1e-4
