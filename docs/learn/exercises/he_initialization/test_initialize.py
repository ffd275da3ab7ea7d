import torch
from initialize import initialize
from torch import nn


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(300, 900), nn.ReLU(), nn.Linear(900, 300), nn.ReLU(), nn.Linear(300, 1000))


def test_it_changes_the_model_it_gets():
    model = network()
    before = model[0].weight.clone()
    initialize(model)
    assert not model[0].weight.equal(before), "the weights are as before: change them in place, the result is not used"


def test_biases_are_zero():
    model = network()
    initialize(model)
    assert all(layer.bias.eq(0).all() for layer in model[::2]), (
        "a bias is not zero: PyTorch draws biases at random, and they add the same to every input"
    )


def test_hidden_layers():
    model = network()
    initialize(model)
    first, second = (layer.weight.var().item() * layer.in_features for layer in (model[0], model[2]))
    assert abs(first / second - 1 / 9) > 0.02, (
        "the weights of 900 inputs are larger than those of 300 and should be smaller: did you divide by the outputs?"
    )
    for product in (first, second):
        assert 1.9 < product < 2.1, f"before a ReLU fan_in Var[W] should be 2, yours is {product:.2f}"


def test_output_layer():
    model = network()
    initialize(model)
    product = model[4].weight.var().item() * 300
    assert not 1.9 < product < 2.1, "the output is twice too large in the mean square: no ReLU follows the last layer"
    assert 0.95 < product < 1.05, f"in the last layer fan_in Var[W] should be 1, yours is {product:.2f}"
