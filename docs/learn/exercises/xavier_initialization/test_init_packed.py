import math

import torch
from init_packed import init_packed
from torch import nn

WIDTH = 128
STD = math.sqrt(2 / (WIDTH + WIDTH))


def started():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(WIDTH, 4)
    attention.in_proj_bias.data.fill_(1)
    before = attention.in_proj_weight.clone()
    init_packed(attention)
    return before, attention


def test_each_projection_has_its_own_fans():
    before, attention = started()
    assert not attention.in_proj_weight.equal(before), "the weights are as PyTorch drew them: change them in place"
    ratios = [weight.std().item() / STD for weight in attention.in_proj_weight.detach().chunk(3)]
    assert not all(abs(ratio - math.sqrt(0.5)) < 0.03 for ratio in ratios), (
        "your std is sqrt(2) too small: the packed matrix has three times the outputs of each projection"
    )
    assert all(abs(ratio - 1) < 0.03 for ratio in ratios), (
        f"query, key and value have {', '.join(f'{ratio:.2f}' for ratio in ratios)} of Xavier's std"
    )


def test_the_three_differ():
    query, key, value = started()[1].in_proj_weight.detach().chunk(3)
    assert not query.equal(key) and not key.equal(value), (
        "query, key and value are the same matrix: draw three times, else each query fits its own key best"
    )


def test_biases():
    assert started()[1].in_proj_bias.eq(0).all(), "the biases are not zero"
