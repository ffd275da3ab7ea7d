"""The constants of theory that the chapter prints, and its exercise."""

import math

import numpy as np
import pytest
import torch

from docs.hooks.pages import parts
from snippets.exploding_gradients import experiment_cliff, experiment_clip_direction, experiment_overflow_depth
from snippets.laboratory.digits import load_digits
from snippets.laboratory.training import multilayer_perceptron

PAGE = "\n".join(page.text for page in parts("exploding-gradients"))
HALF, SINGLE = torch.finfo(torch.float16).max, torch.finfo(torch.float32).max


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (r"s=\sqrt{256/2}\approx$ {:.1f}", math.sqrt(256 / 2)),
        ("That gives {:.1f} layers in float32", math.log(SINGLE) / math.log(math.sqrt(128))),
        ("in float32 and {:.1f} in float16", math.log(HALF) / math.log(math.sqrt(128))),
        ("65,504", None),
        (r"\sqrt{2/\pi}\approx$ {:.3f}", math.sqrt(2 / math.pi)),
        (r"2^{100}\approx{:.1f}\times10^{30}$", 2.0**100 / 1e30),
        (r"\ln 10=$ {:.3f}", math.log(10)),
        (r"\ln 65504/\ln 1.5=$ {:.1f}", math.log(HALF) / math.log(1.5)),
        (r"\ln4/\ln1.5=$ {:.1f}", math.log(4) / math.log(1.5)),
        ("that is {:.0f} layers against 128", math.log(HALF) / math.log(2)),
        ("16 layers against {:.0f}", math.log(SINGLE) / math.log(2)),
    ],
)
def test_a_constant_is_what_theory_says(words, value):
    if value is not None:
        head, _, tail = words.rpartition("{:")
        form, _, rest = tail.partition("}")
        words = head + format(value, form).replace("e+", "e") + rest
    assert words in PAGE


def test_the_largest_numbers_of_the_formats():
    assert HALF == 65504
    assert torch.finfo(torch.bfloat16).max == pytest.approx(3.4e38, rel=0.01)
    assert pytest.approx(3.4e38, rel=0.01) == SINGLE


def test_the_solution_of_the_exercise():
    """1.5 times He: float16 overflows two to four layers before an rms of 1 would reach its largest number."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(40, 256, 256, generator=generator, dtype=torch.float64) * 1.5 * math.sqrt(2 / 256)
    inputs = torch.randn(16, 256, generator=generator, dtype=torch.float64).relu() / 1.5
    overflow = experiment_overflow_depth._growth(weights, inputs).overflow["float16"]
    assert 22 <= overflow <= 26


def test_the_gradient_of_the_cliff_is_the_derivative_of_its_loss():
    w, b, step = 5.0, -2.9, 1e-6
    _, gradient = experiment_cliff.loss_and_gradient(w, b)
    by_w = experiment_cliff.loss_and_gradient(w + step, b)[0] - experiment_cliff.loss_and_gradient(w - step, b)[0]
    by_b = experiment_cliff.loss_and_gradient(w, b + step)[0] - experiment_cliff.loss_and_gradient(w, b - step)[0]
    np.testing.assert_allclose(gradient, np.array([by_w, by_b]) / (2 * step), rtol=1e-5)


def test_the_cosine_of_normal_gradients_is_that_of_a_sample():
    draws = np.random.default_rng(0).standard_normal(400_000)
    cut = np.clip(draws, -0.7, 0.7)
    cosine = (draws * cut).mean() / math.sqrt((draws**2).mean() * (cut**2).mean())
    # The standard error is below 1e-3.
    assert cosine == pytest.approx(experiment_clip_direction.gaussian_cosine(0.7), abs=5e-3)


@pytest.mark.parametrize("radius", [1.1, 1.5])
def test_inputs_saturate_a_recurrent_network(radius):
    """Orthogonal weights, 200 steps, as in the experiment, and inputs of variance 1."""
    generator = torch.Generator().manual_seed(0)
    square = torch.randn(2, 64, 64, generator=generator, dtype=torch.float64)
    weight, read = radius * torch.linalg.qr(square[0])[0], square[1] / 8
    state, gradient = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    length, slopes = gradient.norm(), []
    for _ in range(200):
        state = torch.tanh(weight @ state + read @ torch.randn(64, generator=generator, dtype=torch.float64))
        slopes.append(1 - state**2)
    for slope in reversed(slopes):
        gradient = weight.T @ (slope * gradient)
    assert gradient.norm() / length < 1e-9


def test_a_network_trains_above_two_over_its_sharpness():
    """The first Hessian of a network promises nothing: at three times the largest step of its quadratic it learns."""
    digits, generator = load_digits(), torch.Generator().manual_seed(0)
    inputs, labels = torch.from_numpy(digits.train_inputs), torch.from_numpy(digits.train_labels)
    model = multilayer_perceptron(
        [64, 64, 64, 10],
        torch.nn.Tanh,
        lambda weight: torch.nn.init.xavier_uniform_(weight, generator=generator),
    )
    parameters = list(model.parameters())

    def slope(**more):
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        return torch.autograd.grad(loss, parameters, **more)

    flat = torch.nn.utils.parameters_to_vector(slope(create_graph=True))
    vector = torch.randn(len(flat), generator=generator)
    for _ in range(30):
        products = torch.autograd.grad(flat @ (vector / vector.norm()), parameters, retain_graph=True)
        vector = torch.nn.utils.parameters_to_vector(products)
    step = 3 * 2 / vector.norm()
    with torch.no_grad():
        for _ in range(100):
            with torch.enable_grad():
                gradient = slope()
            for parameter, part in zip(parameters, gradient, strict=True):
                parameter -= step * part
        assert torch.nn.functional.cross_entropy(model(inputs), labels) < 0.1
