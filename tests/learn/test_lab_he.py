"""The lab does what its text says, and the solutions of its exercises are right."""

import re
from pathlib import Path

import matplotlib
import pytest
import torch

pytestmark = pytest.mark.slow

LAB = Path(__file__).resolve().parents[2] / "docs" / "labs" / "he-initialization.py"


@pytest.fixture(scope="module", params=[0, 100], ids="seeds + {}".format)
def lab(request) -> dict:
    """All names of the lab after its code has run, with its own seeds and with others."""
    source = re.sub(
        r"manual_seed\((\d+)\)", lambda seed: f"manual_seed({int(seed[1]) + request.param})", LAB.read_text()
    )
    threads = torch.get_num_threads()
    names = {"__name__": "lab"}
    with matplotlib.rc_context():
        exec(compile(source, LAB, "exec"), names)
    torch.set_num_threads(threads)
    return names


def test_the_default_trains_three_layers_and_no_more(lab):
    assert lab["default_accuracy"][3] > 0.8
    # Chance is 10 %; the loss of a network that says 1/10 for every class is ln 10.
    for depth in (10, 30):
        assert lab["default_accuracy"][depth] < 0.2
        assert sum(lab["default_losses"][depth][-10:]) / 10 == pytest.approx(2.303, abs=0.01)


def test_the_default_loses_a_factor_of_six_per_layer(lab):
    variance = lab["over_images"]
    assert (variance[19] / variance[1]) ** (1 / 18) == pytest.approx(1 / 6, rel=0.15)
    # What is left of E[h²] is the work of the biases: level but for chance, 0.6 to 1.5 times in five seeds.
    assert 1 / 3 < lab["mean_square"][19] / lab["mean_square"][5] < 3


def test_he_keeps_the_mean_square_and_loses_difference_between_images_slowly(lab):
    # ln E[h²] walks at random: 19 steps of variance about 5/n for n = 128 units, so one standard deviation is 0.9.
    assert 0.05 < lab["he_mean_square"][19] < 20
    assert 1e-3 < lab["he_over_images"][19] / lab["he_over_images"][0] < 1


def test_he_trains_what_the_default_does_not(lab):
    # Five seeds reached 0.84, 0.75 and 0.50 at least.
    for depth, accuracy in {10: 0.7, 20: 0.6, 30: 0.35}.items():
        assert lab["he_accuracy"][depth] > accuracy
        assert sum(lab["he_losses"][depth][-10:]) / 10 < 1.8


def test_solution_of_the_leaky_relu(lab):
    assert lab["leaky_factor"] == pytest.approx(1, abs=0.1)


def test_solution_of_the_uniform_variant(lab):
    # 300,000 weights: the standard error of the ratio is 0.0016.
    assert lab["uniform_ratio"] == pytest.approx(1, abs=0.01)


def test_solution_of_ten_percent_too_wide(lab):
    assert lab["measured"] == pytest.approx(lab["predicted"], rel=1e-3)
    assert lab["predicted"] == pytest.approx(304.5, abs=0.1)


def test_solution_of_the_convolution(lab):
    assert lab["conv_fan_in"] == 576
    # A factor of 2 in the variance would make it 1024 or 1/1024; five seeds stayed within 0.37 and 1.6.
    assert all(0.2 < value < 5 for value in lab["conv_mean_square"])
