"""The constants and the facts about PyTorch that the chapter states in its text."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import nn
from torch.nn import functional

from docs.hooks.pages import parts
from snippets.activation_functions.gain_pytorch import backward_gain, forward_gain
from snippets.laboratory.activations import from_torch
from snippets.laboratory.mean_field import SIGMOID, chi, fixed_variance, next_variance

TEXT = "\n".join(page.text for page in parts("activation-functions"))


def typed(before: str) -> float:
    """The number after these words; the same wherever they stand."""
    found = set(re.findall(re.escape(before) + r"\s*(-?[\d.]*\d)", TEXT))
    assert len(found) == 1, f"{before!r}: {found}"
    return float(found.pop())


def sigmoid_chi(sigma_w: float) -> float:
    return chi(fixed_variance(SIGMOID, sigma_w), SIGMOID, sigma_w)


def gelu_slope(x: float) -> float:
    return stats.norm.cdf(x) + x * stats.norm.pdf(x)


CONSTANTS = {
    "and $|x|=$": 2 * math.acosh((1 + math.sqrt(3)) / 2),
    "as soon as $|x|>$": 2 * math.acosh((1 + math.sqrt(3)) / 2),
    "At $N=4$, $L=50$ this is": 1 - (1 - 2**-4) ** 50,
    "at $d_k=512$ is": math.sqrt(512),
    "its loss cannot fall below": math.log(1 + 9 / math.e),
    "means $\\sigma_w=1$ and\n    $\\chi=$": sigmoid_chi(1),
    "At $\\sigma_w=4$ it is": sigmoid_chi(4),
    "and at $\\sigma_w=$": optimize.brentq(lambda sigma_w: sigmoid_chi(sigma_w) - 1, 8, 12),
    "is largest at $x=\\sqrt2$:": gelu_slope(math.sqrt(2)),
    "negative for $x<$": optimize.brentq(gelu_slope, -2, 0),
    "the gradient itself grows by a factor of": chi(1, from_torch(functional.selu), 1) ** 25,
    "$\\sqrt{2/3}=$": math.sqrt(2 / 3),
    "$1/\\sqrt2=$": math.sqrt(1 / 2),
}


@pytest.mark.parametrize("before", CONSTANTS)
def test_a_typed_constant_is_right_to_its_last_digit(before):
    number = typed(before)
    digits = re.search(re.escape(before) + r"\s*-?\d*\.?(\d*)", TEXT).group(1)
    assert number == pytest.approx(CONSTANTS[before], abs=0.51 * 10 ** -len(digits))


def test_the_slope_of_gelu_is_largest_where_the_page_says():
    best = optimize.minimize_scalar(lambda x: -gelu_slope(x), bounds=(0, 3), method="bounded")
    assert best.x == pytest.approx(math.sqrt(2), abs=1e-4)


def test_the_solution_of_the_exercise():
    def squared_relu(x):
        return functional.relu(x) ** 2

    assert forward_gain(squared_relu) == pytest.approx(math.sqrt(2 / 3), rel=1e-12)
    assert backward_gain(squared_relu) == pytest.approx(math.sqrt(1 / 2), rel=1e-12)
    q = 1.01
    for layer in range(1, 10):
        assert q < 100
        q = next_variance(q, from_torch(squared_relu), math.sqrt(2 / 3))
        assert layer > 1 or q == pytest.approx(1.0201)
    assert q > 100


def test_the_step_that_the_hermite_sum_rests_on():
    """E phi'^2 - E phi^2 from the coefficients of tanh, up to degree 40."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    polynomial, before, excess = np.ones_like(nodes), np.zeros_like(nodes), 0.0
    for k in range(41):
        excess += (k - 1) * (weights @ (np.tanh(nodes) * polynomial)) ** 2
        polynomial, before = (nodes * polynomial - math.sqrt(k) * before) / math.sqrt(k + 1), polynomial
    assert excess == pytest.approx(backward_gain(torch.tanh) ** -2 - forward_gain(torch.tanh) ** -2, abs=1e-4)


def test_softmax_before_the_loss_leaves_what_the_page_says():
    logits = torch.full((1, 10), -1e4)
    logits[0, 3] = 1e4
    loss = nn.CrossEntropyLoss()(logits.softmax(dim=1), torch.tensor([3]))
    assert loss.item() == pytest.approx(typed("its loss cannot fall below"), abs=5e-4)


def test_what_the_table_says_of_pytorch():
    assert nn.LeakyReLU().negative_slope == 0.01
    assert nn.PReLU().weight.item() == 0.25
    assert nn.init.calculate_gain("selu") == 0.75 and nn.init.calculate_gain("linear") == 1
    assert torch.__version__.startswith("2.13.") and "PyTorch 2.13" in TEXT
    for name in ("elu", "gelu", "silu", "mish", "softplus"):
        with pytest.raises(ValueError, match=f"(?i)unsupported nonlinearity {name}"):
            nn.init.calculate_gain(name)
