import torch
from torch import nn


def init_packed(attention: nn.MultiheadAttention):
    """Give the query, key and value weights, which PyTorch keeps in one matrix,
    Xavier's variance each, in place. Biases start at zero."""
    with torch.no_grad():
        for projection in attention.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(projection)
        attention.in_proj_bias.zero_()
