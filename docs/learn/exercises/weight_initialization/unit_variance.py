import torch
from torch import nn


def unit_variance(model: nn.Sequential, inputs):
    """Scale the weight of each `nn.Linear`, in place and in their order, so that
    what it puts out for these inputs has the standard deviation 1. Biases, which
    are zero, stay so. (The heart of LSUV, Mishkin & Matas 2016.)"""
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight /= layer(inputs).std()
            inputs = layer(inputs)
