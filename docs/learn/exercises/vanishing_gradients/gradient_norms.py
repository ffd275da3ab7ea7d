import torch
from torch import nn


def gradient_norms(model: nn.Sequential, inputs, labels):
    """Norm of the gradient of the cross-entropy with respect to the weight of
    each `nn.Linear`, from the first layer to the last, as a list of floats."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    loss = nn.functional.cross_entropy(model(inputs), labels)
    gradients = torch.autograd.grad(loss, [layer.weight for layer in layers])
    return [gradient.norm().item() for gradient in gradients]
