import math

import torch
from torch import nn


def initialize(model: nn.Sequential):
    """Draw all weights of a plain ReLU network anew, in place, so that the
    mean square of the signal is the same behind every layer."""
    layers = list(model)
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Linear):
            gain = 2 if isinstance(following, nn.ReLU) else 1
            with torch.no_grad():
                layer.weight.normal_(0, math.sqrt(gain / layer.in_features))
                layer.bias.zero_()
