from torch import nn


def _backward(model, inputs, labels, reduction="mean"):
    nn.functional.cross_entropy(model(inputs), labels, reduction=reduction).backward()


def lets_gradients_add_up(model, inputs, labels):
    """the second call gives twice as much: backward() adds to what is there, set the gradients to zero first"""
    _backward(model, inputs, labels)
    return [layer.weight.grad.norm().item() for layer in model if isinstance(layer, nn.Linear)]


def measures_the_weights(model, inputs, labels):
    """these are the norms of the weights, not of their gradients"""
    _backward(model, inputs, labels)
    return [layer.weight.norm().item() for layer in model if isinstance(layer, nn.Linear)]


def takes_all_parameters(model, inputs, labels):
    """three layers have a weight, you give 6 norms: leave out the biases"""
    model.zero_grad()
    _backward(model, inputs, labels)
    return [parameter.grad.norm().item() for parameter in model.parameters()]


def sums_over_the_batch(model, inputs, labels):
    """16 times too large: cross_entropy takes the mean of a batch"""
    model.zero_grad()
    _backward(model, inputs, labels, reduction="sum")
    return [layer.weight.grad.norm().item() for layer in model if isinstance(layer, nn.Linear)]
