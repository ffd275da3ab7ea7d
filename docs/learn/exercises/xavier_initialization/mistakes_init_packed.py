import torch
from torch import nn


def fills_the_packed_matrix(attention):
    """your std is sqrt(2) too small: the packed matrix has three times the outputs of each projection"""
    nn.init.xavier_uniform_(attention.in_proj_weight)
    nn.init.zeros_(attention.in_proj_bias)


def repeats_one_matrix(attention):
    """query, key and value are the same matrix: draw three times, else each query fits its own key best"""
    one = nn.init.xavier_uniform_(torch.empty(attention.embed_dim, attention.embed_dim))
    with torch.no_grad():
        attention.in_proj_weight.copy_(one.repeat(3, 1))
        attention.in_proj_bias.zero_()


def makes_new_matrices(attention):
    """the weights are as PyTorch drew them: change them in place"""
    return [nn.init.xavier_uniform_(torch.empty_like(part)) for part in attention.in_proj_weight.chunk(3)]


def keeps_the_biases(attention):
    """the biases are not zero"""
    for projection in attention.in_proj_weight.data.chunk(3):
        nn.init.xavier_uniform_(projection)
