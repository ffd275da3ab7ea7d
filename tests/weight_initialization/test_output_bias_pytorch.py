import math

import pytest
import torch
from torch import nn

from snippets.weight_initialization import output_bias_numpy as oracle
from snippets.weight_initialization.output_bias_pytorch import sigmoid_bias, softmax_bias


def test_it_is_the_oracle():
    assert sigmoid_bias(0.03) == oracle.sigmoid_bias(0.03)
    assert softmax_bias(torch.tensor([1, 2, 7])).numpy() == pytest.approx(oracle.softmax_bias([1, 2, 7]))
    assert softmax_bias(torch.tensor([0.1, 0.9])).numpy() == pytest.approx(oracle.softmax_bias([0.1, 0.9]), abs=1e-6)


def test_the_loss_starts_at_the_entropy():
    labels = torch.tensor([0] * 10 + [1] * 20 + [2] * 70)
    layer = nn.Linear(5, 3)
    nn.init.zeros_(layer.weight)
    layer.bias.data.copy_(softmax_bias(torch.bincount(labels)))
    frequencies = torch.tensor([0.1, 0.2, 0.7])
    loss = nn.functional.cross_entropy(layer(torch.ones(100, 5)), labels)
    assert loss.item() == pytest.approx(-(frequencies * frequencies.log()).sum().item())


def test_bad_frequencies_are_refused():
    with pytest.raises(ValueError, match="frequency .*1.5"):
        sigmoid_bias(1.5)
    with pytest.raises(ValueError, match="counts"):
        softmax_bias(torch.tensor([1, 0]))


@pytest.mark.parametrize("counts", [[float("inf"), 1.0], [float("nan"), 1.0], [], [[1.0, 2.0]]])
def test_counts_are_finite_and_one_for_each_class(counts):
    with pytest.raises(ValueError, match="counts must be finite, one for each class"):
        softmax_bias(torch.tensor(counts))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int64, torch.uint8])
def test_biases_are_float64_for_every_dtype(dtype):
    bias = softmax_bias(torch.tensor([1, 3], dtype=dtype))
    torch.testing.assert_close(bias, torch.tensor([0.25, 0.75], dtype=torch.float64).log())


def test_the_smallest_frequency_has_a_finite_bias():
    assert sigmoid_bias(5e-324) == pytest.approx(-744.4400719, abs=1e-6)


def test_neither_the_sum_nor_the_ratio_of_the_counts_has_to_fit():
    counts = torch.tensor([1e308, 1e308, 1e-300], dtype=torch.float64)
    wanted = [math.log(0.5), math.log(0.5), math.log(0.5) - 608 * math.log(10)]
    torch.testing.assert_close(softmax_bias(counts), torch.tensor(wanted, dtype=torch.float64))
