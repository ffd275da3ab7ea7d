import numpy as np
import pytest
import torch
from torch.nn import functional

from snippets.laboratory.activations import from_torch
from snippets.laboratory.mean_field import RELU, SIGMOID, TANH, chi, next_variance


@pytest.mark.parametrize(("function", "known"), [(torch.sigmoid, SIGMOID), (torch.tanh, TANH), (functional.relu, RELU)])
def test_it_is_the_known_activation(function, known):
    x = np.linspace(-4, 4, 81)
    activation = from_torch(function)
    assert activation.value(x) == pytest.approx(known.value(x), abs=1e-15)
    assert activation.slope(x) == pytest.approx(known.slope(x), abs=1e-15)
    assert activation.slope(x).dtype == np.float64
    assert next_variance(0.7, activation, 1.3) == pytest.approx(next_variance(0.7, known, 1.3))
    assert chi(0.7, activation, 1.3) == pytest.approx(chi(0.7, known, 1.3))
