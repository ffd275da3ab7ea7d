import torch
from torch import nn


def _linear(model):
    return [layer for layer in model if isinstance(layer, nn.Linear)]


@torch.no_grad()
def measures_all_layers_first(model, inputs):
    """the first layer is right and the next is not: scale a layer before you measure the one behind it"""
    deviations = []
    for layer in model:
        inputs = layer(inputs)
        if isinstance(layer, nn.Linear):
            deviations.append(inputs.std())
    for layer, deviation in zip(_linear(model), deviations, strict=True):
        layer.weight /= deviation


@torch.no_grad()
def divides_by_the_variance(model, inputs):
    """the first layer puts out too much: divide by the standard deviation, not by the variance"""
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight /= layer(inputs).var()
        inputs = layer(inputs)


@torch.no_grad()
def measures_behind_the_activation(model, inputs):
    """the deviation is 1 behind the activations: measure what the linear layer puts out"""
    for linear, activation in zip(model[::2], model[1::2], strict=True):
        for _ in range(60):  # a GELU does not scale along: repeat until it fits
            linear.weight /= activation(linear(inputs)).std()
        inputs = activation(linear(inputs))


@torch.no_grad()
def draws_anew(model, inputs):
    """the weights themselves have changed: multiply them by one number"""
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.normal_()
            layer.weight /= layer(inputs).std()
        inputs = layer(inputs)
