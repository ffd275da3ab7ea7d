from torch import nn


def makes_new_weights(model):
    """the weights are as before: change them in place, the result is not used"""
    return nn.Sequential(*(nn.Linear(each.in_features, each.out_features) if hasattr(each, "weight") else each
                           for each in model))  # fmt: skip


def keeps_the_biases(model):
    """a bias is not zero: PyTorch draws biases at random, and they add the same to every input"""
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def takes_fan_out(model):
    """the weights of 900 inputs are larger than those of 300 and should be smaller: did you divide by the outputs?"""
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def treats_all_layers_alike(model):
    """the output is twice too large in the mean square: no ReLU follows the last layer"""
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
