"""What the chapter says in prose: its constants are those of theory, its solution solves, PyTorch is as it says."""

import math
import re
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from docs.hooks.pages import parts
from snippets.he_initialization.experiment_fan_choice import WIDTHS, theory
from snippets.he_initialization.fans_numpy import true_fans
from snippets.he_initialization.he_init_numpy import TRUNCATED_STD, kaiming_std

ROOT = Path(__file__).resolve().parents[2]
PAGE = "\n".join(page.text for page in parts("he-initialization"))
FAN_CHOICE, MEAN_SQUARE, TRUNCATED_NORMAL = (
    (ROOT / f"snippets/he_initialization/experiment_{name}.py").read_text(encoding="utf-8")
    for name in ("fan_choice", "mean_square", "truncated_normal")
)
CUT = stats.truncnorm(-2.0, 2.0)


@pytest.mark.parametrize(
    ("text", "printed", "value"),
    [
        (PAGE, r"\sqrt{2/300}=0.0816", kaiming_std((100, 300))),
        (PAGE, r"\sqrt{6/300}=0.1414", math.sqrt(3.0) * kaiming_std((100, 300))),
        (PAGE, r"3\cdot3\cdot64=576", true_fans(64, 128, [3, 3]).fan_in),
        (PAGE, r"3\cdot3\cdot128=1152", true_fans(64, 128, [3, 3]).fan_out),
        (PAGE, r"\sqrt{2/576}=0.0589", kaiming_std((128, 64, 3, 3))),
        (PAGE, r"1.1^{2\cdot30}=304", 1.1**60),
        (PAGE, r"0.8^{-20}=86.7", 0.8**-20),
        (PAGE, r"\tfrac12-\tfrac1{2\pi}=0.341", 0.5 - 0.5 / math.pi),
        (PAGE, "multiply the mean square by 1.467", math.pi / (math.pi - 1.0)),
        (PAGE, "keeps 0.8796", CUT.std()),
        (MEAN_SQUARE, r"1/2-1/(2\\pi)=0.341", 0.5 - 0.5 / math.pi),
        (MEAN_SQUARE, r"(1+a^2)/2=0.531", (1.0 + 0.25**2) / 2.0),
        (MEAN_SQUARE, r"\\pi/(\\pi-1)=1.467", math.pi / (math.pi - 1.0)),
        (FAN_CHOICE, r"0.64^9\\cdot0.4=0.0072", theory("average").activations[-1]),
        (FAN_CHOICE, r"0.64^9\\cdot1.6=0.029", theory("average").gradients[0]),
        (FAN_CHOICE, "512/128 = 4", theory("fan_in").gradients[0]),
        (FAN_CHOICE, "128/512 = 0.25", theory("fan_out").activations[-1]),
        (TRUNCATED_NORMAL, "2/0.8796 = 2.2737", 2.0 / TRUNCATED_STD),
        (TRUNCATED_NORMAL, "2.366", 3.0 + float(CUT.stats("k"))),
    ],
)
def test_typed_constants_are_those_of_theory(text, printed, value):
    assert printed in text
    digits = re.search(r"[\d.]+$", printed).group()
    assert value == pytest.approx(float(digits), abs=0.51 * 10.0 ** -len(digits.partition(".")[2]))


def test_the_widths_alternate_as_the_page_says():
    assert set(WIDTHS) == {128, 512} and len(WIDTHS) - 1 == 19
    assert "alternates between 128 and 512" in PAGE and "19 layers" in PAGE


def test_the_fixed_point_of_the_default_is_a_fifth_over_n():
    n, q = 512, 1.0
    for _ in range(100):
        q = (q / 3.0 + 1.0 / (3.0 * n)) / 2.0
    assert n * q == pytest.approx(0.2)


def test_the_solution_of_the_exercise_keeps_the_mean_square(capsys):
    """20 layers of 512 units scatter by sqrt(20 * (6 / 0.8 - 1) / 512) = 0.5 in the logarithm; plain He gives 4.5."""
    code = re.search(r'```python title="solution"\n(.*?)```', PAGE, flags=re.DOTALL).group(1)
    names = {}
    exec(textwrap.dedent(code), names)
    assert abs(math.log(np.mean(names["h"] ** 2))) < 1.5
    assert capsys.readouterr().out == f"mean square after 20 layers: {np.mean(names['h'] ** 2):.2f}\n"


def test_halving_all_weights_divides_a_weight_gradient_by_two_for_each_other_layer():
    def gradient(factor: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        h, weights = torch.ones(1, 8, dtype=torch.float64), []
        for _ in range(30):
            draw = torch.randn(8, 8, generator=generator, dtype=torch.float64)
            weights.append((factor * draw).requires_grad_())
            h = torch.relu(h @ weights[-1]) + 0.0
        return torch.autograd.grad(h.sum(), weights[14])[0]

    assert gradient(1.0).abs().max() > 0
    torch.testing.assert_close(gradient(0.5), 2.0**-29 * gradient(1.0))


def test_pytorch_is_as_the_table_says():
    def draws(initialize) -> torch.Tensor:
        return initialize(torch.empty(300, 300), generator=torch.Generator().manual_seed(0))

    relu = draws(partial(nn.init.kaiming_normal_, nonlinearity="relu"))
    assert torch.equal(draws(nn.init.kaiming_normal_), relu)
    # A limit in units of the values, not of the deviation.
    assert draws(partial(nn.init.trunc_normal_, std=0.1)).abs().max() > 0.4
    with torch.random.fork_rng():
        layer = nn.Linear(300, 300)
    for values in (layer.weight, layer.bias):
        assert 0.95 < values.abs().max().item() * math.sqrt(300) <= 1.0 + 1e-6
    # The way to it: a = sqrt(5) in kaiming_uniform_.
    assert kaiming_std((300, 300), math.sqrt(5.0)) ** 2 == pytest.approx(1.0 / (3.0 * 300))
