"""The numbers of theory that the chapter types, and the exercise that it solves."""

import math
import re
import textwrap
from pathlib import Path

import pytest

from docs.hooks.pages import parts
from snippets.laboratory.mean_field import RELU, SIGMOID, TANH, chi, fixed_variance

ROOT = Path(__file__).resolve().parents[2]
PAGE = "\n".join(page.text for page in parts("vanishing-gradients"))
DEFAULT = math.sqrt(1 / 3)  # of nn.Linear: uniform within 1 / sqrt(fan_in)


def settled_factor(activation, sigma_w: float) -> float:
    return math.sqrt(chi(fixed_variance(activation, sigma_w), activation, sigma_w))


@pytest.mark.parametrize(
    ("row", "sigma_w", "factor"),
    [
        ("sigmoid, Xavier", 1.0, settled_factor(SIGMOID, 1.0)),
        ("ReLU, PyTorch", DEFAULT, math.sqrt(chi(1.0, RELU, DEFAULT))),
        ("tanh, PyTorch", DEFAULT, settled_factor(TANH, DEFAULT)),
        ("ReLU, Xavier", 1.0, math.sqrt(chi(1.0, RELU, 1.0))),
    ],
)
def test_the_table_of_factors(row, sigma_w, factor):
    layers = math.ceil(math.log(1e-6) / math.log(factor))
    assert f"| {row} | {sigma_w:.3g} | {factor:.3f} | {layers} |" in PAGE


def test_he_keeps_the_gradient():
    assert chi(1.0, RELU, math.sqrt(2)) == pytest.approx(1.0)
    assert "| ReLU, He | 1.414 | 1 | never |" in PAGE


def test_what_the_cards_say_of_the_sigmoid_and_of_relu():
    assert f"it is\n    {settled_factor(SIGMOID, 1.0):.3f} in wide layers" in PAGE
    assert f"At four times Xavier's scale it is {settled_factor(SIGMOID, 4.0):.3f}." in PAGE
    assert settled_factor(SIGMOID, 10.149) == pytest.approx(1.0, abs=1e-4)
    assert PAGE.count(f"{100 * (1 - math.sqrt(1 / 6)):.0f} % per layer") == 2
    assert 0.2 < settled_factor(SIGMOID, 1.0) < 0.25 and settled_factor(SIGMOID, 1.0) ** 10 < 1e-6


def test_the_first_question():
    exact = math.log(1e-3) / math.log(math.sqrt(1 / 6))
    assert f"\\ln 0.408={exact:.1f}$, so after {math.ceil(exact)} layers" in PAGE


def test_the_question_of_the_forget_bias():
    gate = 0.5 ** (1 / 50)
    assert f"$\\sigma(b)={gate:.4f}$ and $b={math.log(gate / (1 - gate)):.2f}$" in PAGE
    assert f"$\\sigma(1)^{{50}}={(1 / (1 + math.exp(-1))) ** 50 * 1e7:.1f}\\times10^{{-7}}$" in PAGE


def test_the_solution_of_the_exercise_prints_what_the_page_says(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "snippets" / "vanishing_gradients"))
    (solution,) = re.findall(r"Measured, with the file .*?```python\n(.*?)    ```", PAGE, flags=re.DOTALL)
    exec(textwrap.dedent(solution), {})
    printed = capsys.readouterr().out.strip()
    assert f"It prints {printed}." in PAGE
    assert f"{math.log(1e-6) / math.log(settled_factor(SIGMOID, 1.0)):.1f}$: ten layers" in PAGE and printed == "10"

    relu = solution.replace('"sigmoid"', '"relu"').replace("1 / 16", "(2 / 256) ** 0.5")
    with pytest.raises(StopIteration):
        exec(textwrap.dedent(relu), {})
